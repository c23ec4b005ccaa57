"""The reason codes that only the proxy for OpenAI clients can give, each produced through it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
import pytest

from helm.contracts.reason import ReasonCode
from tests.actors.doors.openai.lane import Lane, answered, call, completion, open_lane
from tests.actors.kit import House

PRICES: Final = '[models."gpt-test"]\ninput_cents = 100\noutput_cents = 400\n'
ISLAND: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "island_mode": True,
        "proxy_max_iterations": 5,
        "proxy_max_wall_s": 60,
        "proxy_spend_limit_cents": 100,
        "proxy_prices": "prices.toml",
    }
)


async def once(lane: Lane) -> None:
    await lane.chat()


async def twice(lane: Lane) -> None:
    await lane.chat()
    await lane.refused()


async def an_hour_apart(lane: Lane) -> None:
    await lane.chat()
    lane.kernel.parts.clock.advance(3600)  # type: ignore[attr-defined]
    await lane.refused()


async def with_several_choices(lane: Lane) -> None:
    await lane.refused(n=2)


async def without_a_limit(lane: Lane) -> None:
    await lane.refused()


@attrs.frozen
class Refusal:
    """What brings a code about: the attack, and the settings of the proxy."""

    attack: Callable[[Lane], Awaitable[None]]
    settings: Mapping[str, Any] = MappingProxyType({})


THROUGH_PROXY: Final[Mapping[ReasonCode, Refusal]] = MappingProxyType(
    {
        ReasonCode.RELEASED_TO_CLIENT: Refusal(once),
        ReasonCode.ENVELOPE_INVALID: Refusal(with_several_choices),
        ReasonCode.PROXY_ITERATION_LIMIT: Refusal(twice, {"proxy_max_iterations": 1}),
        ReasonCode.PROXY_WALLCLOCK_LIMIT: Refusal(an_hour_apart, {"proxy_max_wall_s": 60}),
        ReasonCode.ERR_ISLAND_MODE_RESTRICTED: Refusal(without_a_limit, ISLAND),
    }
)


@pytest.mark.parametrize("code", THROUGH_PROXY, ids=str)
async def test_every_code_of_the_proxy_has_its_record_and_its_receipt(code: ReasonCode, tmp_path: Path) -> None:
    house, refusal = House.build(tmp_path), THROUGH_PROXY[code]
    (house.path / "prices.toml").write_text(PRICES)
    async with open_lane(house, answered(completion(call("get_weather"))), **refusal.settings) as lane:
        await refusal.attack(lane)
        receipt = (await lane.receipts())[-1]
        record = await lane.record_of(receipt["receipt_id"])
    assert receipt["reason_code"] == code
    assert receipt["door"] == "openai"
    assert record["record_hash"] == receipt["record_hash"]
