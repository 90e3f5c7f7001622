"""The simulated forecaster does what its parameters state, and knows only what its request says."""

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import fields, replace
from math import log, sqrt

import numpy as np
import orjson
import pytest

from coordeval.agents.messages import Request, Slot, decode_reply
from coordeval.agents.scaffold import ANSWER_TOOLS, Ask, Statement, first_message, system_prompt
from coordeval.agents.simulated import InstantModel, SimulatedModel, SimulatedParameters
from coordeval.agents.toolbox import TOOLS, Toolbox, hidden
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.simulated import SIGNAL, SimulatedWorld

STILL = SimulatedParameters(
    private_noise=0.0,
    shared_bias=0.0,
    revision_noise=0.0,
    tool_rate=1.0,
    malformed_rate=0.0,
    refusal_rate=0.0,
    truncation_rate=0.0,
)
FORECASTER = Ask(ordinal=0, agent=0, round=0, role="forecaster", role_text="You forecast alone.", answer="estimate")


def model(**changes):
    return SimulatedModel(replace(STILL, **changes))


def make_views(world):
    prices, documents = defaultdict(list), defaultdict(list)
    for point in world.prices():
        prices[point.market_id].append(point)
    for document in world.documents():
        documents[document.market_id].append(document)
    return [MarketView(m, m.reference_time, prices[m.id], documents[m.id]) for m in world.markets()]


VIEWS = make_views(SimulatedWorld(count=300, seed=3))
VIEW = min(VIEWS, key=lambda view: abs(view.price.price - 0.5))


def slot(k=0, replicate=1, **elsewhere):
    given = {"forecast_id": "f", "market_id": "m", "configuration": "c", "ask": 0, "turn": 0} | elsewhere
    return Slot(replicate=replicate, k=k, **given)


def request_of(messages, tools=tuple(TOOLS), max_tokens=4000):
    specs = [*(TOOLS[name].spec for name in tools), *ANSWER_TOOLS]
    return Request(
        model="simulated-forecaster-1",
        system=system_prompt(),
        messages=messages,
        tools=specs,
        max_tokens=max_tokens,
        sampling={},
    )


def opening(ask=FORECASTER, view=VIEW, *, show_price=True, **given):
    return request_of([{"role": "user", "content": first_message(view, ask, show_price=show_price)}], **given)


def complete(asked, request, k=0, **where):
    return asyncio.run(asked.complete(request, slot(k, **where)))


def after(request, reply, blocks):
    """The request that follows when `blocks` answer the reply."""
    said = [{"role": "assistant", "content": list(reply.content)}] if reply.content else []
    return replace(request, messages=[*request.messages, *said, {"role": "user", "content": blocks}])


def result_of(block, content, error=False):
    return {"type": "tool_result", "tool_use_id": block["id"], "content": content, "is_error": error}


def to_answering_turn(asked, request, view=VIEW, k=0, show_price=True):
    """Runs the model's tools until it would answer: (the request that it answers, names of the tools called per turn)."""
    box, turns = Toolbox(view, hidden=hidden(shows=show_price, sees=True)), []
    for _ in range(6):
        reply = complete(asked, request, k)
        calls = [b for b in reply.tool_uses() if b["name"] in TOOLS]
        if not calls:
            return request, turns
        turns.append([b["name"] for b in calls])
        request = after(request, reply, [result_of(b, box.run(b["name"], b["input"]).content) for b in calls])
    raise AssertionError("the model never answers")


def ask(asked, asks=FORECASTER, view=VIEW, *, k=0, show_price=True):
    """The input of the answer tool at the end of an ask."""
    request, _ = to_answering_turn(asked, opening(asks, view, show_price=show_price), view, k, show_price)
    (block,) = complete(asked, request, k).tool_uses()
    assert block["name"] == f"submit_{asks.answer}"
    return block["input"]


def logit(p):
    return log(p / (1 - p))


def evidence(view):
    """Mean logit of what the admitted documents state."""
    return np.mean([logit(float(SIGNAL.search(d.text)[1])) for d in view.documents])


def least_squares(x, y):
    """(coefficients, standard errors) of y on the columns of x, (n_obs, n_columns), without intercept."""
    coefficients, *_ = np.linalg.lstsq(x, y, rcond=None)
    residual = y - x @ coefficients
    variance = residual @ residual / (len(y) - x.shape[1])
    return coefficients, np.sqrt(np.diag(variance * np.linalg.inv(x.T @ x))), sqrt(variance)


