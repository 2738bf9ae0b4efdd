"""SQL that would overflow the stack is refused; SQL that is only long is not."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from datafusion import SessionContext
from hypothesis import given
from hypothesis import strategies as st

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
    "union of lists": " union all ".join(["select 1, 2"] * 5000),
    "difference": " minus ".join(["select 1, 2"] * 5000),
    "lists": "select " + "||".join(["[1, 2]"] * 5000),
    "objects": "select " + "=".join(["{a: 1, b: 2}"] * 5000),
    "cast to a list": "select f" + "::struct<a int, b int>" * 5000 + " from t",
    "members": "select f" + " member of (f)" * 5000 + " from t",
    "intervals": "select " + "interval " * 5000 + "'1 day'",
    "explanations": "explain " * 5000 + "select 1",
    "pipe": "from t" + "|> select f, f as g" * 5000,
    "common tables": "with a0 as (select 1 as x)"
    + "".join(f", a{i + 1} as (select x+1 as x from a{i})" for i in range(500))
    + " select * from a500",
    "one expression of several selects": f"select x{'+1' * 600}, 2 from "
    f"(select 1, x{'+1' * 600} as x, 3 from (select f as x from t))",
    "one expression of common tables": f"with a as (select 1, f{'+1' * 600} as x, 2 from t), "
    f"b as (select 1, x{'+1' * 600} as x, 2 from a) select x from b",
    "one expression of pipes": "from t" + f"|> select 1, f{'+1' * 600} as f, 2" * 2,
}
HIDING = (
    "'\\'",
    "'a'''",
    '"\'"',
    '"a""\'"',
    "`'`",
    "`a``'`",
    "$$'$$",
    "$$$'$$",
    "$a$'$a$",
    "$a$ $$ $b$ ' $a$",
    "$1$'$1$",
    "$\u00e9$'$\u00e9$",
    "E'\\''",
    "e'a''\\''",
    "X'\\''",
    "0x1x'\\''",
    "1e'\\''",
    "1.5e3Le'\\''",
    "n'\\'",
    "U&'\\0061'",
    "r'\\'",
    "R'''a'b'''",
    'r"""a"b\'"""',
    "b'\\'",
    'b"\'"',
    "a$$",
    "ae'\\'",
    "a#'\\'",
    "\u00e9e'\\'",
    "/* /* */ ' */",
    "/*/' */",
    "/**/",
    "1+/*'*/",
    "-- '\n",
    "-- '\r\n",
    "1+--'\n",
    "?1e5x'\\'",
)
"""Text, names and comments with what would begin another one, were it not in them."""
ODD = ("#'", "#,", "@'", "@@`", "q'[']'", "Nq'!'!'", "/*! + */", "/*M! + */", "?\u0660x'\\''")
"""What DataFusion reads in a way that none expects."""
PIECES = (
    *"'\"`$\\-/*#@?<>|&!:.=~^%+,[]{}",
    *"\n\r \u00a0\x1c",
    *"aEeNXxURrBQq15L_\u00e9\u093f",
    *("$$", "$a$", "--", "/*", "*/", "/*!", "U&", "0x", "1e", "''", "'''", '"""', "nq"),
)
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


@pytest.mark.parametrize("text", HIDING)
def test_deep_after_text(text: str) -> None:
    """Text, names and comments do not hide what follows, whatever is in them."""
    with pytest.raises(QueryError, match="operators in a row"):
        check_chains(f"select {text} {'+f' * 5000}, '', \"\", ``, $$ $$ from t")


@pytest.mark.parametrize("text", HIDING)
def test_flat_in_text(text: str) -> None:
    """It is read to its end, and not beyond: a list goes on."""
    check_chains("select " + f"f + 1, {text}, " * 2000)


@pytest.mark.parametrize("text", ODD)
def test_odd(text: str) -> None:
    """What is read in a way that one does not expect is refused, wherever something follows."""
    with pytest.raises(QueryError, match="^query has what is not supported here: "):
        check_chains(f"select {text} as a from t")
    check_chains(f"select $$ {text} $$")


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_text_ends_where_the_parser_ends_it(text: str) -> None:
    """What is code for DataFusion is code here, and nothing else is."""
    expected = is_code_after(f"select {text}")
    try:
        check_chains(f"select {text} {'+f' * (MAX_CHAIN + 1)}")
        found = False
    except QueryError as error:
        if "not supported" in error.message:
            return
        found = True
    assert expected in (found, None)


def is_code_after(sql: str) -> bool | None:
    """Return whether DataFusion reads what follows *sql* as code; None if it refuses *sql* itself.

    It reads all tokens before it parses them, and says where a string begins that does not end.
    """
    probe = sql + " '"
    message = ""
    try:
        SessionContext().sql(probe)
    except Exception as error:
        message = str(error)
    if "TokenizerError" not in message:
        return False
    column = len(probe) - probe.rfind("\n") - 1
    end = f"Line: {probe.count(chr(10)) + 1}, Column: {column}"
    if f'Unterminated string literal at {end}"' in message:
        return True
    return False if re.search("Unterminated|before EOF|EOF while", message) else None


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
        " union all ".join(["select 1, 2"] * MAX_CHAIN),
        "select f" + "::int[]" * (MAX_CHAIN // 2) + " from t",
        "select * from t" + " |> where f > 0" * (MAX_CHAIN // 6),
        "with a0 as (select 1 as x)"
        + "".join(f", a{i + 1} as (select x+1 as x from a{i})" for i in range(MAX_CHAIN // 6))
        + f" select * from a{MAX_CHAIN // 6}",
        f"with a as (select f{'+1' * 450} as x from t), "
        f"b as (select x{'+1' * 450} as x from a) select x from b",
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
