"""Whatever a user hands in, a command answers with one message that says what is wrong, and leaves nothing behind.

One table: commands by inputs, each with words that the message must hold.
"""

import os
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.flows.cli.conftest import STUDY, Ended, store
from tests.thinned import diagonal

READ = [
    "report x", "control x", "leaks x", "forecasts x", "studies", "compare x y", "certificate abcdef", "plan x", "monitor x",
    "costs x", "explain abcdef",
    "markets list", "markets show m", "markets audit", "markets sample",
]  # fmt: skip
WRITE = ["run good.toml --inline", "import forecasts good.csv", "markets pull --source dataset --path empty"]
OF_A_STUDY = [
    "run FILE --inline",
    "report FILE",
    "control FILE",
    "leaks FILE",
    "forecasts FILE",
    "monitor FILE",
    "quote FILE",
    "check-model FILE",
    "plan FILE",
    "compare FILE s",
    "forecast-open FILE",
    "resolve FILE",
    "serve FILE",
    "deploy FILE --show",
]
OF_A_FILE = [
    "report s --out OUT", "markets list --out OUT.csv", "markets list --out OUT.parquet",
    "markets sample OUT --size 1 --as-of source", "study new OUT", "export s OUT.csv",
]  # fmt: skip

LEDGERS = {  # given to --ledger: words of the message
    ".": "is a folder: give the path of a file in it",
    "folder": "is a folder: give the path of a file in it",
    "text": "is a text file",
    "junk": "no DuckDB database",
    "empty-file": "is an empty file",
    "foreign": "is a DuckDB database of something else (its tables: markets)",
    "sqlite": "is an SQLite database",
    "text/below": "Not a directory",
    "/dev/full": "is a device or a pipe",
    "n" * 300: "File name too long",
    "circle": "circle",
}
NO_LEDGERS = {
    "absent": "there is no ledger at absent: make one with `coordeval run STUDY.toml`",
    "[bold]red[/bold]": "there is no ledger at [bold]red[/bold]: make one",
    "dangling": "there is no ledger at dangling",
    "/proc/absent": "there is no ledger at /proc/absent",
}
X = STUDY.format(name="x", cap=9)
STUDIES: dict[str, tuple[bytes | None, str]] = {
    "searches.toml": (X.encode() + b'\n[agents]\ntools = ["web_search"]\n', "so in a backtest it would find the outcome"),
    "arms.toml": (X.encode() + b'\n[[arms]]\nname = "same"\ntools = "all"\n', "it changes nothing"),
    "absent.toml": (None, "there is no such file; `coordeval study new"),
    "folder.toml": (b"folder", "this is a folder"),
    "[red]latin.toml": ("# é\nname = 'x'".encode("latin-1"), "line 1 is not UTF-8"),
    "utf16.toml": ("name = 'x'".encode("utf-16"), "is not UTF-8"),
    "empty.toml": (b"", "the file is empty"),
    "nulls.toml": (b"\0\0", "this is not TOML"),
    "broken.toml": (b"name = = 1", "this is not TOML"),
    "missing.toml": (b"name = 'x'", "markets: is missing"),
    "inf.toml": (b"name = 'x'\nbudget_usd = inf", "budget_usd = inf: it must be a finite number"),
    "huge.toml": (b"name = 'x'\nreplicates = " + b"9" * 30, "it must be a whole number of at most"),
    "digits.toml": (b"name = 'x'\nreplicates = " + b"9" * 5000, "longer than any that a study can hold"),
    "deep.toml": (b"a = " + b"[" * 50_000, "nested too deeply"),
    "ahead-range.toml": (
        STUDY.format(name="x", cap=9)
        .replace('source = "simulated"\ncount = 8', 'source = "open"\nvenue = "simulated"\ncloses_after_days = 40')
        .encode(),
        "closes_after_days = 40 is not below closes_within_days = 30",
    ),
    "ahead-as-of.toml": (
        ("as_of = 2026-01-31\n" + STUDY.format(name="x", cap=9))
        .replace('source = "simulated"\ncount = 8', 'source = "open"\nvenue = "simulated"')
        .encode(),
        "forecasts as of the moment of asking",
    ),
    "ahead-venue.toml": (
        STUDY.format(name="x", cap=9).replace('source = "simulated"\ncount = 8', 'source = "open"').encode(),
        "markets.venue: is missing",
    ),
    "sample.toml": (
        STUDY.format(name="x", cap=9)
        .replace('source = "simulated"\ncount = 8', 'source = "ledger"\nsample = "no.json"')
        .encode(),
        "no.json': not a sample file",
    ),
    "isolate.toml": (f"run = {{ isolate = ['no.py'] }}{X}".encode(), "run.isolate: unknown plugin of this study 'no.py'"),
    "plugin.toml": (f"plugins = ['no.py']{X}".encode(), "no.py does not exist"),
    "label.toml": (
        STUDY.format(name="x", cap=9)
        .replace('"market_price"', '{ name = "single_agent", label = "market price" }')
        .encode(),
        "'market price'",
    ),
}
OUTS = {  # given as the file to write
    "folder": "",
    "text/below": "cannot be written (",
    "n" * 300: "too long",
    "/proc/absent/x": "cannot be written (",
}
OTHER = {
    "export nothing x.csv": ["there is no study 'nothing'"],
    "docs --build text": ["text: is there already and holds no site; give a folder that is empty or new"],
    "docs --build .": ["holds no site"],
    "export s x.xlsx": [".csv, .parquet or .json"],
    "export s text": ["text is there already and is not empty"],
    "report s --baseline nobody": ["'nobody'", "unknown baseline", "single_agent"],
    "report --from empty": ["empty holds no exported study"],
    "report s --from empty": ["the folder holds one study, so name none"],
    "markets pull --source oracle": [
        "'oracle'",
        "polymarket",
        "kalshi",
        "manifold",
        "metaculus",
        "forecastbench",
        "dataset",
    ],
    "markets pull --source no.py": ["no.py", "does not exist"],
    "markets pull --source text.py": ["text.py"],
    "markets pull --order sideways": ["--order 'sideways'", "closed_time or id"],
    "markets pull --source forecastbench --path absent": ["absent"],
    "markets list --source oracle": ["'oracle'", "simulated"],
    "markets list --status undecided": ["'undecided'", "resolved", "fifty_fifty"],
    "markets list --out x.xlsx": ["x.xlsx", ".csv or .parquet"],
    "markets show %": ["market '%'", "`coordeval markets list`"],
    "markets show ''": ["market ''", "several"],
    "markets sample --as-of tomorrow": ["--as-of 'tomorrow'", "hours_before_close=24"],
    "markets sample --as-of 0001-01-01T00:00+05:00": ["--as-of '0001-01-01T00:00+05:00'"],
    "markets sample --as-of 'hours_before_close=1e999'": ["finite"],
    "markets sample exists.json": ["exists.json exists already"],
    "study new exists.json": ["exists.json exists already"],
    "study new dangling": ["dangling exists already"],
    "certificate zz": ["'zz' is too short"],
    "certificate zzzz": ["no forecast 'zzzz'"],
    "certificate ''": ["too short"],
    "certificate %%%%": ["no forecast '%%%%'"],
    'report "\'; DROP TABLE studies"': ["there is no study"],
    "import coordination-traces-100 empty": ["empty", "the folder that holds the whole published dataset"],
    "import forecasts absent.csv": ["there is no file absent.csv"],
    "import forecasts '*.absent'": ["there is no file *.absent"],
    "import forecasts folder": ["folder is a folder: give its files"],
    "import forecasts empty-file": ["empty-file is empty"],
    "import forecasts junk": ["junk is no text"],
    "import forecasts text": ["text holds no row"],
    "import forecasts bad.csv": ["1 of 1 rows are refused", "bad.csv row 2: maybe"],
    "import forecasts bad.csv --name 'A B'": ["--name 'A B'", "names a folder"],
    "import forecasts bad.csv --column odds=p": ["unknown field 'odds'", "probability"],
    "import forecasts bad.csv --scale tenths": ["--scale", "fraction, percent"],
    "import forecasts bad.csv --timezone Mars": ["--timezone 'Mars'", "Europe/Berlin"],
    "plan s --markets many": ["--markets 'many'"],
    "plan s --markets 0": ["0"],
    "plan s --delta nan": ["delta"],
    "plan s --power 2": ["power"],
    "plan s --alpha -1": ["alpha"],
    "plan s --budget inf": ["budget"],
    "compare s s": ["one study in one arm; give two"],
    "run good.toml --on ray:4": ["--on 'ray:4'", "dask:N", "dask://host:port"],
    "run good.toml --on dask:0": ["--on 'dask:0'", "1 to 1000"],
    "run good.toml --on work-pool:mine": ["--on work-pool:mine", "set PREFECT_API_URL"],
    "run good.toml --shards x": ["--shards x", "goes with --on"],
    "run good.toml --inline --on dask:1 --shards nosuch://x": ["nosuch://x"],
    "forecast-open good.toml": ["only markets.source = 'open' is forecast", "coordeval run"],
    "resolve good.toml": ["only markets.source = 'open' is forecast"],
    "forecast-open open.toml --now tomorrow": ["--now 'tomorrow'", "2026-01-31"],
    "forecast-open open.toml --now 2026-13-01": ["--now '2026-13-01'", "2026-01-31"],
    "resolve open.toml --now 0001-01-01T00:00+05:00": ["--now '0001-01-01T00:00+05:00'"],
    "forecast-open real.toml --now 2026-01-31": ["--now '2026-01-31'", "polymarket", "simulated"],
    "run open.toml --inline": ["markets.source = 'open'", "coordeval forecast-open open.toml"],
    "commitment s": ["study 's' commits to nothing"],
    "commitment absent": ["there is no study 'absent'"],
    "commitment verify": ["give the proof's file"],
    "commitment verify absent.json": ["absent.json: there is no such file"],
    "commitment verify text": ["text: this is no JSON"],
    "commitment verify folder": ["folder"],
    "commitment verify exists.json": ["version is None"],
    "commitment s exists.json": ["commitment verify FILE"],
    "monitor s --baseline 400": ["400 blocks leaves nothing to watch", "8 complete blocks"],
    "monitor s --by day --baseline 5000": ["5,000 days leaves nothing to watch"],
    "monitor s --baseline 3": ["3 blocks is too short", "8 or more"],
    "monitor s --baseline soon": ["--baseline 'soon'", "2026-01-01..2026-01-31"],
    "monitor s --baseline 2026-01-01..2026-02-30": [
        "--baseline '2026-01-01..2026-02-30'",
        "day is out of range",
        "give two dates",
    ],
    "monitor s --baseline 2026-01-01..": ["--baseline '2026-01-01..'", "give two dates"],
    "monitor s --baseline 2026-01-01..2026-01-31": ["2026-01-01 to 2026-01-31", "for days", "a number of blocks"],
    "monitor s --by day --baseline 2026-02-01..2026-01-01": ["ends before it begins"],
    "monitor s --by day --baseline 1999-01-01..1999-02-01": ["1999-01-01 to 1999-02-01", "holds 0 days"],
    "monitor --acknowledge ffffffff": ["alarm 'ffffffff'", "`coordeval monitor STUDY`"],
    "selftest monitor --quick --docs text": ["text", "docs/monitor.md"],
}
USAGE = {
    "import oracle": ["No such command", "oracle"],
    "import forecasts": ["Missing argument"],
    "reprot": ["No such command", "reprot"],
    "report s --polcy common": ["No such option", "--polcy", "--policy"],
    "report s --policy best": ["best", "common", "available", "fallback_half", "fallback_market"],
    "report s t": ["unexpected extra argument", "t"],
    "run": ["Missing argument"],
    "markets pull --resolved-after tomorrow": ["tomorrow", "%Y-%m-%d"],
    "markets list --limit -1": ["--limit", "greater than or equal to 0"],
    "monitor s --by hour": ["hour", "day", "block"],
    "markets list --limit many": ["--limit", "valid integer"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of file that is not what was asked for, and a ledger with the study s."""
    folder = tmp_path_factory.mktemp("bad")
    store(folder, ("s", 4000))
    (folder / "good.toml").write_text(STUDY.format(name="good", cap=4000))
    ahead = STUDY.format(name="ahead", cap=4000).replace('"simulated"\ncount = 8', '"open"\nvenue = "VENUE"')
    (folder / "open.toml").write_text(ahead.replace("VENUE", "simulated"))
    (folder / "real.toml").write_text(ahead.replace("VENUE", "polymarket"))
    for name in ("folder", "empty"):
        (folder / name).mkdir()
    (folder / "text").write_text("hello\n")
    (folder / "good.csv").write_text("question_id,forecaster,probability,outcome\nq,a,0.5,1\n")
    (folder / "bad.csv").write_text("question_id,forecaster,probability,outcome\nq,a,maybe,1\n")
    (folder / "text.py").write_text("hello = = 1\n")
    (folder / "exists.json").write_text("{}")
    (folder / "junk").write_bytes(bytes(range(256)) * 20)
    (folder / "empty-file").touch()
    (folder / "dangling").symlink_to(folder / "nowhere" / "at-all")
    (folder / "circle").symlink_to(folder / "circle")
    with duckdb.connect(folder / "foreign") as con:
        con.execute("CREATE TABLE markets (a INTEGER)")
    with sqlite3.connect(folder / "sqlite") as db:
        db.execute("CREATE TABLE a (b)")
    for name, (content, _) in STUDIES.items():
        if content == b"folder":
            (folder / name).mkdir()
        elif content is not None:
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def refused(place: Path, monkeypatch, coordeval):
    """Runs a command there and checks what holds of every refusal."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("COORDEVAL_LEDGER", "ledger.duckdb")

    def ended(*arguments: object, status: int = 1) -> Ended:
        before = {path.name: path.stat().st_size for path in place.iterdir() if path.exists() and path.is_file()}
        done = coordeval(*arguments)
        assert done.status == status, done
        said = [line for line in done.err.splitlines() if not line.startswith("waiting for ")]  # on a slow machine
        assert said[0].startswith("error: "), done
        assert done.err.count("error: ") == 1, "one message"
        assert "fault of coordeval" not in done.err
        assert "Traceback" not in done.err
        assert "\x1b" not in done.err
        after = {path.name: path.stat().st_size for path in place.iterdir() if path.exists() and path.is_file()}
        left = {name for name in after.keys() - before.keys() if not name.endswith(".lock")}
        assert left == set(), "nothing is left behind"
        assert {name: after[name] for name in before} == before, "and nothing is changed"
        return done

    return ended


def brief(value) -> str:
    name = value[0] if isinstance(value, tuple) else value
    return name if len(name) < 40 else name[:10] + "…"


@pytest.mark.parametrize(("command", "ledger", "words"), diagonal(READ + WRITE, list(LEDGERS.items()), ids=brief))
def test_what_is_no_ledger_is_called_what_it_is(refused, command: str, ledger: str, words: str):
    assert words in refused(*command.split(), "--ledger", ledger).err


@pytest.mark.parametrize(("command", "ledger", "words"), diagonal(READ, list(NO_LEDGERS.items()), 2, ids=brief))
def test_a_ledger_that_is_not_there_says_how_to_make_one(refused, command: str, ledger: str, words: str):
    assert words in refused(*command.split(), "--ledger", ledger).err


@pytest.mark.parametrize("command", WRITE)
def test_a_folder_that_takes_no_file_is_not_taken_for_another_writer(refused, command: str):
    said = refused(*command.split(), "--ledger", "/proc/absent").err
    assert "/proc/absent: cannot be written (No such file or directory)" in said
    assert "being written by" not in said


@pytest.mark.parametrize(("command", "name"), diagonal(OF_A_STUDY, list(STUDIES)))
def test_a_study_file_that_is_none_is_refused_by_every_command(refused, command: str, name: str):
    said = refused(*command.replace("FILE", name).split()).err
    assert STUDIES[name][1] in said
    assert name in said or name.removesuffix(".toml") in ("sample", "plugin", "label")


@pytest.mark.parametrize(
    ("command", "out", "words"),
    [
        pytest.param(command, out, words, id=f"{command}-{brief(out)}")
        for command in OF_A_FILE
        for out, words in OUTS.items()
        if out != "folder" or (command.endswith(("--as-of source", "OUT")) and "report" not in command)
    ],
)
def test_a_file_that_cannot_be_written_leaves_nothing(refused, place: Path, command: str, out: str, words: str):
    parts = [part.replace("OUT", out) for part in command.split()]
    said = refused(*parts).err
    assert words in said
    assert list((place / "folder").iterdir()) == []


@pytest.mark.parametrize(("command", "words"), OTHER.items(), ids=list(OTHER))
def test_what_does_not_exist_is_answered_with_what_does(refused, command: str, words: list[str]):
    said = refused(*shlex.split(command)).err
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize("command", [c for c in OTHER if c.startswith("markets pull")])
def test_a_pull_that_fails_leaves_no_empty_ledger(refused, place: Path, command: str):
    refused(*shlex.split(command), "--ledger", "new.duckdb")
    assert not (place / "new.duckdb").exists()


@pytest.mark.parametrize(("command", "words"), USAGE.items(), ids=list(USAGE))
def test_a_command_line_that_is_not_understood_says_what_would_be(refused, command: str, words: list[str]):
    said = refused(*command.split(), status=2).err
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize(
    "command",
    ["run good.toml --inline --ledger full.duckdb", "report s --out full", "markets list --out full.csv",
     "markets sample full.json --size 1 --as-of source", "study new full.toml"],
)  # fmt: skip
def test_a_full_disk_is_said_and_leaves_no_half_of_a_file(place: Path, command: str):
    line = f"trap '' XFSZ; ulimit -f 0; exec {sys.executable} -m coordeval {command} </dev/null"
    environment = {**os.environ, "COORDEVAL_LEDGER": "ledger.duckdb", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["bash", "-c", f"({line}) 2>&1 | cat"],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "error: " in done.stdout
    assert "cannot be written" in done.stdout
    assert "Traceback" not in done.stdout
    assert "fault of coordeval" not in done.stdout
    left = [path for path in place.rglob("*full*") if path.is_file() and not path.name.endswith(".lock")]
    assert left == []
