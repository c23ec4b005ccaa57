"""A pack of calls that overlays and waiting ceilings bound: verified and replayed, and refused once it is edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from actors.commands.delegation import BindDelegation
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import reread
from helm.evidence.layout import MANIFEST
from helm.evidence.manifest import Cover, write_manifest
from helm.evidence.pack import PackMaterial, build
from helm.evidence.replay import replay_pack
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack, verify_pack
from helm.wire import structure
from tests.actors.delegating import grant, policy_of, signature, under
from tests.actors.kit import House
from tests.actors.overlaying import narrow, put, removal
from tests.actors.rewriting import Entry, rewritten
from tests.helm.evidence.forger import SCRIPT, check_refused, packed, refusing_check_of_script, unpacked

Past = tuple[House, list[bytes]]

SESSION = "of-delegate"


async def live(house: House) -> list[bytes]:
    """Call under the bundle alone, under overlays, under a waiting raise, and as a delegate; return the journal."""
    text = policy_of(house.place)
    wider = text.replace("epoch = 7", "epoch = 8").replace('max_risk_tier = "T2"', 'max_risk_tier = "T3"')
    async with house.kernel(policy=text) as kernel:

        async def call(tool: str, **more: Any) -> Any:
            return await kernel.call(tool, {}, tenant="default", principal="delegate", session=SESSION, **more)

        one = grant(house.place, house.clock.now_ms(), {"read": "", "write": ""})
        await kernel.command(BindDelegation(one, signature(one, house.place), kernel.parts.state.registry))
        await call("read", terms=under(one, 1))
        await kernel.activate(house.sign(wider), kernel.executor.connectors)
        await call("read", terms=under(one, 2))
        await narrow(kernel, house.place, "mine", principals=["delegate"], tools={"read": {"risk_tier": "T2"}})
        allowed = await call("read", terms=under(one, 3))
        await narrow(kernel, house.place, "boss", principals=["boss"], remove_tools=["write"])
        refused = await call("write", terms=under(one, 4))
        await put(kernel, removal(house.place, "mine"))
        house.clock.advance(86_400)
        await trio.sleep(62)  # on Trio's own clock, which jumps
        again = await call("strict")
    assert allowed.allowed
    assert allowed.receipt.content.risk_tier == "T2"
    assert refused.reason_code in {ReasonCode.DELEGATION_SCOPE_VIOLATION, ReasonCode.NO_POLICY_DEFINED}
    assert again.reason_code == ReasonCode.DELEGATION_INVALID
    return list(house.disk.rows)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """An installation with a past, which nobody changes."""
    house = House.build(tmp_path_factory.mktemp("past"))
    return house, trio.run(live, house, clock=trio.testing.MockClock(autojump_threshold=0.01))


def pack_of(past: Past, change: Callable[[int, Entry], object] = lambda *_: None) -> bytes:
    """Return the pack that somebody makes of the rows after changing them."""
    house, rows = past
    selection = Selection("default", SESSION)
    for row in rewritten(rows, change):
        selection.take(reread(row))
    return build(PackMaterial(selection=selection, script=SCRIPT.read_bytes()), house.place.evidence_key())


def root_of(past: Past) -> TrustRoot:
    return TrustRoot(log_id=past[0].place.log_id)


def test_the_pack_is_verified_with_helm_and_without_and_each_decision_comes_out_again(past: Past) -> None:
    raw = pack_of(past)
    report = verify_pack(raw, root_of(past))
    assert report.authenticated, report.text()
    assert refusing_check_of_script(raw, root_of(past)) == ""
    assert replay_pack(check_pack(raw, root_of(past))).judged == 5
    sets = [path for path, text in unpacked(raw).items() if of_policy(path, b"set", text)]
    assert len(sets) == 3  # under the raise; and one overlay; and both


def overlaid(forge: Callable[[dict[str, Any]], object]) -> Callable[[int, Entry], object]:
    """Return a change of the second overlay's event."""

    def change(_: int, entry: Entry) -> None:
        payload = entry["node"]["payload"]
        if payload["type"] == "OVERLAID" and "boss" in payload["commands"]:
            forge(payload["commands"]["boss"])

    return change


FORGERIES: dict[str, Callable[[int, Entry], object]] = {
    "bound to somebody else": overlaid(lambda said: said["command"].update(principals=["eve"])),
    "a signature of nobody": overlaid(lambda said: said.update(signature="00" * 64)),
    "a later epoch": overlaid(lambda said: said["command"].update(epoch=9)),
    "another log": overlaid(lambda said: said["command"].update(log_id="sha256:" + "0" * 64)),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_edited_overlay_is_refused_by_both(past: Past, forgery: str) -> None:
    check_refused(pack_of(past, FORGERIES[forgery]), "control", root=root_of(past))


def of_policy(path: str, kind: bytes, text: bytes) -> bool:
    """Tell whether a file of a pack is a policy set, or an overlay."""
    return path.startswith("policy/") and (b"helm.policy-set/1" if kind == b"set" else b"helm.overlay/1") in text


def members_of(past: Past) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the files of the pack, and those of them that are policy sets."""
    members = dict(unpacked(pack_of(past)))
    return members, {path: text for path, text in members.items() if of_policy(path, b"set", text)}


def forged(past: Past, members: dict[str, bytes]) -> bytes:
    """Return a pack of these files with a true manifest, by the installation's own evidence key."""
    house = past[0]
    body = reread(members[MANIFEST])
    for seal in ("entries", "manifest_hash", "signature"):
        del body[seal]
    others = {path: text for path, text in members.items() if path != MANIFEST}
    cover = structure(body, Cover, "forged")
    return packed(others | {MANIFEST: write_manifest(cover, others, house.place.evidence_key())})


def test_a_set_without_the_text_of_its_overlay_is_refused(past: Past) -> None:
    members, sets = members_of(past)
    path = next(path for path, text in members.items() if of_policy(path, b"overlay", text))
    assert sets
    del members[path]
    check_refused(forged(past, members), "stories", "complete", root=root_of(past))


def test_a_set_that_names_fewer_overlays_is_not_the_one_that_was_decided_under(past: Past) -> None:
    members, sets = members_of(past)
    for path, text in sets.items():
        if b'"overlays":[]' not in text:
            start = text.index(b'"overlays":[') + len(b'"overlays":[')
            members[path] = text[:start] + text[text.index(b"]", start) :]
    check_refused(forged(past, members), "stories", "complete", root=root_of(past))


def test_another_text_under_the_name_of_an_overlay_is_refused(past: Past) -> None:
    members, _ = members_of(past)
    path = next(path for path, text in members.items() if of_policy(path, b"overlay", text))
    members[path] = members[path].replace(b'"epoch":1', b'"epoch":2')
    check_refused(forged(past, members), "stories", "complete", root=root_of(past))
