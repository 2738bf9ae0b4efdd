"""Strategies: how a new trace is decided about. Agrees with the samplers of Jaeger's clients."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Protocol

from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from .rate_limiter import RateLimiter

Tags = Mapping[str, str | float]
"""What the root of a trace says of why it is sampled: `sampler.type` and `sampler.param`."""

MAX_OPERATIONS = 2000
"""So many operations have a guarantee of their own, as in Jaeger's clients."""


class Strategy(Protocol):
    """Decides about traces; any number of threads ask it."""

    def decide(self, operation: str, trace_id: int) -> Tags | None:
        """Return the tags for the root of the trace, None if it is not sampled.

        Args:
            operation: the name of the root span.
            trace_id: its trace's, random in the lower 64 bits.
        """


class Always:
    """Samples every trace: Jaeger's `const`."""

    def decide(self, operation: str, trace_id: int) -> Tags | None:
        """Return the tags, see `Strategy`."""
        return _ALWAYS

    def __repr__(self) -> str:
        return "Always()"


class Probabilistic:
    """Samples this share of the traces, by their ids: who else has the same share samples the same.

    Args:
        rate: 0 to 1.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._bound = TraceIdRatioBased.get_bound_for_rate(rate)
        self._tags = _tags("probabilistic", rate)

    def decide(self, operation: str, trace_id: int) -> Tags | None:
        """Return the tags, see `Strategy`."""
        return self._tags if trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound else None

    def __repr__(self) -> str:
        return f"Probabilistic({self.rate})"


class RateLimiting:
    """Samples so many traces a second.

    Args:
        per_second: 0 or more.
        previous: the strategy so far; what it has let pass counts.
    """

    def __init__(self, per_second: float, previous: Strategy | None = None) -> None:
        self.per_second = per_second
        like: RateLimiter | None = None
        if isinstance(previous, RateLimiting):
            like = previous._limiter
        self._limiter: RateLimiter = RateLimiter(per_second, like=like)
        self._tags = _tags("ratelimiting", per_second)

    def decide(self, operation: str, trace_id: int) -> Tags | None:
        """Return the tags, see `Strategy`."""
        return self._tags if self._limiter.take() else None

    def __repr__(self) -> str:
        return f"RateLimiting({self.per_second})"


class PerOperation:
    """Samples a share of the traces of each operation, and no fewer than a guaranteed number.

    The first *max_operations* have a guarantee each, those of *rates* before others as they turn
    up; the rest is sampled at *default_rate*.

    Args:
        default_rate: 0 to 1, for operations that *rates* does not have.
        lower_bound: so many traces a second of each operation are sampled in any case.
        upper_bound: no more of each are; None for any number. Jaeger's clients ignore it.
        rates: 0 to 1 for each operation.
        max_operations: how many are told apart.
        previous: the strategy so far; what it has let pass counts.
    """

    def __init__(
        self,
        *,
        default_rate: float,
        lower_bound: float,
        upper_bound: float | None,
        rates: Mapping[str, float],
        max_operations: int = MAX_OPERATIONS,
        previous: Strategy | None = None,
    ) -> None:
        self._default_rate = default_rate
        self._bounds = lower_bound, upper_bound
        self._max_operations = max_operations
        self._others = Probabilistic(default_rate)
        known: dict[str, _Operation] = {}
        if isinstance(previous, PerOperation):
            known = dict(previous._operations)  # one step: other threads add to it
        every = {**rates, **{name: default_rate for name in known if name not in rates}}
        self._operations: dict[str, _Operation] = {
            name: _Operation(rate, *self._bounds, like=known.get(name))
            for name, rate in islice(every.items(), max_operations)
        }

    def decide(self, operation: str, trace_id: int) -> Tags | None:
        """Return the tags, see `Strategy`."""
        strategy: Strategy | None = self._operations.get(operation)
        if strategy is None:
            strategy = self._meet(operation)
        return strategy.decide(operation, trace_id)

    def _meet(self, operation: str) -> Strategy:
        if len(self._operations) >= self._max_operations:
            return self._others
        # By setdefault: another thread may meet it in this moment.
        return self._operations.setdefault(
            operation, _Operation(self._default_rate, *self._bounds, like=None)
        )

    def __repr__(self) -> str:
        return f"PerOperation({self._default_rate}, {len(self._operations)} operations)"


class _Operation:
    """One operation: a share, or else the guarantee, and no more than the upper bound."""

    def __init__(
        self, rate: float, lower: float, upper: float | None, like: _Operation | None
    ) -> None:
        self._share = Probabilistic(rate)
        self._lower: RateLimiter = RateLimiter(lower, like=like._lower if like else None)
        self._upper: RateLimiter | None = None
        if upper is not None:
            self._upper = RateLimiter(upper, like=like._upper if like else None)
        self._guaranteed = _tags("lowerbound", rate)

    def decide(self, operation: str, trace_id: int) -> Tags | None:
        tags = self._share.decide(operation, trace_id)
        # In either case: what the share lets pass counts towards the guarantee.
        if self._lower.take() and tags is None:
            tags = self._guaranteed
        if tags is not None and self._upper is not None and not self._upper.take():
            return None
        return tags


def _tags(kind: str, parameter: float) -> Tags:
    return {"sampler.type": kind, "sampler.param": parameter}


_ALWAYS = _tags("const", True)
