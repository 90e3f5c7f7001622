"""Floor 6: study files, runs, Prefect and the command line."""

if __name__ == "flows":  # from a checkout, by its folder's name: the same modules, not copies
    from coordeval.folders import same

    same(__name__)
