"""A study as a folder that stands for itself: its tables, its numbers, its figures, and the way back."""
