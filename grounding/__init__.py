"""The grounding game: two agents who could solve a task alone and have to solve it together (arXiv 2605.01750).

Its joint optimum is enumerated, so every lost point has a cause. No code of the paper was found: this is built from its
description, and docs/grounding.md says where it left a choice and what was chosen.
"""

if __name__ == "grounding":  # from a checkout, by its folder's name: the same modules, not copies
    from coordeval.folders import same

    same(__name__)
