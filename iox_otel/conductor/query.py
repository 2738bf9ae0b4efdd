"""Queries: SQL planned and run by DataFusion over a snapshot of a database.

The spans are the reference's: `query_planning` with `sql_to_logical_plan` and
`create_physical_plan`, then `execute_stream_partitioned` with one for each physical operator.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
from datafusion import (
    RecordBatchStream,
    RuntimeEnvBuilder,
    SessionConfig,
    SessionContext,
    SQLOptions,
)
from datafusion.plan import ExecutionPlan

from iox_otel import SpanRecorder
from iox_otel._report import report

from .errors import ApiError
from .partitions import MergedStream, QueryTimeoutError, query_error
from .query_tracing import export_operators
from .recorders import Recorder
from .sql_limits import check_chains

CATALOG = "public"
SCHEMA = "iox"

_READ_ONLY = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)


class Plan(NamedTuple):
    """A query ready to run, once."""

    session: SessionContext
    physical: ExecutionPlan
    schema: pa.Schema
    """Of the result."""
    memory_bytes: int
    """What it may take."""

    def __str__(self) -> str:
        return self.physical.display_indent()

    def start(self) -> list[RecordBatchStream]:
        """Start to run it: return the stream of each partition.

        Raises:
            ApiError: as of `plan_query`.
        """
        count = self.physical.partition_count
        with _translated_errors(self.memory_bytes):
            return [self.session.execute(self.physical, number) for number in range(count)]


def plan_query(
    snapshot: Callable[[], Mapping[str, list[pa.RecordBatch]]],
    sql: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    memory_bytes: int,
    recorder: Recorder,
) -> Plan:
    """Plan *sql*, one statement that only reads. Blocks: for another thread.

    Args:
        snapshot: returns the tables to read, by name, with at least one batch each.
        sql: may hold placeholders such as `$name`.
        parameters: their values.
        memory_bytes: what the query may take to sort, join and aggregate; it does so in memory.
        recorder: gets a child span "query_planning" with the two steps of it.

    Raises:
        QueryError: it is no SQL, no query, or names what is not there.
        QueryEngineError: the planner broke.
    """
    with recorder.child("query_planning") as planning:
        session = _session(snapshot(), memory_bytes)
        with planning.child("sql_to_logical_plan"), _translated_errors(memory_bytes):
            check_chains(sql)
            frame = session.sql_with_options(sql, _READ_ONLY, param_values=dict(parameters or {}))
        with planning.child("create_physical_plan"), _translated_errors(memory_bytes):
            return Plan(session, frame.execution_plan(), frame.schema(), memory_bytes)


def _session(tables: Mapping[str, list[pa.RecordBatch]], memory_bytes: int) -> SessionContext:
    settings = {
        "datafusion.catalog.default_catalog": CATALOG,
        "datafusion.catalog.default_schema": SCHEMA,
        "datafusion.execution.sort_spill_reservation_bytes": "0",  # nothing is spilled
    }
    session = SessionContext(
        SessionConfig(settings).with_information_schema(True),
        RuntimeEnvBuilder().with_disk_manager_disabled().with_greedy_memory_pool(memory_bytes),
    )
    for name, batches in tables.items():
        # Quoted, or `a.b` would be table b of schema a, and `CPU` be cpu.
        quoted = '"' + name.replace('"', '""') + '"'
        session.register_record_batches(quoted, [batches])
    return session


@contextmanager
def _translated_errors(memory_bytes: int) -> Iterator[None]:
    try:
        yield
    except (ApiError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of the Rust side is no Exception
        raise query_error(error, memory_bytes) from error


class Execution(AsyncIterator[pa.RecordBatch]):
    """A query that runs: its batches, and its spans once it is closed.

    Args:
        streams: the partitions of *plan*, started.
        plan: whose metrics become spans.
        query: the recorder of the whole query; finished by `close`.
        executing: that of the execution, "execute_stream_partitioned", likewise.
        per_partition: whether each partition of an operator gets a span.
        timeout_s: the time that the query may take in all; None for any.
        deadline_s: when that is over, by the clock of the event loop.
        held: is closed together with this.
    """

    def __init__(
        self,
        streams: list[RecordBatchStream],
        plan: Plan,
        *,
        query: SpanRecorder,
        executing: SpanRecorder,
        per_partition: bool,
        timeout_s: float | None,
        deadline_s: float | None,
        held: ExitStack,
    ) -> None:
        self._plan = plan.physical
        self._query = query
        self._executing = executing
        self._per_partition = per_partition
        self._ended = False
        self._held = held
        self._batches = MergedStream(streams, memory_bytes=plan.memory_bytes)
        if timeout_s is not None and deadline_s is not None:
            loop = asyncio.get_running_loop()
            held.callback(loop.call_at(deadline_s, self._time_out, timeout_s).cancel)

    async def __anext__(self) -> pa.RecordBatch:
        """Return the next batch.

        Raises:
            QueryError: the query ran into something.
            QueryEngineError: DataFusion broke.
            QueryTimeoutError: its time is over.
            QueryMemoryError: it needs too much.
        """
        try:
            return await anext(self._batches)
        except BaseException as error:
            self._end(error)
            raise

    def _end(self, error: BaseException) -> None:
        self._ended = True
        if not isinstance(error, StopAsyncIteration):
            self._executing.exception(error)
            self._query.exception(error)

    def _time_out(self, timeout_s: float) -> None:
        """End the query, though its client may not be there to read what became of it."""
        error = QueryTimeoutError(timeout_s)
        self._batches.fail(error)
        self._end(error)
        self.close()

    def close(self) -> None:
        """End the query if it still runs, and export its spans. Does nothing the second time."""
        self._batches.close()
        self._held.close()
        if not self._ended:
            self._ended = True
            self._executing.event_msg("cancelled")
        span = self._executing.span
        if span is not None:
            try:
                now_ns = time.time_ns()
                export_operators(self._plan, span, per_partition=self._per_partition, now_ns=now_ns)
            except Exception:
                report("the spans of a query's operators are lost")
        self._executing.finish()
        self._query.finish()
