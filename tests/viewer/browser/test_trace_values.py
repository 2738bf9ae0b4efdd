"""How the details show values and keys: addresses, JSON, long names; what is copied is exact."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.viewer.conftest import Make, Receiving

TRACE = f"/trace/{1:032x}?span={1:016x}"
JSON = '{"id":12345678901234567890,"lines":[{"sku":"A, {1}","n":1.0},[]],"note":"a\\"b: c"}'
LAID_OUT = """{
  "id": 12345678901234567890,
  "lines": [
    {
      "sku": "A, {1}",
      "n": 1.0
    },
    []
  ],
  "note": "a\\"b: c"
}"""


def value(page: Page, key: str) -> Locator:
    """Return the value of a tag."""
    return page.get_by_role("table", name="Tags").get_by_role("row").filter(has_text=key)


def shown(page: Page, viewer: Receiving, make: Make, text: str) -> Locator:
    """Return how the details show a text."""
    viewer.add(make.batch([make.span(1, 1, name="root", key=text)]))
    page.goto(TRACE)
    return value(page, "key")


@pytest.mark.parametrize("url", ["https://pay.example/a?b=c&d=%3Cb%3E#e", "http://127.0.0.1:8080"])
def test_an_address_is_a_link_that_tells_nothing_of_this_page(
    page: Page, viewer: Receiving, make: Make, url: str
) -> None:
    """It opens beside this page, which the other one cannot reach or learn of."""
    link = shown(page, viewer, make, url).get_by_role("link")
    expect(link).to_have_text(url)
    for name, said in {"href": url, "target": "_blank", "rel": "noopener noreferrer"}.items():
        expect(link).to_have_attribute(name, said)


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "java\nscript:alert(1)//https://a",
        "ftp://files.example",
        "see https://a.example",
        "https://a.example and more",
        "https://ex\u0430mple.org",
        "https://a.example/\u202egpj.exe",
        "https://",
    ],
)
def test_what_is_no_plain_address_is_text(
    page: Page, viewer: Receiving, make: Make, text: str
) -> None:
    """Other schemes, letters that look like others, and addresses within a text."""
    at = shown(page, viewer, make, text)
    expect(at.locator("td")).to_be_visible()
    expect(at.get_by_role("link")).to_have_count(0)


def test_a_text_of_json_is_laid_out_and_copied_as_it_is(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Its numbers and texts stand there as they were written."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    at = shown(page, viewer, make, JSON)
    expect(at.locator("pre")).to_be_visible()
    assert at.locator("pre").text_content() == LAID_OUT
    at.hover()
    at.get_by_role("button", name="Copy the value of key").click()
    expect(at.get_by_role("button")).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == JSON


@pytest.mark.parametrize(
    "text", ['["never closed, but as long as what is laid out over lines is"', "[" * 200_000]
)
def test_what_only_begins_as_json_is_text(
    page: Page, viewer: Receiving, make: Make, text: str
) -> None:
    """However deep it goes, the page shows the details."""
    at = shown(page, viewer, make, text)
    expect(at).to_contain_text(text[:60])
    expect(at.locator(".copy")).to_have_count(1)


def test_keys_break_after_their_words_and_are_copied_whole(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """A key that is too long for its column stays readable, and is one word when selected."""
    key = "http.response.status_code"
    span = make.span(1, 1, name="root")
    span.attributes.add(key=key).value.int_value = 502
    viewer.add(make.batch([span]))
    page.goto(TRACE)
    head = value(page, key).get_by_role("rowheader")
    head.select_text()
    assert page.evaluate("getSelection().toString()") == key
    words = """head => [...head.childNodes].filter(each => each.data).map(each => {
        const range = new Range(); range.selectNodeContents(each);
        return range.getClientRects().length; })"""
    assert set(head.evaluate(words)) == {1}, "a word is broken"


def test_a_moment_is_exact(page: Page, viewer: Receiving, make: Make) -> None:
    """In a trace of a few microseconds milliseconds would all be the same."""
    spans = [make.span(1, 1, name="root", ms=0.003), make.span(1, 2, parent=1, at_ms=0.0012)]
    viewer.add(make.batch(spans))
    page.goto(f"/trace/{1:032x}?span={2:016x}")
    at = page.locator(".detail dt:text-is('At') + dd")
    expect(at).to_contain_text(".000 001 200")


def test_a_moment_is_exact_however_long_after_the_first(
    page: Page, viewer: Receiving, make: Make
) -> None:
    """Where a span has no start, the trace begins in 1970: more nanoseconds than a number holds."""
    spans = [make.span(1, 1, name="root"), make.span(1, 2, parent=1, at_ms=0.001201)]
    spans[0].start_time_unix_nano = 0
    viewer.add(make.batch(spans))
    page.goto(f"/trace/{1:032x}?span={2:016x}")
    at = page.locator(".detail dt:text-is('At') + dd")
    expect(at).to_contain_text(".000 001 201")
