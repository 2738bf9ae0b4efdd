"""The form of a search: what it asks, what the address keeps, and what is said if nothing fits."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from tests.viewer.conftest import Make, Receiving

TIMEOUT_S = 30


@pytest.fixture
def filled(page: Page, viewer: Receiving, make: Make) -> Page:
    """A page, and traces: `fast` of the shop, `slow` of the bank, `failed` of both."""
    shop = [
        make.span(1, 1, name="fast", at_ms=0, ms=2, user="a b"),
        make.span(3, 1, name="failed", at_ms=2_000, ms=50, error=True, user="c"),
    ]
    bank = [
        make.span(2, 1, name="slow", at_ms=1_000, ms=900, user='say "hi"'),
        make.span(3, 2, parent=1, name="pay", at_ms=2_001, ms=5),
    ]
    viewer.add(make.batch(shop), make.batch(bank, "bank"))
    page.goto("/search")
    expect(page.locator("tbody tr")).to_have_count(3)
    return page


def expect_names(page: Page, *names: str) -> None:
    """Wait until these roots are listed."""
    expect(page.locator("a.root")).to_have_text(list(names))


def test_each_field_asks_and_the_address_keeps_it(filled: Page) -> None:
    """Service, operation, tags, durations, errors and limit; they are there after a reload."""
    page = filled
    page.get_by_label("Service").select_option("bank")
    expect_names(page, "failed", "slow")
    operation = page.get_by_label("Operation")
    assert operation.locator("option").all_text_contents() == ["any operation", "pay", "slow"]
    operation.select_option("pay")
    expect_names(page, "failed")
    page.reload()
    expect_names(page, "failed")
    expect(operation).to_have_value("pay")
    page.get_by_label("Service").select_option("")
    expect(operation).to_have_value("")
    page.get_by_label("Takes at least").fill("10ms")
    page.get_by_label("Takes at least").press("Enter")
    expect_names(page, "failed", "slow")
    page.get_by_label("At most").fill("0.5s")
    page.get_by_role("button", name="Find traces").click()
    expect_names(page, "failed")
    page.reload()
    expect(page.get_by_label("At most")).to_have_value("0.5s")
    page.get_by_role("button", name="Clear").click()
    expect_names(page, "failed", "slow", "fast")
    page.get_by_label("Errors only").check()
    expect_names(page, "failed")
    page.get_by_label("Errors only").uncheck()
    page.get_by_label("Limit").select_option("20")
    page.wait_for_url("**/search?limit=20")
    page.go_back()
    expect(page.get_by_label("Limit")).to_have_value("100")
    expect_names(page, "failed", "slow", "fast")


def test_tags_are_logfmt(filled: Page) -> None:
    """Quotes and escapes are as in Jaeger's form; what cannot be read is said at the field."""
    page, tags = filled, filled.get_by_label("Tags")
    found = {'user="a b"': "fast", r'user="say \"hi\""': "slow", "error=true": "failed"}
    found |= {"error": "failed", 'user=c error="true"': "failed"}
    for text, name in found.items():
        tags.fill(text)
        tags.press("Enter")
        expect_names(page, name)
    faults = {
        "=1": "not with =1",
        'user="a': "the quote is not closed",
        '{"error":"true"}': "a space or = is missing",
        'a="b"c': "a space is missing",
    }
    for text, fault in faults.items():
        tags.fill(text)
        tags.press("Enter")
        expect(page.locator("#search-tags-fault")).to_contain_text(fault)
        expect(page.get_by_role("alert")).to_have_text(
            "Something in the form cannot be read; it says what."
        )
    expect(tags).to_have_attribute("aria-invalid", "true")
    page.goto("/search?minDuration=5&start=abc")
    expect(page.locator("#search-minDuration-fault")).to_contain_text("1.5ms")
    expect(page.locator("#search-start-fault")).to_contain_text("microseconds")


