"""Arms of a study file: what each makes of the study, what is refused and how, and that a study without is what it was."""

import hashlib

import pytest

from coordeval.flows.run.planning import cells_of_study, pull
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import StudyError, load_study
from coordeval.ledger import Ledger

STUDY = """
name = "arms"
replicates = 2
configurations = ["market_price", "single_agent", "independent_ensemble"]
EXTRA
[markets]
source = "simulated"
count = 2
[model]
provider = "simulated"
"""
TWO = """
[models.noisy]
provider = "simulated"
parameters = { private_noise = 1.0 }
[[arms]]
name = "bare"
tools = "none"
[[arms]]
name = "noisy"
model = "noisy"
[[arms]]
name = "noisy bare"
model = "noisy"
tools = "none"
configurations = ["single_agent"]
"""


def study(tmp_path, more="", extra=""):
    (tmp_path / "arms.toml").write_text(STUDY.replace("EXTRA", extra) + more)
    return load_study(tmp_path / "arms.toml")


def cells(tmp_path, loaded):
    path = tmp_path / "l.duckdb"
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        return cells_of_study(evaluation, pull(evaluation))[1]


@pytest.mark.parametrize(
    ("extra", "study_id", "forecasts", "why"),
    [
        ("", "1510619225b14bef", "cd0faf86696fb667", "a study without arms"),
        (
            "[agents]\nmemorisation_probe = true",
            "f980904ba4b787e6",
            "74a1693f7ecb56c0",
            "with the probe, which is an arm now",
        ),
    ],
)
def test_a_study_without_arms_keeps_its_identity_and_that_of_each_forecast(tmp_path, extra, study_id, forecasts, why):
    """The hashes are those of the version before there were arms."""
    loaded = study(tmp_path, extra=extra)
    made = cells(tmp_path, loaded)
    said = "".join(f"{cell.label}{cell.replicate}{cell.view.market.id}{cell.forecast_id}" for cell in made)
    assert (loaded.id[:16], hashlib.sha256(said.encode()).hexdigest()[:16]) == (study_id, forecasts), why


def test_a_cell_is_a_market_an_arm_a_configuration_and_a_replicate(tmp_path):
    loaded = study(tmp_path, TWO)
    assert [arm.name for arm in loaded.arms] == ["main", "bare", "noisy", "noisy bare"]
    made = cells(tmp_path, loaded)
    assert len(made) == 2 * (3 + 3 + 3 + 1) * 2
    assert len({cell.forecast_id for cell in made}) == len(made)
    of = {(c.arm, c.label): c.identity for c in made if c.replicate == 0 and c.view.market.id.endswith("1")}
    main, bare = of["main", "single_agent"], of["bare", "single_agent"]
    assert {part for part in main if main[part] != bare[part]} == {"settings"}
    assert {key for key in main["settings"] if main["settings"][key] != bare["settings"][key]} == {"tools", "tool_specs"}
    assert {part for part in main if main[part] != of["noisy", "single_agent"][part]} == {"model"}
    assert ("noisy bare", "independent_ensemble") not in of


def test_the_forecasts_of_an_arm_are_those_of_a_study_of_it_alone(tmp_path):
    bare = {cell.forecast_id for cell in cells(tmp_path, study(tmp_path, TWO)) if cell.arm == "bare"}
    alone = study(tmp_path, extra="[agents]\ntools = []")
    assert {cell.forecast_id for cell in cells(tmp_path, alone)} == bare


def arm(**keys):
    return "[[arms]]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items()) + "\n"


NOISY = '[models.noisy]\nprovider = "simulated"\nparameters = { private_noise = 1.0 }\n'
BAD = [
    (arm(name='"same"'), r"arms\.0 \('same'\): it changes nothing: its model, tools.* take it out"),
    (arm(name='"same"', tools='"all"'), "it changes nothing"),
    (arm(name='"a"', show_price="false") + arm(name='"b"', show_price="false"),
     r"arms\.1 \('b'\): it is another arm once more.*those of the arm 'a'"),
    (arm(name='"a"', show_price="false") + arm(name='"a"', tools='"none"'), r"arms\.1 \('a'\): arms\.0 has this name"),
    (arm(name='"main"', tools='"none"'), "'main' is the name of an arm that is there already"),
    (arm(name='"memorisation_probe"', tools='"none"'), "is the name of an arm that is there already"),
    (arm(name='"a/b"', tools='"none"'), "an arm's name is 1 to 60 of"),
    (arm(name='"a"', tools='"few"'), 'it is "none", "all" or a list of tools'),
    (arm(name='"a"', tools='["market_detail"]'), r"'market_detail'.*market_details"),
    (arm(name='"a"', max_turns="0"), "greater than or equal to 1"),
    (arm(name='"a"', colour='"red"'), r"arms\.0\.colour = 'red': no such key.*known here: configurations, evidence"),
    (arm(name='"a"', model='"noisi"') + NOISY, r"arms\.0 \('a'\).*'noisi'.*noisy"),
    (arm(name='"a"', model='"x"'), r"arms\.0 \('a'\).*'x'"),
    (arm(name='"a"', tools='"none"', configurations='["single_agnt"]'), r"'single_agnt'.*single_agent"),
    (arm(name='"a"', tools='"none"', configurations='["single_agent", "single_agent"]'), "names 'single_agent' twice"),
    (arm(name='"a"', tools='"none"', sampling="{ temperature = 0.5 }"), "a simulated model takes no sampling parameters"),
    (arm(name='"a"', tools='["web_search"]'), "it searches the web of today"),
    (NOISY, r"models\.noisy: no arm names it"),
    ('[models.weak]\nprovider = "simulated"\ntakes_tools = false\nparameters = { private_noise = 1.0 }\n'
     + arm(name='"weak"', model='"weak"'),
     r"the model of the arm 'weak' takes no tools.*market_details.*say tools = \"none\" in the arm"),
    ('[models."simulated-forecaster-1"]\nprovider = "simulated"\n' + arm(name='"a"', model='"simulated-forecaster-1"'),
     r"models\.simulated-forecaster-1: \[model\] is called so"),
    ('[models.paid]\nprovider = "anthropic"\nid = "claude-opus-4-6"\n' + arm(name='"a"', model='"paid"'),
     r"models\.paid: its dollars are paid, those of \[model\] simulated.*another provider"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "problem"), BAD)
def test_what_is_wrong_with_arms_is_named_with_its_rule_and_fix(tmp_path, more, problem):
    with pytest.raises(StudyError, match=problem):
        study(tmp_path, more)


def test_a_model_without_tools_in_an_arm_without_them_is_no_mistake(tmp_path):
    weak = '[models.weak]\nprovider = "simulated"\ntakes_tools = false\n'
    loaded = study(tmp_path, weak + arm(name='"weak"', model='"weak"', tools='"none"'))
    assert loaded.arms[1].study.agents.tools == ()


def test_a_recording_has_one_arm(tmp_path):
    text = (
        STUDY.replace("EXTRA", "")
        .replace('"simulated"\ncount = 2', '"coordination-traces-100"')
        .replace("replicates = 2", "replicates = 1")
    )
    text = text.replace('provider = "simulated"', 'provider = "recorded"\nrecording = "coordination-traces-100"')
    (tmp_path / "r.toml").write_text(text + arm(name='"a"', tools='"none"'))
    with pytest.raises(StudyError, match="a recording holds the replies to the requests of one setting"):
        load_study(tmp_path / "r.toml")
