"""The dataset `coordination-traces-100`: 100 resolved Polymarket markets and the published traces of five configurations.

Nechepurenko & Shuvalov 2026 (arXiv 2605.03310), CC BY 4.0. Every file is checked against a pinned sha256 before a byte of
it is used, so "the published data" is always the same data.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.types import Document, Market, Outcome, PricePoint

NAME = "coordination-traces-100"
REPOSITORY = "https://raw.githubusercontent.com/ForesightFlow/datasets/main/coordination-traces-100"
CHECKSUMS: Mapping[str, str] = {
    "LICENSE": "3070e63421ace31d069c1701bd67ddeac8c433bae690ddbd0d30c22dba3b478c",
    "CITATION.cff": "a6b07acecdd570b0b9fb18234172f747177c0a933775f605fefcc7722706f8e2",
    "leaderboard.csv": "67a54a7d147bf6ef4df9f21c5951ee9f6733bedfc5c1f88952b9948529cdddd7",
    "markets.jsonl": "9b917de9155e3c95b6b2e3e545f02fd4ae13a7587e9bfa73e2b829a909186e60",
    "traces/consensus_alignment.jsonl": "75795c1fd72a9e750e0b202cfcd9be874bb5591ae002ebc84fd49145cd0a8469",
    "traces/independent_ensemble.jsonl": "ecb415f384f99759c4cca4f0b0f49814dcc10ee7bbb28bece227bf7dc799f192",
    "traces/orchestrator_specialist.jsonl": "bdfac85139b76446a67cb3a1d8c97112cee3a27843bc6487b6f40e86d50e7fd4",
    "traces/peer_critique_debate.jsonl": "d36c26385692ce2fe4be1b9b76b3795b1d6751e52aecb15de9729e6bec884e11",
    "traces/sequential_pipeline.jsonl": "4acc10eb5776f2206f7036bab10e5f27c61deed5ddf74ff0d81680ecf04cf496",
}
CONFIGURATIONS = tuple(Path(name).stem for name in CHECKSUMS if name.startswith("traces/"))


def install(directory: Path, origin: Path | str | None = None) -> Path:
    """Bring the dataset into `directory`, from a folder, or from its public repository; checked, whole or not at all.

    Returns the dataset's folder. Without an origin, a dataset that is there is only checked; with one, it is renewed.
    Raises DataError for a missing or altered file and CoordevalError where the repository cannot be reached.
    """
    target = directory / NAME
    if origin is None and target.is_dir():
        for name in CHECKSUMS:
            read_checked(target, name)
        return target
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        staged = Path(temporary) / NAME
        for name in CHECKSUMS:
            content = _copy(origin, name) if isinstance(origin, Path) else _download(origin or REPOSITORY, name)
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(content)
        if not target.is_dir():
            os.replace(staged, target)
            return target
        for name in CHECKSUMS:
            (target / name).parent.mkdir(exist_ok=True)
            os.replace(staged / name, target / name)
    return target


def read_checked(directory: Path, name: str) -> bytes:
    """The file's bytes. Raises DataError where it is missing or differs from its pinned checksum."""
    delete = f"delete {directory} and " if directory.is_dir() else ""
    fix = f"{delete}run `coordeval import {NAME}` to download the dataset, or `coordeval import {NAME} PATH` with its folder"
    return _checked(_read(directory / name, fix), name, str(directory / name), fix)


def _copy(origin: Path, name: str) -> bytes:
    fix = f"give the folder that holds the whole published dataset, or run `coordeval import {NAME}` to download it"
    return _checked(_read(origin / name, fix), name, str(origin / name), fix)


