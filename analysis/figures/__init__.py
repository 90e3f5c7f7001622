"""The same as pictures: one place that makes figures, one style."""
