"""Telling what a peer holds from what it should hold, span by span and field by field."""

from __future__ import annotations

from collections.abc import Iterable

from .otlp_form import Form

SHOWN = 5


def compare(expected: Iterable[Form], received: Iterable[Form]) -> str:
    """Return how many spans are the same in how many fields.

    Args:
        expected: what the peer should hold.
        received: what it holds of their traces.

    Raises:
        AssertionError: a span is missing, too many, or differs; the first few are told.
    """
    wanted = {_key(form): form for form in expected}
    seen: set[tuple[str, str]] = set()
    wrong: list[str] = []
    for form in received:
        key = _key(form)
        if key not in wanted:
            wrong.append(f"{key}: nobody sent it")
            continue
        if key in seen:
            wrong.append(f"{key}: is there twice")
        seen.add(key)
        wrong += [
            f"{key} {wanted[key]['name']!r:.80}: {field} is\n    {form[field]!r:.800},"
            f" not\n    {value!r:.800}"
            for field, value in wanted[key].items()
            if form[field] != value
        ]
    wrong += [f"{key} {wanted[key]['name']!r:.80}: missing" for key in wanted.keys() - seen]
    assert not wrong, f"{len(wrong)} differences, e.g.\n" + "\n".join(wrong[:SHOWN])
    return f"{len(wanted)} spans alike in {len(next(iter(wanted.values())))} fields each"


def _key(form: Form) -> tuple[str, str]:
    return form["trace id"], form["span id"]
