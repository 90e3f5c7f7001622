"""Every rule finds what is planted, row by row, and is silent on a study in which nothing is wrong."""

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from coordeval.analysis.audit import SEVERITIES, Audit, Rule, audit, evidence
from coordeval.analysis.audit.chance import more_often
from coordeval.analysis.audit.registry import check, load
from coordeval.analysis.control import Control, Field, Value
from coordeval.analysis.selftest.audit_plants import PLANTS, planted
from coordeval.analysis.selftest.audit_world import DEBATE, ELEMENTS, ENSEMBLE, Frames, world
from coordeval.market_data.plugins import PluginError

RULES = load()


@pytest.fixture(scope="module")
def clean() -> Frames:
    return world(60, seed=4)


def looked(frames: Frames, **facts) -> Audit:
    return audit(evidence(frames, elements=facts.pop("elements", ELEMENTS), **facts), RULES.made())


def of(found: Audit, rule: str) -> list:
    return [finding for finding in found.findings if finding.rule == rule]


def test_a_study_in_which_nothing_is_wrong_is_silent(clean):
    found = looked(clean)
    assert found.findings == ()
    assert found.worst is None
    assert not found.reaches("note")
    # what could not look says so, and that is no silence
    assert {one.rule: one.why for one in found.looked if one.why} == {
        "unequal_conditions": "nobody compared the stored requests"
    }


# of 180 forecasts; a rule about chance also counts cells that look like it by chance, so it may name more than were planted
STATISTICAL = {"herding", "anchoring", "led astray", "price copied"}


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_planted_is_found_in_the_very_forecasts(clean, name):
    plant = PLANTS[name]
    frames, chosen = planted(clean, plant, 0.5, seed=1)
    findings = of(looked(frames), plant.rule)
    assert findings, f"{plant.rule} is silent"
    named = {one for finding in findings for one in finding.rows["forecast_id"]}
    if name in STATISTICAL:
        assert len(named & chosen) >= 0.8 * len(chosen)
    else:
        assert named == chosen
    for finding in findings:
        assert 0 < finding.count <= finding.of
        assert finding.severity in SEVERITIES
        assert re.search(r"\d", finding.says)


def test_two_names_for_one_request_are_found_where_each_was_sampled_anew(clean):
    fresh = pl.when(pl.col("forecast_id").str.starts_with(ENSEMBLE)).then(pl.col("draw_id") + "-again").otherwise("draw_id")
    [finding] = of(looked(clean | {"calls": clean["calls"].with_columns(draw_id=fresh)}), "identical_requests")
    assert (finding.count, finding.of, finding.severity) == (2, 3, "error")
    assert "60 of the 60 cells" in finding.says
    assert "nothing else" not in finding.says  # the debate goes on
    assert set(finding.rows["configuration"]) == {ENSEMBLE, DEBATE}


def test_a_procedure_under_two_names_is_called_that(clean):
    twin = {
        name: part.filter(pl.col("forecast_id").str.starts_with(ENSEMBLE))
        for name, part in clean.items()
        if "forecast_id" in part
    }
    twin = {
        name: part.with_columns(forecast_id="twin-" + pl.col("forecast_id"), **{c: v for c, v in extra.items() if c in part})
        for name, part in twin.items()
        for extra in [
            {"configuration": pl.lit("twin_ensemble"), "draw_id": "twin-" + pl.col("draw_id") if "draw_id" in part else 0}
        ]
    }
    frames = clean | {name: pl.concat([clean[name], part.select(clean[name].columns)]) for name, part in twin.items()}
    [finding] = of(looked(frames), "identical_requests")
    assert "independent_ensemble and twin_ensemble send nothing else: one procedure under two names" in finding.says


def test_one_agent_under_a_name_that_promises_several(clean):
    lone = {name: clean[name].filter(pl.col("ask") % 3 == 0) for name in ("asks", "calls")}
    found = of(looked(clean | lone, elements={}), "fewer_agents")
    assert [(finding.count, finding.of) for finding in found] == [(180, 180)]


