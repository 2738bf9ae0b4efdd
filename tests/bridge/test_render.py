"""The picture of a trace in a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from iox_otel import SpanEvent, SpanStatus
from iox_otel.tree import SpanRecord
from iox_otel_bridge.render import MAX_WIDTH, render_trace

MS = 1_000_000


def span(
    span_id: int, parent: int | None, name: str, start_ms: float, end_ms: float | None
) -> SpanRecord:
    end_ns = None if end_ms is None else int(end_ms * MS)
    return SpanRecord(0xABC, span_id, parent, name, int(start_ms * MS), end_ns, service="shop")


QUERY = [
    span(1, None, "IOx http", 0, 16)._replace(metadata={"path": "/api", "status": 200}),
    span(2, 1, "query_planning", 0, 4),
    span(3, 1, "execute", 4, 16),
    span(4, 3, "ProjectionExec", 8, 15)._replace(metadata={"desc": "x" * 90, "output_rows": 3}),
]


def console(width: int = 80, encoding: str = "utf-8", *, terminal: bool = False) -> Console:
    return Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding),
        width=width,
        height=25,  # else a TERM of "dumb" takes the width away
        force_terminal=terminal,
        color_system="truecolor" if terminal else None,
        no_color=False,
    )


def drawn(spans: list[SpanRecord], width: int = 80, encoding: str = "utf-8") -> list[str]:
    target = console(width, encoding)
    with target.capture() as capture:
        target.print(render_trace(spans))
    return capture.get().splitlines()


def test_picture() -> None:
    """A trace is a title, and a line a span with name, duration and bar, details beneath."""
    lines = drawn(QUERY, 59)

    assert lines == [
        "── trace 00000000000000000000000000000abc ─ shop ─ 4 spans",
        "IOx http            16 ms  ████████████████████████████████",
        "│ path=/api status=200",
        "├╴query_planning     4 ms  ████████",
        "└╴execute           12 ms          ████████████████████████",
        "  └╴ProjectionExec   7 ms                  ██████████████",
        "      output_rows=3 desc=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",
    ]


def test_picture_in_ascii() -> None:
    """A stream that has no line-drawing characters gets a picture without them."""
    events = tuple(SpanEvent(msg, time_ns=0) for msg in ("a", "b", "b"))
    failed = QUERY[3]._replace(status=SpanStatus.ERR, events=events)
    short = span(5, 1, "short", 15.999, 16)
    lines = drawn([*QUERY[:3], failed, short], 60, "ascii")

    assert all(line.isascii() for line in lines)
    assert lines[1:4] == [
        "IOx http              16 ms  ===============================",
        "| path=/api status=200",
        "|-query_planning       4 ms  ========",
    ]
    assert lines[5].startswith("| `-! ProjectionExec   7 ms")
    assert lines[7] == "|     a | b x2"
    assert lines[8].startswith("`-short                1 us ")


@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 30, 40, 79, 120, 500])
def test_any_width(width: int) -> None:
    """No line is wider than the terminal, which is not filled beyond a width good to read."""
    lines = drawn(QUERY, width)

    assert max(map(cell_len, lines)) <= min(width, MAX_WIDTH)
    assert len(lines) == (7 if width >= 30 else 8)  # metadata on two lines


def test_narrow_terminal_keeps_ids_and_names() -> None:
    """On 40 columns the whole trace id, the names and the durations are there."""
    lines = drawn(QUERY, 40)

    assert lines[0].startswith("── 00000000000000000000000000000abc ")
    assert "ProjectionExec   7 ms" in lines[5]
    assert "█" in lines[5]


def test_width_given() -> None:
    """A width in the call counts, as far as the terminal has it."""
    for width, expected in ((50, 50), (200, 80)):
        target = console(80)
        with target.capture() as capture:
            target.print(render_trace(QUERY, width=width))
        assert expected == max(map(len, capture.get().splitlines()))


def failed(message: str | None, *events: SpanEvent) -> list[SpanRecord]:
    last = QUERY[2]._replace(status=SpanStatus.ERR, status_message=message, events=events)
    return [*QUERY[:2], last]


def exception(message: str) -> SpanEvent:
    metadata = {
        "exception.type": "ValueError",
        "exception.message": message,
        "exception.stacktrace": "Traceback …",
    }
    return SpanEvent("exception", metadata, time_ns=0)


def test_failures() -> None:
    """A failed span is marked, and says why, once."""
    assert drawn(failed("boom", exception("boom")), 57)[-2:] == [
        "└╴✗ execute       12 ms          ████████████████████████",
        "    ValueError: boom",
    ]
    assert drawn(failed("gone", exception("boom")))[-1] == "    gone; ValueError: boom"
    assert drawn(failed("boom", SpanEvent("boom", time_ns=0)))[-1] == "    boom"
    assert "✗ execute" in drawn(failed(None))[-1]
    assert " ─ 1 error ─ 3 spans ─" in drawn(failed(None))[0]


def test_exception_that_passes_through() -> None:
    """An exception is told at the span it came from, by its short name; all are marked."""
    metadata = {"exception.type": "app.errors.QueryError", "exception.message": "no table"}
    event = SpanEvent("exception", metadata, time_ns=0)
    spans = [
        each._replace(
            status=SpanStatus.ERR, status_message="no table", events=(event,), metadata={}
        )
        for each in (QUERY[0], QUERY[2], QUERY[3])
    ]

    lines = drawn(spans)

    assert [line.split("  ")[0].split(" ")[-1] for line in lines[1:3]] == ["http", "execute"]
    assert sum("✗" in line for line in lines) == 3
    assert [line.strip() for line in lines if "table" in line] == ["QueryError: no table"]
    assert "QueryError" in lines[-1]


def test_failures_are_red() -> None:
    """On a terminal with colours, a failed span is red, its bar and message too."""
    target = console(terminal=True)
    with target.capture() as capture:
        target.print(render_trace(failed("boom")))

    lines = capture.get().splitlines()

    assert "\x1b[1;31m✗ \x1b[0m\x1b[1;31mexecute\x1b[0m" in lines[-2]
    assert "\x1b[31m             ▕███" in lines[-2]
    assert "\x1b[31mboom\x1b[0m" in lines[-1]


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR leaves the marks and takes the colours."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    target = Console(file=stream, width=80, force_terminal=True, color_system="truecolor")

    target.print(render_trace(failed("boom")))

    assert "✗ execute" in stream.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "\x1b[31m" not in stream.getvalue()


def test_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS says how wide the terminal is."""
    monkeypatch.setenv("COLUMNS", "50")
    stream = io.StringIO()

    Console(file=stream, force_terminal=False).print(render_trace(QUERY))

    assert max(map(len, stream.getvalue().splitlines())) == 50


