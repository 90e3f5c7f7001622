"""What was understood becomes a study of the ledger: all of it in one transaction, or nothing.

A study of imported forecasts has markets, outcomes, cells and forecasts like any other. What the files do not hold (calls,
tokens, seconds, costs, what an agent saw) is null there, and null means "not in the file". Its markets are called
SET:QUESTION, so that ids of two files are one market only where the user says that they are ids of the same questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import duckdb

from coordeval.agents.messages import canonical, content_hash
from coordeval.flows.imports.reading import Understood, of_form, understood
from coordeval.flows.imports.wanted import ImportRefused, Wanted
from coordeval.flows.study.evaluation import version
from coordeval.ledger import Ledger
from coordeval.market_data.forecasts import SOURCE
from coordeval.market_data.markup import listed

MODEL: Final = "(imported forecasts)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import stored."""

    name: str
    study_id: str
    again: bool
    """True where the same files with the same rules had been imported before: nothing changed."""
    changed_outcomes: int
    """Questions whose outcome was another one in this ledger; the one that came now counts."""
    what: Understood

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        what = self.what
        facts: list[tuple[str, Any]] = [
            ("id", self.study_id[:12]),
            ("forecasts", what.forecasts),
            ("questions", what.questions),
        ]
        facts += [("forecasters", ", ".join(what.forecasters)), ("outcomes", what.outcomes)]
        facts += [("set aside", problem.says()) for problem in what.aside] + [("not in it", said) for said in what.missing]
        return listed(f"study {self.name}", [*facts, *(("note", note) for note in what.notes)])

    def as_json(self) -> dict[str, Any]:
        own = {"study": self.name, "study_id": self.study_id, "again": self.again, "changed_outcomes": self.changed_outcomes}
        return own | self.what.as_json()


def import_forecasts(given: Sequence[str | Path] | Any, wanted: Wanted, ledger_path: Path) -> Imported:
    """Import files (paths or patterns) or a data frame as the study `wanted.name`.

    Raises ImportRefused, and nothing is stored: a row breaks a rule (`coordeval.flows.imports.checks`), other forecasts have
    that name already, or a question is known here with another event or category.
    """
    wanted = of_form(given, wanted)
    with understood(given, wanted) as (what, con, file):
        if problem := what.refusal():
            raise ImportRefused(problem)
        content = {
            "imported": wanted.name,
            "files": [{"file": Path(f.name).name, "sha256": f.sha256} for f in what.files],
            "rules": wanted.rules(),
        }
        study_id = content_hash("study/1", content)
        con.close()
        purpose = f"coordeval import forecasts --name {wanted.name}"
        with Ledger.open(ledger_path, purpose=purpose) as ledger, ledger.beside(file) as target:
            again, changed = _known(target, study_id, wanted), 0
            if not again:
                _agrees(target, wanted)
                changed = _changed(target)
                _store(target, what, wanted, study_id, content)
    return Imported(name=wanted.name, study_id=study_id, again=again, changed_outcomes=changed, what=what)


def _known(target: duckdb.DuckDBPyConnection, study_id: str, wanted: Wanted) -> bool:
    named = target.execute("SELECT study_id, source FROM studies WHERE name = ?", [wanted.name]).fetchall()
    if any(known == study_id for known, _ in named):
        return True
    if named:
        today = f"{wanted.name}-{datetime.now(UTC):%Y-%m-%d}"
        raise ImportRefused(
            f"a study called {wanted.name!r} is in this ledger ({named[0][0][:8]}), made from something else; nothing was "
            f"stored. Give this one a name of its own, such as --name {today} --questions {wanted.ids_of}: with the same "
            f"--questions both are about the same questions, and `coordeval compare {wanted.name} {today}` works"
        )
    return False


