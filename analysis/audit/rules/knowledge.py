"""Rules about what agents knew: nothing later than as-of, the question as it is worded, and no claim from nowhere."""

import re
from collections.abc import Collection, Iterator
from datetime import date, datetime
from typing import Any, ClassVar, Final

import polars as pl

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule, joined, of_asks, of_markets, of_tool_calls
from coordeval.analysis.base.numerals import counted
from coordeval.market_data.dates import Written, dates_in

_OWN_WORDS: Final = re.compile(r"^(?:Question|Description):.*$", re.MULTILINE)
"""Lines of a prompt that are the market's own wording, which may well speak of a later day."""
_CLAIM: Final = re.compile(
    r"[$€£]\s?\d[\d,.]*\d(?:\s?(?:k|m|bn?|t|million|billion|trillion)\b)?|\b\d{1,3}(?:,\d{3})+\b|\b\d+\.\d+\s?%",
    re.IGNORECASE,
)
"""Figures that are facts and no judgement: amounts of money, numbers in the thousands, percentages with a decimal."""
_NUMBER: Final = re.compile(r"\d{2,}")
_MONTH: Final = re.compile(
    r"(?:\b(?P<before>\d{1,2})(?:st|nd|rd|th)?\s+)?\b(?P<name>January|February|March|April|May|June|July|August|September|October|"
    r"November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?(?:\s+(?P<after>\d{1,2})\b)?"
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class ResolutionTime(Rule):
    """Who sees when a market ended sees much of how: what ends before its deadline mostly ended with YES."""

    name = "resolution_time"
    severity = "error"
    looks_for = "prompts that show when the market in fact resolved, where that was not the known deadline"
    stage = "prompt"
    needs = ("prompts",)

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        rows = _later(evidence).filter("resolution")
        hit = rows.unique("market_id", keep="first", maintain_order=True)
        markets = evidence.prompts["market_id"].n_unique()
        forecasts = evidence.forecasts.join(hit, on="market_id", how="semi").filter(pl.col("status") == "answered").height
        says = (
            f"the prompts of {hit.height:,} of {counted(markets, 'market')} show the time at which it in fact resolved, "
            "which "
            f"nobody could know at as-of ({counted(forecasts, 'answered forecast')})"
        )
        yield from self.found(of_markets(hit, pl.format("the prompt says {}", "text")), markets, "markets", says)


class LaterFacts(Rule):
    name = "later_facts"
    severity = "error"
    looks_for = "dates later than as-of in prompts and tool results, other than the deadline and the question's own"
    stage = "prompt"
    needs = ("prompts",)

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        hit = _later(evidence).filter(~pl.col("resolution")).unique("market_id", keep="first", maintain_order=True)
        markets = evidence.prompts["market_id"].n_unique()
        says = f"the prompts of {hit.height:,} of {counted(markets, 'market')} name a day later than as-of"
        yield from self.found(of_markets(hit, pl.format("the prompt says {}", "text")), markets, "markets", says)
        used = evidence.used.filter(~pl.col("other")).join(
            evidence.forecasts.select("forecast_id", "as_of").unique("forecast_id"), on="forecast_id"
        )
        dated = used.drop_nulls(["last_date", "as_of"])
        late = dated.filter(pl.col("last_date") > pl.col("as_of").dt.strftime("%Y-%m-%d"))
        says = f"{late.height:,} of {counted(dated.height, 'dated tool result')} hold something of a day later than as-of"
        rows = of_tool_calls(late, pl.format("{} gave something of {}", "tool", "last_date"))
        yield from self.found(rows, dated.height, "dated tool results", says)


class Misreading(Rule):
    """Numbers and months are held against the prompt, in whatever form they stand there: 2026-07-01 has July in it."""

    name = "misreading"
    severity = "warning"
    looks_for = "agents whose reading of the question names a number or a month that the question does not have"
    stage = "reading"
    modes: ClassVar = ("1.1", "2.3")
    needs = ("asks", "prompts")

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        blocks = evidence.prompts.group_by("market_id").agg(pl.col("block").str.join("\n"))
        asked = evidence.markets.select("market_id", "question").unique("market_id", keep="first")
        known = blocks.join(asked, on="market_id", how="left")
        words = {row[0]: _words(f"{row[1]}\n{row[2] or ''}") for row in known.iter_rows()}
        said = evidence.said.filter(
            pl.col("reading").fill_null("").str.contains(r"\w") & pl.col("market_id").is_in(list(words))
        )
        readings = said.select("market_id", "reading").unique(maintain_order=True)
        strange = [sorted(_words(reading) - words[market]) for market, reading in readings.iter_rows()]
        strangers = pl.Series([", ".join(found) for found in strange], dtype=pl.String)
        hit = readings.with_columns(strange=strangers).filter(pl.col("strange") != "")
        rows = said.join(hit, on=["market_id", "reading"]).sort("configuration", "market_id", "replicate", "ask")
        says = (
            f"{rows.height:,} of {counted(said.height, 'reading')} of the question name a number or month that neither "
            "it nor its "
            f"description has, in {counted(rows['forecast_id'].n_unique(), 'forecast')}"
        )
        yield from self.found(of_asks(rows, pl.format("reads {} into it", "strange")), said.height, "readings", says)


class UnsupportedClaim(Rule):
    name = "unsupported_claim"
    severity = "warning"
    looks_for = "a figure in a report that neither the prompt nor any tool result holds"
    stage = "talk"
    modes: ClassVar = ("3.2",)
    needs = ("reports",)

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        marked = evidence.reports.filter(pl.col("text").str.contains(f"(?i){_CLAIM.pattern}"))
        strange = [_unheard(text or "", seen or "") for text, seen in marked.select("text", "seen").iter_rows()]
        hit = marked.with_columns(claims=pl.Series([", ".join(found[:3]) for found in strange], dtype=pl.String))
        rows = hit.filter(pl.col("claims") != "").join(evidence.cells, on="forecast_id", how="left")
        rows = rows.sort("configuration", "market_id", "replicate", "ask")
        says = (
            f"{rows.height:,} of {counted(evidence.reports.height, 'report')} state an amount that nothing holds that "
            "their author "
            "was shown: from memory, or made up"
        )
        rows = of_asks(rows, pl.format("states {}", "claims"))
        yield from self.found(rows, evidence.reports.height, "reports", says)

    def suspects(self, evidence: Evidence) -> pl.DataFrame:
        return joined(finding.rows for finding in self.find(evidence))


def _unheard(text: str, seen: str) -> list[str]:
    """The figures of a text that what was seen has in no form."""
    plain = seen.replace(",", "")
    return [claim for claim in dict.fromkeys(_CLAIM.findall(text)) if not any(form in plain for form in _forms(claim))]


def _forms(claim: str) -> Iterator[str]:
    """The number as it may stand in a source; a percentage as a share too, as a price is: 51.1% is 0.511."""
    number = re.sub(r"[^\d.]", "", claim).rstrip(".")
    yield number
    if claim.endswith("%"):
        yield f"{float(number) / 100:.6f}".rstrip("0")


def _words(text: str) -> set[str]:
    """Its months and its numbers, without zeros in front; a number of one digit counts where it is the day of a month."""
    found = {word.lstrip("0") or "0" for word in _NUMBER.findall(text)}
    for match in _MONTH.finditer(text):
        found.add(str(_MONTHS.index(match["name"][:3].lower()) + 1))
        found |= {day.lstrip("0") for day in (match["before"], match["after"]) if day}
    return found


def _later(evidence: Evidence) -> pl.DataFrame:
    """market_id, text, resolution: the later days in each prompt; `resolution`: the market resolved then."""
    facts = {row["market_id"]: row for row in evidence.markets.to_dicts()}
    found: list[dict[str, Any]] = []
    for market_id, block in evidence.prompts.select("market_id", "block").unique(maintain_order=True).iter_rows():
        facts_of = facts.get(market_id)
        if facts_of is None or not isinstance(facts_of["as_of"], datetime) or not block:
            continue
        own = {day for written in dates_in(facts_of["question"] or "") for day in (written.first, written.last)}
        known = {_day(facts_of["scheduled_close"]), facts_of["as_of"].date(), *own}
        resolved = _day(facts_of["resolved_at"])
        lines = _OWN_WORDS.sub("", block)
        if minute := _minute(facts_of):  # to the minute it is no date of the question's, whatever day that names
            told = next((line for line in lines.splitlines() if minute in line), None)
            if told is not None:
                found.append({"market_id": market_id, "text": told[:120], "resolution": True})
                lines = lines.replace(told, "")
        for written in dates_in(lines):
            if _is_later(written, facts_of["as_of"].date(), known):
                line = next((line for line in block.splitlines() if written.text in line), written.text)
                found.append({"market_id": market_id, "text": line[:120], "resolution": written.first == resolved})
    return pl.DataFrame(found, schema={"market_id": pl.String, "text": pl.String, "resolution": pl.Boolean})


def _is_later(written: Written, day: date, known: Collection[date | None]) -> bool:
    return written.first > day and not {written.first, written.last} & set(known)


def _minute(facts: dict[str, Any]) -> str | None:
    """When a market resolved, as far as the minute; None where that was known as its deadline, or not later than as-of."""
    at, close = facts["resolved_at"], facts["scheduled_close"]
    if not isinstance(at, datetime) or at <= facts["as_of"]:
        return None
    minute = f"{at:%Y-%m-%dT%H:%M}"
    return None if isinstance(close, datetime) and f"{close:%Y-%m-%dT%H:%M}" == minute else minute


def _day(at: Any) -> date | None:
    return at.date() if isinstance(at, datetime) else None
