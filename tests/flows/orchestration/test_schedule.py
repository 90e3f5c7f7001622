"""A server of the locked versions makes scheduled runs: with SQLAlchemy 2.1 Prefect 3.8.8 made none, without a word.

What is served there is done once a day, whatever wakes it. One real server for all of this module.
"""

import asyncio
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from coordeval.flows.jobs.job import Done, Job
from coordeval.flows.jobs.table import JOBS
from coordeval.flows.monitor.watching import EVENT
from coordeval.flows.orchestration import pool as pooling
from coordeval.flows.orchestration.names import ledger_tag
from coordeval.flows.orchestration.pool import TASK, pool
from coordeval.flows.run import guard
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.spending import Spending
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.window import Watch
from coordeval.flows.run.workers.chunk import BEACON, WorkerError
from coordeval.flows.run.workers.cluster import ClusterError, Where
from coordeval.flows.run.workers.dispatch import On, run_on
from coordeval.flows.run.workers.places import place
from coordeval.flows.schedule.days import history
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.market_data.errors import CoordevalError
from tests.flows.conftest import SMALL
from tests.flows.orchestration.conftest import PATIENCE, until
from tests.flows.orchestration.pool_worker import worker
from tests.flows.run.plugins import plugin

pytestmark = pytest.mark.prefect
FEW = (', "independent_ensemble", "peer_critique_debate", "consensus_alignment"]', "]")


