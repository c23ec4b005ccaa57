"""What docs/identity.md shows is what the program takes."""

from __future__ import annotations

import json
import re
from typing import Final

from actors.identity.trust import Trust
from helm.config import read_config
from helm.guardian.bundle import load_toml
from helm.guardian.bundle_identity import DEFAULT_AGE_S, DEFAULT_LEEWAY_S, MAX_LEEWAY_S
from tests.actors.doors.issuing import authority, bundle, curve, public, root_entry, svid_key
from tests.actors.policies import POLICY
from tests.gates.source import ROOT

DOCUMENT: Final = (ROOT / "docs" / "identity.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)


def filled(text: str) -> str:
    """Put keys where the text leaves them out."""
    jwks = json.dumps({"keys": public(curve())})
    text = re.sub(r"^jwks = .*$", f"jwks = '{jwks}'", text, flags=re.MULTILINE)
    both = bundle(svid_key(curve()), root_entry(authority()))
    return re.sub(r"^bundle = .*$", f"bundle = '{both}'", text, flags=re.MULTILINE)


def test_the_tables_of_the_document_are_a_policy() -> None:
    policy, spiffe, settings = BLOCKS
    found = Trust.of(load_toml(POLICY + filled(policy) + filled(spiffe), "docs/identity.md"))
    assert list(found.issuers) == ["https://login.corp.example"]
    assert list(found.domains) == ["prod.example"]
    assert read_config(settings).client_certificates == "optional"


def test_the_document_states_the_defaults_and_bounds_as_they_are() -> None:
    assert f"kernel's: {DEFAULT_LEEWAY_S}, at most {MAX_LEEWAY_S}" in DOCUMENT
    assert f"still count: {DEFAULT_AGE_S:,}, at most a week" in DOCUMENT
