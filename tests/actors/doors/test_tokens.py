"""Tokens at every door: only those of a pinned issuer, for us, now; and nobody gets another's name by one."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from actors.doors.calls import EXECUTE
from actors.identity import credentials
from actors.stream_client import StreamRefused, open_stream
from tests.actors.doors.issuing import (
    AUDIENCE,
    DOMAIN,
    FOREIGN,
    GOOD,
    ISSUER,
    NOON,
    PARTNER,
    WORKLOAD,
    curve,
    hmac_of_the_public_key,
    key,
    part,
    policy,
    public,
    rsa,
    svid,
    token,
    unsigned,
    written,
)
from tests.actors.doors.street import Reply, Street, open_street
from tests.actors.kit import House

READ = {"tool": "read", "arguments": {"path": "a"}, "session_id": "s"}


@asynccontextmanager
async def opened(house: House, text: str = "") -> AsyncIterator[Street]:
    async with open_street(house, policy=text or policy()) as street:
        yield street


async def change(street: Street, house: House, text: str) -> None:
    """Put another policy in force."""
    await street.kernel.activate(house.sign(text), street.kernel.executor.connectors)


def body_of(session: str = "s") -> dict[str, Any]:
    return READ | {"session_id": session}


# -- who comes in -----------------------------------------------------------------------------------------------------


async def test_a_token_makes_its_holder_a_principal_that_names_its_issuer(house: House) -> None:
    async with opened(house) as street:
        told = await street.call(READ, key=token())
    assert told.status == 200
    assert (told.receipt["principal"], told.receipt["tenant"]) == ("oidc:corp:alice", "acme")


async def test_a_jwt_svid_makes_its_holder_its_spiffe_id(house: House) -> None:
    async with opened(house) as street:
        told = await street.call(READ, key=svid())
    assert (told.receipt["principal"], told.receipt["tenant"]) == (WORKLOAD, "acme")


async def test_every_door_takes_a_token(house: House) -> None:
    async with opened(house) as street:
        control = await street.ask("GET", "/api/v1/receipts", key=token())
        session = await street.ask("POST", "/api/v1/sessions", {"session_id": "mine"}, key=token())
        verdict = await street.evaluate(READ, key=token())
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read", "arguments": {}}}
        mcp = await street.ask("POST", "/mcp", message, key=token(), host="localhost")
        plain = await street.ask("POST", "/mcp/v1/execute", READ | {"session_id": "p"}, key=token())
        async with open_stream(street.address.url, token()) as stream:
            streamed = await stream.call("read", {"path": "a"})
    assert (control.status, session.status, verdict.status, plain.status) == (200, 201, 200, 200)
    assert session.json()["principal"] == "oidc:corp:alice"
    assert mcp.json()["result"]["isError"] is False
    assert streamed.allowed


async def test_a_token_opens_nothing_that_is_for_operators(house: House) -> None:
    async with opened(house) as street:
        told = await street.ask("GET", "/api/v1/connectors", key=token({"sub": "operator"}))
    assert told.status == 403


async def test_the_policy_says_whose_tenant_a_claim_stands_for(house: House) -> None:
    async with opened(house) as street:
        told = await street.call(READ, key=partners("org-2"))
        stranger = await street.call(READ, key=partners("org-3"))
        other = await street.call(READ, key=partners("org-2", env="test"))
        nobody = await street.call(READ, key=partners(["org-2"]))
    assert (told.receipt["principal"], told.receipt["tenant"]) == ("oidc:partner:alice", "globex")
    assert (stranger.status, other.status, nobody.status) == (401, 401, 401)


def partners(org: Any, env: str = "prod", **claims: Any) -> str:
    changes = {"iss": PARTNER, "org": org, "env": env, **claims}
    return token(changes, signer=key("partner"), kid="partner")


# -- who does not -----------------------------------------------------------------------------------------------------


def said_twice() -> str:
    body = json.dumps(GOOD).encode()[:-1] + b',"sub":"operator"}'
    return written(body, key(), {"alg": "Ed25519", "kid": "one"})


def header_said_twice() -> str:
    """Name two keys in one header."""
    return ".".join([part(b'{"alg":"Ed25519","kid":"two","kid":"one"}'), *token().split(".")[1:]])


FORGED: dict[str, Callable[[], str]] = {
    "alg none": unsigned,
    "alg None": lambda: unsigned("None"),
    "HS256 with the public key": hmac_of_the_public_key,
    "an algorithm that the issuer does not use": lambda: token(signer=rsa(), alg="PS256", kid="rsa"),
    "a key of another type": lambda: token(signer=key(), alg="Ed25519", kid="rsa"),
    "a kid of another issuer": lambda: token(signer=key("partner"), kid="partner"),
    "another issuer's key under our kid": lambda: token(signer=key("partner")),
    "in the name of another issuer": lambda: token({"iss": PARTNER, "org": "org-1", "env": "prod"}),
    "a kid that is a path": lambda: token(kid="../../one"),
    "a kid that is no text": lambda: token(kid=1),
    "no kid": lambda: token(kid=None),
    "a key of its own (jwk)": lambda: token(signer=own(), jwk=public(own())[0]),
    "an address of its keys (jku)": lambda: token(jku="https://evil.example/jwks"),
    "a certificate of its own (x5c)": lambda: token(x5c=["AAAA"]),
    "an address of its certificate (x5u)": lambda: token(x5u="https://evil.example/cert"),
    "crit": lambda: token(crit=["exp"]),
    "crit of nothing": lambda: token(crit=[]),
    "b64 false": lambda: token(b64=False, crit=["b64"]),
    "nested": lambda: token(cty="JWT"),
    "compressed": lambda: token(zip="DEF"),
    "a logout token": lambda: token(typ="logout+jwt"),
    "a DPoP proof": lambda: token(typ="dpop+jwt"),
    "a type that is no text": lambda: token(typ=1),
    "another audience": lambda: token({"aud": "https://other.example"}),
    "an audience that begins alike": lambda: token({"aud": AUDIENCE + ".evil.example"}),
    "no audience": lambda: token({"aud": None}),
    "an empty audience": lambda: token({"aud": []}),
    "an audience that is no list of texts": lambda: token({"aud": [AUDIENCE, 1]}),
    "another issuer": lambda: token({"iss": "https://evil.example"}),
    "an issuer that begins alike": lambda: token({"iss": ISSUER + "/"}),
    "no issuer": lambda: token({"iss": None}),
    "an issuer that is no text": lambda: token({"iss": [ISSUER]}),
    "expired": lambda: token({"exp": NOON - 60}),
    "expired, said as a fraction": lambda: token({"exp": NOON - 60.5}),
    "without an end": lambda: token({"exp": None}),
    "an end that is a text": lambda: token({"exp": str(NOON + 600)}),
    "an end that is true": lambda: token({"exp": True}),
    "an end in a thousand years": lambda: token({"exp": NOON + 1000 * 365 * 86_400}),
    "not yet valid": lambda: token({"nbf": NOON + 120}),
    "issued tomorrow": lambda: token({"iat": NOON + 86_400}),
    "no subject": lambda: token({"sub": None}),
    "a subject with a letter that looks alike": lambda: token({"sub": "\u0430lice"}),
    "a subject of two words": lambda: token({"sub": "alice admin"}),
    "a subject that is too long to stand in a record": lambda: token({"sub": "a" * 250}),
    "a holder who acts for another": lambda: token({"act": {"sub": "bot"}}),
    "bound to a key that nobody showed": lambda: token({"cnf": {"x5t#S256": "A" * 43}}),
    "bound by another proof": lambda: token({"cnf": {"jkt": "A" * 43}}),
    "a claim that stands twice": said_twice,
    "a header that stands twice": header_said_twice,
    "a claim that two readers read differently": lambda: token({"n": 2**60}),
    "a letter changed": lambda: token()[:-2] + ("A" if token()[-2] != "A" else "B") + token()[-1],
    "two parts": lambda: token().rpartition(".")[0],
    "four parts": lambda: token() + ".AA",
    "an issuer's token with a workload's name": lambda: token({"sub": WORKLOAD}),
    "an SVID for another audience": lambda: svid({"aud": ["reports"]}),
    "an SVID without an audience": lambda: svid({"aud": None}),
    "an SVID that has expired": lambda: svid({"exp": NOON - 60}),
    "an SVID of a trust domain that nobody knows": lambda: svid({"sub": "spiffe://evil.example/a"}),
    "an SVID of another trust domain than its key's": lambda: svid({"sub": f"spiffe://{FOREIGN}/a"}),
    "an SVID signed by another trust domain": lambda: svid(signer=curve("foreign"), kid="foreign"),
    "an SVID signed by an issuer of tokens": lambda: svid(signer=key(), alg="Ed25519", kid="one"),
    "an SVID with a header of its own": lambda: svid(x5t="AAAA"),
    "an SVID of another type": lambda: svid(typ="at+jwt"),
    "an SVID of the trust domain itself": lambda: svid({"sub": f"spiffe://{DOMAIN}"}),
    "an SVID of the root path": lambda: svid({"sub": f"spiffe://{DOMAIN}/"}),
    "an SVID that climbs": lambda: svid({"sub": f"spiffe://{DOMAIN}/ns/../admin"}),
    "an SVID with an empty segment": lambda: svid({"sub": f"spiffe://{DOMAIN}/ns//a"}),
    "an SVID with a port": lambda: svid({"sub": f"spiffe://{DOMAIN}:8443/a"}),
    "an SVID with a user": lambda: svid({"sub": f"spiffe://evil@{DOMAIN}/a"}),
    "an SVID with a query": lambda: svid({"sub": f"spiffe://{DOMAIN}/a?x=1"}),
    "an SVID that is encoded": lambda: svid({"sub": f"spiffe://{DOMAIN}/%61"}),
    "an SVID in capitals": lambda: svid({"sub": f"spiffe://{DOMAIN.upper()}/a"}),
}


def own() -> OKPKey:
    return key("mallory")


@pytest.mark.parametrize("case", FORGED)
async def test_what_no_pinned_key_says_of_now_to_us_opens_nothing(house: House, case: str) -> None:
    async with opened(house) as street:
        forged = FORGED[case]()
        told = await street.call(READ, key=forged)
        listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        mcp = await street.ask("POST", "/mcp", listing, key=forged, host="localhost")
        control = await street.ask("GET", "/api/v1/receipts", key=forged)
        with pytest.raises(StreamRefused):
            async with open_stream(street.address.url, forged):
                pass
        assert not street.kernel.memory.sessions.bindings
        assert (await street.call(READ, key=token())).status == 200
    assert [told.status, mcp.status, control.status] == [401, 401, 401]
    assert all(piece not in told.body.decode() for piece in forged.split("."))


# -- one name, one holder ---------------------------------------------------------------------------------------------


async def test_the_same_subject_of_two_issuers_is_two_principals(house: House) -> None:
    async with opened(house) as street:
        ours = await street.call(body_of("one"), key=token())
        theirs = await street.call(body_of("two"), key=partners("org-1"))
        borrowed = await street.call(body_of("one"), key=partners("org-1"))
    assert {ours.receipt["principal"], theirs.receipt["principal"]} == {"oidc:corp:alice", "oidc:partner:alice"}
    assert ours.receipt["tenant"] == theirs.receipt["tenant"]
    assert borrowed.json()["reason_code"] == "IDENTITY_ISOLATION_VIOLATION"


async def test_a_token_in_the_name_of_a_bearer_keys_holder_is_somebody_else(house: House) -> None:
    async with opened(house) as street:
        key_holder = await street.call(body_of("own"))
        told = await street.call(body_of("own"), key=token({"sub": "agent"}))
    assert key_holder.receipt["principal"] == "agent"
    assert told.receipt["principal"] == "oidc:corp:agent"
    assert told.json()["reason_code"] == "IDENTITY_ISOLATION_VIOLATION"


async def test_a_holder_of_a_token_is_not_who_it_claims_to_be(house: House) -> None:
    async with opened(house) as street:
        told = await street.call(READ | {"principal": "oidc:corp:bob"}, key=token())
    assert told.status == 403
    assert told.json()["reason_code"] == "IDENTITY_ISOLATION_VIOLATION"


# -- how long a token counts ------------------------------------------------------------------------------------------


async def test_a_remembered_token_ends_when_it_says(house: House) -> None:
    async with opened(house) as street:
        good = token({"exp": NOON + 600})
        before = await street.call(READ, key=good)
        house.clock.advance(600 + 61)
        after = await street.call(READ, key=good)
    assert (before.status, after.status) == (200, 401)
    assert "expired" in after.json()["detail"]


async def test_a_remembered_token_ends_with_the_policy_that_pinned_its_key(house: House) -> None:
    async with opened(house) as street:
        good, other = token(), token(signer=rsa(), alg="RS256", kid="rsa")
        before = [(await street.call(READ, key=one)).status for one in (good, other)]
        await change(street, house, policy(epoch=8, keys=public(rsa())))
        after = [(await street.call(READ, key=one)).status for one in (good, other)]
    assert before == [200, 200]
    assert after == [401, 200]


async def test_an_issuer_turns_its_keys_without_anybody_being_shut_out(house: House) -> None:
    async with opened(house) as street:
        await change(street, house, policy(epoch=8, keys=public(key(), key("next"))))
        both = [(await street.call(READ, key=one)).status for one in (token(), token(signer=key("next"), kid="next"))]
        await change(street, house, policy(epoch=9, keys=public(key("next"))))
        last = [(await street.call(READ, key=one)).status for one in (token(), token(signer=key("next"), kid="next"))]
    assert (both, last) == ([200, 200], [401, 200])


async def test_a_stream_ends_with_the_token_that_opened_it(house: House) -> None:
    async with opened(house) as street:
        async with open_stream(street.address.url, token()) as stream:
            assert (await stream.call("read", {"path": "a"})).allowed
            house.clock.advance(700)
            with pytest.raises(Exception, match="ended"):
                await stream.call("read", {"path": "b"})
        async with open_stream(street.address.url, token({"exp": NOON + 1400})) as stream:
            assert (await stream.call("read", {"path": "a"})).allowed
            await change(street, house, policy(epoch=8, keys=public(rsa())))
            with pytest.raises(Exception, match="policy has changed"):
                await stream.call("read", {"path": "b"})


async def test_more_tokens_than_are_remembered_still_count(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "MAX_REMEMBERED", 2)
    async with opened(house) as street:
        tokens = [token({"jti": str(number)}) for number in range(4)]
        told = [(await street.call(READ, key=one)).status for one in (*tokens, *tokens)]
    assert told == [200] * 8


# -- what a token leaves behind ---------------------------------------------------------------------------------------


async def test_no_token_stands_in_an_answer_a_log_or_the_journal(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good, bad = token(), token({"aud": "https://other.example"})
    async with opened(house) as street:
        replies: list[Reply] = []
        for one in (good, bad):
            replies.append(await street.call(READ, key=one))
            replies.append(await street.ask("POST", EXECUTE, b"{", key=one, content_type="application/json"))
        journal = street.kernel.parts.journal
        rows = b"".join([row for _, row in await journal.read(1, journal.head)])
    kept = rows + b"".join(reply.body for reply in replies) + caplog.text.encode()
    for one in (good, bad):
        assert all(piece.encode() not in kept for piece in one.split("."))


# -- the MCP door's own profile ---------------------------------------------------------------------------------------

RESOURCE = "https://gateway.corp.example/mcp"
OWN_ISSUER = "https://login.tools.example"


def with_profile() -> str:
    """Return a policy whose MCP door takes tokens of the corp's issuer, and of one that only this door knows."""
    text = policy().replace(f'audiences = ["{AUDIENCE}"]', f'audiences = ["{AUDIENCE}", "{RESOURCE}"]', 1)
    text = text.replace("[tools.strict]\n", '[tools.strict]\nscopes = ["numbers"]\n')
    return f"""{text}
[oauth]
resource = "{RESOURCE}"
authorization_servers = ["{ISSUER}", "{OWN_ISSUER}"]
algorithms = ["Ed25519"]
jwks = '{json.dumps({"keys": public(key("tools"))})}'
required_scopes = ["tools"]
tenant = "acme"
"""


