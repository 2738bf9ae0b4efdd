"""The local trace viewer behind `iox-otel viewer`; `mount` puts it into an application.

Nothing is imported before it is used: the commands need small parts of it only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .embedded import mount

__all__ = ["mount"]


def __getattr__(name: str) -> Any:
    if name != "mount":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .embedded import mount

    return mount


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
