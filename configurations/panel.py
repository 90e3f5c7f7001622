"""The panel: the only thing, beside a market, that a configuration is given.

Through it a configuration asks agents, shows them what others said, and concludes. It reaches no model, tool, clock,
budget or database, so a configuration cannot change them. Everything that passes is recorded: who was asked, what each
was shown, what each answered.
"""

import asyncio
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from numbers import Real
from typing import Any, Protocol

import orjson

from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed
from coordeval.agents.scaffold import AnswerKind, Ask, Statement, plain
from coordeval.configurations.acts import Acts, Agreement
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.said import Estimate, Material, Report, Said, Statistic
from coordeval.market_data.errors import CoordevalError

__all__ = [
    "Answering",
    "Estimate",
    "Forecast",
    "Material",
    "NoAnswer",
    "NoForecast",
    "Panel",
    "PanelError",
    "Report",
    "Said",
    "Shown",
    "Statistic",
    "call_graph",
    "peers",
]


class PanelError(CoordevalError):
    """A configuration used the panel in a way that it does not allow: a mistake in the configuration's code."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a configuration answers for one market: a finite number in [0, 1]. Made by `Panel.conclude` only."""

    probability: float

    def __post_init__(self) -> None:
        value = self.probability
        sound = isinstance(value, Real) and not isinstance(value, bool) and 0 <= value <= 1
        number = float(value) if sound else math.nan
        if not 0 <= number <= 1:  # refuses NaN too, and what only compares as if it were a number in between
            raise PanelError(f"conclude({value!r}): a forecast is a probability, a finite number in [0, 1]")
        object.__setattr__(self, "probability", number)


class NoForecast(PanelError):
    """A configuration has no answer for this market. Raise it with the reason: the cell becomes a failed row."""


class NoAnswer(AskFailed):
    """An agent has no valid answer, for good; of several asked at once, the majority has none.

    Under `failure_handling = "exclude"` a configuration may catch it and go on with whoever answered; not caught, its reason
    is the cell's. Under "abort" the cell fails with it, caught or not.
    """


class Answering(Protocol):
    """Whoever answers asks; the panel does not know how."""

    async def answer(self, ask: Ask) -> Answer: ...


def peers(estimates: Sequence[Estimate], own: Estimate) -> Sequence[Said]:
    """Everybody else's estimates."""
    return [e for e in estimates if e.agent != own.agent]


Shown = Callable[[Sequence[Estimate], Estimate], Sequence[Material]]

MOST_AGENTS = 10_000


