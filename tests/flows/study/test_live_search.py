"""Who may let agents search the web: a study of open markets whose model's provider searches, and nobody else."""

import pytest

from coordeval.analysis.words.standing import standing
from coordeval.flows.study.reading import StudyError
from coordeval.flows.study.study import load_study

STUDY = """
name = "live"
configurations = ["market_price", "single_agent"]
[markets]
source = "open"
venue = "polymarket"
[agents]
tools = ["market_details", "price_history", "web_search"]
[model]
provider = "anthropic"
id = "claude-opus-4-6"
"""


def loaded(tmp_path, text):
    path = tmp_path / "live.toml"
    path.write_text(text)
    return load_study(path)


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        (
            'source = "open"\nvenue = "polymarket"',
            'source = "coordination-traces-100"',
            "in a backtest it would find the outcome",
        ),
        (
            'provider = "anthropic"\nid = "claude-opus-4-6"',
            'provider = "simulated"',
            "no provider searches for a simulated model",
        ),
        ("claude-opus-4-6", "somebody-else-1", "is not listed as a model whose provider searches the web for it"),
        ('"web_search"', '"web_fetch"', "no tool 'web_fetch'"),
    ],
    ids=["a backtest", "a simulated model", "a model without it", "another tool"],
)
def test_who_may_not_search_is_told_why(tmp_path, was, now, words):
    with pytest.raises(StudyError) as refused:
        loaded(tmp_path, STUDY.replace(was, now))
    assert words in str(refused.value).replace("unknown tool", "no tool")


def test_a_study_that_searches_is_another_study_and_its_report_says_so(tmp_path):
    study = loaded(tmp_path, STUDY)
    without = loaded(tmp_path, STUDY.replace(', "web_search"', ""))
    assert study.id != without.id
    counts = {"made": 1, "failed": 0, "planned": 1, "markets_scored": 1, "markets": 1, "simulated": False}
    marks = [[mark.name for mark in standing(study={"content": one.content}, **counts).marks] for one in (study, without)]
    assert marks == [["searched"], []]
