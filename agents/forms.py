"""The forms in which agents answer, as data: the tool by which an answer is handed in, and what is a valid one there.

A cell offers its agents the tools of its forms and no other; a malformed answer is sent back once, whatever the form.
A form of your own is one `Form`: name a tool `submit_…`, and say what is wrong with what comes in it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coordeval.agents.answers import Answer, is_blank, read_estimate, read_report
from coordeval.agents.scaffold import ANSWER_TOOLS

Read = Callable[[Mapping[str, Any]], tuple[Answer | None, str]]
"""What was handed in → (the answer, "") or (None, what is wrong with it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form of answer."""

    name: str
    tool: Mapping[str, Any]
    """In the API's own names; it is called `submit_` and the form's name."""
    read: Read

    def __post_init__(self) -> None:
        if self.tool["name"] != f"submit_{self.name}":
            raise ValueError(f"form {self.name!r}: its tool is called {self.tool['name']!r}, it must be submit_{self.name}")


VERBS: Final = ("propose", "acknowledge", "agree", "reject", "withdraw")
"""What can be done about a proposal: to hear of it is not to agree to it."""
_WHO: Final = ("me", "you")


class _Malformed(ValueError):
    """What is wrong with what was handed in."""


def _checked(read: Callable[[Mapping[str, Any]], tuple[str, dict[str, Any]]]) -> Read:
    """A reader that gives (text, content) or raises _Malformed, as a form's."""

    def checked(given: Mapping[str, Any]) -> tuple[Answer | None, str]:
        try:
            text, content = read(given)
        except _Malformed as problem:
            return None, str(problem)
        return Answer(probability=None, text=text, content=content), ""

    return checked


def _rows_of(given: Any, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(row, Mapping) for row in given):
        raise _Malformed(f"{where} is {given!r:.200}, it must be a list of objects")
    return given


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _units(given: Any, where: str) -> list[dict[str, Any]]:
    """Rows of {who, resource, units} as they were given: a fraction or a negative number of units is no amount."""
    rows = []
    for i, row in enumerate(_rows_of(given, where), start=1):
        resource, units = row.get("resource"), row.get("units")
        if not isinstance(resource, str) or is_blank(resource):
            raise _Malformed(f"{where}, row {i}: resource is {resource!r:.100}, it must be the name of a resource")
        if not _whole(units, 0):
            raise _Malformed(f"{where}, row {i}: units of {resource} is {units!r:.100}, it must be a whole number from 0")
        if "who" in row and row["who"] not in _WHO:
            raise _Malformed(f"{where}, row {i}: who is {row['who']!r:.100}, it must be one of {', '.join(_WHO)}")
        rows.append({name: row[name] for name in ("who", "resource", "units") if name in row})
    return rows


def _text(given: Mapping[str, Any]) -> str:
    text = given.get("text")
    if not isinstance(text, str) or is_blank(text):
        raise _Malformed(f"text is {text!r:.100}, it must say something")
    return text


def _done(given: Mapping[str, Any]) -> bool:
    if not isinstance(done := given.get("done", False), bool):
        raise _Malformed(f"done is {done!r:.100}, it must be true or false")
    return done


def _message(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    text = _text(given)
    return text, {"text": text, "plan": _units(given.get("plan", []), "plan"), "done": _done(given)}


def _words(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return (text := _text(given)), {"text": text, "done": _done(given)}


def _act(act: Mapping[str, Any], where: str) -> dict[str, Any]:
    verb, number = act.get("verb"), act.get("proposal")
    if verb not in VERBS:
        raise _Malformed(f"{where}: verb is {verb!r:.100}, it must be one of {', '.join(VERBS)}")
    plan = _units(act.get("plan", []), f"{where}: plan")
    if verb == "propose":
        if not plan:
            raise _Malformed(f"{where}: to propose needs a plan, and there is none")
        return {"verb": verb, "proposal": None, "plan": plan}
    if not _whole(number, 1):
        raise _Malformed(f"{where}: to {verb} needs the number of a proposal, from 1, and proposal is {number!r:.100}")
    return {"verb": verb, "proposal": number, "plan": plan}


def _proposal(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    text = _text(given)
    acts = _rows_of(given.get("acts", []), "acts")
    done = _done(given)
    return text, {"text": text, "acts": [_act(act, f"acts, row {i}") for i, act in enumerate(acts, start=1)], "done": done}


def _submission(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if "purchases" not in given:
        raise _Malformed("purchases is missing; an empty list buys nothing")
    bought = [{"resource": row["resource"], "units": row["units"]} for row in _units(given["purchases"], "purchases")]
    names = [row["resource"] for row in bought]
    if twice := [name for name in names if names.count(name) > 1]:
        raise _Malformed(f"purchases names {twice[0]} twice; give each resource once")
    return ", ".join(f"{row['units']} {row['resource']}" for row in bought) or "nothing", {"purchases": bought}


def _tool(name: str, description: str, properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {
        "name": f"submit_{name}",
        "description": description,
        "input_schema": {
            "type": "object",
            "properties": dict(properties),
            "required": list(required),
            "additionalProperties": False,
        },
    }


def _rows(description: str, *, who: bool) -> dict[str, Any]:
    whose = {"who": {"type": "string", "enum": list(_WHO), "description": "Who buys them: me is who writes this."}}
    properties = {
        **(whose if who else {}),
        "resource": {"type": "string", "description": "The name of a resource."},
        "units": {"type": "integer", "description": "How many units, a whole number from 0."},
    }
    row = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "array", "items": row, "description": description}


_SAID: Final = {"type": "string", "description": "What you say, in one to three sentences."}
_NO_MORE: Final = {
    "type": "boolean",
    "description": "Whether you have nothing more to say; when all have not, the talk ends.",
}

ESTIMATE, REPORT = (
    Form(name=tool["name"].removeprefix("submit_"), tool=tool, read=read)
    for tool, read in zip(ANSWER_TOOLS, (read_estimate, read_report), strict=True)
)
MESSAGE: Final = Form(
    name="message",
    tool=_tool(
        "message",
        "Say something to the other agent. Ends your turn.",
        {
            "text": _SAID,
            "plan": _rows("Who is to buy what by this message, where you name amounts; else empty.", who=True),
            "done": _NO_MORE,
        },
        ("text", "plan", "done"),
    ),
    read=_checked(_message),
)
WORDS: Final = Form(
    name="words",
    tool=_tool(
        "words", "Say something to the other agent. Ends your turn.", {"text": _SAID, "done": _NO_MORE}, ("text", "done")
    ),
    read=_checked(_words),
)
_AN_ACT: Final = {
    "type": "object",
    "properties": {
        "verb": {"type": "string", "enum": list(VERBS), "description": "What you do."},
        "proposal": {"type": ["integer", "null"], "description": "The proposal's number; null where you propose one."},
        "plan": _rows("Where you propose: who is to buy what. Else empty.", who=True),
    },
    "required": ["verb", "proposal", "plan"],
    "additionalProperties": False,
}
PROPOSAL: Final = Form(
    name="proposal",
    tool=_tool(
        "proposal",
        "Say something to the other agent, and what you do about numbered proposals. Agreeing binds you. Ends your turn.",
        {
            "text": _SAID,
            "acts": {"type": "array", "items": _AN_ACT, "description": "What you do; empty: nothing."},
            "done": _NO_MORE,
        },
        ("text", "acts", "done"),
    ),
    read=_checked(_proposal),
)
SUBMISSION: Final = Form(
    name="submission",
    tool=_tool(
        "submission",
        "Submit what you buy. It is locked. Ends your turn.",
        {"purchases": _rows("What you buy, each resource once; empty: nothing.", who=False)},
        ("purchases",),
    ),
    read=_checked(_submission),
)
FORECASTING: Final = (ESTIMATE, REPORT)
"""What agents of a forecast answer in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """What agents read around their question, where it is no forecast: their instructions, and the forms of answer."""

    instructions: str
    """The system prompt."""
    forms: tuple[Form, ...]

    def identity(self) -> list[Any]:
        return [self.instructions, [dict(form.tool) for form in self.forms]]
