"""An agent and two gateways: traces whole, the right ones kept, and what is lost when one dies.

Behind a Collector delivery is at least once: what was under way when a gateway or an agent died is
sent again. So sets of span ids are compared, not their number.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from iox_otel import Span, SpanContext
from iox_otel_bridge import TracingConfig
from iox_otel_bridge.tracing import Tracing
from peerkit.collector import Collector
from peerkit.jaeger import Jaeger
from peerkit.process import wait_for
from peerkit.tiers import Tiers, counted_calls, kept
from peerkit.zipkin import Zipkin

MS = 10**6
SLOW_MS = 1_000
"""The default of the variable of that name: what takes longer is slow."""
TAIL = 1e-6
"""How improbable the share that is kept may be: together below and above."""
DECISION_S = 3
"""Gateways decide this long after the root, give or take a tick of a second each."""

Traces = dict[str, set[str]]
"""The ids of spans by the ids of traces, in hex."""


class App:
    """An application that sends to an agent by our exporter.

    Args:
        tracing: sends to the agent.
        seed: of the ids.
    """

    def __init__(self, tracing: Tracing, seed: int) -> None:
        self.tracing = tracing
        self._random = random.Random(seed)

    def trace(
        self, *, spans: int = 3, duration_ms: int = 5, error: bool = False, asked: str = ""
    ) -> list[Span]:
        """Return the spans of a trace, its root last; with *error* the first of them failed.

        *asked* is the text under which it was asked for, if it was.
        """
        ids = self._random.getrandbits
        ctx = SpanContext(trace_id=ids(128), span_id=ids(64), collector=self.tracing.collector)
        start_ns = time.time_ns()
        root = Span("request", ctx, start_ns=start_ns, end_ns=start_ns + duration_ms * MS)
        if asked:
            root.metadata["jaeger-debug-id"] = asked
        children = [root.child(f"step {n}") for n in range(spans - 1)]
        for child in children:
            child.start_ns, child.end_ns = start_ns, start_ns + MS
        made = [*children, root]
        if error:
            made[0].error("failed")
        return made

    def send(self, traces: Iterable[list[Span]]) -> Traces:
        """Send traces, each scattered over the batches; return once the agent has all of them."""
        whole = [list(spans) for spans in traces]
        for depth in range(max(map(len, whole))):
            for spans in whole:
                if depth < len(spans):
                    spans[depth].export()
            assert self.tracing.force_flush(30)
        return sent(whole)


def sent(traces: Iterable[list[Span]]) -> Traces:
    """Return the ids of those traces as the Collector writes them."""
    return {
        f"{spans[0].ctx.trace_id:032x}": {f"{span.ctx.span_id:016x}" for span in spans}
        for spans in traces
    }


@contextmanager
def application(agent: Collector, seed: int) -> Iterator[App]:
    """An application that sends to *agent*."""
    environ = {"TRACES_EXPORTER": "otlp", "TRACES_EXPORTER_OTLP_ENDPOINT": agent.otlp_grpc}
    with TracingConfig.from_env(service_name="checkout", environ=environ).build() as tracing:
        yield App(tracing, seed)


def binomial_bounds(trials: int, percent: int, tail: float) -> tuple[int, int]:
    """Return the narrowest range outside which at most *tail* lies, half of it on either side.

    Exact: the probabilities are whole numbers of 100**-trials.
    """
    limit = int(tail / 2 * 10**12) * 100**trials // 10**12
    ways = [
        math.comb(trials, k) * percent**k * (100 - percent) ** (trials - k)
        for k in range(trials + 1)
    ]
    assert sum(ways) == 100**trials
    low = _largest_tail(ways, limit)
    return low, trials - _largest_tail(ways[::-1], limit)


def _largest_tail(ways: list[int], limit: int) -> int:
    total = 0
    for k, way in enumerate(ways):
        total += way
        if total > limit:
            return k
    raise AssertionError("the limit is all there is")


def undecided(gateway: Collector) -> int:
    """Return how many traces of a gateway wait for a decision, as far as it has taken them."""
    sampler = "otelcol_processor_tail_sampling"
    taken = gateway.metric(f"{sampler}_new_trace_id_received")
    return int(taken - gateway.metric(f"{sampler}_global_count_traces_sampled"))


def settled(gateway: Collector) -> bool:
    """Tell whether a gateway, never restarted, has decided on all and written what it keeps."""
    decided = "otelcol_processor_tail_sampling_global_count_traces_sampled"
    return not undecided(gateway) and len(kept(gateway)) == gateway.metric(decided, sampled="true")


def test_every_trace_is_whole_in_one_gateway_and_the_right_ones_are_kept(
    tmp_path: Path, compared: list[str]
) -> None:
    """All errors, all slow ones, all asked for, a tenth of the rest; rates count every span."""
    with Tiers(tmp_path) as tiers, application(tiers.agent, seed=1) as app:
        errors = app.send(app.trace(error=True, spans=n % 5 + 1) for n in range(200))
        slow = app.send(app.trace(duration_ms=SLOW_MS + 1) for _ in range(200))
        asked = app.send(app.trace(asked=f"order {n}") for n in range(20))
        rest = app.send(
            app.trace(spans=n % 5 + 1, duration_ms=n % 2 * SLOW_MS) for n in range(2_000)
        )
        everything = errors | slow | asked | rest
        wanted = errors | slow | asked
        spans = sum(map(len, everything.values()))

        def there() -> list[Traces] | None:
            calls = sum(sum(counted_calls(gateway).values()) for gateway in tiers.gateways)
            if calls < spans or not all(map(settled, tiers.gateways)):
                return None
            return [kept(gateway) for gateway in tiers.gateways]

        first, second = wait_for("kept traces and counts", there, 30)
        calls = [counted_calls(gateway) for gateway in tiers.gateways]
        late = {
            id: late_span(app, id) for id in (next(iter(errors)), _dropped(rest, first | second))
        }
        wait_for("late span of a kept trace", lambda: _arrived(tiers, late, errors), 10)
        first, second = (kept(gateway) for gateway in tiers.gateways)

    assert first and second and not first.keys() & second.keys()
    both = first | second
    assert not wanted.keys() - both.keys()
    kept_id, dropped_id = late
    assert both.pop(kept_id) == everything[kept_id] | {late[kept_id]}
    assert dropped_id not in both
    assert both == {id: everything[id] for id in both}
    low, high = binomial_bounds(len(rest), 10, TAIL)
    kept_of_rest = len(both.keys() & rest.keys())
    assert low <= kept_of_rest <= high
    assert sum(sum(c.values()) for c in calls) == spans
    assert sum(c["STATUS_CODE_ERROR"] for c in calls) == len(errors)
    compared.append(
        f"agent and two gateways: {len(everything)} traces of {spans} spans, whole and in one; all "
        f"{len(wanted)} errors, slow and asked for kept, {kept_of_rest} of {len(rest)} others "
        f"({low} to {high} allowed); calls counted before sampling: {spans}"
    )


def late_span(app: App, trace_id: str) -> str:
    """Send one more span of a trace; return its id."""
    ctx = SpanContext(
        trace_id=int(trace_id, 16),
        span_id=random.getrandbits(64),
        parent_span_id=1,
        collector=app.tracing.collector,
    )
    now_ns = time.time_ns()
    Span("late", ctx, start_ns=now_ns, end_ns=now_ns).export()
    assert app.tracing.force_flush(10)
    return f"{ctx.span_id:016x}"


def _dropped(traces: Traces, files: Traces) -> str:
    return next(id for id in traces if id not in files)


def _arrived(tiers: Tiers, late: dict[str, str], errors: Traces) -> bool | None:
    """True once the gateways have seen all late spans, and written those of a kept trace."""
    seen = sum(
        gateway.metric("otelcol_processor_tail_sampling_early_releases_from_cache_decision")
        for gateway in tiers.gateways
    )
    (of_kept,) = late.keys() & errors.keys()
    written = any(late[of_kept] in kept(g).get(of_kept, ()) for g in tiers.gateways)
    return (seen == len(late) and written) or None


def test_a_dead_gateway_loses_what_it_had_not_decided_and_a_dead_agent_nothing(
    tmp_path: Path, compared: list[str]
) -> None:
    """Of what the agent has acknowledged, only the last seconds of one gateway are gone."""
    wait = {"DECISION_WAIT": f"{DECISION_S}s", "DECISION_WAIT_AFTER_ROOT": f"{DECISION_S}s"}
    rerouted = {"GATEWAY_TIMEOUT": "1s"}
    with (
        Tiers(tmp_path, agent=rerouted, gateway=wait) as tiers,
        application(tiers.agent, seed=2) as app,
    ):
        dying, other = tiers.gateways

        def errors(count: int) -> Traces:
            return app.send(app.trace(error=True) for _ in range(count))

        def delivered(traces: Traces) -> bool | None:
            both = kept(dying) | kept(other)
            return all(both.get(id) == spans for id, spans in traces.items()) or None

        before = errors(300)
        wait_for("decided traces", lambda: delivered(before), 20)

        sent_at = time.monotonic()
        at_stake = errors(300)
        total = sum(map(len, (before | at_stake).values()))
        accepted = "otelcol_receiver_accepted_spans"
        wait_for(
            "spans at the gateways",
            lambda: dying.metric(accepted) + other.metric(accepted) == total or None,
            DECISION_S,
        )
        taken = dying.metric(accepted)
        dying.kill()
        age_s = time.monotonic() - sent_at
        written = kept(dying)
        lost_spans = int(taken) - sum(map(len, written.values()))

        during = errors(300)
        tiers.agent.kill()
        tiers.agent.start()
        during |= errors(300)
        dying.start()
        after = errors(300)
        wait_for("what was sent meanwhile", lambda: delivered(during | after), 60)
        wait_for("decisions of the other", lambda: settled(other) or None, 20)

        both = kept(dying) | kept(other)
        everything = before | at_stake | during | after
        lost = {id: spans for id, spans in everything.items() if id not in both}
        assert {id: both[id] for id in both} == {id: everything[id] for id in both}
        assert lost.keys() <= at_stake.keys()
        assert sum(map(len, lost.values())) == lost_spans > 0
        assert age_s < DECISION_S, "too slow a machine: those sent first were decided"
        assert not lost.keys() & kept(other).keys()

        last = errors(300)
        wait_for(
            "last spans at the gateways",
            lambda: sum(map(undecided, tiers.gateways)) == len(last) or None,
            DECISION_S,
        )
        for gateway in tiers.gateways:
            gateway.stop()
        assert delivered(last)
    compared.append(
        f"a gateway and an agent killed and back: of {len(everything)} traces {len(lost)} lost, "
        f"those that the gateway had taken {age_s:.1f} s before and not decided; none at SIGTERM"
    )


def test_gateways_are_found_by_name(tmp_path: Path) -> None:
    """The agent's other exporter takes the addresses of a DNS name; the share can be all."""
    everything = {"KEEP_PERCENT": "100", "DECISION_WAIT_AFTER_ROOT": "1s"}
    exporter = "load_balancing/dns"
    with (
        Tiers(tmp_path, count=1, exporter=exporter, gateway=everything) as tiers,
        application(tiers.agent, seed=3) as app,
    ):
        traces = app.send(app.trace() for _ in range(100))
        (gateway,) = tiers.gateways
        wait_for("all traces", lambda: kept(gateway) == traces or None, 20)


