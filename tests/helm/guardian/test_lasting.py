"""What goes on is judged again by every office that can say no for a reason that may have come since."""

from __future__ import annotations

from helm.contracts.reason import ReasonCode
from helm.guardian.chain import CHAIN
from helm.guardian.destination import normalise
from helm.guardian.lasting import LASTING, withdrawn
from tests.actors.doors.connect.lane import POLICY
from tests.helm.guardian.worlds import call, policy, world

OPEN = world(policy=policy(POLICY))
TUNNEL = call("tunnel", {"destination": "https://a.example.com:443"})
ALLOWED_BY = OPEN.policy.policy_hash
LEADS_TO = normalise("https://127.0.0.1:443")


def test_every_office_looks_again_but_those_that_count() -> None:
    """Point and approval are asked within `pdp`; of it what may be asked again is asked again."""
    names = [office.name for office in LASTING.roster]
    assert names == [office.name for office in CHAIN.roster if office.name not in ("temporal", "budget")]


def test_what_is_still_allowed_goes_on() -> None:
    assert withdrawn(TUNNEL, OPEN, ALLOWED_BY, LEADS_TO) is None
    assert withdrawn(TUNNEL, OPEN, ALLOWED_BY, None) is None


def test_a_tunnel_ends_where_the_environment_is_no_longer_that_of_the_boot() -> None:
    for elsewhere in ("sha256:there", ""):
        found = withdrawn(TUNNEL, OPEN.but(fingerprint=elsewhere), ALLOWED_BY, LEADS_TO)
        assert found is not None
        assert found.code == ReasonCode.CONTEXT_MISMATCH


def test_a_tunnel_that_has_no_address_yet_ends_with_the_policy_that_would_have_found_it() -> None:
    found = withdrawn(TUNNEL, OPEN, "sha256:the one before", None)
    assert found is not None
    assert found.code == ReasonCode.POLICY_HASH_MISMATCH
    assert withdrawn(TUNNEL, OPEN, "sha256:the one before", LEADS_TO) is None
