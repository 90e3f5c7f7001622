"""How as-of can be given on a command line: apart from the rule itself, so that `--help` needs no pydantic."""

WAYS = (
    "hours_before_close=24, fraction_of_life=0.5, hours_before_resolution=24 (hindsight), a date such as 2026-01-31, "
    "or source (the moment that a dataset proposes)"
)
