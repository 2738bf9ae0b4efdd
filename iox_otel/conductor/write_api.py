"""The write calls of the HTTP API: line protocol in, nothing or the bad lines out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from iox_otel import SpanRecorder

from .bodies import decode_utf8, read_body, require
from .catalog import Catalog, Database, TooManyBadLinesError
from .errors import ApiError, BadRequestError
from .lineprotocol import MAX_BAD_LINES, PRECISIONS, LineError, Point, Precision, parse
from .recorders import LentRecorder, lend, request_recorder
from .threads import Threads

MAX_WRITING = 2
"""So many writes are worked on at the same time: one of 10 MiB takes up to a GiB for that, and more
threads would not make Python faster."""

WRITING_PATIENCE_S = 30.0
"""A write waits so long for others; then its client is told to come again."""

_logger = logging.getLogger(__name__)

_V2_PRECISIONS = {name: PRECISIONS[name] for name in ("ns", "us", "ms", "s")}
_T = TypeVar("_T")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class PartialWriteError(ApiError):
    """Some lines were not taken; the others were written."""

    def __init__(self, errors: Sequence[LineError]) -> None:
        data = [error._asdict() for error in errors]
        super().__init__("partial write of line protocol occurred", data=data)
        self._first = errors[0]

    @property
    def explanation(self) -> str:
        """The message with the first bad line."""
        return f"{self.message}: line {self._first.line_number}: {self._first.error_message}"


class RefusedWriteError(ApiError):
    """Some lines could not be taken, so nothing was written."""

    def __init__(self, errors: Sequence[LineError]) -> None:
        data = [error._asdict() for error in errors]
        super().__init__("parsing failed for write_lp endpoint", data=data)


class WriteGivenUpError(Exception):
    """The request that a write was for has been cancelled."""


class WriteApi:
    """POST /api/v3/write_lp and /api/v2/write.

    Args:
        catalog: where the databases are.
        max_request_bytes: what a body may have, as sent and unzipped.
    """

    def __init__(self, catalog: Catalog, *, max_request_bytes: int) -> None:
        self._catalog = catalog
        self._max_request_bytes = max_request_bytes
        self._writing = Threads(MAX_WRITING, patience_s=WRITING_PATIENCE_S, name="writing")

    async def write_lp(self, request: Request) -> Response:
        """Write to the database `db`: `precision` (auto), `accept_partial` (true)."""
        query = request.query_params
        with request_recorder(request, "write_lp") as recorder:
            return await self._write(
                request,
                recorder,
                database=require(query, "db"),
                precision=_choice(query, "precision", PRECISIONS, Precision.AUTO),
                accept_partial=_choice(query, "accept_partial", _BOOLEANS, True),
            )

    async def write_v2(self, request: Request) -> Response:
        """Write to the database `bucket`: `precision` (ns); good lines are kept."""
        query = request.query_params
        with request_recorder(request, "write_lp") as recorder:
            return await self._write(
                request,
                recorder,
                database=require(query, "bucket"),
                precision=_choice(query, "precision", _V2_PRECISIONS, Precision.NANOSECOND),
                accept_partial=True,
            )

    async def _write(
        self,
        request: Request,
        recorder: SpanRecorder,
        *,
        database: str,
        precision: Precision,
        accept_partial: bool,
    ) -> Response:
        recorder.set_metadata("db", database)
        target = self._catalog.get(database)
        body = await read_body(request, max_bytes=self._max_request_bytes)
        recorder.set_metadata("bytes", len(body))
        with lend(recorder) as lent:
            await self._writing.run(
                write,
                target,
                decode_utf8(body),
                precision=precision,
                accept_partial=accept_partial,
                recorder=lent,
            )
        return Response(status_code=204)


def write(
    database: Database,
    text: str,
    *,
    precision: Precision,
    accept_partial: bool,
    recorder: LentRecorder,
) -> None:
    """Write *text*, line protocol, to *database*. Blocks: for another thread.

    Args:
        database: makes and widens its tables as needed.
        text: any number of lines.
        precision: the unit of its timestamps; lines without one are of this moment.
        accept_partial: whether the good lines are kept if there are bad ones.
        recorder: gets the children "parse" and, for each table, "append". Taking it back gives the
            write up, if it is not yet being applied.

    Raises:
        WriteGivenUpError: it was given up; nothing was written.
        BadRequestError: there are no lines.
        PartialWriteError: there are bad lines; the good ones were written.
        RefusedWriteError: likewise, but nothing was written.
        TooManyBadLinesError: likewise nothing.
        DataFullError: there is no room for it; nothing was written.
    """
    points, errors = _parse(text, precision, recorder)
    if not points and not errors:
        raise BadRequestError("incoming write was empty")
    errors = database.write(
        _until_given_up(recorder, points),
        refused=errors,
        accept_partial=accept_partial,
        recorder=recorder,
    )
    errors.sort(key=lambda error: error.line_number)
    _logger.info("write to %s: %d lines, %d bad", database.name, len(points), len(errors))
    if errors and not accept_partial:
        raise RefusedWriteError(errors)
    if errors:
        raise PartialWriteError(errors)


def _parse(
    text: str, precision: Precision, recorder: LentRecorder
) -> tuple[list[Point], list[LineError]]:
    points: list[Point] = []
    errors: list[LineError] = []
    with recorder.child("parse") as parsing:
        lines = parse(text, precision=precision, now_ns=time.time_ns())
        for line in _until_given_up(recorder, lines):
            if isinstance(line, Point):
                points.append(line)
            else:
                errors.append(line)
                if len(errors) > MAX_BAD_LINES:
                    raise TooManyBadLinesError(errors[0])
        parsing.set_metadata("lines", len(points) + len(errors))
        parsing.set_metadata("errors", len(errors))
    return points, errors


def _until_given_up(recorder: LentRecorder, items: Iterable[_T]) -> Iterator[_T]:
    for item in items:
        if recorder.taken_back:
            raise WriteGivenUpError("the request was cancelled")
        yield item


def _choice(parameters: Mapping[str, str], name: str, choices: Mapping[str, _T], default: _T) -> _T:
    value = parameters.get(name)
    if value is None:
        return default
    try:
        return choices[value]
    except KeyError:
        options = ", ".join(choices)
        raise BadRequestError(
            f"invalid value {value[:100]!r} for parameter '{name}', available are {options}"
        ) from None
