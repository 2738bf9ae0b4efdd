"""The forms that results come in, and which of them a request asks for."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import pyarrow as pa

from .encoders import (
    CsvEncoder,
    Encoder,
    JsonEncoder,
    JsonLinesEncoder,
    ParquetEncoder,
    PrettyEncoder,
)
from .errors import BadRequestError, NotAcceptableError


class Format(Enum):
    """A form of results; the value is its name in requests."""

    JSON = "json"
    JSON_LINES = "jsonl"
    CSV = "csv"
    PRETTY = "pretty"
    PARQUET = "parquet"

    @property
    def content_type(self) -> str:
        """The media type of such a body."""
        return _CONTENT_TYPES[self]

    def encoder(self, schema: pa.Schema) -> Encoder:
        """Return a new encoder for a result with *schema*."""
        return _ENCODERS[self](schema)


_CONTENT_TYPES = {
    Format.JSON: "application/json",
    Format.JSON_LINES: "application/jsonl",
    Format.CSV: "text/csv; charset=utf-8",
    Format.PRETTY: "text/plain; charset=utf-8",
    Format.PARQUET: "application/vnd.apache.parquet",
}

_ENCODERS: dict[Format, Callable[[pa.Schema], Encoder]] = {
    Format.JSON: JsonEncoder,
    Format.JSON_LINES: JsonLinesEncoder,
    Format.CSV: CsvEncoder,
    Format.PRETTY: PrettyEncoder,
    Format.PARQUET: ParquetEncoder,
}

_BY_NAME = {form.value: form for form in Format} | {
    "json_lines": Format.JSON_LINES,
    "jsonlines": Format.JSON_LINES,
}

_BY_MEDIA_TYPE = {form.content_type.partition(";")[0]: form for form in Format} | {
    "*/*": Format.JSON,
    "application/*": Format.JSON,
    "text/*": Format.PRETTY,
    "application/x-ndjson": Format.JSON_LINES,
}


def choose_format(name: str | None, accept: str | None) -> Format:
    """Return the form that a request asks for: its `format` parameter, else its Accept header.

    Neither means JSON, as in the reference.

    Raises:
        BadRequestError: there is no such form.
        NotAcceptableError: the header names none of the forms.
    """
    if name is not None:
        form = _BY_NAME.get(name)
        if form is None:
            names = ", ".join(form.value for form in Format)
            raise BadRequestError(f"unknown format {name!r}, available formats are {names}")
        return form
    if not accept or not accept.strip():
        return Format.JSON
    for media_type in _by_preference(accept):
        if media_type in _BY_MEDIA_TYPE:
            return _BY_MEDIA_TYPE[media_type]
    types = ", ".join(form.content_type.partition(";")[0] for form in Format)
    raise NotAcceptableError(f"invalid mime type ({accept[:200]}), available types are {types}")


def _by_preference(accept: str) -> list[str]:
    """Return the media types of an Accept header, the best liked first (RFC 9110, 12.5.1)."""
    ranked: list[tuple[float, str]] = []
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = _weight(parameters)
        if weight > 0:
            ranked.append((-weight, media_type))
    return [media_type for _, media_type in sorted(ranked, key=lambda pair: pair[0])]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
