"""Each published form is seen for what it is and read as it stands; what is no yes-or-no forecast is counted, not lost.

The files are made here, in the published form.
"""

import csv
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from coordeval.flows.imports.reading import understood
from coordeval.flows.imports.storing import import_forecasts
from coordeval.flows.imports.wanted import ImportRefused, Wanted
from coordeval.ledger import read
from coordeval.market_data.forecasts import FormError, load
from coordeval.market_data.forecasts.base import check

DUE = "2026-03-01"


def forecast_set(folder: Path, model: str = "one") -> Path:
    rows = [
        {
            "id": "m1",
            "source": "manifold",
            "forecast": 0.7,
            "resolution_date": None,
            "reasoning": "because",
            "direction": None,
        },
        {
            "id": "f1",
            "source": "fred",
            "forecast": 0.4,
            "resolution_date": "2026-03-08",
            "reasoning": None,
            "direction": None,
        },
        {
            "id": "f1",
            "source": "fred",
            "forecast": 0.5,
            "resolution_date": "2026-03-31",
            "reasoning": None,
            "direction": None,
        },
        {"id": ["m1", "m2"], "source": "manifold", "forecast": 0.1, "resolution_date": None, "direction": [1, 1]},
        {"id": "m2", "source": "manifold", "forecast": None, "resolution_date": None, "direction": None},
    ]
    content = {"organization": "us", "model": model, "question_set": f"{DUE}-llm.json", "forecast_due_date": DUE}
    path = folder / "forecast_sets" / DUE / f"{DUE}.us.{model}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, "forecasts": rows}))
    return path


def round_of(folder: Path) -> None:
    """The round's own files beside it."""
    question = {
        "id": "m1", "source": "manifold", "question": "Will it?", "background": "N/A", "url": "https://manifold.markets/a/will-it",
        "market_info_resolution_criteria": "N/A", "market_info_open_datetime": "2026-01-01T00:00:00+00:00",
        "market_info_close_datetime": "2026-06-01T00:00:00+00:00", "freeze_datetime": "2026-02-19T00:00:00+00:00",
        "freeze_datetime_value": "0.625", "freeze_datetime_value_explanation": "the market's",
    }  # fmt: skip
    ends = [("m1", "manifold", "2026-03-20", 1.0, True), ("f1", "fred", "2026-03-08", 0.0, True)]
    ends += [("f1", "fred", "2026-03-31", 0.5, False)]
    keys = ("id", "source", "resolution_date", "resolved_to", "resolved")
    resolved = [{**dict(zip(keys, end, strict=True)), "direction": None} for end in ends]
    due = {"forecast_due_date": DUE, "question_set": f"{DUE}-llm.json"}
    for name, rest in (
        (f"question_sets/{DUE}-llm.json", {"questions": [question]}),
        (f"resolution_sets/{DUE}_resolution_set.json", {"resolutions": resolved}),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps({**due, **rest}))