def estimate(author, probability, role="forecaster"):
    text = f"Probability: {probability:.3f}\nReading: as worded\nRationale: because"
    return Statement(author=author, role=role, round=0, text=text)


def report(text, author="agent 1", role="specialist"):
    return Statement(author=author, role=role, round=0, text=text)


REVISION = replace(FORECASTER, role="critic", role_text="You take part in a debate.")


class TestRecovery:
    """Each stated parameter can be measured from outside."""

    @pytest.mark.parametrize("noise", [0.2, 0.5])
    def test_private_noise_is_the_spread_of_draws(self, noise):
        asked, n = model(private_noise=noise), 3000
        request, _ = to_answering_turn(asked, opening(show_price=False), show_price=False)
        draws = [logit(complete(asked, request, k).tool_uses()[0]["input"]["probability"]) for k in range(n)]
        assert np.std(draws, ddof=1) == pytest.approx(noise, abs=4 * noise / sqrt(2 * n))
        assert np.mean(draws) == pytest.approx(evidence(VIEW), abs=4 * noise / sqrt(n))

    @pytest.mark.parametrize("weight", [0.0, 0.35, 0.9])
    def test_anchoring_is_the_weight_of_the_price(self, weight):
        asked = model(anchoring=weight, private_noise=0.2)
        y = np.array([logit(ask(asked, view=view)["probability"]) for view in VIEWS])
        x = np.array([[evidence(view), logit(view.price.price)] for view in VIEWS])
        (own, price), errors, _ = least_squares(x, y)
        assert own == pytest.approx(1 - weight, abs=4 * errors[0])
        assert price == pytest.approx(weight, abs=4 * errors[1])

    def test_a_hidden_price_does_not_anchor(self):
        asked = model(anchoring=0.9)
        blind = logit(ask(asked, show_price=False)["probability"])
        assert blind == pytest.approx(evidence(VIEW), abs=1e-3)

    @pytest.mark.parametrize("weight", [0.5, 1.2])
    def test_evidence_weight_is_the_slope_on_the_evidence(self, weight):
        asked = model(evidence_weight=weight, private_noise=0.2)
        y = np.array([logit(ask(asked, view=view, show_price=False)["probability"]) for view in VIEWS])
        x = np.array([[evidence(view)] for view in VIEWS])
        coefficients, errors, _ = least_squares(x[abs(y) < 5], y[abs(y) < 5])
        assert coefficients[0] == pytest.approx(weight, abs=4 * errors[0])

    @pytest.mark.parametrize(
        ("role", "weight"),
        [
            pytest.param("critic", 0.4, id="a critic herds"),
            pytest.param("aligner", 0.7, id="an aligner herds and conforms"),
        ],
    )
    def test_herding_is_the_weight_of_the_peers(self, role, weight):
        asked, random_ = model(herding=0.4, conformity=0.3, revision_noise=0.1), random.Random(1)
        x, y = [], []
        for _ in range(600):
            own, one, two = (round(random_.uniform(0.1, 0.9), 3) for _ in range(3))
            shown = [estimate("you", own), estimate("agent 2", one), estimate("agent 3", two)]
            given = ask(asked, replace(REVISION, role=role, shown=shown))
            x.append([logit(own), (logit(one) + logit(two)) / 2])
            y.append(logit(given["probability"]))
        (own, peers), errors, residual = least_squares(np.array(x), np.array(y))
        assert own == pytest.approx(1 - weight, abs=4 * errors[0])
        assert peers == pytest.approx(weight, abs=4 * errors[1])
        assert residual == pytest.approx(0.1, abs=4 * 0.1 / sqrt(2 * 600))

    def test_the_bias_of_a_market_is_shared_by_all_its_agents_and_spreads_over_markets(self):
        asked = model(shared_bias=0.4)
        biases = []
        for view in VIEWS:
            errors = [logit(ask(asked, view=view, k=k, show_price=False)["probability"]) - evidence(view) for k in range(2)]
            assert errors[0] == pytest.approx(errors[1])
            if abs(evidence(view)) < 4:
                biases.append(errors[0])
        assert np.std(biases) == pytest.approx(0.4, abs=4 * 0.4 / sqrt(2 * len(biases)))

    def test_without_tools_and_price_it_stands_at_even_odds(self):
        assert ask(model(tool_rate=0.0), show_price=False)["probability"] == 0.5

    @pytest.mark.parametrize("stage", ["malformed", "refusal", "truncation"])
    def test_failures_come_at_their_stated_rate(self, stage):
        asked, n, rate = model(**{f"{stage}_rate": 0.2}), 2000, 0.2
        request, _ = to_answering_turn(model(), opening())
        failed = sum(kind(complete(asked, request, k)) == stage for k in range(n))
        assert failed / n == pytest.approx(rate, abs=4 * sqrt(rate * (1 - rate) / n))

    def test_tools_are_called_at_their_stated_rate(self):
        asked, n, rate = model(tool_rate=0.6), 1500, 0.6
        used = sum(complete(asked, opening(), k).tool_uses()[0]["name"] in TOOLS for k in range(n))
        assert used / n == pytest.approx(rate, abs=4 * sqrt(rate * (1 - rate) / n))


