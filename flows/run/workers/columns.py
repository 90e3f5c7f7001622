"""What a chunk made, as columns: the worker that made it drops doubles, encodes and compresses.

So the one writer has next to nothing to do for each row.

A file is Parquet with one row, and of each table a list of its rows. Its name says the checksum of its bytes, and its
metadata which shards it holds again: where it cannot be used, those are there still.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from typing import NamedTuple

import orjson
import polars as pl

from coordeval.flows.run.workers.places import ShardError
from coordeval.ledger.merging import Part

FORMAT = "coordeval-columns/1"
_NAME = re.compile(r"\.columns-([0-9a-f]{32})\.parquet$")


class Columns(NamedTuple):
    """The rows by table, and the shards that hold no others."""

    part: Part
    covers: Sequence[str]


def is_columns(name: str) -> bool:
    """Whether a file of this name holds columns."""
    return _NAME.search(name) is not None


def encoded_columns(part: Part, covers: Sequence[str], *, study: str, version: str) -> tuple[str, bytes]:
    """(end of the file's name, its bytes)."""
    about = {"format": FORMAT, "study": study, "version": version, "covers": list(covers)}
    out = io.BytesIO()
    whole = pl.DataFrame([frame.to_struct(name).implode() for name, frame in part.items()])
    metadata = {"coordeval": orjson.dumps(about).decode()}
    whole.write_parquet(out, compression="zstd", compression_level=1, statistics=False, metadata=metadata)
    content = out.getvalue()
    return f".columns-{_sum(content)}.parquet", content


def decoded_columns(content: bytes, name: str, *, study: str) -> Columns:
    """What such a file holds. Raises ShardError naming what is wrong with it."""
    told = _NAME.search(name)
    if told is None or _sum(content) != told[1]:
        raise ShardError(f"{name} is not whole, or does not hold what was written to it: disk or network is at fault")
    try:
        about = orjson.loads(pl.read_parquet_metadata(io.BytesIO(content))["coordeval"])
        whole = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError, KeyError, ValueError) as error:
        raise ShardError(f"{name} is no file of this version ({type(error).__name__})") from error
    if about.get("format") != FORMAT:
        raise ShardError(f"{name} has the format {about.get('format')!r}, and this version reads {FORMAT!r}")
    if about["study"] != study:
        raise ShardError(f"{name} is of the study {about['study'][:8]}, not of {study[:8]}")
    return Columns({rows.name: rows.explode().struct.unnest() for rows in whole}, about["covers"])


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
