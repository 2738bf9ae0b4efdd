"""The line-protocol file that demos and tests write: its shape, and that it can be made again."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

from iox_otel import SpanRecorder
from iox_otel.conductor.catalog import Catalog
from iox_otel.conductor.lineprotocol import Point, Precision, parse

FOLDER = Path(__file__).parent.parent / "fixtures" / "lineproto"
TEXT = (FOLDER / "metrics.lp").read_text(encoding="utf-8")


def points() -> list[Point]:
    parsed = list(parse(TEXT, precision=Precision.NANOSECOND, now_ns=0))
    assert all(isinstance(point, Point) for point in parsed)
    return [point for point in parsed if isinstance(point, Point)]


def test_the_script_makes_the_same_bytes_again() -> None:
    """metrics.lp is exactly what generate.py writes."""
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    assert spec is not None and spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    assert generate.generate() == TEXT


def test_counts_by_measurement() -> None:
    """There are 1,000 lines, so many of each measurement."""
    assert Counter(point.measurement for point in points()) == {
        "cpu": 490,
        "net": 176,
        "disk": 90,
        "system": 90,
        "swap": 60,
        "processes": 32,
        "diskio": 31,
        "mem": 31,
    }


def test_tags_and_fields() -> None:
    """Measurements have the tags and fields that they should, all of one host."""
    cpu = [point for point in points() if point.measurement == "cpu"]
    net = [point for point in points() if point.measurement == "net"]
    disk = [point for point in points() if point.measurement == "disk"]
    mem = [point for point in points() if point.measurement == "mem"]

    assert len({point.tags["cpu"] for point in cpu}) == 17
    assert len({point.tags["interface"] for point in net}) == 11
    assert all(point.tags.keys() == {"device", "fstype", "host", "mode", "path"} for point in disk)
    assert len({name for point in cpu for name in point.fields}) == 10
    assert len({name for point in mem for name in point.fields}) == 35
    assert len({point.tags["host"] for point in points()}) == 1


def test_times() -> None:
    """There are 17 timestamps 10 s apart, and the lines are not in their order."""
    in_file = [point.time_ns for point in points()]
    times = sorted(set(in_file))

    assert len(times) == 17
    assert {later - earlier for earlier, later in zip(times, times[1:], strict=False)} == {10**10}
    assert in_file != sorted(in_file)


def test_awkward_values() -> None:
    """There are integers, floats with a point and without, and one string with comma and spaces."""
    strings = [v for point in points() for v in point.fields.values() if isinstance(v, str)]

    assert strings == ["5 days,  7:06"]
    assert TEXT.count('"') == 2
    values = [
        field.partition("=")[2]
        for line in TEXT.splitlines()
        for field in line.split(" ")[-2].split(",")
        if "=" in field and '"' not in line
    ]
    assert any(value.endswith("i") for value in values)
    assert any("." in value for value in values)
    assert any(value.isdigit() for value in values)


def test_field_order_varies() -> None:
    """Lines of one measurement have their fields in different orders."""
    orders = {tuple(point.fields) for point in points() if point.measurement == "cpu"}

    assert len(orders) > 100


def test_merges_duplicates_and_conflicts() -> None:
    """Some points come in pieces, some lines twice, and some contradict an earlier one."""
    lines = TEXT.splitlines()
    by_row: dict[object, list[Point]] = {}
    for point in points():
        key = (point.measurement, tuple(sorted(point.tags.items())), point.time_ns)
        by_row.setdefault(key, []).append(point)
    repeats = [pieces for pieces in by_row.values() if len(pieces) > 1]

    assert any(a.fields.keys().isdisjoint(b.fields) for a, b, *_ in repeats)
    assert len(lines) - len(set(lines)) > 100
    assert any(
        a.fields[name] != b.fields[name]
        for a, b, *_ in repeats
        for name in a.fields.keys() & b.fields.keys()
    )


def test_it_is_written_without_an_error() -> None:
    """The file makes eight tables, of one row for each series and time."""
    database = Catalog().create("db")

    errors = database.write(points(), accept_partial=False, recorder=SpanRecorder(None))

    assert errors == []
    rows = {name: sum(b.num_rows for b in table) for name, table in database.snapshot().items()}
    assert rows == {
        "cpu": 17 * 17,
        "net": 11 * 15,
        "disk": 5 * 17,
        "system": 17,
        "swap": 17,
        "processes": 17,
        "diskio": 17,
        "mem": 17,
    }
