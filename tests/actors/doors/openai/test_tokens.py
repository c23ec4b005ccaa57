"""A token as the api_key of OpenAI's own client: the tool calls that it gets are its holder's."""

from __future__ import annotations

import openai
import pytest

from tests.actors.doors.issuing import policy, token
from tests.actors.doors.openai.lane import POLICY, answered, call, completion, open_lane
from tests.actors.kit import House


async def test_a_token_is_an_api_key(house: House) -> None:
    async with open_lane(house, answered(completion(call("get_weather"))), policy=policy(base=POLICY)) as lane:
        raw = await lane.chat(key=token())
        receipts = await lane.receipts()
        with pytest.raises(openai.AuthenticationError):
            await lane.chat(key=token({"aud": "https://api.openai.com"}))
        assert await lane.receipts() == receipts
    assert raw.status_code == 200
    assert [(one["principal"], one["tenant"]) for one in receipts] == [("oidc:corp:alice", "acme")]