def test_a_forecast_whose_first_agent_had_no_answer_promised_nothing(clean):
    lone = {"asks": clean["asks"].filter(~pl.col("forecast_id").str.ends_with("0007") | (pl.col("ask") == 0))}
    assert [finding.count for finding in of(looked(clean | lone), "fewer_agents")] == [3]
    ended = pl.when(pl.col("forecast_id").str.ends_with("0007")).then(pl.lit("failed")).otherwise("status")
    failed = {"forecasts": clean["forecasts"].with_columns(status=ended)}
    assert of(looked(clean | lone | failed), "fewer_agents") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Resolution date: {resolved:%Y-%m-%dT%H:%M:%S}", 5),  # the true time
        ("Resolution date: {resolved:%Y-%m-%d}", 5),  # its day
        ("Scheduled close: {close:%Y-%m-%dT%H:%M:%SZ}", 0),  # what was known
        ("As of: {as_of:%Y-%m-%d}", 0),
    ],
)
def test_the_time_of_resolution_in_a_prompt(clean, text, found):
    facts = {row["market_id"]: row for row in clean["markets"].to_dicts()}
    blocks = [
        "Question: " + facts[m]["question"] + "\n" + text.format(
            resolved=facts[m]["resolved_at"], close=facts[m]["scheduled_close"], as_of=facts[m]["as_of"]
        )
        for m in clean["prompts"]["market_id"][3:8]
    ]  # fmt: skip
    prompts = clean["prompts"][3:8].with_columns(block=pl.Series(blocks))
    findings = of(looked(clean | {"prompts": prompts}), "resolution_time")
    assert sum(finding.count for finding in findings) == found
    assert not of(looked(clean | {"prompts": prompts}), "later_facts")


def test_another_later_day_in_a_prompt_is_no_time_of_resolution(clean):
    block = pl.when(pl.col("market_id") == "m0003").then(pl.col("block") + "\nNext hearing: 2027-01-05").otherwise("block")
    found = looked(clean | {"prompts": clean["prompts"].with_columns(block)})
    assert [(finding.count, finding.of) for finding in of(found, "later_facts")] == [(1, 60)]
    assert not of(found, "resolution_time")


def test_markets_of_an_event_that_is_there_already_are_counted():
    assert [(f.count, f.of, f.severity) for f in of(looked(world(20, per_event=2)), "same_event")] == [(10, 20, "note")]


def test_a_tool_that_never_works_is_told_from_one_that_fails_at_times(clean):
    every = clean["tool_calls"].with_columns(error=pl.col("tool") == "search_evidence")
    found = looked(clean | {"tool_calls": every})
    [never] = of(found, "tool_never_useful")
    n = every.filter("error").height
    assert (never.count, never.of) == (n, every.height)
    assert [(f.count, f.of, f.severity) for f in of(found, "tool_failed")] == [(n, n, "error")]
    some = clean["tool_calls"].with_columns(error=pl.int_range(pl.len()) % 10 == 0)
    found = looked(clean | {"tool_calls": some})
    assert not of(found, "tool_never_useful")
    assert {finding.severity for finding in of(found, "tool_failed")} == {"note"}


@pytest.mark.parametrize(
    ("published", "told", "wrong"),
    [
        (0.04, 0.04, 0),
        (0.0400004, 0.04, 0),  # six decimals
        (0.05, 0.04, 1),
    ],
)
def test_a_published_score_is_held_against_its_rows(clean, published, told, wrong):
    rows = pl.DataFrame(
        {"configuration": "a", "market_id": ["x", "y"], "probability": [0.2, 0.8], "outcome": [0, 1], "failure": None}
    )
    assert told == pytest.approx(0.2**2)
    scores = pl.DataFrame({"configuration": ["a"], "measure": ["brier"], "value": [published]})
    assert len(of(looked(clean | {"published": rows, "scores": scores}), "scores_disagree")) == wrong


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("median", 1),
        ("median of the last round", 1),
        ("median of the voices in the last round", 0),  # which are in no row of their own
        ("the closer's estimate", 0),
    ],
)
def test_a_forecast_is_held_against_a_pool_that_its_rows_can_give_again(clean, declared, found):
    frames, _ = planted(clean, PLANTS["wrong pool"], 0.5, seed=1)
    elements = {DEBATE: {**ELEMENTS[DEBATE], "aggregation": declared}}
    assert len(of(looked(frames, elements=elements), "scores_disagree")) == found


