"""What a second study is planned from: how far a first one's forecasts vary, and what each of them costs."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import polars as pl

from coordeval.agents.messages import Usage
from coordeval.agents.prices import utc_today
from coordeval.agents.providers.simulated import SimulatedModelSection
from coordeval.analysis.base.arms import MAIN, content_in
from coordeval.analysis.base.frames import scored
from coordeval.analysis.cost.compute_matched import LONE
from coordeval.analysis.differences.replicates import spread
from coordeval.analysis.plan.variance import Variance, variance
from coordeval.analysis.study.findings import resamples_for
from coordeval.analysis.words.standing import HINDSIGHT
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.in_arms import Looked, in_arm, one_of
from coordeval.flows.study.sections import EvidenceSection, SimulatedMarkets
from coordeval.flows.study.stored import chosen
from coordeval.flows.study.study import PROBE, LoadedStudy, load_study
from coordeval.flows.study.wiring import price_book
from coordeval.ledger import Ledger, Reader, Study, read
from coordeval.market_data.errors import CoordevalError

SIMULATED_MARKETS: Final = 100
SIMULATED_REPLICATES: Final = 2
SEED: Final = 1

_CALLS = """
    SELECT c.configuration, k.draw_id, k.input_tokens, k.output_tokens, k.attributed_micro_usd AS micro_usd
    FROM cells c JOIN calls k USING (forecast_id) WHERE c.study_id = ? AND c.configuration <> ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """USD of one forecast of each configuration that calls a model."""

    usd: Mapping[str, float | None]
    """Mean over its forecasts, failed ones too, of the full price of what they used; None: not known."""
    paid_share: float | None
    """What is paid of these prices together where a draw that configurations share is paid once; None: not known."""
    source: str
    """Whose prices, in words."""
    reason: str | None
    """Why a price is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStudy:
    """A study with two configurations or more that call a model, of which something is scored."""

    name: str
    labels: tuple[str, ...]
    """What must be said beside every number: SIMULATED, HINDSIGHT-ANCHORED."""
    about: str
    """In words: what was run."""
    simulated: bool
    variance: Variance
    prices: Prices
    priced: bool
    """A market price is known: then each configuration is asked to beat it."""
    sampled: bool
    """`single_agent`, or the baseline that the study names, is there: each is asked to beat what its money buys of it."""

    @property
    def configurations(self) -> tuple[str, ...]:
        return tuple(self.prices.usd)


def first_study(study: str, ledger: Path, *, arm: str | None = None) -> FirstStudy:
    """A stored study by its name or id; or a study file (`….toml`): what is stored of it, else a run of the simulator.

    `arm`: the arm that is planned from; None: `in_arms.one_of`.

    Raises CoordevalError where there is no such study, and what `from_ledger` raises.
    """
    if not study.endswith(".toml"):
        with read(ledger).moment() as reader:
            return from_ledger(reader, chosen(reader, study), arm=arm)
    loaded = load_study(Path(study))
    if ledger.is_file():
        with read(ledger).moment() as reader:
            if reader.studies().filter((pl.col("study_id") == loaded.id) & (pl.col("answered") > 0)).height:
                return from_ledger(reader, loaded.id, arm=arm)
    return from_simulator(loaded.alone(arm or MAIN), Path(study).parent, _which(loaded, arm))


def _which(loaded: LoadedStudy, arm: str | None) -> str:
    names = [one.name for one in loaded.compared]
    return Looked(arm or MAIN, tuple(name for name in names if name != (arm or MAIN))).says


def from_ledger(reader: Reader, study: str, *, arm: str | None = None) -> FirstStudy:
    """One arm of a stored study, by name or id.

    Raises CoordevalError where it has no forecast, nothing is scored, or there are not two configurations to compare.
    """
    stored = reader.study(study)
    labels = ["SIMULATED: it says nothing about real models or markets"] * stored.simulated
    labels += [HINDSIGHT] * (stored.hindsight is True)
    looked = one_of(reader, stored.study_id, arm)
    with in_arm(reader, stored.study_id, looked.arm) as held:
        return _from_arm(held, stored, looked, tuple(labels))


def _from_arm(reader: Reader, stored: Study, looked: Looked, labels: tuple[str, ...]) -> FirstStudy:
    model = (content_in(stored.content, looked.arm).get("model") or {}).get("id") if looked.others else None
    found, about, asked = _variance(reader, stored.study_id, stored.name, stored.content.get("baseline"))
    return FirstStudy(
        name=stored.name,
        labels=labels,
        about=f"Planned from the study {stored.name} ({stored.study_id[:8]}, {model or stored.model})"
        f"{_in_words(looked.says)}: {about}",
        simulated=stored.simulated,
        variance=found,
        **asked,
        prices=_stated_prices(reader, stored.study_id, stored.name)
        if "imported" in stored.content
        else _prices(reader, stored.study_id, f"as {stored.name} was charged"),
    )


def _in_words(says: str) -> str:
    return f", {says}" if says else ""


def from_simulator(loaded: LoadedStudy, directory: Path, which: str = "") -> FirstStudy:
    """A study file that has not run: its configurations in the embedded world, with the embedded model.

    `directory` is where the file and its plugins are; `which` says of which arm `loaded` is. The tokens that the simulator
    used are priced for the study's own model, where its price is known. Raises what `from_ledger` raises.
    """
    study = loaded.study
    own = study.model.parameters if isinstance(study.model, SimulatedModelSection) else {}
    simulated = study.model_copy(
        update={
            "markets": SimulatedMarkets(source="simulated", count=SIMULATED_MARKETS, seed=SEED),
            "model": SimulatedModelSection(provider="simulated", max_tokens=study.model.max_tokens, parameters=own),
            "replicates": SIMULATED_REPLICATES,
            "as_of": "source",
            "max_price_age_hours": None,
            "evidence": EvidenceSection(),
            "agents": study.agents.model_copy(update={"memorisation_probe": False}),
            "arms": (),
            "models": {},
            "budget_usd": None,
            "predictions": (),
        }
    )
    with TemporaryDirectory(prefix="coordeval-plan-") as folder:
        path = Path(folder) / "ledger.duckdb"
        study_id = asyncio.run(_run(LoadedStudy(simulated, directory), path))
        with read(path).moment() as reader:
            found, about, asked = _variance(reader, study_id, study.name, study.baseline)
            prices = _prices(reader, study_id, "the simulator's own, which nobody pays")
            if study.model.provider != "simulated":
                prices = _priced_as(loaded, reader, study_id)
    return FirstStudy(
        name=study.name,
        labels=(
            "SIMULATED: planned from the embedded simulator, which says nothing about how far a real model's forecasts "
            "vary; run a small first study and plan from that",
        ),
        about=f"{study.name}{_in_words(which)} is not stored, so its configurations ran in the simulated world "
        f"(seed {SEED}): {about}",
        simulated=True,
        variance=found,
        **asked,
        prices=prices,
    )


async def _run(loaded: LoadedStudy, path: Path) -> str:
    with Ledger.open(path, purpose="coordeval plan") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        await run_chunks(evaluation, plan(evaluation, pull(evaluation)).chunks)
    return loaded.id


def _variance(reader: Reader, study_id: str, name: str, baseline: str | None) -> tuple[Variance, str, dict[str, bool]]:
    """The components, in words what they rest on, and what a report asks: `FirstStudy.priced` and `sampled`."""
    cells = reader.forecast_frame(study_id).filter((pl.col("configuration") != PROBE) & (pl.col("status") != "pending"))
    if cells.is_empty():
        raise CoordevalError(f"{name} has no forecast yet, so there is nothing to plan from: run it, or plan from its file")
    kept = scored(cells, policy="common")
    if kept.frame.is_empty():
        raise CoordevalError(
            f"nothing of {name} is scored: no resolved market was answered by every configuration in every replicate; "
            "go on with its run, wait until markets resolve, or plan from another study"
        )
    sampled = spread(kept).table.filter("sampled")["configuration"].to_list()
    if len(sampled) < 2:
        raise CoordevalError(
            f"{name} has {len(sampled)} scored configuration{'s' * (len(sampled) != 1)} that a model answers for "
            f"({', '.join(sampled) or 'none'}): a plan is for the difference of two; add one to the study"
        )
    found = variance(kept, n=resamples_for(kept.n_markets))
    asked = kept.frame.filter(pl.col("configuration").is_in(sampled)).group_by("configuration")
    counts = sorted(set(asked.agg(pl.col("replicate").n_unique())["replicate"].to_list()))
    times = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    about = (
        f"{found.n_markets} markets scored, {times} replicate{'' if times == '1' else 's'}, {len(sampled)} configurations "
        f"that call a model"
    )
    return found, about, {"priced": kept.frame["market_price"].count() > 0, "sampled": (baseline or LONE) in sampled}


def _prices(reader: Reader, study_id: str, source: str, price: Callable[[int, int], int | None] | None = None) -> Prices:
    """What was charged; or `price` of (input, output) tokens of each call in its place."""
    calls = reader.query(_CALLS, [study_id, PROBE])
    if price is not None:
        tokens = calls.select("input_tokens", "output_tokens").rows()
        calls = calls.with_columns(pl.Series("micro_usd", [price(*row) for row in tokens], dtype=pl.Int64))
    cells = reader.forecast_frame(study_id).filter(pl.col("status") != "pending").group_by("configuration").len("cells")
    known = pl.col("micro_usd").null_count() == 0
    spent = calls.group_by("configuration").agg(pl.when(known).then(pl.col("micro_usd").sum()))
    each = spent.join(cells, on="configuration").sort("configuration")
    usd = each.select("configuration", usd=pl.col("micro_usd") / pl.col("cells") / 1e6)
    unknown = usd.filter(pl.col("usd").is_null())["configuration"].to_list()
    total, once = (float(part["micro_usd"].cast(pl.Float64).sum()) for part in (calls, calls.unique("draw_id")))
    return Prices(
        usd=dict(usd.iter_rows()),
        paid_share=None if unknown or not total else once / total,
        source=source,
        reason=f"the price of a call of {', '.join(unknown)} is not known" if unknown else None,
    )


def _stated_prices(reader: Reader, study_id: str, name: str) -> Prices:
    """Of imported forecasts, of which no call is stored: what their file says of each."""
    cost = pl.col("cost_usd")
    each = reader.forecast_frame(study_id).group_by("configuration").agg(pl.when(cost.null_count() == 0).then(cost.mean()))
    usd = dict(each.sort("configuration").iter_rows())
    unknown = [configuration for configuration, price in usd.items() if price is None]
    reason = f"the file of {name} does not give the cost of every forecast of {', '.join(unknown)}" if unknown else None
    return Prices(usd=usd, paid_share=None if unknown else 1.0, source=f"as the file of {name} says", reason=reason)


def _priced_as(loaded: LoadedStudy, reader: Reader, study_id: str) -> Prices:
    """The simulator's tokens at the price of the study's own model today."""
    model, today = loaded.study.model_name, utc_today()
    book = price_book(loaded.study)

    def price(input_tokens: int, output_tokens: int) -> int | None:
        return book.micro_usd(model, Usage(input_tokens=input_tokens, output_tokens=output_tokens), today)

    found = _prices(reader, study_id, f"of {model} on {today}, for as many tokens as the simulator used", price)
    if found.reason is None:
        return found
    changed: dict[str, Any] = {"reason": f"the price book does not know {model} on {today}; add it under [prices]"}
    return Prices(usd=found.usd, paid_share=None, source=found.source, **changed)
