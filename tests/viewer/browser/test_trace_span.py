"""The details of one span, and how its row and bar say what it is."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from iox_otel.viewer.stored import Source
from tests.viewer.conftest import Make, Receiving

TRACE = f"/trace/{1:032x}"
MS = 1_000_000
DROPPED = "{} more were dropped, by the sender or beyond this viewer's limits"
STACK = """Traceback (most recent call last):
  File "/app/pay.py", line 7, in charge
    raise Declined("no money")
  File "/lib/python3/site-packages/bank/client.py", line 3, in ask
Declined: no money
"""


def row(page: Page, name: str) -> Locator:
    """Return the row of the span with that name."""
    return page.get_by_role("row").filter(has_text=name)


def details(page: Page) -> Locator:
    """Return the panel of a span."""
    return page.get_by_role("complementary", name="Details of the span")


def fact(page: Page, term: str) -> Locator:
    """Return what the details say of *term*."""
    return details(page).locator(f"dt:text-is('{term}') + dd")


def pieces(bar: Locator) -> list[tuple[int, int]]:
    """Return from where to where the blocks of a path go, in percent of the row's width."""
    script = """path => [...path.getAttribute("d").matchAll(/M([-0-9.]+) [-0-9.]+h([0-9.]+)/g)]
        .map(([, x, wide]) => [x, +x + +wide].map(at =>
            Math.round(100 * at / path.ownerSVGElement.width.baseVal.value)))"""
    return [(left, right) for left, right in bar.evaluate(script)]


