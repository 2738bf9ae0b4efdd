"""The calls of the HTTP API that make and list databases."""

from __future__ import annotations

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from .bodies import read_parameters, require
from .catalog import Catalog
from .formats import choose_format

_COLUMN = "iox::database"


class DatabaseApi:
    """POST and GET /api/v3/configure/database.

    Args:
        catalog: where the databases are.
        max_request_bytes: what a body may have.
    """

    def __init__(self, catalog: Catalog, *, max_request_bytes: int) -> None:
        self._catalog = catalog
        self._max_request_bytes = max_request_bytes

    async def create(self, request: Request) -> Response:
        """Make the database `db`."""
        parameters = await read_parameters(request, max_bytes=self._max_request_bytes)
        self._catalog.create(require(parameters, "db"))
        return Response()

    async def names(self, request: Request) -> Response:
        """List the names of the databases, in the form `format`."""
        form = choose_format(request.query_params.get("format"), request.headers.get("accept"))
        names = pa.array(self._catalog.names(), pa.string())
        batch = pa.RecordBatch.from_arrays([names], [_COLUMN])
        encoder = form.encoder(batch.schema)
        body = encoder.encode(batch) + encoder.finish()
        return Response(body, headers={"content-type": form.content_type})
