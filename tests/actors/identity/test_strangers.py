"""Whatever a stranger writes into a token, it is a holder or it is not believed: nothing else ever comes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from actors.identity.credentials import Credentials
from actors.identity.holder import Holder, Unbelieved
from actors.identity.tokens import import_keys, token_of
from actors.identity.trust import Trust
from actors.keys.bearer import BearerKeys
from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical
from helm.guardian.bearers import Bearers
from helm.guardian.bundle import load_toml
from tests.actors.doors.issuing import GOOD, NOON, SVID, curve, key, part, policy, public, signed, token, written
from tests.actors.kit import NOON_MS, HouseClock

TRUST = Trust.of(load_toml(policy(), "test policy"))

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
CLAIMS = st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "act", "cnf", "org", "scope", "env"])
MEMBERS = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "cty", "x5c", "more"])


def outcome(text: str) -> Holder | None:
    """Return the holder, None where the token is not believed; anything else is raised."""
    try:
        return TRUST.token_holder(text, NOON_MS, at_mcp=True)
    except Unbelieved as problem:
        assert len(str(problem)) < 300
        return None


@given(changes=st.dictionaries(CLAIMS, VALUES, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_claims_of_a_real_issuer(changes: dict[str, Any]) -> None:
    holder = outcome(signed(GOOD | changes, key(), {"alg": "Ed25519", "kid": "one"}))
    if holder is not None:
        assert holder.principal == f"oidc:corp:{changes.get('sub', 'alice')}"
        assert changes.get("act") is None


@given(changes=st.dictionaries(CLAIMS, VALUES, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_claims_of_a_real_trust_domain(changes: dict[str, Any]) -> None:
    holder = outcome(signed(SVID | changes, curve(), {"alg": "ES256", "kid": "svid"}))
    if holder is not None:
        assert holder.principal == SVID["sub"]


@given(changes=st.dictionaries(MEMBERS, VALUES, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_header_over_a_real_issuers_claims(changes: dict[str, Any]) -> None:
    _, claims, signature = token().split(".")
    header = part(json.dumps({"alg": "Ed25519", "kid": "one"} | changes).encode())
    assert outcome(f"{header}.{claims}.{signature}") is None


@given(raw=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_that_a_real_issuer_signs(raw: bytes) -> None:
    if raw:
        assert outcome(written(raw, key(), {"alg": "Ed25519", "kid": "one"})) is None


@given(text=st.text(alphabet=st.sampled_from("Aa0_-.= \n\x00\u0430"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text(text: str) -> None:
    found = token_of(f"Bearer {text}")
    if found:
        assert outcome(found) is None


# -- keys that a policy may not pin -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        {**public(curve())[0], "x": "AAAA"},
        {**public(curve())[0], "y": public(curve())[0]["x"]},
        {**public(curve())[0], "crv": "P-1"},
        {**public(key())[0], "x": "AA"},
        {**public(key())[0], "crv": "Ed1"},
        {**public(key())[0], "use": "enc"},
    ],
    ids=["short", "off its curve", "no curve", "short for Ed25519", "no such Ed", "for secrets"],
)
def test_a_key_that_proves_nothing_is_refused_with_its_policy(broken: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        import_keys(canonical({"keys": [broken]}), "identity.oidc.corp.jwks")


def test_an_algorithm_is_not_good_for_a_key_of_another_curve() -> None:
    other = ECKey.generate_key("P-384", {"kid": "wide"})
    trust = Trust.of(load_toml(policy(keys=public(other)).replace('"RS256"', '"ES256", "ES384"'), "test policy"))
    for algorithm, holds in (("ES256", False), ("ES384", True)):
        text = token(signer=other if holds else curve(), alg=algorithm, kid="wide")
        try:
            trust.token_holder(text, NOON_MS, at_mcp=False)
        except Unbelieved:
            assert not holds
        else:
            assert holds


def test_a_key_that_says_its_algorithm_signs_with_no_other() -> None:
    one = [{**public(key())[0], "alg": "ES256"}]
    trust = Trust.of(load_toml(policy(keys=one).replace('"RS256"', '"ES256"'), "test policy"))
    with pytest.raises(Unbelieved, match="another algorithm"):
        trust.token_holder(token(), NOON_MS, at_mcp=False)


# -- what is remembered -----------------------------------------------------------------------------------------------


def test_a_policy_that_was_not_tried_lets_nobody_in_by_broken_keys(tmp_path: Any) -> None:
    broken = policy().replace(public(key())[0]["x"], "AAAA")
    loaded = load_toml(broken, "test policy")
    who = Credentials(BearerKeys(tmp_path / "keys.json", ()), lambda: loaded, HouseClock(), Bearers())
    for _ in range(2):
        with pytest.raises(Unbelieved, match="keys cannot be used"):
            who.holder(f"Bearer {token({'exp': NOON + 60})}", None)