def metaculus(folder: Path, *, zipped: bool) -> Path:
    questions = [
        {"Question ID": 1, "Question Title": "Will it?", "Post ID": 9, "Question Type": "binary", "Resolution": "yes",
         "Question URL": "https://www.metaculus.com/questions/9", "Open Time": "2026-01-01 00:00:00+00:00",
         "Scheduled Close Time": "2026-03-01 00:00:00+00:00", "Resolution Known Time": "2026-03-02 00:00:00+00:00"},
        {"Question ID": 2, "Question Title": "How many?", "Post ID": 9, "Question Type": "numeric", "Resolution": "7"},
        {"Question ID": 3, "Question Title": "And this?", "Post ID": 8, "Question Type": "binary", "Resolution": "annulled"},
    ]  # fmt: skip
    at = "2026-02-01 12:00:00.123456+00:00"
    forecasts = [
        {"Question ID": 1, "Forecaster ID": 5, "Forecaster Username": "bot", "Start Time": at, "Probability Yes": 0.625},
        {"Question ID": 1, "Forecaster ID": "", "Forecaster Username": "metac", "Start Time": at, "Probability Yes": 0.5},
        {"Question ID": 2, "Forecaster ID": 5, "Forecaster Username": "bot", "Start Time": at, "Probability Yes": ""},
        {"Question ID": 3, "Forecaster ID": 5, "Forecaster Username": "bot", "Start Time": at, "Probability Yes": 0.25},
        {"Question ID": 3, "Forecaster ID": 6, "Forecaster Username": "other", "Start Time": at, "Probability Yes": ""},
    ]  # fmt: skip
    for name, rows in (("question_data.csv", questions), ("forecast_data.csv", forecasts)):
        with (folder / name).open("w", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    if not zipped:
        return folder / "forecast_data.csv"
    with zipfile.ZipFile(folder / "metaculus_data.zip", "w") as archive:
        for name in ("question_data.csv", "forecast_data.csv"):
            archive.write(folder / name, f"metaculus_data/{name}")
    return folder / "metaculus_data.zip"


def forecasting_tools(folder: Path) -> Path:
    about = {
        "question_text": "Will it?",
        "id_of_post": 9,
        "id_of_question": 1,
        "page_url": "https://www.metaculus.com/questions/9",
    }
    about |= {
        "resolution_string": "yes",
        "date_accessed": "2026-02-01T12:00:00Z",
        "community_prediction_at_access_time": 0.5,
    }
    reports = [
        {
            "question": about,
            "explanation": "# Summary\nso",
            "prediction": 0.75,
            "price_estimate": 0.02,
            "minutes_taken": 1.5,
        },
        {"question": {**about, "id_of_question": 2}, "explanation": "# Options", "prediction": {"predicted_options": []}},
    ]
    path = folder / "our-bot.json"
    path.write_text(json.dumps(reports))
    return path


def inspect_log(folder: Path) -> Path:
    path = folder / "log.eval"
    about = {"eval": {"task": "markets", "model": "openai/gpt", "created": "2026-02-01T12:00:00+00:00"}}
    use = {"openai/gpt": {"input_tokens": 100, "output_tokens": 7}}
    samples = [
        {"id": "q1", "epoch": e, "input": "Will it?", "target": "1", "total_time": 2.5, "model_usage": use,
         "metadata": {"event": "e1"}, "scores": {"brier": {"value": 0.0625, "answer": p}}}
        for e, p in ((1, "0.75"), (2, "0.5"))
    ]  # fmt: skip
    samples += [
        {"id": "q2", "epoch": 1, "input": "And?", "target": "0", "scores": {"brier": {"value": 0.01, "answer": "no"}}},
        {"id": "q3", "epoch": 1, "input": "And?", "target": "0", "error": {"message": "the server was away"}},
    ]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(about))
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
    return path


def prophet(folder: Path, *, lines: bool = False) -> Path:
    said = {"probabilities": [{"market": "A", "probability": 0.6}, {"market": "B", "probability": 0.3}]}
    row = {"predictor_name": "gpt", "event_ticker": "KXA", "submission_count": 1, "category": "Sports"}
    row |= {"prediction": said, "market_outcome": {"A": 1, "B": 0}}
    text = {**row, "predictor_name": "other", "prediction": json.dumps(said), "market_outcome": '{"A": 1, "B": 0}'}
    path = folder / f"predictions.json{'l' if lines else ''}"
    path.write_text("\n".join(map(json.dumps, (row, text))) if lines else json.dumps([row, text]))
    return path


def read_form(file: Path) -> tuple[str, list[dict[str, Any]], Counter[str]]:
    [form] = [form for form in (cls() for cls in load().classes.values()) if form.knows(file)]
    passed_over: Counter[str] = Counter()
    return form.name, list(form.rows(file, passed_over)), passed_over


def picked(rows: list[dict[str, Any]], *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(row.get(field) for field in fields) for row in rows]


def test_a_forecast_set_alone_has_forecasts_and_no_outcomes(tmp_path: Path):
    name, rows, passed_over = read_form(forecast_set(tmp_path))
    assert name == "forecastbench"
    assert picked(rows, "question_id", "event", "probability", "forecaster", "outcome") == [
        ("manifold:m1", "manifold:m1", 0.7, "us one", None),
        ("fred:f1:2026-03-08", "fred:f1", 0.4, "us one", None),
        ("fred:f1:2026-03-31", "fred:f1", 0.5, "us one", None),
    ]
    assert passed_over == {"asks for two questions at once": 1, "has no number": 1}


def test_a_forecast_set_in_its_folder_has_the_rounds_outcomes_and_prices(tmp_path: Path):
    round_of(tmp_path)
    _, rows, _ = read_form(forecast_set(tmp_path))
    assert picked(rows, "outcome", "market_price", "question") == [
        (1, 0.625, "Will it?"),
        (0.0, None, None),
        (None, None, None),
    ]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_download_of_metaculus(tmp_path: Path, zipped: bool):
    name, rows, passed_over = read_form(metaculus(tmp_path, zipped=zipped))
    assert name == "metaculus"
    assert picked(rows, "question_id", "event", "forecaster", "probability", "outcome") == [
        ("1", "9", "bot", "0.625", 1),
        ("3", "8", "bot", "0.25", "annulled"),
    ]
    assert passed_over == {
        "is of a question of type numeric": 1,
        "is an aggregate of Metaculus": 1,
        "has no number: the forecaster withdrew": 1,
    }


