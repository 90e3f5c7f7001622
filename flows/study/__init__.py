"""A study file: what it may say, what it means, what makes it another study."""
