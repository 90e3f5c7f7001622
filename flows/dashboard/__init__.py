"""`coordeval dashboard`: a local web app over one ledger, also while a run writes it."""
