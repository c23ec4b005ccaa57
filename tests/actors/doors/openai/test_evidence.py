"""What the proxy wrote can be taken away, verified by a stranger, and judged again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from actors.evidence.export import export_session
from helm.evidence.replay import replay_pack
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack, verify_pack
from tests.actors.doors.openai.lane import answered, call, completion, open_lane, result_of
from tests.actors.kit import House
from tests.helm.evidence.forger import refusing_check_of_script

PRICES = '[models."gpt-test"]\ninput_cents = 100\noutput_cents = 200\n'
SPENDING: dict[str, Any] = {"proxy_max_iterations": 9, "proxy_spend_limit_cents": 100, "proxy_prices": "prices.toml"}


async def test_a_session_of_the_proxy_is_exported_verified_and_judged_again(house: House, tmp_path: Path) -> None:
    (house.path / "prices.toml").write_text(PRICES)
    both = completion(call("get_weather"), call("rm_rf", call_id="call_2"))
    async with open_lane(house, answered(both), **SPENDING) as lane:
        session = {"x_helm_session": "first"}
        messages = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]}
        await lane.street.ask("POST", "/v1/chat/completions", messages, **session)
        lane.plays(answered(b"<html>"))
        await lane.street.ask("POST", "/v1/chat/completions", messages, **session)
        bypass = {"model": "gpt-test", "messages": result_of("call_of_elsewhere")}
        await lane.street.ask("POST", "/v1/chat/completions", bypass, **session)
        path = tmp_path / "pack.tar"
        await export_session(lane.kernel.library, Selection("acme", "first"), house.place.evidence_key(), path)
    raw = await trio.to_thread.run_sync(path.read_bytes)
    root = TrustRoot(log_id=house.place.log_id)
    report = verify_pack(raw, root)
    assert report.authenticated, report.text()
    assert report.subject.receipts == 4
    assert replay_pack(check_pack(raw, root)).judged == 4
    assert refusing_check_of_script(raw, root) == ""
