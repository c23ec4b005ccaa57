"""The console, in a browser: an operator at night, an approver, an auditor, and somebody who writes markup."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import pytest
import trio

from actors.connectors.port import Unreachable
from helm.contracts.reason import ReasonCode
from helm.crypto.domains import RECEIPT
from helm.crypto.ed25519 import SignatureInvalid, verify
from tests.actors.cli.shell import helm
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet, done, raising
from tests.browser import HOW, Page, browser, program
from tests.counterparts import programs
from tests.journeys.gateway import Gateway, build, gateway

pytestmark = [pytest.mark.slow, pytest.mark.skipif(program() is None, reason=HOW)]

NAME: Final = "<img/src=x/onerror=window.broken=1>"
"""As far as a tool's or a session's name may go."""
MARKUP: Final = "<img src=x onerror='window.broken=1'><script>window.broken=1</script>"
RULE: Final = "approval = { required = true, quorum = 2, timelock_s = 60, expires_s = 3600 }"
HONEST: Final = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
BY_HONEST: Final = (
    "0a4fc8f128399558aa92deef99014b45d384d4b7e9dcb9f3b11358b1fed69466"
    "1737edf62db19a71f6cd6d1789d06a38d9c4ad9bcc20804597f3dea7e1dda209"
)
MIXED: Final = "b502ff3d92e31d8190b4aa4ea0414005167fad089c4de9dac8a2fc850fed4f58"
BY_MIXED: Final = (
    "f1797bed4f44b2e7080dc20812d29fdfcd93208acf33ca6d89b977c8931b4ee0"
    "2e79897685230893b8bc89a3fc20c1c1cd5897aefed1276093aff605137d1509"
)
AXE: Final = "axe-core/axe.min.js"


@attrs.frozen
class Scene:
    """A gateway, and somebody who looks at it."""

    at: Gateway
    page: Page
    puppet: Puppet


@asynccontextmanager
async def scene(path: Path) -> AsyncIterator[Scene]:
    """Serve the test policy, and have an operator sign in."""
    house, puppet = build(path / "data"), Puppet()
    async with gateway(house, house.sign(POLICY), {"local": puppet, "other": puppet}) as at, browser() as page:
        await page.dress()
        await page.go(f"{at.url}/console/")
        await page.write("#bearer", house.keys["operator"])
        await page.click("form button")
        await page.reads("Verdicts a second")
        yield Scene(at, page, puppet)


async def key_of(scene: Scene, name: str, purpose: str) -> str:
    """Make a key in the browser, have the log's administrator add it, and return its id."""
    page, at = scene.page, scene.at
    await page.room("budgets")
    await page.reads("Keys of this browser")
    await page.choose("section form select", purpose)
    await page.write("section form input", name)
    await page.click("section form button.first")
    await page.reads(f"{name} · {purpose}")
    made = (
        "import('/console/keys.js').then((keys) => keys.own()).then((all) => "
        f"all.filter((one) => one.name === {json.dumps(name)}).map((one) => [one.keyId, one.publicKey])[0])"
    )
    key_id, public_key = await page.look(made)
    words = ("trust", "add", purpose, "--public-key", public_key, "--reason", name, "--server", at.url)
    place = ("--data-dir", str(at.house.place.path))
    add = partial(helm, *words, *place, HELM_API_KEY=at.house.keys["operator"])
    ended = await trio.to_thread.run_sync(add)
    assert ended.code == 0, ended.err
    assert isinstance(key_id, str)
    return key_id


async def answer(page: Page, key_id: str, words: str) -> None:
    """Fill in the form of an approval as its holder would, and send it."""
    await page.until("!!document.querySelector('.story form select[name=key]')")
    await page.choose("select[name=key]", key_id)
    await page.write("input[name=reason]", "the invoice is in order")
    await page.write("input[name=typed]", words)
    await page.click(".story form button.first")


