"""Strategies, and what a sampling server's answer makes of them."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from iox_otel_bridge.strategies import (
    Always,
    PerOperation,
    Probabilistic,
    RateLimiting,
    Strategy,
)
from iox_otel_bridge.strategy_answer import strategy_of

ids = random.Random(42)


def share(strategy: Strategy, operation: str = "op", count: int = 20_000) -> float:
    """Return which share of random traces is sampled."""
    sampled = [strategy.decide(operation, ids.getrandbits(128)) for _ in range(count)]
    return sum(tags is not None for tags in sampled) / count


def near(rate: float, count: int = 20_000) -> Any:
    """Eight standard deviations: what lies beyond has a probability below 1e-10."""
    return pytest.approx(rate, abs=8 * math.sqrt(rate * (1 - rate) / count))


def answered(answer: object, previous: Strategy | None = None) -> Strategy:
    return strategy_of(json.dumps(answer).encode(), previous)


def per_operation(**changes: object) -> dict[str, object]:
    operations = {
        "defaultSamplingProbability": 0.0,
        "defaultLowerBoundTracesPerSecond": 0,
        "perOperationStrategies": [],
    }
    return {"strategyType": "PROBABILISTIC", "operationSampling": operations | changes}


def one(operation: str, rate: float) -> dict[str, object]:
    return {"operation": operation, "probabilisticSampling": {"samplingRate": rate}}


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.9])
def test_a_share_of_the_traces(rate: float) -> None:
    assert share(Probabilistic(rate)) == near(rate)


def test_all_and_none() -> None:
    assert share(Probabilistic(1)) == share(Always()) == 1
    assert share(Probabilistic(0)) == 0


def test_the_same_traces_as_opentelemetrys_own() -> None:
    """Services with the same ratio, of whatever kind, sample the same traces."""
    ours, theirs = Probabilistic(0.3), TraceIdRatioBased(0.3)
    for _ in range(2_000):
        trace_id = ids.getrandbits(128)
        decision = theirs.should_sample(None, trace_id, "op").decision
        assert (ours.decide("op", trace_id) is not None) is (decision.value == 2)


def test_the_tags_are_jaegers() -> None:
    assert Always().decide("op", 1) == {"sampler.type": "const", "sampler.param": True}
    assert Probabilistic(0.5).decide("op", 1) == {
        "sampler.type": "probabilistic",
        "sampler.param": 0.5,
    }
    assert RateLimiting(2).decide("op", 1) == {"sampler.type": "ratelimiting", "sampler.param": 2}


@pytest.mark.parametrize("kind", ["PROBABILISTIC", 0])
def test_probabilistic_by_name_and_by_number(kind: object) -> None:
    strategy = answered({"strategyType": kind, "probabilisticSampling": {"samplingRate": 0.25}})
    assert repr(strategy) == "Probabilistic(0.25)"
    assert share(strategy) == near(0.25)


@pytest.mark.parametrize("kind", ["RATE_LIMITING", 1])
def test_rate_limiting_by_name_and_by_number(kind: object) -> None:
    strategy = answered({"strategyType": kind, "rateLimitingSampling": {"maxTracesPerSecond": 5}})
    assert repr(strategy) == "RateLimiting(5)"
    assert [strategy.decide("op", 1) is not None for _ in range(6)] == [True] * 5 + [False]


def test_what_is_missing_is_zero() -> None:
    """As proto3's JSON leaves it out."""
    assert repr(answered({"probabilisticSampling": {"samplingRate": 0.5}})) == "Probabilistic(0.5)"
    assert repr(answered({"strategyType": 0, "probabilisticSampling": {}})) == "Probabilistic(0)"
    assert repr(answered({"rateLimitingSampling": {"maxTracesPerSecond": 5}})) == "RateLimiting(5)"
    assert share(answered({"operationSampling": {}}), count=100) == 0


def test_each_operation_has_its_share() -> None:
    """Before the strategy of the service, which the same answer has as well."""
    answer = per_operation(
        defaultSamplingProbability=0.1,
        perOperationStrategies=[one("all", 1), one("none", 0), one("half", 0.5)],
    )
    strategy = answered(answer | {"probabilisticSampling": {"samplingRate": 1.0}})
    shares = [share(strategy, operation) for operation in ("all", "none", "half", "other")]
    assert shares == [1, 0, near(0.5), near(0.1)]


def test_each_operation_has_its_guarantee() -> None:
    """As many as the lower bound, with a tag that says so; what the share samples counts."""
    strategy = answered(
        per_operation(
            defaultLowerBoundTracesPerSecond=0.01, perOperationStrategies=[one("known", 0.5)]
        )
    )
    low, high = 1, (1 << 64) - 1
    assert strategy.decide("other", high) == {"sampler.type": "lowerbound", "sampler.param": 0.0}
    assert strategy.decide("other", high) is None
    assert strategy.decide("another", high) is not None
    assert strategy.decide("known", low) == {"sampler.type": "probabilistic", "sampler.param": 0.5}
    assert strategy.decide("known", high) is None


