"""JaegerRemoteSampler: samples as a Jaeger says, which is asked again every minute."""

from __future__ import annotations

import logging
import random
import threading
import weakref
from collections.abc import Sequence
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ParentBased, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from . import endings
from .clock import monotonic_s
from .delivery import suppressed_instrumentation
from .sampler import StrategySampler
from .setting_types import checked, is_strategy_url, ratio, seconds, shown
from .strategies import MAX_OPERATIONS, Probabilistic, Strategy
from .strategy_answer import strategy_of

DEFAULT_ENDPOINT = "http://localhost:5778/sampling"
DEFAULT_RATE = 0.001
DEFAULT_INTERVAL_S = 60.0
JITTER = 0.1
"""The pauses are longer or shorter by up to this share, so that not all processes ask at once."""

MAX_ANSWER_BYTES = 4 << 20
TIMEOUT_S = 5.0
"""So long the server has to answer, in all."""

_logger = logging.getLogger("iox_otel")
_random = random.SystemRandom()  # no seed that a fork, or the application, could share


class JaegerRemoteSampler(StrategySampler):
    """A sampler of OpenTelemetry's that goes by the strategy that a Jaeger has for the service.

        TracerProvider(sampler=ParentBased(JaegerRemoteSampler("checkout")))

    A daemon thread asks for it: at once, and again after each *polling_interval_s*, give or take a
    tenth. Until there is an answer *initial_sampling_rate* of the traces are sampled; when the
    server fails, or says what cannot be, the last strategy stays, with a line in the log for each
    kind of failure until it is over. Deciding never waits for any of that. A forked child goes on
    with its parent's strategy, and asks by itself from its first decision on. These requests are
    not traced. They go by the proxies and certificates of the environment, as `requests` does.

    It knows all that a Jaeger can say: PROBABILISTIC, RATE_LIMITING, and operations (the names of
    the root spans) with a share and a guaranteed number each. Rates are each process's own. Agrees
    with jaeger-client-go's RemotelyControlledSampler and OpenTelemetry's jaegerremote in Go.

    Args:
        service_name: whose strategy.
        endpoint: the URL of a Jaeger or a Collector; without a path, `/sampling` is added.
        initial_sampling_rate: 0 to 1.
        polling_interval_s: seconds, more than 0.
        max_operations: how many operations are told apart; further ones have no guarantee.

    Raises:
        ValueError: an argument is none of that.
    """

    def __init__(
        self,
        service_name: str,
        *,
        endpoint: str | None = None,
        initial_sampling_rate: float = DEFAULT_RATE,
        polling_interval_s: float = DEFAULT_INTERVAL_S,
        max_operations: int = MAX_OPERATIONS,
    ) -> None:
        if not 0 <= initial_sampling_rate <= 1:
            raise ValueError(f"initial_sampling_rate is not 0 to 1: {initial_sampling_rate!r}")
        if not 0 < polling_interval_s <= threading.TIMEOUT_MAX / 2:
            raise ValueError(f"polling_interval_s is no time: {polling_interval_s!r}")
        if max_operations < 1:
            raise ValueError(f"max_operations is not at least 1: {max_operations!r}")
        super().__init__(Probabilistic(initial_sampling_rate))
        self._service_name = service_name
        self._endpoint = checked(_strategy_url, endpoint or DEFAULT_ENDPOINT, "endpoint")
        self._interval_s = polling_interval_s
        self._max_operations = max_operations
        self._failures: set[str] = set()
        self._begin_anew()
        endings.register_fork(self)
        self._start()

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the decision of the strategy, as it is known now."""
        if not self._started:
            self._start()
        return super().should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def shutdown(self) -> None:
        """Ask no more, and do not wait for an answer; the last strategy stays."""
        self._is_shut = True
        _release(self._stop)

    def after_fork(self) -> None:
        """Begin anew: the thread is the parent's, and so is what it holds."""
        self._begin_anew(is_shut=self._is_shut)

    def _begin_anew(self, *, is_shut: bool = False) -> None:
        self._stop = Lock()  # released to stop: safe where an Event is not
        self._stop.acquire()
        self._is_shut = is_shut
        self._started = is_shut
        self._starting = Lock()  # whoever has it starts the thread

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        self._started = True
        stop = self._stop
        # Whoever forgets the sampler stops the thread, too.
        arguments = (weakref.ref(self, lambda _: _release(stop)), stop)
        thread = threading.Thread(target=_poll, args=arguments, daemon=True)
        thread.name = "iox-otel sampling"
        try:
            thread.start()
        except RuntimeError:  # too many threads, or the interpreter ends
            self._complain("no thread can be started")

    def _update(self) -> None:
        """Ask once. Never raises."""
        try:
            strategy = self._asked()
        except _Failed as failure:
            self._complain(str(failure))
        except Exception as error:
            self._complain(f"it cannot be asked ({type(error).__name__})")
        else:
            self.strategy = strategy
            self._failures.clear()

    def _asked(self) -> Strategy:
        with requests.get(
            self._endpoint,
            params={"service": self._service_name},
            # Nothing compressed: few bytes may become many.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=TIMEOUT_S,
            allow_redirects=False,
            stream=True,
        ) as response:
            if response.status_code != 200:
                raise _Failed(f"it answers {response.status_code}")
            body = _body(response.raw)
        try:
            return strategy_of(body, self.strategy, max_operations=self._max_operations)
        except ValueError as error:
            raise _Failed(f"what it answers is no strategy: {error}") from None

    def _complain(self, kind: str) -> None:
        """Log one line for each *kind* until there is a strategy again."""
        if kind in self._failures or self._is_shut:
            return
        self._failures.add(kind)
        try:
            _logger.warning("no sampling strategy from %s: %s", self._endpoint, kind)
        except Exception:  # noqa: S110  a logging handler of the application's
            pass

    def _pause_s(self) -> float:
        return self._interval_s * _random.uniform(1 - JITTER, 1 + JITTER)