def test_metadata() -> None:
    """Short values come first, on a second line if need be; long ones last, cut off."""
    metadata = {"long": "x" * 90, **{f"key{n}": n for n in range(12)}, "last": 7}

    lines = drawn([QUERY[0]._replace(metadata=metadata)])[2:]

    assert lines == [
        "  key0=0 key1=1 key2=2 key3=3 key4=4 key5=5 key6=6 key7=7 key8=8 key9=9 key10=10",
        "  key11=11 last=7 long=" + "x" * 56 + "…",
    ]


def test_events() -> None:
    """Events other than exceptions show their message, those that repeat only once."""
    events = [SpanEvent(msg, time_ns=0) for msg in ("start", "data", "data", "done")]
    ok = QUERY[1]._replace(status=SpanStatus.OK, status_message="done", events=tuple(events))

    assert drawn([ok])[-1] == "  start · data ×2 · done"


HOSTILE = "[red]x[/red] :smile: \x1b[31m\x9b2J\r\n\t\x07\u202e\u2028\ud800 [link=http://x]"


def test_text_of_users_is_only_text() -> None:
    """Nothing in a span is read as markup, as an emoji's name, or as an order to the terminal."""
    bad = QUERY[0]._replace(
        name=HOSTILE,
        status=SpanStatus.ERR,
        status_message=HOSTILE,
        metadata={HOSTILE: HOSTILE, "list": [HOSTILE]},
        events=(SpanEvent(HOSTILE, time_ns=0), SpanEvent(HOSTILE + "2", time_ns=0)),
        service=HOSTILE,
    )
    other = QUERY[1]._replace(service="other")
    target = console(500, terminal=True)
    with target.capture() as capture:
        target.print(render_trace([bad, other], note="late"))
    text = capture.get()

    shown = r"[red]x[/red] :smile: \x1b[31m\x9b2J\r\n\t\x07\u202e\u2028\ud800 [link=http://x]"
    assert text.count(shown[:20]) >= 5
    assert shown[:20] in text.splitlines()[1]
    assert not set("\x07\x9b\r\t\u202e\u2028\ud800") & set(text)
    assert "\x1b[31m\x9b" not in text and "\x1b]8" not in text
    assert len(text.splitlines()) == 6


