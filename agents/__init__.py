"""The agent layer: one model behind one interface, one prompt scaffold, one toolbox, one tool loop, one price book."""

if __name__ == "agents":  # from a checkout, by its folder's name: the same modules, not copies
    from coordeval.folders import same

    same(__name__)