def test_a_range_of_time_is_chosen_from_the_present_or_by_hand(filled: Page) -> None:
    """By how long ago, or from and to; what is in it is found, what is not is not."""
    page = filled
    page.get_by_label("Time", exact=True).select_option("5m")
    expect(page.get_by_role("heading", name="No trace fits")).to_be_visible()
    page.get_by_label("Time", exact=True).select_option("from … to …")
    expect(page.get_by_label("From")).to_be_focused()
    start = page.evaluate(
        "new Date(1700000000512 - new Date().getTimezoneOffset() * 60e3).toISOString()"
    )
    page.get_by_label("From").fill(start[:23])
    page.get_by_label("From").blur()
    expect_names(page, "failed", "slow")
    page.get_by_label("To", exact=True).fill(start[:20] + "900")
    page.get_by_label("To", exact=True).blur()
    expect(page.get_by_role("heading", name="No trace fits")).to_be_visible()
    page.get_by_label("To", exact=True).fill(start[:17] + "21.100")
    page.get_by_label("To", exact=True).blur()
    expect_names(page, "slow")
    page.reload()
    expect(page.get_by_label("From")).to_have_value(start[:23])
    expect_names(page, "slow")


def test_conditions_that_nothing_fits_can_be_taken_away(filled: Page) -> None:
    """Each is named, and one press goes on without it."""
    page = filled
    page.goto(
        "/search?service=shop&tags=user%3Dc+x%3D%22a+b%22&errors=1&minDuration=1us&lookback=48h"
    )
    chips = page.locator(".chips button")
    expect(chips).to_have_text(
        [
            "service is shop ✕",
            "tag user=c ✕",
            'tag x="a b" ✕',
            "takes 1us or more ✕",
            "has an error ✕",
            "in the last 48h ✕",
        ]
    )
    page.get_by_role("button", name='Without: tag x="a b"').click()
    expect(chips).to_have_count(5)
    page.get_by_role("button", name="Without: in the last 48h").click()
    expect_names(page, "failed")
    assert "tags=user%3Dc&" in f"{page.url}&"


def test_an_empty_viewer_says_what_to_do_and_it_works(page: Page, viewer: Receiving) -> None:
    """The commands name the ports listened on; the first, run in a shell, makes a trace."""
    page.goto("/search")
    expect(page.get_by_role("heading", name="No traces yet")).to_be_visible()
    commands = page.locator(".ways pre").all_text_contents()
    for intake in ("udp", "grpc", "http"):
        host, port = viewer.intake[intake].rsplit(":", 1)
        assert any(host in each and port in each for each in commands), intake
    done = subprocess.run(
        commands[0], shell=True, capture_output=True, timeout=TIMEOUT_S, check=True
    )
    assert json.loads(done.stdout) in ({}, {"partialSuccess": {}}), done
    expect_names(page, "hello")
    expect(page.locator("tbody tr")).to_contain_text(re.compile("by-hand.*hello.*250 ms"))


def test_the_title_names_the_service(page: Page, viewer: Receiving, make: Make) -> None:
    """What cannot be seen, or turns the direction, is made visible there too."""
    viewer.add(make.batch([make.span(1, 1, name="found")], "a\x1b\u202eb"))
    page.goto("/search?service=a%1B%E2%80%AEb")
    expect_names(page, "found")
    expect(page).to_have_title("a‹1b›‹202e›b traces · iox-otel viewer")


@pytest.mark.parametrize(("limit", "chosen"), [("1e99", "5000"), ("7", "7"), ("-1", "100")])
def test_any_limit_in_the_address(
    page: Page, viewer: Receiving, make: Make, limit: str, chosen: str
) -> None:
    """The form shows which one holds, and traces are found."""
    viewer.add(make.batch([make.span(1, 1, name="found")]))
    page.goto(f"/search?limit={limit}")
    expect_names(page, "found")
    expect(page.get_by_label("Limit")).to_have_value(chosen)


@pytest.mark.parametrize("which", ["http/protobuf", "grpc"])
def test_the_settings_shown_for_an_sdk_lead_here(page: Page, which: str) -> None:
    """A program of OpenTelemetry's SDK that knows nothing else sends its spans to this viewer."""
    page.goto("/search")
    command = page.locator(".ways pre", has_text=f"PROTOCOL={which}").text_content()
    assert command is not None
    settings = dict(each.split("=", 1) for each in shlex.split(command)[1:])
    send = {
        "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
        "grpc": "opentelemetry.exporter.otlp.proto.grpc",
    }[which]
    program = (
        f"from {send}.trace_exporter import OTLPSpanExporter as Exporter\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "provider = TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(Exporter()))\n"
        "provider.get_tracer('t').start_span('by an SDK').end()\n"
    )
    run = [sys.executable, "-c", program]
    subprocess.run(run, env=settings, timeout=TIMEOUT_S, check=True)
    expect_names(page, "by an SDK")
