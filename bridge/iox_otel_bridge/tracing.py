"""Tracing: what a configuration builds, from the collector to the process's end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from iox_otel import FanOutTraceCollector, set_span_limits

from . import endings, runtime_context
from .clock import monotonic_s
from .processor import BridgeProcessor, Destination
from .propagator import IoxPropagator, PropagatorHeaderParser
from .resource import make_resource
from .sender import Stats
from .sending import sink
from .setting_types import ConfigError
from .surroundings import SUB_INTERPRETER, is_sub_interpreter
from .trust import Trust
from .waiter import Waiter

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from starlette.middleware import Middleware
    from starlette.types import ASGIApp

    from iox_otel.http import TraceLayer
    from iox_otel.http.metrics import RequestMetrics

    from .config import TracingConfig
    from .sampler import RequestSampler, Sampling

DEFAULT_TIMEOUT_S = 5.0
"""How long a flush may take unless its caller says otherwise."""

_logger = logging.getLogger("iox_otel")


class Tracing:
    """Running pipelines: for each exporter a queue and a worker. `TracingConfig.build` makes one.

    A context manager, sync and async; leaving it shuts down (async: on another thread, so that the
    event loop goes on). The process's normal end does so, too.

    Args:
        config: what to build.

    Raises:
        ConfigError: an exporter cannot be set up.
    """

    collector: BridgeProcessor | FanOutTraceCollector | None
    """Takes spans: a `BridgeProcessor`, or what hands on to several; None without exporters."""
    propagator: IoxPropagator
    """Reads and writes the headers of requests, by OpenTelemetry's interface."""
    header_parser: PropagatorHeaderParser
    """Reads the headers of requests for `TraceLayer`."""

    def __init__(self, config: TracingConfig) -> None:
        trust = Trust(config.trust_headers, config.max_debug_per_second)
        self.propagator = IoxPropagator(
            header_name=config.jaeger_trace_context_header_name,
            debug_name=config.jaeger_debug_name,
            trust=trust,
        )
        self.header_parser = PropagatorHeaderParser(self.propagator, trust=trust)
        self._resource = make_resource(
            config.resource_attributes,
            service_name=config.service_name,
            tags=config.tags,
            server_id=config.server_id,
        )
        self._make_processor = partial(
            BridgeProcessor, max_queue_size=config.queue_size, max_queue_bytes=config.queue_bytes
        )
        self._queue_size = config.queue_size
        self._destinations: dict[str, str] = {}
        set_span_limits(config.span_limits)
        self._excluded: list[str] = []
        self._processors = {name: self._processor(name, config) for name in config.exporters}
        self.collector = _collector(tuple(self._processors.values()))
        self._installed = False
        self._provider: TracerProvider | None = None
        self._setting = config.sampler
        self._sampling: Sampling | None = None
        if self._processors:
            self._begin_sampling()

    @property
    def resource(self) -> Resource:
        """What native spans come from: the service's name and the rest."""
        return self._resource

    @property
    def sampler(self) -> RequestSampler | None:
        """Decides for `TraceLayer` which requests begin a trace; None if only headers do, and
        without exporters."""
        return None if self._sampling is None else self._sampling.for_requests

    def add_exporter(
        self, name: str, exporter: Destination | Callable[[], Destination], *, destination: str
    ) -> None:
        """Send all spans to another exporter, too: a queue and a worker of its own.

        To be called at the start of the process, before `collector` and `sampler` are read by what
        records spans; `middleware` reads them only when the application starts.

        Args:
            name: of the exporter, in logs and `stats`.
            exporter: as `BridgeProcessor` takes it.
            destination: where the spans go, in words for a log.

        Raises:
            ValueError: there is an exporter of that name.
            TypeError: *exporter* is none.
        """
        if name in self._processors:
            raise ValueError(f"there is an exporter {name!r} already")
        processor = self._make_processor(exporter, resource=self._resource, name=name)
        self._destinations[name] = destination
        self._processors[name] = processor
        self.collector = _collector(tuple(self._processors.values()))
        if self._sampling is None:
            self._begin_sampling()
        if self._installed:
            runtime_context.install(self.collector)
        if self._provider is not None:
            self._provider.add_span_processor(processor)
        elif self._installed:
            self._take_part()

    def exclude(self, *paths: str) -> None:
        """Have `middleware` not trace these paths, beside those that it is told; as early as
        `add_exporter`."""
        self._excluded += paths

    def destinations(self) -> dict[str, str]:
        """Return where each exporter sends its spans, in words for a log."""
        return dict(self._destinations)

    def stats(self) -> dict[str, Stats]:
        """Return what became of the spans, by the name of the exporter."""
        return {name: processor.stats() for name, processor in self._processors.items()}

    def force_flush(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> bool:
        """Deliver all that was recorded; blocks for the time given at most.

        Returns:
            Whether everything recorded before the call was delivered. A loss makes one answer
            False, not all that follow.
        """
        return self.collector is None or self.collector.force_flush(timeout_s=timeout_s)

    def shutdown(self, timeout_s: float | None = None) -> bool:
        """Deliver all that was recorded, and stop; what is recorded from now on is dropped.

        Args:
            timeout_s: how long to try at most. None: as at the process's end, which is until 0.7 s
                have passed without an accepted batch, and for 5 s at most.

        Returns:
            Whether everything ever recorded was delivered.
        """
        if self._sampling is not None:
            self._sampling.close()
        ends = [processor.ending for processor in self._processors.values()]
        if timeout_s is None:
            return endings.end(ends)
        # All at once, and none waits for another: a dead receiver costs the time only once.
        waiter_of = [(each, Waiter(monotonic_s() + timeout_s)) for each in ends]
        for each, waiter in waiter_of:
            each.begin_shutdown(waiter)
        delivered = [each.finish_shutdown(waiter) for each, waiter in waiter_of]
        return all(delivered)

    def install(self) -> None:
        """Let the rest of the process take part; to be called once, at its start.

        OpenTelemetry's current span and the native one become the same: within a native span
        `opentelemetry.trace.get_current_span` finds it (see `LiveSpan`), and within one of
        OpenTelemetry's `SpanContext.current` finds that, to open native spans under.

        OpenTelemetry's global propagator becomes `propagator`. With an exporter, its global
        TracerProvider becomes one whose spans go the same way as native ones, and SIGTERM delivers
        what is queued before it does what it did so far; the counters of `stats` go out as metrics
        once somebody sets a MeterProvider (`metrics.observe_pipelines`). OpenTelemetry's spans
        begin a trace where the setting `sampler` says so, by default never: they are recorded where
        its current context carries a sampled one.
        A provider that is set already stays, with a warning.
        """
        if self._installed:
            return
        self._installed = True
        from opentelemetry.propagate import set_global_textmap

        runtime_context.install(self.collector)
        set_global_textmap(self.propagator)
        if self._processors:
            self._take_part()
            from .metrics import observe_pipelines

            observe_pipelines(self.stats, self._queue_size)

    def middleware(
        self,
        name: str,
        *,
        exclude: Collection[str] = (),
        metrics: RequestMetrics | None = None,
        flush_timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Middleware:
        """Return the `TraceLayer` for Starlette's and FastAPI's `middleware=[...]`.

        Args:
            name: of the span of each request.
            exclude: paths that are not traced, as `TraceLayer` takes them.
            metrics: told of each request at its end, traced or not.
            flush_timeout_s: how long the end of the lifespan may wait for the flush.
        """
        from starlette.middleware import Middleware

        return Middleware(
            self._layer,
            name=name,
            exclude=exclude,
            metrics=metrics,
            flush_timeout_s=flush_timeout_s,
        )

    def _layer(self, app: ASGIApp, /, *, exclude: Collection[str], **options: Any) -> TraceLayer:
        """Return the layer of an application that starts now: it knows of exporters added late."""
        from iox_otel.http import TraceLayer

        return TraceLayer(
            app,
            collector=self.collector,
            header_parser=self.header_parser,
            sampler=self.sampler,
            exclude=(*exclude, *self._excluded),
            **options,
        )

    def _processor(self, exporter: str, config: TracingConfig) -> BridgeProcessor:
        if is_sub_interpreter():  # before anything is imported that breaks there
            raise ConfigError(f"Cannot set up the traces exporter {exporter!r}: {SUB_INTERPRETER}")
        try:
            make_sender, self._destinations[exporter] = sink(exporter, config, self._resource)
        except ValueError as exc:
            raise ConfigError(f"Cannot set up the traces exporter {exporter!r}: {exc}") from exc
        return self._make_processor(make_sender, name=exporter)

    def _begin_sampling(self) -> None:
        if self._setting == "none":
            return
        from .sampler import sampling_of

        service_name = str(self._resource.attributes["service.name"])
        self._sampling = sampling_of(self._setting, service_name)

    def _take_part(self) -> None:
        self._install_provider()
        endings.install_sigterm()

    def _install_provider(self) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            _logger.warning(
                "a TracerProvider is set already and stays: "
                "spans of other OpenTelemetry libraries do not go to the exporters of iox-otel"
            )
            return
        sampler = ParentBased(ALWAYS_OFF) if self._sampling is None else self._sampling.sampler
        # Each processor sees to its own end.
        provider = self._provider = TracerProvider(
            sampler=sampler, resource=self._resource, shutdown_on_exit=False
        )
        for processor in self._processors.values():
            provider.add_span_processor(processor)
        trace.set_tracer_provider(provider)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        import asyncio  # what runs this has it; others need not wait the 20 ms that it takes

        await asyncio.to_thread(self.shutdown)


def _collector(
    processors: tuple[BridgeProcessor, ...],
) -> BridgeProcessor | FanOutTraceCollector | None:
    if len(processors) > 1:
        return FanOutTraceCollector(processors)
    return processors[0] if processors else None
