"""A key that is taken back while the model thinks: what the model asks for is judged, and refused."""

from __future__ import annotations

import trio

from actors.commands.bearers import RevokeBearerKey
from tests.actors.doors.openai.lane import Lane, answered, call, completion, open_lane
from tests.actors.doors.street import SOON_S, raw_request
from tests.actors.kit import House


async def revoke(lane: Lane) -> None:
    """Take the agent's key back."""
    keys = lane.door.who.keys
    (key,) = [one for one in keys.everyone if one.tenant == "acme"]
    await lane.kernel.command(RevokeBearerKey(key.name, key, "it leaked", "operator", keys))


async def test_tool_calls_of_an_exchange_that_began_before_its_key_was_revoked_are_refused(house: House) -> None:
    async with open_lane(house) as lane:

        async def thinking(stream: trio.abc.Stream) -> None:
            await revoke(lane)
            await stream.send_all(answered(completion(call("get_weather"))))

        lane.upstream.answer = thinking
        raw = await lane.chat()
        (receipt,) = await lane.receipts()
    assert raw.status_code == 200
    assert "tool_calls" not in raw.text or '"tool_calls":null' in raw.text.replace(" ", "")
    assert (receipt["verdict"], receipt["reason_code"], receipt["tool"]) == (
        "DENY",
        "IDENTITY_ISOLATION_VIOLATION",
        "get_weather",
    )


async def test_a_key_that_is_revoked_while_its_request_comes_in_asks_no_model(house: House) -> None:
    body = b'{"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]}'
    async with open_lane(house) as lane, lane.street.connected() as client:
        raw = raw_request(lane.street.agent, body, path="/v1/chat/completions")
        await client.stream.send_all(raw[:-10])
        await revoke(lane)
        await client.stream.send_all(raw[-10:])
        said = b""
        with trio.fail_after(SOON_S):
            while b"the bearer key was revoked" not in said:
                piece = await client.stream.receive_some()
                assert piece, said
                said += piece
        assert lane.upstream.requests == []
    assert said.split(b" ", 2)[1] == b"401"
