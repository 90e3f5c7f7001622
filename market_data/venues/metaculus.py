"""Metaculus: binary questions that resolved in a window. It needs a token: METACULUS_TOKEN.

**Not verified against a settled recording: none exists here.** The shapes are those of Metaculus' OpenAPI file
(Metaculus/metaculus, docs/openapi.yml), of `market-apis.md` §E and of ForecastBench's reader. Mind its Terms of Use:
they ask for written permission before data of the API is used to train or evaluate AI models. Traps:

- The feed lists posts. A post is one question, a group of them, a conditional pair or a notebook; each question
  is a market and a post one event. Ids of questions and posts are different numbers.
- It pages by offset and filters by no resolution time, so it is read whole, oldest publication first: a post that resolves
  meanwhile makes one come a second time, and none is skipped. Its `next` is not followed, as the token would be sent there.
- `actual_close_time` tells of early resolution; the deadline that is shown is `scheduled_close_time`.
- Resolutions: yes, no, ambiguous, annulled; null where the token may not see it.
- The community prediction may be absent for a token without privileges, and was hidden until `cp_reveal_time`.
- 1,000 requests an hour.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.http import BadAnswer, FetchError
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.polymarket.fields import SchemaChange, keep_aside, name_of
from coordeval.market_data.polymarket.resolution import Verdict
from coordeval.market_data.types import Market, Outcome, PricePoint, utc
from coordeval.market_data.venues.listing import Completeness, Listed, Page, Paged, Prices
from coordeval.market_data.venues.metaculus_token import BASE_URL, HINT, TOKEN_VARIABLE, metaculus_client
from coordeval.market_data.venues.reading import Reader, evidence
from coordeval.market_data.venues.walk import id_of, next_page, rows_of

NAME = "metaculus"
REQUESTS_PER_SECOND = 0.25
_PAGE_SIZE = 100
_RESOLUTIONS: Mapping[str, Verdict] = {
    "yes": ("resolved", 1, ""),
    "no": ("resolved", 0, ""),
    "ambiguous": ("voided", None, "resolved as ambiguous"),
    "annulled": ("voided", None, "annulled"),
    "": ("unresolved", None, "resolved, but no resolution is shown: the token may not see it"),
}
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaculusFacts:
    """A snapshot at the time of the request."""

    question_id: str
    post_id: str
    status: str
    resolution: str
    resolved_at: datetime | None
    resolution_set_at: datetime | None
    """When somebody entered the resolution; `resolved_at` may be dated back."""
    closed_at: datetime | None
    revealed_at: datetime | None
    """Until then nobody saw the community prediction."""
    forecasters: float | None


MetaculusQuestion = Listed[MetaculusFacts]


def metaculus_outcome(status: str, resolution: str, kind: str = "binary") -> Verdict:
    """(status, value, reason)."""
    if kind != "binary":
        return "not_yes_no", None, f"its type is {kind!r}; only a binary question has a truth to score"
    if status != "resolved":
        return "unresolved", None, f"its status is {status!r}, not resolved"
    unknown: Verdict = ("contradictory", None, f"the resolution {resolution!r} is none of yes, no, ambiguous, annulled")
    return _RESOLUTIONS.get(resolution, unknown)


def parse_question(row: Mapping[str, Any]) -> MetaculusQuestion | str:
    """The market of one question, with the `post` that `questions_of` put beside it. Raises SchemaChange."""
    if "kind" in row and "post" not in row:
        return str(row["kind"])
    field = Reader(row, f"Metaculus question {name_of(row, 'id')}")
    post = field.inner("post")
    question_id, post_id = _number(field, "id"), _number(post, "id")
    status, resolution = field.optional_text("status"), field.optional_text("resolution").casefold()
    resolved_at, opened_at = field.iso("actual_resolve_time"), field.iso("open_time")
    verdict = metaculus_outcome(status, resolution, field.text("type"))
    if verdict[0] == "resolved" and resolved_at and opened_at and resolved_at < opened_at:
        reason = f"resolved at {resolved_at.isoformat()}, before it opened at {opened_at.isoformat()}"
        verdict = ("contradictory", None, reason)
    texts = (field.optional_text(name) for name in ("description", "resolution_criteria", "fine_print"))
    return Listed(
        market=Market(
            id=question_id,
            source=NAME,
            event_id=f"{NAME}:{post_id}",
            simulated=False,
            url=f"https://www.metaculus.com/questions/{post_id}/",
            question=field.text("title"),
            description="\n\n".join(text for text in texts if text),
            category=_category(post),
            opened_at=opened_at,
            scheduled_close=field.iso("scheduled_close_time"),
        ),
        outcome=Outcome(
            market_id=question_id, status=verdict[0], value=verdict[1], resolved_at=resolved_at, reason=verdict[2]
        ),
        facts=MetaculusFacts(
            question_id=question_id,
            post_id=post_id,
            status=status,
            resolution=resolution,
            resolved_at=resolved_at,
            resolution_set_at=field.iso("resolution_set_time"),
            closed_at=field.iso("actual_close_time"),
            revealed_at=field.iso("cp_reveal_time"),
            forecasters=post.count("nr_forecasters"),
        ),
        evidence=evidence(status=status, resolution=resolution, actual_resolve_time=resolved_at),
        volume=None,
    )


def questions_of(post: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The questions of a post, each with its `post`; a post without any is one row with its `kind`."""
    about = {"id": post.get("id"), "projects": post.get("projects"), "nr_forecasters": post.get("nr_forecasters")}
    if isinstance(question := post.get("question"), Mapping):
        return [{**question, "post": about}]
    if isinstance(group := post.get("group_of_questions"), Mapping):
        shared = {name: group.get(name) for name in ("description", "resolution_criteria", "fine_print")}
        rows = group.get("questions")
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            return [{"id": f"of the group in post {name_of(post, 'id')}", "post": about}]  # refused by its id
        return [{**row, **{k: v for k, v in shared.items() if not row.get(k)}, "post": about} for row in rows]
    kind = "conditional pair" if post.get("conditional") else "post without a question"
    return [{"id": f"post {name_of(post, 'id')}", "kind": kind}]


