"""What an audit is asked about: a study of a ledger, or a published dataset that is imported for it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordeval.flows.markets.importing import import_dataset
from coordeval.flows.study.stored import chosen
from coordeval.ledger import Reader, read
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.traces100 import NAME


@contextmanager
def audited_ledger(study: str | None, folder: Path | None, ledger: Path) -> Iterator[tuple[Reader, str]]:
    """(reader, study): the stored study of that name, or a dataset, imported into a ledger that is gone afterwards.

    With a folder it is the dataset in it; without one, a dataset that is not in the ledger is downloaded, as `import` does.
    """
    if folder is None and (study != NAME or _stored(ledger, study)):
        reader = read(ledger)
        yield reader, chosen(reader, study)
        return
    if study != NAME:
        raise CoordevalError(
            f"a folder goes with the name of a dataset, which is {NAME}; {study!r} is looked for in the ledger"
        )
    with tempfile.TemporaryDirectory(prefix="coordeval-audit-") as place:
        path = Path(place) / "ledger.duckdb"
        name = import_dataset(NAME, folder, path)
        yield read(path), name


def _stored(ledger: Path, study: str) -> bool:
    return ledger.is_file() and study in read(ledger).studies()["name"].to_list()
