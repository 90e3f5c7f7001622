"""What is done once a day, each job a plain function of a study, a ledger and a moment."""