def test_a_published_failure_that_stands_at_a_number(clean):
    rows = pl.DataFrame(
        {
            "configuration": "a",
            "market_id": ["x", "y", "z"],
            "probability": [0.5, None, 0.3],
            "failure": ["timeout", "timeout", None],
        }
    ).with_columns(outcome=pl.lit(1))
    [finding] = of(looked(clean | {"published": rows}), "silent_fallback")
    assert (finding.count, finding.of) == (1, 3)
    assert "stand at 0.5" in finding.says


def test_a_condition_that_differs_is_a_finding_with_the_requests_that_stray(clean):
    values = (Value(value="4000", draws={"a": 90}, example="d1"), Value(value="1000", draws={"b": 10}, example="d2"))
    field = Field(name="output cap", status="differs", detail="max_tokens of each call", values=values)
    control = Control(
        study_id="s",
        study="s",
        simulated=True,
        imported=False,
        draws={},
        baselines=(),
        probes=(),
        unasked=(),
        fields=(field,),
    )
    [finding] = of(looked(clean, control=control), "unequal_conditions")
    assert (finding.count, finding.of) == (10, 100)
    assert finding.rows["id"].to_list() == ["d1", "d2"]


def with_(frame: str, **columns):
    """The frame with these columns set, an expression or a value."""
    return lambda f: {
        frame: f[frame].with_columns(**{n: v if isinstance(v, pl.Expr) else pl.lit(v) for n, v in columns.items()})
    }


NO_TEXT, NO_NUMBER = pl.lit(None, pl.String), pl.lit(None, pl.Int64)
# rows that a damaged or foreign trace may hold: each is a finding, none is a crash
BAD = {
    "columns are missing": (lambda f: {"tool_calls": f["tool_calls"].drop("question", "items")}, "lack tool_calls.question"),
    "a column is of another kind": (with_("asks", round="first"), "asks.round"),
    "an ask is there twice": (
        lambda f: {"asks": pl.concat([f["asks"], f["asks"].head(5)])},
        "10 of 845 asks are there more",
    ),
    "a forecast is there twice": (lambda f: {"forecasts": pl.concat([f["forecasts"]] * 2)}, "360 of 360 forecasts"),
    "a role is unknown": (with_("asks", role="oracle"), "not declared: oracle"),
    "an ask has no role": (with_("asks", role=NO_TEXT), "lack their number"),
    "an ask is nothing": (with_("asks", ask=NO_NUMBER, agent=NO_NUMBER, round=NO_NUMBER, kind=NO_TEXT), "lack their number"),
    "a probability is out of range": (with_("asks", probability=1.7), "[0, 1]"),
    "an agent is not known": (with_("asks", agent=NO_NUMBER), None),
    "rows belong to no forecast": (with_("calls", forecast_id="?"), "belong to no forecast"),
    "the market is not known": (lambda f: {"markets": f["markets"].head(0)}, None),
    "as-of is not known": (with_("markets", as_of=pl.lit(None, pl.Datetime("us", "UTC"))), None),
    "a message comes from a later ask": (with_("messages", from_ask=7), "never said"),
}


@pytest.mark.parametrize("name", BAD)
def test_rows_that_cannot_be_are_a_finding_and_no_crash(clean, name):
    change, says = BAD[name]
    found = looked(clean | change(clean))
    assert not [one.why for one in found.looked if one.why and "fell over" in one.why]
    if says is not None:
        assert any(says in finding.says for finding in of(found, "broken_record")), [f.says for f in found.findings]


def test_a_study_of_which_nothing_is_stored_is_not_called_clean():
    found = audit(evidence({}), RULES.made())
    assert found.findings == ()
    assert "could not look" in found.says
    assert {one.rule for one in found.looked if one.why is None} <= {
        "broken_record", "scores_disagree", "silent_fallback", "unequal_conditions",
    }  # fmt: skip


