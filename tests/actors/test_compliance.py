"""Compliance rules on a running kernel: no spelling, no other name and no middleman takes data where it may not go."""

from __future__ import annotations

import json

import pytest

from actors.commands.delegation import BindDelegation
from actors.kernel import Kernel
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical, parse
from helm.guardian.chain import CHAIN
from helm.guardian.facts import read_facts
from helm.guardian.intake import PLAIN, Terms
from tests.actors.delegating import grant, policy_of, signature, under
from tests.actors.kit import House
from tests.actors.policies import POLICY

RULES = """
data_class_order = ["public", "internal", "medical"]

[[compliance.places]]
jurisdiction = "EU"
destinations = ["*.eu.example.com", "198.51.100.0/24"]
principals = ["ann", "boss", "delegate"]
tenants = ["acme", "default"]

[[compliance.places]]
jurisdiction = "US"
destinations = ["*.us.example.com", "203.0.113.0/24"]

[[compliance.rules]]
id = "eu-only"
tools = ["export"]
of = ["destination", "principal", "tenant"]
allow_jurisdictions = ["EU"]

[[compliance.rules]]
id = "interns"
tools = ["export", "files"]
principals = ["intern-*", "boss"]
max_data_class = "public"

[[compliance.rules]]
id = "deleted-in-time"
tools = ["kept"]
max_retention_days = 30
"""
TOOLS = """
[tools.export]
connector = "local"
effect_type = "egress"
risk_tier = "T1"
principals = ["*"]
data_classes = ["public"]
retention_days = 90
destination = { argument = "to" }
allow_destinations = ["*.example.com", "198.51.100.0/24", "203.0.113.0/24"]
input = '{"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}'
output = '{}'

[tools.files]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
data_classes = ["internal"]
retention_days = 90
input = '{"type": "object"}'
output = '{}'

[tools.kept]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
retention_days = 31
input = '{"type": "object"}'
output = '{}'
"""
HEAD = "[compliance]\n"
assert HEAD in POLICY
RULED = POLICY.replace(HEAD, HEAD + RULES.partition("[[")[0], 1) + "\n[[" + RULES.partition("[[")[2] + TOOLS

JURISDICTION, COMPLIANCE = ReasonCode.JURISDICTION_VIOLATION, ReasonCode.COMPLIANCE_VIOLATION


async def came(
    kernel: Kernel, tool: str, to: str = "", principal: str = "ann", tenant: str = "acme", terms: Terms = PLAIN
) -> tuple[str, str]:
    """Make one call; return the code and the reason of its answer."""
    answer = await kernel.call(
        tool, {"to": to} if to else {}, principal=principal, session=f"of-{principal}", tenant=tenant, terms=terms
    )
    return answer.reason_code, answer.reason


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("https://a.eu.example.com/x", ReasonCode.NONE),
        ("https://A.EU.example.com.:443", ReasonCode.NONE),
        ("https://198.51.100.7", ReasonCode.NONE),
        ("https://a.us.example.com", JURISDICTION),
        ("https://A.US.EXAMPLE.COM.", JURISDICTION),
        ("https://203.0.113.7:8443", JURISDICTION),
        ("https://[::ffff:203.0.113.7]", JURISDICTION),
        ("https://nowhere.example.com", JURISDICTION),
        ("https://eu.example.com", JURISDICTION),  # the pattern means what is below it
        ("https://a.eu.example.com@a.us.example.com", ReasonCode.DATA_EGRESS_BLOCKED),
    ],
)
async def test_no_spelling_takes_data_to_another_jurisdiction(house: House, to: str, code: ReasonCode) -> None:
    async with house.kernel(policy=RULED) as kernel:
        found, reason = await came(kernel, "export", to)
        assert found == code
        if code is JURISDICTION:
            assert reason.startswith("compliance rule eu-only: ")


async def test_neither_an_unknown_principal_nor_an_unknown_tenant_is_in_a_jurisdiction(house: House) -> None:
    async with house.kernel(policy=RULED) as kernel:
        assert (await came(kernel, "export", "https://a.eu.example.com", "eve"))[0] == JURISDICTION
        code, reason = await came(kernel, "export", "https://a.eu.example.com", "ann", "globex")
        assert (code, reason) == (
            JURISDICTION,
            "compliance rule eu-only: nothing says in which jurisdiction the tenant globex lies",
        )


async def test_whom_a_rule_limits_does_not_get_by_it_through_a_delegate(house: House) -> None:
    text = policy_of(house.place, RULED)
    one = grant(house.place, house.clock.now_ms(), {"export": "", "files": ""})
    free = text.replace('principals = ["intern-*", "boss"]', 'principals = ["intern-*"]')
    async with house.kernel(policy=free) as kernel:  # nothing bars the delegator when it delegates
        await kernel.command(BindDelegation(one, signature(one, house.place), kernel.parts.state.registry))
        assert (await came(kernel, "files", "", "delegate", "default", under(one, 1)))[0] == ReasonCode.NONE
    barred = text.replace("epoch = 7", "epoch = 8", 1)
    async with house.kernel(policy=barred) as kernel:
        code, reason = await came(kernel, "files", "", "delegate", "default", under(one, 2))
        assert (code, reason) == (COMPLIANCE, "compliance rule interns: the data class internal is above public")
        again = grant(house.place, house.clock.now_ms(), {"files": ""}, nonce="1" * 32)
        with pytest.raises(Invalid, match="rule interns"):
            await kernel.command(BindDelegation(again, signature(again, house.place), kernel.parts.state.registry))


async def test_a_rule_that_breaks_is_named_and_the_decision_can_be_made_again(house: House) -> None:
    async with house.kernel(policy=RULED) as kernel:
        refused = [await came(kernel, "kept"), await came(kernel, "files", "", "intern-1")]
    assert refused == [
        (COMPLIANCE, "compliance rule deleted-in-time: the tool keeps its data 31 days, at most 30 are allowed"),
        (COMPLIANCE, "compliance rule interns: the data class internal is above public"),
    ]
    policy = house.sign(RULED).policy
    made = [parse(row) for row in house.disk.rows if b'"facts"' in row]
    for entry in made:
        again = CHAIN.evaluate(*read_facts(canonical(entry["beside"]["facts"]), policy, "test")).decision
        assert again.id == entry["node"]["payload"]["decision"]["decision_id"]


async def test_facts_with_the_pace_of_another_rule_are_refused(house: House) -> None:
    async with house.kernel(policy=RULED) as kernel:
        await came(kernel, "slowly")
    policy = house.sign(RULED).policy
    facts = next(parse(row)["beside"]["facts"] for row in house.disk.rows if b'"facts"' in row)
    assert facts["world"]["velocity"][0][0] == "tools.slowly"
    for forged in (
        [],
        [["tools.other", *facts["world"]["velocity"][0][1:]]],
        [["tools.slowly", "x", "1", 0, "", 0]],
        [7],
    ):
        facts["world"]["velocity"] = forged
        with pytest.raises(Invalid):
            read_facts(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode(), policy, "test")
