"""Quotes against what came, on three studies of different shape; and what sharing, caching and batches leave of a naive run.

In the simulated world, with the simulator's calls at claude-opus-4-6 prices. So it says how well a quote carries over from a
few markets to the others, and nothing about how well the simulator stands for a real model's use.
"""

import re
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import polars as pl
from rich.console import Console

from coordeval.agents.prices import utc_today
from coordeval.flows.cli.main import app
from coordeval.flows.costs.bill import bill
from coordeval.flows.costs.pilot import piloted
from coordeval.flows.costs.quote import Quote, quote
from coordeval.flows.costs.rehearsal import rehearsed
from coordeval.flows.costs.sample import sample_of
from coordeval.flows.costs.worth import Rates, worth
from coordeval.flows.study.study import load_study
from coordeval.flows.study.wiring import price_book
from coordeval.ledger import read

EMBEDDED = Path(__file__).parents[1] / "studies" / "embedded.toml"
DEEP = """
name = "deep"
replicates = 1
configurations = [
    { name = "peer_critique_debate", agents = 5, rounds = 4 },
    { name = "consensus_alignment", label = "five", agents = 5 },
]
"""
NARROW = """
name = "narrow"
replicates = 3
configurations = ["single_agent", "sequential_pipeline"]
agents = { tools = ["search_evidence"], show_price = false }
"""
WORLD = '[markets]\nsource = "simulated"\ncount = {count}\nseed = {seed}\n[model]\nprovider = "simulated"\n'


def main() -> None:
    print(f"{'study':10}{'judged by':34}{'quoted':>26}{'came':>10}{'off':>8}   at most 15%")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = {"embedded": EMBEDDED.read_text()}
        texts |= {
            key: f"{head}{WORLD.format(count=n, seed=1)}" for key, head, n in (("deep", DEEP, 40), ("narrow", NARROW, 100))
        }
        naive: Quote | None = None
        for key, text in texts.items():
            file = folder / f"{key}.toml"
            file.write_text(text)
            came, quotes = _held(file, folder)
            naive = naive or quote(load_study(file), folder / "none.duckdb", at_prices_of="claude-opus-4-6")
            for how, found in quotes.items():
                amount = found.shared
                interval = f"${amount.mean:.2f} (${amount.low:.2f} to ${amount.high:.2f})"
                print(f"{key:10}{how:34}{interval:>26}{f'${came:.2f}':>10}{amount.mean / came - 1:>+8.1%}", flush=True)
                assert abs(amount.mean / came - 1) <= 0.15, "a quote is off by more than 15%"
    assert naive is not None
    print("\nthe embedded study at claude-opus-4-6 prices, USD:")
    for words, amount in (
        ("naive: live, nothing shared, no cache", naive.naive),
        ("shared draws, live", naive.shared),
        ("shared draws, live, cached", naive.cached),
        ("shared draws, in batches", naive.batch),
    ):
        print(f"  {words:40}{amount.mean:8.2f}{amount.mean / naive.naive.mean:8.3f}")
    assert naive.batch.mean <= 0.35 * naive.naive.mean, "the study costs more than 0.35 of the naive run"
    print("  the last at most 0.350 of the first; the cache does nothing: no request reaches this model's 4,096 tokens")
    _mixed()


def _mixed() -> None:
    """The same study with some of its calls in batches and the others live: what the design page decides by."""
    loaded = load_study(EMBEDDED)
    with tempfile.TemporaryDirectory() as name, rehearsed(loaded, Path(name) / "none.duckdb") as rehearsal:
        rates = Rates(
            book=price_book(loaded.study), model="claude-opus-4-6", on=utc_today(), tools=loaded.study.agents.tools
        )
        calls = worth(sample_of(rehearsal).calls, rates)
    drawn = calls.unique(["market_id", "replicate", "draw_id"])
    live = int(drawn["plain"].sum())
    turns = calls.group_by("forecast_id", "round").agg(turns=pl.col("turn").max() + 1)
    chain = turns.group_by("forecast_id").agg(batches=pl.col("turns").sum(), rounds=pl.len())
    batches, rounds = int(chain["batches"].max()), int(chain["rounds"].max())
    print("\nof its shared calls, some in batches and some live (of live, batches that follow one another):")
    for words, batched, many in (
        ("all live", pl.lit(False), 0),
        ("first turn of the first round in batches", (pl.col("turn") == 0) & (pl.col("round") == 0), 1),
        ("all of the first round in batches", pl.col("round") == 0, int(turns.filter(pl.col("round") == 0)["turns"].max())),
        ("first turn of every ask in batches", pl.col("turn") == 0, rounds),
        ("all in batches", pl.lit(True), batches),
    ):
        cost = int(drawn.select(pl.when(batched).then("batch").otherwise("plain").sum()).item())
        share = drawn.select(batched.mean()).item() if many not in (0, batches) else float(many > 0)
        print(f"  {words:42}{cost / live:6.3f} of live{many:6} batches{share:8.0%} of calls in them")


def _held(file: Path, folder: Path) -> tuple[float, dict[str, Quote]]:
    """(USD that the study came to, how it was quoted -> the quote): by the simulator, an earlier study, a pilot."""
    loaded = load_study(file)
    quotes = {"the simulator, 20 of its markets": quote(loaded, folder / "none.duckdb")}
    other = folder / "other.toml"
    text = file.read_text()
    text = re.sub(r"seed = \d+\n", "", text).replace("[markets]\n", "[markets]\nseed = 2\n")
    other.write_text(text.replace(f'name = "{loaded.study.name}"', 'name = "other"'))
    earlier = folder / f"earlier-{file.stem}.duckdb"
    _run(other, earlier)
    quotes["calls of an earlier study"] = quote(loaded, earlier)
    path = folder / f"{file.stem}.duckdb"
    piloted(loaded, path, Console(quiet=True), 3, None, None)
    rest = quote(loaded, path)
    _run(file, path)
    came = bill(read(path), loaded.id, price_book(loaded.study))["total"]["paid_micro_usd"] / 1e6
    whole = quotes["calls of an earlier study"].open / rest.open
    quotes["its first 3 markets, of the rest"] = _scaled(rest, whole)
    return came, quotes


def _scaled(found: Quote, by: float) -> Quote:
    from dataclasses import replace

    return replace(found, shared=found.shared.scaled(by))


def _run(file: Path, path: Path) -> None:
    with redirect_stdout(StringIO()):
        app(["run", str(file), "--inline", "--ledger", str(path)], standalone_mode=False)


if __name__ == "__main__":
    main()
