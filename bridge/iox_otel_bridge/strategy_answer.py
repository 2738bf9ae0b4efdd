"""What a sampling server of Jaeger's answers, as a strategy. Pure functions.

The answer is `SamplingStrategyResponse` of jaeger-idl's `api_v2/sampling.proto` as JSON. What is
missing in it is zero, as in proto3; the type of the strategy is a name from Jaeger's `/sampling`,
and a number from the older `/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .strategies import MAX_OPERATIONS, PerOperation, Probabilistic, RateLimiting, Strategy

_PROBABILISTIC = ("PROBABILISTIC", 0)
_RATE_LIMITING = ("RATE_LIMITING", 1)
_MAX_PER_SECOND = 1e9


def strategy_of(
    body: bytes, previous: Strategy | None = None, *, max_operations: int = MAX_OPERATIONS
) -> Strategy:
    """Return the strategy in *body*; that of single operations counts before that of the service.

    Args:
        body: the answer.
        previous: the strategy so far; what it has let pass counts.
        max_operations: how many operations are told apart.

    Raises:
        ValueError: it is none; the text is one of few, and has nothing of the answer.
    """
    answer = _object_in(body)
    operations = answer.get("operationSampling")
    if operations is not None:
        return _per_operation(_an_object(operations), previous, max_operations)
    if _type_of(answer) in _RATE_LIMITING:
        limit = _an_object(answer.get("rateLimitingSampling"))
        return RateLimiting(_number(limit, "maxTracesPerSecond", _MAX_PER_SECOND), previous)
    return Probabilistic(_rate(answer))


def _object_in(body: bytes) -> Mapping[str, Any]:
    try:
        return _an_object(json.loads(body))
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON object") from None


def _an_object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("something in it is no JSON object that should be one")
    return value


def _type_of(answer: Mapping[str, Any]) -> object:
    kind: object = answer.get("strategyType")
    if kind is None:  # zero, or left out by a server that takes what is there for enough
        return _PROBABILISTIC[0] if "probabilisticSampling" in answer else _RATE_LIMITING[0]
    if isinstance(kind, bool) or kind not in _PROBABILISTIC + _RATE_LIMITING:
        raise ValueError("its strategyType is neither PROBABILISTIC nor RATE_LIMITING")
    return kind


def _per_operation(
    operations: Mapping[str, Any], previous: Strategy | None, max_operations: int
) -> PerOperation:
    each = operations.get("perOperationStrategies") or []
    if not isinstance(each, list):
        raise ValueError("its perOperationStrategies are no list")
    upper_bound = _number(operations, "defaultUpperBoundTracesPerSecond", _MAX_PER_SECOND)
    return PerOperation(
        default_rate=_number(operations, "defaultSamplingProbability", 1.0),
        lower_bound=_number(operations, "defaultLowerBoundTracesPerSecond", _MAX_PER_SECOND),
        upper_bound=upper_bound or None,  # proto3's zero is none
        rates=dict(_operation(_an_object(one)) for one in each),
        max_operations=max_operations,
        previous=previous,
    )


def _operation(one: Mapping[str, Any]) -> tuple[str, float]:
    name = one.get("operation")
    if not isinstance(name, str):
        raise ValueError("one of its perOperationStrategies has no operation")
    return name, _rate(one)


def _rate(holder: Mapping[str, Any]) -> float:
    return _number(_an_object(holder.get("probabilisticSampling")), "samplingRate", 1.0)


def _number(holder: Mapping[str, Any], name: str, largest: float) -> float:
    value = holder.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= largest:
        raise ValueError(f"its {name} is no number from 0 to {largest:g}")
    return value