class Metaculus(Paged):
    """The venue; `client` must carry the token (`metaculus_client`)."""

    name = NAME
    base_url = BASE_URL
    requests_per_second = REQUESTS_PER_SECOND
    checked_against = "documentation only: no settled recording exists"
    needs = f"your token, in the variable {TOKEN_VARIABLE}"
    client = staticmethod(metaculus_client)

    async def pages(self, query: Query, *, resume: Completeness | None = None) -> AsyncIterator[Page[MetaculusFacts]]:
        """Raises FetchError, SchemaChange, DataError; CoordevalError where the token is refused."""
        if query.min_volume > 0:
            raise DataError("Metaculus has no volume, so min_volume would leave out every question; set it to 0")
        so_far = resume.going_on(NAME, query) if resume else self._begin(query)
        while not so_far.ended:
            asked = [
                ("statuses", "resolved"),
                ("forecast_type", "binary"),
                ("order_by", "published_at"),
                ("limit", str(_PAGE_SIZE)),
                ("offset", so_far.cursor),
            ]
            page = await self._ask("/posts/", asked, partial(self._page, so_far=so_far))
            so_far = page.so_far
            yield page

    async def prices(self, row: MetaculusQuestion, as_of: datetime, *, since: datetime | None = None) -> Prices:
        """The recency-weighted community prediction; kind "unstated", because nobody trades."""
        as_of = utc(as_of, f"market {row.market.id}, as-of time")
        read = partial(history_points, facts=row.facts, as_of=as_of, since=since)
        return await self._ask(f"/posts/{row.facts.post_id}/", [], read)

    async def _by_id(self, market_id: str, facts: Mapping[str, Any]) -> MetaculusQuestion | str:
        post_id = str(facts.get("post_id"))

        def check(payload: Any) -> MetaculusQuestion | str:
            Reader.of(payload, f"Metaculus post {post_id}")
            for row in questions_of(payload):
                read = parse_question(row) if str(row.get("id")) == market_id else ""
                if read:
                    return read
            return f"its post {post_id} does not hold it any more"

        return await self._ask(f"/posts/{post_id}/", [], check)

    async def _ask(self, path: str, params: list[tuple[str, str]], check: Callable[[Any], T]) -> T:
        try:
            return await self._client.get_json(self._service, path, params, check=check)
        except FetchError as error:
            if error.status not in (401, 403):
                raise
            raise CoordevalError(
                f"Metaculus refuses the token of {TOKEN_VARIABLE} (status {error.status}); {HINT}"
            ) from error

    def _begin(self, query: Query) -> Completeness:
        return Completeness(venue=NAME, clock="actual_resolve_time", query=query, started_at=self._clock(), cursor="0")

    def _page(self, payload: Any, *, so_far: Completeness) -> Page[MetaculusFacts]:
        posts = rows_of(payload, "results", "Metaculus page of posts", self._aside)
        following = payload.get("next", 0)
        if not (following is None or (isinstance(following, str) and following)):
            problem = ("next", "an address, or null on the last page (without it the list may be cut short)", following)
            raise SchemaChange("Metaculus page of posts", *problem, keep_aside(payload, self._aside))
        if following and not posts:
            raise BadAnswer("empty page", f"no posts from offset {so_far.cursor} on, but the list goes on")
        dated = [Reader(post, f"Metaculus post {name_of(post, 'id')}") for post in posts if isinstance(post, Mapping)]
        published = [at for post in dated if (at := _published(post)) is not None]
        if any(earlier > later for earlier, later in pairwise(published)):
            raise BadAnswer("page out of order", "the posts are not in the order of published_at, so some may be skipped")
        rows = [row for post in posts for row in (questions_of(post) if isinstance(post, Mapping) else [post])]
        known = set(so_far.last_ids) - {""}
        fresh = [row for row in rows if id_of(row, "id") not in known]
        if rows and not fresh:
            raise BadAnswer("repeated page", f"{len(rows)} questions come a second time: `offset` is ignored")
        state = {"cursor": str(int(so_far.cursor) + len(posts)), "ended": "" if following else "last page"}
        page = next_page(so_far, fresh, _resolved, id_field="id", aside=self._aside, **state)
        twice = Counter({"listed twice": len(rows) - len(fresh)}) if len(fresh) < len(rows) else Counter[str]()
        counted = page.so_far.extended(rows=len(rows) - len(fresh), passed_over=twice)
        return replace(page, so_far=counted)


