"""Files of published forms with odd values in every place, and with damaged bytes: rows, or one message.

What is read is held to the rules of an import afterwards, whatever the form. What was found once stands in FOUND.
"""

import json
import math
import random
import zipfile
from collections import Counter
from copy import deepcopy
from pathlib import Path

import pytest

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.forecasts import load
from tests.market_data.forecasts.test_forms import forecast_set, forecasting_tools, inspect_log, prophet

ODD = [
    None,
    True,
    -1,
    10**400,
    math.inf,
    math.nan,
    "1e400",
    "\ud83d",
    "\0",
    "²",
    [],
    {},
    [None],
    [[], {}],
    {"a": {}},
    "x" * 99,
]
FORMS = {
    "inspect": inspect_log,
    "prophet-arena": prophet,
    "forecasting-tools": forecasting_tools,
    "forecastbench": forecast_set,
}
FOUND = {
    "scores that are a list": ("scores", [1]),
    "metadata that is a text": ("metadata", "event"),
    "tokens that are a word": ("model_usage", {"m": {"input_tokens": "many"}}),
    "tokens without end": ("model_usage", {"m": {"input_tokens": math.inf}}),
    "usage that is a number": ("model_usage", {"m": 5}),
}
"""What ended in a traceback: a field of a sample of an .eval log -> its value."""


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def changed(payload, path, value):
    if not path:
        return value
    copy = deepcopy(payload)
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return copy


def contents(file: Path):
    """(the entries of a file that hold JSON, what writes them again)."""
    if not zipfile.is_zipfile(file):
        return {"": json.loads(file.read_text())}, lambda parts: file.write_text(json.dumps(parts[""]))
    with zipfile.ZipFile(file) as archive:
        parts = {name: json.loads(archive.read(name)) for name in archive.namelist()}

    def write(parts):
        with zipfile.ZipFile(file, "w") as archive:
            for name, part in parts.items():
                archive.writestr(name, json.dumps(part))

    return parts, write


def read_all(form, file):
    """Rows, or None with one message of the project's own."""
    try:
        return list(form.rows(file, Counter())) if form.knows(file) else []
    except CoordevalError as refused:
        str(refused).encode("utf-8", "backslashreplace")
        return None


def sound(rows):
    for row in rows or ():
        for name in ("input_tokens", "output_tokens"):
            assert row.get(name) is None or (type(row[name]) is int and row[name] >= 0)


LOGS = 200


@pytest.mark.parametrize("name", FORMS)
def test_no_value_in_any_place_ends_in_anything_but_rows_or_one_message(name, tmp_path, record_property):
    form, file = load().classes[name](), FORMS[name](tmp_path)
    parts, write = contents(file)
    tried = 0
    for part in list(parts)[:4]:
        for number, path in enumerate(places(parts[part])):
            for value in ODD[number % 2 :: 2]:  # each place half of them, and each kind of place all
                write({**parts, part: changed(parts[part], path, value)})
                sound(read_all(form, file))
                tried += 1
    record_property("tried", tried)
    assert tried > 100


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_in_logs_of_inspect_is_said_or_read(what, tmp_path):
    file = inspect_log(tmp_path)
    parts, write = contents(file)
    sample = next(name for name in parts if name.startswith("samples/"))
    field, value = FOUND[what]
    write({**parts, sample: {**parts[sample], field: value}})
    sound(read_all(load().classes["inspect"](), file))


def test_a_damaged_log_of_inspect_is_refused_or_whole(tmp_path, record_property):
    record_property("tried", LOGS)
    form, file = load().classes["inspect"](), inspect_log(tmp_path)
    whole, rows, luck = file.read_bytes(), read_all(form, file), random.Random(1)
    refused = 0
    for _ in range(LOGS):
        content = bytearray(whole)
        for _ in range(luck.randint(1, 3)):
            content[luck.randrange(len(content))] ^= luck.randrange(1, 256)
        file.write_bytes(bytes(content[: luck.randrange(len(content))]) if luck.random() < 0.2 else bytes(content))
        found = read_all(form, file)
        refused += found is None
        assert found is None or all(row in rows for row in found), "what is read is what was written"
    assert refused > 20