def test_a_bar_says_service_self_time_events_and_error(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """A colour per service, dark where no child ran, a tick per event, a red edge for an error."""
    root = make.span(1, 1, name="root", ms=100)
    for at_ms in (10, 90):
        root.events.add(name="tick", time_unix_nano=root.start_time_unix_nano + at_ms * MS)
    spans = [root, make.span(1, 2, parent=1, name="same service", at_ms=20, ms=20)]
    other = [
        make.span(1, 3, parent=1, name="failed", at_ms=30, ms=30, error=True),
        make.span(1, 4, parent=1, name="instant", at_ms=70, ms=0),
    ]
    viewer.add(make.batch(spans), make.batch(other, "bank"))
    page.goto(TRACE)
    expect(page.get_by_role("row")).to_have_count(4)
    colour = "row => getComputedStyle(row.querySelector('.bar-self')).fill"
    colours = [row(page, name).evaluate(colour) for name in ("root", "same service", "failed")]
    assert colours[0] == colours[1] != colours[2]
    name_colour = "row => getComputedStyle(row.querySelector('.row-service')).borderLeftColor"
    assert row(page, "failed").evaluate(name_colour) == colours[2]
    assert pieces(row(page, "root").locator(".bar-self")) == [(0, 20), (60, 100)]
    ticks = pieces(row(page, "root").locator(".bar-events"))
    assert [left for left, _ in ticks] == [10, 90]
    expect(row(page, "failed").locator(".mark")).to_have_text("error")
    expect(row(page, "failed").locator(".bar-error")).to_be_visible()
    expect(row(page, "same service").locator(".bar-error")).to_be_hidden()
    expect(row(page, "instant").locator(".bar-label")).to_have_text("0 ns")
    assert row(page, "instant").locator(".bar-whole").evaluate("bar => bar.getBBox().width") >= 2
    row(page, "root").locator(".row-toggle").click()
    expect(row(page, "root").locator(".row-toggle")).to_have_text("▸3!")


def test_the_details_have_all_that_is_known_of_a_span(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Times, tags with their types, process, scope, events and the exception's stack."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    span = make.span(1, 2, parent=1, name="charge", at_ms=20, ms=50, error=True, amount=12.5, n=7)
    span.status.message = "card declined"
    span.attributes.add(key="list").value.array_value.values.add().int_value = 1 << 60
    span.attributes.add(key="long").value.string_value = "z" * 5000
    span.dropped_attributes_count = 3
    start_ns = span.start_time_unix_nano
    early = span.events.add(name="early", time_unix_nano=start_ns - 2 * MS)
    early.attributes.add(key="why").value.string_value = "clock"
    raised = span.events.add(name="exception", time_unix_nano=start_ns + 15 * MS)
    texts = {"type": "Declined", "message": "no money", "stacktrace": STACK}
    for key, text in texts.items():
        raised.attributes.add(key=f"exception.{key}").value.string_value = text
    child = make.span(1, 3, parent=2, name="ask", at_ms=30, ms=10)
    root = make.span(1, 1, name="root", ms=100)
    viewer.add(make.batch([root, span, child], host="web-1"))
    page.goto(TRACE)
    row(page, "charge").click()
    facts = {"Duration": "50.0 ms (50.0 % of the trace)", "Self time": "40.0 ms"}
    facts |= {"On critical path": "40.0 ms", "Start": "20.0 ms after the trace began"}
    facts |= {
        "Span id": f"{2:016x}",
        "Parent": "shop: root",
        "Children": "1",
    }
    for term, said in facts.items():
        expect(fact(page, term)).to_have_text(said)
    expect(details(page).locator(".detail-status")).to_have_text("Error card declined")
    tags = details(page).get_by_role("table", name="Tags")
    expect(tags.get_by_role("row")).to_have_count(4)
    expect(tags.locator(".value-double")).to_contain_text("12.5")
    expect(tags.locator(".value-array")).to_contain_text(str(1 << 60))
    expect(details(page).get_by_text(DROPPED.format(3))).to_be_visible()
    expect(tags.get_by_text("5000 characters")).to_be_visible()
    process = details(page).get_by_role("table", name="Process")
    expect(process.get_by_role("row").filter(has_text="host")).to_contain_text("web-1")
    expect(details(page).get_by_text("lib 1")).to_be_visible()
    times = details(page).locator(".event time")
    expect(times).to_have_text(["−2.00 ms", "+15.0 ms"])
    expect(details(page).locator(".exception-head")).to_contain_text("Declined: no money")
    expect(details(page).locator(".stack-frame")).to_have_count(2)
    expect(details(page).locator(".stack-library")).to_have_text(
        ['  File "/lib/python3/site-packages/bank/client.py", line 3, in ask']
    )
    tags.get_by_role("row").filter(has_text="amount").hover()
    wanted = {
        "Copy the value of amount": "12.5",
        "Copy all: Process": "service.name=shop\nhost=web-1",
        "Copy the stack": STACK,
        "Copy the span's id": f"{2:016x}",
        "Copy the link to this span": f"{page.url.partition('?')[0]}?span={2:016x}",
    }
    for label, text in wanted.items():
        button = details(page).get_by_role("button", name=label)
        button.click()
        expect(button).to_have_text("copied")
        assert page.evaluate("navigator.clipboard.readText()") == text


def test_links_and_parents_lead_to_other_spans(page: Page, viewer: Receiving, make: Make) -> None:
    """Within the trace, to another trace and back."""
    span = make.span(1, 2, parent=1, name="consume", at_ms=5)
    for trace, number in ((1, 3), (2, 8)):
        span.links.add(trace_id=trace.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"))
    here = [make.span(1, 1, name="root", ms=90), span, make.span(1, 3, parent=1, name="beside")]
    there = [make.span(2, 7, name="publish"), make.span(2, 8, parent=7, name="sent")]
    viewer.add(make.batch(here + there))
    page.goto(f"{TRACE}?span={2:016x}")
    links = details(page).locator(".link-target")
    expect(links).to_have_text(["shop: beside", f"{2:032x} / {8:016x}"])
    links.first.click()
    expect(details(page).get_by_role("heading", level=2)).to_contain_text("beside")
    page.go_back()
    expect(details(page).get_by_role("heading", level=2)).to_contain_text("consume")
    links.last.click()
    page.wait_for_url(f"**/trace/{2:032x}?span={8:016x}")
    expect(details(page).get_by_role("heading", level=2)).to_contain_text("sent")
    expect(row(page, "sent")).to_have_attribute("aria-selected", "true")
    fact(page, "Parent").get_by_role("button").click()
    expect(details(page).get_by_role("heading", level=2)).to_contain_text("publish")
    page.go_back()
    expect(details(page).get_by_role("heading", level=2)).to_contain_text("consume")


def test_thousands_of_events_and_tags_do_not_stop_the_page(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """So many at a time; the bar stays in sight below its ticks."""
    tags: dict[str, Any] = {f"tag.{n}": n for n in range(1000)}
    span = make.span(1, 1, name="busy", ms=5000, **tags)
    for n in range(5000):
        span.events.add(name=f"event {n}", time_unix_nano=span.start_time_unix_nano + n * MS)
    viewer.add(make.batch([span]))
    page.goto(f"{TRACE}?span={1:016x}")
    expect(details(page).locator(".event")).to_have_count(200)
    expect(details(page).get_by_role("table", name="Tags").get_by_role("row")).to_have_count(1000)
    details(page).get_by_role("button", name="Show 200 more of 4,800").click()
    expect(details(page).locator(".event")).to_have_count(400)
    high = "row => row.querySelector('.bar-events').getBBox().height"
    assert row(page, "busy").evaluate(high) < 6, "the ticks hide the bar"


def test_flags_and_what_links_carry_are_shown(page: Page, viewer: Receiving, make: Make) -> None:
    """Trace states, flags and dropped counts; of a span without them there is nothing."""
    span = make.span(1, 1, name="all", ms=9)
    span.flags, span.trace_state = 0x301, "a=b"
    ids = {"trace_id": (2).to_bytes(16, "big"), "span_id": (7).to_bytes(8, "big")}
    link = span.links.add(**ids, trace_state="c=d", flags=0x100, dropped_attributes_count=4)
    link.attributes.add(key="why").value.string_value = "retry"
    span.links.add(**ids, dropped_attributes_count=6)
    span.links.add(**ids)
    span.dropped_links_count = 5
    viewer.add(make.batch([span, make.span(1, 2, parent=1, name="bare")]))
    page.goto(TRACE)
    row(page, "all").click()
    own = details(page).locator(".facts").first
    expect(own.locator("dt:text-is('Flags') + dd")).to_have_text("0x301")
    expect(own.locator("dt:text-is('Trace state') + dd")).to_have_text("a=b")
    links = details(page).locator(".links li")
    expect(links.nth(0).locator("dd")).to_have_text(["c=d", "0x100"])
    expect(links.nth(0)).to_contain_text("retry")
    dropped = details(page).locator(".dropped")
    expect(dropped).to_have_text([DROPPED.format(n) for n in (4, 6, 5)])
    expect(links.nth(1).locator(".dropped")).to_have_count(1)
    expect(links.nth(2).locator("dl, .dropped")).to_have_count(0)
    row(page, "bare").click()
    expect(fact(page, "Span id")).to_have_text(f"{2:016x}")
    expect(fact(page, "Flags")).to_have_count(0)


def test_a_server_that_shares_its_clients_span_id_hangs_below_it(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """As Jaeger's wire has it: the kinds are tags."""
    client = make.span(1, 1, name="ask", ms=50)
    server = make.span(1, 1, name="answer", at_ms=10, ms=20)
    for span, kind in ((client, "client"), (server, "server")):
        span.attributes.add(key="span.kind").value.string_value = kind
    viewer.add(make.batch([server], "back", Source.JAEGER))
    viewer.add(make.batch([client], "front", Source.JAEGER))
    page.goto(TRACE)
    expect(page.locator(".row .row-operation")).to_have_text(["ask", "answer"])
    expect(row(page, "ask")).to_have_attribute("aria-level", "1")
    expect(row(page, "answer")).to_have_attribute("aria-level", "2")
    row(page, "answer").click()
    expect(fact(page, "Kind")).to_have_text("server")
    expect(fact(page, "Parent")).to_have_text("front: ask")
    expect(fact(page, "Came by")).to_have_text("Jaeger")
    row(page, "ask").click()
    expect(fact(page, "Kind")).to_have_text("client")
