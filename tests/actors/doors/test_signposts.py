"""A person who opens an address that is nearly one of ours finds the page; a program is told that nothing is there."""

from __future__ import annotations

import pytest

from actors.doors.signposts import LEADS
from helm.surfaces.table import TABLE
from tests.actors.doors.street import Street

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(("path", "page"), sorted(LEADS.items()))
async def test_a_browser_is_led_to_a_page_that_is_there(path: str, page: str, street: Street) -> None:
    for method in ("GET", "HEAD"):
        led = await street.ask(method, path, key="", accept=BROWSER)
        assert (led.status, led.headers["location"], led.headers["vary"]) == (307, page, "accept")
        assert led.headers["x-content-type-options"] == "nosniff"
        assert "no-store" in led.headers["cache-control"]
    shown = await street.ask("GET", page, key="", accept=BROWSER)
    assert (shown.status, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_no_signpost_stands_before_a_page_that_is_there() -> None:
    assert LEADS.keys() & {row.path for row in TABLE.values()} == set()


@pytest.mark.parametrize("path", sorted(LEADS.keys() - {"/console"}))
@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/markdown", "text/html;q=0", "text/*"])
async def test_a_program_is_told_that_nothing_is_there(path: str, accept: str, street: Street) -> None:
    told = await street.ask("GET", path, key="", **({"accept": accept} if accept else {}))
    assert (told.status, told.headers["content-type"]) == (404, "application/problem+json")
    assert "location" not in told.headers


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
async def test_whoever_sends_something_is_not_led_elsewhere_with_it(method: str, street: Street) -> None:
    assert (await street.ask(method, "/", key="", accept=BROWSER)).status == 404


@pytest.mark.parametrize(
    "path",
    ["//", "//evil.example", "/docs//", "/docs/no-such/", "/console/x/", "/%2f", "/trust/..", "/api/v1/receipts/"],
)
async def test_no_other_address_leads_anywhere(path: str, street: Street) -> None:
    told = await street.ask("GET", path, key="", accept=BROWSER)
    assert (told.status, "location" in told.headers) == (404, False)


@pytest.mark.parametrize("accept", [BROWSER, "*/*"])
async def test_a_forged_host_leads_nobody_away(accept: str, street: Street) -> None:
    for path in LEADS:
        told = await street.ask("GET", path, key="", accept=accept, host="evil.example")
        assert "evil" not in told.headers.get("location", "") + told.body.decode()
        assert path != "/console" or told.headers["location"] == "/console/"


async def test_an_address_of_two_slashes_leads_nobody_to_the_host_that_it_was_asked_under(street: Street) -> None:
    for path in ("//console", "///console", "//console/", "//docs", "//docs/", "//healthz"):
        for accept in (BROWSER, "*/*"):
            told = await street.ask("GET", path, key="", accept=accept, host="evil.example")
            assert (told.status, told.headers["content-type"]) == (404, "application/problem+json"), path
            assert "evil" not in told.headers.get("location", "") + told.body.decode()


@pytest.mark.parametrize("path", ["/docs", "/console/", "/healthz"])
async def test_what_is_there_is_answered_as_ever(path: str, street: Street) -> None:
    assert (await street.ask("GET", path, key="", accept=BROWSER)).status == 200
