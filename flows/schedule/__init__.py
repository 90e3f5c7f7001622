"""Which days are done, read from the ledger: what wakes a job need not be trusted."""