def test_wide_characters_stay_aligned() -> None:
    """Bars begin in one column, however many cells the characters of a name take."""
    names = ["plain", "表を作る", "👩‍💻 done", "größe", "é́", "한국어 이름"]
    spans = [span(n + 1, None, name, 0, 8) for n, name in enumerate(names)]

    lines = drawn(spans)[1:]

    assert all(name in line for name, line in zip(names, lines, strict=True))
    assert len({cell_len(line[: line.index("█")]) for line in lines}) == 1
    assert {80} == {cell_len(line) for line in lines}


def test_names_too_long_are_cut() -> None:
    """A long name leaves room for its duration and its bar."""
    lines = drawn([span(1, None, "n" * 5_000, 0, 8)])

    assert lines[1].endswith("nnn…  8 ms  " + "█" * 24)


def test_several_services() -> None:
    """Where spans of several services meet, each names its own."""
    lines = drawn([*QUERY[:2], QUERY[2]._replace(service="store")])

    assert " ─ shop, store ─ " in lines[0]
    assert lines[1].startswith("IOx http shop ")
    assert lines[-1].startswith("└╴execute store ")


def test_unknown_times() -> None:
    """An unfinished span has no duration, and a bar to the end."""
    line = drawn([QUERY[0], span(2, 1, "open", 8, None)])[-1]

    assert line.startswith("└╴open        ?  ")
    assert line.endswith("█")
    assert drawn([SpanRecord(1, 1, None, "x")])[1] == "x  ?"


def test_late_spans_under_the_name_of_their_parent() -> None:
    """Spans that come after their parent was shown appear under its name."""
    view = render_trace([QUERY[3]], note="late", parent_names={3: "execute"})
    target = console()
    with target.capture() as capture:
        target.print(view)

    lines = capture.get().splitlines()

    assert " ─ late ─ 1 span ─" in lines[0]
    assert lines[1] == "execute (shown before)"
    assert lines[2].startswith("└╴ProjectionExec  7 ms  ████")


def test_large_trace() -> None:
    """Of a very large trace the root, the failures and the longest are shown, the rest counted."""
    spans = [span(n, 1, "short", n, n + 1)._replace(metadata={"n": n}) for n in range(2, 30_000)]
    spans[777] = spans[777]._replace(name="bad", status=SpanStatus.ERR)
    spans[888] = spans[888]._replace(name="long", end_ns=30_000 * MS)
    spans.append(span(1, None, "root", 0, 30_000))

    lines = drawn(spans)

    assert 900 < len(lines) <= 1_002
    assert lines[1].startswith("root ")
    assert 1 == sum("bad " in line for line in lines) == sum("long " in line for line in lines)
    shown = sum("short " in line for line in lines) + 3
    assert f"… and {29_999 - shown:,} more spans" == lines[-1]
    assert "29,999 spans" in lines[0]


def test_deep_trace() -> None:
    """Deep down, spans say how deep they are instead of moving out of the picture."""
    spans = [span(n, n - 1 or None, f"s{n}", n, 400) for n in range(1, 200)]

    lines = drawn(spans)

    assert "⋯198 s199" in lines[-1]
    assert {80} == {cell_len(line) for line in lines[1:]}


def test_nothing() -> None:
    """No spans, no picture."""
    assert drawn([]) == []


TEXTS = st.text(max_size=30)
VALUES = st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.lists(TEXTS, max_size=3))


@settings(max_examples=50)
@given(
    TEXTS, st.dictionaries(TEXTS, VALUES, max_size=3), TEXTS, st.none() | TEXTS, st.integers(1, 99)
)
def test_any_text(
    name: str, metadata: dict[str, object], event: str, message: str | None, width: int
) -> None:
    """Whatever a span says, the picture has its lines, none too wide, none with control codes."""
    record = SpanRecord(
        1,
        2,
        None,
        name,
        0,
        5,
        status=SpanStatus.ERR,
        status_message=message,
        metadata=metadata,
        events=(SpanEvent(event, time_ns=1),),
    )
    lines = drawn([record], width)

    assert max(map(cell_len, lines)) <= width
    said = bool(metadata), len(metadata) > 1, bool(message), event not in (message, "exception")
    assert len(lines) <= 2 + sum(said) + (event == "exception")
    assert all(char.isprintable() or char in "\u200c\u200d" for line in lines for char in line)
