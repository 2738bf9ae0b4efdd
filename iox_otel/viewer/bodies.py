"""Reading the body of a request, unpacked and within a limit."""

from __future__ import annotations

import zlib

from starlette.requests import ClientDisconnect, Request


class BodyError(Exception):
    """A body is not taken: an HTTP *status*, and one line that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body of *request*, without its Content-Encoding.

    Raises:
        BodyError: 413 if it is longer than *max_bytes*, 415 if it is packed by other than gzip or
            deflate, 400 if it cannot be unpacked, breaks off or goes on after its end.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise BodyError(415, f"unsupported Content-Encoding {encoding[:40]!r}")
    unpack = None if encoding in ("identity", "") else zlib.decompressobj(zlib.MAX_WBITS | 32)
    body = bytearray()
    try:
        async for chunk in request.stream():
            # One byte more than allowed is enough to see that there are too many.
            room = max_bytes + 1 - len(body)
            body += chunk if unpack is None else unpack.decompress(chunk, room)
            if len(body) > max_bytes:
                raise BodyError(413, f"the body is longer than {max_bytes} bytes")
            if unpack is not None and unpack.unused_data:
                # It would be kept, however much there is; and might be spans that are lost.
                raise BodyError(400, f"the body goes on after the end of its {encoding}")
    except zlib.error as exc:
        raise BodyError(400, f"the body is not {encoding}: {exc}") from None
    except ClientDisconnect:
        raise BodyError(400, "the body breaks off") from None
    if unpack is not None and not unpack.eof:
        raise BodyError(400, f"the body breaks off within {encoding}")
    return bytes(body)
