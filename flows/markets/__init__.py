"""Markets in a ledger: pulled, imported, listed, sampled, audited."""
