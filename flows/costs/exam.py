"""A smoke exam before money is spent: does the model call tools, answer in form, keep the cap, and is it the one asked?"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from coordeval.agents.budget import EXHAUSTED, Budgeted
from coordeval.agents.capabilities import Wanted, base_id, untaken
from coordeval.agents.cell import AskFailed, Settings
from coordeval.agents.messages import Model, Reply, Request, Slot, content_hash
from coordeval.agents.pacing import Paced
from coordeval.agents.providers import Around
from coordeval.agents.server_tools import WEB_SEARCH
from coordeval.analysis.base.arms import MAIN
from coordeval.flows.costs.asks import Question, agents_of, questions
from coordeval.flows.run.planning import planned
from coordeval.flows.study.evaluation import data_directory
from coordeval.flows.study.names import PROBE
from coordeval.flows.study.study import LoadedStudy
from coordeval.flows.study.wiring import price_book
from coordeval.ledger import Ledger, Reader
from coordeval.market_data.errors import CoordevalError

IN_FORM: Final = 0.75
"""Of each role's asks, the least share with a valid answer."""
CUT_OFF: Final = 0.25
"""Of all replies, the largest share that may end at the output cap."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `held` None: it could not be told."""

    what: str
    held: bool | None
    says: str
    fatal: bool = True
    """Whether the exam is failed where it did not hold."""


class _Noting:
    """Notes every reply: what answered, how long, whether it kept the cap."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.replies: list[tuple[Request, Reply]] = []

    @property
    def identity(self) -> Any:
        return self._model.identity

    async def complete(self, request: Request, slot: Slot) -> Reply:
        reply = await self._model.complete(request, slot)
        self.replies.append((request, reply))
        return reply


def model_key(loaded: LoadedStudy) -> str:
    """What an exam is of: the model's identity and what the study fixes for all agents."""
    around = Around(asks=False)
    identity = dict(loaded.provider.model(loaded.study.model, around).identity)
    return content_hash("exam/1", [identity, loaded.study.settings().identity()])


def examine(loaded: LoadedStudy, ledger: Path, *, asks: int, max_usd: Decimal | None) -> dict[str, Any]:
    """The exam of a study's model, for at most `max_usd`. The markets are made up, so nothing of the study is spoilt.

    Raises CoordevalError where the model cannot be asked at all (a key, an address, an unknown price under a limit).
    """
    return asyncio.run(_examine(loaded, ledger, asks, max_usd))


async def _examine(loaded: LoadedStudy, ledger: Path, asks: int, max_usd: Decimal | None) -> dict[str, Any]:
    study = loaded.study
    every = [one for one in planned(loaded) if one.configuration.elements.endpoints]
    described = [one for one in every if one.arm.name in (MAIN, PROBE)]  # the study's own model, in its own setting
    asked = await questions(described, asks)
    around = Around(prices=price_book(study), call_seconds=study.run.call_seconds, data=data_directory(ledger))
    inner = loaded.provider.model(study.model, around)
    noting = _Noting(inner)
    limit = None if max_usd is None else int(max_usd * 1_000_000)
    model: Model = noting
    if loaded.money == "paid":
        model = Budgeted(noting, limit_micro_usd=limit, price_book=around.prices)
    run = study.run
    paced = Paced(
        model,
        concurrency=min(8, run.concurrent_calls),
        requests_per_minute=run.requests_per_minute,
        patience=min(120.0, run.patience_minutes * 60),
        tries=2,
    )
    settings = {one.label: one.settings for one in described}
    told: Mapping[str, Any] = {}
    try:
        if hasattr(inner, "told"):
            told = await inner.told()
        rows = await asyncio.gather(
            *(_one(paced, settings, question, i) for role in asked.values() for i, question in enumerate(role))
        )
    finally:
        if (close := getattr(inner, "aclose", None)) is not None:
            await close()
    left_out = [row for row in rows if row["failure"].startswith(EXHAUSTED)]
    rows = [row for row in rows if not row["failure"].startswith(EXHAUSTED)]
    findings = [*_stated(loaded, told), *_findings(loaded, rows, noting.replies)]
    costs = [reply.micro_usd for _, reply in noting.replies]
    return {
        "model": study.model_name,
        "provider": study.model.provider,
        "examined_at": datetime.now(UTC),
        "passed": all(finding.held is not False or not finding.fatal for finding in findings),
        "findings": [{"what": f.what, "held": f.held, "says": f.says, "fatal": f.fatal} for f in findings],
        "roles": _roles(rows),
        "not_asked": len(left_out),
        "calls": len(noting.replies),
        "usd": None if None in costs else sum(cost for cost in costs if cost is not None) / 1e6,
        "money": "stand-in" if noting.replies and all(reply.stand_in for _, reply in noting.replies) else loaded.money,
    }


async def _one(model: Model, settings: Mapping[str, Settings], question: Question, replicate: int) -> dict[str, Any]:
    label = question.configuration
    agents = agents_of(model, settings[label], question.view, label, replicate=replicate)
    try:
        await agents.answer(question.ask)
        failure = ""
    except AskFailed as error:
        failure = error.reason
    return {
        "role": question.ask.role,
        "failure": failure,
        "calls": len(agents.calls),
        "tools": [row["tool"] for row in agents.tool_calls if not row["error"]],
        "mistaken": [row["result"] for row in agents.tool_calls if row["error"]],
    }


