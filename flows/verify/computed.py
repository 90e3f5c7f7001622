"""A look between: is what was computed of a conversation when its cell ended what is computed of its stored rows today?"""

from typing import Final

import polars as pl

from coordeval.analysis.talk.telemetry import DEFINITION, TELEMETRY, telemetry
from coordeval.flows.verify.found import Fault, Part
from coordeval.ledger import Reader
from coordeval.ledger.talk import stored_telemetry, talk_frames

_KEY: Final = ("forecast_id", "round")
_OF_CELLS: Final = ("configuration", "market_id", "event_id", "replicate")
_MEASURES: Final = [name for name in TELEMETRY if name not in (*_KEY, *_OF_CELLS)]
_NEAR: Final = 1e-9
_OTHERS: Final = """
    SELECT count(*) FROM telemetry WHERE definition <> $now
        AND ($study IS NULL OR forecast_id IN (SELECT forecast_id FROM cells WHERE study_id = $study))
"""


def look(reader: Reader, study_id: str | None) -> Part:
    """The rows of `telemetry` of one study, or of all."""
    part = Part(name="telemetry", rule="what is stored of a conversation is what its rows come to")
    if others := reader.query(_OTHERS, {"now": DEFINITION, "study": study_id}).item():
        part.not_looked["of another definition; `coordeval telemetry STUDY --anew` computes it by this version's"] += others
    for study in [study_id] if study_id is not None else reader.studies()["study_id"].to_list():
        stored = stored_telemetry(reader, study, DEFINITION).unique(_KEY)
        if stored.is_empty():
            continue
        anew = telemetry(talk_frames(reader, study)).unique(_KEY).join(stored, on="forecast_id", how="semi")
        both = stored.join(anew, on=_KEY, how="full", suffix="_anew", coalesce=True)
        part.looked += both.height
        apart = both.with_columns(apart=pl.concat_list(map(_apart, _MEASURES)).list.drop_nulls())
        for row in apart.filter(pl.col("apart").list.len() > 0).sort(_KEY).iter_rows(named=True):
            name = row["apart"][0]
            says = f"{name} is stored as {row[name]!r}, and its rows come to {row[f'{name}_anew']!r}"
            part.add([Fault(where=f"telemetry of forecast {row['forecast_id'][:12]}, round {row['round']}", says=says)])
    return part.finished()


def _apart(name: str) -> pl.Expr:
    """The column's name where it differs, else null."""
    stored, anew = pl.col(name), pl.col(f"{name}_anew")
    differs = stored.ne_missing(anew)
    if TELEMETRY[name] == pl.Float64:
        differs &= ((stored - anew).abs() > _NEAR * (1 + anew.abs())).fill_null(value=True)
    return pl.when(differs).then(pl.lit(name))
