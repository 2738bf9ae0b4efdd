"""An adapter of requests that traces what goes out."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from iox_otel.http.client import ClientTracer

from .urllib3 import note_answer


class TracedAdapter(HTTPAdapter):
    """Has a CLIENT span for each request of a session:

        session.mount("http://", TracedAdapter())
        session.mount("https://", TracedAdapter())

    The span is a child of what is current, lasts until the response's headers are there, and is one
    for all attempts that `max_retries` allows (`http.request.resend_count`). What follows a
    redirect has one of its own.

    Args:
        tracer: writes headers in other formats than the default ones.
        options: as `HTTPAdapter` takes them.
    """

    __attrs__ = [*HTTPAdapter.__attrs__, "_tracer"]  # what a pickled one keeps

    def __init__(self, *, tracer: ClientTracer | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._tracer = ClientTracer() if tracer is None else tracer

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send *request*, traced if it belongs to a trace."""
        call = self._tracer.begin(request.method or "", request.url or "")
        request.headers.update(call.headers)
        with call.sending():
            response = super().send(request, *args, **kwargs)
            note_answer(call, response.raw)
        return response
