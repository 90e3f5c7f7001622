"""What is let in. Each rule has a name, what breaks it in SQL, and what a person does about it.

A row that breaks a rule is refused, and with it the whole import, unless `skip_refused` sets such rows aside. What is set
aside in any case (a row that is there twice word for word, a forecast made after its question had resolved) is no
contradiction: it is counted under its name. A row is judged by the first rule that it breaks.
"""

from dataclasses import dataclass
from typing import Final

import duckdb

from coordeval.analysis.base.grid import PRICE
from coordeval.flows.imports.said import NUMBERS, TIMES, says
from coordeval.flows.imports.staging import text
from coordeval.flows.imports.wanted import Wanted
from coordeval.flows.study.study import PROBE

_WORDS: Final = {"date": "date", "resolved_at": "time of resolution", "opened_at": "opening", "closes_at": "close"}
_AMOUNTS: Final = ("cost_usd", "input_tokens", "output_tokens", "total_tokens", "seconds")
KEY: Final = "question_id, market_day, forecaster, replicate_label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Rows that are not part of the study, and why."""

    rule: str
    rows: int
    first: tuple[str, ...]
    """Up to five of them: where, and what stands there."""
    fix: str
    """What lets them in; "": nothing has to."""

    def says(self) -> str:
        counted = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        more = "; …" if self.rows > len(self.first) else ""
        return f"{self.rule} ({counted}): {'; '.join(self.first)}{more}" + (f". {self.fix}" if self.fix else "")


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    broken: str
    """SQL over `said`."""
    shows: str
    """SQL: the value that breaks it."""
    fix: str
    aside: bool = False


def judge(con: duckdb.DuckDBPyConnection, wanted: Wanted) -> tuple[list[Problem], list[Problem]]:
    """Makes the table `bad` (n, rule) and returns (refused, set aside), each rule that any row breaks in order."""
    con.execute("CREATE TABLE bad (n BIGINT, rule VARCHAR, aside BOOLEAN, shows VARCHAR)")
    own, others = _row_rules(wanted), [*_question_rules(wanted), *_double_rules(wanted)]
    rules = [*own, *others]
    _by_row(con, own, wanted)
    for rule in others:
        con.execute(
            f"INSERT INTO bad SELECT n, {text(rule.name)}, {str(rule.aside or wanted.skip_refused).lower()}, {rule.shows} "
            f"FROM said WHERE ({rule.broken}) AND n NOT IN (SELECT n FROM bad)"
        )
    counted = con.execute(
        "SELECT rule, count(*), arg_min(place || coalesce(': ' || left(shows, 80), ''), n, 5) "
        "FROM bad JOIN said USING (n) GROUP BY rule"
    ).fetchall()
    con.execute("CREATE TABLE set_aside AS SELECT place, rule, shows FROM bad JOIN said USING (n) ORDER BY n")
    by_name = {rule: (rows, tuple(first)) for rule, rows, first in counted}
    found: tuple[list[Problem], list[Problem]] = ([], [])
    for rule in rules:
        if rule.name in by_name:
            rows, first = by_name[rule.name]
            aside = rule.aside or wanted.skip_refused
            found[aside].append(Problem(rule=rule.name, rows=rows, first=first, fix="" if aside else rule.fix))
    return found


def _by_row(con: duckdb.DuckDBPyConnection, rules: list[_Rule], wanted: Wanted) -> None:
    """The rules of single rows, all of them in one pass: a million rows take as long to read as to judge."""
    first = " ".join(f"WHEN {rule.broken} THEN {k}" for k, rule in enumerate(rules))
    name = " ".join(f"WHEN {k} THEN {text(rule.name)}" for k, rule in enumerate(rules))
    shows = " ".join(f"WHEN {k} THEN {rule.shows}" for k, rule in enumerate(rules))
    con.execute(
        f"INSERT INTO bad SELECT n, CASE broken {name} END, {str(wanted.skip_refused).lower()}, CASE broken {shows} END "
        f"FROM (SELECT *, CASE {first} END AS broken FROM said) WHERE broken IS NOT NULL"
    )


