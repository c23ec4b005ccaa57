"""The room where a pack is verified, with somebody in it who drops files."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from helm.evidence.report import Report
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.browser import Page, browser
from tests.journeys.gateway import build, gateway

SETTLED: Final = "!!document.querySelector('.verdict.large, section > [role=status] > .large')"
"""The room has said what it found."""

LINES: Final = (
    "[...document.querySelectorAll('.made li')].map((one) => "
    "['.number', '.name', '.outcome'].map((part) => one.querySelector(part).innerText))"
)


@asynccontextmanager
async def verifier_room(path: Path) -> AsyncIterator[Page]:
    """Open the room, without a key, and wait until it needs nothing more."""
    house, puppet = build(path / "data"), Puppet()
    async with gateway(house, house.sign(POLICY), {"local": puppet, "other": puppet}) as at, browser() as page:
        await page.dress()
        await page.go(f"{at.url}/console/#/verify")
        await page.reads("Ready.")
        yield page


@attrs.frozen
class Visitor:
    """Somebody with a pin and a file."""

    page: Page
    place: Path

    async def trust(self, kind: str, pin: str) -> None:
        """Say what is trusted."""
        await self.page.choose("select[name=kind]", kind)
        await self.page.write("input[name=pin]", pin)

    async def drop(self, pack: bytes, name: str = "pack.tar") -> None:
        """Drop a file on the room, from the desk as it were."""
        await self.drop_file(self.written(pack, name))

    async def drop_file(self, file: Path) -> None:
        """Drop a file that is there."""
        x, y = await self.page.look(
            "(({x, y, width, height}) => [x + width / 2, y + height / 2])(("
            "(one) => { one.scrollIntoView(); return one.getBoundingClientRect(); })(document.querySelector('.drop')))"
        )
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await self.page.send("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    async def choose(self, pack: bytes, name: str = "pack.tar") -> None:
        """Choose a file, as by keyboard."""
        root = (await self.page.send("DOM.getDocument"))["root"]["nodeId"]
        field = (await self.page.send("DOM.querySelector", nodeId=root, selector="#pack-file"))["nodeId"]
        await self.page.send("DOM.setFileInputFiles", files=[str(self.written(pack, name))], nodeId=field)

    async def settled(self) -> str:
        """Wait for the verdict, and return it."""
        await self.page.until(SETTLED)
        return await self.page.text("section [role=status] .large")

    async def lines(self) -> list[list[str]]:
        """Return number, name and outcome of every check as it is shown."""
        found: list[list[str]] = await self.page.look(LINES)
        return found

    def written(self, pack: bytes, name: str) -> Path:
        """Return a file with this pack in it."""
        file = self.place / name
        file.write_bytes(pack)
        return file


def shown(report: Report) -> list[list[str]]:
    """Return how a report of `helm verify` is to be shown: number, name and outcome of each check."""
    failed = report.failed.number if report.failed is not None else 99
    words = {True: "ok", False: "fail"}
    return [
        [str(one.number), one.name, words[one.ok] if one.number <= failed else "not made"] for one in report.outcomes
    ]


async def verdicts(page: Page, cases: list[tuple[bytes, dict[str, Any]]]) -> list[list[str]]:
    """Return the name of the refusing check of each pack under its pins, "" where none refuses, and what it said.

    Pins that are none are refused before any check: by "pins".
    """
    asked = [[base64.b64encode(pack).decode(), pins] for pack, pins in cases]
    found: list[list[str]] = await page.look(
        "Promise.all(['verify', 'pins', 'source'].map((one) => import(`/console/pack-${one}.js`)))"
        ".then(async ([{verifyPack}, {pinsOf}, {Source}]) => { const found = [];"
        f"for (const [pack, pins] of {json.dumps(asked)}) {{"
        "const raw = Uint8Array.from(atob(pack), (one) => one.charCodeAt(0));"
        "let asked; try { asked = pinsOf(pins); } catch (problem) { found.push(['pins', problem.message]); continue; }"
        "const {checks} = await verifyPack(Source.ofBytes(raw), asked);"
        "const failed = checks.find((one) => !one.ok); found.push([failed?.name ?? '', failed?.detail ?? '']); }"
        "return found; })"
    )
    return found
