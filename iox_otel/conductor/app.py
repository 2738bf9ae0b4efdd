"""The conductor: a small database server that speaks InfluxDB 3's HTTP API, and is traced."""

from __future__ import annotations

from importlib.metadata import version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from iox_otel import TraceCollector
from iox_otel.http import HeaderParser, TraceLayer

from .catalog import Catalog
from .database_api import DatabaseApi
from .errors import (
    ApiError,
    InternalErrors,
    answer_api_error,
    answer_disconnect,
    answer_http_error,
)
from .query_api import QueryApi
from .write_api import WriteApi

NAME = "iox-conductor"
"""What the server calls itself: its service name in traces, too."""

DEFAULT_MAX_REQUEST_BYTES = 10 * 1024 * 1024
"""The reference's default, too."""

UNTRACED_PATHS = ("/health", "/ping", "/metrics")


def create_app(
    *,
    collector: TraceCollector | None,
    header_parser: HeaderParser | None = None,
    per_partition_tracing: bool = False,
    max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES,
) -> ASGIApp:
    """Return the server as an ASGI application, with a catalog of its own and no databases yet.

    Args:
        collector: takes the spans; None traces nothing.
        header_parser: finds the trace context of a request; the native one if not given.
        per_partition_tracing: whether each partition of a query's operator gets a span of its own.
        max_request_bytes: how long the body of a request may be, as sent and unzipped.
    """
    catalog = Catalog()
    writes = WriteApi(catalog, max_request_bytes=max_request_bytes)
    queries = QueryApi(
        catalog,
        max_request_bytes=max_request_bytes,
        per_partition_tracing=per_partition_tracing,
    )
    databases = DatabaseApi(catalog, max_request_bytes=max_request_bytes)
    routes = [
        Route("/health", _health),
        Route("/ping", _ping, methods=["GET", "POST"]),
        Route("/api/v3/configure/database", databases.names, methods=["GET"]),
        Route("/api/v3/configure/database", databases.create, methods=["POST"]),
        Route("/api/v3/write_lp", writes.write_lp, methods=["POST"]),
        Route("/api/v2/write", writes.write_v2, methods=["POST"]),
        Route("/api/v3/query_sql", queries.query_sql, methods=["GET", "POST"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(InternalErrors)],
        exception_handlers=_EXCEPTION_HANDLERS,
    )
    return TraceLayer(
        app,
        collector=collector,
        header_parser=header_parser,
        name="IOx http",
        exclude=UNTRACED_PATHS,
    )


async def _health(request: Request) -> Response:
    return PlainTextResponse("OK")


async def _ping(request: Request) -> Response:
    release = version("iox-otel")
    return JSONResponse(
        {"product_name": NAME, "version": release},
        headers={"x-influxdb-version": release, "x-influxdb-build": NAME},
    )


_EXCEPTION_HANDLERS = {
    ApiError: answer_api_error,
    HTTPException: answer_http_error,
    ClientDisconnect: answer_disconnect,
}
