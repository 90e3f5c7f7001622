"""Shards become rows of the ledger: idempotently, in any order, by the one writer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from coordeval.flows.run.workers.columns import decoded_columns, is_columns
from coordeval.flows.run.workers.places import Place, ShardError
from coordeval.flows.run.workers.shards import decoded
from coordeval.ledger import Ledger, RowError
from coordeval.ledger.merging import Part
from coordeval.market_data.errors import CoordevalError

MOST_BYTES = 32_000_000
"""Of files, compressed as they are, in one transaction."""


@dataclass(slots=True)
class Merged:
    """What came of merging: what was new, and which shards are not whole or not ours."""

    forecasts: list[dict[str, Any]] = field(default_factory=list)
    """What a person is told of each."""
    draws: list[dict[str, Any]] = field(default_factory=list)
    """What each cost."""
    refused: list[str] = field(default_factory=list)
    """Why a shard was left where it is."""


def merge(
    ledger: Ledger, place: Place, *prefixes: str, study: str, tell: Callable[[str], Any] = lambda text: None
) -> Merged:
    """Moves every shard below these prefixes into the ledger, and deletes it then. One that cannot be used stays, renamed.

    Columns first, and of shards what no columns hold. Raises LedgerError where the ledger cannot be written: the shards are
    all still there.
    """
    return _Merging(ledger, place, study, tell).done([name for prefix in prefixes for name in place.names(prefix)])


class _File(NamedTuple):
    name: str
    part: Part
    deleted: Sequence[str]
    """What is not needed once the part is stored."""
    size: int


class _Merging:
    def __init__(self, ledger: Ledger, place: Place, study: str, tell: Callable[[str], Any]) -> None:
        self._ledger, self._place, self._study, self._tell = ledger, place, study, tell
        self._found = Merged()

    def done(self, names: Sequence[str]) -> Merged:
        files = [name for name in names if name.endswith(".parquet")]
        covered: set[str] = set()

        def columns(content: bytes, name: str) -> tuple[Part, Sequence[str]]:
            part, covers = decoded_columns(content, name, study=self._study)
            return part, [other for other in files if other in set(covers)]

        def shard(content: bytes, name: str) -> tuple[Part, Sequence[str]]:
            entries = decoded(content, name, study=self._study)
            return self._ledger.part([(entry.table, entry.row) for entry in entries]), ()

        for stored in self._move([name for name in files if is_columns(name)], columns):
            covered.update(stored)
        for _ in self._move([name for name in files if not is_columns(name) and name not in covered], shard):
            pass
        return self._found

    def _move(self, names: Sequence[str], read: Callable[[bytes, str], tuple[Part, Sequence[str]]]) -> Iterator[list[str]]:
        """Yields what need not be read any more, each time that a group is stored."""
        group: list[_File] = []
        for name in names:
            if (content := self._place.read(name)) is None:
                continue
            try:
                part, covers = read(content, name)
            except (ShardError, RowError) as error:
                self._refuse(name, error)
                continue
            # of an end between two deletions nothing comes: what is left is merged again, and changes nothing
            group.append(_File(name, part, [*covers, name], len(content)))
            if sum(file.size for file in group) >= MOST_BYTES:
                yield self._store(group)
                group = []
        if group:
            yield self._store(group)

    def _store(self, group: Sequence[_File]) -> list[str]:
        try:
            new = self._ledger.merge_parts([file.part for file in group])
        except RowError as error:  # of another version, say: the others go in
            if len(group) == 1:
                self._refuse(group[0].name, error)
                return []
            return [name for file in group for name in self._store([file])]
        self._found.forecasts += new["forecasts"]
        self._found.draws += new["draws"]
        deleted = [name for file in group for name in file.deleted]
        self._place.delete(deleted)
        return deleted

    def _refuse(self, name: str, error: CoordevalError) -> None:
        shards = "the shards that it sums up are read instead" if is_columns(name) else "its cells are asked again"
        said = f"{error if name in str(error) else f'{name}: {error}'}; it is left as {name}.refused, and {shards}"
        self._found.refused.append(said)
        self._tell(said)
        if (content := self._place.read(name)) is not None:
            self._place.write(f"{name}.refused", content)
            self._place.delete([name])
