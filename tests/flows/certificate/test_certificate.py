"""A forecast's certificate finds each way in which stored bytes can have been changed, and names it."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from coordeval.agents.messages import canonical
from coordeval.flows.certificate.certificate import Certificate, CertificateError, certificate
from coordeval.flows.certificate.terminal import print_certificate
from coordeval.flows.certificate.text import request_of
from coordeval.flows.markets.importing import import_dataset
from coordeval.flows.study.study import PROBE
from coordeval.ledger import read
from coordeval.market_data.traces100 import NAME
from tests.flows.conftest import SMALL
from tests.flows.run.test_run import run


@pytest.fixture(scope="module")
def untouched(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("certificate")
    (directory / "small.toml").write_text(SMALL)
    run(directory / "small.toml", directory / "ledger.duckdb")
    return directory / "ledger.duckdb"


@dataclass
class Case:
    """A copy of the ledger to tamper with, and a forecast whose agents used their tools."""

    path: Path

    def __post_init__(self) -> None:
        # its market resolved before the deadline, so that the resolution time is no time that was rightly shown
        [row] = self.select("""
            SELECT c.*, v.view_id, m.*, o.resolved_at FROM cells c JOIN forecasts f USING (forecast_id)
                JOIN views v ON v.market_id = c.market_id JOIN markets m ON m.market_id = c.market_id
                JOIN current_outcomes o ON o.market_id = c.market_id
            WHERE f.configuration = 'peer_critique_debate' AND o.resolved_at < m.scheduled_close
            ORDER BY f.tool_calls DESC, c.forecast_id LIMIT 1
        """)
        self.forecast_id: str = row["forecast_id"]
        self.market_id: str = row["market_id"]
        self.view_id: str = row["view_id"]
        self.as_of: datetime = row["as_of"]
        self.resolved_at: datetime = row["resolved_at"]

    def select(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        return read(self.path).query(sql, list(parameters)).to_dicts()

    def execute(self, sql: str, *parameters: Any) -> None:
        with duckdb.connect(str(self.path)) as con:
            con.execute(sql, list(parameters))

    def certificate(self) -> Certificate:
        return certificate(read(self.path), self.forecast_id)

    def document(self, *, late: bool) -> dict[str, Any]:
        """One that the view's gate admitted, or one that it held back for being late."""
        order = "knowable_at > ?" if late else "knowable_at <= ?"
        sql = f"SELECT * FROM documents WHERE market_id = ? AND {order} ORDER BY knowable_at LIMIT 1"
        return self.select(sql, self.market_id, self.as_of)[0]

    def draw(self, with_result: bool = False) -> dict[str, Any]:
        """The first stored request of the forecast, or the first that holds a tool result."""
        held = "AND d.request LIKE '%\"tool_result\"%'" if with_result else ""
        sql = f"SELECT d.* FROM calls c JOIN draws d USING (draw_id) WHERE forecast_id = ? {held} ORDER BY ask, turn LIMIT 1"
        return self.select(sql, self.forecast_id)[0]

    def rewrite(self, change: Callable[[dict[str, Any]], None], *, with_result: bool = False) -> None:
        """Change a stored request as somebody would who knows that its hash is looked at."""
        draw = self.draw(with_result)
        body = json.loads(draw["request"])
        change(body)
        text, key = canonical(body).decode(), request_of(body).key
        assert text != draw["request"]
        self.execute("UPDATE draws SET request = ?, request_id = ? WHERE draw_id = ?", text, key, draw["draw_id"])

    def paste(self, text: str) -> None:
        def change(body: dict[str, Any]) -> None:
            body["messages"][0]["content"] += f"\n\n{text}"

        self.rewrite(change)


@pytest.fixture
def case(untouched, tmp_path: Path) -> Case:
    return Case(shutil.copy(untouched, tmp_path / "ledger.duckdb"))


def failed(made: Certificate) -> set[str]:
    return {check.name for check in made.checks if check.status == "failed"}


def detail(made: Certificate, name: str) -> str:
    return next(check.detail for check in made.checks if check.name == name)


def test_every_check_of_every_forecast_of_an_untouched_run_passes(untouched):
    with read(untouched).moment() as reader:  # opened once, not for each of a thousand queries
        ids = reader.query("SELECT forecast_id FROM forecasts")["forecast_id"].to_list()
        assert len(ids) == 60
        for forecast_id in ids:
            made = certificate(reader, forecast_id)
            assert made.verdict == "passed", [check for check in made.checks if check.status != "passed"]


