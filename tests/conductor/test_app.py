"""The HTTP API: what each call takes, answers, and says when it cannot."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pyarrow.parquet as pq
import pytest

MAX_BYTES = 100_000
"""What the conductor of these tests takes."""


def test_health_and_ping(conductor: Any) -> None:
    """The server says that it is there, and which release it is."""
    assert conductor.client.get("/health").text == "OK"
    for method in ("GET", "HEAD", "POST"):
        ping = conductor.client.request(method, "/ping")
        assert ping.status_code == 200
        assert ping.headers["x-influxdb-version"] == "0.1.0"
    assert conductor.client.get("/ping").json()["version"] == "0.1.0"


def test_databases(conductor: Any) -> None:
    """Databases are made once, under good names, and listed."""
    url = "/api/v3/configure/database"

    assert conductor.client.post(url, json={"db": "a"}).status_code == 200
    again = conductor.client.post(url, json={"db": "a"})
    assert (again.status_code, again.json()) == (409, {"error": "Database already exists"})
    bad = conductor.client.post(url, json={"db": "no/slash"})
    assert bad.status_code == 400
    assert bad.json()["error"].startswith("invalid character in database name")
    listed = conductor.client.get(url, params={"format": "json"})
    assert listed.json() == [{"iox::database": "a"}, {"iox::database": "db"}]
    assert conductor.client.get(url, params={"format": "csv"}).text == "iox::database\na\ndb\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "missing query parameter 'db'"),
        (b"{}", "missing query parameter 'db'"),
        (b'{"db": 5}', "parameter 'db' must be text"),
        (b"[1]", "body must be a JSON object"),
        (b"{", "body is not valid JSON"),
        (b"[" * 50_000, "body is not valid JSON"),
        (b"\xff", "body content is not valid utf8: invalid start byte at byte 0"),
    ],
)
def test_bad_bodies(conductor: Any, body: bytes, message: str) -> None:
    """A body that is no JSON object with what is needed is named as such."""
    response = conductor.client.post("/api/v3/configure/database", content=body)

    assert response.status_code == 400
    assert message in response.json()["error"]


def test_write(conductor: Any) -> None:
    """A good write is answered with nothing, and its rows are there."""
    response = conductor.write('cpu,host=a f=1,i=2i,u=3u,b=t,s="x, y" 1700000000\n')

    assert (response.status_code, response.content) == (204, b"")
    assert conductor.rows("select * from cpu") == [
        {
            "host": "a",
            "f": 1.0,
            "i": 2,
            "u": 3,
            "b": True,
            "s": "x, y",
            "time": "2023-11-14T22:13:20Z",
        }
    ]


@pytest.mark.parametrize(
    ("precision", "time"),
    [
        ("ns", "1970-01-01T00:00:00.000000005Z"),
        ("nanosecond", "1970-01-01T00:00:00.000000005Z"),
        ("us", "1970-01-01T00:00:00.000005Z"),
        ("microsecond", "1970-01-01T00:00:00.000005Z"),
        ("ms", "1970-01-01T00:00:00.005Z"),
        ("millisecond", "1970-01-01T00:00:00.005Z"),
        ("s", "1970-01-01T00:00:05Z"),
        ("second", "1970-01-01T00:00:05Z"),
        ("auto", "1970-01-01T00:00:05Z"),
    ],
)
def test_precision(conductor: Any, precision: str, time: str) -> None:
    """The parameter says what the timestamps count."""
    assert conductor.write("m f=1 5", precision=precision).status_code == 204
    assert conductor.rows("select time from m") == [{"time": time}]


def test_v2_write(conductor: Any) -> None:
    """The v2 call takes a bucket, counts nanoseconds, and reports errors in its own form too."""
    url = "/api/v2/write"

    good = conductor.client.post(url, params={"bucket": "db"}, content="m f=1 5")
    bad = conductor.client.post(url, params={"bucket": "db"}, content="m f=2 6\nm f=t 7")
    missing = conductor.client.post(url, params={"bucket": "none", "org": "o"}, content="m f=1")
    auto = conductor.client.post(url, params={"bucket": "db", "precision": "auto"}, content="m f=1")

    assert good.status_code == 204
    assert bad.status_code == 400
    assert bad.json()["code"] == "invalid"
    assert "line 2: invalid column type for column 'f'" in bad.json()["message"]
    assert [line["line_number"] for line in bad.json()["data"]] == [2]
    assert (missing.status_code, missing.json()["code"]) == (404, "not found")
    assert auto.status_code == 400
    assert [row["time"][-4:] for row in conductor.rows("select time from m order by time")] == [
        "005Z",
        "006Z",
    ]


def test_a_half_bad_write(conductor: Any) -> None:
    """Good lines are kept, each bad line is reported with its number, text and reason, in order."""
    conductor.write("m f=1 1")

    response = conductor.write('m f=2 2\nm f="x" 3\nnonsense\nm f=4 4\nm,f=5 g=5 5')

    assert response.status_code == 400
    assert response.json()["error"] == "partial write of line protocol occurred"
    assert [(e["line_number"], e["original_line"]) for e in response.json()["data"]] == [
        (2, 'm f="x" 3'),
        (3, "nonsense"),
        (5, "m,f=5 g=5 5"),
    ]
    assert response.json()["data"][0]["error_message"] == (
        "invalid column type for column 'f', "
        "expected iox::column_type::field::float, got iox::column_type::field::string"
    )
    assert conductor.rows("select f from m order by time") == [{"f": 1.0}, {"f": 2.0}, {"f": 4.0}]


def test_a_half_bad_write_refused(conductor: Any) -> None:
    """Without accept_partial nothing of it is kept, and each bad line is reported."""
    conductor.write("m f=1 1")

    response = conductor.write('m f=2 2\nnonsense\nm f="x" 3\nm f=4 4', accept_partial="false")

    assert response.status_code == 400
    assert response.json()["error"] == "parsing failed for write_lp endpoint"
    nonsense, conflict = response.json()["data"]
    assert (nonsense["line_number"], nonsense["original_line"]) == (2, "nonsense")
    assert (conflict["line_number"], conflict["original_line"]) == (3, 'm f="x" 3')
    assert "invalid column type for column 'f'" in conflict["error_message"]
    assert conductor.rows("select f from m") == [{"f": 1.0}]


@pytest.mark.parametrize(
    ("parameters", "body", "status", "message"),
    [
        ({"db": "nope"}, "m f=1", 404, "Database 'nope' not found; create it with: iox-otel"),
        ({"db": ""}, "m f=1", 404, "Database '' not found"),
        ({"precision": "h"}, "m f=1", 400, "invalid value 'h' for parameter 'precision'"),
        ({"accept_partial": "maybe"}, "m f=1", 400, "available are true, 1, false, 0"),
        ({}, "", 400, "incoming write was empty"),
        ({}, "# only a comment\n\n", 400, "incoming write was empty"),
        ({}, b"m f=1\n\xff", 400, "not valid utf8: invalid start byte at byte 6"),
        ({}, "m f=1\n" * 20_000, 413, "max request size (100000 bytes) exceeded"),
    ],
)
def test_writes_that_cannot_be(
    conductor: Any, parameters: dict[str, str], body: str | bytes, status: int, message: str
) -> None:
    """A write that makes no sense is told why, in JSON."""
    response = conductor.write(body, **parameters)

    assert response.status_code == status
    assert message in response.json()["error"]


def test_write_without_a_database(conductor: Any) -> None:
    """The missing parameter is named."""
    response = conductor.client.post("/api/v3/write_lp", content="m f=1")

    assert (response.status_code, response.json()) == (
        400,
        {"error": "missing query parameter 'db'"},
    )


def zipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (zipped(b"m f=1 1\n") + zipped(b"m f=2 2"), 204, ""),
        (zipped(b"m f=1")[:-4], 400, "error decoding gzip stream"),
        (b"m f=1", 400, "error decoding gzip stream"),
        (zipped(b"m f=1") + b"trailing", 400, "error decoding gzip stream"),
        (zipped(b"m f=1\n" * 1_000_000), 413, "max request size"),
    ],
)
def test_gzip(conductor: Any, body: bytes, status: int, message: str) -> None:
    """Bodies may be zipped, in several members; a bad or too long one is refused unseen."""
    response = conductor.client.post(
        "/api/v3/write_lp",
        params={"db": "db"},
        content=body,
        headers={"content-encoding": "gzip"},
    )

    assert response.status_code == status
    assert not message or message in response.json()["error"]


def test_unknown_encodings(conductor: Any) -> None:
    """A body that is encoded in another way is refused."""
    response = conductor.client.post(
        "/api/v3/write_lp?db=db", content=b"m f=1", headers={"content-encoding": "br"}
    )

    assert (response.status_code, response.json()) == (
        415,
        {"error": "unacceptable content-encoding: br"},
    )


def test_forms_of_results(conductor: Any) -> None:
    """Results come in five forms, each with its media type."""
    conductor.write('m,t=a f=1.5,s="x, y" 5', precision="ns")
    sql = "select * from m"

    answers = {
        name: conductor.query(sql, format=name)
        for name in ("json", "jsonl", "csv", "pretty", "parquet")
    }

    row = {"f": 1.5, "s": "x, y", "t": "a", "time": "1970-01-01T00:00:00.000000005Z"}
    assert answers["json"].json() == [row]
    assert answers["jsonl"].text.endswith("}\n")
    assert answers["csv"].text == ('f,s,t,time\n1.5,"x, y",a,1970-01-01T00:00:00.000000005Z\n')
    assert "| 1.5 | x, y | a | 1970-01-01T00:00:00.000000005Z |" in answers["pretty"].text
    assert pq.read_table(io.BytesIO(answers["parquet"].content)).num_rows == 1
    assert {name: answer.headers["content-type"] for name, answer in answers.items()} == {
        "json": "application/json",
        "jsonl": "application/jsonl",
        "csv": "text/csv; charset=utf-8",
        "pretty": "text/plain; charset=utf-8",
        "parquet": "application/vnd.apache.parquet",
    }


def test_ways_to_ask(conductor: Any) -> None:
    """A query may come in the URL, as JSON or as a form, and with values for its placeholders."""
    url = "/api/v3/query_sql"
    asked = {"db": "db", "q": "select 1 as one"}
    form = {"content-type": "application/x-www-form-urlencoded"}
    placeholders = {"db": "db", "q": "select $n + 1 as n, $s as s"}
    client = conductor.client

    responses = [
        client.get(url, params=asked),
        client.post(url, params=asked),
        client.post(url, json=asked),
        client.post(url, json={**asked, "format": None, "params": None}),
        client.post(url, data=asked),
        client.post(url, params={"db": "db"}, json={"q": "select 1 as one"}),
        client.post(url, content='{"db": "db", "q": "select 1 as one"}', headers=form),
    ]
    values = [
        client.post(url, json={**placeholders, "params": {"n": 4, "s": "x"}}),
        client.get(url, params={**placeholders, "params": '{"n": 4, "s": "x"}'}),
    ]

    assert [response.json() for response in responses] == [[{"one": 1}]] * 7
    assert [response.json() for response in values] == [[{"n": 5, "s": "x"}]] * 2


def test_show_tables(conductor: Any) -> None:
    """Tables are in the catalog `public`, schema `iox`, whatever their names."""
    conductor.write("cpu f=1\nCPU f=1\na.b f=1\nq\"uo'te f=1")

    shown = conductor.rows("show tables")

    ours = [row for row in shown if row["table_schema"] == "iox"]
    assert {row["table_name"] for row in ours} == {"cpu", "CPU", "a.b", "q\"uo'te"}
    assert {row["table_catalog"] for row in ours} == {"public"}
    assert {"tables", "columns"} <= {row["table_name"] for row in shown}
    for name in ('"CPU"', '"a.b"', '"q""uo\'te"', "public.iox.cpu"):
        assert len(conductor.rows(f"select * from {name}")) == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("selec", "Expected: an SQL statement, found: selec"),
        ("", "No SQL statements were provided"),
        ("select 1; select 2", "only supports a single SQL statement"),
        ("select * from nope", "table 'public.iox.nope' not found"),
        ("select nope from m", "No field named nope"),
        ("select 1/0", "Divide by zero"),
        ("select 1/f0 from m", "Divide by zero"),
        ("select cast(s as int) from m", "Cannot cast string 'x'"),
        ("select $n", "Placeholder"),
        ("create table x as select 1", "DDL not supported"),
        ("create external table x stored as csv location '/etc/passwd'", "DDL not supported"),
        ("drop table m", "DDL not supported"),
        ("insert into m values ('x', now(), 1)", "DML not supported"),
        ("copy m to '/tmp/x.csv'", "DML not supported"),
        ("set datafusion.execution.batch_size = 1", "Statement not supported"),
        ("select * from '/etc/passwd'", "not found"),
    ],
)
def test_queries_that_cannot_be(conductor: Any, sql: str, message: str) -> None:
    """What does not parse, names what is not there, fails, or writes is a 400 that says so."""
    conductor.write('m s="x",f0=0i')

    response = conductor.query(sql)

    assert response.status_code == 400
    assert message in response.json()["error"]
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    ("parameters", "status", "message"),
    [
        ({"db": "nope"}, 404, "create it with: iox-otel database create nope"),
        ({"format": "xml"}, 400, "unknown format 'xml'"),
        ({"params": "{"}, 400, "params is not valid JSON"),
        ({"params": "[1]"}, 400, "params must be a JSON object"),
        ({"params": '{"n": []}'}, 400, "params must be a JSON object of plain values"),
    ],
)
def test_bad_query_parameters(
    conductor: Any, parameters: dict[str, str], status: int, message: str
) -> None:
    """A bad parameter is named."""
    response = conductor.query("select 1", **parameters)

    assert response.status_code == status
    assert message in response.json()["error"]


def test_missing_query_parameters(conductor: Any) -> None:
    """A query needs a text and a database."""
    url = "/api/v3/query_sql"

    assert "'q'" in conductor.client.get(url, params={"db": "db"}).json()["error"]
    assert "'db'" in conductor.client.get(url, params={"q": "select 1"}).json()["error"]
    multipart = conductor.client.post(url, data={"db": "db"}, files={"q": b"select 1"})
    assert multipart.status_code == 415
    png = conductor.client.get(
        url, params={"db": "db", "q": "select 1"}, headers={"accept": "image/png"}
    )
    assert png.status_code == 406


def test_no_such_call(conductor: Any) -> None:
    """An unknown path and a wrong method are JSON errors too."""
    missing = conductor.client.get("/api/v3/nope")
    wrong = conductor.client.get("/api/v3/write_lp")

    assert (missing.status_code, missing.json()) == (404, {"error": "not found"})
    assert (wrong.status_code, wrong.json()) == (405, {"error": "unsupported method"})
    assert wrong.headers["allow"] == "POST"


def test_many_rows_are_streamed(conductor: Any) -> None:
    """A long result comes whole, in every form, from a table of many partitions."""
    sql = "select value, value % 2 as odd from generate_series(1, 100000) as t(value)"

    rows = conductor.rows(f"{sql} where value > 50000")
    csv = conductor.query(sql, format="csv").text
    parquet = pq.read_table(io.BytesIO(conductor.query(sql, format="parquet").content))

    assert sorted(row["value"] for row in rows) == list(range(50_001, 100_001))
    assert csv.count("\n") == 100_001
    assert parquet.num_rows == 100_000


def test_an_internal_error_stays_inside(
    conductor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the server itself trips over is a 500 without details, and a traceback in its log."""
    monkeypatch.setattr("iox_otel.conductor.catalog.Catalog.get", lambda *_: 1 / 0)

    response = conductor.query("select 1", traced=True)

    assert (response.status_code, response.json()) == (500, {"error": "internal error"})
    assert response.headers["trace-id"] == f"{conductor.trace_id:032x}"
    assert "ZeroDivisionError" in caplog.text
    assert conductor.collector.find("query_database_sql").status_message == "division by zero"