class Sound(Rule):
    name = "sound"
    severity = "note"
    looks_for = "nothing"
    stage = "record"

    def find(self, evidence):
        yield from self.found(evidence.forecasts.head(1), 1, "forecasts", "one of 1")


class Falls(Sound):
    name = "falls"

    def find(self, evidence):
        raise RuntimeError("no such column")


def test_a_rule_that_falls_over_is_named_and_the_others_go_on(clean):
    found = audit(evidence(clean), [Falls(), Sound()], quarantined={"broken": "ImportError: no module"})
    assert [finding.rule for finding in found.findings] == ["sound"]
    assert {one.rule: one.why for one in found.looked} == {
        "falls": "it fell over: RuntimeError: no such column",
        "sound": None,
    }
    assert found.as_json()["quarantined"] == {"broken": "ImportError: no module"}


class Nameless(Sound):
    name = "Another Name"


class Strange(Sound):
    name = "strange"
    severity = "fatal"
    stage = "somewhere"
    modes = ("9.9",)
    needs = ("tapes",)


@pytest.mark.parametrize(
    ("cls", "name", "words"),
    [
        (Sound, "sound", None),
        (dict, "dict", "is not a subclass"),
        (Rule, "rule", "find is missing"),
        (Nameless, "nameless", "name is 'Another Name'"),
        (Strange, "strange", "severity is 'fatal'; .*stage is 'somewhere'; .*MAST has .*there are forecasts"),
    ],
)
def test_a_rule_is_checked_at_the_door(cls, name, words):
    if words is None:
        check(cls, name)
    else:
        with pytest.raises(PluginError, match=words):
            check(cls, name)


def test_every_rule_of_the_project_is_offered_like_a_plugin():
    assert RULES.quarantined == {}
    assert len(RULES.classes) == 24
    stages = [rule.stage for rule in RULES.made()]
    assert stages == sorted(stages, key=("setup", "prompt", "tools", "reading", "talk", "answer", "record").index)


def test_json_holds_the_first_rows_and_their_number(clean):
    frames, chosen = planted(clean, PLANTS["stand-in"], 0.5, seed=1)
    values = looked(frames, study={"name": "made up"}).as_json(rows=2)
    [finding] = [one for one in values["findings"] if one["rule"] == "silent_fallback"]
    assert (finding["n_rows"], len(finding["rows"])) == (len(chosen), 2)
    assert values["study"] == {"name": "made up"}
    assert values["worst"] == "error"


def test_times_without_a_zone_are_no_crash(clean):
    naive = clean["forecasts"].with_columns(as_of=pl.lit(datetime(2026, 3, 1, tzinfo=UTC)).dt.replace_time_zone(None))
    assert not [one.why for one in looked(clean | {"forecasts": naive}).looked if one.why and "fell" in one.why]


def test_the_documentation_lists_every_rule_as_it_is():
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    for rule in RULES.made():
        assert re.search(rf"^\| `{rule.name}` \| {rule.severity}[^|]* \| {re.escape(rule.looks_for)}", page, re.MULTILINE), (
            rule.name
        )


@pytest.mark.parametrize(
    ("successes", "trials", "chance"), [(0, 0, 0.5), (0, 9, 0.2), (7, 9, 0.5), (9, 9, 0.1), (40, 60, 0.5)]
)
def test_the_binomial_tail_is_that_of_scipy(successes, trials, chance):
    from scipy.stats import binomtest

    wanted = binomtest(successes, trials, chance, alternative="greater").pvalue if trials else 1.0
    assert more_often(successes, trials, chance) == pytest.approx(wanted)


def test_what_was_only_acknowledged_binds_nobody(clean):
    frames, _ = planted(clean, PLANTS["broken commitment"], 1.0)
    held = frames["commitments"].with_columns(position=pl.lit("acknowledged"), kept=pl.lit(None, pl.Boolean))
    assert not of(looked(frames | {"commitments": held}), "commitment_broken")
