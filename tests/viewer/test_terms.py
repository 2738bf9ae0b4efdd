"""The terms of spans are those that a search asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from iox_otel.viewer.blocks import SIZE, numbers_in, place_of
from iox_otel.viewer.stored import Source
from iox_otel.viewer.tags import tag_of
from iox_otel.viewer.terms import BatchTerms, KnownTerms, of_tag
from iox_otel_bridge.wire.otlp_decode import attributes_in
from iox_otel_bridge.wire.otlp_span import length

from .conftest import Make

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
VALUES = st.one_of(
    st.none(),
    TEXT.map(lambda text: AnyValue(string_value=text)),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda number: AnyValue(int_value=number)),
    st.booleans().map(lambda value: AnyValue(bool_value=value)),
    st.floats().map(lambda number: AnyValue(double_value=number)),
    st.binary(max_size=300).map(lambda data: AnyValue(bytes_value=data)),
    TEXT.map(lambda text: AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=text)]))),
)
ATTRIBUTES = st.lists(st.builds(lambda key, value: KeyValue(key=key, value=value), TEXT, VALUES))


@given(ATTRIBUTES, st.sampled_from(Source))
def test_a_search_for_an_attribute_finds_it(attributes: list[KeyValue], source: Source) -> None:
    """Whatever its type and length: the quick way for short texts hashes what the other does."""
    make = Make()
    span = make.span(1, 1)
    span.attributes.extend(attributes)
    batch = make.batch([span], "sh\0p ü", source)
    terms = BatchTerms(batch, "sh\0p ü", b"", KnownTerms())
    said = [attribute.SerializeToString() for attribute in attributes]
    found: set[int] = set()
    terms.add(span, said, terms.facts_of(span, said), found)
    for attribute in attributes:
        tag = tag_of(attribute)
        assert of_tag("sh\0p ü", tag.key, tag.text) in found


@given(
    ATTRIBUTES,
    TEXT,
    st.integers(0, (1 << 31) - 1),
    st.integers(0, (1 << 64) - 1),
    st.binary(max_size=40),
)
def test_attributes_are_cut_out_of_a_span(
    attributes: list[KeyValue], text: str, kind: int, time_ns: int, data: bytes
) -> None:
    """With whatever stands before them."""
    span = Span(trace_id=data, span_id=data, parent_span_id=data, name=text, trace_state=text)
    span.start_time_unix_nano = span.end_time_unix_nano = time_ns
    # a kind of later versions of OTLP, for which there is no name yet
    span.MergeFromString(b"\x30" + length(kind))
    span.attributes.extend(attributes)
    span.events.add(name=text).attributes.extend(attributes)
    expected = [attribute.SerializeToString() for attribute in attributes]
    assert attributes_in(span, span.SerializeToString()) == expected


@pytest.mark.parametrize("unknown", [b"\x08\x01", b"\x0d\xff\xff\xff\xff", b"\xa2\x06\x01x"])
def test_fields_that_otlp_does_not_have_change_nothing(unknown: bytes, make: Any) -> None:
    """Not even with the number of one that it has."""
    span = make.span(1, 1, key="value", other=1)
    expected = [attribute.SerializeToString() for attribute in span.attributes]
    span.MergeFromString(unknown)
    assert unknown in span.SerializeToString()
    assert attributes_in(span, span.SerializeToString()) == expected


@given(st.lists(st.integers(1, 5 * SIZE), unique=True))
def test_blocks_tell_all_numbers(numbers: Sequence[int]) -> None:
    """No more and no fewer, in integers that SQLite can hold."""
    blocks: dict[int, int] = {}
    for number in numbers:
        block, bit = place_of(number)
        blocks[block] = blocks.get(block, 0) | bit
    assert all(bits < 1 << 63 for bits in blocks.values())
    told = [number for block, bits in blocks.items() for number in numbers_in(block, bits)]
    assert sorted(told) == sorted(numbers)
