"""Stored conversations go on without one of their tool results: quoted, agreed to, asked, and kept like all that is asked.

The asks go through the draws, the budget, the pacing and the prices of the study's model. What came is a row of `findings`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl

from coordeval.agents.budget import BYTES_PER_TOKEN, SERVER_TOKENS
from coordeval.agents.cell import AskFailed, BoundReached
from coordeval.agents.draws import CommonDraws
from coordeval.agents.prices import utc_today
from coordeval.agents.usefulness import WITHHELD
from coordeval.analysis.tools.ablation import NEEDED, Ablation, ablation
from coordeval.flows.ablation.choosing import CannotGoBack, Chosen, Point, Points, choose_calls, finding_id
from coordeval.flows.costs.consent import Door, agreed_to_at_most
from coordeval.flows.study.evaluation import data_directory
from coordeval.flows.study.flight import Flight
from coordeval.flows.study.schema import Study
from coordeval.flows.study.stored import chosen
from coordeval.flows.study.study import LoadedStudy, load_study
from coordeval.flows.study.wiring import build_model, price_book
from coordeval.ledger import Ledger, Reader, read
from coordeval.market_data.errors import CoordevalError

KIND: Final = "ablation"
"""Of the rows of `findings` that hold what tool calls were worth."""
OVER: Final = "it might have passed --max-usd"
_COLUMNS: Final = (
    "forecast_id", "ask", "turn", "position", "tool", "arguments", "arm", "configuration", "market_id", "replicate",
    "event_id", "given", "outcome",
)  # fmt: skip
_KEPT: Final = "SELECT detail FROM findings WHERE kind = ? AND study_id = ? ORDER BY created_at DESC, finding_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """What it may cost, before anything is asked."""

    conversations: int
    expected_usd: float | None
    """What the stored conversations took from there on; None where a price was not known."""
    most_usd: float | None
    """With every turn that the study allows, each as long as it may be, or --max-usd where that is less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablated:
    """What a study's single tool calls were worth, and what it took to know."""

    study: str
    study_id: str
    model: str
    simulated: bool
    chosen: Chosen
    seed: int
    quoted: Quoted
    left: Mapping[str, int]
    """Why a chosen call has no answer without its result -> how many."""
    found: Ablation
    usd: float | None
    """In full; null where a price is not known."""
    paid_usd: float | None
    at: datetime

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        names = ("study", "study_id", "model", "simulated", "seed", "usd", "paid_usd")
        found = {name: getattr(self.found, name) for name in ("n_calls", "n_events", "n", "level")}
        return {
            **{name: getattr(self, name) for name in names},
            **found,
            "withheld_as": WITHHELD,
            "stored_calls": self.chosen.stored,
            "eligible_calls": self.chosen.eligible,
            "asked_calls": len(self.chosen.calls),
            "quoted": {name: getattr(self.quoted, name) for name in Quoted.__slots__},
            "left_out": dict(self.left),
            "totals": self.found.totals.to_dicts(),
            "calls": self.found.calls.to_dicts(),
            "at": self.at.isoformat(),
        }


def study_of(reader: Reader, asked: str | None) -> tuple[str, LoadedStudy]:
    """(the id of the stored study that is meant, the study whose model is asked).

    Raises CoordevalError for imported forecasts, and where a file has to be named: a stored study of a model that is paid
    holds no key, no prices and no budget.
    """
    study_id = chosen(reader, asked)
    stored = reader.study(study_id)
    model = stored.content.get("model") or {}
    if "provider" not in model or model["provider"] == "recorded":
        raise CoordevalError(
            f"{stored.name} holds forecasts that were imported: no model can go on with conversations that were not had "
            "here; name a study that was run"
        )
    if asked is not None and Path(asked).is_file():
        return study_id, load_study(Path(asked), changes={"run.batch": False})
    if model["provider"] != "simulated":
        raise CoordevalError(
            f"the model of {stored.name} is no simulated one, and a stored study holds no key, no prices and no budget: "
            "name its file, as in `coordeval tools ablate my-study.toml`"
        )
    known = {"name": stored.name, "configurations": ["single_agent"], "model": model}
    return study_id, LoadedStudy(Study.model_validate({**known, "markets": {"source": "simulated", "count": 1}}), Path())


def ablate(
    ledger: Path,
    asked: str | None,
    door: Door,
    console: Any,
    *,
    calls: int,
    seed: int = 0,
    max_usd: Decimal | None = None,
    n: int = 2_000,
    quoted: Callable[[Quoted, bool], None] = lambda told, simulated: None,
) -> Ablated:
    """Goes on with up to `calls` conversations without one result each, and stores what came.

    Raises NotAgreed where nobody said yes to what it may cost; CoordevalError where no call can be looked at, or none was
    answered.
    """
    reader = read(ledger)
    study_id, loaded = study_of(reader, asked)
    picked = choose_calls(reader, study_id, calls=calls, seed=seed)
    told = _quote(loaded, picked, max_usd)
    quoted(told, loaded.money == "simulated")
    agreed_to_at_most(loaded, ledger, console, door, "this ablation", told.most_usd)
    with Ledger.open(ledger, purpose="coordeval tools ablate") as open_:
        made = asyncio.run(_ask(open_, ledger, study_id, loaded, picked, max_usd))
        if not made.answers:
            raise CoordevalError(
                f"none of {len(picked.calls):,} conversations was answered without its result: "
                + "; ".join(f"{count:,}: {why}" for why, count in made.left.most_common())
            )
        done = Ablated(
            study=reader.study(study_id).name,
            study_id=study_id,
            model=loaded.study.model_name,
            simulated=loaded.money == "simulated",
            chosen=picked,
            seed=seed,
            quoted=told,
            left=dict(made.left.most_common()),
            found=ablation(_frame(picked, made.answers), n=n, seed=seed),
            usd=_usd(made.attributed),
            paid_usd=_usd(made.paid),
            at=datetime.now(UTC),
        )
        open_.write("findings", [_row(done)])
    return done


