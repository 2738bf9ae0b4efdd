"""The table: what is measured, of whom, and what is to be reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

OURS = "iox-otel"
SDK = "opentelemetry-sdk"


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached.

    Args:
        peer: whose figure is divided by ours; ours alone is looked at if that is ours.
        least: the quotient is at least this.
        most: ours is at most this, in the row's unit.
    """

    peer: str = OURS
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Args:
        title: what is measured.
        module: where the functions are that measure.
        of: their names, by whom they measure.
        unit: of the figures: µs (seconds, by `pyperf`), or what the function returns.
        targets: what is to be reached.
        batch: how many are dealt with each time.
        loops: how often it is done at a time; as often as `pyperf` thinks if None.
        is_quick: whether `make bench-quick` has it.
    """

    title: str
    module: str
    of: dict[str, str]
    unit: Literal["µs", "ms", "bytes", "spans", "blocks", "times"] = "µs"
    targets: tuple[Target, ...] = field(default=())
    loops: int | None = None
    batch: int = 1
    is_quick: bool = False

    @property
    def is_timed(self) -> bool:
        """Whether `pyperf` measures it."""
        return self.unit == "µs"


def _all(name: str, *peers: str) -> dict[str, str]:
    return {_PEERS[peer]: f"{name}_{peer}" for peer in ("ours", *peers)}


_PEERS = {
    "ours": OURS,
    "otel": SDK,
    "ddtrace": "ddtrace",
    "elastic": "elastic-apm",
    "sentry": "sentry-sdk",
    "logfire": "logfire",
}
_BARE = "bare application"
_OFF = "tracing off"
_ONE_SPAN = f"{SDK}, without spans for receive and send"

ROWS = {
    "child": Row(
        "child span, 2 attributes, recorded and queued",
        "recording",
        _all("child", "otel", "ddtrace", "elastic", "sentry", "logfire"),
        targets=(Target(SDK, least=8), Target("ddtrace", least=4)),
        is_quick=True,
    ),
    "event": Row(
        "span with 3 attributes and an event",
        "recording",
        _all("event", "otel"),
        targets=(Target(SDK, least=6),),
        is_quick=True,
    ),
    "noop": Row(
        "`SpanRecorder(None)` with 3 `set_metadata`; an unsampled span of the SDK with as many",
        "recording",
        {OURS: "noop_ours", SDK: "unsampled_otel", "opentelemetry-api alone": "noop_otel"},
        targets=(Target(SDK, least=14),),
        is_quick=True,
    ),
    "unsampled": Row(
        "`recorder(name)` of an unsampled context, the same",
        "recording",
        {OURS: "unsampled_ours", SDK: "unsampled_otel", "opentelemetry-api alone": "noop_otel"},
        targets=(Target(SDK, least=14),),
        is_quick=True,
    ),
    "blocks": Row(
        "blocks of memory left by 100,000 of each of these",
        "holding",
        {OURS: "blocks_ours"},
        unit="blocks",
        targets=(Target(most=2),),
        is_quick=True,
    ),
    "untraced": Row(
        "middleware, request without trace headers: added",
        "requests",
        {OURS: "untraced_ours", SDK: "untraced_otel", _BARE: "bare_request"},
        loops=2_000,
        targets=(Target(most=1.0), Target(SDK, least=60)),
        is_quick=True,
    ),
    "declined": Row(
        "middleware, unsampled request: added",
        "requests",
        {OURS: "unsampled_ours", SDK: "unsampled_otel"},
        loops=2_000,
        targets=(Target(most=4.5), Target(SDK, least=16)),
        is_quick=True,
    ),
    "sampled": Row(
        "middleware, sampled request: added",
        "requests",
        {
            **_all("sampled", "otel", "ddtrace", "elastic", "sentry", "logfire"),
            _ONE_SPAN: "sampled_otel_one_span",
        },
        loops=1_000,
        targets=(Target(most=12.0), Target(SDK, least=12), Target("elastic-apm", least=5)),
        is_quick=True,
    ),
    "sampled-cpu": Row(
        "the same, recorded and encoded by all threads: CPU added",
        "requests",
        _all("sampled_cpu", "otel", "elastic"),
        loops=500,
    ),
    "otlp": Row(
        "spans with 10 attributes to OTLP bytes",
        "encoding",
        _all("otlp", "otel"),
        targets=(Target(SDK, least=5),),
        batch=512,
        is_quick=True,
    ),
    "jaeger": Row(
        "the same as Jaeger datagrams, sent",
        "encoding",
        {OURS: "jaeger_ours", "opentelemetry-exporter-jaeger": "jaeger_otel"},
        targets=(Target("opentelemetry-exporter-jaeger", least=15),),
        batch=512,
        is_quick=True,
    ),
    **{
        f"{how}-{what}": Row(
            f"recorded and delivered by OTLP over {how}, 10 attributes: {title}",
            "delivery",
            {OURS: f"{how}{suffix}_ours", SDK: f"{how}{suffix}_otel"},
            targets=(Target(SDK, least=least),),
            loops=40_000,
        )
        for how in ("grpc", "http")
        for what, suffix, title, least in (
            ("cpu", "_cpu", "CPU of a span", 6),
            ("time", "", "time of a span", 5),
        )
    },
    **{
        f"burst-{spans}": Row(
            f"burst of {spans:,} spans, default settings: lost",
            "delivery",
            {OURS: f"lost_of_{spans:_}_ours", SDK: f"lost_of_{spans:_}_otel"},
            unit="spans",
            targets=(Target(most=0),),
        )
        for spans in (20_000, 100_000)
    },
    "threads": Row(
        "8 threads recording: CPU of a span against one thread's",
        "holding",
        _all("threads", "otel"),
        unit="times",
        targets=(Target(most=1.3),),
    ),
    "import-core": Row(
        "`import iox_otel`, beyond typing, enum and threading; the peers' main module",
        "starting",
        {
            OURS: "core_ours",
            SDK: "bridge_otel",
            **_all("core", "ddtrace", "elastic", "sentry", "logfire"),
        },
        unit="ms",
        targets=(Target(most=5.0),),
    ),
    "import-bridge": Row(
        "`import iox_otel_bridge`; the SDK",
        "starting",
        _all("bridge", "otel"),
        unit="ms",
        targets=(Target(SDK, least=1.0),),
    ),
    "setup-otlp": Row(
        "imported and set up for OTLP over gRPC",
        "starting",
        _all("otlp", "otel"),
        unit="ms",
    ),
    "setup-jaeger": Row(
        "imported and set up for Jaeger",
        "starting",
        _all("jaeger", "otel"),
        unit="ms",
    ),
    "conductor": Row(
        "`iox-otel run` until it serves",
        "starting",
        {OURS: "conductor_ours"},
        unit="ms",
        targets=(Target(most=1_500),),
    ),
    "memory": Row(
        "memory of a queued span, 3 attributes",
        "holding",
        {**_all("memory", "otel"), f"{OURS}, encoded": "memory_encoded_ours"},
        unit="bytes",
        targets=(Target(most=1_200), Target(SDK, least=3)),
    ),
    **{
        f"latency-{sink}": Row(
            f"`iox-otel run` at 200 requests/s, all sampled, p99; receiver {sink}",
            "latency",
            {OURS: sink, _OFF: "off"},
            unit="ms",
            targets=(Target(_OFF, least=1 / 1.1),),
        )
        for sink in ("healthy", "dead")
    },
}
