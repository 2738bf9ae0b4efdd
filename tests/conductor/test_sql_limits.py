"""SQL that would overflow the stack is refused; SQL that is only long is not."""

from __future__ import annotations

import pyarrow as pa
import pytest

from iox_otel import SpanRecorder
from iox_otel.conductor.partitions import QueryError
from iox_otel.conductor.query import plan_query
from iox_otel.conductor.sql_limits import MAX_CHAIN, check_chains

DEEP = {
    "sum": "select " + "+".join(["f"] * 5000),
    "or": "select 1 from t where " + " or ".join(f"f={i}" for i in range(5000)),
    "and, in parentheses": "select 1 from t where " + " and ".join(["(f=1)"] * 5000),
    "cast": "select f" + "::int" * 5000 + " from t",
    "concatenation": "select " + "||".join(["'a,b'"] * 5000),
    "union": " union all ".join(["select 1"] * 5000),
    "tables": "select 1 from " + ",".join(f"t t{i}" for i in range(5000)),
    "joins": "select 1 from t " + "cross join t ".join([""] * 5000),
    "shared": "select f" + "+f" * 600 + "*(f" + "+f" * 600 + ")",
}
FLAT = {
    "columns": "select " + ",".join(f"f+1 as f{i}" for i in range(3000)) + " from t",
    "list": "select 1 from t where f in (" + ",".join(map(str, range(-9999, 9999))) + ")",
    "string": f"select '{'+' * 5000}' as \"{'+' * 5000}\"",
    "comment": f"select 1 /* {'+ ' * 5000} */ -- {'+ ' * 5000}",
    "calls": "select " + ",".join(f"abs(f-1) as f{i}" for i in range(3000)) + " from t",
}


@pytest.mark.parametrize("sql", DEEP.values(), ids=DEEP.keys())
def test_deep(sql: str) -> None:
    """Whatever makes the chain, more than so many operators in a row are too many."""
    with pytest.raises(QueryError, match=f"more than {MAX_CHAIN} operators in a row"):
        check_chains(sql)


@pytest.mark.parametrize("sql", FLAT.values(), ids=FLAT.keys())
def test_flat(sql: str) -> None:
    """Lists, strings and comments may be as long as they like."""
    check_chains(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select " + "+".join(["f"] * MAX_CHAIN) + " from t",
        "select 1 from t where " + " or ".join(f"f={i}" for i in range(MAX_CHAIN // 2)),
        "select f" + "::int" * MAX_CHAIN + " from t",
        " union all ".join(["select 1"] * (MAX_CHAIN // 2)),
        "select 1 from " + ",".join(f"t t{i}" for i in range(200)),
    ],
)
def test_what_is_accepted_can_be_planned(sql: str) -> None:
    """The longest chains that are accepted do not end the process."""
    tables = {"t": [pa.RecordBatch.from_pylist([{"f": 1}])]}

    assert plan_query(
        lambda: tables, sql, memory_bytes=1 << 28, recorder=SpanRecorder(None)
    ).start()


@pytest.mark.parametrize("sql", ["", ")))(((", "select ')", "'", '"', "/*", "\0", "((("])
def test_any_text(sql: str) -> None:
    """What is no SQL is for the parser to say."""
    check_chains(sql)