def test_a_deployment_with_a_schedule_gets_a_scheduled_run(server):
    flow = server.post("flows/", {"name": "evaluate"})
    schedule = {"interval": timedelta(days=1).total_seconds(), "anchor_date": "2026-01-01T06:00:00Z", "timezone": "UTC"}
    deployment = {"name": "daily", "flow_id": flow["id"], "schedules": [{"schedule": schedule, "active": True}]}
    made = server.post("deployments/", deployment)
    asked = {"deployments": {"id": {"any_": [made["id"]]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}

    def scheduled():
        return server.post("flow_runs/filter", asked)

    runs = until(scheduled)
    assert all(run["auto_scheduled"] for run in runs)
    assert runs[0]["expected_start_time"].endswith(("06:00:00Z", "06:00:00+00:00"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A study file, and the ledger on which it has run."""
    from typer.testing import CliRunner

    from coordeval.flows.cli.main import app

    folder = tmp_path_factory.mktemp("served")
    study, ledger = folder / "small.toml", folder / "ledger.duckdb"
    study.write_text(SMALL.replace("count = 6", "count = 3"))
    done = CliRunner().invoke(app, ["run", str(study), "--inline", "--ledger", str(ledger)])
    assert done.exit_code == 0, done.output
    return study, ledger


def test_a_schedule_that_fires_does_the_day_and_a_wake_up_too_many_returns_at_once(server, ran):
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import IntervalSchedule
    from prefect.runner import Runner

    from coordeval.flows.orchestration.deployments import made_of, planned, put_alarms
    from coordeval.flows.orchestration.scheduled import report

    study, ledger = ran
    [one] = [one for one in planned([study], ledger, []) if one.job.name == "report"]
    made = made_of(one)
    soon = IntervalSchedule(interval=timedelta(hours=1), anchor_date=datetime.now(UTC) + timedelta(seconds=4))
    made.schedules = [DeploymentScheduleCreate(schedule=soon, active=True)]
    runner = Runner(name="a-test", limit=1, pause_on_shutdown=False)

    async def fired():
        await runner.add_deployment(made)
        for _ in range(2):
            await put_alarms(ledger, None)  # a second time it changes nothing
        end = time.monotonic() + PATIENCE
        while not [day for day in history(read(ledger)) if day["ended_at"]]:
            assert time.monotonic() < end, (server.runs(one.name), history(read(ledger)))
            await runner.start(run_once=True)
            await asyncio.sleep(0.5)

    asyncio.run(fired())
    [day] = history(read(ledger))
    assert (day["job"], day["name"], day["status"]) == ("report", "small", "done")
    assert day["woken_by"].startswith("Prefect, flow run ")
    state = until(lambda: [run for run in server.runs(one.name) if run[0] == "Completed"])
    assert "can be scored" in state[0][1]
    types = {a["key"].partition("-small")[0]: a["type"] for a in server.post("artifacts/filter", {}) if "small" in a["key"]}
    assert types.items() >= {"leaderboard": "table", "report": "markdown", "dashboard": "markdown"}.items()
    assert len(server.post("automations/filter", {})) == 3
    assert server.post("task_runs/filter", {}) == [], "a wake-up has no tasks"

    again = report(str(study), str(ledger), return_state=True)
    assert (again.name, again.message) == ("Completed", "every day is done already")
    assert len(history(read(ledger))) == 1


def test_the_flow_publishes_its_artifacts_and_stays_small(server, study_file, tmp_path: Path):
    from coordeval.flows.orchestration.evaluate import NotComplete, evaluate

    def runs() -> list[dict]:  # in the order in which they began
        found = server.post("flow_runs/filter", {"flows": {"name": {"any_": ["evaluate"]}}, "sort": "START_TIME_ASC"})
        return [run for run in found if run["state_name"] != "Scheduled"]

    path = tmp_path / "results" / "ledger.duckdb"
    study = study_file(("count = 6", "count = 20"), FEW)
    page = Path(asyncio.run(evaluate(str(study), str(path))))
    [run] = runs()
    assert run["state_name"] == "Completed"

    def names() -> list[str]:
        asked = {"flow_runs": {"id": {"any_": [run["id"]]}}}
        return [task["name"] for task in server.post("task_runs/filter", asked)]

    def chunks() -> int:  # Prefect's server has a task some time after it is over
        return sum(name.startswith("run-chunk") for name in names())

    until(lambda: chunks() == 10)  # as many for 20 markets as for 2,000
    assert len(names()) <= 15
    artifacts = {a["key"]: a["type"] for a in server.post("artifacts/filter", {}) if a["flow_run_id"] == run["id"]}
    assert artifacts == {"leaderboard-small": "table", "progress-small": "progress", "report-small": "markdown"}
    assert page.is_file()
    assert page.with_name("results.json").is_file()
    assert read(path).query("SELECT status FROM runs")["status"].to_list() == ["complete"]

    (tmp_path / "mine.py").write_text(plugin("raise ValueError('not today')"))
    broken = study_file(FEW, ('"single_agent"', '"mine"'), ("replicates = 2", 'replicates = 2\nplugins = ["mine.py"]'))
    with pytest.raises(NotComplete, match="12 × mine raised ValueError: not today"):
        asyncio.run(evaluate(str(broken), str(tmp_path / "broken.duckdb")))
    failed = runs()[-1]
    assert failed["state_name"] == "Failed"
    assert "12 of 24 forecasts are open" in failed["state"]["message"]
    assert read(tmp_path / "broken.duckdb").query("SELECT status FROM runs")["status"].to_list() == ["incomplete"]


@pytest.mark.proof
def test_an_alarm_of_the_monitor_sets_off_its_automation_and_no_other(server, ran):
    from coordeval.flows.orchestration.deployments import put_alarms
    from coordeval.flows.orchestration.scheduled import _alarm

    _, ledger = ran
    asyncio.run(put_alarms(ledger, None))
    told = {
        "event": EVENT,
        "resource": {"prefect.resource.id": "coordeval.study.1a2b3c4d"},
        "payload": {"says": "it changed"},
    }

    def set_off():  # told again each time: a server takes a while to know a new automation
        _alarm(ledger, Done(said="", alarms=[told]))
        found = server.post("events/filter", {"filter": {"event": {"name": ["prefect.automation.triggered"]}}})
        return [event["resource"]["prefect.resource.name"] for event in found["events"]]

    assert set(until(set_off)) == {f"coordeval {ledger_tag(ledger)}: the monitor's alarm"}


def test_a_schedule_whose_study_went_wrong_fails_at_once_with_its_reason_there_and_in_the_ledger(server, tmp_path: Path):
    from coordeval.flows.orchestration.scheduled import report

    study, ledger = tmp_path / "wrong.toml", tmp_path / "ledger.duckdb"
    study.write_text(SMALL.replace("count = 6", "count = -6"))
    state = report(str(study), str(ledger), return_state=True)
    assert state.name == "Failed", "it does not wait for a retry"
    assert "markets.count = -6" in state.message
    [day] = history(read(ledger))
    assert (day["study"], day["status"]) == (str(study), "failed")
    assert "markets.count = -6" in read(ledger).query("SELECT detail FROM findings").item()


def test_a_day_goes_on_while_the_api_does_not_answer(server, tmp_path: Path, monkeypatch):
    from prefect import flow

    from coordeval.flows.orchestration.scheduled import woken

    def do(study, ledger, *, day, now, say, **options):
        os.kill(server.process.pid, signal.SIGSTOP)
        threading.Timer(2, os.kill, (server.process.pid, signal.SIGCONT)).start()
        return Done(
            said="done meanwhile", alarms=[{"event": "coordeval.monitor.alarm", "resource": {"prefect.resource.id": "x"}}]
        )

    monkeypatch.setitem(JOBS, "stopping", Job(name="stopping", about="", do=do, cron="", of="venue", catch_up="each"))

    @flow(name="stopping", persist_result=False)
    def stopping():
        return woken("stopping", None, str(tmp_path / "ledger.duckdb"), options={"source": "v"})

    state = stopping(return_state=True)
    assert state.name == "Completed"
    assert "done meanwhile" in state.message
    assert [row["status"] for row in history(read(tmp_path / "ledger.duckdb"))] == ["done"]


def test_what_fell_due_while_nobody_served_is_dropped_because_one_wake_up_does_all_days(server, ran):
    from prefect.client.orchestration import get_client
    from prefect.states import Pending, Scheduled
    from prefect.types import DateTime

    from coordeval.flows.orchestration.deployments import made_of, planned
    from coordeval.flows.orchestration.serve import drop_late

    study, ledger = ran
    made = made_of(planned([study], ledger, [])[0])

    async def look():
        made_id = await asyncio.to_thread(made.apply)
        async with get_client() as client:
            for state in (Scheduled(scheduled_time=DateTime.now("UTC").subtract(days=2)), Pending(name="Submitting")):
                await client.create_flow_run_from_deployment(made_id, state=state)
            return [await drop_late(client, [made_id]) for _ in range(2)]

    assert asyncio.run(look()) == [2, 0]


def test_a_run_that_was_killed_holds_up_no_other_one_and_is_said_to_have_crashed(server, ran):
    from prefect.client.orchestration import get_client
    from prefect.states import Pending, Running

    from coordeval.flows.orchestration.deployments import made_of, planned
    from coordeval.flows.orchestration.serve import drop_late

    study, ledger = ran
    made, renewed = (made_of(planned([study], ledger, [])[0]) for _ in range(2))
    made.concurrency_limit = 1  # as earlier versions made them

    async def look():
        made_id = await asyncio.to_thread(made.apply)
        assert await asyncio.to_thread(renewed.apply) == made_id, "it is renewed"
        async with get_client() as client:
            killed, after = [await client.create_flow_run_from_deployment(made_id) for _ in range(2)]
            for run, state in ((killed, Pending()), (killed, Running()), (after, Pending())):
                await client.set_flow_run_state(run.id, state)
            begun = (await client.read_flow_run(after.id)).state
            await drop_late(client, [made_id])
            return begun, (await client.read_flow_run(killed.id)).state

    begun, killed = asyncio.run(look())
    assert begun.name == "Pending", "and it is not told to wait for a slot"
    assert (killed.name, "killed" in killed.message) == ("Crashed", True)


def test_deploy_makes_each_job_once_on_a_work_pool_that_exists_and_names_those_there_are(server, ran):
    from coordeval.flows.orchestration.deployments import planned
    from coordeval.flows.orchestration.serve import deploy

    study, ledger = ran
    wanted = planned([study], ledger, ["kalshi"])
    server.post("work_pools/", {"name": "here", "type": "process"})
    with pytest.raises(CoordevalError, match=r"no work pool 'there' \(there are: .*here.*prefect work-pool create"):
        deploy(wanted, ledger, "there", None)
    with pytest.raises(CoordevalError, match="--notify 'slack-webhook/none': there is no such block"):
        deploy(wanted, ledger, "here", "slack-webhook/none")
    first, again = (deploy(wanted, ledger, "here", None) for _ in range(2))
    assert first == again, "made again they are renewed"
    assert [name for name, _ in first[0]] == [one.full_name for one in wanted]
    [queue] = [q for q in server.post("work_pools/here/queues/filter", {}) if q["name"] == wanted[0].queue]
    assert queue["concurrency_limit"] == 1, "a ledger has one writer"


@pytest.mark.proof
def test_a_pool_stores_what_one_process_does_whoever_dies_on_the_way(server, study_file, tmp_path, monkeypatch):
    monkeypatch.setattr(pooling, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(pooling, "CLAIMED_SECONDS", 0.5)
    path, loaded = tmp_path / "l.duckdb", load_study(study_file())
    ends = ["crashes", "claimed by a worker that died", "works"]
    with worker(server.api, "of-tests", ends) as became, Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        made = plan(evaluation, pull(evaluation))
        on = On(Where.of("work-pool:of-tests"), str(tmp_path / "shards"), connect=pool)
        spending = Spending(ledger, "simulated", before=0)
        guard.run(run_on(evaluation, made.chunks, on, watch=Watch(), spending=spending, stop=Stop()))
    assert became[:2] == ["crashes", "claimed by a worker that died"]
    stored = read(path).query("SELECT status, count(*) AS n FROM forecasts GROUP BY ALL").rows()
    assert stored == [("answered", made.to_run)]
    assert not (tmp_path / "shards").exists(), "nothing is left behind"


def test_a_pool_that_is_not_there_is_named_with_those_that_are(server):
    httpx.post(f"{server.api}/work_pools/", json={"name": "another", "type": "process"}, timeout=60)
    with pytest.raises(ClusterError, match=r"unknown work pool 'nowhere'.*another.*prefect work-pool create"):
        pool(Where.of("work-pool:nowhere")).__enter__()
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(ClusterError, match="set PREFECT_API_URL to the one that the pool's workers use"),
    ):
        pool(Where.of("work-pool:another")).__enter__()


def test_a_flow_run_whose_chunk_was_taken_back_does_nothing_and_one_that_sees_no_place_says_so(tmp_path):
    from coordeval.flows.orchestration.chunks import work_on_chunk

    there = place(str(tmp_path / "shards"))
    there.write(f"study/run/{BEACON}", b"{}")
    work_on_chunk.fn(str(tmp_path / "shards"), f"study/run/00000/abc{TASK}")
    assert there.names("study") == [f"study/run/{BEACON}"]
    with pytest.raises(WorkerError, match="does not see"):
        work_on_chunk.fn(str(tmp_path / "elsewhere"), f"study/run/00000/abc{TASK}")
