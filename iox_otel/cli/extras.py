"""What a command needs that comes with one of the package's extras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .failure import Failure

_NAMES = {"datafusion", "httpx", "line_protocol_parser", "orjson", "pyarrow", "uvicorn"}
"""Of the modules that come with extras."""


@contextmanager
def needed_by(what: str, extra: str) -> Iterator[None]:
    """Have an import that fails within end the program in one line that says what to install.

    Args:
        what: it that needs the import, as the line begins.
        extra: the one to install.

    Raises:
        Failure: a module of an extra is not installed; any other is raised as it is.
    """
    try:
        yield
    except ImportError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing not in _NAMES:
            raise
        raise Failure(
            f"{what} needs {missing}, which is not installed: pip install 'iox-otel[{extra}]'"
        ) from None
