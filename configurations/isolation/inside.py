"""What runs in a worker process: the plugin's file is loaded and does what it is asked, against a panel that is far away.

Nothing here is trusted by the run: a plugin can change all of it. So every check stands outside, in the real panel; what is
checked here as well only serves to raise the same error at the same place as without isolation.
"""

import asyncio
import base64
import os
import pickle
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from coordeval.agents.cell import AskFailed
from coordeval.configurations.base import Configuration
from coordeval.configurations.described import described
from coordeval.configurations.isolation.confine import MEMORY_BYTES
from coordeval.configurations.isolation.frames import LENGTH, frame, said_of
from coordeval.configurations.panel import (
    Estimate,
    Material,
    NoAnswer,
    NoForecast,
    Panel,
    PanelError,
    Report,
    Said,
    Shown,
    Statistic,
    peers,
)
from coordeval.configurations.panel import _shown as words
from coordeval.configurations.registry import Registry, classes_in
from coordeval.market_data.plugins import PluginError

_LONGEST = 2_000


class Line:
    """The socket to the run: requests that are awaited, and calls that are waited for on the spot."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._number = 0

    def send(self, message: Mapping[str, Any]) -> None:
        self._sock.sendall(frame(message))

    def next(self) -> Mapping[str, Any]:
        """The next message, waited for. Raises EOFError where the run is gone."""
        while (message := self._taken()) is None:
            if not (given := self._sock.recv(65536)):
                raise EOFError
            self._buffer += given
        return message

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_reader(self._sock.fileno(), self._arrived)

    async def request(self, verb: str, **given: Any) -> Mapping[str, Any]:
        number = self._ask(verb, given)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            return _good(await self._waiting[number])
        except asyncio.CancelledError:
            self.send({"verb": "cancel", "number": number})
            raise
        finally:
            del self._waiting[number]

    def call(self, verb: str, **given: Any) -> Mapping[str, Any]:
        number = self._ask(verb, given)
        while (answer := self.next())["number"] != number:
            self._hand_out(answer)
        return _good(answer)

    def _ask(self, verb: str, given: Mapping[str, Any]) -> int:
        self._number += 1
        self.send({"verb": verb, "number": self._number, **given})
        return self._number

    def _arrived(self) -> None:
        given = self._sock.recv(65536)
        if not given:
            os._exit(70)  # the run is gone
        self._buffer += given
        while (message := self._taken()) is not None:
            self._hand_out(message)

    def _taken(self) -> Mapping[str, Any] | None:
        if len(self._buffer) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._buffer)
        end = LENGTH.size + length
        if len(self._buffer) < end:
            return None
        message: Mapping[str, Any] = orjson.loads(bytes(self._buffer[LENGTH.size : end]))
        del self._buffer[:end]
        return message

    def _hand_out(self, answer: Mapping[str, Any]) -> None:
        future = self._waiting.get(answer["number"])
        if future is not None and not future.done():
            future.set_result(answer)


def _good(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    match answer.get("error"):
        case None:
            return answer
        case "NoAnswer":
            raise NoAnswer(answer["text"])
        case _:
            raise PanelError(answer["text"])


@dataclass(slots=True)
class Distant(Panel):
    """A panel whose verbs are carried out by the run's own one. What is shown goes by the number of its ask."""

    line: InitVar[Line]
    _line: Line = field(init=False, repr=False)
    _answers: dict[int, Said] = field(default_factory=dict, init=False, repr=False)
    _used: int = field(default=0, init=False, repr=False)

    def __post_init__(self, elements: Any, roles: Any, answering: Any, line: Line) -> None:
        Panel.__post_init__(self, elements, roles, answering)
        self._line = line

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
        on = {} if continues is None else {"continues": self._named(continues)}
        given: dict[str, Any] = {"role": role, "agent": agent}
        given |= {"without_tools": without_tools} if without_tools is not False else {}
        [said] = await self._said("ask", shown=shown, details=details, named=on, **given)
        assert isinstance(said, Estimate)
        return said

    async def ask_each(
        self, role: str, agents: int, *, shown: Sequence[Material] = (), without_tools: bool = False, **details: object
    ) -> list[Estimate]:
        given: dict[str, Any] = {"role": role, "agents": agents}
        given |= {"without_tools": without_tools} if without_tools is not False else {}
        said = await self._said("ask_each", shown=shown, details=details, **given)
        return [one for one in said if isinstance(one, Estimate)]

    async def revise(
        self, estimates: Sequence[Estimate], *, role: str, shown: Shown = peers, **details: object
    ) -> list[Estimate]:
        picks = [[self._named(one) for one in shown(estimates, own)] for own in estimates]
        of = [self._named(own) for own in estimates]
        answer = await self._line.request("revise", role=_plain(role), of=of, picks=picks, details=_details(details))
        return [one for one in self._hear(answer) if isinstance(one, Estimate)]

    async def report(self, role: str, *, agent: int = 0, shown: Sequence[Material] = (), **details: object) -> Report:
        [said] = await self._said("report", role=role, agent=agent, shown=shown, details=details)
        assert isinstance(said, Report)
        return said

    async def delegate(self, role: str, plan: Report, *, limit: int) -> list[Report]:
        answer = await self._line.request("delegate", role=_plain(role), plan=self._named(plan), limit=_plain(limit))
        return [one for one in self._hear(answer) if isinstance(one, Report)]

    async def commit(
        self,
        role: str,
        estimates: Sequence[Estimate],
        *,
        shown: Sequence[Material] = (),
        within: float = 0.05,
        **details: object,
    ) -> list[Report]:
        of = {"of": [self._named(own) for own in estimates]}
        said = await self._said("commit", role=role, shown=shown, details=details, named=of, within=within)
        reports = [one for one in said if isinstance(one, Report)]
        for report in reports:
            self._acts.add(report.acts)
        return reports

    def statistic(self, text: str, *, of: Sequence[Said]) -> Statistic:
        self._line.call("statistic", text=_plain(text), of=[self._named(said) for said in of])
        made = Statistic(text=text, of=tuple(of))
        self._statistics.append(made)
        return made

    @property
    def tokens(self) -> int:
        return self._used

    @property
    def asks(self) -> list[dict[str, Any]]:
        raise PanelError("panel.asks is the run's own record; an isolated configuration does not read it")

    async def _said(
        self,
        verb: str,
        *,
        shown: Sequence[Material],
        details: Mapping[str, object],
        named: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> list[Said]:
        """`named`: what is named already, as it is sent."""
        shown_by_name = [self._named(one) for one in shown]
        plain = {name: _plain(value) for name, value in given.items()} | dict(named or {})
        return self._hear(await self._line.request(verb, shown=shown_by_name, details=_details(details), **plain))

    def _hear(self, answer: Mapping[str, Any]) -> list[Said]:
        said = [said_of(given) for given in answer["said"]]
        self._used = int(answer["tokens"])
        self._answers |= {one.ask: replace(one) for one in said}
        return said

    def _named(self, said: object) -> dict[str, Any]:
        """What was said, by its number; what nobody said, in words, for the error that it deserves."""
        if isinstance(said, Statistic):
            for number, made in enumerate(self._statistics):
                if made == said:
                    return {"statistic": number}
            return {"made": "statistic", "words": words(said)}
        if not isinstance(said, Estimate | Report):
            return {"made": "thing", "words": words(said)}
        heard = self._answers.get(said.ask) if isinstance(said.ask, int) else None
        return {"ask": said.ask} if type(said) is type(heard) and said == heard else {"made": "said", "words": words(said)}


def _plain(value: Any) -> Any:
    """A value as JSON; what is none, in words."""
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return _text(value) if isinstance(value, str) else {"words": words(value)}


def _details(details: Mapping[str, object]) -> dict[str, Any]:
    """What fills a role text: numbers as numbers, for a count is one, and all else as the text that it will be."""
    return {name: _detail(value) for name, value in details.items()}


def _detail(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    return _text(value.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(value, "strftime") else str(value))


def _text(text: str) -> str:
    return text.encode(errors="replace").decode()


def main(sock: socket.socket, file: Path, closed: Sequence[str]) -> int:
    """Says what is closed, then does the one thing that it is asked; returns the exit status."""
    line = Line(sock)
    line.send({"closed": list(closed)})
    wanted = line.next()
    try:
        registry = Registry("configuration", {cls.name: cls for cls in classes_in(file)})
        if wanted["do"] == "describe":
            line.send({"rows": [described(cls) for cls in registry.classes.values()]})
            return 0
        configuration = registry.create(wanted["name"], pickle.loads(base64.b64decode(wanted["parameters"])))
        identity = dict(configuration.identity())
        if wanted["do"] == "create":
            line.send({"identity": identity})
            return 0
        if identity["code"] != wanted["code"]:
            raise PluginError(f"plugin file {file} was changed after the study was loaded; run it again")
    except PluginError as error:
        line.send({"refused": _said(error)})
        return 0
    line.send(_forecast(line, configuration, wanted))
    return 0


def _forecast(line: Line, configuration: Configuration, wanted: Mapping[str, Any]) -> dict[str, Any]:
    panel = Distant(
        question=wanted["question"],
        market_price=wanted["market_price"],
        facts=wanted["facts"],
        elements=configuration.elements,
        roles={},
        answering=None,  # type: ignore[arg-type]
        line=line,
    )
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    line.listen(loop)
    try:
        returned = loop.run_until_complete(configuration.forecast(panel))
        return {"concluded": panel.answered(returned)}
    except BaseException as error:  # whatever it is, it goes into the cell's row, as without isolation
        return {"raised": [_raised(leaf) for leaf in _leaves(error)]}


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _raised(error: BaseException) -> dict[str, Any]:
    kinds: tuple[type[BaseException], ...] = (NoAnswer, AskFailed, NoForecast, PanelError, asyncio.CancelledError)
    kind = next((kind.__name__ for kind in kinds if isinstance(error, kind)), "other")
    text = f"it wanted more than the {MEMORY_BYTES >> 20} MB that one worker process may hold"
    return {
        "kind": kind,
        "type": type(error).__name__[:100],
        "text": text if isinstance(error, MemoryError) else _said(error),
        "retryable": isinstance(error, AskFailed) and error.retryable is True,
    }


def _said(error: BaseException) -> str:
    try:
        return _text(str(error)[:_LONGEST])
    except Exception as worse:
        return f"(its text cannot be had: {type(worse).__name__})"