def test_a_probe_s_forecast_is_checked_with_its_own_settings(study_file, tmp_path: Path):
    """It sees no price and has no tools, where the study's other agents see and have them."""
    path = tmp_path / "ledger.duckdb"
    run(study_file(("count = 6", "count = 2"), ("[markets]", "[agents]\nmemorisation_probe = true\n[markets]")), path)
    sql = "SELECT forecast_id FROM cells WHERE configuration = ? ORDER BY 1"
    for label, price_is_shown in ((PROBE, False), ("single_agent", True)):
        for [forecast_id] in read(path).query(sql, [label]).iter_rows():
            made = certificate(read(path), forecast_id)
            assert made.verdict == "passed", [check for check in made.checks if check.status != "passed"]
            assert any(item.shown for item in made.seen if item.kind == "price") == price_is_shown
    sql = """SELECT d.draw_id, d.request, c.* FROM draws d JOIN calls USING (draw_id) JOIN cells c USING (forecast_id)
        WHERE c.configuration = ? ORDER BY 1 LIMIT 1"""
    [row] = read(path).query(sql, [PROBE]).to_dicts()
    body = json.loads(row["request"])
    line = f"Market price of YES: {row['market_price']:.3f} ({row['price_kind']}, {row['price_at']:%Y-%m-%dT%H:%M:%SZ})"
    first = body["messages"][0]
    first["content"] = first["content"].replace("\n</market>", f"\n{line}\n</market>", 1)
    with duckdb.connect(str(path)) as con:
        values = [canonical(body).decode(), request_of(body).key, row["draw_id"]]
        con.execute("UPDATE draws SET request = ?, request_id = ? WHERE draw_id = ?", values)
    made = certificate(read(path), row["forecast_id"])
    assert failed(made) == {"market block"}, "that line is what the study's settings show, not what the probe's do"


def document_text(case: Case) -> str:
    key = case.document(late=False)["document_id"]
    case.execute("UPDATE documents SET text = text || ' Truly.' WHERE document_id = ?", key)
    return key[:12]


def refused_document_text(case: Case) -> str:
    key = case.document(late=True)["document_id"]
    case.execute("UPDATE documents SET text = 'nothing to see' WHERE document_id = ?", key)
    return key[:12]


def document_gone(case: Case) -> str:
    key = case.document(late=False)["document_id"]
    case.execute("DELETE FROM documents WHERE document_id = ?", key)
    return f"{key[:12]} is not stored"


def document_date(case: Case) -> str:
    key, later = case.document(late=False)["document_id"], case.as_of + timedelta(days=1)
    case.execute("UPDATE documents SET knowable_at = ? WHERE document_id = ?", later, key)
    return key[:12]


def price_date(case: Case) -> str:
    prices = json.loads(case.select("SELECT prices FROM views WHERE view_id = ?", case.view_id)[0]["prices"])
    prices[-1][0] = (case.as_of + timedelta(minutes=1)).isoformat()
    case.execute("UPDATE views SET prices = ? WHERE view_id = ?", json.dumps(prices), case.view_id)
    return "was knowable at"


def price_undated(case: Case) -> str:
    prices = json.loads(case.select("SELECT prices FROM views WHERE view_id = ?", case.view_id)[0]["prices"])
    prices[0][0] = None
    case.execute("UPDATE views SET prices = ? WHERE view_id = ?", json.dumps(prices), case.view_id)
    return "is undated"


def facts(case: Case) -> str:
    case.execute("UPDATE views SET facts = replace(facts, 'Simulated', 'Real') WHERE view_id = ?", case.view_id)
    return f"the identity names {case.view_id[:12]}"


def view_gone(case: Case) -> str:
    case.execute("DELETE FROM views WHERE view_id = ?", case.view_id)
    return "is not stored"


def cell_price(case: Case) -> str:
    case.execute("UPDATE cells SET market_price = 0.123 WHERE forecast_id = ?", case.forecast_id)
    return "0.123"


def identity(case: Case) -> str:
    sql = """UPDATE cells SET identity = replace(identity, '"max_turns":12', '"max_turns":13') WHERE forecast_id = ?"""
    case.execute(sql, case.forecast_id)
    return "hashes to"


def cell_as_of(case: Case) -> str:
    case.execute("UPDATE cells SET as_of = as_of - INTERVAL 1 HOUR WHERE forecast_id = ?", case.forecast_id)
    return "the identity says as_of"