@dataclass(slots=True)
class Panel:
    """One cell's panel. A configuration uses `question`, `market_price`, the asking verbs and `conclude`."""

    question: str
    market_price: float | None
    """Price of YES at the as-of time, in [0, 1]; None where it is unknown or hidden from this study's agents."""
    elements: InitVar[Elements]
    roles: InitVar[Mapping[str, str]]
    answering: InitVar[Answering]
    facts: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    """What was known of the market when it opened, as numbers: category, horizon_days (to the scheduled close),
    question_characters, description_characters, documents. Agents are shown the same in words; one not known is absent."""
    aborted: str | None = field(default=None, init=False)
    """Where failures are handled by "abort": the first one."""
    _asks: list[dict[str, Any]] = field(default_factory=list, init=False, repr=False)
    _statistics: list[Statistic] = field(default_factory=list, init=False, repr=False)
    _acts: Acts = field(default_factory=Acts, init=False, repr=False)
    _spoke: set[tuple[int, int]] = field(default_factory=set, init=False, repr=False)
    _concluded: list[tuple[Forecast, float]] = field(default_factory=list, init=False, repr=False)
    _elements: Elements = field(init=False, repr=False)
    _roles: Mapping[str, str] = field(init=False, repr=False)
    _answering: Answering = field(init=False, repr=False)

    def __post_init__(self, elements: Elements, roles: Mapping[str, str], answering: Answering) -> None:
        self._elements, self._roles, self._answering = elements, roles, answering

    async def ask(
        self,
        role: str,
        *,
        agent: int = 0,
        shown: Sequence[Material] = (),
        continues: Said | None = None,
        without_tools: bool = False,
        **details: object,
    ) -> Estimate:
        """One agent's estimate. `details` fill the {placeholders} of the role text. Raises NoAnswer where it has none.

        `agent` is its number. One number speaks once in a round, so an agent that is asked beside another of its number
        gets the next that is free. `continues`: the conversation in which this was said goes on, so all that was said in
        it is known to whoever is asked now. `without_tools`: what the study gives of tools is withheld from this ask, which
        the role declares (`Endpoint(..., tools="optional")`); none can be added.
        """
        asked = self._prepare(role, "estimate", agent, shown, details, continues=continues, without_tools=without_tools)
        said = await self._put(asked)
        assert isinstance(said, Estimate)
        return said

    async def ask_each(
        self, role: str, agents: int, *, shown: Sequence[Material] = (), without_tools: bool = False, **details: object
    ) -> list[Estimate]:
        """The estimates of `agents` agents who do not see each other, all asked at once; `without_tools` as in `ask`."""
        if isinstance(agents, bool) or not isinstance(agents, int) or not 1 <= agents <= MOST_AGENTS:
            raise PanelError(
                f"ask_each({role!r}, {agents!r}): the number of agents is a whole number from 1 to {MOST_AGENTS}"
            )
        asks = [
            self._prepare(role, "estimate", agent, shown, details, without_tools=without_tools) for agent in range(agents)
        ]
        return [said for said in await self._gather(asks) if isinstance(said, Estimate)]

    async def revise(
        self, estimates: Sequence[Estimate], *, role: str, shown: Shown = peers, **details: object
    ) -> list[Estimate]:
        """Each agent estimates again, shown its own estimate and what `shown` picks for it (by default its peers')."""
        asks = [
            self._prepare(role, "estimate", e.agent, shown(estimates, e), {"agents": len(estimates), **details}, own=e)
            for e in estimates
        ]
        return [said for said in await self._gather(asks) if isinstance(said, Estimate)]

    async def report(self, role: str, *, agent: int = 0, shown: Sequence[Material] = (), **details: object) -> Report:
        """One agent's report: text, and the list of items where the role asks for one."""
        said = await self._put(self._prepare(role, "report", agent, shown, details))
        assert isinstance(said, Report)
        return said

    async def delegate(self, role: str, plan: Report, *, limit: int) -> list[Report]:
        """One agent per part of a plan, at most `limit`, all asked at once; {task} in the role text is the agent's part."""
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_AGENTS:
            raise PanelError(f"delegate({role!r}, limit={limit!r}): the limit is a whole number from 1 to {MOST_AGENTS}")
        record = self._asks[self._own(plan, "delegate()").ask]
        record["parts"] |= {"asked": record["parts"]["asked"] or limit, "dropped": len(plan.parts[limit:])}
        tasks = plan.parts[:limit] or (plan.text,)
        asks = [self._prepare(role, "report", i, (), {"task": task}, given=plan) for i, task in enumerate(tasks)]
        return [said for said in await self._gather(asks) if isinstance(said, Report)]

    async def commit(
        self,
        role: str,
        estimates: Sequence[Estimate],
        *,
        shown: Sequence[Material] = (),
        within: float = 0.05,
        **details: object,
    ) -> list[Report]:
        """What the agents of these estimates commit themselves to, all asked at once, each shown its own estimate too.

        Each part of such a report is one act on a numbered proposal (`configurations.acts`). They are done in the order of
        asking, once all have answered. `within`: how far a later estimate may lie from what it is bound to.
        """
        if isinstance(within, bool) or not isinstance(within, int | float) or not 0 <= within <= 1:
            raise PanelError(f"commit({role!r}, within={within!r}): it is a difference of probabilities, from 0 to 1")
        told = {"agents": len(estimates), "within": within, **details}
        asks = [self._prepare(role, "report", e.agent, shown, told, own=e) for e in estimates]
        return [self._entered(said, float(within)) for said in await self._gather(asks) if isinstance(said, Report)]

    def positions(self) -> str:
        """Every proposal and who stands where on it, in words, to be shown as a statistic of the reports."""
        return self._acts.words()

    def agreement(self) -> Agreement | None:
        """Who agreed to the proposal with the most agreements, the newest of several, who only acknowledged it, who
        rejected it; None where there is no proposal."""
        return self._acts.best()

    def statistic(self, text: str, *, of: Sequence[Said]) -> Statistic:
        """A sentence about what was said, to be shown like it: whoever may be shown all of `of` may be shown this.

        Raises PanelError for a blank text, for nothing that it is of, and for what nobody in this panel said.
        """
        if not isinstance(text, str) or not text.strip():
            raise PanelError(f"statistic({text!r}): it is a text that says something")
        if not of:
            raise PanelError(f"statistic({text!r}): say what it is a statistic of, with of=estimates")
        made = Statistic(text=text, of=tuple(self._own(said, "statistic()") for said in of))
        self._statistics.append(made)
        return made

    def conclude(self, probability: float) -> Forecast:
        """The configuration's answer. Raises PanelError unless it is a number in [0, 1]."""
        forecast = Forecast(probability)
        self._concluded.append((forecast, forecast.probability))
        return forecast

    def answered(self, returned: object) -> float:
        """The probability in what `forecast` returned. Raises PanelError unless `conclude` of this panel made it."""
        for forecast, probability in self._concluded:
            if forecast is returned:
                if forecast.probability is probability:
                    return probability
                raise PanelError(f"the forecast was changed after conclude({probability!r}); conclude with what you mean")
        raise PanelError(
            f"forecast() returned {_shown(returned)}, which this panel's conclude did not make; return "
            "panel.conclude(probability)"
        )

    @property
    def tokens(self) -> int:
        """Input and output tokens of this cell's calls so far; the same for the same answers, however fast they came."""
        return int(getattr(self._answering, "tokens", 0))

    @property
    def asks(self) -> list[dict[str, Any]]:
        """One record per ask, in program order: what was asked, of whom, what was shown, what came back."""
        return [dict(record) for record in self._asks]

    @property
    def call_graph(self) -> str:
        """Hash of roles, rounds and who was shown what: equal for two cells that ran one and the same procedure."""
        return call_graph([(a["role"], a["round"], _kind(a), a["direct"]) for a in self._asks])

    def _prepare(
        self,
        role: str,
        kind: AnswerKind,
        agent: int,
        shown: Sequence[Material],
        details: Mapping[str, object],
        *,
        own: Estimate | None = None,
        given: Report | None = None,
        continues: Said | None = None,
        without_tools: bool = False,
    ) -> tuple[Ask, dict[str, Any]]:
        """The ask and its record; `given` is a report that reaches the agent through its role text, `continues` something
        that was said in the conversation which goes on.

        Runs without awaiting, so asks are numbered in program order.
        """
        endpoint = next((e for e in self._elements.endpoints if e.role == role), None)
        if endpoint is None or endpoint.answers != kind:
            declared = ", ".join(f"{e.role} ({e.answers})" for e in self._elements.endpoints) or "none"
            raise PanelError(f"role {role!r} was asked for its {kind}, but elements.endpoints declares: {declared}")
        if isinstance(agent, bool) or not isinstance(agent, int) or not 0 <= agent < MOST_AGENTS:
            raise PanelError(f"role {role!r}: agent is {agent!r}; it is a whole number from 0 to {MOST_AGENTS - 1}")
        withheld = self._withheld(endpoint, without_tools, continues)
        others = [self._material(said, role) for said in shown]
        visible: list[Material] = [said for said in others if said != own]
        if own is not None:
            visible.insert(0, self._material(own, role))
        for i, said in enumerate(visible):
            if said in visible[:i]:
                what = f"what {said.role!r} said in ask {said.ask}" if not isinstance(said, Statistic) else "a statistic"
                raise PanelError(f"{role!r} was shown {what} twice; show each once")
        sources = [*visible, *(self._material(one, role) for one in (given, continues) if one is not None)]
        if continues is not None and (continues.role in self._elements.blind) != (role in self._elements.blind):
            raise PanelError(
                f"{role!r} goes on with a conversation of {continues.role!r}, and only one of them sees the price; one "
                "conversation has one view of the market"
            )
        round_ = 1 + max((said.round for said in sources), default=-1)
        number = self._number(agent, round_)
        statements = [
            Statement(author="the panel", role="statistic", round=said.round, text=said.text)
            if isinstance(said, Statistic)
            else Statement(
                author="you" if said == own else f"agent {said.agent + 1}",
                role=said.role,
                round=said.round,
                text=said.statement,
            )
            for said in visible
        ]
        try:
            role_text = self._roles[role].format_map({name: plain(value) for name, value in details.items()})
        except KeyError as error:
            raise PanelError(f"role text {role!r} has the placeholder {error}, which the ask does not fill") from error
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise PanelError(f"role text {role!r}: {error}; braces mark a placeholder, so double any other brace") from error
        ask = Ask(
            ordinal=len(self._asks),
            agent=number,
            round=round_,
            role=endpoint.role,
            role_text=role_text,
            answer=kind,
            shown=statements,
            show_price=endpoint.sees_price,
            continues=None if continues is None else continues.ask,
            without_tools=withheld,
        )
        record: dict[str, Any] = {
            "ask": ask.ordinal,
            "agent": number,
            "round": ask.round,
            "role": endpoint.role,
            "kind": kind,
            "shown": sorted({source.ask for said in sources for source in _said(said)}),
            "direct": sorted({said.ask for said in sources if not isinstance(said, Statistic)}),
            "statistics": [(said.text, [one.ask for one in said.of]) for said in visible if isinstance(said, Statistic)],
            "parts": {"asked": _count(details), "given": 0, "blank": 0, "repeated": 0, "dropped": 0},
            "without_tools": withheld,
            "said": None,
            "failure": "not answered",
        }
        self._asks.append(record)
        self._spoke.add((number, round_))
        return ask, record

    def _withheld(self, endpoint: Endpoint, asked: object, continues: Said | None) -> bool:
        """Whether this ask has no tools; PanelError where the role does not declare that it may be so."""
        if not isinstance(asked, bool):
            raise PanelError(f"role {endpoint.role!r}: without_tools is {asked!r}; it is True or False")
        if asked and endpoint.tools == "given":
            raise PanelError(
                f"role {endpoint.role!r} was asked without tools, which its endpoint does not declare: give it "
                f'Endpoint({endpoint.role!r}, {endpoint.answers!r}, tools="optional") in elements'
            )
        withheld = asked or endpoint.tools == "withheld"
        had = continues is not None and not (self._record_of(continues) or {"without_tools": withheld})["without_tools"]
        if withheld and had:
            raise PanelError(
                f"{endpoint.role!r} goes on, without tools, with a conversation that had them: what stands in it was said "
                "with tools; ask it anew, and show it what was said"
            )
        return withheld

    def _record_of(self, said: Said) -> dict[str, Any] | None:
        return self._asks[said.ask] if self._heard(said.ask) is not None else None

    def _entered(self, said: Report, within: float) -> Report:
        """The report with the acts in its parts, which are done with that."""
        acts = self._acts.read(said.parts, agent=said.agent, round_=said.round, ask=said.ask, within=within)
        self._asks[said.ask]["said"] = replace(said, acts=acts)
        return replace(said, acts=acts)

    def _heard(self, ask: object) -> Said | None:
        """What was said in the ask of this number; None where nothing was."""
        if not isinstance(ask, int) or isinstance(ask, bool) or not 0 <= ask < len(self._asks):
            return None
        said: Said | None = self._asks[ask]["said"]
        return said

    def _own(self, said: object, where: str) -> Said:
        """`said`, where an agent of this panel said just that; PanelError else."""
        if not isinstance(said, Estimate | Report):
            raise PanelError(f"{where} was given {_shown(said)}; it takes what agents of this panel said")
        ours = self._heard(said.ask)
        if type(said) is not type(ours) or said != ours:
            raise PanelError(
                f"{where} was given {_shown(said)}, which nobody in this panel said: it was made or changed by hand, or is "
                "another market's; what you work out of it yourself is panel.statistic(text, of=...)"
            )
        return ours

    def _material(self, said: Material, role: str) -> Material:
        """What `role` is shown, where it is of this panel and the topology has its edges; PanelError else."""
        if isinstance(said, Statistic):
            if said not in self._statistics:
                raise PanelError(f"{role!r} was shown {_shown(said)}, which this panel's statistic() did not make")
        else:
            said = self._own(said, repr(role))
        for source in _said(said):
            if (source.role, role) not in self._elements.topology:
                raise PanelError(f"{role!r} was shown what {source.role!r} said, but elements.topology has no such edge")
        return said

    def _number(self, agent: int, round_: int) -> int:
        """The agent's number: the one that it was given, or the next that is free where that one spoke in this round."""
        if (agent, round_) not in self._spoke:
            return agent
        return 1 + max(number for number, _ in self._spoke)

    async def _put(self, prepared: tuple[Ask, dict[str, Any]]) -> Said:
        ask, record = prepared
        try:
            answer = await self._answering.answer(ask)
        except AskFailed as failure:
            record["failure"] = failure.reason
            if failure.retryable:
                raise
            if self._elements.failure_handling == "abort" and self.aborted is None:
                self.aborted = failure.reason
            raise NoAnswer(failure.reason) from failure
        except asyncio.CancelledError:
            record["failure"] = "called off before it was answered"
            raise
        said: Said
        if answer.probability is None:
            said = Report(
                agent=ask.agent,
                role=ask.role,
                round=ask.round,
                ask=ask.ordinal,
                text=answer.text,
                parts=answer.parts,
            )
            record["parts"] |= {"given": len(said.parts), "repeated": _repeated(said.parts), "blank": answer.blank}
        else:
            said = Estimate(
                agent=ask.agent,
                role=ask.role,
                round=ask.round,
                ask=ask.ordinal,
                probability=answer.probability,
                rationale=answer.text,
                reading=answer.reading,
            )
        record["said"], record["failure"] = said, None
        return replace(said)  # what is recorded stays as it is, whatever becomes of what was handed out

    async def _gather(self, asks: Sequence[tuple[Ask, dict[str, Any]]]) -> list[Said]:
        """All at once; waits for every one, so that no paid reply is lost, then applies the failure handling."""
        results = await asyncio.gather(*(self._put(prepared) for prepared in asks), return_exceptions=True)
        said = [r for r in results if isinstance(r, Estimate | Report)]
        failures = [r for r in results if isinstance(r, BaseException)]
        failures.sort(key=lambda failure: isinstance(failure, AskFailed))  # what is no agent's failure is heard first
        for failure in failures:
            final = isinstance(failure, AskFailed) and not failure.retryable
            if not final or self._elements.failure_handling == "abort" or len(asks) == 1:
                raise failure
        if failures and 2 * len(said) <= len(asks):
            first = failures[0]
            assert isinstance(first, AskFailed)
            raise NoAnswer(f"{len(failures)} of {len(asks)} agents failed, a majority must answer; first: {first.reason}")
        return said


