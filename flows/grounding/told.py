"""What a ledger tells of a study of games beside its report: telemetry by round, and an audit by the rules that apply."""

from dataclasses import fields
from typing import Final

import polars as pl

from coordeval.analysis.audit import Audit, Evidence, Rule, audit
from coordeval.analysis.audit.registry import load
from coordeval.analysis.audit.rules.games import OF_EVERY_STUDY, RULES, GameEvidence
from coordeval.analysis.games.telemetry import telemetry
from coordeval.flows.run.evidence import study_evidence
from coordeval.grounding.game import Game
from coordeval.ledger import Reader
from coordeval.ledger.games import games_frame, games_of

_CALLS: Final = """
    SELECT k.forecast_id, k.round, count(*) AS calls,
        sum(k.input_tokens + k.cache_read_tokens + k.cache_write_tokens)::BIGINT AS input_tokens,
        sum(k.output_tokens)::BIGINT AS output_tokens, sum(k.seconds) AS seconds,
        CASE WHEN count(k.attributed_micro_usd) = count(*) THEN sum(k.attributed_micro_usd)::BIGINT END AS micro_usd
    FROM calls k SEMI JOIN (FROM cells WHERE study_id = ?) c USING (forecast_id) GROUP BY ALL
"""


def telemetry_of_games(reader: Reader, study_id: str) -> pl.DataFrame:
    """`analysis.games.telemetry.TELEMETRY` of a stored study, in the order of its arms, instances and replicates."""
    with reader.moment() as held:
        return telemetry(held.query(_CALLS, [study_id]), _played(held, study_id))


def audit_games(reader: Reader, study_id: str) -> Audit:
    """The audit of a stored study of games: general rules that mean something of a game, and those of games alone.

    A plugin's rule is about forecasts, and is not asked.
    """
    with reader.moment() as held:
        found = study_evidence(held, study_id)
        games = _played(held, study_id)
    own = {one.name: getattr(found, one.name) for one in fields(Evidence)}
    known = load()
    rules: list[Rule] = [rule for rule in known.made() if rule.name in OF_EVERY_STUDY]
    study = {**found.study, "noun": "game"}
    return audit(GameEvidence(**own | {"study": study}, games=games), [*rules, *(rule() for rule in RULES)])


def _played(held: Reader, study_id: str) -> dict[str, tuple[str, Game]]:
    rows = games_frame(held, study_id)
    games = games_of(held, rows["forecast_id"].to_list())
    return {key: (arm, games[key]) for key, arm in rows.select("forecast_id", "arm").iter_rows() if key in games}
