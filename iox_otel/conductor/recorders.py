"""Recorders for the work of a request."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Protocol

from starlette.requests import ClientDisconnect, Request

from iox_otel import SpanRecorder
from iox_otel.http import span_context


class Recorder(Protocol):
    """What work needs of a `SpanRecorder` to record its parts."""

    def set_metadata(self, key: str, value: object) -> None:
        """Keep *value* under *key*."""

    def child(self, name: str) -> AbstractContextManager[Recorder]:
        """Return the recorder of a new span under this one."""


@contextmanager
def request_recorder(request: Request, name: str) -> Iterator[SpanRecorder]:
    """Record the block as a new span under that of *request*; with the no-op if it is not traced.

    A client that goes away cancels its request; that is no error of the work.
    """
    context = span_context(request)
    with SpanRecorder(None) if context is None else context.recorder(name) as recorder:
        try:
            yield recorder
        except ClientDisconnect:
            recorder.event_msg("cancelled")
            recorder.finish()
            raise


@contextmanager
def lend(recorder: SpanRecorder) -> Iterator[LentRecorder]:
    """Let another thread record under *recorder* for as long as the block lasts.

    What it still records then ends as "cancelled", before *recorder* can.
    """
    loan = _Loan()
    try:
        yield LentRecorder(recorder, loan)
    finally:
        loan.end()


class LentRecorder:
    """A recorder, or a part of what it records, in the hands of another thread. See `lend`."""

    def __init__(self, recorder: SpanRecorder, loan: _Loan) -> None:
        self._recorder = recorder
        self._loan = loan

    @property
    def taken_back(self) -> bool:
        """Whether nobody waits for the work any more; nothing is recorded from then on."""
        return self._loan.ended

    def set_metadata(self, key: str, value: object) -> None:
        """Keep *value* under *key*, as `SpanRecorder` does."""
        with self._loan.lock:
            if not self._loan.ended:
                self._recorder.set_metadata(key, value)

    @contextmanager
    def child(self, name: str) -> Iterator[LentRecorder]:
        """Record the block as a new span under this one."""
        recorder = self._loan.begin(self._recorder, name)
        recorder.__enter__()
        try:
            yield LentRecorder(recorder, self._loan)
        finally:
            with self._loan.lock:
                recorder.__exit__(*sys.exc_info())


class _Loan:
    """The recorders that another thread has begun and not finished, and whether it still may."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.ended = False
        self._begun: list[SpanRecorder] = []

    def begin(self, parent: SpanRecorder, name: str) -> SpanRecorder:
        with self.lock:
            recorder = SpanRecorder(None) if self.ended else parent.child(name)
            self._begun.append(recorder)
            return recorder

    def end(self) -> None:
        with self.lock:
            self.ended = True
            for recorder in reversed(self._begun):
                recorder.event_msg("cancelled")  # nothing, if it is finished
                recorder.finish()
