"""What things are called on a Prefect server that serves several ledgers."""

import hashlib
from pathlib import Path


def ledger_tag(ledger: Path) -> str:
    """A short name of this ledger file, the same each time: two ledgers of one study do not get in each other's way."""
    return f"ledger-{hashlib.sha256(str(ledger.resolve()).encode()).hexdigest()[:6]}"


def key(*parts: str) -> str:
    """A key of an artifact: lower case, digits and dashes."""
    return "-".join("".join(c if c.isascii() and c.isalnum() else "-" for c in part.lower()).strip("-") for part in parts)
