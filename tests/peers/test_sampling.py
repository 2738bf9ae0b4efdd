"""JaegerRemoteSampler against the sampling endpoint of a real Jaeger."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision

from iox_otel_bridge import JaegerRemoteSampler
from peerkit.jaeger import Jaeger
from peerkit.service import Service, settings

APPS = Path(__file__).parent / "apps"
COUNT = 20_000
STRATEGIES: dict[str, Any] = {
    "service_strategies": [
        {"service": "shares", "type": "probabilistic", "param": 0.25},
        {"service": "rates", "type": "ratelimiting", "param": 3},
        {
            "service": "operations",
            "type": "probabilistic",
            "param": 0.5,
            "operation_strategies": [
                {"operation": "all", "type": "probabilistic", "param": 1.0},
                {"operation": "none", "type": "probabilistic", "param": 0.0},
            ],
        },
        {"service": "back", "type": "ratelimiting", "param": 2},
    ],
    "default_strategy": {"type": "probabilistic", "param": 0.75},
}


class Sampling:
    """A Jaeger with a file of strategies."""

    def __init__(self, jaeger: Jaeger, file: Path) -> None:
        self.jaeger = jaeger
        self._file = file

    def tell(self, strategies: object) -> None:
        """Give it other strategies, in one step."""
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(strategies))
        written.replace(self._file)


@pytest.fixture(scope="module")
def sampling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampling]:
    """A Jaeger of these tests."""
    folder = tmp_path_factory.mktemp("sampling")
    file = folder / "strategies.json"
    file.write_text(json.dumps(STRATEGIES))
    with Jaeger(folder, strategies=file) as jaeger:
        yield Sampling(jaeger, file)


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.fixture
def remote(sampling: Sampling) -> Iterator[Callable[..., JaegerRemoteSampler]]:
    """Makes samplers that have their service's strategy, and stops them."""
    made: list[JaegerRemoteSampler] = []

    def make(service: str, **options: Any) -> JaegerRemoteSampler:
        defaults: dict[str, Any] = {
            "endpoint": sampling.jaeger.sampling,
            "polling_interval_s": 0.05,
        }
        sampler = JaegerRemoteSampler(service, **defaults | options)
        made.append(sampler)
        initial = sampler.strategy
        until(lambda: sampler.strategy is not initial)
        return sampler

    yield make
    for sampler in made:
        sampler.shutdown()


def share(sampler: JaegerRemoteSampler, operation: str = "op") -> float:
    """Return which share of random traces is sampled."""
    ids = random.Random(42)
    decisions = [
        sampler.should_sample(Context(), ids.getrandbits(128), operation).decision
        for _ in range(COUNT)
    ]
    return decisions.count(Decision.RECORD_AND_SAMPLE) / COUNT


def near(rate: float) -> Any:
    """Eight standard deviations: what lies beyond has a probability below 1e-10."""
    return pytest.approx(rate, abs=8 * math.sqrt(rate * (1 - rate) / COUNT))


@pytest.mark.parametrize("path", ["/sampling", "/"])
def test_shares(sampling: Sampling, remote: Any, path: str) -> None:
    """By the enum's names at `/sampling` and by its numbers at `/`; unknown services, too."""
    endpoint = sampling.jaeger.sampling.removesuffix("/sampling") + path
    answer = httpx.get(endpoint, params={"service": "shares"}).json()
    assert answer["strategyType"] == ("PROBABILISTIC" if path == "/sampling" else 0)
    assert share(remote("shares", endpoint=endpoint)) == near(0.25)
    assert share(remote("anything", endpoint=endpoint)) == near(0.75)


@pytest.mark.parametrize("path", ["/sampling", "/"])
def test_rates(sampling: Sampling, remote: Any, path: str) -> None:
    endpoint = sampling.jaeger.sampling.removesuffix("/sampling") + path
    sampler = remote("rates", endpoint=endpoint)
    assert "RateLimiting(3)" in sampler.get_description()
    began_s = time.monotonic()
    sampled = share(sampler) * COUNT
    assert 3 <= round(sampled) <= 3 + 3 * (time.monotonic() - began_s)


def test_operations(remote: Any) -> None:
    sampler = remote("operations")
    assert share(sampler, "all") == 1
    assert share(sampler, "none") == 0
    assert share(sampler, "another") == near(0.5)


def test_it_follows_what_the_server_is_told(sampling: Sampling, remote: Any) -> None:
    sampler = remote("changing")
    assert share(sampler) == near(0.75)
    sampling.tell(STRATEGIES | {"default_strategy": {"type": "probabilistic", "param": 1.0}})
    until(lambda: "Probabilistic(1)" in sampler.get_description())
    assert share(sampler) == 1
    sampling.tell(STRATEGIES)
    until(lambda: "Probabilistic(0.75)" in sampler.get_description())


def test_it_keeps_what_it_was_told_when_the_server_has_gone(
    tmp_path: Path, remote: Any, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "strategies.json"
    file.write_text(json.dumps(STRATEGIES))
    with Jaeger(tmp_path, strategies=file) as jaeger:
        sampler = remote("shares", endpoint=jaeger.sampling)
        assert share(sampler) == near(0.25)
    until(lambda: "it cannot be asked" in caplog.text)
    assert share(sampler) == near(0.25)


def test_a_service_goes_by_it(sampling: Sampling, tmp_path: Path) -> None:
    """From the setting to the traces that Jaeger has: two, however many requests there are."""
    environment = settings("jaeger", sampling.jaeger) | {
        "TRACES_SAMPLER": f"jaeger_remote:{sampling.jaeger.sampling}"
    }
    running = Service(
        "uvicorn back:app", source=APPS, folder=tmp_path, ready="/ready", environment=environment
    )
    jaeger = sampling.jaeger

    def limited() -> list[dict[str, Any]]:
        """Return the tags of the roots that the strategy let pass, not the initial one."""
        traces = jaeger.api("traces", service="back", limit=1_000)
        roots = [span for each in traces for span in each["spans"] if not span["references"]]
        tags = [{tag["key"]: tag["value"] for tag in root["tags"]} for root in roots]
        return [each for each in tags if each["sampler.type"] == "ratelimiting"]

    def two_are_there() -> bool:
        httpx.get(back.url)
        return len(limited()) >= 2

    began_s = time.monotonic()
    with running as back:
        until(two_are_there)
        for _ in range(50):
            httpx.get(back.url)
        most = 2 + 2 * (time.monotonic() - began_s)
    assert 2 <= len(limited()) <= most
    assert {each["sampler.param"] for each in limited()} == {2}
