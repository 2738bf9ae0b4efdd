"""What requests and pipelines do, as OpenTelemetry metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from opentelemetry.metrics import (
    CallbackOptions,
    Histogram,
    Meter,
    MeterProvider,
    Observation,
    get_meter,
)

from iox_otel.http.metrics import Family, Side, Status

from .sender import Stats
from .span import SCOPE

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The bounds that semantic conventions advise for durations."""
_BYTES = tuple(4**power for power in range(3, 14))


class RequestMeter:
    """Request metrics (`iox_otel.http.metrics.RequestMetrics`) as OpenTelemetry histograms.

        app = TraceLayer(app, collector=…, name="http", metrics=RequestMeter())

    Rate, errors and duration are those of one histogram for each side: the semantic conventions'
    `http.server.request.duration` and `http.client.request.duration` (seconds), with
    `http.request.method`, `http.route`, `http.response.status_code` and `error.type`; likewise
    `http.server.response.body.size` (bytes); for gRPC `rpc.server.call.duration` and
    `rpc.client.call.duration`. All labels are of bounded number. An aborted request has the
    `error.type` "aborted". A duration that was measured within a sampled span has its trace as an
    exemplar, where the SDK keeps exemplars.

    Args:
        provider: makes the meter; OpenTelemetry's global one if None.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        meter = _meter(provider)
        self._durations: dict[tuple[Family, Side], Histogram] = {
            ("http", "server"): _duration(meter, "http.server.request.duration"),
            ("http", "client"): _duration(meter, "http.client.request.duration"),
            ("grpc", "server"): _duration(meter, "rpc.server.call.duration"),
            ("grpc", "client"): _duration(meter, "rpc.client.call.duration"),
        }
        self._sizes: dict[Side, Histogram] = {
            "server": _size(meter, "http.server.response.body.size"),
            "client": _size(meter, "http.client.response.body.size"),
        }

    def request_ended(
        self,
        *,
        family: Family,
        side: Side,
        path: str | None,
        method: str | None,
        status: Status,
        status_code: int | None,
        duration_ns: int,
        response_body_bytes: int,
    ) -> None:
        """Record one request."""
        attributes: dict[str, str | int] = {}
        if family == "http":
            attributes["http.request.method"] = method or "_OTHER"
        if path is not None:
            attributes["http.route" if family == "http" else "rpc.method"] = path
        if status_code is not None:
            attributes["http.response.status_code"] = status_code
        if status == "aborted":
            attributes["error.type"] = status
        elif status == "server_error" or (side == "client" and status != "ok"):
            attributes["error.type"] = str(status_code or 500)
        self._durations[family, side].record(duration_ns / 1e9, attributes)
        if family == "http" and status != "aborted":
            self._sizes[side].record(response_body_bytes, attributes)


def observe_pipelines(
    stats: Callable[[], Mapping[str, Stats]],
    capacity: int,
    provider: MeterProvider | None = None,
) -> None:
    """Have the counters of pipelines go out as metrics, under the names of the SDK's own.

    `otel.sdk.processor.span.processed` counts all spans that were let in or turned away, those with
    an `error.type` were lost: "queue_full" or "already_shutdown". `otel.sdk.exporter.span.exported`
    counts what became of the rest: delivered, or "rejected" for good. `….queue.size` and
    `….queue.capacity` are of this moment. Each has `otel.component.name`, the exporter's name.

    Args:
        stats: the counters by exporter, as `Tracing.stats`.
        capacity: how many spans may wait for one exporter.
        provider: makes the meter; OpenTelemetry's global one if None, also if it is set later.
    """

    def of_each(
        points: Callable[[Stats], Iterable[tuple[int, str | None]]],
    ) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(_: CallbackOptions) -> Iterator[Observation]:
            for name, counts in stats().items():
                for value, error in points(counts):
                    attributes = {"otel.component.name": name}
                    if error is not None:
                        attributes["error.type"] = error
                    yield Observation(value, attributes)

        return observe

    meter = _meter(provider)
    counter, level = meter.create_observable_counter, meter.create_observable_up_down_counter
    processed, exported = "otel.sdk.processor.span.processed", "otel.sdk.exporter.span.exported"
    counter(processed, [of_each(_processed)], "{span}", "Spans let in, or turned away")
    counter(exported, [of_each(_exported)], "{span}", "Spans delivered, or refused for good")
    queue = "otel.sdk.processor.span.queue"
    size, most = (lambda counts: [(counts.queued, None)]), (lambda _: [(capacity, None)])
    level(f"{queue}.size", [of_each(size)], "{span}", "Spans that wait")
    level(f"{queue}.capacity", [of_each(most)], "{span}", "Spans that may wait")


def _processed(counts: Stats) -> Iterator[tuple[int, str | None]]:
    yield counts.delivered + counts.dropped_export_failed, None
    yield counts.dropped_queue_full, "queue_full"
    yield counts.dropped_shut_down, "already_shutdown"


def _exported(counts: Stats) -> Iterator[tuple[int, str | None]]:
    yield counts.delivered, None
    yield counts.dropped_export_failed, "rejected"


def _meter(provider: MeterProvider | None) -> Meter:
    return get_meter("iox-otel", SCOPE.version or "", provider)


def _duration(meter: Meter, name: str) -> Histogram:
    help = "How long requests took, to the end of the response"
    return meter.create_histogram(name, "s", help, explicit_bucket_boundaries_advisory=_SECONDS)


def _size(meter: Meter, name: str) -> Histogram:
    help = "How large the bodies of responses were"
    return meter.create_histogram(name, "By", help, explicit_bucket_boundaries_advisory=_BYTES)