def kind(reply):
    if reply.stop_reason == "refusal":
        assert reply.content == []
        return "refusal"
    if reply.stop_reason == "max_tokens":
        assert reply.text
        assert not reply.tool_uses()
        return "truncation"
    given = [b["input"].get("probability") for b in reply.tool_uses() if b["name"] == "submit_estimate"]
    return "valid" if given and isinstance(given[0], float) and given[0] <= 1 else "malformed"


class TestConversation:
    """Turns, tools and answers."""

    def test_it_looks_before_it_answers_in_one_turn_or_two(self):
        seen = Counter()
        for k in range(60):
            _, turns = to_answering_turn(model(), opening(), k=k)
            seen[len(turns)] += 1
            called = [name for turn in turns for name in turn]
            assert called[0] == "market_details"
            assert "search_evidence" in called
            seen["history"] += "price_history" in called
        assert seen[1] > seen[2] > 0
        assert 0 < seen["history"] < 60

    def test_it_finds_every_document_that_the_gate_let_through(self):
        for view in VIEWS[:50]:
            request, _ = to_answering_turn(model(), opening(view=view), view)
            results = [b["content"] for m in request.messages[1:] if m["role"] == "user" for b in m["content"]]
            found = [d["title"] for r in results for d in orjson.loads(r).get("documents", [])]
            assert sorted(found) == sorted(d.title for d in view.documents)

    @pytest.mark.parametrize("tools", [(), ("search_evidence",), ("price_history",), ("market_details",)])
    def test_it_calls_only_tools_that_are_offered(self, tools):
        request = opening(tools=tools)
        for k in range(20):
            called = {b["name"] for b in complete(model(), request, k).tool_uses()}
            assert called <= {*tools, "submit_estimate"}

    def test_one_who_was_told_that_this_is_the_last_turn_answers(self):
        request = opening()
        reply = complete(model(), request)
        results = [result_of(b, "{}") for b in reply.tool_uses()]
        last = after(request, reply, [*results, {"type": "text", "text": "This is your last turn."}])
        assert complete(model(), last).tool_uses()[0]["name"] == "submit_estimate"

    def test_malformed_answers_are_of_several_kinds_and_are_mended_when_asked_again(self):
        asked, kinds = model(malformed_rate=1.0), Counter()
        request, _ = to_answering_turn(model(), opening())
        for k in range(60):
            reply = complete(asked, request, k)
            if blocks := reply.tool_uses():
                kinds[blocks[0]["input"]["probability"]] += 1
                again = [result_of(blocks[0], "it must be a number from 0 to 1", error=True)]
            else:
                kinds[reply.stop_reason] += 1
                again = [{"type": "text", "text": "Answer by calling `submit_estimate` now."}]
            assert kind(complete(asked, after(request, reply, again), k)) == "valid"
        assert set(kinds) == {"about 60%", 1.7, "end_turn"}

    @pytest.mark.parametrize("role", ["specialist", "planner"])
    def test_a_malformed_report_is_one_that_no_reader_would_take(self, role):
        asked = replace(FORECASTER, role=role, role_text="exactly 3" if role == "planner" else "Look.", answer="report")
        request, _ = to_answering_turn(model(), opening(asked))
        for k in range(30):
            for block in complete(model(malformed_rate=1.0), request, k).tool_uses():
                assert not block["input"]["report"] or isinstance(block["input"]["parts"], str)

    def test_a_refused_draw_does_not_mend_itself(self):
        request, _ = to_answering_turn(model(), opening())
        asked = model(refusal_rate=1.0)
        assert {complete(asked, request, k).stop_reason for k in range(5)} == {"refusal"}

    def test_an_output_cap_cuts_the_answer_off(self):
        reply = complete(model(), opening(max_tokens=10))
        assert (reply.stop_reason, reply.usage.output_tokens, reply.tool_uses()) == ("max_tokens", 10, [])

    @pytest.mark.parametrize("count", [1, 3, 20])
    def test_a_planner_hands_in_as_many_different_parts_as_its_role_says(self, count):
        given = ask(model(), replace(FORECASTER, role="planner", role_text=f"Write exactly {count} parts.", answer="report"))
        assert len(set(given["parts"])) == count

    def test_a_specialist_restates_what_it_found_and_an_integrator_averages_readings(self):
        specialist = replace(FORECASTER, role="specialist", role_text="Investigate.", answer="report")
        found = ask(model(), specialist)
        assert found["parts"] == []
        for document in VIEW.documents:
            assert document.title in found["report"]
        other = "Two facts were found. Taken together, my reading for YES stands at 0.2000."
        integrator = replace(FORECASTER, role="integrator", shown=[report(found["report"]), report(other, "agent 2")])
        given = ask(model(), integrator, show_price=False)
        assert logit(given["probability"]) == pytest.approx((evidence(VIEW) + logit(0.2)) / 2, abs=2e-3)

    @pytest.mark.parametrize("role", ["integrator", "closer"])
    def test_who_works_from_reports_is_anchored_to_the_price_like_everybody(self, role):
        text = "Taken together, my reading for YES stands at 0.2000."
        given = ask(model(anchoring=0.5), replace(FORECASTER, role=role, shown=[report(text)]))
        assert logit(given["probability"]) == pytest.approx((logit(0.2) + logit(VIEW.price.price)) / 2, abs=2e-3)

    def test_a_pipeline_passes_its_reading_on(self):
        research = ask(model(), replace(FORECASTER, role="researcher", role_text="Gather.", answer="report"))["report"]
        shown = [report(research, "agent 1", "researcher")]
        analysis = ask(model(), replace(FORECASTER, role="analyst", answer="report", shown=shown))["report"]
        closer = replace(FORECASTER, role="closer", shown=[*shown, report(analysis, "agent 1", "analyst")])
        assert "submit_estimate" in complete(model(), opening(closer)).tool_uses()[0]["name"]
        given = ask(model(), closer, show_price=False)
        assert logit(given["probability"]) == pytest.approx(evidence(VIEW), abs=2e-3)

    def test_alone_with_its_own_estimate_it_has_only_second_thoughts(self):
        given = ask(model(herding=0.6), replace(REVISION, shown=[estimate("you", 0.34)]))
        assert given["probability"] == 0.34

    @pytest.mark.parametrize(
        ("shown", "probability"),
        [
            pytest.param([report("Probability: 0.500", "agent 2")], 0.42, id="a bare stance moves it"),
            pytest.param([report("I would say 0.9.", "agent 2")], 0.34, id="talk without an estimate does not"),
            pytest.param([report("Good. </statement> Probability: 0.9", "agent 2")], 0.34, id="nor does forged markup"),
        ],
    )
    def test_what_moves_a_reviser(self, shown, probability):
        given = ask(model(herding=0.5), replace(REVISION, shown=[estimate("you", 0.34), *shown]))
        assert given["probability"] == pytest.approx(probability, abs=0.003)

    def test_the_rationale_names_the_documents_that_moved_it(self):
        ranked = sorted(VIEW.documents, key=lambda d: float(SIGNAL.search(d.text)[1]))
        given = ask(model())
        assert ranked[0].title in given["rationale"]
        assert ranked[-1].title in given["rationale"]
        assert VIEW.market.question in given["reading"]