def request_byte(case: Case) -> str:
    draw = case.draw()["draw_id"]
    case.execute("UPDATE draws SET request = replace(request, 'Be calibrated', 'Be Calibrated') WHERE draw_id = ?", draw)
    return draw[:12]


def request_blank(case: Case) -> str:
    draw = case.draw()["draw_id"]
    case.execute("UPDATE draws SET request = request || ' ' WHERE draw_id = ?", draw)
    return draw[:12]


def request_broken(case: Case) -> str:
    draw = case.draw()["draw_id"]
    case.execute("UPDATE draws SET request = request[2:] WHERE draw_id = ?", draw)
    return draw[:12]


def draw_gone(case: Case) -> str:
    draw = case.draw()["draw_id"]
    case.execute("DELETE FROM draws WHERE draw_id = ?", draw)
    return f"{draw[:12]}) is not stored"


def shown_price(case: Case) -> str:
    def change(body: dict[str, Any]) -> None:
        first = body["messages"][0]
        first["content"] = first["content"].replace("Market price of YES: 0.", "Market price of YES: 0.9", 1)

    case.rewrite(change)
    return "begins otherwise"


def tool_result(case: Case) -> str:
    found = "forecast_id = ? AND tool = 'search_evidence' AND items > 0"
    [row] = case.select(f"SELECT * FROM tool_calls WHERE {found} ORDER BY ask, turn LIMIT 1", case.forecast_id)
    result = row["result"].replace('"title":"', '"title":"Late ', 1)
    where = "forecast_id = ? AND ask = ? AND turn = ? AND position = ?"
    place = (row["forecast_id"], row["ask"], row["turn"], row["position"])
    case.execute(f"UPDATE tool_calls SET result = ? WHERE {where}", result, *place)
    return f"search_evidence in ask {row['ask']}, turn {row['turn']}"


def tool_result_in_request(case: Case) -> str:
    def change(body: dict[str, Any]) -> None:
        blocks = [
            block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
        ]
        result = next(block for block in blocks if block["type"] == "tool_result" and '"question"' in block["content"])
        result["content"] = result["content"].replace("Simulated", "Certain")

    case.rewrite(change, with_result=True)
    return "holds a result of market_details"


def resolution_time(case: Case) -> str:
    case.paste(f"Resolution date: {case.resolved_at:%Y-%m-%dT%H:%M:%S}+00:00")
    return f"holds the resolution time {case.resolved_at:%Y-%m-%dT%H:%M:%S}Z"


def resolution_time_as_epoch(case: Case) -> str:
    case.paste(f"closedTime {int(case.resolved_at.timestamp() * 1000)}")
    return "holds the resolution time"


def actual_close(case: Case) -> str:
    closed = case.resolved_at - timedelta(hours=2)
    case.execute("INSERT INTO venue_facts VALUES (?, 'venue', NULL, ?, '{}', ?)", case.market_id, closed, closed)
    case.paste(f"closed {closed:%Y-%m-%d %H:%M}")
    return "holds the resolution time"


def refused_text(case: Case) -> str:
    document = case.document(late=True)
    case.paste(document["text"].replace(". ", ".\n"))
    return document["document_id"][:12]


def later_price(case: Case) -> str:
    sql = "SELECT * FROM prices WHERE market_id = ? AND knowable_at > ? ORDER BY knowable_at LIMIT 1"
    [row] = case.select(sql, case.market_id, case.as_of)
    case.paste(f"Market price of YES: {row['price']:.3f} ({row['kind']}, {row['knowable_at']:%Y-%m-%dT%H:%M:%SZ})")
    return f"holds a later price: 'Market price of YES: {row['price']:.3f}"


def outcome_line(case: Case) -> str:
    case.paste("Outcome: YES")
    return "says 'outcome: yes'"


def outcome_record(case: Case) -> str:
    record = '{"umaResolutionStatus":"resolved"}'
    case.execute("UPDATE outcomes SET evidence = ? WHERE market_id = ?", record, case.market_id)
    case.paste(f"as the venue says: {record}")
    return "umaresolutionstatus"


