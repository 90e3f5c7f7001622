"""Every public function says what it cannot mean: a table of bad arguments for each kind that a signature asks for."""

import inspect
from dataclasses import is_dataclass
from typing import Any, Literal, get_origin, get_type_hints

import numpy as np
import polars as pl
import pytest

from coordeval import analysis as a

SAMPLE = a.example(markets=12)
KEPT = a.scored(SAMPLE)
FUNCTIONS = {
    name: made
    for name in a.__all__
    if inspect.isfunction(made := getattr(a, name)) and name not in ("ratio", "measured", "resamples_for")
}
BAD: dict[Any, tuple[Any, ...]] = {
    pl.DataFrame: (None, {}, [1, 2], KEPT, "frame.csv", pl.Series([1.0])),
    int: ("ten", 2.5, True, None, float("nan")),
    float: ("0.9", float("nan"), None, [0.1], True),
    Literal: ("no such option", 3),
    object: (SAMPLE, {}, None, 3),
}


def kind(hint: Any) -> Any:
    if get_origin(hint) is Literal:
        return Literal
    if hint in BAD:
        return hint
    return object if isinstance(hint, type) and is_dataclass(hint) else None


def rows():
    for name, function in FUNCTIONS.items():
        hints = get_type_hints(function)
        for argument, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is not parameter.VAR_POSITIONAL and (of := kind(hints[argument])) is not None:
                for bad in BAD[of]:
                    yield pytest.param(name, argument, bad, id=f"{name}({argument}={type(bad).__name__})")


@pytest.mark.parametrize(("name", "argument", "bad"), list(rows()))
def test_an_argument_of_another_kind_is_named(name: str, argument: str, bad: object):
    with pytest.raises(a.AnalysisError, match=rf"^{argument} is |^unknown {argument} "):
        FUNCTIONS[name](**{argument: bad})


ARRAYS = {
    "brier": lambda x: a.brier(x, [0, 1]),
    "log_score": lambda x: a.log_score(x, [0, 1]),
    "skill": lambda x: a.skill(x, [0, 1], reference=0.5),
    "alpha": lambda x: a.alpha(x, [0, 1], [0.5, 0.5]),
    "corp": lambda x: a.corp(x, [0, 1]),
    "consistency": lambda x: a.consistency(x, [0, 1]),
    "calibration_p_value": lambda x: a.calibration_p_value(x, [0, 1]),
    "decompose": lambda x: a.decompose(x, [0, 1]),
    "null_reliability": a.null_reliability,
    "bin_index": a.bin_index,
    "project_ladder": a.project_ladder,
    "project_exclusive": a.project_exclusive,
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize(
    "bad", [[0.2, 1.2], [0.2, -0.1], [0.2, np.nan], [0.2, None], ["a", "b"], [[0.1], [0.2]], [], 0.3, [0.1, [0.2]]], ids=str
)
def test_what_is_no_array_of_probabilities_is_refused(name: str, bad: Any):
    with pytest.raises(a.AnalysisError, match=r"probability|outcome"):
        ARRAYS[name](bad)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        pytest.param(lambda: a.holm([0.01, float("nan")]), r"p_values\[1\] is nan", id="holm of NaN"),
        pytest.param(lambda: a.holm([1.2]), r"p_values\[0\] is 1.2", id="holm of 1.2"),
        pytest.param(lambda: a.plain_sampling([[0.6, 0.9]], [2]), r"outcome\[0\] is 2", id="an outcome of 2"),
        pytest.param(lambda: a.plain_sampling([[0.6, 1.9]], [1]), r"p\[0, 1\] is 1.9", id="a draw of 1.9"),
        pytest.param(lambda: a.moments([0.6, 0.9], [1, 0]), "two dimensions", id="draws without markets"),
        pytest.param(lambda: a.pooled(np.array([[0.1, 1.2]]), pool="mean"), r"p\[0, 1\] is 1.2", id="an estimate of 1.2"),
        pytest.param(lambda: a.bootstrap(KEPT, methods={"breir": "bca"}), "unknown measure 'breir'", id="unknown measure"),
        pytest.param(lambda: a.build_report(SAMPLE, {}), "study lacks name, study_id", id="an empty study"),
        pytest.param(lambda: a.build_report({}, {}), r"frame is \{\}: it must be a table", id="no frame"),
        pytest.param(lambda: a.leaderboard(KEPT), "not what scored gives", id="what is scored already"),
        pytest.param(lambda: a.spread(SAMPLE), r"which analysis.scored\(frame\) gives", id="a raw frame"),
        pytest.param(lambda: a.markets_needed(0.02, -0.1, alpha=0.05), "sd is -0.1", id="a negative spread"),
        pytest.param(lambda: a.markets_needed(0.02, 0.1, alpha=5), "alpha is 5", id="a percentage"),
        pytest.param(
            lambda: a.hypervolume(np.array([[1.0, np.nan]]), np.array([[0.2, 0.1]]), reference=(4, 1)),
            "finite",
            id="no cost",
        ),
    ],
)
def test_what_a_value_cannot_mean_is_refused(call, says):
    with pytest.raises(a.AnalysisError, match=says):
        call()


class Table:
    """As pandas and pyarrow hand a table over: the Arrow interface, and nothing of polars; whole numbers as floats."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame.cast({"outcome": pl.Float64, "category": pl.Categorical})

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.frame.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("made", [pl.DataFrame.lazy, pl.DataFrame.to_arrow, Table], ids=["lazy", "pyarrow", "pandas"])
def test_tables_of_others_are_taken(made):
    assert a.leaderboard(made(SAMPLE), resamples=20).table.equals(a.leaderboard(SAMPLE, resamples=20).table)
    assert a.missing_bounds(made(SAMPLE)).equals(a.missing_bounds(SAMPLE))


def test_numpy_numbers_are_numbers():
    assert a.bin_index([0.31], bins=np.int64(10)).tolist() == [3]
    assert a.comparisons(KEPT, n=np.int64(50), level=np.float64(0.9)).n == 50
    assert a.Resamples(events=np.int64(5), n=np.int32(3)) == a.Resamples(events=5, n=3)


def test_without_numbers_of_its_own_nothing_changes():
    assert a.brier.__module__ == "coordeval.analysis.quality.scores"
    assert "epsilon: float = 0.001" in str(inspect.signature(a.log_score))
