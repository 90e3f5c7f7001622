"""`pull-markets`: what resolved at a venue, each day the days before it."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from coordeval.flows.jobs.job import Done, Job, Say
from coordeval.flows.markets.pulling import pull_markets
from coordeval.flows.schedule.days import writing
from coordeval.market_data.venues import Query

PRICE_EVERY = timedelta(minutes=10)


def pull(study: Path | None, ledger: Path, *, day: date, now: datetime, say: Say, **options: Any) -> Done:
    """Every market that closed in the `days_back` whole days before `day`. A day is read to its end once; windows overlap,
    because a venue may list a closing late, and what is known already changes nothing."""
    end = datetime.combine(day, time(), UTC)
    query = Query(after=end - timedelta(days=options["days_back"]), before=end, min_volume=options["min_volume"])
    with writing(ledger, f"pull-markets of {day}") as book:
        statement = asyncio.run(
            pull_markets(
                book,
                options["source"],
                query,
                base_url=options["base_url"],
                price_days=options["prices"],
                price_every=PRICE_EVERY,
                contact=options["contact"],
            )
        )
    say(statement.statement())
    return Done(said=f"{statement.kept} markets of {statement.rows} rows closed between {query.after:%Y-%m-%d} and {day}")


JOB = Job(
    name="pull-markets",
    about="Reads what resolved at a venue into the ledger, with prices, each day the days before it.",
    do=pull,
    cron="15 5 * * *",
    of="venue",
    catch_up="each",
    options={"source": "polymarket", "days_back": 3, "min_volume": 0.0, "prices": 15.0, "contact": "", "base_url": None},
)