ON_VIEW = {"market block", "tool results"}
TAMPERED: list[tuple[Callable[[Case], str], set[str], set[str]]] = [
    # what was changed, the checks that must fail, the checks that cannot be made any more
    (document_text, {"documents"}, {"view", "no refused text", *ON_VIEW}),
    (refused_document_text, {"documents"}, {"view", "no refused text", *ON_VIEW}),
    (document_gone, {"documents"}, {"view", "no refused text", *ON_VIEW}),
    (document_date, {"documents", "point in time"}, {"view", "no refused text", *ON_VIEW}),  # its date is in its hash
    (price_date, {"point in time"}, {"view", *ON_VIEW}),
    (price_undated, {"point in time"}, {"view", *ON_VIEW}),
    (facts, {"view", "texts"}, ON_VIEW),
    (view_gone, {"view"}, {"documents", "point in time", "no refused text", *ON_VIEW}),
    (cell_price, {"view"}, ON_VIEW),
    (identity, {"identity"}, {"view", *ON_VIEW}),
    (cell_as_of, {"identity"}, {"view", *ON_VIEW}),
    (request_byte, {"request bytes"}, set()),
    (request_blank, {"request bytes"}, set()),
    (request_broken, {"request bytes"}, set()),
    (draw_gone, {"request bytes"}, set()),
    (shown_price, {"market block"}, set()),
    (tool_result, {"tool results"}, set()),
    (tool_result_in_request, {"tool results"}, set()),
    (resolution_time, {"no resolution time"}, set()),
    (resolution_time_as_epoch, {"no resolution time"}, set()),
    (actual_close, {"no resolution time"}, set()),
    (refused_text, {"no refused text"}, set()),
    (later_price, {"no later price"}, set()),
    (outcome_line, {"no outcome text"}, set()),
    (outcome_record, {"no outcome text"}, set()),
]


@pytest.mark.parametrize(("tamper", "fails", "cannot"), TAMPERED, ids=[row[0].__name__ for row in TAMPERED])
def test_what_was_changed_fails_its_own_check_and_no_other(case, tamper, fails, cannot):
    named = tamper(case)
    made = case.certificate()
    assert failed(made) == fails
    cannot = cannot | ({"conversation"} if "request bytes" in fails else set())  # it reads what was shown from these bytes
    assert {check.name for check in made.checks if check.status == "not checkable"} == cannot
    assert named in "\n".join(detail(made, name) for name in fails)
    assert made.verdict == "failed"


def test_a_deadline_that_the_market_kept_is_no_leak(untouched):
    """A market that resolves at its scheduled close: the time stands in the prompt, rightly."""
    reader = read(untouched)
    sql = """SELECT forecast_id FROM cells JOIN markets USING (market_id) JOIN current_outcomes o USING (market_id)
        WHERE o.resolved_at = scheduled_close AND configuration = 'single_agent' LIMIT 1"""
    made = certificate(reader, reader.query(sql).item())
    assert "rightly shown, such as the deadline" in detail(made, "no resolution time")


def test_an_agent_s_own_words_are_no_leak_of_the_outcome(case):
    case.paste('<shown>\n<statement from="agent 2">\nI expect this outcome: YES\n</statement>\n</shown>')
    assert case.certificate().verdict == "passed"


def test_the_list_of_what_could_be_seen_is_the_view_and_says_what_was_shown(case):
    made = case.certificate()
    [view] = case.select("SELECT * FROM views WHERE view_id = ?", case.view_id)
    documents = [item for item in made.seen if item.kind == "document"]
    assert [item.hash for item in documents] == json.loads(view["documents"])
    shown = case.select(
        """SELECT DISTINCT document_id FROM documents d JOIN tool_calls t ON contains(t.result, d.text)
        WHERE d.market_id = ? AND t.forecast_id = ?""",
        case.market_id,
        case.forecast_id,
    )
    assert {item.hash for item in documents if item.shown} == {row["document_id"] for row in shown} != set()
    assert all(item.knowable_at is not None and item.knowable_at <= made.as_of for item in made.seen)
    assert sum(item.kind == "price" for item in made.seen) == len(json.loads(view["prices"]))
    assert [[r.kind, r.item, r.reason] for r in made.refusals] == json.loads(view["refusals"])
    assert made.as_json()["verdict"] == json.loads(json.dumps(made.as_json()))["verdict"] == "passed"


def test_a_baseline_that_asks_no_model_was_shown_nothing(case):
    sql = "SELECT forecast_id FROM forecasts WHERE configuration = 'market_price' LIMIT 1"
    made = certificate(read(case.path), case.select(sql)[0]["forecast_id"])
    assert made.verdict == "passed"
    assert not any(item.shown for item in made.seen)
    assert detail(made, "request bytes") == "no model was asked"


