"""Ceilings of the proxy: exchanges and hours of a session, money of a principal, and an island that has them all."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pytest
import trio

from actors.doors.openai.door import MAX_OF_PRINCIPAL
from actors.doors.openai.proxy import proxy_of
from helm.config import Config, read_config
from helm.contracts.errors import Invalid
from helm.openai.policy import check_island
from tests.actors.doors.openai.lane import ENVIRONMENT, POLICY, Lane, answered, completion, open_lane
from tests.actors.kit import House

PRICES = '[models."gpt-test"]\ninput_cents = 1000000\noutput_cents = 2000000\n'
"""A cent for a token that is said, two for one that is answered."""

SPENDING: dict[str, Any] = {
    "proxy_spend_limit_cents": 1000,
    "proxy_prices": "prices.toml",
    "proxy_output_tokens": 10,
}
HI = answered(completion(content="hi"))


async def code_of(lane: Lane, **more: Any) -> str:
    code: str = (await lane.refused(**more)).json()["error"]["code"]
    return code


async def asks(lane: Lane, **more: Any) -> int:
    given = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}], **more}
    return (await lane.street.ask("POST", "/v1/chat/completions", given)).status


@pytest.fixture
def rich(house: House) -> House:
    """An installation with a price table."""
    (house.path / "prices.toml").write_text(PRICES)
    return house


async def test_a_sessions_exchanges_are_counted_and_another_sessions_are_not(house: House) -> None:
    async with open_lane(house, HI, proxy_max_iterations=2) as lane:
        for _ in range(2):
            await lane.chat(X_Helm_Session="first")
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await lane.chat(X_Helm_Session="first")
        await lane.chat(X_Helm_Session="second")
        assert len(lane.upstream.requests) == 3
    assert refused.value.code == "PROXY_ITERATION_LIMIT"


async def test_a_restart_forgets_no_exchange(house: House) -> None:
    for _ in range(2):
        async with open_lane(house, HI, proxy_max_iterations=2) as lane:
            await lane.chat(X_Helm_Session="first")
    async with open_lane(house, HI, proxy_max_iterations=2) as lane:
        with pytest.raises(openai.PermissionDeniedError):
            await lane.chat(X_Helm_Session="first")


async def test_the_time_of_a_session_begins_with_its_first_exchange_and_not_with_the_process(house: House) -> None:
    async with open_lane(house, HI, proxy_max_wall_s=60) as lane:
        await lane.chat(X_Helm_Session="first")
    house.clock.advance(61)
    async with open_lane(house, HI, proxy_max_wall_s=60) as lane:
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await lane.chat(X_Helm_Session="first")
        await lane.chat(X_Helm_Session="second")
    assert refused.value.code == "PROXY_WALLCLOCK_LIMIT"


async def test_what_was_used_is_charged_and_what_was_only_reserved_is_given_back(rich: House) -> None:
    async with open_lane(rich, HI, **SPENDING) as lane:
        assert await asks(lane) == 200
        spent = lane.kernel.memory.exchanges.spent(("acme", "agent"), rich.clock.now_ms())
    assert spent == 10 * 1_000_000 + 5 * 2_000_000


async def test_a_principal_that_spent_its_day_is_refused_in_every_session_until_tomorrow(rich: House) -> None:
    async with open_lane(rich, HI, **SPENDING | {"proxy_spend_limit_cents": 115}) as lane:
        assert [await asks(lane) for _ in range(4)] == [200, 200, 403, 403]
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await lane.chat(X_Helm_Session="another")
        rich.clock.advance(86_400)
        assert await asks(lane) == 200
    assert refused.value.code == "BUDGET_EXCEEDED"


async def test_a_restart_forgets_no_cent(rich: House) -> None:
    async with open_lane(rich, HI, **SPENDING) as lane:
        await lane.chat()
    async with open_lane(rich, HI, **SPENDING) as lane:
        assert lane.kernel.memory.exchanges.spent(("acme", "agent"), rich.clock.now_ms()) == 20_000_000


async def test_an_answer_that_does_not_say_what_it_used_costs_what_was_reserved(rich: House) -> None:
    silent = completion(content="hi") | {"usage": None}
    async with open_lane(rich, answered(silent), **SPENDING) as lane:
        await lane.chat()
        spent = lane.kernel.memory.exchanges.spent(("acme", "agent"), rich.clock.now_ms())
        said = lane.upstream.requests[0].partition(b"\r\n\r\n")[2]
    assert spent == len(said) * 1_000_000 + 10 * 2_000_000


async def test_what_never_reached_the_model_costs_nothing(rich: House) -> None:
    async with open_lane(rich, HI, **SPENDING) as lane:
        lane.plays(b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n")
        assert await asks(lane) == 429
        assert lane.kernel.memory.exchanges.spent(("acme", "agent"), rich.clock.now_ms()) == 0


async def test_a_model_without_a_price_has_no_room_in_a_spend_ceiling(rich: House) -> None:
    async with open_lane(rich, HI, **SPENDING) as lane:
        assert await code_of(lane, model="gpt-other") == "BUDGET_ERROR"
        assert lane.upstream.requests == []


def test_a_spend_ceiling_without_a_price_table_does_not_start() -> None:
    with pytest.raises(Invalid, match="nobody knows what anything costs"):
        read_config("proxy_spend_limit_cents = 100")


TABLES = {
    "no table": "",
    "not TOML": "[models",
    "a price in words": '[models.m]\ninput_cents = "1"\noutput_cents = 1',
    "half a price": "[models.m]\ninput_cents = 1",
    "a fraction": "[models.m]\ninput_cents = 1.5\noutput_cents = 1",
    "a negative price": "[models.m]\ninput_cents = -1\noutput_cents = 1",
    "something else": "[models.m]\ninput_cents = 1\noutput_cents = 1\n[currency]\n",
}


@pytest.mark.parametrize("what", TABLES)
def test_a_price_table_that_cannot_be_relied_on_does_not_start(what: str, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(TABLES[what])
    config = Config(proxy_upstream="http://127.0.0.1:1", proxy_spend_limit_cents=1, proxy_prices="prices.toml")
    with pytest.raises(Invalid):
        proxy_of(config, tmp_path, ENVIRONMENT)


async def test_one_principal_does_not_take_every_place(house: House) -> None:
    async def hold(stream: trio.abc.Stream) -> None:
        arrived.release()
        await let_go.wait()
        await stream.send_all(HI)

    arrived, let_go = trio.Semaphore(0), trio.Event()
    async with open_lane(house) as lane, trio.open_nursery() as nursery:
        lane.upstream.answer = hold
        for _ in range(MAX_OF_PRINCIPAL):
            nursery.start_soon(asks, lane)
        for _ in range(MAX_OF_PRINCIPAL):
            await arrived.acquire()
        assert await code_of(lane) == "OVERLOADED"
        nursery.start_soon(partial(lane.street.ask, "GET", "/v1/models", key=lane.street.rival))
        await arrived.acquire()
        let_go.set()


# -- The island ----------------------------------------------------------------------------------------------------

ISLAND: dict[str, Any] = {
    **SPENDING,
    "island_mode": True,
    "proxy_max_iterations": 9,
    "proxy_max_wall_s": 60,
}


async def test_an_island_answers_what_says_how_long_its_answer_may_be(rich: House) -> None:
    async with open_lane(rich, HI, **ISLAND) as lane:
        assert await asks(lane, max_completion_tokens=10) == 200


IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"max_tokens": 5, "messages": IMAGE},
        {"max_tokens": 5, "tools": [{"type": "web_search"}]},
        {"max_tokens": 5, "web_search_options": {}},
    ],
    ids=["no limit", "an image from elsewhere", "a tool of the model's side", "a web search"],
)
async def test_an_island_asks_for_nothing_that_reaches_further(rich: House, body: dict[str, Any]) -> None:
    async with open_lane(rich, HI, **ISLAND) as lane:
        assert await code_of(lane, **body) == "ERR_ISLAND_MODE_RESTRICTED"
        assert lane.upstream.requests == []


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
async def test_an_island_sees_the_whole_conversation(rich: House, name: str) -> None:
    async with open_lane(rich, HI, **ISLAND) as lane:
        given = {"model": "gpt-test", "input": "hi", "max_output_tokens": 5, name: "of_yesterday"}
        reply = await lane.street.ask("POST", "/v1/responses", given)
    assert reply.json()["error"]["code"] == "ERR_ISLAND_MODE_RESTRICTED"


@pytest.mark.parametrize(
    "missing", ["proxy_upstream", "proxy_max_iterations", "proxy_max_wall_s", "proxy_spend_limit_cents"]
)
def test_an_island_without_a_ceiling_does_not_start(missing: str) -> None:
    settings = {"proxy_upstream": "http://127.0.0.1:1", **ISLAND}
    del settings[missing]
    toml = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    with pytest.raises(Invalid, match="island_mode needs hard ceilings"):
        read_config(toml)


def test_an_island_holds_every_stream() -> None:
    with pytest.raises(Invalid, match="island_mode holds every stream"):
        read_config("island_mode = true\nproxy_early_text = true")


ELSEWHERE = """
[connectors.orders]
kind = "http"
origin = "https://orders.example.com"
[connectors.orders.operations.get]
method = "GET"
path = "/"
"""


def test_an_islands_policy_reaches_no_other_host(house: House) -> None:
    check_island(house.sign(POLICY).policy, "https://api.example.com:443")
    with pytest.raises(Invalid, match="island mode") as refused:
        check_island(house.sign(POLICY + ELSEWHERE).policy, "https://api.example.com:443")
    assert refused.value.where == "connectors.orders"
    check_island(house.sign(POLICY + ELSEWHERE).policy, "https://orders.example.com:443")


# -- The upstream --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "ftp://api.example.com",
        "api.example.com",
        "https://u:p@api.example.com",
        "https://a/?x",
    ],
)
def test_an_upstream_that_cannot_be_trusted_with_a_key_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        proxy_of(Config(proxy_upstream=url), tmp_path, ENVIRONMENT)


def test_a_key_that_is_not_in_the_environment_is_missed_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not in the environment"):
        proxy_of(Config(proxy_upstream="https://api.example.com"), tmp_path, {})


async def test_a_client_brings_its_own_key_where_the_settings_say_so(house: House) -> None:
    async with open_lane(house, HI, environment={}, proxy_client_key=True) as lane:
        await lane.chat(X_Upstream_Key="sk-of-the-client")
        assert b"authorization: Bearer sk-of-the-client" in lane.upstream.requests[0]
