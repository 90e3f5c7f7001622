"""What a study will cost and what it did cost: quotes, consent, the bill, and what would be asked."""
