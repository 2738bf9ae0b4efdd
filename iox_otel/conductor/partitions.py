"""The partitions of a query's result, read at the same time and handed out as one stream."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence

import pyarrow as pa
from datafusion import RecordBatchStream

from .errors import ApiError
from .limits import in_mib


class QueryError(ApiError):
    """The SQL cannot be planned, or ran into something: DataFusion's own message."""

    status = 400


class QueryEngineError(ApiError):
    """DataFusion failed in a way that is no fault of the query's."""

    status = 500


class QueryTimeoutError(ApiError):
    """The query takes longer than one may."""

    status = 503

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"query took longer than one may: {timeout_s:g} s, see --query-timeout")


class QueryMemoryError(ApiError):
    """The query needs more memory than one may take."""

    status = 503

    def __init__(self, memory_bytes: int) -> None:
        super().__init__(
            "query needs more memory than one may take: "
            f"{in_mib(memory_bytes)}, see --query-memory-mb"
        )


_EXHAUSTED = re.compile("^Resources exhausted: ", re.MULTILINE)


def query_error(error: BaseException, memory_bytes: int) -> ApiError:
    """Return what to tell of *error*, which came out of DataFusion with so much memory."""
    message = str(error).removeprefix("DataFusion error: ")
    if _EXHAUSTED.search(message):
        return QueryMemoryError(memory_bytes)
    # A panic of the Rust side is a BaseException of a class that cannot be imported.
    if not isinstance(error, Exception) or message.startswith("Internal error"):
        return QueryEngineError(f"query engine failed: {message}")
    return QueryError(message)


class MergedStream(AsyncIterator[pa.RecordBatch]):
    """The batches of *streams* as they come; those of one stream keep their order.

    Each stream is read ahead by one batch. What a stream raises is raised here, as `ApiError`.
    To be made inside an event loop, and closed.

    Args:
        streams: of the partitions.
        memory_bytes: what they may take, for an error.
    """

    def __init__(self, streams: Sequence[RecordBatchStream], *, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._failure: ApiError | None = None
        self._queue: asyncio.Queue[pa.RecordBatch | ApiError | None] = asyncio.Queue(1)
        self._running = len(streams)
        self._tasks = [asyncio.create_task(self._read(stream)) for stream in streams]

    async def __anext__(self) -> pa.RecordBatch:
        while self._running:
            item = await self._queue.get()
            if self._failure is not None:
                break
            if item is None:
                self._running -= 1
            elif isinstance(item, ApiError):
                self.fail(item)
            else:
                return item
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    def fail(self, error: ApiError) -> None:
        """Stop reading; who waits for a batch or asks for one gets *error*."""
        self.close()
        self._failure = error
        if self._queue.empty():
            self._queue.put_nowait(None)  # for who waits

    async def _read(self, stream: RecordBatchStream) -> None:
        try:
            async for batch in stream:
                await self._queue.put(batch.to_pyarrow())
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            translated = query_error(error, self._memory_bytes)
            translated.__cause__ = error
            await self._queue.put(translated)
        else:
            await self._queue.put(None)

    def close(self) -> None:
        """Stop reading; the streams end as soon as DataFusion looks up. Never blocks."""
        self._running = 0
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