def _agrees(target: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """Raises ImportRefused where a market of that id stands in the ledger as of another event or category."""
    other = target.execute(
        "SELECT n.market_id, m.event_id, n.event_id, m.category, n.category "
        "FROM said.facts n JOIN markets m USING (market_id) "
        "WHERE m.event_id <> n.event_id OR (m.category <> n.category AND n.category <> '') "
        "ORDER BY 1 LIMIT 3"
    ).fetchall()
    if other:
        said = "; ".join(f"{i}: event {a!r}, now {b!r}; category {c!r}, now {d!r}" for i, a, b, c, d in other)
        raise ImportRefused(
            f"an earlier import of the questions called {wanted.ids_of!r} says otherwise of them ({said}); nothing was "
            "stored. Mend it, or give these questions a name of their own with --questions"
        )


def _changed(target: duckdb.DuckDBPyConnection) -> int:
    sql = (
        "SELECT count(*) FROM said.facts n JOIN current_outcomes o USING (market_id) WHERE n.status <> 'unresolved' "
        "AND o.status <> 'unresolved' AND (n.status, n.result) IS DISTINCT FROM (o.status, o.value)"
    )
    [(changed,)] = target.execute(sql).fetchall()
    return int(changed)


def _store(
    target: duckdb.DuckDBPyConnection, what: Understood, wanted: Wanted, study_id: str, content: dict[str, Any]
) -> None:
    now = datetime.now(UTC)
    values = {"study": study_id, "now": now, "simulated": wanted.simulated, "run": uuid4().hex}

    def run(sql: str, **more: Any) -> None:
        used = {key: value for key, value in {**values, **more}.items() if f"${key}" in sql}
        target.execute(sql, used)

    run(
        f"""INSERT INTO markets BY NAME SELECT market_id, '{SOURCE}' AS source, $simulated AS simulated, event_id, question,
        description, category, opened_at, scheduled_close, url FROM said.facts ANTI JOIN markets USING (market_id)"""
    )
    run(
        """INSERT INTO outcomes BY NAME
        SELECT market_id, n.status, n.result AS value,
            CASE n.status WHEN 'resolved' THEN '' WHEN 'unresolved' THEN 'no outcome in the file' ELSE 'as the file says' END
                AS reason,
            e.resolved_at, $now AS recorded_at
        FROM said.facts n LEFT JOIN said.ends e USING (question_id) LEFT JOIN current_outcomes o USING (market_id)
        WHERE o.market_id IS NULL OR (n.status <> 'unresolved'
            AND (n.status, n.result) IS DISTINCT FROM (o.status, o.value))"""
    )
    run(
        """INSERT INTO studies BY NAME SELECT $study AS study_id, $name AS name, $content AS content, $source AS source,
        $model AS model, $simulated AS simulated, false AS hindsight, '{}' AS elements, $now AS created_at,
        $now AS locked_at""",
        name=wanted.name,
        content=canonical(content).decode(),
        source=SOURCE,
        model=MODEL,
    )
    run(
        """INSERT INTO runs BY NAME SELECT $run AS run_id, $study AS study_id, $now AS started_at, now() AS ended_at,
        'complete' AS status, 'imported' AS detail, $version AS version, $planned AS planned, $planned AS made,
        (SELECT count(*) FROM said.kept WHERE probability_p IS NOT NULL) AS answered,
        (SELECT count(*) FROM said.kept WHERE probability_p IS NULL) AS failed, 0 AS open""",
        version=version(),
        planned=what.forecasts,
    )
    run(
        """INSERT INTO prices BY NAME SELECT market_id, price_at AS knowable_at, price, 'unstated' AS kind FROM said.facts f
        WHERE price IS NOT NULL AND NOT EXISTS (FROM prices p WHERE p.market_id = f.market_id AND p.kind = 'unstated'
            AND p.knowable_at IS NOT DISTINCT FROM f.price_at)"""
    )
    forecast_id = "sha256($study || chr(10) || market_id || chr(10) || forecaster || chr(10) || number)"
    run(
        f"""INSERT INTO cells BY NAME SELECT $study AS study_id, market_id, forecaster AS configuration, number AS replicate,
        date AS as_of, f.price AS market_price, CASE WHEN f.price IS NOT NULL THEN 'unstated' END AS price_kind, f.price_at,
        {forecast_id} AS forecast_id, '{{"imported":' || to_json(place) || '}}' AS identity
        FROM said.kept JOIN said.facts f USING (market_id)"""
    )
    run(
        f"""INSERT INTO forecasts BY NAME SELECT {forecast_id} AS forecast_id, $run AS run_id, market_id,
        forecaster AS configuration, number AS replicate,
        CASE WHEN probability_p IS NULL THEN 'failed' ELSE 'answered' END AS status, probability_p AS probability,
        CASE WHEN probability_p IS NULL THEN coalesce(reason, 'no probability in the file') END AS reason,
        false AS retryable,
        CAST(round(cost_usd * 1e6) AS BIGINT) AS attributed_micro_usd,
        CAST(round(cost_usd * 1e6) AS BIGINT) AS paid_micro_usd,
        CAST(input_tokens AS BIGINT) AS input_tokens, CAST(output_tokens AS BIGINT) AS output_tokens,
        CAST(total_tokens AS BIGINT) AS total_tokens,
        CASE WHEN input_tokens IS NOT NULL THEN 0 END AS cache_read_tokens,
        CASE WHEN input_tokens IS NOT NULL THEN 0 END AS cache_write_tokens,
        seconds, $simulated AS simulated, $now AS created_at FROM said.kept"""
    )
    run(
        f"""INSERT INTO estimates BY NAME SELECT {forecast_id} AS forecast_id, 0 AS ask, 0 AS agent, 0 AS round,
        forecaster AS role, 'report' AS kind, rationale, '' AS reading FROM said.kept WHERE rationale IS NOT NULL"""
    )
    run(
        """INSERT INTO refused_rows BY NAME SELECT $study AS pull_id, place AS item, rule AS reason,
        coalesce(shows, '') AS detail, '' AS kept FROM said.set_aside"""
    )
