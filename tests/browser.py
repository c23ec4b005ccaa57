"""A browser of another make, driven over the Chrome DevTools Protocol: what people see is tested where they see it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
HOW: Final = "console: the browser was NOT RUN. Put `chromium` on the PATH: apt-get install chromium"
FLAGS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio"),
    *("--hide-scrollbars", "--remote-debugging-port=0", "--force-color-profile=srgb"),
)
SOON_S: Final = 60.0
"""Longest wait for anything: a page that hangs fails the test instead of stopping it."""

LONGEST: Final = 64 * 1024 * 1024


def program() -> str | None:
    """Return the browser's program, None where this machine has none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@attrs.define(eq=False)
class Page:
    """One tab."""

    line: WebSocketConnection
    asked: int = 0
    answers: dict[int, Any] = attrs.field(factory=dict)
    problems: list[str] = attrs.field(factory=list)
    """What the page's console complains of: broken rules of the content security policy, and errors nobody caught."""
    requests: list[str] = attrs.field(factory=list)
    """What the page and its workers ask for, as far as `watch` was called."""
    workers: list[str] = attrs.field(factory=list)
    """The sessions of its workers, by which they can be spoken to."""
    news: trio.Condition = attrs.field(factory=trio.Condition)

    async def listen(self) -> None:
        """Take what the browser says, until it goes."""
        try:
            while True:
                said = json.loads(await self.line.get_message())
                async with self.news:
                    self._take(said)
                    self.news.notify_all()
        except ConnectionClosed:
            return

    def _take(self, said: dict[str, Any]) -> None:
        if "id" in said:
            self.answers[said["id"]] = said
        elif said["method"] == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(said["params"]["exceptionDetails"])[:2000])
        elif said["method"] == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
            self.problems.append(said["params"]["entry"]["text"])
        elif said["method"] == "Network.requestWillBeSent":
            self.requests.append(said["params"]["request"]["url"])
        elif said["method"] == "Target.attachedToTarget":
            self.workers.append(said["params"]["sessionId"])

    async def send(self, method: str, *, session: str = "", **parameters: Any) -> Any:
        """Have the browser, or a worker of the page, do something, and return its answer."""
        self.asked += 1
        name = self.asked
        whom = {"sessionId": session} if session else {}
        await self.line.send_message(json.dumps({"id": name, "method": method, "params": parameters, **whom}))
        with trio.fail_after(SOON_S):
            async with self.news:
                while name not in self.answers:
                    await self.news.wait()
        answer = self.answers.pop(name)
        assert "error" not in answer, answer
        return answer["result"]

    async def look(self, expression: str, *, session: str = "") -> Any:
        """Return what a JavaScript expression comes to in the page, or in a worker of it."""
        how: dict[str, Any] = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        found = await self.send("Runtime.evaluate", session=session, **how)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait until an expression is true in the page, and return it."""
        with trio.move_on_after(SOON_S):
            while not (found := await self.look(expression)):  # noqa: ASYNC110 - a page rings no bell
                await trio.sleep(0.05)
            return found
        shown = await self.look("document.body.innerText")
        raise AssertionError(f"never came: {expression}\n{self.problems}\n{shown}")

    async def text(self, selector: str = "body") -> str:
        """Return what is to be read there."""
        found: str = await self.look(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return found

    async def reads(self, words: str, selector: str = "body") -> None:
        """Wait until these words are to be read there."""
        place = json.dumps(selector)
        await self.until(f"(document.querySelector({place})?.innerText ?? '').includes({json.dumps(words)})")

    async def go(self, address: str) -> None:
        """Open an address."""
        await self.send("Page.navigate", url=address)

    async def room(self, name: str) -> None:
        """Go to another room of the console."""
        await self.look(f"location.hash = {json.dumps('#/' + name)}; true")

    async def click(self, selector: str) -> None:
        """Click something that is there, or comes."""
        place = json.dumps(selector)
        await self.until(f"!!document.querySelector({place}) && !document.querySelector({place}).disabled")
        await self.look(f"document.querySelector({place}).click(); true")

    async def write(self, selector: str, words: str) -> None:
        """Write into a field, key by key as far as the page can tell."""
        place = json.dumps(selector)
        await self.until(f"!!document.querySelector({place})")
        await self.look(f"document.querySelector({place}).focus(); document.querySelector({place}).value = ''; true")
        await self.send("Input.insertText", text=words)

    async def choose(self, selector: str, value: str) -> None:
        """Choose in a list."""
        place, chosen = json.dumps(selector), json.dumps(value)
        await self.look(
            f"((one) => {{ one.value = {chosen}; for (const name of ['input', 'change'])"
            f" one.dispatchEvent(new Event(name, {{bubbles: true}})); }})(document.querySelector({place}))"
        )

    async def dress(self, *, width: int = 1280, height: int = 900, dark: bool = False, phone: bool = False) -> None:
        """Set the window's size, and whether the system is dark."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def watch(self) -> None:
        """Note from now on what the page and its workers ask for."""
        await self.send("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)
        await self.send("Network.enable")
        for session in self.workers:
            await self.send("Network.enable", session=session)

    async def unplug(self) -> None:
        """Take the network away."""
        gone: dict[str, Any] = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        await self.send("Network.emulateNetworkConditions", **gone)

    async def picture(self, path: Path) -> None:
        """Write what is seen to a file."""
        shot = await self.send("Page.captureScreenshot", format="png")
        await trio.Path(path).write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """Run a browser with nothing in it, and yield its page. The program must be there."""
    found = program()
    assert found is not None
    with TemporaryDirectory(prefix="helm-browser-", ignore_cleanup_errors=True) as place:
        command = [found, *FLAGS, f"--user-data-dir={place}", "about:blank"]
        async with trio.open_nursery() as nursery:
            nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
            process: trio.Process = await nursery.start(partial(trio.run_process, command, **nowhere))
            try:
                async with opened(await target(Path(place))) as page:
                    yield page
            finally:
                process.terminate()


async def target(place: Path) -> str:
    """Return where the browser's one page can be spoken to."""
    file = trio.Path(place / "DevToolsActivePort")
    with trio.fail_after(SOON_S):
        while not (await file.exists() and "\n" in await file.read_text()):  # noqa: ASYNC110 - no bell
            await trio.sleep(0.05)
        port = int((await file.read_text()).split("\n")[0])
        while not (pages := [one for one in await listed(port) if one["type"] == "page"]):  # noqa: ASYNC110
            await trio.sleep(0.05)
    address: str = pages[0]["webSocketDebuggerUrl"]
    return address


async def listed(port: int) -> list[dict[str, Any]]:
    """Return what the browser has open."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"GET /json/list HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nconnection: close\r\n\r\n" % port)
        said = b""
        while b"\r\n\r\n" not in said:
            said += await stream.receive_some()
        head, _, body = said.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += await stream.receive_some()
    found: list[dict[str, Any]] = json.loads(body)
    return found


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Page]:
    """Speak to a page."""
    async with open_websocket_url(address, max_message_size=LONGEST) as line, trio.open_nursery() as nursery:
        page = Page(line)
        nursery.start_soon(page.listen)
        for domain in ("Page", "Runtime", "Log"):
            await page.send(f"{domain}.enable")
        try:
            yield page
        finally:
            nursery.cancel_scope.cancel()
