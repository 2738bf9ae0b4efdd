"""What a peer says of itself, in Prometheus' text format."""

from __future__ import annotations

import re

import httpx


def metric(url: str, name: str, **labels: str) -> float:
    """Return the sum over the series of the metric *name* at *url*; 0 while it has none.

    Args:
        url: where the metrics are.
        name: as Prometheus shows it, without `_total`.
        labels: what a series must have to count.
    """
    text = httpx.get(url, timeout=10).raise_for_status().text
    series = re.findall(rf"^{name}(?:_total)?(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(float(value) for of, value in series if all(label in of for label in wanted))
