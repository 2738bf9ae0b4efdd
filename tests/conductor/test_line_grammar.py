"""Which lines are line protocol, by a grammar written down on its own: the parser says the same.

From InfluxDB's line protocol reference, with what `iox_otel.conductor.lineparser` says it departs
by.
"""

from __future__ import annotations

import math
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from iox_otel.conductor.lineparser import LineProtocolError, parse_line

# A newline is in strings only: elsewhere it ends the line before this one sees it.
_NAME = r"(?:\\[^\n]|[^\\,= \n])+"
_VALUE = r'(?:"(?:\\[\s\S]|[^"\\])*"|[^," \n]*)'
_LINE = re.compile(
    rf"(?P<measurement>(?:\\[^\n]|[^\\, \n])+)(?P<tags>(?:,{_NAME}={_NAME})*) +"
    rf"(?P<fields>{_NAME}={_VALUE}(?:,{_NAME}={_VALUE})*)(?: +(?P<time>-?[0-9]+))? *"
)
_FIELD = re.compile(rf"({_NAME})=({_VALUE})(?:,|$)")
_TAG = re.compile(rf",({_NAME})=({_NAME})")
_FLOAT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BOOLEANS = {"t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE"}
_WHOLE = re.compile("-?[0-9]+")


def unescaped(name: str) -> str:
    """Return what a name means: a backslash counts before what is special, and another."""
    return re.sub(r"\\([,= \\])", r"\1", name)


def is_value(text: str) -> bool:
    """Tell whether *text* is the value of a field."""
    if text.startswith('"') or text in _BOOLEANS:
        return True
    if text.endswith("i") and _WHOLE.fullmatch(text[:-1]):
        return -(2**63) <= int(text[:-1]) < 2**63
    if text.endswith("u") and _WHOLE.fullmatch(text[:-1]):
        return text[0] != "-" and int(text[:-1]) < 2**64
    return bool(_FLOAT.fullmatch(text)) and math.isfinite(float(text))


def is_line_protocol(line: str) -> bool:
    """Tell whether *line* is line protocol."""
    match = _LINE.fullmatch(line)
    if match is None:
        return False
    tags = _TAG.findall(match["tags"])
    fields = _FIELD.findall(match["fields"])
    keys = [unescaped(key) for key, _ in tags], [unescaped(key) for key, _ in fields]
    names = [match["measurement"], *(part for tag in tags for part in tag)]
    return (
        all(is_value(value) for _, value in fields)
        and all(len(set(each)) == len(each) for each in keys)
        and "\0" not in match["measurement"]
        and not any(unescaped(name).endswith("\\") for name in [*names, *(k for k, _ in fields)])
        and (match["time"] is None or abs(int(match["time"])) < 2**63 - 1)
    )


TOKENS = st.sampled_from(
    ["m", ",", "t", "=", "a", " ", "f", "1", "1i", "5u", '"', "\\", "-", ".", "e", "true", "F"]
    + ["+", "0x", "\v", "\r", "\0", '"\n"', "٣"]
    + ["\\ ", "\\,", "\\=", "\\\\", '\\"', '"x y"', "ü", "9223372036854775808", "#", "\t", "e400"]
)
LINES = [
    "m f=1",
    "m,t=a,u=b f=1,g=2i 5",
    'm f="x, y",g=5u -7',
    "m\\ n,t\\,=a\\= f\\ g=.5e3",
    "m f=T 1",
]


@st.composite
def nearly_lines(draw: st.DrawFn) -> str:
    """Return a line with up to three changes: something put in, taken out or replaced."""
    line = draw(st.sampled_from(LINES))
    for _ in range(draw(st.integers(0, 3))):
        at, taken = draw(st.integers(0, len(line))), draw(st.integers(0, 2))
        line = line[:at] + draw(TOKENS | st.just("")) + line[at + taken :]
    return line


@settings(max_examples=1_000)
@example("m f=1 \t5")
@example("m \t\t=1")
@example('m f="a""b"')
@example('m f="a"x="b"')
@example('m f="a\\"b",g="c"')
@example('m"\\" f="a"')
@given(nearly_lines() | st.lists(TOKENS, max_size=12).map("".join))
def test_the_parser_takes_what_the_grammar_does(line: str) -> None:
    """No less and no more; and it raises nothing but its error."""
    line = line.strip(" \t\r")  # as `lines` cuts them out
    if not line or line.startswith("#"):
        return
    try:
        parse_line(line)
        is_taken = True
    except LineProtocolError:
        is_taken = False
    assert is_taken == is_line_protocol(line)
