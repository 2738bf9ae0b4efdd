"""Samplers: which traces begin here, for OpenTelemetry's SDK and for TraceLayer alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from iox_otel import Span, SpanContext

from .remote import RemoteSpan
from .setting_types import sampler_parts
from .span import attributes as attributes_of
from .strategies import Always, Probabilistic, RateLimiting, Strategy

_ROOT = Context()


class StrategySampler(Sampler):
    """OpenTelemetry's sampler over a strategy, which it asks about every span it is asked about.

    So it belongs into a `ParentBased`, unless the strategy goes by the trace id alone. A sampled
    span gets the strategy's tags; the trace state stays the parent's.

    Args:
        strategy: decides; may be replaced at any time.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy

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
        """Return the decision, and what the span is to have. Never blocks."""
        state = trace.get_current_span(parent_context).get_span_context().trace_state
        tags = self.strategy.decide(name, trace_id)
        if tags is None:
            return SamplingResult(Decision.DROP, None, state)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {**(attributes or {}), **tags}, state)

    def get_description(self) -> str:
        """Return what it is, in words for a log."""
        return f"{type(self).__name__}{{{self.strategy!r}}}"


class RequestSampler:
    """Any sampler of OpenTelemetry's as `TraceLayer` wants one, see `iox_otel.http.Sampler`.

    The sampler sees the request as the SDK would have it see a SERVER span. What it says counts as
    there: RECORD_ONLY is not sampled, its attributes become metadata of a sampled span, and the
    trace state that it returns replaces the parent's, whatever it decides; None is an empty one.

    Args:
        sampler: any.
        follows_parents: whether it is known to decide as a parent's flag says, so that it need not
            be asked.
    """

    def __init__(self, sampler: Sampler, *, follows_parents: bool = False) -> None:
        self.sampler = sampler
        self._follows_parents = follows_parents

    def sample(self, span: Span, parent: SpanContext | None) -> bool:
        """Return whether *span* is recorded. Raises what the sampler raises."""
        if parent is None:
            context, state = _ROOT, None
        elif self._follows_parents:
            return parent.sampled
        else:
            remote = RemoteSpan(parent)
            context = trace.set_span_in_context(remote, _ROOT)
            state = remote.get_span_context().trace_state
        ctx = span.ctx
        result = self.sampler.should_sample(
            context, ctx.trace_id, span.name, SpanKind.SERVER, attributes_of(span.metadata), ()
        )
        if result.trace_state is not state:  # else as it was received, to the letter
            ctx.trace_state = result.trace_state.to_header() if result.trace_state else None
        if result.decision is not Decision.RECORD_AND_SAMPLE:
            return False
        for key, value in (result.attributes or {}).items():
            span.set_metadata(key, value)
        return True


class Sampling(NamedTuple):
    """A value of TRACES_SAMPLER at work."""

    sampler: Sampler
    """For OpenTelemetry's SDK."""
    for_requests: RequestSampler
    """The same for `TraceLayer`."""
    close: Callable[[], None]
    """Ends what was started for it."""


def sampling_of(setting: str | Sampler, service_name: str) -> Sampling | None:
    """Return what *setting* asks for; None for "none".

    A sampler object is used as it is: the SDK asks it about each of its spans, and who gave it ends
    it. Of the settings in words, `always` and `ratio` decide about each request that comes in, and
    the others about those without a trace context; spans below follow their parent in either case.

    Args:
        setting: as `setting_types.sampler` returns it.
        service_name: what `jaeger_remote` asks the strategy of.
    """
    if not isinstance(setting, str):
        return Sampling(setting, RequestSampler(setting), _nothing)
    kind, parameter = sampler_parts(setting)
    if kind == "none":
        return None
    if kind == "jaeger_remote":
        from .jaeger_remote import JaegerRemoteSampler  # `requests` takes 100 ms to import

        remote = JaegerRemoteSampler(service_name, endpoint=parameter or None)
        return _following(remote, remote.shutdown)
    if kind == "rate":
        return _following(StrategySampler(RateLimiting(float(parameter))))
    if kind == "parent_ratio":
        return _following(StrategySampler(Probabilistic(float(parameter))))
    strategy = Always() if kind == "always" else Probabilistic(float(parameter))
    root = StrategySampler(strategy)
    sampler = ParentBased(root, remote_parent_sampled=root, remote_parent_not_sampled=root)
    return Sampling(sampler, RequestSampler(sampler), _nothing)


def _following(root: Sampler, close: Callable[[], None] | None = None) -> Sampling:
    sampler = ParentBased(root)
    return Sampling(sampler, RequestSampler(sampler, follows_parents=True), close or _nothing)


def _nothing() -> None:
    """Do nothing: there is nothing to end."""
