"""A run under Prefect: the only place that may import it."""
