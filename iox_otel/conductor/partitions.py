"""The partitions of a query's result, read at the same time and handed out as one stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pyarrow as pa
from datafusion import RecordBatchStream

from .errors import ApiError


class QueryError(ApiError):
    """The SQL cannot be planned, or ran into something: DataFusion's own message."""

    status = 400


class QueryEngineError(ApiError):
    """DataFusion failed in a way that is no fault of the query's."""

    status = 500


def query_error(error: BaseException) -> ApiError:
    """Return what to tell of *error*, which came out of DataFusion."""
    message = str(error).removeprefix("DataFusion error: ")
    # A panic of the Rust side is a BaseException of a class that cannot be imported.
    if not isinstance(error, Exception) or message.startswith("Internal error"):
        return QueryEngineError(f"query engine failed: {message}")
    return QueryError(message)


class MergedStream(AsyncIterator[pa.RecordBatch]):
    """The batches of *streams* as they come; those of one stream keep their order.

    Each stream is read ahead by one batch. What a stream raises is raised here, as `ApiError`.
    To be made inside an event loop, and closed.
    """

    def __init__(self, streams: Sequence[RecordBatchStream]) -> None:
        self._queue: asyncio.Queue[pa.RecordBatch | ApiError | None] = asyncio.Queue(1)
        self._running = len(streams)
        self._tasks = [asyncio.create_task(self._read(stream)) for stream in streams]

    async def __anext__(self) -> pa.RecordBatch:
        while self._running:
            item = await self._queue.get()
            if item is None:
                self._running -= 1
            elif isinstance(item, ApiError):
                self.close()
                raise item
            else:
                return item
        raise StopAsyncIteration

    async def _read(self, stream: RecordBatchStream) -> None:
        try:
            async for batch in stream:
                await self._queue.put(batch.to_pyarrow())
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            translated = query_error(error)
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