def kept(reader: Reader, study_id: str) -> list[dict[str, Any]]:
    """What is stored of this study, the last one first, as `Ablated.as_json`."""
    return [orjson.loads(detail) for detail in reader.query(_KEPT, [KIND, study_id])["detail"]]


class _Made:
    """What came, and what it took."""

    def __init__(self) -> None:
        self.answers: dict[int, float] = {}
        self.left: Counter[str] = Counter()
        self.attributed: list[int | None] = []
        self.paid: list[int | None] = []


async def _ask(
    ledger: Ledger, path: Path, study_id: str, loaded: LoadedStudy, picked: Chosen, max_usd: Decimal | None
) -> _Made:
    made = _Made()
    live = build_model(loaded, data_directory(path), ledger, Flight())
    try:
        markets = {call["market_id"] for call in picked.calls}
        points = Points(read(path), study_id, CommonDraws(live, ledger, ledger.known_draws(markets)))
        purse = _Purse(loaded, max_usd)

        async def one(place: int, call: Mapping[str, Any]) -> None:
            try:
                point = points.of(call)
            except CannotGoBack as reason:
                made.left[str(reason)] += 1
                return
            if not purse.takes(worst := _worst(loaded, call)):
                made.left[OVER] += 1
                return
            await _go_on(point, place, made)
            own = [row["attributed_micro_usd"] for row in point.agents.calls]
            purse.came_to(worst, own)
            made.attributed += own
            made.paid += [row["paid_micro_usd"] for row in point.agents.calls]

        await asyncio.gather(*(one(place, call) for place, call in enumerate(picked.calls)))
    finally:
        if (close := getattr(live, "aclose", None)) is not None:
            await close()
    return made


async def _go_on(point: Point, place: int, made: _Made) -> None:
    call = point.call
    try:
        answer = await point.agents.go_on(point.ask, point.messages, call["turn"] + 1, call["k"], point.told)
    except (AskFailed, BoundReached) as error:
        made.left[error.reason] += 1
        return
    assert answer.probability is not None, "an estimate has one"
    made.answers[place] = answer.probability


class _Purse:
    """No conversation begins whose worst case would pass the limit. What a known price does not say counts as the worst."""

    def __init__(self, loaded: LoadedStudy, max_usd: Decimal | None) -> None:
        self._left = None if max_usd is None else float(max_usd)
        if self._left is not None and loaded.money == "paid" and _worst(loaded, None) is None:
            raise CoordevalError(
                f"--max-usd {max_usd}: the price of {loaded.study.model_name!r} is not known, so it cannot be kept; add "
                f"[prices.{loaded.study.model_name!r}] to the study"
            )

    def takes(self, worst: float | None) -> bool:
        if self._left is None:
            return True
        if worst is None or worst > self._left:
            return False
        self._left -= worst
        return True

    def came_to(self, worst: float | None, micro: list[int | None]) -> None:
        if self._left is not None and worst is not None and (cost := _usd(micro)) is not None:
            self._left += worst - cost


def _quote(loaded: LoadedStudy, picked: Chosen, max_usd: Decimal | None) -> Quoted:
    known = [call["usd"] for call in picked.calls]
    worst = [_worst(loaded, call) for call in picked.calls]
    most = None if None in worst else sum(amount for amount in worst if amount is not None)
    return Quoted(
        conversations=len(known),
        expected_usd=None if None in known else float(sum(known)),
        most_usd=most if max_usd is None else float(max_usd) if most is None else min(most, float(max_usd)),
    )


def _worst(loaded: LoadedStudy, call: Mapping[str, Any] | None) -> float | None:
    """USD that going on with a call's conversation costs at most; None: its price is not known."""
    study = loaded.study
    turns, size = (1, 0) if call is None else (max(study.agents.max_turns - call["turn"] - 1, 1), call["size"])
    own = study.model.max_tokens
    # by each turn a conversation grows by a reply and by results; a result is taken to be no longer than all before it
    read_ = sum(2 * size // BYTES_PER_TOKEN + SERVER_TOKENS + turn * own for turn in range(turns))
    if loaded.money == "simulated":
        return 0.0
    found = price_book(study).worst_case(study.model_name, utc_today(), input_tokens=read_, output_tokens=turns * own)
    return None if found is None else found / 1e6


def _frame(picked: Chosen, answers: Mapping[int, float]) -> pl.DataFrame:
    rows = [
        {name: call[name] for name in _COLUMNS} | {"without": answers.get(place)} for place, call in enumerate(picked.calls)
    ]
    return pl.DataFrame(rows, schema_overrides=NEEDED, infer_schema_length=None)


def _usd(micro: list[int | None]) -> float | None:
    return None if None in micro else sum(amount for amount in micro if amount is not None) / 1e6


def _row(done: Ablated) -> dict[str, Any]:
    return {
        "finding_id": finding_id(done.study_id, done.model, calls=len(done.chosen.calls), seed=done.seed),
        "study_id": done.study_id,
        "kind": KIND,
        "severity": "note",
        "detail": orjson.dumps(done.as_json()).decode(),
        "created_at": done.at,
    }