class _Failed(Exception):
    """There is no strategy in what the server answers; says why, in one of few texts."""


def _poll(reference: weakref.ref[JaegerRemoteSampler], stop: Lock) -> None:
    """Keep the sampler's strategy up to date, until it is shut down or nobody has it any more."""
    with suppressed_instrumentation():
        while (sampler := reference()) is not None:
            sampler._update()
            pause_s = sampler._pause_s()
            del sampler  # it may go meanwhile
            if stop.acquire(timeout=pause_s):
                break


def _release(stop: Lock) -> None:
    try:
        stop.release()
    except RuntimeError:
        pass  # it was


def _body(raw: Any) -> bytes:
    """Return what urllib3's response *raw* holds. Raises _Failed if it is too much or too slow."""
    deadline_s = monotonic_s() + TIMEOUT_S
    # read1 returns what is there; where urllib3 has none yet, a server may take its time.
    read = getattr(raw, "read1", raw.read)
    body = b""
    while part := read(64 << 10):
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise _Failed(f"its answer has more than {MAX_ANSWER_BYTES} bytes")
        if monotonic_s() > deadline_s:
            raise _Failed(f"its answer takes more than {TIMEOUT_S:g} s")
    return body


def _strategy_url(value: object) -> str:
    if not isinstance(value, str) or not is_strategy_url(value):
        raise ValueError(f"expected a URL such as {DEFAULT_ENDPOINT}")
    return value if urlsplit(value).path else f"{value}/sampling"


_INTERVAL, _RATE = "pollingIntervalMs", "initialSamplingRate"


def from_argument(argument: str | None = None) -> JaegerRemoteSampler:
    """Return the sampler of `OTEL_TRACES_SAMPLER=jaeger_remote`.

    The service is the one of OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES. Like OpenTelemetry's
    own samplers of this kind it asks the strategy about every span, parent or not.

    Args:
        argument: OTEL_TRACES_SAMPLER_ARG, as OpenTelemetry specifies it: `endpoint=URL,
            pollingIntervalMs=MS,initialSamplingRate=RATE`, any of which may be left out. What is
            none of that is logged, and counts as not set.
    """
    service_name = str(Resource.create().attributes["service.name"])
    try:
        return JaegerRemoteSampler(service_name, **_keywords(argument or ""))
    except ValueError as error:
        _logger.warning("OTEL_TRACES_SAMPLER_ARG is ignored: %s", error)
        return JaegerRemoteSampler(service_name)


def parent_based_from_argument(argument: str | None = None) -> ParentBased:
    """Return the sampler of `OTEL_TRACES_SAMPLER=parentbased_jaeger_remote`, as `from_argument`.

    Spans with a parent follow that.
    """
    return ParentBased(from_argument(argument))


def _keywords(argument: str) -> dict[str, Any]:
    pairs = dict(_pair(item) for item in argument.split(",") if item.strip())
    keywords: dict[str, Any] = {}
    if (endpoint := pairs.pop("endpoint", None)) is not None:
        keywords["endpoint"] = endpoint
    if (interval_ms := pairs.pop(_INTERVAL, None)) is not None:
        keywords["polling_interval_s"] = checked(seconds, interval_ms, _INTERVAL) / 1000
    if (rate := pairs.pop(_RATE, None)) is not None:
        keywords["initial_sampling_rate"] = checked(ratio, rate, _RATE)
    if pairs:
        raise ValueError(f"there is no {shown(next(iter(pairs)))}")
    return keywords


def _pair(item: str) -> tuple[str, str]:
    key, _, value = item.partition("=")
    return key.strip(), value.strip()
