"""The query call of the HTTP API: SQL in, rows out as they come."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from iox_otel import SpanRecorder

from .bodies import parse_json_object, read_parameters, require
from .catalog import Catalog, Database
from .disconnect import unless_disconnected
from .encoders import Encoder
from .errors import ApiError, BadRequestError, CutOffError
from .formats import Format, choose_format
from .limits import Limits
from .partitions import QueryTimeoutError
from .query import Execution, Plan, plan_query
from .recorders import lend, request_recorder
from .threads import Threads, in_thread
from .turns import Turns

_logger = logging.getLogger(__name__)

_MAX_RECORDED_CHARS = 16_384
"""Of a query, so much is kept on its span."""

QUERY_PATIENCE_S = 5.0
"""A query waits so long for others to end; then its client is told to come again."""

MAX_PLANNING = max(4, os.cpu_count() or 1)
"""So many queries are planned at the same time. DataFusion computes constants while it plans, which
may take long and cannot be interrupted: such queries hold up each other, and nothing else."""

PLANNING_PATIENCE_S = 5.0
"""A query waits so long for others to be planned; then its client is told to come again."""


class QueryApi:
    """GET and POST /api/v3/query_sql.

    Args:
        catalog: where the databases are.
        limits: of a body, of a query, and how many of them run.
        per_partition_tracing: whether each partition of an operator gets a span.
    """

    def __init__(self, catalog: Catalog, *, limits: Limits, per_partition_tracing: bool) -> None:
        self._catalog = catalog
        self._limits = limits
        self._per_partition_tracing = per_partition_tracing
        self._planning = Threads(MAX_PLANNING, patience_s=PLANNING_PATIENCE_S, name="planning")
        self._turns = Turns(
            limits.max_concurrent_queries,
            patience_s=QUERY_PATIENCE_S,
            refusal=f"too many queries at the same time: {limits.max_concurrent_queries} run, "
            "see --max-concurrent-queries",
        )

    async def query_sql(self, request: Request) -> Response:
        """Answer the query `q` to the database `db`, in the form `format`, with `params`."""
        with request_recorder(request, "query_database_sql") as recorder:
            parameters = await read_parameters(request, max_bytes=self._limits.max_request_bytes)
            sql = require(parameters, "q")
            recorder.set_metadata("query", sql[:_MAX_RECORDED_CHARS])
            name = require(parameters, "db")
            form = choose_format(_optional(parameters, "format"), request.headers.get("accept"))
            values = _placeholder_values(parameters.get("params"))
            database = self._catalog.get(name)
            _logger.info("query to %s: %r", name, sql)
            async with unless_disconnected(request):
                plan, execution = await self._start(database, sql, values, recorder)
                return await _answer(execution, plan.schema, form)

    async def _start(
        self, database: Database, sql: str, values: Mapping[str, Any], recorder: SpanRecorder
    ) -> tuple[Plan, Execution]:
        """Wait for the query's turn, plan it, and have it run; all but the first within its time.

        What has been begun on a thread by the end of that goes on there, and nobody waits for it.
        """
        await self._turns.take()
        with ExitStack() as held:
            held.callback(self._turns.give_back)
            timeout_s = self._limits.timeout_s
            try:
                async with asyncio.timeout(timeout_s) as timeout:
                    plan = await self._plan(database, sql, values, recorder)
                    return plan, await self._execute(plan, recorder, timeout.when(), held)
            except TimeoutError:
                raise QueryTimeoutError(self._limits.query_timeout_s) from None

    async def _plan(
        self, database: Database, sql: str, values: Mapping[str, Any], recorder: SpanRecorder
    ) -> Plan:
        with lend(recorder) as lent:
            plan = await self._planning.run(
                plan_query,
                database.snapshot,
                sql,
                parameters=values,
                memory_bytes=self._limits.query_memory_bytes,
                recorder=lent,
            )
        _logger.debug("plan: %s", plan)
        return plan

    async def _execute(
        self, plan: Plan, recorder: SpanRecorder, deadline_s: float | None, held: ExitStack
    ) -> Execution:
        """Return *plan* as it runs; *held* is its own then."""
        executing = recorder.child("execute_stream_partitioned")
        try:
            streams = await self._planning.run(plan.start)
        except BaseException as error:
            executing.exception(error)
            executing.finish()
            raise
        return Execution(
            streams,
            plan,
            query=recorder.take(),
            executing=executing,
            per_partition=self._per_partition_tracing,
            timeout_s=self._limits.timeout_s,
            deadline_s=deadline_s,
            held=held.pop_all(),
        )


async def _answer(execution: Execution, schema: pa.Schema, form: Format) -> Response:
    try:
        pieces = _pieces(execution, _encoder(form, schema))
        first = await anext(pieces)
    except BaseException:
        execution.close()
        raise
    return _RowsResponse(execution, first, pieces, form.content_type)


def _encoder(form: Format, schema: pa.Schema) -> Encoder:
    try:
        return form.encoder(schema)
    except pa.ArrowNotImplementedError as error:
        raise BadRequestError(f"this result cannot be had as {form.value}: {error}") from None


class _RowsResponse(StreamingResponse):
    """Sends the rows of an execution as they come, and closes it however that ends.

    It is made when there is a first piece: what can fail has mostly failed by then. What fails
    later cuts the answer off, since its status is sent.
    """

    def __init__(
        self,
        execution: Execution,
        first: bytes,
        others: AsyncIterator[bytes],
        content_type: str,
    ) -> None:
        super().__init__(_chain(first, others), headers={"content-type": content_type})
        self._execution = execution

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except ApiError as error:
            raise CutOffError(error.message) from error
        finally:
            self._execution.close()


async def _chain(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


async def _pieces(execution: Execution, encoder: Encoder) -> AsyncIterator[bytes]:
    async for batch in execution:
        if piece := await in_thread(encoder.encode, batch):
            yield piece
    execution.close()  # its spans end before the request's does
    yield await in_thread(encoder.finish)


def _optional(parameters: Mapping[str, Any], name: str) -> str | None:
    return None if parameters.get(name) is None else require(parameters, name)


def _placeholder_values(parameter: object) -> Mapping[str, Any]:
    """Return the values of a query's placeholders: a JSON object, in a URL as text."""
    if parameter is None or parameter == "":
        return {}
    values = parse_json_object(parameter, "params") if isinstance(parameter, str) else parameter
    plain = str | int | float | bool | None
    if not isinstance(values, dict) or not all(isinstance(v, plain) for v in values.values()):
        raise BadRequestError("params must be a JSON object of plain values")
    return values
