"""A study that fixes what its model refuses stops before its first call."""

import pytest

from coordeval.agents.capabilities import (
    SamplingError,
    Wanted,
    base_id,
    check_sampling,
    check_strict,
    least_cached,
    randomness_version,
    untaken,
)

ABLE, UNABLE = "claude-opus-4-6", "claude-opus-4-7"


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("my-model-12345678", "my-model-12345678"),
    ],
)
def test_a_snapshot_has_the_id_of_its_model(model, base):
    assert base_id(model) == base


@pytest.mark.parametrize(
    ("model", "version"),
    [(ABLE, "2023-06-01"), ("claude-haiku-4-5-20251001", "2023-06-01"), (UNABLE, None), ("some-model", None)],
)
def test_the_version_under_which_temperature_is_taken(model, version):
    assert randomness_version(model) == version


@pytest.mark.parametrize(
    ("model", "sampling", "why"),
    [
        (UNABLE, {}, "nothing fixed"),
        (UNABLE, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "not about randomness"),
        (ABLE, {"temperature": 0.3}, "the published study"),
        (ABLE, {"temperature": 1, "thinking": {"type": "adaptive"}}, "1 is allowed while it thinks"),
        (ABLE, {"temperature": 0, "thinking": {"type": "disabled"}}, "it does not think"),
        ("some-model", {"thinking": {"type": "adaptive"}}, "nothing to warn of"),
    ],
)
def test_what_a_model_takes_passes_without_a_word(model, sampling, why):
    assert check_sampling(model, sampling) == [], why


@pytest.mark.parametrize(
    ("model", "sampling", "message"),
    [
        (
            UNABLE,
            {"temperature": 0.3},
            r"model\.sampling\.temperature = 0\.3: claude-opus-4-7 does not take .*claude-opus-4-6",
        ),
        ("claude-sonnet-5-20260630", {"top_k": 5}, r"model\.sampling\.top_k = 5: .* remove it"),
        (ABLE, {"temperature": 1.5}, r"temperature = 1\.5: it must be a number from 0 to 1"),
        (ABLE, {"temperature": "low"}, r"temperature = 'low': it must be a number"),
        (ABLE, {"temperature": 0.3, "thinking": {"type": "adaptive"}}, r"no temperature other than 1 while it thinks"),
        ("some-model", {"stream": True}, r"model\.sampling\.stream = True: stream is not a sampling parameter"),
        (ABLE, {"max_tokens": 5}, r"max_tokens is not a sampling parameter"),
    ],
)
def test_what_a_model_refuses_is_named_with_its_remedy(model, sampling, message):
    with pytest.raises(SamplingError, match=message):
        check_sampling(model, sampling)


def test_an_unknown_model_is_sent_what_the_study_says_with_a_warning():
    [warning] = check_sampling("some-model", {"temperature": 3, "top_p": 0.5})
    assert warning == (
        "some-model is not a model whose parameters are known: temperature, top_p will be sent as given, "
        "and the endpoint may refuse or ignore them"
    )


def test_a_model_that_always_thinks_is_not_told_otherwise():
    assert check_sampling("claude-fable-5", {"thinking": {"type": "adaptive"}}) == []
    with pytest.raises(SamplingError, match=r"thinking.type = 'disabled': claude-fable-5 takes adaptive only"):
        check_sampling("claude-fable-5", {"thinking": {"type": "disabled"}})


@pytest.mark.parametrize(("model", "least"), [("claude-opus-4-6", 4096), ("claude-haiku-4-5-20251001", 4096), ("x", None)])
def test_the_least_that_a_model_caches_is_known_or_not(model, least):
    assert least_cached(model) == least


@pytest.mark.parametrize(
    ("model", "level", "says"),
    [
        ("claude-opus-4-6", "max", ""),
        ("claude-opus-4-6", "xhigh", "takes low, medium, high, max"),
        ("claude-opus-4-5-20251101", "max", "takes low, medium, high;"),
        ("claude-haiku-4-5", "low", "takes no effort"),
        ("claude-opus-5-5", "xhigh", ""),
        ("some-model", "low", ""),
        ("some-model", "extreme", "it must be one of low, medium, high, xhigh, max"),
        ("some-model", ["low"], "it must be one of"),
    ],
)
def test_an_effort_that_a_model_does_not_take_is_refused_before_anything_is_asked(model, level, says):
    sampling = {"output_config": {"effort": level}}
    if not says:
        assert check_sampling(model, sampling) == []
        return
    with pytest.raises(SamplingError) as error:
        check_sampling(model, sampling)
    assert says in str(error.value)


def test_strict_tools_of_a_model_that_is_not_known_to_take_them_are_said():
    assert (check_strict("claude-opus-4-6", True), check_strict("qwen", False)) == ([], [])
    [warning] = check_strict("qwen", True)
    assert "it is not known whether qwen takes strict tools" in warning


ASKS = Wanted(
    sampling={"output_config": {"effort": "max"}, "thinking": {"type": "enabled"}},
    strict=True,
    batch=True,
    searches=True,
    max_tokens=9000,
)
NO, YES = {"supported": False}, {"supported": True}


@pytest.mark.parametrize(
    ("told", "lacking", "why"),
    [
        ({}, [], "what is not said is taken"),
        ({"capabilities": "none of your business", "max_tokens": "many"}, [], "nor is nonsense a refusal"),
        ({"capabilities": {"effort": NO}}, ["effort = 'max'"], "no effort at all"),
        ({"capabilities": {"effort": {**YES, "max": NO, "high": YES}}}, ["effort = 'max'"], "not that level"),
        ({"capabilities": {"thinking": {**YES, "types": {"enabled": NO}}}}, ["thinking.type = 'enabled'"], "not that kind"),
        ({"capabilities": {"structured_outputs": NO, "batch": NO}}, ["strict = true", "batch = true"], "two at once"),
        ({"capabilities": {"server_tools": {**YES, "web_search": NO}}}, ["web_search"], "one of the server tools"),
        ({"max_tokens": 8192}, ["max_tokens = 9000 (at most 8192)"], "a longer answer than it can give"),
    ],
)  # fmt: skip
def test_what_an_endpoint_says_that_its_model_does_not_take_is_named(told, lacking, why):
    found = untaken(told, ASKS)
    assert len(found) == len(lacking), why
    assert all(words in said for words, said in zip(lacking, found, strict=True)), why


def test_the_keys_are_those_of_the_sdks_own_type():
    from anthropic.types import ModelCapabilities

    one = {"effort", "thinking", "structured_outputs", "batch", "server_tools"}
    assert one <= ModelCapabilities.model_fields.keys()