async def test_an_operator_sees_a_call_arrive_and_reads_why_one_was_refused(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.at.call("read", {"path": "plan.md"})
        await here.page.reads("read")
        await here.page.room("receipts?verdict=DENY")
        await here.at.call("no-such-tool")
        await here.page.reads("NO_POLICY_DEFINED", ".list")
        assert "ALLOW" not in await here.page.text(".list")
        await here.page.click(".list a")
        await here.page.reads("It was refused. Nothing was dispatched.")
        assert "effect · NO_POLICY_DEFINED" in await here.page.text(".steps")
        await here.page.click("#verify")
        await here.page.until("/^Verified$/m.test(document.body.innerText)")
        assert complaints(here.page) == []


async def test_a_receipt_that_was_edited_does_not_verify_in_the_browser(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        receipt = (await here.at.call("read")).json()["receipt"]
        check = (
            "Promise.all([import('/console/proof.js'), import('/console/api.js')]).then(async ([proof, api]) => {"
            f"const story = await api.get('/api/v1/receipts/{receipt['receipt_id']}');"
            "const keys = new Map((await api.get('/api/v1/trust/keys')).keys.map((one) => "
            "[one.key_id, {publicKey: one.public_key}]));"
            "const bad = []; for (const name of Object.keys(story.receipt)) {"
            "const was = story.receipt[name], odd = typeof was === 'number' ? 7e9 : name === 'signature' ? "
            "'0'.repeat(128) : was + 'x', copy = {...story, receipt: {...story.receipt, [name]: odd}};"
            "let holds = true; for await (const one of proof.checksOf(copy, keys, null)) holds &&= one.ok;"
            "if (holds) bad.push(name); } return bad; })"
        )
        assert await here.page.look(check) == []


async def test_a_story_without_its_decision_does_not_verify_in_the_browser(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        receipt = (await here.at.call("read")).json()["receipt"]
        check = (
            "Promise.all([import('/console/proof.js'), import('/console/api.js')]).then(async ([proof, api]) => {"
            f"const story = await api.get('/api/v1/receipts/{receipt['receipt_id']}');"
            "const keys = new Map((await api.get('/api/v1/trust/keys')).keys.map((one) => "
            "[one.key_id, {publicKey: one.public_key}]));"
            "const told = []; for (const name of ['', 'decision', 'record']) {"
            "let holds = true; const cut = {...story, [name]: null};"
            "for await (const one of proof.checksOf(cut, keys, null)) holds &&= one.ok;"
            "told.push(holds); } return told; })"
        )
        assert await here.page.look(check) == [True, False, False]


async def test_the_browser_refuses_a_key_that_helm_refuses(tmp_path: Path) -> None:
    """An honest key, moved by the point of order 8, with a signature that most libraries take for it."""
    with pytest.raises(SignatureInvalid, match="prime-order"):
        verify(MIXED, RECEIPT, b'{"a":1}', BY_MIXED)
    async with scene(tmp_path) as here:
        check = (
            "import('/console/proof.js').then((proof) => Promise.all("
            f"{json.dumps([[HONEST, BY_HONEST], [MIXED, BY_MIXED], [HONEST, BY_MIXED]])}"
            ".map(([key, signature]) => proof.verify(key, 'Receipt', {a: 1}, signature))))"
        )
        assert await here.page.look(check) == [True, False, False]


async def test_an_approver_sees_every_character_of_an_argument(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        given = {"to": "ACME\u200b\u3164\u00a0", "a\nb": "one\n\n   two", "none": "", "n": 5, "text": "5"}
        approval_id = (await here.at.call("asking", given)).json()["approval_id"]
        page = here.page
        await page.room(f"approvals/{approval_id}")
        await page.reads("They are what the intent names")
        shown = await page.text(".story")
        assert "ACME\\u{200b}\\u{3164}\\u{a0}" in shown
        assert "a\\nb" in shown
        assert "one\n\n   two" in shown
        assert "empty text" in shown
        assert await page.look("[...document.querySelectorAll('.story dd > code')].map((one) => one.innerText)") == [
            "5"
        ]
        turned = await page.look("import('/console/dom.js').then((dom) => dom.visible('pay \u202eECNI'))")
        assert turned == "pay \\u{202e}ECNI"


async def test_two_approvers_sign_with_keys_that_stay_in_the_browser(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        keys = {name: await key_of(here, name, "approval") for name in ("alice", "bob")}
        table = "".join(f'[approvers.{name}]\nkeys = ["{key}"]\n\n' for name, key in keys.items())
        text = POLICY.replace("[p0]", f"{table}[p0]", 1).replace("epoch = 7", "epoch = 8")
        text = text.replace("approval = { required = true, expires_s = 600 }", RULE, 1)
        await here.at.kernel.activate(here.at.house.sign(text), {"local": here.puppet, "other": here.puppet})
        asked = {"cents": 4200, "to": "ACME"}
        approval_id = (await here.at.call("asking", asked)).json()["approval_id"]
        intent = here.at.kernel.memory.approvals.ceremonies[approval_id].intent_hash.removeprefix("sha256:")
        words = f"approve asking {intent[:4]}-{intent[4:8]}"
        page = here.page
        await page.room("approvals")
        await page.click(f"a[href='#/approvals/{approval_id}']")
        await page.reads("They are what the intent names")
        assert "4200" in await page.text(".story")
        await answer(page, keys["alice"], words)
        await page.reads("ERR_APPROVAL_TIMELOCK_ACTIVE")
        here.at.house.clock.ahead_ms += 61_000
        here.at.kernel.timelock.look()
        with trio.fail_after(60):
            while not here.at.kernel.memory.approvals.ceremonies[approval_id].unlocked:  # noqa: ASYNC110 - its turn
                await trio.sleep(0.01)
        await page.look("location.reload(); true")
        await page.reads("They are what the intent names")
        await answer(page, keys["alice"], words)
        await page.reads("It is PENDING now.")
        await page.until("document.querySelectorAll('.seats .taken').length === 1")
        await answer(page, keys["bob"], words)
        await page.reads("Approved.")
        assert (await here.at.call("asking", asked, approval_id=approval_id)).status == 200
        assert len(here.puppet.orders) == 1
        assert complaints(page) == []


async def test_the_lever_stops_everything_and_lets_it_go_on(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await key_of(here, "operator", "emergency")
        for action, status in (("freeze", 403), ("unfreeze", 200)):
            await here.page.room("now")
            await here.page.click(".stop" if action == "freeze" else ".stop + button")
            await here.page.write("dialog input[name=reason]", "something odd at night")
            assert await here.page.look("document.querySelector('dialog .armed').disabled")
            await here.page.write("dialog input[name=typed]", action)
            await here.page.click("dialog .armed")
            await here.page.until("!document.querySelector('dialog')")
            assert (await here.at.call("read")).status == status
        assert complaints(here.page) == []


async def test_what_an_agent_writes_stays_text_in_every_room(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        assert (await here.at.call(NAME)).status == 403
        assert (await here.at.call("read", {MARKUP: MARKUP}, session_id=NAME, idempotency_key=NAME)).status == 200
        approval_id = (await here.at.call("asking", {MARKUP: [MARKUP, {"deep": MARKUP}]})).json()["approval_id"]
        for room in (
            "now",
            "receipts",
            f"receipts?tool={NAME}",
            "approvals",
            f"approvals/{approval_id}",
            "tools",
            "budgets",
        ):
            await here.page.room(room)
            await here.page.until("!document.querySelector('main').innerText.startsWith('Looking')")
        await here.page.room("receipts")
        await here.page.reads(NAME, ".list")
        for place in await here.page.look("[...document.querySelectorAll('.list a')].map((one) => one.hash)"):
            await here.page.look(f"location.hash = {json.dumps(place)}; true")
            await here.page.until("!!document.querySelector('.steps')")
        assert not await here.page.look("window.broken")
        assert complaints(here.page) == []


async def test_an_operator_who_opens_the_bare_address_sees_why_a_connector_fails(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        here.puppet.deed = raising(Unreachable(ReasonCode.ERR_CONNECTOR_ERROR, f"it said {NAME}"))
        assert (await here.at.call("read")).json()["outcome"] == "NOT_DISPATCHED"
        for path in ("/", "/console"):
            await here.page.go(f"{here.at.url}{path}")
            await here.page.until("location.pathname === '/console/'")
        await here.page.room("tools")
        await here.page.reads(f"failing: it said {NAME} since")
        here.puppet.deed = done
        assert (await here.at.call("read")).status == 200
        await here.page.room("now")
        await here.page.room("tools")
        await here.page.until("!document.querySelector('main').innerText.includes('failing')")
        assert not await here.page.look("window.broken")
        assert complaints(here.page) == []


async def test_a_tenant_sees_its_own_receipts_and_no_figures_of_the_house(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.at.call("read")
        await here.page.click("#state button")
        await here.page.write("#bearer", here.at.house.keys["agent"])
        await here.page.click("form button")
        await here.page.reads("operators only")
        await here.page.room("budgets")
        await here.page.reads("An operator's key shows the budgets.")
        await here.page.room("receipts")
        await here.page.reads("read", ".list")


async def test_ten_thousand_receipts_are_held_and_few_are_drawn(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        receipt = (await here.at.call("read")).json()["receipt"]
        many = (
            f"const one = {json.dumps(receipt)}; const asked = window.fetch; window.fetch = (path, ...more) => "
            "path.endsWith('/tail') ? Promise.resolve(new Response(Array.from({length: 12000}, (_, n) => "
            "`id: ${n + 10}\\nevent: receipt\\ndata: ${JSON.stringify({...one, receipt_id: 'rcpt_' + n})}\\n\\n`)"
            ".join(''))) : asked(path, ...more);"
        )
        await here.page.send("Page.addScriptToEvaluateOnNewDocument", source=many)
        await here.page.room("receipts")
        await here.page.look("location.reload(); true")
        await here.page.reads("10000 receipts")
        assert 5 < await here.page.look("document.querySelectorAll('.list a').length") < 60


@pytest.mark.skipif(programs.package(AXE) is None, reason=programs.HOW)
async def test_nothing_serious_stands_in_the_way_of_a_screen_reader(tmp_path: Path) -> None:
    axe = programs.package(AXE)
    assert axe is not None
    async with scene(tmp_path) as here:
        receipt = (await here.at.call("read")).json()["receipt"]
        approval_id = (await here.at.call("asking", {"cents": 1})).json()["approval_id"]
        await here.page.look(await trio.Path(axe).read_text() + "; true")
        rooms = (
            "now",
            "receipts",
            f"receipt/{receipt['receipt_id']}",
            "approvals",
            f"approvals/{approval_id}",
            "tools",
            "budgets",
        )
        for dark in (False, True):
            await here.page.dress(dark=dark)
            for room in rooms:
                await here.page.room(room)
                await here.page.until("!document.querySelector('main').innerText.startsWith('Looking')")
                found = await here.page.look(
                    "axe.run().then((told) => told.violations"
                    ".filter((one) => ['serious', 'critical'].includes(one.impact))"
                    ".map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 200)).join(' | ')}`))"
                )
                assert found == [], f"{room}, {'dark' if dark else 'light'}"


def complaints(page: Page) -> list[str]:
    """Return what the browser complained of, but for answers that are refusals."""
    return [one for one in page.problems if not one.startswith("Failed to load resource")]
