"""From a call through the gateway to signed boundary drift: every kind of it, with the commands that people type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
import pytest

from helm.contracts.reason import ReasonCode
from tests.actors.cli.shell import helm
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.helm.evidence.recorder import Recorder, jsonl
from tests.journeys.gateway import build, gateway

COUNTED: Final = POLICY.replace(
    "[connectors",
    '[[budgets]]\nid = "out"\nsubject = "*"\negress_limit_bytes = 5000\nwindow_s = 3600\n\n[connectors',
    1,
)


@attrs.frozen(kw_only=True)
class Seen:
    """A call, and what a recorder saw around it: so many seconds later, to a host, with what else it knew."""

    to: str
    connections: tuple[tuple[int, str, Mapping[str, Any]], ...]
    words: tuple[str, ...] = ()


ALLOWED: Final = "https://www.example.com"

SEEN_BY_HOSTS: Final[Mapping[ReasonCode, Seen]] = MappingProxyType(
    {
        ReasonCode.ERR_HOST_EGRESS_WITHOUT_INTENT: Seen(to=ALLOWED, connections=((0, "nobody.example.com", {}),)),
        ReasonCode.ERR_HOST_EGRESS_AFTER_DENY: Seen(
            to="https://evil.example.com", connections=((1, "evil.example.com", {}),)
        ),
        ReasonCode.ERR_HOST_DESTINATION_MISMATCH: Seen(
            to=ALLOWED, connections=((0, "other.example.com", {"agent_id": "agent"}),)
        ),
        ReasonCode.ERR_HOST_VOLUME_EXCEEDED: Seen(
            to=ALLOWED, connections=((0, "www.example.com", {"event": {"bytes_sent": 5001}}),)
        ),
        ReasonCode.ERR_HOST_RECEIPT_MISSING: Seen(
            to=ALLOWED, connections=((-60, "one.example.com", {}), (60, "two.example.com", {})), words=("--complete",)
        ),
    }
)
"""Every kind of boundary drift, and what brings it about."""


@pytest.mark.parametrize("code", SEEN_BY_HOSTS, ids=str)
async def test_every_kind_of_drift_is_told_signed_and_verified_in_a_pack(code: ReasonCode, tmp_path: Path) -> None:
    seen, house = SEEN_BY_HOSTS[code], build(tmp_path / "data")
    async with gateway(house, house.sign(COUNTED), {"local": Puppet(), "other": Puppet()}) as at:
        await at.call("send", {"to": seen.to})
        at_ms = house.clock.now_ms()
    recorder = Recorder()
    for later_s, host, more in seen.connections:
        moment = datetime.fromtimestamp(at_ms / 1000 + later_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        recorder.saw(host, **{**more, "event": {"timestamp": moment, **more.get("event", {})}})
    (tmp_path / "chain.jsonl").write_bytes(jsonl(recorder.bodies))
    ended = correlated(tmp_path, house.place.log_id, *seen.words)
    found = [one["drift"]["reason_code"] for one in ended["drift"]]
    assert code in found
    assert ended["signed"]


def correlated(folder: Path, log_id: str, *words: str) -> dict[str, Any]:
    """Export, attach, correlate and verify; return what the correlation said."""
    data = ("--data-dir", str(folder / "data"))
    pack, watched, noted = (str(folder / name) for name in ("pack.tar", "watched.tar", "noted.tar"))
    chain = ("--chain", str(folder / "chain.jsonl"), "--source", "host-1", "--out", watched)
    assert helm("evidence", "export", "--whole", "-o", pack, *data).code == 0
    assert helm("evidence", "attach-host-chain", "--bundle", pack, *chain, *data).code == 0
    ended = helm("evidence", "correlate-host", "--bundle", watched, "--out", noted, "--json", *words, *data)
    assert ended.code == 1, ended.err
    assert helm("verify", noted, "--log-id", log_id).code == 0
    said: dict[str, Any] = ended.json()
    return said
