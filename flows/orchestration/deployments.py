"""What is deployed, as data: one line per job and study, in words first (`coordeval deploy --show`), then in Prefect's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coordeval.flows.jobs.job import Job
from coordeval.flows.jobs.table import JOBS
from coordeval.flows.monitor.watching import EVENT
from coordeval.flows.orchestration.names import key, ledger_tag
from coordeval.flows.study.study import LoadedStudy, load_study
from coordeval.market_data.errors import CoordevalError, choose

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.deployments.runner import RunnerDeployment

MODULE = "coordeval.flows.orchestration.scheduled"
RETRIES, RETRY_SECONDS = 2, 300
"""Of a run that ended for a reason which may pass by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """One deployment: `job` wakes at its `cron` (UTC) with these parameters."""

    job: Job
    name: str
    parameters: Mapping[str, Any]
    tags: tuple[str, ...]
    queue: str
    """The work queue of its ledger, which lets one run at a time: a ledger has one writer."""

    @property
    def full_name(self) -> str:
        """As Prefect calls it."""
        return f"{self.job.name}/{self.name}"

    @property
    def entrypoint(self) -> str:
        """What a worker imports."""
        return f"{MODULE}.{self.job.name.replace('-', '_')}"

    def as_json(self) -> dict[str, Any]:
        """Plain values, for `--show --json`."""
        return {
            "deployment": self.full_name,
            "does": self.job.about,
            "cron": self.job.cron,
            "timezone": "UTC",
            "entrypoint": self.entrypoint,
            "parameters": dict(self.parameters),
            "tags": list(self.tags),
            "work_queue": self.queue,
            "retries": RETRIES,
            "retry_delay_seconds": RETRY_SECONDS,
        }


def planned(studies: Sequence[Path], ledger: Path, sources: Sequence[str]) -> list[Deployed]:
    """What serves these study files on this ledger, and pulls these venues into it. Raises CoordevalError for a study that
    cannot be read, a venue that there is not, and where there is nothing to serve."""
    from coordeval.market_data.venues import load

    ledger = ledger.absolute()
    tag = ledger_tag(ledger)
    made: list[Deployed] = []
    known = load()
    for source in dict.fromkeys(sources):
        if source not in {*known.classes, *known.quarantined}:
            raise CoordevalError(choose("venue", source, list(known.classes)))
        job = JOBS["pull-markets"]
        options = {name: value for name, value in job.options.items() if value is not None} | {"source": source}
        parameters = {"ledger": str(ledger), **options}
        made.append(_one(job, source, parameters, tag, (source,)))
    for path in studies:
        loaded = load_study(path)
        parameters = {"study": str(path.absolute()), "ledger": str(ledger)}
        marks = (loaded.study.name, *(("simulated",) if loaded.simulated else ()))
        made += [_one(job, loaded.study.name, parameters, tag, marks) for job in jobs_for(loaded)]
    if not made:
        raise CoordevalError(
            "nothing to serve: give a study file, such as studies/embedded.toml, or a venue (--source kalshi)"
        )
    names = [one.full_name for one in made]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise CoordevalError(
            f"{doubled[0]} would be made twice: two of these studies have one name; give them different ones"
        )
    return made


def jobs_for(loaded: LoadedStudy) -> Iterable[Job]:
    """The jobs that make sense for this study."""
    return [job for job in JOBS.values() if job.of == "study" and job.fits(loaded)]


def _one(job: Job, name: str, parameters: Mapping[str, Any], tag: str, marks: Iterable[str]) -> Deployed:
    return Deployed(
        job=job,
        name=f"{key(name)}-{tag.removeprefix('ledger-')}",
        parameters=parameters,
        tags=("coordeval", tag, *marks),
        queue=tag,
    )


def made_of(deployed: Deployed, *, work_pool: str | None = None) -> "RunnerDeployment":
    """The deployment in Prefect's own terms. Not to be called within an event loop: Prefect would make a coroutine of it.

    It has no limit of concurrency: the runner, or the queue, takes one run at a time, and the ledger gives a day to one. A
    limit's slot is held by a run that was killed for ever where the server went with it (Prefect 3.8.8 knows in memory alone
    who holds one), and the job never runs again.
    """
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from coordeval.flows.orchestration.scheduled import FLOWS

    made: Any = FLOWS[deployed.job.name].to_deployment(
        name=deployed.name,
        schedule=Cron(deployed.job.cron, timezone="UTC"),
        parameters=dict(deployed.parameters),
        tags=list(deployed.tags),
        description=deployed.job.about,
        work_pool_name=work_pool,
        work_queue_name=deployed.queue if work_pool else None,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(made, RunnerDeployment)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One automation: what it waits for, and what it says."""

    name: str
    what: str
    trigger: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for `--show --json`."""
        within: Any = self.trigger.get("within")
        seconds = {} if within is None else {"within_seconds": within.total_seconds()}
        waits = {"posture": self.trigger.get("posture", "Reactive"), "events": self.trigger["expect"], **seconds}
        return {"automation": self.name, "when": self.what, **waits}


def alarms(ledger: Path) -> list[Alarm]:
    """The automations of a ledger: a run that failed, an alarm of the monitor, and a silence."""
    tag = ledger_tag(ledger)
    tagged = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"}
    runs = {"type": "event", "match": {"prefect.resource.id": "prefect.flow-run.*"}, "match_related": tagged}
    return [
        Alarm(
            name=f"coordeval {tag}: a scheduled run failed",
            what="a run of this ledger ended Failed or Crashed",
            trigger={**runs, "expect": ["prefect.flow-run.Crashed", "prefect.flow-run.Failed"], "threshold": 1},
        ),
        Alarm(
            name=f"coordeval {tag}: the monitor's alarm",
            what="the monitor saw a signal change",
            trigger={
                "type": "event",
                "match": {"prefect.resource.id": "coordeval.study.*"},
                "match_related": tagged,
                "expect": [EVENT],
                "threshold": 1,
            },
        ),
        Alarm(
            name=f"coordeval {tag}: nothing was done for two days",
            what="no run of this ledger was completed within two days",
            trigger={
                **runs,
                "posture": "Proactive",
                "expect": ["prefect.flow-run.Completed"],
                "threshold": 1,
                "within": timedelta(days=2),
            },
        ),
    ]


async def put_alarms(ledger: Path, notify: "UUID | None") -> list[str]:
    """Makes or renews the automations; without a notification block (`notify`) they only show in the UI. Returns names."""
    from prefect.client.orchestration import get_client
    from prefect.events.actions import DoNothing, SendNotification
    from prefect.events.schemas.automations import AutomationCore, EventTrigger

    names = []
    async with get_client() as client:
        for alarm in alarms(ledger):
            body = f"{alarm.what}: {ledger}; `coordeval runs` says more"
            action = (
                DoNothing() if notify is None else SendNotification(block_document_id=notify, subject=alarm.name, body=body)
            )
            wanted = AutomationCore(
                name=alarm.name,
                description=body,
                trigger=EventTrigger.model_validate(alarm.trigger),
                actions=[action],
                tags=["coordeval", ledger_tag(ledger)],
            )
            known = await client.read_automations_by_name(alarm.name)
            if [(old.description, old.actions) for old in known] != [(wanted.description, wanted.actions)]:
                for old in known:  # an update sends what was set and not what is meant: Prefect 3.8.8 refuses its own
                    await client.delete_automation(old.id)
                await client.create_automation(wanted)
            names.append(alarm.name)
    return names
