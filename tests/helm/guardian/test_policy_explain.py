"""An explanation names what will be asked, in the order of the roster, and settles nothing that a call decides."""

from __future__ import annotations

from helm.guardian.bundle import load_toml
from helm.guardian.explain import explain
from helm.guardian.explanation import Row
from tests.actors.policies import POLICY
from tests.helm.guardian.bundles import policy

ORDER = [
    "freeze",
    "context",
    "identity",
    "egress",
    "threat",
    "delegation",
    "effect",
    "temporal",
    "compliance",
    "pep",
    "authz",
    "prg",
    "pdp",
    "budget",
]


def rows(tool: str, principal: str = "", phase: str = "") -> list[Row]:
    return [row for row in explain(policy(), tool, principal) if phase in ("", row.phase)]


def test_the_rows_come_in_the_order_in_which_the_guardian_asks() -> None:
    for tool in policy().tools:
        places = [ORDER.index(row.phase) for row in rows(tool, "agent-1")]
        assert places == sorted(places)


def test_a_tool_that_is_not_declared_is_denied() -> None:
    assert rows("nothing") == [Row("effect", "the policy declares no tool nothing", "DENY NO_POLICY_DEFINED")]


def test_everything_that_a_bundle_says_of_a_tool_is_there() -> None:
    text = "\n".join(f"{row.phase}: {row.what} -> {row.outcome}" for row in rows("pay", "agent-1"))
    for part in (
        "identity: the principal holds the credential vault:pay -> PASS",
        "egress: goes to https://bank.example.com:443",
        "egress: 3 patterns of destinations are denied",
        "threat: scans the arguments for injection, but not the documents note",
        "effect: the policy is in force from 1790000000000 ms",
        "effect: the policy is stale 86400 s later",
        "effect: payment, T2, irreversible, through local, operation pay_invoice -> PASS",
        "velocity tools.pay: at most 20 calls of one principal in 60 s -> beyond that: ESCALATE TEMPORAL_INTERVENTION",
        "velocity tools.pay: at most 10 calls of one principal in 60 s -> beyond that: DENY TEMPORAL_THROTTLE",
        "temporal: window window-0: runs alone mon fri 08:00-18:00 UTC0 -> else ESCALATE TEMPORAL_INTERVENTION",
        "compliance: touches internal -> PASS",
        "compliance: keeps its data 365 days -> PASS",
        "compliance: in EU -> PASS",
        "pep: the arguments satisfy sha256:",
        "prg: small: only small sums",
        "prg: own: args.iban.startsWith('DE')",
        "pdp: P0 ceilings: none forbids it -> PASS",
        "pdp: names agent-1 -> PASS",
        "2 approvers of alice, bob after 60 s, within 600 s, where args.cents > 1000 -> ESCALATE if it holds",
        "budget: p0: 1 of 1000 calls, 250 of 5000 cents per 3600 s",
        "budget: each: 1 of 5 write operations per 60 s",
        "budget: one: 1 of 50 calls per 60 s",
    ):
        assert part in text


def test_what_is_settled_against_a_principal_is_said() -> None:
    outcomes = [row.outcome for row in rows("pay", "agent-2")]
    assert "DENY IDENTITY_ISOLATION_VIOLATION" in outcomes and "DENY INSUFFICIENT_PRIVILEGE" in outcomes
    assert not [row for row in rows("pay", "agent-2") if row.what.startswith("one:")]
    assert rows("pay", "delegate-1", "delegation")


def test_without_a_principal_nothing_is_settled_about_one() -> None:
    asked = [
        row
        for row in rows("pay")
        if row.what in ("names the principal", "the principal holds the credential vault:pay")
    ]
    assert {row.outcome for row in asked} == {"per call"} and len(asked) == 2


def test_ceilings_and_compliance_are_settled_without_a_call() -> None:
    lower = policy("p0", max_risk_tier="T1")
    assert Row("pdp", "P0 ceilings: max_risk_tier T1", "DENY PDP_DENY") in explain(lower, "pay")
    elsewhere = policy("tools", "pay", jurisdiction="US", retention_days=1, data_classes=["personal"])
    outcomes = [row.outcome for row in explain(elsewhere, "pay", "agent-1") if row.phase == "compliance"]
    assert outcomes == ["DENY COMPLIANCE_VIOLATION", "DENY COMPLIANCE_VIOLATION", "DENY JURISDICTION_VIOLATION"]


def test_a_tool_without_a_network_or_with_a_named_one_says_so() -> None:
    assert rows("files.read", phase="egress") == [Row("egress", "reaches no network", "PASS")]
    assert rows("fetch", phase="egress")[0].what == "goes to what the argument url names"


def test_an_approval_that_is_always_needed_is_an_escalation() -> None:
    asking = policy("tools", "pay", approval={"required": True})
    assert explain(asking, "pay")[-1].phase == "budget"
    assert "ESCALATE APPROVAL_REQUIRED" in [row.outcome for row in explain(asking, "pay")]


def test_taint_that_is_accepted_is_mentioned() -> None:
    assert "accepts calls of tainted sessions" in [
        row.what for row in explain(policy("tools", "pay", accepts_tainted=True), "pay")
    ]


def test_scopes_and_relations_are_explained() -> None:
    text = POLICY.replace("[tools.read]\n", '[tools.read]\nscopes = ["files"]\n')
    text += """
[authz]
model_id = "m"
max_age_s = 60
relations = { document = { viewer = [] } }
[tools.open]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
authz = { object_type = "document", object_id = "7", relation = "viewer" }
input = '{}'
output = '{}'
"""
    written = load_toml(text, "test")
    assert [row.what for row in explain(written, "read") if "token" in row.what] == ["the access token carries files"]
    assert [row.what for row in explain(written, "open") if row.phase == "authz"] == [
        "the caller is viewer of the document 7",
        "relationships are stale after 60 s",
    ]
