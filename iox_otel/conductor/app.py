"""The conductor: a small database server that speaks InfluxDB 3's HTTP API, and is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from iox_otel import TraceCollector
from iox_otel.http import HeaderParser, Sampler, TraceLayer
from iox_otel_bridge import Stats

from .catalog import Catalog
from .database_api import DatabaseApi
from .errors import (
    ApiError,
    InternalErrors,
    answer_api_error,
    answer_disconnect,
    answer_http_error,
)
from .guard import Guard
from .limits import Limits
from .metrics import Metrics
from .query_api import QueryApi
from .turns import RequestLimit
from .write_api import WriteApi

NAME = "iox-conductor"
"""What the server calls itself: its service name in traces, too."""

UNTRACED_PATHS = ("/health", "/ping", "/metrics")

OPEN_PATHS = ("/health", "/ping")
"""What everybody may ask for at any time: who looks after a server has no token of its."""


def create_app(
    *,
    collector: TraceCollector | None,
    header_parser: HeaderParser | None = None,
    sampler: Sampler | None = None,
    per_partition_tracing: bool = False,
    limits: Limits = Limits(),  # noqa: B008  # it cannot be changed
    stats: Callable[[], Mapping[str, Stats]] = dict,
    queue_size: int = 0,
) -> ASGIApp:
    """Return the server as an ASGI application, with a catalog of its own and no databases yet.

    Args:
        collector: takes the spans; None traces nothing.
        header_parser: finds the trace context of a request; the native one if not given.
        sampler: decides which requests are traced; only their headers do if not given.
        per_partition_tracing: whether each partition of a query's operator gets a span of its own.
        limits: what it takes on.
        stats: what became of the spans, by exporter, for `/metrics`.
        queue_size: how many of them may wait for each exporter.
    """
    catalog = Catalog(max_data_bytes=limits.max_data_bytes)
    writes = WriteApi(catalog, max_request_bytes=limits.max_request_bytes)
    queries = QueryApi(catalog, limits=limits, per_partition_tracing=per_partition_tracing)
    databases = DatabaseApi(catalog, max_request_bytes=limits.max_request_bytes)
    metrics = Metrics(stats, queue_size)
    routes = [
        Route("/health", _health),
        Route("/metrics", metrics.answer),
        Route("/ping", _ping, methods=["GET", "POST"]),
        Route("/api/v3/configure/database", databases.names, methods=["GET"]),
        Route("/api/v3/configure/database", databases.create, methods=["POST"]),
        Route("/api/v3/write_lp", writes.write_lp, methods=["POST"]),
        Route("/api/v2/write", writes.write_v2, methods=["POST"]),
        Route("/api/v3/query_sql", queries.query_sql, methods=["GET", "POST"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(InternalErrors),
            Middleware(RequestLimit, limit=limits.max_concurrent_requests, exempt=OPEN_PATHS),
        ],
        exception_handlers=_EXCEPTION_HANDLERS,
    )
    return TraceLayer(
        app,
        collector=collector,
        header_parser=header_parser,
        sampler=sampler,
        name="IOx http",
        exclude=UNTRACED_PATHS,
        metrics=metrics.requests,
    )


def guarded(app: ASGIApp, *, token: str | None, hosts: Iterable[str] = ()) -> ASGIApp:
    """Return *app*, made by `create_app`, for those only who may use it. Strangers leave no trace.

    Args:
        app: the server.
        token: what they have to bring; None lets this machine in, by its own names.
        hosts: further names of this machine.
    """
    return Guard(app, token=token, hosts=hosts, exempt=OPEN_PATHS)


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