def test_no_operation_has_more_than_its_upper_bound() -> None:
    strategy = answered(
        per_operation(defaultSamplingProbability=1.0, defaultUpperBoundTracesPerSecond=0.01)
    )
    assert [strategy.decide("op", 1) is not None for _ in range(3)] == [True, False, False]
    assert strategy.decide("other", 1) is not None


def test_so_many_operations_are_told_apart() -> None:
    """Those beyond have the default share and no guarantee, and take no room."""
    strategy = PerOperation(
        default_rate=0, lower_bound=0.01, upper_bound=None, rates={"a": 0}, max_operations=3
    )
    guaranteed = [strategy.decide(f"{number}", 1) is not None for number in range(50)]
    assert guaranteed == [True, True] + [False] * 48
    assert strategy.decide("a", 1) is not None
    assert repr(strategy) == "PerOperation(0, 3 operations)"
    many = PerOperation(
        default_rate=0,
        lower_bound=0,
        upper_bound=None,
        rates={str(number): 1.0 for number in range(3_000)},
    )
    assert repr(many) == "PerOperation(0, 2000 operations)"


def test_the_next_answer_gives_no_guarantee_twice() -> None:
    """Whether the server names the operation or not; else each poll would add a trace of each."""
    answer = per_operation(
        defaultLowerBoundTracesPerSecond=0.001, perOperationStrategies=[one("known", 0)]
    )
    before = answered(answer)
    assert before.decide("known", 1) is not None
    assert before.decide("met", 1) is not None
    after = answered(answer, before)
    assert after.decide("known", 1) is None
    assert after.decide("met", 1) is None
    assert after.decide("new", 1) is not None
    limited = {"strategyType": 1, "rateLimitingSampling": {"maxTracesPerSecond": 1}}
    first = answered(limited)
    assert first.decide("op", 1) is not None
    assert answered(limited, first).decide("op", 1) is None
    assert answered(limited, after).decide("op", 1) is not None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("nonsense", "it is no JSON object"),
        ("", "it is no JSON object"),
        ("[" * 100_000, "it is no JSON object"),
        ("[]", "it is no JSON object"),
        ("{}", "something in it is no JSON object that should be one"),
        ('{"strategyType": "ADAPTIVE"}', "its strategyType is neither"),
        ('{"strategyType": true}', "its strategyType is neither"),
        ('{"strategyType": {}}', "its strategyType is neither"),
        ('{"strategyType": 0}', "something in it is no JSON object"),
        ('{"probabilisticSampling": {"samplingRate": 1.1}}', "its samplingRate is no number"),
        ('{"probabilisticSampling": {"samplingRate": -1}}', "its samplingRate is no number"),
        ('{"probabilisticSampling": {"samplingRate": NaN}}', "its samplingRate is no number"),
        ('{"probabilisticSampling": {"samplingRate": true}}', "its samplingRate is no number"),
        ('{"probabilisticSampling": {"samplingRate": "1"}}', "its samplingRate is no number"),
        ('{"probabilisticSampling": {"samplingRate": null}}', "its samplingRate is no number"),
        ('{"rateLimitingSampling": {"maxTracesPerSecond": -1}}', "its maxTracesPerSecond is no"),
        ('{"rateLimitingSampling": {"maxTracesPerSecond": 1e400}}', "its maxTracesPerSecond is no"),
        ('{"operationSampling": []}', "something in it is no JSON object"),
        ('{"operationSampling": {"perOperationStrategies": {"a": 1}}}', "are no list"),
        ('{"operationSampling": {"perOperationStrategies": [1]}}', "something in it is no JSON"),
        ('{"operationSampling": {"perOperationStrategies": [{}]}}', "has no operation"),
        (
            '{"operationSampling": {"perOperationStrategies": [{"operation": "a"}]}}',
            "something in it is no JSON object",
        ),
        ('{"operationSampling": {"defaultSamplingProbability": 2}}', "its defaultSampling"),
        ('{"operationSampling": {"defaultLowerBoundTracesPerSecond": -2}}', "its defaultLower"),
        ('{"operationSampling": {"defaultUpperBoundTracesPerSecond": -2}}', "its defaultUpper"),
    ],
)
def test_what_is_no_strategy(answer: str, reason: str) -> None:
    """A line of few kinds, with nothing in it that the server has written."""
    with pytest.raises(ValueError, match=reason) as caught:
        strategy_of(answer.encode())
    assert len(str(caught.value)) < 100