async def strict(street: Street, credential: str) -> Reply:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "strict", "arguments": {"n": 1}}}
    return await street.ask("POST", "/mcp", message, key=credential, host="localhost")


def for_mcp(**changes: Any) -> str:
    return token({"aud": RESOURCE, "scope": "tools numbers"} | changes)


def of_tools(**changes: Any) -> str:
    return token({"iss": OWN_ISSUER, "aud": RESOURCE, "scope": "tools numbers"} | changes, key("tools"), kid="tools")


async def test_at_the_mcp_door_a_token_goes_as_far_as_its_scopes_whoever_issued_it(house: House) -> None:
    async with opened(house, with_profile()) as street:
        both = [await strict(street, one) for one in (for_mcp(), of_tools())]
        short = [await strict(street, one) for one in (for_mcp(scope="tools"), of_tools(scope="tools"))]
        general = await strict(street, token({"scope": "tools numbers"}))  # for this HELM, and not for this resource
        receipts = [one.json()["result"]["_meta"]["helm/receipt_id"] for one in both]
        stories = [await street.kernel.library.story(one) for one in receipts]
    assert [one.status for one in short] == [403, 403]
    assert all('error="insufficient_scope"' in one.headers["www-authenticate"] for one in short)
    assert "INSUFFICIENT_PRIVILEGE" in general.body.decode()
    assert [story and story["receipt"]["principal"] for story in stories] == ["oidc:corp:alice", "oidc:mcp:alice"]
    assert [story and story["record"]["oauth_scopes"] for story in stories] == [["numbers", "tools"]] * 2


async def test_a_token_of_the_mcp_doors_own_issuer_opens_no_other_door(house: House) -> None:
    async with opened(house, with_profile()) as street:
        assert (await strict(street, of_tools())).status == 200  # and is remembered there
        told = await street.call(READ, key=of_tools())
        control = await street.ask("GET", "/api/v1/receipts", key=of_tools())
        plain = await street.ask("POST", "/mcp/v1/execute", READ, key=of_tools())
    assert (told.status, control.status, plain.status) == (401, 401, 401)


async def test_no_issuer_speaks_in_the_name_of_another_at_the_mcp_door(house: House) -> None:
    async with opened(house, with_profile()) as street:
        crossed = [
            of_tools(iss=ISSUER),  # the profile's key under the corp's name
            token({"iss": OWN_ISSUER, "aud": RESOURCE, "scope": "tools numbers"}),  # the corp's key under the other's
            token({"aud": RESOURCE, "scope": "tools numbers"}, key("tools"), kid="one"),
        ]
        assert [(await strict(street, one)).status for one in crossed] == [401, 401, 401]
