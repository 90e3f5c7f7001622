"""The information layer: markets, prices, evidence, and the gate that decides what may be seen."""

if __name__ == "market_data":  # from a checkout, by its folder's name: the same modules, not copies
    from coordeval.folders import same

    same(__name__)
