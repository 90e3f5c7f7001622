"""What a prospective study committed to before the outcomes: a Merkle root a day, and a proof for each forecast.

A leaf is the UTF-8 text of a JSON object with sorted keys and no blanks. A day's first leaf is the day itself; it names the
root of the day before, so one published root holds all earlier ones. Then come its cells in the order of market, arm,
configuration and replicate, failed ones too: nothing can be left out later. A cell's leaf names its arm where that is not
the study's first. Each holds a nonce, so that a neighbour's hash in somebody else's proof does not let a probability be
guessed.

`verify` needs no ledger: docs/prospective.md has it again in twenty lines of plain Python.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from coordeval.ledger.errors import LedgerError
from coordeval.ledger.merkle import path_of, root_from, root_of
from coordeval.ledger.reader import Reader
from coordeval.market_data.errors import CoordevalError

VERSION = "coordeval-commitment/1"
_HEX = 64


class ProofError(CoordevalError, ValueError):
    """A proof that proves nothing; the message says which part of it breaks which rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The leaves of one day, in order, and their root."""

    leaves: tuple[str, ...]
    forecast_ids: tuple[str | None, ...]
    """None: the day's own leaf."""

    @property
    def root(self) -> str:
        return root_of([leaf.encode() for leaf in self.leaves]).hex()

    def rows(self, study_id: str, day: str) -> list[dict[str, Any]]:
        """Rows of `commitment_leaves`."""
        pairs = zip(self.forecast_ids, self.leaves, strict=True)
        named = {"study_id": study_id, "day": day}
        return [{**named, "position": i, "forecast_id": one, "leaf": leaf} for i, (one, leaf) in enumerate(pairs)]


def tree_of(day: Mapping[str, Any], cells: Sequence[Mapping[str, Any]], *, hidden: bool) -> Tree:
    """The tree of one day. `day`: study_id, day, as_of, previous (the root of the day before, or None).

    `cells`: rows with forecast_id, market_id, arm, configuration, replicate, as_of, market_price, status and probability.
    `hidden`: nonces are drawn at random; otherwise they follow from the forecast's id, where there is nothing to hide.
    """
    own = {"version": VERSION, "kind": "day", **day, "cells": len(cells), "nonce": _nonce(f"{day['day']}", hidden)}
    order = sorted(cells, key=_place)
    leaves = [text_of(own), *(text_of(_cell(cell, hidden)) for cell in order)]
    return Tree(leaves=tuple(leaves), forecast_ids=(None, *(cell["forecast_id"] for cell in order)))


_FIRST = "main"
"""The arm that a study's own sections are. A leaf of it does not name it: that of a study without others is what it was."""


