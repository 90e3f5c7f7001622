"""A gate from stored studies: its rows are read from their ledger, and what it was fitted on is told in its file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from math import isnan
from statistics import fmean
from typing import Any, Final

import numpy as np
import orjson
import polars as pl

from coordeval.analysis.base.arms import arms_table
from coordeval.analysis.base.checks import Floats
from coordeval.analysis.tools.answers import mean_of_rows, paired_answers
from coordeval.analysis.tools.gate import ROWS, Fitted, fit_gate
from coordeval.configurations.gates import features
from coordeval.flows.run.known import numbers
from coordeval.flows.study.stored import chosen
from coordeval.flows.tools.looking import with_and_without
from coordeval.ledger import Reader
from coordeval.market_data.errors import CoordevalError

_FIRST: Final = """
    SELECT c.forecast_id, any_value(c.arm) AS arm, any_value(c.as_of) AS as_of, any_value(c.market_price) AS price,
        any_value(v.facts) AS facts,
        any_value(v.documents) AS documents, list(e.probability ORDER BY e.ask) AS first,
        list(length(e.rationale) ORDER BY e.ask) AS rationale
    FROM cells c JOIN estimates e USING (forecast_id)
        JOIN views v ON v.market_id = c.market_id AND v.as_of = c.as_of
    WHERE c.study_id = ? AND e.round = 0 AND e.kind = 'estimate'
        AND NOT EXISTS (FROM messages m WHERE m.forecast_id = e.forecast_id AND m.to_ask = e.ask)
    GROUP BY c.forecast_id
"""


def fitted(reader: Reader, studies: Sequence[str], *, configuration: str | None, least: float, n: int, seed: int) -> Fitted:
    """Raises CoordevalError where a study has no such arms, or the configurations' first estimates differ in number."""
    frames, named = [], []
    for study in studies:
        study_id = chosen(reader, study)
        frames.append(rows_of(reader, study_id, configuration))
        named.append({"name": reader.study(study_id).name, "study_id": study_id})
    whole = pl.concat(frames)
    usual = whole.group_by("configuration").agg(pl.col("draws").mode().max())["draws"].unique().sort().to_list()
    if len(usual) != 1:
        raise CoordevalError(
            f"the answers without tools rest on {', '.join(map(str, usual))} first estimates: a gate is fitted on one "
            "number of them; name one with --configuration, such as an independent_ensemble of as many agents as tool_gate"
        )
    whole = whole.filter(draws=usual[0])  # where an agent failed there are fewer
    twice = whole.group_by("market_id").agg(pl.col("study").n_unique()).filter(pl.col("study") > 1).height
    made = fit_gate(whole, draws=usual[0], least=least, n=n, seed=seed)
    made.file.update(studies=named, made_by=f"coordeval {version('coordeval')}", made_at=datetime.now(UTC).isoformat())
    made.file["markets_in_several_studies"] = twice
    return made


def cross_fitted(rows: pl.DataFrame, case: Sequence[str], market: Sequence[str], *, seed: int) -> Floats:
    """(cases,): what gates of this study's own other events expect tools to gain; one gate for each configuration.

    NaN where nothing was expected. Raises AnalysisError where a gate cannot be fitted.
    """
    parts = []
    for _, part in rows.group_by("configuration", maintain_order=True):
        usual = part["draws"].mode().to_list()[0]
        parts.append(part.with_columns(predicted=fit_gate(part, draws=usual, n=2, seed=seed).predicted))
    whole = pl.concat(parts).filter(pl.col("predicted").is_not_nan())
    means = whole.group_by("case", "market_id").agg(pl.col("predicted").mean())
    known = {(name, place): value for name, place, value in means.iter_rows()}
    return np.array([known.get(key, np.nan) for key in zip(case, market, strict=True)], np.float64)


def rows_of(reader: Reader, study_id: str, configuration: str | None = None) -> pl.DataFrame:
    """The rows of a gate, with study, case, configuration, and how many first estimates there were (`draws`)."""
    answers, _ = with_and_without(reader, study_id)
    if configuration is not None:
        known = answers["configuration"].unique().sort().to_list()
        if configuration not in known:
            raise CoordevalError(f"--configuration {configuration!r}: this study has {', '.join(known)}")
        answers = answers.filter(configuration=configuration)
    made = paired_answers(answers)
    used = dict(zip(zip(made.case, made.market, strict=True), mean_of_rows(made.used).tolist(), strict=True))
    first = {row["forecast_id"]: row for row in reader.query(_FIRST, [study_id]).to_dicts()}
    hides = set(arms_table(reader.study(study_id).content).filter(~pl.col("show_price"))["arm"])
    rows: list[dict[str, Any]] = []
    for row in answers.filter(~pl.col("tools")).drop_nulls(["probability", "outcome"]).to_dicts():
        seen, gain = first.get(row["forecast_id"]), used.get((row["case"], row["market_id"]))
        if seen is None or gain is None or isnan(gain):
            continue
        facts = numbers(orjson.loads(seen["facts"]), seen["as_of"], len(orjson.loads(seen["documents"])))
        before = features(
            seen["first"],
            price=None if seen["arm"] in hides else seen["price"],
            facts=facts,
            rationale=fmean(seen["rationale"]),
        )
        rows.append(
            {"market_id": row["market_id"], "event_id": row["event_id"], "category": facts.get("category"), **before}
            | {"without": (row["probability"] - row["outcome"]) ** 2, "used": gain, "draws": len(seen["first"])}
            | {"study": study_id, "case": row["case"], "configuration": row["configuration"]}
        )
    own = {"study": pl.String, "case": pl.String, "configuration": pl.String, "draws": pl.Int64}
    return pl.DataFrame(rows, schema=ROWS | own)