def _roles(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for role in sorted({row["role"] for row in rows}):
        own = [row for row in rows if row["role"] == role]
        failures = [row["failure"] for row in own if row["failure"]]
        found.append(
            {
                "role": role,
                "asks": len(own),
                "answered": len(own) - len(failures),
                "calls": sum(row["calls"] for row in own),
                "tool_calls": sum(len(row["tools"]) for row in own),
                "mistaken_tool_calls": sum(len(row["mistaken"]) for row in own),
                "first_failure": failures[0] if failures else None,
            }
        )
    return found


def _stated(loaded: LoadedStudy, told: Mapping[str, Any]) -> list[Finding]:
    """What the endpoint itself says of the model, where it does."""
    study = loaded.study
    if not told.get("capabilities"):
        return []
    wanted = Wanted(
        sampling=study.model.sampling_parameters,
        strict=study.settings().strict,
        batch=study.run.batch,
        searches=WEB_SEARCH in study.agents.tools,
        max_tokens=study.model.max_tokens,
    )
    lacking = untaken(told, wanted)
    says = f"by its own word it does not take {', '.join(lacking)}" if lacking else "by its own word"
    found = [Finding("it takes what the study asks", not lacking, says)]
    if told.get("lifecycle") in ("deprecated", "retired"):
        ends = str(told.get("retires_at") or "")[:10]
        found.append(Finding("it stays", False, f"it is {told['lifecycle']}{ends and f', until {ends}'}", fatal=False))
    return found


Replies = Sequence[tuple[Request, Reply]]


def _findings(loaded: LoadedStudy, rows: Sequence[dict[str, Any]], replies: Replies) -> list[Finding]:
    asked, study = loaded.study.model_name, loaded.study
    if not replies:
        reason = next((row["failure"] for row in rows if row["failure"]), "it was asked nothing")
        return [Finding("it answers", False, f"no reply to any of {len(rows)} asks; first: {reason}")]
    roles = _roles(rows)
    weak = [role for role in roles if role["answered"] < IN_FORM * role["asks"]]
    said = "; ".join(f"{r['role']}: {r['answered']} of {r['asks']}, first: {r['first_failure']}" for r in weak)
    valid = sum(role["answered"] for role in roles)
    found = [Finding("it submits in form", not weak, said or f"{valid} of {len(rows)} asks have a valid answer")]
    if study.agents.tools:
        used = sum(role["tool_calls"] for role in roles)
        bad = sum(role["mistaken_tool_calls"] for role in roles)
        found.append(Finding("it calls tools", used > 0, f"{used} calls that a tool answered, {bad} that none could"))
    over = [(request, reply) for request, reply in replies if reply.usage.output_tokens > request.max_tokens]
    most = max(reply.usage.output_tokens for _, reply in replies)
    found.append(Finding("it keeps the output cap", not over, f"at most {most:,} of {study.model.max_tokens:,} tokens"))
    cut = sum(reply.stop_reason == "max_tokens" for _, reply in replies)
    cap = f"{cut} of {len(replies)} replies end at the cap; raise model.max_tokens where that is many"
    found.append(Finding("its replies fit the cap", cut <= CUT_OFF * len(replies), cap))
    others = sorted({reply.model for _, reply in replies if not _same(asked, reply.model)})
    served = f"answered as {', '.join(others)}" if others else f"every reply says {asked}"
    found.append(Finding("it is the model that was asked", not others, served))
    unknown = sum(reply.micro_usd is None for _, reply in replies)
    price = f"the price of {unknown} of {len(replies)} replies is not known: give it under [prices]"
    # without a price nothing can be kept to, but a study without a budget may want just that
    known = price if unknown else "of every reply"
    found.append(Finding("its price is known", not unknown, known, fatal=study.budget_usd is not None))
    return found


def _same(asked: str, served: str) -> bool:
    """Whether a reply names the model that was asked, but for the date of a snapshot and the prefix of a router."""
    one, other = (base_id(name).rpartition("/")[2].lower() for name in (asked, served))
    return one == other or other.startswith(f"{one}-20")


def keep(loaded: LoadedStudy, ledger: Path, found: dict[str, Any], of: LoadedStudy | None = None) -> None:
    """Stores an exam, so that a run of this model in this setting knows how it went, and its cost for the books of the study
    `of` (None: `loaded`)."""
    of = of or loaded
    found = {**found, "study": of.study.name, "study_id": of.id}
    row = {
        "model_key": model_key(loaded),
        "examined_at": found["examined_at"],
        "model": found["model"],
        "passed": found["passed"],
        "content": orjson.dumps(found, default=str).decode(),
    }
    with Ledger.open(ledger, purpose="an exam") as open_ledger:
        open_ledger.write("exams", [row])


def examined(loaded: LoadedStudy, reader: Reader) -> bool:
    """Whether this model passed its exam in this setting; False: there was none. Raises CoordevalError where it failed."""
    last = reader.query(
        "SELECT passed, content FROM exams WHERE model_key = ? ORDER BY examined_at DESC LIMIT 1", [model_key(loaded)]
    ).to_dicts()
    if last and not last[0]["passed"]:
        said = [f["says"] for f in orjson.loads(last[0]["content"])["findings"] if f["held"] is False and f["fatal"]]
        raise CoordevalError(
            f"{loaded.study.model_name} failed its exam: {'; '.join(said)}. Mend that and run "
            "`coordeval check-model` again, or say --unchecked to run all the same"
        )
    return bool(last)
