"""Pools of urllib3 that trace what goes out."""

from __future__ import annotations

from functools import partial
from typing import Any

import urllib3
from urllib3.util.retry import Retry

from iox_otel.http.client import ClientCall, ClientTracer


class TracedPoolManager(urllib3.PoolManager):
    """Has a CLIENT span for each request: `TracedPoolManager().request("GET", url)`.

    The span is a child of what is current, lasts until the response's headers are there, and is one
    for all attempts: `http.request.resend_count` says how many came after the first, redirects
    among them.

    Args:
        tracer: writes headers in other formats than the default ones.
    """

    def __init__(self, *args: Any, tracer: ClientTracer | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tracer = ClientTracer() if tracer is None else tracer

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **kwargs: Any
    ) -> urllib3.BaseHTTPResponse:
        """Send the request, traced if it belongs to a trace."""
        send = partial(super().urlopen, method, url, redirect)
        if _follows_redirect(kwargs.get("retries")):  # called from within the first one
            return send(**kwargs)
        call = self._tracer.begin(method, url)
        if call.headers:
            given = kwargs.get("headers")
            headers = urllib3.HTTPHeaderDict(self.headers if given is None else given)
            for name, value in call.headers.items():
                headers[name] = value
            kwargs["headers"] = headers
        with call.sending():
            response = send(**kwargs)
            note_answer(call, response)
        return response


def note_answer(call: ClientCall, response: Any) -> None:
    """Note what urllib3's *response* says, and how many attempts came before it; end the span."""
    retries = getattr(response, "retries", None)
    call.resent(len(retries.history) if isinstance(retries, Retry) else 0)
    call.answered(response.status)
    call.finish()


def _follows_redirect(retries: object) -> bool:
    return (
        isinstance(retries, Retry)
        and bool(retries.history)
        and retries.history[-1].redirect_location is not None
    )
