"""The studies of a ledger: which there are, how far each is, and which one a user means by a file, a name or a hash."""

from pathlib import Path
from typing import Any, Final

import polars as pl

from coordeval.flows.study.names import GAMES
from coordeval.flows.study.reading import StudyError
from coordeval.ledger import Reader
from coordeval.market_data.errors import CoordevalError, choose

SHORT: Final = 8
"""Characters of a hash that people are shown."""
STATUSES: Final = ("answered", "failed", "open")
_STUDIES = """
    SELECT s.name, s.study_id, s.model, s.source,
        greatest(s.created_at, (SELECT max(started_at) FROM runs r WHERE r.study_id = s.study_id)) AS used_at,
        count(c.study_id) AS cells,
        count(*) FILTER (f.status = 'answered') AS answered,
        count(*) FILTER (f.status = 'failed') AS failed,
        cells - answered - failed AS open,
        s.simulated, s.hindsight
    FROM studies s LEFT JOIN cells c USING (study_id) LEFT JOIN forecasts f ON f.forecast_id = c.forecast_id
    GROUP BY ALL ORDER BY used_at DESC, s.study_id
"""
_FORECASTS = """
    SELECT c.forecast_id, c.market_id, c.arm, c.configuration, c.replicate, coalesce(f.status, 'open') AS status,
        f.probability, f.reason, c.as_of
    FROM cells c LEFT JOIN forecasts f USING (forecast_id)
    WHERE c.study_id = $study AND ($configuration IS NULL OR c.configuration = $configuration)
        AND ($market IS NULL OR starts_with(c.market_id, $market)) AND ($arm IS NULL OR c.arm = $arm)
        AND ($status IS NULL OR coalesce(f.status, 'open') = $status)
    ORDER BY c.market_id, c.arm <> 'main', c.arm, c.configuration, c.replicate
"""


def studies(reader: Reader) -> pl.DataFrame:
    """One row per study, the last used first: name, study_id, model, source, used_at, cells, answered, failed, open, and
    whether it is simulated or anchored on hindsight (null: stored before that was kept)."""
    return reader.query(_STUDIES)


def chosen(reader: Reader, asked: str | None, *, games: bool = False) -> str:
    """The id of the study that is meant: by a study file, a name, or the start of a hash (4 characters or more).

    None: the one used last. A study of games is not meant, unless `games`. Raises StudyError where there is
    none, or where several have that name or hash: which these are.
    """
    every = studies(reader).to_dicts()
    known = every if games else [row for row in every if row["source"] != GAMES]
    if not every or (asked is None and not known):
        more = " of forecasts" if every else ""
        raise StudyError(f"{reader.path} holds no study{more} yet; `coordeval run STUDY.toml` stores one")
    if asked is None:
        return str(known[0]["study_id"])
    found = _named(reader, every, asked)
    if not games and any(row["study_id"] == found and row["source"] == GAMES for row in every):
        raise StudyError(f"{asked} is a study of games: `coordeval grounding report {asked}` says what it tells")
    return found


def _named(reader: Reader, known: list[dict[str, Any]], asked: str) -> str:
    if asked.endswith(".toml") or Path(asked).is_file():
        return _of_file(reader, known, Path(asked))
    found = [row for row in known if row["name"] == asked]
    if not found and len(asked) >= 4:
        found = [row for row in known if row["study_id"].startswith(asked.lower())]
    if len(found) == 1:
        return str(found[0]["study_id"])
    if found:
        raise StudyError(
            f"{len(found)} studies are called {asked!r}: {_listed(found)}. Give the beginning of one hash instead"
            if found[0]["name"] == asked
            else f"{len(found)} studies have a hash that begins with {asked!r}: {_listed(found)}. Write more of it"
        )
    raise StudyError(f"there is no study {asked!r} in {reader.path}. It holds: {_listed(known)}")


def _of_file(reader: Reader, known: list[dict[str, Any]], path: Path) -> str:
    from coordeval.flows.study.study import load_study  # not needed where a study goes by its name

    loaded = load_study(path)
    if any(row["study_id"] == loaded.id for row in known):
        return loaded.id
    others = [row for row in known if row["name"] == loaded.study.name]
    stored = f"stored under that name, from a file that said otherwise: {_listed(others)}" if others else _listed(known)
    raise StudyError(
        f"{path} is the study {loaded.study.name} ({loaded.id[:SHORT]}), of which {reader.path} holds nothing; "
        f"`coordeval run {path}` runs it. It holds: {stored}"
    )


def _listed(rows: list[dict[str, Any]]) -> str:
    said = [
        f"{row['name']} {row['study_id'][:SHORT]} (used {row['used_at']:%Y-%m-%d %H:%M}, {row['cells'] - row['open']} of "
        f"{row['cells']} forecasts{', simulated' if row['simulated'] else ''})"
        for row in rows[:10]
    ]
    return "; ".join(said) + ("; and more, see `coordeval studies`" if len(rows) > len(said) else "")


def forecasts(
    reader: Reader,
    study: str,
    *,
    market: str | None = None,
    configuration: str | None = None,
    status: str | None = None,
    arm: str | None = None,
) -> pl.DataFrame:
    """One row per cell of the study with that id, with the forecast_id that a certificate is asked by; `market` may be the
    start of an id. Raises CoordevalError for a market, arm, configuration or status that the study does not have."""
    if status is not None and status not in STATUSES:
        raise CoordevalError(choose("status", status, STATUSES))
    asked = {"study": study, "market": market, "configuration": configuration, "status": status, "arm": arm}
    found = reader.query(_FORECASTS, asked)
    if found.is_empty():
        whole = reader.query(_FORECASTS, {**dict.fromkeys(asked), "study": study})
        if configuration is not None and configuration not in whole["configuration"]:
            raise CoordevalError(
                choose("configuration of this study", configuration, whole["configuration"].unique().to_list())
            )
        if arm is not None and arm not in whole["arm"]:
            raise CoordevalError(choose("arm of this study", arm, whole["arm"].unique(maintain_order=True).to_list()))
        if market is not None and not whole["market_id"].str.starts_with(market).any():
            raise CoordevalError(
                f"--market {market!r}: the study has no market whose id begins so; see `coordeval forecasts`"
            )
    return found