def test_a_trace_without_a_root_is_decided_later(tmp_path: Path) -> None:
    """DECISION_WAIT after its first span, where a root has DECISION_WAIT_AFTER_ROOT."""
    waits = {"DECISION_WAIT": "6s", "DECISION_WAIT_AFTER_ROOT": "1s"}
    with (
        Tiers(tmp_path, count=1, gateway=waits) as tiers,
        application(tiers.agent, seed=5) as app,
    ):
        (gateway,) = tiers.gateways
        began = time.monotonic()
        rootless = app.send(app.trace(error=True)[:-1] for _ in range(20))
        rooted = app.send(app.trace(error=True) for _ in range(20))
        wait_for("those with a root", lambda: kept(gateway).keys() >= rooted.keys() or None, 10)
        if time.monotonic() - began < DECISION_S + 1:  # on a machine that is not too slow to tell
            assert kept(gateway) == rooted
        wait_for("the others", lambda: kept(gateway) == rooted | rootless or None, 15)
        assert time.monotonic() - began > DECISION_S + 1


def test_a_gateway_has_a_durable_queue_for_each_exporter(
    tmp_path: Path, zipkin: Zipkin, compared: list[str]
) -> None:
    """A dead Jaeger delays neither Zipkin nor the file, and gets all of it, also after SIGKILL."""
    jaeger = Jaeger(tmp_path)  # not there yet
    gateway = Collector(
        tmp_path,
        config="gateway-config.yaml",
        exporters=("otlp_grpc/jaeger", "zipkin", "file"),
        KEEP_PERCENT="100",
        DECISION_WAIT_AFTER_ROOT="1s",
        JAEGER_OTLP_ENDPOINT=jaeger.otlp_grpc,
        ZIPKIN_ENDPOINT=zipkin.endpoint,
    )
    with gateway, application(gateway, seed=4) as app:
        traces = app.send(app.trace() for _ in range(200))
        ids = [int(trace_id, 16) for trace_id in traces]
        wait_for("file", lambda: kept(gateway) == traces or None)
        wait_for("Zipkin", lambda: _by_trace(zipkin.spans(ids), "traceId", "id") == traces or None)
        queued = gateway.metric("otelcol_exporter_queue_size", exporter="otlp_grpc/jaeger")
        assert queued == sum(map(len, traces.values()))
        gateway.kill()
        gateway.start()
        with jaeger:
            wait_for(
                "Jaeger",
                lambda: _by_trace(jaeger.spans(ids), "traceID", "spanID") == traces or None,
                60,
            )
    compared.append(
        f"gateway with a dead Jaeger, then killed: all {queued:.0f} spans in the file and Zipkin "
        "at once, and in Jaeger when it was back"
    )


def _by_trace(spans: Iterable[dict[str, Any]], trace_id: str, span_id: str) -> Traces:
    """Return the ids of spans by those of their traces."""
    traces: Traces = {}
    for span in spans:
        traces.setdefault(span[trace_id].rjust(32, "0"), set()).add(span[span_id])
    return traces