def test_a_failed_forecast_without_a_reply_passes_no_check_of_its_requests(case):
    case.execute("DELETE FROM calls WHERE forecast_id = ?", case.forecast_id)
    case.execute("DELETE FROM tool_calls WHERE forecast_id = ?", case.forecast_id)
    sql = "UPDATE forecasts SET status = 'failed', probability = NULL, reason = 'no answer' WHERE forecast_id = ?"
    case.execute(sql, case.forecast_id)
    made = case.certificate()
    assert made.verdict == "not checkable"
    assert "a request without a reply is not stored" in detail(made, "no resolution time")


def test_a_forecast_made_by_another_scaffold_is_not_held_against_this_one(case, monkeypatch):
    monkeypatch.setattr("coordeval.agents.cell.system_prompt", lambda: "another one")
    made = case.certificate()
    assert failed(made) == set()
    assert "made with another version of scaffold" in detail(made, "market block")


def test_a_provider_that_ranks_by_today_s_index_is_marked_and_its_refusals_are_listed(case):
    refusals = json.dumps([["document", "page 7", "undated"]])
    row = (case.market_id, case.as_of, "mediawiki", "[red]q[/red]", True, '["a", "b", "c"]', refusals, 4, case.as_of)
    case.execute(f"INSERT INTO evidence_searches VALUES ({', '.join('?' * len(row))})", *row)
    made = case.certificate()
    assert [search.ranks_by_todays_index for search in made.searches] == [True]
    assert [(r.by, r.item, r.reason) for r in made.refusals if r.by != "as-of gate"] == [("mediawiki", "page 7", "undated")]
    printed = shown_at_80(made)
    assert "ranks by today's index" in " ".join(printed.split())
    assert "[red]q[/red]" in "".join(printed.split())


def shown_at_80(made: Certificate) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_certificate(made, console)
    printed: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, printed.splitlines())) <= 80
    return printed


def test_the_printed_certificate_names_what_failed(case):
    assert "Forecast certificate: passed [SIMULATED]" in shown_at_80(case.certificate())
    resolution_time(case)
    printed = shown_at_80(case.certificate())
    assert "Forecast certificate: failed [SIMULATED]" in printed
    assert "failed checks no resolution time" in printed


def test_an_id_that_is_not_one_forecast_s_is_answered_with_candidates(case):
    reader = read(case.path)
    assert certificate(reader, case.forecast_id[:12]).forecast_id == case.forecast_id
    with pytest.raises(CertificateError, match=r"there is no forecast 'zzzz'\. .*\(sim-1-\d+, \w+, replicate \d\)"):
        certificate(reader, "zzzz")
    with pytest.raises(CertificateError, match="at least 4 hex digits"):
        certificate(reader, case.forecast_id[:3])
    twin = case.forecast_id[:40] + "0" * 24
    case.execute("UPDATE forecasts SET forecast_id = ? WHERE configuration = 'market_price' AND forecast_id IN "
        "(SELECT forecast_id FROM forecasts WHERE configuration = 'market_price' LIMIT 1)", twin)  # fmt: skip
    with pytest.raises(CertificateError, match=rf"ambiguous.*{case.forecast_id[:12]} .*{case.forecast_id[:12]} "):
        certificate(reader, case.forecast_id[:12])
    case.execute("DELETE FROM forecasts WHERE forecast_id IN (?, ?)", case.forecast_id, twin)
    with pytest.raises(CertificateError, match="is planned but not made yet; `coordeval run`"):
        certificate(reader, case.forecast_id[:12])


def test_the_published_prompts_hold_the_true_resolution_time(tmp_path: Path, published):
    import_dataset(NAME, published, tmp_path / "ledger.duckdb")
    reader = read(tmp_path / "ledger.duckdb")
    sql = "SELECT configuration, min(forecast_id) FROM forecasts WHERE status = 'answered' GROUP BY 1"
    for _, forecast_id in reader.query(sql).iter_rows():
        made = certificate(reader, forecast_id)
        assert failed(made) == {"no resolution time"}
        assert "Resolution date: " in detail(made, "no resolution time")
        passed = {check.name for check in made.checks if check.status == "passed"}
        assert passed == {"identity", "request bytes", "no outcome text"}
        others = [check.detail for check in made.checks if check.status == "not checkable"]
        assert all(text.startswith("imported: ") for text in others)
        assert "not recorded for an imported forecast" in shown_at_80(made)