def _place(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    arm = cell.get("arm", _FIRST)
    return cell["market_id"], arm != _FIRST, arm, cell["configuration"], cell["replicate"]


_SAID = ("forecast_id", "market_id", "configuration", "replicate", "as_of", "market_price", "status", "probability")


def _cell(cell: Mapping[str, Any], hidden: bool) -> dict[str, Any]:
    said = {name: cell[name] for name in _SAID}
    if (arm := cell.get("arm", _FIRST)) != _FIRST:
        said["arm"] = arm
    return {"version": VERSION, "kind": "forecast", **said, "nonce": _nonce(cell["forecast_id"], hidden)}


def _nonce(name: str, hidden: bool) -> str:
    return secrets.token_hex(16) if hidden else hashlib.sha256(name.encode()).hexdigest()[:32]


def text_of(said: Mapping[str, Any]) -> str:
    """The leaf: JSON with sorted keys and no blanks; a number as its shortest digits, a time in UTC as ISO text."""
    plain = {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value for name, value in said.items()
    }
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()


def day_roots(reader: Reader, study_id: str) -> list[dict[str, Any]]:
    """One row per day, oldest first: day, as_of, listed, picked, left_out, root (None: none yet), size, committed_at."""
    rows = reader.query("SELECT * EXCLUDE (study_id) FROM forecast_days WHERE study_id = ? ORDER BY day", [study_id])
    return [{**row, "left_out": orjson.loads(row["left_out"])} for row in rows.to_dicts()]


def standing_of(reader: Reader, study_id: str) -> dict[str, Any] | None:
    """How a prospective study stands: days, first, last, picked, awaiting (no final outcome), root and committed_at (the
    last ones). None for a study without a day."""
    row = reader.query(_STANDING, [study_id, study_id]).to_dicts()[0]
    return row if row["days"] else None


LATE = """
    SELECT p.market_id FROM picks p JOIN forecast_days d USING (study_id, day) JOIN current_outcomes e USING (market_id)
    WHERE p.study_id = $study AND e.value IS NOT NULL
        AND NOT coalesce(d.committed_at < least(e.resolved_at, e.recorded_at), false)
"""
"""The markets of a study, $study, whose forecasts were not committed to before the outcome: they count in no score."""


_STANDING = """
    WITH d AS (FROM forecast_days WHERE study_id = ?), p AS (
        SELECT o.status FROM picks LEFT JOIN current_outcomes o USING (market_id) WHERE study_id = ?
    )
    SELECT count(*) AS days, min(day) AS first, max(day) AS last, arg_max(root, day) FILTER (root IS NOT NULL) AS root,
        max(committed_at) AS committed_at, (SELECT count(*) FROM p) AS picked,
        (SELECT count(*) FROM p WHERE coalesce(status, '') NOT IN ('resolved', 'voided', 'fifty_fifty', 'not_yes_no'))
            AS awaiting
    FROM d
"""


def proof_of(reader: Reader, forecast_id: str) -> dict[str, Any] | None:
    """The proof that a forecast is in its day's root, as `verify` takes it; None where it is not committed to."""
    found = reader.query(
        "SELECT study_id, day, position FROM commitment_leaves WHERE forecast_id = ? LIMIT 1", [forecast_id]
    )
    if found.is_empty():
        return None
    study_id, day, position = found.row(0)
    return _proof(reader, study_id, day, position)


def day_proof(reader: Reader, study_id: str, day: str) -> dict[str, Any]:
    """The proof of the day's own leaf, which names the root of the day before."""
    return _proof(reader, study_id, day, 0)


def _proof(reader: Reader, study_id: str, day: str, position: int) -> dict[str, Any]:
    rows = reader.query(_LEAVES, [study_id, day])
    leaves = [leaf.encode() for leaf in rows["leaf"]]
    head = reader.query("SELECT root, committed_at FROM forecast_days WHERE study_id = ? AND day = ?", [study_id, day])
    root, committed_at = head.row(0)
    if root_of(leaves).hex() != root:
        raise LedgerError(
            f"{reader.path}: the leaves of {day} do not have the root {root} that was stored with them; "
            "the ledger was changed after the commitment, so take the copy that was kept then"
        )
    return {
        "version": VERSION,
        "study_id": study_id,
        "day": day,
        "committed_at": committed_at.astimezone(UTC).isoformat(),
        "root": root,
        "size": len(leaves),
        "index": position,
        "leaf": leaves[position].decode(),
        "path": [one.hex() for one in path_of(leaves, position)],
    }


_LEAVES = "SELECT leaf FROM commitment_leaves WHERE study_id = ? AND day = ? ORDER BY position"


def verify(proof: Any) -> dict[str, Any]:
    """What the proven leaf says. It is among the leaves of `root`; whether that root was published, and when, only whoever
    kept it can say. Raises ProofError."""
    if not isinstance(proof, dict):
        raise ProofError(
            f"a proof is a JSON object, this is {type(proof).__name__}: `coordeval commitment ID --json` writes one"
        )
    if proof.get("version") != VERSION:
        raise ProofError(
            f"version is {proof.get('version')!r:.60}: this reads {VERSION!r}; verify it with the version it names"
        )
    index, size = (_whole(proof, name) for name in ("index", "size"))
    leaf, path = proof.get("leaf"), proof.get("path")
    if not isinstance(leaf, str):
        raise ProofError("leaf is no text: it must be the leaf's own JSON as one text, byte for byte")
    if not isinstance(path, list):
        raise ProofError("path is no list: it must hold the hashes from the leaf up to the root")
    hashes = [_hash(one, f"path.{i}") for i, one in enumerate(path)]
    root = _hash(proof.get("root"), "root")
    found = root_from(leaf.encode("utf-8", "surrogatepass"), index, size, hashes)
    if found is None:
        raise ProofError(f"no tree of {size} leaves has a path of {len(path)} hashes at leaf {index}: it was cut or altered")
    if found != root:
        raise ProofError(
            f"the leaf and its path lead to {found.hex()}, not to the root {root.hex()}: one of them was altered"
        )
    try:
        said = orjson.loads(leaf)
    except orjson.JSONDecodeError as error:
        raise ProofError(f"the leaf is in the root, but it is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise ProofError("the leaf is in the root, but it is no JSON object")
    return said


def _whole(proof: Mapping[str, Any], name: str) -> int:
    value = proof.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ProofError(f"{name} is {value!r:.60}: it must be a whole number from 0")
    return value


def _hash(value: Any, name: str) -> bytes:
    try:
        if isinstance(value, str) and len(value) == _HEX and value.isascii():
            return bytes.fromhex(value)
    except ValueError:
        pass
    raise ProofError(f"{name} is {value!r:.80}: it must be a SHA-256 hash, {_HEX} hexadecimal digits")