def _row_rules(wanted: Wanted) -> list[_Rule]:
    comma = r"regexp_full_match({0}_text, '-?\d*,\d+ ?%?')"
    reserved = f"lower(replace(forecaster, '_', ' ')) = {text(PRICE)} OR forecaster = {text(PROBE)}"
    unfit = f"{reserved} OR length(forecaster) > 200 OR regexp_matches(forecaster, '[\\x00-\\x1f\\x7f]')"
    rules = [
        _Rule("no question is named", "question_id IS NULL", "NULL", "Fill the column of question ids"),
        _Rule(
            "no forecaster is named",
            "forecaster IS NULL",
            "NULL",
            "Fill the column, or say --column forecaster= --forecaster NAME",
        ),
        _Rule(
            "a forecaster's name that cannot be used",
            f"forecaster IN (SELECT forecaster FROM (SELECT DISTINCT forecaster FROM said) WHERE {unfit})",
            "forecaster",
            f"Rename it: {PRICE!r} and {PROBE!r} are names of reports, and a name has up to 200 characters on one line. "
            "A column of market prices is given by --column market_price=COLUMN",
        ),
    ]
    for field, what in (("probability", "probability"), ("market_price", "market price")):
        rules += [
            _Rule(
                f"a {what} with a decimal comma",
                f"{field} IS NULL AND {comma.format(field)}",
                f"{field}_text",
                "Say --decimal-comma",
            ),
            _Rule(
                f"a {what} that is no number",
                f"{field}_text IS NOT NULL AND {field} IS NULL",
                f"{field}_text",
                "Mend it, or leave it empty: that is a missing one",
            ),
            _Rule(
                f"a {what} outside [0, 1]",
                f"{field}_p IS NOT NULL AND NOT coalesce({field}_p BETWEEN 0 AND 1, false)",
                says(field),
                "If the column is in percent, say --scale percent; if it is mixed, mend it",
            ),
        ]
    rules.append(
        _Rule(
            "an outcome that cannot be read",
            "outcome IS NOT NULL AND outcome_status IS NULL",
            "outcome",
            "Write 1 or 0 (yes or no), a fraction or 'annulled' for one that is never scored, nothing for one that is open",
        )
    )
    for field in TIMES:
        naive = f"{field}_naive AND {field} IS NULL"
        rules += [
            _Rule(
                f"a {_WORDS[field]} without a time zone",
                naive,
                f"{field}_text",
                "Say --timezone UTC, or the zone that it is in",
            ),
            _Rule(
                f"a {_WORDS[field]} that cannot be read",
                f"{field}_text IS NOT NULL AND {field} IS NULL",
                f"{field}_text",
                "Write ISO 8601, such as 2026-03-01 or 2026-03-01T12:00:00Z",
            ),
        ]
    for field in _AMOUNTS:
        broken = f"{says(field)} IS NOT NULL AND NOT coalesce({field} BETWEEN 0 AND 9e15, false)"
        rules.append(_Rule(f"{field} that is no amount", broken, says(field), "It must be a number, not negative, or empty"))
    if wanted.by_date:
        rules.append(_Rule("no date, with --by-date", "date IS NULL", "NULL", "Fill the dates, or leave --by-date out"))
    return rules


def _question_rules(wanted: Wanted) -> list[_Rule]:
    """Facts of a question of which it has one, among the rows that broke no rule of their own."""
    fine = "FROM said WHERE n NOT IN (SELECT n FROM bad)"

    def several(value: str, group: str) -> str:
        found = f"SELECT {group} {fine} AND {value} IS NOT NULL GROUP BY ALL HAVING min({value}) != max({value})"
        return f"{value} IS NOT NULL AND ({group}) IN ({found})"

    both = "question_id || ' is ' || {}"
    rules = [
        _Rule(
            "two outcomes for one question",
            several("result", "question_id"),
            both.format("outcome"),
            "Mend it: a question ends one way",
        ),
        _Rule(
            "two events for one question",
            several("event", "question_id"),
            both.format("event"),
            "Mend it, or say --column event=",
        ),
        _Rule(
            "two categories for one question",
            several("category", "question_id"),
            both.format("category"),
            "Mend it, or say --column category=",
        ),
    ]
    if wanted.one_price == "refuse":
        group = "question_id, market_day"
        fix = "Say which is the question's: --price first or last; or --by-date, where they are of different days"
        rules.append(
            _Rule(
                "two market prices for one question",
                several("market_price_p", group),
                both.format(says("market_price")),
                fix,
            )
        )
    rules.append(
        _Rule(
            "forecasts made after the question had resolved",
            "n IN (SELECT s.n FROM said s JOIN ends USING (question_id) WHERE s.date >= ends.until)",
            "'forecast ' || date_text || ', resolved ' || coalesce(resolved_at_text, 'as another row says')",
            "",
            aside=True,
        )
    )
    return rules


def _double_rules(wanted: Wanted) -> list[_Rule]:
    # most keys are there once, which their hashes tell at a glance
    several_times = f"SELECT hash({KEY}) AS h FROM said GROUP BY h HAVING count(*) > 1"
    fine = f"FROM said WHERE hash({KEY}) IN ({several_times}) AND n NOT IN (SELECT n FROM bad)"
    same = "probability_p, outcome, date, market_price_p, cost_usd"
    word_for_word = f"SELECT n {fine} QUALIFY row_number() OVER (PARTITION BY {KEY}, {same} ORDER BY n) > 1"
    rules = [_Rule("rows that repeat another one word for word", f"n IN ({word_for_word})", "NULL", "", aside=True)]
    if wanted.duplicates == "refuse":
        several = f"SELECT n {fine} QUALIFY count(*) OVER (PARTITION BY {KEY}) > 1"
        fix = (
            "Say which one counts: --duplicates last or first (by date, else by place), or replicates (all of them, as "
            "samples of one forecast); or --by-date: each day's is a forecast of its own"
        )
        shows = f"forecaster || ' on ' || question_id || ' says ' || coalesce({says('probability')}, 'nothing')"
        rules.append(_Rule("several forecasts of one forecaster for one question", f"n IN ({several})", shows, fix))
    elif wanted.duplicates in ("first", "last"):
        order = "date ASC NULLS FIRST, n ASC" if wanted.duplicates == "first" else "date DESC NULLS LAST, n DESC"
        others = f"SELECT n {fine} QUALIFY row_number() OVER (PARTITION BY {KEY} ORDER BY {order}) > 1"
        name = f"forecasts that are not the {wanted.duplicates} one of their forecaster and question"
        rules.append(_Rule(name, f"n IN ({others})", "NULL", "", aside=True))
    return rules


assert {"probability", "market_price", *_AMOUNTS} == set(NUMBERS)