def _said(shown: Material) -> tuple[Said, ...]:
    return shown.of if isinstance(shown, Statistic) else (shown,)


def _count(details: Mapping[str, object]) -> int | None:
    """How many parts a role asks for: by custom {count} of its text says it."""
    asked = details.get("count")
    return asked if isinstance(asked, int) and not isinstance(asked, bool) and 0 < asked < 2**31 else None


def _repeated(parts: Sequence[str]) -> int:
    """Parts that another one says already, but for case and white space."""
    return len(parts) - len({" ".join(part.casefold().split()) for part in parts})


def _kind(record: Mapping[str, Any]) -> str:
    """The kind of an ask, and of whom it was shown a statistic: a mean of three is not the three."""
    of = [list(sources) for _, sources in record["statistics"]]
    without = " without tools" if record["without_tools"] else ""
    return str(record["kind"]) + without + (f" with statistics of {of}" if of else "")


def _shown(thing: object) -> str:
    """A foreign object in a message, whatever its own repr does."""
    try:
        return f"{thing!r:.200}" if isinstance(thing, str) else repr(thing)[:200]
    except Exception:
        return f"a {type(thing).__name__}"


def call_graph(asks: Sequence[tuple[str, int, str, Sequence[int]]]) -> str:
    """sha256 of the procedure: per ask its role, round, kind of answer and the asks whose answers it was shown."""
    rows = [[role, round_, kind, list(shown)] for role, round_, kind, shown in asks]
    return hashlib.sha256(b"call-graph/1\x1f" + orjson.dumps(rows)).hexdigest()
