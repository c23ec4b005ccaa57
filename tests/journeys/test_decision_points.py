"""Two decision points over HTTP: allowed, refused, out of step with the policy, and judged again by a stranger."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.actors.cli.shell import helm
from tests.actors.opa_server import OpaServer
from tests.actors.pointed import CEDAR, with_opa
from tests.actors.puppet import Puppet
from tests.journeys.gateway import EVALUATE, build, gateway


async def test_a_call_needs_the_word_of_its_point_and_a_stranger_can_judge_it_again(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    house = build(tmp_path / "data")
    opa = await OpaServer({"helm/allow": lambda told: told["arguments"]["n"] < 10}).start(nursery)
    puppet = Puppet()
    connectors = {"local": puppet, "other": puppet}
    text = with_opa(opa.port) + CEDAR
    async with gateway(house, house.sign(text), connectors) as at:
        allowed, refused = await at.call("asked", {"n": 1}), await at.call("asked", {"n": 10})
        evaluated = await at.call("asked", {"n": 2}, path=EVALUATE)
        permitted, forbidden = await at.call("weighed", {"n": 7}), await at.call("weighed", {"n": 13})
        opa.bundles = {"main": "r2"}  # somebody loads a new bundle at the server, and nobody has signed for it
        unsigned = await at.call("asked", {"n": 1})
        newer = text.replace("epoch = 7", "epoch = 8").replace('main = "r1"', 'main = "r2"')
        await at.kernel.activate(house.sign(newer), connectors)
        signed = await at.call("asked", {"n": 1})
    assert [reply.status for reply in (allowed, evaluated, permitted, signed)] == [200] * 4
    said = [(reply.status, reply.json()["reason_code"]) for reply in (refused, forbidden, unsigned)]
    assert said == [(403, "PDP_DENY"), (403, "PDP_DENY"), (403, "PDP_ERROR")]
    assert "answers by other bundles than the policy pins: 'main' 'r2'" in unsigned.json()["reason"]
    assert len(puppet.orders) == 3
    place = ("--data-dir", str(house.place.path))
    pack = tmp_path / "pack.tar"
    assert helm("evidence", "export", "--session", "of-agent", "-o", str(pack), *place).code == 0
    assert helm("verify", str(pack), "--log-id", house.place.log_id).code == 0
    told = helm("replay", str(pack), "--verify", "--log-id", house.place.log_id)
    assert told.code == 0
    assert "7 calls came out as they were" in told.out
