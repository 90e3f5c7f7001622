"""The real panel at work for one worker process.

The process sends verbs, and the numbers of the asks whose answers are to be shown. What was said, by whom and when is never
taken from it: the panel carries the verbs out, with every check that it has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from inspect import signature
from typing import Any

import orjson

from coordeval.agents.cell import AskFailed
from coordeval.configurations.isolation.frames import (
    LENGTH,
    MOST_BYTES,
    MOST_BYTES_IN_ALL,
    MOST_MESSAGES,
    frame,
    object_in,
    said_as_json,
    too_long,
)
from coordeval.configurations.isolation.processes import Worker, WorkerEnded, how
from coordeval.configurations.panel import Estimate, Forecast, NoAnswer, NoForecast, Panel, PanelError, Report, Statistic
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.plugins import PluginError


class Serving:
    """Carries out, on the real panel, what one worker process asks for."""

    def __init__(self, panel: Panel, worker: Worker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._panel, self._worker, self._reader, self._writer = panel, worker, reader, writer
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._statistics: list[Statistic] = []
        self._messages = self._bytes = 0
        self._verbs: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "ask": self._ask,
            "ask_each": self._ask_each,
            "revise": self._revise,
            "report": self._report,
            "delegate": self._delegate,
            "commit": self._commit,
        }

    async def to_the_end(self) -> Forecast:
        while True:
            message = await self._next()
            try:
                if "closed" in message:
                    continue
                if "concluded" in message:
                    return self._panel.conclude(message["concluded"])
                if "raised" in message:
                    raised = [_raised(one) for one in message["raised"]]
                    break
                if "refused" in message:
                    raised = [PluginError(str(message["refused"]))]
                    break
                self._carry_out(message["verb"], int(message["number"]), message)
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                what = f"{type(error).__name__}: {error}"
                raise PanelError(f"its worker process sent what is no message to a panel ({what:.200})") from error
            await asyncio.sleep(0)  # what was asked first begins first, as it would in one process
        if len(raised) == 1:
            raise raised[0]
        raise BaseExceptionGroup("several", raised) if raised else PanelError("its worker process raised nothing at all")

    def over(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._writer.transport.abort()
        self._worker.end()

    async def _next(self) -> dict[str, Any]:
        try:
            (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            self._messages, self._bytes = self._messages + 1, self._bytes + length
            if length > MOST_BYTES:
                raise PanelError(f"its worker process sent {too_long(length)}")
            if self._bytes > MOST_BYTES_IN_ALL or self._messages > MOST_MESSAGES:
                most = f"{MOST_MESSAGES:,} messages of together {MOST_BYTES_IN_ALL:,} bytes"
                raise PanelError(f"its worker process sent more than the {most} that one cell may send")
            return object_in(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._worker.ended)), 5)
            status = self._worker.ended.result() if self._worker.ended.done() else None
            rule = "a configuration ends by returning panel.conclude(probability)"
            raise WorkerEnded(f"its worker process {how(status)} before it came to an end; {rule}") from None
        except orjson.JSONDecodeError as error:
            raise PanelError(f"its worker process sent what is no message to a panel ({error})") from error

    def _carry_out(self, verb: str, number: int, given: Mapping[str, Any]) -> None:
        if verb == "cancel":
            if (task := self._tasks.get(number)) is not None:
                task.cancel()
        elif verb == "statistic":
            self._answer(number, lambda: self._statistic(given))
        else:
            doing = self._verbs[verb](given)  # reads what was sent, here and now
            task = self._tasks[number] = asyncio.create_task(self._done(number, doing))
            task.add_done_callback(lambda task: self._tasks.pop(number, None))

    async def _done(self, number: int, doing: Awaitable[Any]) -> None:
        try:
            said = await doing
        except CoordevalError as error:
            self._failed(number, error)
        else:
            said = said if isinstance(said, list) else [said]
            self._write({"number": number, "said": [said_as_json(one) for one in said], "tokens": self._panel.tokens})

    def _answer(self, number: int, act: Callable[[], None]) -> None:
        try:
            act()
        except PanelError as error:
            self._failed(number, error)
        else:
            self._write({"number": number})

    def _failed(self, number: int, error: CoordevalError) -> None:
        kind = "NoAnswer" if isinstance(error, NoAnswer) else "PanelError"
        self._write({"number": number, "error": kind, "text": str(error)})

    def _write(self, message: Mapping[str, Any]) -> None:
        if not self._writer.transport.is_closing():
            self._writer.write(frame(message))

    def _ask(self, given: Mapping[str, Any]) -> Awaitable[Estimate]:
        shown, details = self._things(given["shown"]), _details(self._panel.ask, given["details"])
        on = self._thing(given["continues"]) if "continues" in given else None
        how = {"continues": on, "without_tools": _value(given.get("without_tools", False))}
        return self._panel.ask(_value(given["role"]), agent=_value(given["agent"]), shown=shown, **how, **details)

    def _ask_each(self, given: Mapping[str, Any]) -> Awaitable[list[Estimate]]:
        shown, details = self._things(given["shown"]), _details(self._panel.ask_each, given["details"])
        how = {"shown": shown, "without_tools": _value(given.get("without_tools", False))}
        return self._panel.ask_each(_value(given["role"]), _value(given["agents"]), **how, **details)

    def _report(self, given: Mapping[str, Any]) -> Awaitable[Report]:
        shown, details = self._things(given["shown"]), _details(self._panel.report, given["details"])
        return self._panel.report(_value(given["role"]), agent=_value(given["agent"]), shown=shown, **details)

    def _revise(self, given: Mapping[str, Any]) -> Awaitable[list[Estimate]]:
        of, details = self._things(given["of"]), _details(self._panel.revise, given["details"])
        picks = iter([self._things(pick) for pick in given["picks"]])
        if len(given["picks"]) != len(of):
            raise ValueError("revise: as many picks as estimates")
        return self._panel.revise(of, role=_value(given["role"]), shown=lambda everyone, own: next(picks), **details)

    def _delegate(self, given: Mapping[str, Any]) -> Awaitable[list[Report]]:
        [plan] = self._things([given["plan"]])
        return self._panel.delegate(_value(given["role"]), plan, limit=_value(given["limit"]))

    def _commit(self, given: Mapping[str, Any]) -> Awaitable[list[Report]]:
        of, shown = self._things(given["of"]), self._things(given["shown"])
        details = _details(self._panel.commit, given["details"])
        return self._panel.commit(_value(given["role"]), of, shown=shown, within=_value(given["within"]), **details)

    def _statistic(self, given: Mapping[str, Any]) -> None:
        self._statistics.append(self._panel.statistic(_value(given["text"]), of=self._things(given["of"])))

    def _things(self, named: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [self._thing(one) for one in named]

    def _thing(self, named: Mapping[str, Any]) -> Any:
        """What this panel's agents said, by number; what nobody said, as something that the panel refuses in its words."""
        if "ask" in named:
            said = self._panel._heard(named["ask"])
            return _Unsaid(f"the answer to ask {named['ask']!r}") if said is None else said
        if "statistic" in named:
            return self._statistics[named["statistic"]] if named["statistic"] >= 0 else _Unsaid("a statistic")
        kind = {"statistic": _UnmadeStatistic, "said": _Unsaid}.get(named["made"], _Words)
        return kind(str(named["words"]))


