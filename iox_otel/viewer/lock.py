"""A lock that nobody waits for in vain."""

from __future__ import annotations

import threading


class FairLock:
    """As `threading.Lock`, but who gives it back and asks again comes after who waits already.

    A writer that is always at work would otherwise keep readers out for long.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._held = threading.Lock()

    def __enter__(self) -> None:
        with self._turn:
            self._held.acquire()

    def __exit__(self, *_: object) -> None:
        self._held.release()
