"""Answers with tools and without them, read from a ledger: arms that differ in tools alone are set against each other."""

from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import polars as pl

from coordeval.analysis.base.arms import FACTORS, arms_table
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.tools import ANSWERS, Need, Paired, Policies, need, paired_answers, policies, wasted
from coordeval.analysis.tools.policies import ESTIMATOR
from coordeval.flows.study.names import PROBE
from coordeval.flows.study.stored import chosen
from coordeval.ledger import Reader
from coordeval.ledger.commitments import LATE
from coordeval.market_data.errors import CoordevalError

NONE: Final = "none"
_ANSWERS: Final = f"""
    SELECT c.arm, c.configuration, c.market_id, coalesce(m.event_id, c.market_id) AS event_id, c.replicate, c.forecast_id,
        f.probability, CAST(o.value AS TINYINT) AS outcome, f.tool_calls AS calls, f.attributed_micro_usd / 1e6 AS cost_usd
    FROM cells c JOIN forecasts f USING (forecast_id) LEFT JOIN markets m ON m.market_id = c.market_id
        LEFT JOIN (FROM current_outcomes WHERE market_id NOT IN ({LATE})) o ON o.market_id = c.market_id
    WHERE c.study_id = $study AND c.configuration <> '{PROBE}' AND f.model_calls > 0
    ORDER BY c.arm, c.configuration, c.market_id, c.replicate
"""
_CALLS: Final = """
    SELECT t.forecast_id, t.ask, c.configuration, t.tool, t.arguments, md5(t.result) AS result, t.items, t.error
    FROM tool_calls t JOIN (SELECT DISTINCT forecast_id, configuration FROM cells WHERE study_id = ?) c USING (forecast_id)
    ORDER BY t.forecast_id, t.ask, t.turn, t.position
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a study says of tools."""

    study: str
    study_id: str
    simulated: bool
    paired: str
    """Which arms were set against each other, in words."""
    need: Need
    policies: Policies | None
    why_no_policies: str | None
    wasted: pl.DataFrame

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"study": self.study, "study_id": self.study_id, "simulated": self.simulated}
        told |= {"paired": self.paired, "wasted": self.wasted.to_dicts(), "reason": self.why_no_policies}
        for name, part, frames in (
            ("need", self.need, ("cases", "totals", "perceived")),
            ("policies", self.policies, ("points", "curve")),
        ):
            if part is None:
                told[name] = None
                continue
            values = {field: getattr(part, field) for field in part.__dataclass_fields__}
            told[name] = values | {frame: values[frame].to_dicts() for frame in frames}
        return told


def looked(reader: Reader, study: str | None, *, good: float, n: int, seed: int) -> Looked:
    """Raises CoordevalError where no two arms differ in tools alone, or nothing was answered both ways."""
    study_id = chosen(reader, study)
    stored = reader.study(study_id)
    answers, paired = with_and_without(reader, study_id)
    made = paired_answers(answers)
    found, why = _policies(reader, study_id, made, n=n, seed=seed)
    return Looked(
        study=stored.name,
        study_id=study_id,
        simulated=stored.simulated,
        paired=paired,
        need=need(made, good=good, n=n, seed=seed),
        policies=found,
        why_no_policies=why,
        wasted=wasted(reader.query(_CALLS, [study_id])),
    )


def with_and_without(reader: Reader, study_id: str) -> tuple[pl.DataFrame, str]:
    """`analysis.tools.ANSWERS` with `forecast_id`, and which arms they are of.

    The arms of a group differ in tools alone; one group is one case of every configuration.
    """
    arms = arms_table(reader.study(study_id).content).to_dicts()
    rest = [name for name in FACTORS if name != "tools"]
    groups: dict[tuple[Any, ...], dict[bool, list[str]]] = {}
    for row in arms:
        kinds = groups.setdefault(tuple(row[name] for name in rest), {True: [], False: []})
        kinds[row["tools"] != NONE].append(row["arm"])
    # of several arms with tools the first is the one that is judged: each choice of tools is a question of its own
    pairs = [(kinds[True][0], kinds[False][0]) for kinds in groups.values() if kinds[True] and kinds[False]]
    if not pairs:
        raise CoordevalError(
            "no two arms of this study differ in tools alone, so nobody knows what was answered without them: add "
            '[[arms]] name = "bare", tools = "none" to the study file and run it again'
        )
    of = {arm: (number, tools) for number, pair in enumerate(pairs) for arm, tools in zip(pair, (True, False), strict=True)}
    rows = reader.query(_ANSWERS, {"study": study_id}).filter(pl.col("arm").is_in(list(of)))
    several = len(pairs) > 1
    case = pl.col("arm").replace_strict({arm: pairs[number][0] for arm, (number, _) in of.items()}, return_dtype=pl.String)
    made = rows.with_columns(
        case=pl.concat_str(pl.col("configuration"), pl.lit(", "), case) if several else pl.col("configuration"),
        tools=pl.col("arm").replace_strict({arm: tools for arm, (_, tools) in of.items()}, return_dtype=pl.Boolean),
    )
    said = "; ".join(f"{tools} with tools, {bare} without" for tools, bare in pairs)
    return made.select(*(pl.col(name).cast(kind) for name, kind in ANSWERS.items()), "forecast_id"), said


def _policies(reader: Reader, study_id: str, made: Paired, *, n: int, seed: int) -> tuple[Policies | None, str | None]:
    """The rules of calling, the estimator's among them where one can be fitted on this study's other events."""
    from coordeval.flows.tools.fitting import cross_fitted, rows_of

    if not made.tried.any():
        return None, "no draw called a tool, so nothing can be said of calls"
    try:
        predicted = cross_fitted(rows_of(reader, study_id), made.case, made.market, seed=seed)
    except AnalysisError as error:
        found = policies(made, n=n, seed=seed)
        return replace(found, reasons={**found.reasons, ESTIMATOR: str(error)}), None
    return policies(made, predicted=predicted, n=n, seed=seed), None


def stored_json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