def _read(path: Path, fix: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{NAME}: {path} cannot be read ({error.strerror}); {fix}") from error


def _checked(content: bytes, name: str, where: str, fix: str) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest != CHECKSUMS[name]:
        raise DataError(
            f"{NAME}: {where} has sha256 {digest}, the published file has {CHECKSUMS[name]}; "
            f"it was altered or cut short: {fix}"
        )
    return content


def _download(base_url: str, name: str) -> bytes:
    import httpx  # who reads what is here already need not wait for it
    import stamina

    url = f"{base_url.rstrip('/')}/{name}"
    fix = f"with a copy at hand, run `coordeval import {NAME} PATH`"
    try:
        for attempt in stamina.retry_context(on=httpx.TransportError, attempts=3, wait_max=5.0):
            with attempt:
                content = _fetched(url)
    except httpx.HTTPError as error:
        raise CoordevalError(f"{NAME}: {url} could not be downloaded ({type(error).__name__}: {error}); {fix}") from error
    except TooMuch as error:
        raise CoordevalError(f"{NAME}: {url} could not be downloaded ({error}); {fix}") from error
    return _checked(content, name, url, fix)


MOST_BYTES = 50_000_000
"""Of one file, as sent and as unpacked: the largest published one has a tenth of it."""
MOST_SECONDS = 600.0
"""Of one file."""


class TooMuch(Exception):
    """An answer that is longer than any published file, takes longer than patience lasts, or leads elsewhere."""


def _fetched(url: str) -> bytes:
    """The body, taken piece by piece to a limit. A redirect is followed to an address as safe as the first one."""
    import httpx

    began, parts, size = time.monotonic(), list[bytes](), 0
    with (
        httpx.Client(timeout=60.0, max_redirects=5, headers={"User-Agent": "coordeval"}) as client,
        client.stream("GET", url) as first,
    ):
        response = first
        for _ in range(5):
            if (where := response.next_request) is None:
                break
            if where.url.scheme not in ("https", response.url.scheme):
                raise TooMuch(f"it leads to {where.url.scheme}://{where.url.host}, which is less safe")
            response.close()
            response = client.send(where, stream=True)
        try:
            if response.next_request is not None:
                raise TooMuch("it leads on and on")
            response.raise_for_status()
            for piece in response.iter_bytes(65_536):
                parts.append(piece)
                size += len(piece)
                if size > MOST_BYTES:
                    raise TooMuch(f"it is longer than {MOST_BYTES:,} bytes")
                if time.monotonic() - began > MOST_SECONDS:
                    raise TooMuch(f"it was not over after {MOST_SECONDS:g} s")
        finally:
            response.close()
    return b"".join(parts)


class CoordinationTraces:
    """The published markets as a source. Its own as-of time is the publication's: 24 hours before resolution.

    That as-of is anchored on hindsight (it depends on when the market resolved), and the dataset gives no scheduled close,
    so none is shown; in the published run the true resolution time stood in the prompt.
    """

    name = NAME
    simulated = False
    checked_against = "the published files themselves, checksums pinned"
    needs = "nothing: it is downloaded; --path for a folder that holds it"

    def __init__(self, directory: Path) -> None:
        self._rows = [orjson.loads(line) for line in read_checked(directory, "markets.jsonl").splitlines()]

    def markets(self) -> list[Market]:
        return [
            Market(
                id=row["marketId"],
                source=self.name,
                event_id=row["eventGroupId"],
                simulated=False,
                question=row["question"],
                category=row["category"],
                reference_time=datetime.fromisoformat(row["baselineDate"]),
            )
            for row in self._rows
        ]

    def prices(self) -> list[PricePoint]:
        kinds: dict[str, Literal["trade_vwap"]] = {"trade_vwap": "trade_vwap"}
        return [
            PricePoint(
                market_id=row["marketId"],
                knowable_at=datetime.fromisoformat(row["baselineDate"]),
                price=row["baselineMidPrice"],
                kind=kinds[row["baselineSource"]],
            )
            for row in self._rows
        ]

    def documents(self) -> list[Document]:
        return []

    def outcomes(self) -> list[Outcome]:
        return [
            Outcome(
                market_id=row["marketId"],
                status="resolved",
                value=row["resolutionOutcome"],
                resolved_at=datetime.fromisoformat(row["resolvedAt"]),
            )
            for row in self._rows
        ]


def published_cells(directory: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(configuration, market id, the published row) for all 500 cells; rows are joined by market id, checked by question."""
    rows = [orjson.loads(line) for line in read_checked(directory, "markets.jsonl").splitlines()]
    by_index = {row["marketIndex"]: row for row in rows}
    for configuration in CONFIGURATIONS:
        for line in read_checked(directory, f"traces/{configuration}.jsonl").splitlines():
            cell = orjson.loads(line)
            market = by_index[cell["marketIndex"]]
            if market["question"] != cell["question"]:
                raise DataError(
                    f"{NAME}: {configuration}, row {cell['marketIndex']}: question {cell['question']!r} is not that of the "
                    f"market at this index, {market['question']!r}"
                )
            yield configuration, market["marketId"], cell
