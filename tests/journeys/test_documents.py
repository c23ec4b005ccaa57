"""The documents, in a browser: a reviewer follows a claim, somebody asks with markup, a phone, a screen reader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import attrs
import pytest
import trio

from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.browser import HOW, Page, browser, program
from tests.counterparts import programs
from tests.journeys.gateway import build, gateway
from tests.journeys.test_console import AXE

pytestmark = [pytest.mark.slow, pytest.mark.skipif(program() is None, reason=HOW)]

MARKUP: Final = "\"><img src=x onerror='window.broken=1'><script>window.broken=1</script>"
READ: Final = ("/docs", "/docs?q=freeze", "/security", "/security/threat-model", "/trust", "/docs/cli", "/docs/console")
SERIOUS: Final = (
    "axe.run().then((told) => told.violations.filter((one) => ['serious', 'critical'].includes(one.impact))"
    ".map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 200)).join(' | ')}`))"
)


@attrs.frozen
class Scene:
    """A gateway, and somebody who reads its documents."""

    url: str
    page: Page

    async def read(self, path: str) -> None:
        """Open a page, and wait until it is there."""
        await self.page.go(self.url + path)
        wanted = path.partition("?")[0]
        await self.page.until(f"location.pathname === '{wanted}' && document.readyState === 'complete'")


@asynccontextmanager
async def scene(path: Path) -> AsyncIterator[Scene]:
    house = build(path / "data")
    async with gateway(house, house.sign(POLICY), {"local": Puppet(), "other": Puppet()}) as at, browser() as page:
        await page.dress()
        yield Scene(at.url, page)


async def test_a_reviewer_goes_from_the_map_to_the_threat_and_searches_for_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.read("/security")
        await here.page.reads("what is not declared is denied", "article")
        await here.page.click("article a[href='/security/threat-model']")
        await here.page.reads("T1: Unauthorized tool execution", "article")
        await here.page.click(".beside a[href='#t7-approval-bypass']")
        await here.page.until("location.hash === '#t7-approval-bypass'")
        await here.page.write("input[name=q]", "approval bypass")
        await here.page.click("form button")
        await here.page.reads("found for “approval bypass”", "article")
        await here.page.click(".hits a")
        await here.page.until("location.pathname === '/security/threat-model'")
        assert here.page.problems == []


async def test_a_question_with_markup_in_it_is_shown_as_it_was_asked(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.read(f"/docs?q={quote(MARKUP)}")
        await here.page.reads(MARKUP, "article")
        assert await here.page.look("document.querySelector('input[name=q]').value") == MARKUP
        assert await here.page.look("window.broken ?? 'whole'") == "whole"
        assert await here.page.look("document.querySelectorAll('script, article img').length") == 0


async def test_a_phone_and_a_printer_have_the_text_first(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.page.dress(width=390, height=844, phone=True)
        for path in READ:
            await here.read(path)
            assert await here.page.look("document.documentElement.scrollWidth <= innerWidth"), path
            assert await here.page.look("document.querySelector('article').getBoundingClientRect().top < 300"), path
        await here.page.send("Emulation.setEmulatedMedia", media="print")
        assert await here.page.look("getComputedStyle(document.querySelector('header')).display") == "none"
        assert here.page.problems == []


@pytest.mark.skipif(programs.package(AXE) is None, reason=programs.HOW)
async def test_nothing_serious_stands_in_the_way_of_a_screen_reader(tmp_path: Path) -> None:
    axe = programs.package(AXE)
    assert axe is not None
    script = await trio.Path(axe).read_text()
    async with scene(tmp_path) as here:
        for dark in (False, True):
            await here.page.dress(dark=dark)
            for path in READ:
                await here.read(path)
                await here.page.look(script + "; true")
                assert await here.page.look(SERIOUS) == [], f"{path}, {'dark' if dark else 'light'}"