def history_points(payload: Any, *, facts: MetaculusFacts, as_of: datetime, since: datetime | None = None) -> Prices:
    """The community prediction of one question of a post, up to as-of. Raises SchemaChange; DataError for another post."""
    post = Reader.of(payload, f"Metaculus post {facts.post_id}")
    if _number(post, "id") != facts.post_id:
        raise DataError(f"Metaculus post {facts.post_id}: the answer is about post {payload['id']}; check the base URL")
    found = [row for row in questions_of(payload) if str(row.get("id")) == facts.question_id]
    if not found:
        raise DataError(
            f"Metaculus post {facts.post_id} has no question {facts.question_id}; it was moved, so list it again"
        )
    aggregations = found[0].get("aggregations") or {}
    weighted = aggregations.get("recency_weighted") if isinstance(aggregations, Mapping) else None
    history = Reader(weighted, post.item).objects("history") if isinstance(weighted, Mapping) else []
    points: dict[datetime, PricePoint] = {}
    dropped: dict[str, int] = {}
    for entry in sorted((Reader(entry, post.item) for entry in history), key=lambda entry: entry.number("start_time") or 0):
        start = entry.seconds("start_time") or entry.changed("start_time", "seconds since 1970")
        at = max(start, facts.revealed_at) if facts.revealed_at else start
        centers = entry.row.get("centers")
        reason = "after as-of" if start > as_of else "hidden until after as-of" if at > as_of else ""
        reason = reason or ("before the window" if since is not None and at < since else "" if centers else "no center")
        if reason:
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        price = Reader({"centers[0]": centers[0] if isinstance(centers, list) else centers}, post.item).probability(
            "centers[0]"
        )
        points[at] = PricePoint(market_id=facts.question_id, knowable_at=at, price=price, kind="unstated")
    reason = "" if history else "the community prediction is not shown: the token has no access to it, or nobody forecast"
    ordered = tuple(points[at] for at in sorted(points))
    return Prices(
        market_id=facts.question_id, source="recency_weighted", as_of=as_of, points=ordered, dropped=dropped, reason=reason
    )


def _resolved(row: Mapping[str, Any]) -> MetaculusQuestion | str:
    read = parse_question(row)
    if isinstance(read, Listed) and read.facts.status in ("open", "upcoming"):
        return f"status {read.facts.status}"  # a group resolves question by question
    return read


def _number(field: Reader, name: str) -> str:
    value = field.row.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        field.changed(name, "a whole number")
    return str(value)


def _category(post: Reader) -> str:
    """The first of the post's categories; "" without any."""
    projects = post.row.get("projects")
    categories = projects.get("category") if isinstance(projects, Mapping) else None
    if not isinstance(categories, list) or not categories or not isinstance(categories[0], Mapping):
        return ""
    return Reader(categories[0], post.item).optional_text("name")


def _published(post: Reader) -> datetime | None:
    """None too where it cannot be read: such a post has no place in the order, and is read all the same."""
    try:
        return post.iso("published_at")
    except SchemaChange:
        return None
