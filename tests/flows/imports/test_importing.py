"""Forecasts that were made elsewhere come in whole or not at all, and what stands in a file is never guessed at."""

import gzip
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from coordeval.analysis import leaderboard
from coordeval.flows.imports.reading import understood
from coordeval.flows.imports.staging import scratch
from coordeval.flows.imports.storing import import_forecasts
from coordeval.flows.imports.wanted import ImportRefused, Wanted, mapped
from coordeval.ledger import read

HEADER = "question_id,forecaster,probability,outcome,date"
GOOD = f"""{HEADER}
q1,a,0.7,1,2026-01-05T10:00:00Z
q1,b,0.8,1,2026-01-05T10:00:00Z
q2,a,0.2,0,2026-01-05
q2,b,,0,2026-01-05
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("in")


def told(place: Path, content: str | bytes, *, name: str = "f.csv", **wanted):
    """What is understood of one file."""
    file = place / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with understood([file], Wanted(name="mine", **wanted)) as (what, _, _):
        return what


def rows(*lines: str, header: str = HEADER) -> str:
    return "\n".join([header, *lines]) + "\n"


# what stands in the file, and words of the refusal, which names the row, the value, and what lets it in
REFUSED = {
    "two outcomes": (
        rows("q1,a,.5,1,", "q1,b,.5,0,"),
        "two outcomes for one question (2 rows)",
        "row 2: q1 is 1",
        "row 3: q1 is 0",
    ),
    "percent beside fraction": (rows("q1,a,0.55,1,", "q2,a,55,0,"), "row 3: 55", "--scale percent"),
    "a date without a zone": (rows("q1,a,.5,1,2026-01-05 10:00"), "row 2: 2026-01-05 10:00", "--timezone UTC"),
    "no date at all": (rows("q1,a,.5,1,03/04/2026"), "row 2: 03/04/2026", "ISO 8601"),
    "a day that there is not": (rows("q1,a,.5,1,2026-02-30"), "row 2: 2026-02-30", "ISO 8601"),
    "duplicates": (
        rows("q1,a,.5,1,2026-01-01", "q1,a,.6,1,2026-01-02"),
        "several forecasts of one forecaster for one question (2 rows)",
        "row 3: a on q1 says .6",
        "--duplicates last",
    ),
    "a decimal comma": (rows('q1,a,"0,55",1,'), "row 2: 0,55", "--decimal-comma"),
    "no number": (rows("q1,a,maybe,1,"), "row 2: maybe", "leave it empty"),
    "not finite": (rows("q1,a,inf,1,"), "row 2: inf", "outside [0, 1]"),
    "negative": (rows("q1,a,-0.1,1,"), "row 2: -0.1"),
    "an outcome of its own": (rows("q1,a,.5,sort of,"), "row 2: sort of", "annulled"),
    "no question": (rows(",a,.5,1,"), "no question is named", "row 2"),
    "no forecaster": (rows("q1,,.5,1,"), "no forecaster is named", "row 2"),
    "the market's name": (rows("q1,market_price,.5,1,"), "row 2: market_price", "--column market_price="),
    "two prices": (
        rows("q1,a,.5,1,0.4", "q1,b,.5,1,0.6", header="question_id,forecaster,probability,outcome,market_price"),
        "two market prices for one question",
        "row 3: q1 is 0.6",
        "--price first",
    ),
    "two events": (
        rows("q1,a,.5,e1", "q1,b,.5,e2", header="question_id,forecaster,probability,event"),
        "two events for one question",
        "q1 is e2",
    ),
    "a cost below nothing": (rows("q1,a,.5,-3", header="question_id,forecaster,probability,cost_usd"), "row 2: -3"),
}
# files of which nothing can be read: the content, its name, options, words of the message
UNREADABLE = {
    "0 bytes": (b"", "f.csv", {}, "is empty"),
    "a BOM alone": (b"\xef\xbb\xbf", "f.csv", {}, "is empty"),
    "a header alone": (HEADER.encode() + b"\n", "f.csv", {}, "holds no row"),
    "mixed encodings": (rows("q1,a,.5,1,", "qé,a,.5,1,").encode("latin-1"), "f.csv", {}, "line 3: is not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "f.csv", {}, "is not UTF-8"),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), "f.csv", {}, "is not UTF-8"),
    "another encoding than said": (b"\xff\xfe\xff", "f.csv", {"encoding": "utf-8"}, "is not utf-8"),
    "an encoding that there is not": (GOOD.encode(), "f.csv", {"encoding": "klingon"}, "no such encoding"),
    "a column too many": (
        rows("q1,a,.5,1,", "q1,a,.5,1,,x").encode(),
        "f.csv",
        {},
        "line 3: it has more fields, the header",
    ),
    "a quotation mark": (rows('q1,"a,.5,1,').encode(), "f.csv", {}, "line 2: a quotation mark"),
    "a header that names twice": (b"question_id,p,p\nq,1,1\n", "f.csv", {}, "names 'p' twice"),
    "two columns for one field": (b"question_id,Cost USD,cost_usd,p\nq,1,1,.5\n", "f.csv", {}, "both read as cost_usd"),
    "no probability": (b"question_id,gpt,claude\nq1,.5,.6\n", "f.csv", {}, "--wide gpt,claude"),
    "no question": (b"name,p\nq1,.5\n", "f.csv", {}, "--column question_id=COLUMN"),
    "a column that is not there": (GOOD.encode(), "f.csv", {"columns": {"probability": "p_yes"}}, "unknown column 'p_yes'"),
    "a column for two fields": (
        GOOD.encode(),
        "f.csv",
        {"columns": {"probability": "date", "outcome": "date"}},
        "mapped to both",
    ),
    "signs on some": (rows("q1,a,55%,1,", "q2,a,0.5,0,").encode(), "f.csv", {}, "1 of 2 values have a percent sign"),
    "percent that is none": (GOOD.encode(), "f.csv", {"scale": "percent"}, "no value is above 1"),
    "cut gzip": (gzip.compress(GOOD.encode())[:-20], "f.csv.gz", {}, "cut off"),
    "a zip": (b"PK\x03\x04" + b"0" * 50, "f.xlsx", {}, "save a spreadsheet as CSV"),
    "an LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "f.csv", {}, "git lfs pull"),
    "broken JSON": (b'{"question_id": "q", "p": 0.5}\n{"question_id": \n', "f.jsonl", {}, "line 2 is no JSON"),
    "JSON that is no object": (b'{"question_id": "q", "p": 0.5}\n[1]\n', "f.jsonl", {}, "row 2 is no JSON object"),
    "too few fields": (
        b"question_id,p,outcome\nq1\nq2,.5\n",
        "f.csv",
        {},
        "2 lines cannot be read: line 2: it has 1 field, the",
    ),
    "no Parquet": (b"PAR1" + b"0" * 50, "f.parquet", {}, "cannot be read as Parquet"),
}


@pytest.mark.parametrize(("content", "words"), [(c, w) for c, *w in REFUSED.values()], ids=REFUSED.keys())
def test_a_row_that_breaks_a_rule_is_refused_by_its_number_with_what_lets_it_in(place: Path, content: str, words: list[str]):
    problem = told(place, content).refusal()
    assert [word for word in (*words, "nothing was stored") if word not in problem] == [], problem


@pytest.mark.parametrize(("content", "name", "wanted", "words"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_of_which_nothing_can_be_read_says_why(place: Path, content: bytes, name: str, wanted: dict, words: str):
    with pytest.raises(ImportRefused) as raised:
        told(place, content, name=name, **wanted)
    assert words in str(raised.value)
    assert str(place / name) in str(raised.value) or not words.startswith("is ")


def test_nothing_of_a_refused_file_is_stored_and_no_ledger_is_made(place: Path):
    (place / "bad.csv").write_text(GOOD + "q3,a,maybe,1,\n")
    with pytest.raises(ImportRefused, match=r"1 of 5 rows are refused(.|\n)*bad.csv row 6: maybe"):
        import_forecasts([place / "bad.csv"], Wanted(name="mine"), place / "none.duckdb")
    assert not (place / "none.duckdb").exists()


def test_refused_rows_are_set_aside_under_their_names_where_that_is_asked_for(place: Path):
    (place / "bad.csv").write_text(GOOD + "q3,a,maybe,1,\nq3,b,.5,1,\n")
    ledger = place / "aside.duckdb"
    done = import_forecasts([place / "bad.csv"], Wanted(name="mine", skip_refused=True), ledger)
    assert [(p.rule, p.rows) for p in done.what.aside] == [("a probability that is no number", 1)]
    [row] = read(ledger).query("SELECT * FROM refused_rows").to_dicts()
    assert (row["item"], row["reason"], row["detail"]) == (
        f"{place / 'bad.csv'} row 6",
        "a probability that is no number",
        "maybe",
    )
    assert read(ledger).forecast_frame("mine").height == 5


# content, options, and the probabilities that come of it, by question and forecaster
ACCEPTED = {
    "a BOM and CRLF": (b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), {}, [0.7, 0.8, 0.2, None]),
    "both ends of lines": (GOOD.replace("\n", "\r\n", 2).encode(), {}, [0.7, 0.8, 0.2, None]),
    "another end of line within a text": (
        b'question_id,p,rationale\nq1,0.25,"one\r\ntwo"\nq2,0.5,three\n',
        {},
        [0.25, 0.5],
    ),
    "semicolons and decimal commas": (
        GOOD.replace(",", ";").replace("0.", "0,").encode(),
        {"decimal_comma": True},
        [0.7, 0.8, 0.2, None],
    ),
    "tabs": (GOOD.replace(",", "\t").encode(), {}, [0.7, 0.8, 0.2, None]),
    "UTF-16 that is said": (GOOD.encode("utf-16"), {"encoding": "utf-16"}, [0.7, 0.8, 0.2, None]),
    "percent signs": (rows("q1,a,55%,1,", "q2,a,0.5 %,0,").encode(), {}, [0.55, 0.005]),
    "percent by the column's name": (b"market,model,forecast_percent\nq1,a,55\nq2,a,7\n", {}, [0.55, 0.07]),
    "percent that is said": (rows("q1,a,55,1,", "q2,a,0.5,0,").encode(), {"scale": "percent"}, [0.55, 0.005]),
    "a zone that is said": (rows("q1,a,.5,1,2026-01-05 10:00").encode(), {"timezone": "Europe/Berlin"}, [0.5]),
    "the last of several": (
        rows("q1,a,.6,1,2026-01-02", "q1,a,.5,1,2026-01-01").encode(),
        {"duplicates": "last"},
        [0.6],
    ),
    "the first of several": (
        rows("q1,a,.6,1,2026-01-02", "q1,a,.5,1,2026-01-01").encode(),
        {"duplicates": "first"},
        [0.5],
    ),
    "several as replicates": (
        rows("q1,a,.6,1,2026-01-02", "q1,a,.5,1,2026-01-01").encode(),
        {"duplicates": "replicates"},
        [0.5, 0.6],
    ),
    "each day for itself": (rows("q1,a,.6,1,2026-01-02", "q1,a,.5,1,2026-01-01").encode(), {"by_date": True}, [0.5, 0.6]),
    "wide": (
        b"question_id,outcome,gpt,claude,note\nq1,1,.7,.6,x\nq2,0,.2,,y\n",
        {"wide": ("gpt", "claude")},
        [0.6, 0.7, 0.2],
    ),
    "a list of objects": (b'[{"question_id": "q1", "p": 0.25}, {"question_id": "q2", "p": null}]', {}, [0.25, None]),
    "JSON lines": (b'{"id": 1, "p": 0.30000000000000004}\n\n{"id": "2", "p": 0.5}\n', {}, [0.30000000000000004, 0.5]),
    "gzip": (gzip.compress(GOOD.encode()), {}, [0.7, 0.8, 0.2, None]),
}


@pytest.mark.parametrize(("content", "wanted", "expected"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_said_plainly_comes_in_as_it_stands(place: Path, content: bytes, wanted: dict, expected: list):
    file = place / "f"
    file.write_bytes(content)
    with understood([file], Wanted(name="mine", **wanted)) as (what, con, _):
        assert what.refusal() == ""
        got = con.execute("SELECT probability_p FROM kept ORDER BY market_id, forecaster, number").fetchall()
    assert [p for (p,) in got] == expected


def test_a_forecast_after_its_question_had_resolved_is_set_aside_and_a_day_lasts_until_midnight(place: Path):
    lines = (
        "q1,a,.5,1,2026-01-05,2026-01-05",
        "q1,b,.5,1,2026-01-06,2026-01-05",
        "q2,a,.5,0,2026-01-05T12:00Z,2026-01-05T11:00Z",
    )
    what = told(place, rows(*lines, header=f"{HEADER},resolved_at"))
    [problem] = what.aside
    assert (problem.rule, problem.rows, what.forecasts) == ("forecasts made after the question had resolved", 2, 1)
    assert "row 3: forecast 2026-01-06, resolved 2026-01-05" in problem.first[0]


def test_a_row_that_is_there_twice_word_for_word_counts_once(place: Path):
    what = told(place, rows("q1,a,.5,1,", "q1,a,.5,1,"))
    assert [(p.rule, p.rows) for p in what.aside] == [("rows that repeat another one word for word", 1)]
    assert what.forecasts == 1


@pytest.fixture(scope="module")
def ledger(place: Path) -> Path:
    (place / "good.csv").write_text(GOOD)
    import_forecasts([place / "good.csv"], Wanted(name="good"), place / "good.duckdb")
    return place / "good.duckdb"


def test_what_is_not_in_a_file_is_null_and_a_missing_probability_is_a_failed_forecast(ledger: Path):
    frame = read(ledger).forecast_frame("good")
    assert (
        frame.select(
            pl.col("cost_usd", "model_calls", "tool_calls", "seconds", "input_tokens", "call_graph", "market_price")
            .is_null()
            .all()
        ).row(0)
        == (True,) * 7
    )
    assert frame.filter(status="failed").select("market_id", "configuration", "reason").rows() == [
        ("good:q2", "b", "no probability in the file")
    ]
    assert frame["as_of"].to_list()[0] == datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "said", "stored"),
    [
        pytest.param("tokens", "900", (None, None, 900), id="a total is no split"),
        pytest.param("prompt_tokens,completion_tokens", "700,200", (700, 200, 900), id="a split has a sum"),
        pytest.param("prompt_tokens,completion_tokens,total_tokens", "700,200,950", (700, 200, 950), id="as the file says"),
        pytest.param("prompt_tokens", "700", (700, None, None), id="half of it"),
    ],
)
def test_tokens_are_stored_as_far_as_a_file_says_them(place: Path, header: str, said: str, stored: tuple[int | None, ...]):
    ledger = place / f"{header}.duckdb"
    (place / "tokens.csv").write_text(f"question_id,forecaster,probability,outcome,{header}\nq1,a,.5,1,{said}\n")
    import_forecasts([place / "tokens.csv"], Wanted(name="tokens"), ledger)
    frame = read(ledger).forecast_frame("tokens")
    assert frame.select("input_tokens", "output_tokens", "total_tokens").row(0) == stored
    [row] = leaderboard(frame, resamples=2).table.filter(configuration="a").to_dicts()
    assert tuple(row[f"{name}_per_market"] for name in ("input_tokens", "output_tokens", "total_tokens")) == stored


def test_the_same_bytes_again_change_nothing_and_other_bytes_need_another_name(ledger: Path, place: Path):
    before = read(ledger).query("SELECT (SELECT count(*) FROM cells) AS c, (SELECT count(*) FROM outcomes) AS o").row(0)
    assert import_forecasts([place / "good.csv"], Wanted(name="good"), ledger).again
    assert (
        read(ledger).query("SELECT (SELECT count(*) FROM cells) AS c, (SELECT count(*) FROM outcomes) AS o").row(0) == before
    )
    (place / "other.csv").write_text(GOOD.replace("0.7", "0.9"))
    with pytest.raises(ImportRefused, match="a study called 'good' is in this ledger"):
        import_forecasts([place / "other.csv"], Wanted(name="good"), ledger)


def test_imports_share_questions_only_where_they_say_so_and_a_changed_outcome_is_counted(ledger: Path, place: Path):
    (place / "later.csv").write_text(GOOD.replace(",0,2026", ",1,2026"))
    apart = import_forecasts([place / "later.csv"], Wanted(name="apart"), ledger)
    assert apart.changed_outcomes == 0
    assert set(read(ledger).forecast_frame("good").filter(market_id="good:q2")["outcome"]) == {0}
    same = import_forecasts([place / "later.csv"], Wanted(name="later", questions="good"), ledger)
    assert same.changed_outcomes == 1
    assert set(read(ledger).forecast_frame("good").filter(market_id="good:q2")["outcome"]) == {1}
    (place / "event.csv").write_text("question_id,forecaster,p,event\nq1,a,.5,other\n")
    with pytest.raises(ImportRefused, match="says otherwise of them"):
        import_forecasts([place / "event.csv"], Wanted(name="event", questions="good"), ledger)


def test_a_frame_comes_in_with_the_numbers_it_holds(place: Path):
    frame = pl.DataFrame(
        {
            "question_id": [1, 1, 2, 2],
            "forecaster": ["a", "b"] * 2,
            "p": pl.Series([0.1, 0.2, float("nan"), 0.4], dtype=pl.Float32),
            "outcome": [True, True, False, False],
            "date": [datetime(2026, 1, 1, tzinfo=UTC)] * 4,
        }
    )
    done = import_forecasts(frame, Wanted(name="frame"), place / "frame.duckdb")
    said = read(place / "frame.duckdb").forecast_frame("frame").sort("market_id", "configuration")
    expected = frame["p"].cast(pl.Float64).fill_nan(None).to_list()
    assert said["probability"].to_list() == expected, "to the last digit"
    assert done.what.files[0].kind == "data frame"
    with pytest.raises(ImportRefused, match="date without a time zone"):
        import_forecasts(
            frame.with_columns(pl.col("date").dt.replace_time_zone(None)), Wanted(name="naive"), place / "frame.duckdb"
        )
    with pytest.raises(ImportRefused, match="a dict is no data frame"):
        import_forecasts({"p": [1]}, Wanted(name="no"), place / "frame.duckdb")


PANDAS = pd.DataFrame(
    {
        "question_id": [1, 1, 2],
        "forecaster": pd.Categorical(["a", "b", "a"]),
        "p": [0.1, 0.30000000000000004, float("nan")],
        "outcome": pd.array([1, 1, None], dtype="Int64"),
        "date": pd.to_datetime(["2026-01-01T00:00:00Z"] * 3),
    }
)
BY_PANDAS = {
    "columns of its own types": PANDAS,
    "rows picked out, with what is left of the index": pd.concat([PANDAS, PANDAS])[:3],
    "the question as the index": PANDAS.set_index("question_id"),
    "question and forecaster as the index": PANDAS.set_index(["question_id", "forecaster"]),
    "numbers as objects": PANDAS.assign(p=PANDAS["p"].astype(object)),
    "outcomes that became floats": PANDAS.assign(outcome=[1.0, 1.0, float("nan")]),
}


@pytest.mark.parametrize("frame", BY_PANDAS.values(), ids=BY_PANDAS.keys())
def test_a_frame_of_pandas_comes_in_with_the_numbers_it_holds(frame: pd.DataFrame):
    with understood(frame, Wanted(name="mine")) as (what, con, _):
        assert what.refusal() == ""
        got = con.execute("SELECT question_id, forecaster, probability_p, result FROM kept ORDER BY n").fetchall()
    assert got == [("1", "a", 0.1, 1), ("1", "b", 0.30000000000000004, 1), ("2", "a", None, None)]
    assert what.unused == ()


def test_a_column_of_pandas_of_several_types_is_named():
    with (
        pytest.raises(ImportRefused, match=r"column mixed(.|\n)*values of one type"),
        understood(PANDAS.assign(mixed=[1, "x", None]), Wanted(name="mine")),
    ):
        pass


def test_a_file_that_the_scratch_folder_has_no_room_for_is_refused_before_it_is_read(place: Path):
    """As 5 GB are on a small disk: rows, and then a hole that takes no room here."""
    file = place / "large.csv"
    file.write_text(GOOD)
    with file.open("r+b") as hole:
        hole.truncate(shutil.disk_usage(place).free + 10**10)
    with pytest.raises(ImportRefused, match=r"large.csv has [\d,.]+ GB, and .*make room there(.|\n)*TMPDIR"):
        import_forecasts([file], Wanted(name="large"), place / "large.duckdb")
    file.unlink()
    assert not (place / "large.duckdb").exists()


@pytest.mark.parametrize("more", [{}, {"rowid": [7, 7, 7]}, {"File_Row_Number": [7, 7, 7]}], ids=["bare", "rowid", "number"])
def test_rows_of_parquet_are_counted_whatever_its_columns_are_called(place: Path, more: dict):
    columns = {"question_id": ["q1", "q2", "q3"], "p": [0.1, 0.2, 3.0], "outcome": [1, 0, 1], **more}
    pl.DataFrame(columns).write_parquet(place / "counted.parquet", row_group_size=1)
    with understood([place / "counted.parquet"], Wanted(name="mine")) as (what, _, _):
        assert [one.first for one in what.refused] == [(f"{place / 'counted.parquet'} row 3: 3.0",)]
        assert set(what.unused) == set(more)
    pl.DataFrame(columns).write_csv(place / "counted.csv")
    with understood([place / "counted.csv"], Wanted(name="mine")) as (what, _, _):
        assert [one.first for one in what.refused] == [(f"{place / 'counted.csv'} row 4: 3.0",)]


def test_a_damaged_part_of_parquet_is_refused_by_its_file_and_nothing_is_stored(place: Path):
    file = place / "damaged.parquet"
    pl.DataFrame({"question_id": [f"question {i}" for i in range(5000)], "p": [0.5] * 5000}).write_parquet(file)
    content = file.read_bytes()
    file.write_bytes(content[:200] + bytes(len(content) // 2 - 200) + content[len(content) // 2 :])
    with pytest.raises(ImportRefused, match=r"damaged.parquet cannot be read as Parquet"):
        import_forecasts([file], Wanted(name="damaged"), place / "damaged.duckdb")
    assert not (place / "damaged.duckdb").exists()


def test_parquet_keeps_its_types(place: Path):
    pl.DataFrame({"question_id": ["q"], "p": [0.1 + 0.2], "date": [datetime(2026, 1, 1, tzinfo=UTC)]}).write_parquet(
        place / "f.parquet"
    )
    with understood([place / "f.parquet"], Wanted(name="mine")) as (what, con, _):
        assert con.execute("SELECT probability_p, date FROM kept").fetchall() == [
            (0.1 + 0.2, datetime(2026, 1, 1, tzinfo=UTC))
        ]
        assert what.files[0].kind == "Parquet"


def test_a_name_that_looks_like_a_pattern_is_one_file(place: Path):
    (place / "a[1].csv").write_text(rows("q1,a,.25,1,"))
    (place / "a1.csv").write_text(rows("q1,a,.75,1,"))
    with understood([place / "a[1].csv"], Wanted(name="mine")) as (what, _, _):
        assert [row["probability"] for row in what.first] == [0.25]


def test_a_pattern_takes_every_file_and_none_twice(place: Path):
    for n in (1, 2):
        (place / f"part{n}.csv").write_text(rows(f"q{n},a,.5,1,"))
    with understood([str(place / "part*.csv")], Wanted(name="mine")) as (what, _, _):
        assert (what.rows, len(what.files)) == (2, 2)
    with (
        pytest.raises(ImportRefused, match="given twice"),
        understood([place / "part1.csv", place / "part1.csv"], Wanted(name="mine")),
    ):
        pass
    for wrong, words in (("absent*.csv", "there is no file"), (".", "is a folder")):
        with pytest.raises(ImportRefused, match=words), understood([str(place / wrong)], Wanted(name="mine")):
            pass


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "My Study"}, "names a folder"),
        ({"scale": "tenths"}, "--scale"),
        ({"duplicates": "best"}, "--duplicates"),
        ({"timezone": "Mars/Base"}, "no such zone"),
        ({"columns": {"odds": "p"}}, "unknown field 'odds'"),
        ({"questions": "a b"}, "--questions 'a b'"),
    ],
)
def test_a_choice_that_there_is_not_names_those_that_there_are(wrong: dict, words: str):
    with pytest.raises(ImportRefused) as raised:
        Wanted(**{"name": "mine", **wrong})
    assert words in str(raised.value)


def test_a_field_that_is_mapped_twice_is_refused():
    assert mapped(["probability=p_yes", "event="]) == {"probability": "p_yes", "event": ""}
    assert mapped(["tokens=n", "model=who"]) == {"total_tokens": "n", "forecaster": "who"}, "by a usual name of the field"
    with pytest.raises(ImportRefused, match="mapped twice"):
        mapped(["probability=a", "probability=b"])
    with pytest.raises(ImportRefused, match="FIELD=COLUMN"):
        mapped(["probability"])


def test_no_bar_of_progress_goes_to_standard_output():
    with scratch() as (con, _):
        assert con.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(False,)]
