"""A Collector that is unavailable for most calls for a while, as behind a busy load balancer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc

from .process import free_port

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
CALL_TIMEOUT_S = 10


class Unavailable:
    """Answers UNAVAILABLE to 7 of 10 calls for *for_s* after the first one, and otherwise hands on.

    Args:
        target: the OTLP receiver that takes what is handed on, as a URL.
        for_s: how long it refuses.
    """

    def __init__(self, target: str, *, for_s: float) -> None:
        self.refused = 0
        self.handed_on = 0
        """Calls handed on while others were refused."""
        self.over_s: float | None = None
        """When it refuses no more, on the monotonic clock."""
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._for_s = for_s
        self._lock = threading.Lock()
        self._channel = grpc.insecure_channel(target.removeprefix("http://"))
        self._export = self._channel.unary_unary(f"/{SERVICE}/Export")
        export = grpc.unary_unary_rpc_method_handler(self._answer)
        handler = grpc.method_handlers_generic_handler(SERVICE, {"Export": export})
        self._server = grpc.server(ThreadPoolExecutor(4), handlers=(handler,))
        self._server.add_insecure_port(f"127.0.0.1:{port}")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()
        self._channel.close()

    def _answer(self, body: bytes, context: grpc.ServicerContext) -> Any:
        if self._refuses():
            context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
        return self._export(body, timeout=CALL_TIMEOUT_S)

    def _refuses(self) -> bool:
        with self._lock:
            now_s = time.monotonic()
            if self.over_s is None:
                self.over_s = now_s + self._for_s
            if now_s >= self.over_s:
                return False
            if (self.refused + self.handed_on) % 10 in (0, 3, 7):
                self.handed_on += 1
                return False
            self.refused += 1
            return True