class _Words:
    """Something that only its words are known of."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __repr__(self) -> str:
        return self._words


class _Unsaid(Estimate):
    """An estimate or report that no agent of the panel gave."""

    __slots__ = ("words",)
    words: str

    def __init__(self, words: str) -> None:
        for name in Estimate.__slots__:
            object.__setattr__(self, name, 0)
        object.__setattr__(self, "words", words)

    def __repr__(self) -> str:
        return str(self.words)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


class _UnmadeStatistic(Statistic):
    """A statistic that the panel did not make."""

    __slots__ = ("words",)
    words: str

    def __init__(self, words: str) -> None:
        object.__setattr__(self, "text", "")
        object.__setattr__(self, "of", ())
        object.__setattr__(self, "words", words)

    def __repr__(self) -> str:
        return str(self.words)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


def _value(given: Any) -> Any:
    if isinstance(given, dict):
        return _Words(str(given["words"]))
    if isinstance(given, list):
        raise TypeError("a list is no argument of a verb")
    return given


def _details(verb: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    own = signature(verb).parameters
    for name, value in given.items():
        if name in own or not isinstance(value, int | str):
            raise ValueError(f"details: {name} = {value!r:.60}")
    return dict(given)


def _raised(given: Mapping[str, Any]) -> BaseException:
    """The error that a configuration raised, as far as its row tells it: by kind, name and text."""
    text, name = str(given["text"])[:2_000], str(given["type"])
    match given["kind"]:
        case "NoAnswer":
            return NoAnswer(text)
        case "AskFailed":
            return AskFailed(text, retryable=given["retryable"] is True)
        case "NoForecast":
            return NoForecast(text)
        case "PanelError":
            return PanelError(text)
        case "CancelledError":
            return asyncio.CancelledError(text)
    return _foreign(name if name.isidentifier() else "Exception")(text)


@lru_cache(maxsize=1000)
def _foreign(name: str) -> type[Exception]:
    return type(name, (Exception,), {"__module__": __name__})