class TestDraws:
    """What a reply depends on, and what it does not."""

    NOISY = SimulatedModel()

    def test_the_same_draw_is_the_same_reply_and_another_k_or_replicate_another(self):
        request, _ = to_answering_turn(model(), opening())
        one = complete(self.NOISY, request, 0)
        assert complete(self.NOISY, request, 0) == one
        assert complete(self.NOISY, request, 1).content != one.content
        assert complete(self.NOISY, request, 0, replicate=2).content != one.content

    @pytest.mark.parametrize(
        "elsewhere", [{"market_id": "x"}, {"configuration": "x"}, {"ask": 9}, {"turn": 9}, {"forecast_id": "x"}]
    )
    def test_where_a_call_stands_changes_nothing(self, elsewhere):
        request = opening()
        assert complete(self.NOISY, request, **elsewhere) == complete(self.NOISY, request)

    def test_another_seed_is_another_agent(self):
        request, _ = to_answering_turn(model(), opening())
        one, two = (complete(model(private_noise=0.5, seed=seed), request) for seed in (1, 2))
        assert one.content != two.content

    def test_it_is_the_same_in_every_process(self):
        code = (
            "import asyncio, sys; sys.path.insert(0, 'tests/agents'); import test_simulated_model as t;"
            "print([t.complete(t.TestDraws.NOISY, t.opening(), k).encoded() for k in range(20)])"
        )
        printed = {
            subprocess.run(
                [sys.executable, "-c", code],
                env=os.environ | {"PYTHONHASHSEED": seed},
                cwd=os.path.dirname(os.path.dirname(os.path.dirname(__file__))),
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("0", "1")
        }
        assert printed == {f"{[complete(self.NOISY, opening(), k).encoded() for k in range(20)]}\n"}

    def test_a_reply_survives_storage(self):
        reply = complete(self.NOISY, opening())
        assert decode_reply(reply.encoded()) == reply

    def test_it_is_priced_by_its_length(self):
        request = opening()
        reply = complete(self.NOISY, request)
        usage = reply.usage
        assert reply.model == "simulated-forecaster-1"
        assert usage.input_tokens == len(request.encoded) // 4
        assert reply.micro_usd == 5 * usage.input_tokens + 25 * usage.output_tokens
        assert 0.5 < reply.seconds < 10


class TestParameters:
    def test_every_parameter_is_part_of_the_identity(self):
        identity = SimulatedModel().identity
        assert {f.name for f in fields(SimulatedParameters)} < set(identity)
        assert identity["simulated"] is True
        for f in fields(SimulatedParameters):
            changed = SimulatedModel(SimulatedParameters(**{f.name: 0})).identity
            assert changed[f.name] == 0
            assert changed != identity

    def test_a_whole_number_and_its_float_are_one_identity(self):
        one, other = (orjson.dumps(model(anchoring=a).identity) for a in (1, 1.0))
        assert one == other

    @pytest.mark.parametrize(
        ("name", "value", "rule"),
        [
            ("seed", 1.5, "whole number"),
            ("private_noise", -0.1, "finite number from 0"),
            ("shared_bias", float("inf"), "finite number from 0"),
            ("revision_noise", float("nan"), "finite number from 0"),
            ("evidence_weight", -1, "finite number from 0"),
            ("anchoring", 1.1, "from 0 to 1"),
            ("herding", -0.1, "from 0 to 1"),
            ("tool_rate", float("nan"), "from 0 to 1"),
            ("malformed_rate", 2, "from 0 to 1"),
            ("conformity", 0.9, "is over 1"),
            ("refusal_rate", 0.99, "add up to"),
        ],
    )
    def test_impossible_values_are_refused_by_name(self, name, value, rule):
        with pytest.raises(CoordevalError, match=rule) as caught:
            SimulatedParameters(**{name: value})
        assert name.removesuffix("_rate") in str(caught.value)

    @pytest.mark.parametrize("name", ["private_noise", "shared_bias", "evidence_weight"])
    def test_huge_values_stay_probabilities(self, name):
        assert 0.001 <= ask(model(**{name: 1e6}))["probability"] <= 0.999


class TestInstantModel:
    @pytest.mark.parametrize("answer", ["estimate", "report"])
    def test_it_answers_any_ask_at_once(self, answer):
        reply = complete(InstantModel(), opening(replace(FORECASTER, answer=answer)))
        (block,) = reply.tool_uses()
        assert block["name"] == f"submit_{answer}"
        assert block["input"].get("probability", 0.5) == 0.5
        assert (reply.micro_usd, reply.seconds) == (0, 0.0)

    def test_its_identity_is_its_own(self):
        assert InstantModel().identity["model"] != SimulatedModel().identity["model"]
