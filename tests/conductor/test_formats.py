"""The forms of results: how each is written, and which one a request gets."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iox_otel.conductor.errors import BadRequestError, NotAcceptableError
from iox_otel.conductor.formats import Format, choose_format

SCHEMA = pa.schema([("name", pa.string()), ("f", pa.float64())])
BATCHES = [
    pa.RecordBatch.from_pylist([{"name": "a", "f": 1.0}, {"name": None, "f": 2.5}], schema=SCHEMA),
    pa.RecordBatch.from_pylist([], schema=SCHEMA),
    pa.RecordBatch.from_pylist([{"name": 'x, "y"\n', "f": None}], schema=SCHEMA),
]


def encoded(form: Format, batches: list[pa.RecordBatch]) -> bytes:
    encoder = form.encoder(SCHEMA)
    return b"".join([*map(encoder.encode, batches), encoder.finish()])


@pytest.mark.parametrize(
    ("form", "text", "empty"),
    [
        (Format.JSON, r'[{"name":"a","f":1.0},{"f":2.5},{"name":"x, \"y\"\n"}]', "[]"),
        (
            Format.JSON_LINES,
            '{"name":"a","f":1.0}\n{"f":2.5}\n' + r'{"name":"x, \"y\"\n"}' + "\n",
            "",
        ),
        (Format.CSV, 'name,f\na,1.0\n,2.5\n"x, ""y""\n",\n', "name,f\n"),
        (
            Format.PRETTY,
            "+--------+-----+\n"
            "| name   | f   |\n"
            "+--------+-----+\n"
            "| a      | 1.0 |\n"
            "|        | 2.5 |\n"
            '| x, "y" |     |\n'
            "+--------+-----+",
            "+------+---+\n| name | f |\n+------+---+",
        ),
    ],
)
def test_text_forms(form: Format, text: str, empty: str) -> None:
    """Each form has all rows, or says in its way that there are none."""
    assert encoded(form, BATCHES).decode() == text
    assert encoded(form, []).decode() == empty


def test_pieces_come_as_the_batches_do() -> None:
    """A form that can be streamed is: each batch gives its rows at once."""
    for form in (Format.JSON, Format.JSON_LINES, Format.CSV, Format.PARQUET):
        assert form.encoder(SCHEMA).encode(BATCHES[0])


def test_parquet() -> None:
    """Parquet holds the same rows, and the schema even without any."""
    table = pq.read_table(io.BytesIO(encoded(Format.PARQUET, BATCHES)))
    empty = pq.read_table(io.BytesIO(encoded(Format.PARQUET, [])))

    assert table == pa.Table.from_batches(BATCHES)
    assert empty.schema == SCHEMA


def test_tables_with_higher_rows() -> None:
    """A value of several lines, such as a query plan, makes its row as high."""
    batch = pa.RecordBatch.from_pylist([{"name": "a\n  bcdef\n", "f": 1.0}], schema=SCHEMA)

    assert encoded(Format.PRETTY, [batch]).decode().splitlines()[3:] == [
        "| a       | 1.0 |",
        "|   bcdef |     |",
        "+---------+-----+",
    ]


def test_tables_command_no_terminal() -> None:
    """Control characters in a table are shown, not obeyed."""
    batch = pa.RecordBatch.from_pylist([{"name": "\x1b[31m\r\t\x9b"}], schema=SCHEMA)

    assert rb"\x1b[31m\r\t\x9b" in encoded(Format.PRETTY, [batch])


def test_a_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that is too large to be kept as a table is an error that says what else there is."""
    monkeypatch.setattr("iox_otel.conductor.encoders.MAX_TABLE_BYTES", 500)
    encoder = Format.PRETTY.encoder(SCHEMA)
    encoder.encode(BATCHES[0])

    with pytest.raises(BadRequestError, match="jsonl, csv and parquet are streamed"):
        encoder.encode(BATCHES[0])


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Format.JSON),
        ("", Format.JSON),
        ("*/*", Format.JSON),
        ("application/json", Format.JSON),
        ("application/jsonl", Format.JSON_LINES),
        ("text/csv", Format.CSV),
        ("text/plain", Format.PRETTY),
        ("TEXT/CSV; charset=utf-8", Format.CSV),
        ("application/vnd.apache.parquet", Format.PARQUET),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.JSON),
        ("application/json;q=0.1, text/csv;q=0.9", Format.CSV),
        ("text/csv;q=0, application/json", Format.JSON),
    ],
)
def test_the_header_chooses(accept: str | None, form: Format) -> None:
    """Without a parameter the Accept header decides, by its weights."""
    assert choose_format(None, accept) is form
    assert choose_format("csv", accept) is Format.CSV


def test_no_such_form() -> None:
    """A form that is not known is an error that lists those that are."""
    with pytest.raises(BadRequestError, match="json, jsonl, csv, pretty, parquet"):
        choose_format("xml", None)
    with pytest.raises(NotAcceptableError, match="image/png"):
        choose_format(None, "image/png")
    with pytest.raises(NotAcceptableError):
        choose_format(None, "text/csv;q=nonsense")