def test_reports_of_forecasting_tools(tmp_path: Path):
    name, rows, passed_over = read_form(forecasting_tools(tmp_path))
    assert name == "forecasting-tools"
    assert picked(
        rows, "question_id", "event", "forecaster", "probability", "outcome", "market_price", "cost_usd", "seconds"
    ) == [(1, 9, "our-bot", 0.75, "yes", 0.5, 0.02, 90.0)]
    assert passed_over == {"is of a question that is not yes-or-no": 1}


def test_a_log_of_inspect_never_gives_a_score_for_a_probability(tmp_path: Path):
    name, rows, passed_over = read_form(inspect_log(tmp_path))
    assert name == "inspect"
    assert picked(rows, "question_id", "replicate", "probability", "outcome", "input_tokens", "event", "reason") == [
        ("q1", 1, 0.75, "1", 100, "e1", None),
        ("q1", 2, 0.5, "1", 100, "e1", None),
        ("q3", 1, None, "0", None, None, "the server was away"),
    ]
    assert passed_over == {"has no score whose answer is a number, and no `probability` in its metadata": 1}


@pytest.mark.parametrize("lines", [False, True])
def test_predictions_of_prophet_arena(tmp_path: Path, lines: bool):
    name, rows, _ = read_form(prophet(tmp_path, lines=lines))
    assert name == "prophet-arena"
    assert picked(rows, "question_id", "event", "forecaster", "probability", "outcome") == [
        ("KXA:A", "KXA", "gpt", 0.6, 1),
        ("KXA:B", "KXA", "gpt", 0.3, 0),
        ("KXA:A", "KXA", "other", 0.6, 1),
        ("KXA:B", "KXA", "other", 0.3, 0),
    ]


@pytest.mark.parametrize(
    ("name", "content", "form", "words"),
    [
        ("a.json", "{", "forecastbench", "is no JSON"),
        ("a.json", '{"forecasts": 1}', "forecastbench", "a list `forecasts`"),
        ("a.json", "[1]", "forecasting-tools", "report 1 is '1'"),
        ("a.json", '[{"event_ticker": 1}]', "prophet-arena", "market_outcome of prediction 1"),
        (
            "forecast_data.csv",
            "Question ID,Probability Yes,Start Time\n",
            "metaculus",
            "question_data.csv of the same download",
        ),
    ],
)
def test_a_file_that_is_not_of_its_form_says_where_it_departs(
    tmp_path: Path, name: str, content: str, form: str, words: str
):
    (tmp_path / name).write_text(content)
    with pytest.raises(FormError, match=words):
        list(load().classes[form]().rows(tmp_path / name, Counter()))


def test_two_sets_of_one_form_are_about_the_same_questions_and_what_is_passed_over_is_said(tmp_path: Path):
    round_of(tmp_path)
    ledger = tmp_path / "l.duckdb"
    for model in ("one", "two"):
        done = import_forecasts([forecast_set(tmp_path, model)], Wanted(name=model), ledger)
        assert done.what.files[0].kind == "forecastbench"
        assert any("1 row has no number" in note for note in done.what.notes)
    assert set(read(ledger).forecast_frame("one")["market_id"]) == set(read(ledger).forecast_frame("two")["market_id"])
    assert read(ledger).forecast_frame("one")["outcome"].drop_nulls().to_list() == [0, 1]


def test_a_plain_table_can_be_asked_for_and_a_form_that_there_is_not_names_those_that_there_are(tmp_path: Path):
    (tmp_path / "t.csv").write_text("Question ID,Probability Yes,Start Time,p\n1,0.5,2026-01-01,0.25\n")
    wanted = Wanted(name="t", format="table", columns={"probability": "p"})
    with understood([tmp_path / "t.csv"], wanted) as (what, _, _):
        assert what.first[0]["probability"] == 0.25
    with pytest.raises(ImportRefused, match=r"unknown form 'excel': it must be one of .*metaculus.*table"):
        import_forecasts([tmp_path / "t.csv"], Wanted(name="t", format="excel"), tmp_path / "l.duckdb")


def test_every_form_keeps_the_contract_and_a_class_that_does_not_is_told_what_is_missing():
    forms = load()
    assert set(forms.classes) >= {"forecastbench", "metaculus", "forecasting-tools", "inspect", "prophet-arena"}
    assert forms.quarantined == {}
    with pytest.raises(Exception, match=r"reads is missing; checked_against is missing; knows is missing; rows is missing"):
        check(type("Bad", (), {"name": "bad"}), "bad")
