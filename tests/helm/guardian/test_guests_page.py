"""What docs/guests.md writes down is a policy that compiles, and none of its grants says too much."""

from __future__ import annotations

import re

from helm.guardian.bundle import load_toml
from helm.guardian.connection import WasmConnection
from helm.guardian.overgrant import overgrants
from tests.actors.policies import POLICY
from tests.gates.source import ROOT

PAGE = (ROOT / "docs" / "guests.md").read_text(encoding="utf-8")
WRITTEN = "\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)).replace("sha256:...", "sha256:" + "0" * 64)


def test_the_policy_of_the_page_compiles_and_grants_no_more_than_it_may() -> None:
    policy = load_toml(f"{POLICY}\n{WRITTEN}", "docs/guests.md")
    grants = {name: one.grant for name, one in policy.connectors.items() if isinstance(one, WasmConnection)}
    assert {*grants} == {"sums", "reports"}
    assert [overgrants(grant, policy.p0.sandbox) for grant in grants.values()] == [(), ()]
