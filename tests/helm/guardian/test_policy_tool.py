"""A tool's rule is compiled whole at load, and what cannot be meant is refused there."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.contracts.schema import SchemaViolation
from helm.crypto import domains
from helm.crypto.canonical import canonical
from helm.crypto.hashing import hash_in
from helm.guardian.bundle import compile_document
from helm.guardian.cel import CelError
from helm.guardian.connection import FilesConnection, HttpConnection, LocalConnection
from helm.guardian.destination import Pattern, normalise
from helm.guardian.glob import names_of
from helm.guardian.policy import ApprovalRule, DestinationRule
from helm.guardian.velocity import Scope, VelocityRule
from helm.guardian.window import Window
from tests.helm.guardian.bundles import FULL, document, policy, tool, without


def refusal(*path: str | int, **members: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        compile_document(document(*path, **members))
    return caught.value


def test_what_a_bundle_says_of_a_tool_stands_in_its_rule() -> None:
    rule = tool("pay")
    assert (rule.name, rule.connector, rule.operation) == ("pay", "local", "pay_invoice")
    assert (rule.effect_type, rule.risk_tier, rule.irreversible) == ("payment", "T2", True)
    assert (rule.timeout_ms, rule.spend_cents) == (5_000, 250)
    assert (rule.jurisdiction, rule.retention_days, rule.credential) == ("EU", 365, "vault:pay")
    assert rule.data_classes == {"internal"} and rule.free_text == {"note"} and not rule.accepts_tainted
    assert rule.destination == DestinationRule(fixed="https://bank.example.com:443", argument="")
    assert rule.velocity == (
        VelocityRule(
            id="tools.pay",
            per=Scope.PRINCIPAL,
            tools=names_of(["pay"], ""),
            window_s=60,
            observe_above=0,
            throttle_above=10,
            interrupt_above=20,
            cool_down_s=0,
        ),
    )
    assert rule.windows == (
        Window(id="window-0", days=frozenset({0, 4}), from_minute=480, to_minute=1_080),
        Window(id="window-1", days=frozenset(range(7)), from_minute=1_350, to_minute=1_440),
    )
    assert isinstance(rule.approval, ApprovalRule)
    assert (rule.approval.quorum, rule.approval.timelock_s, rule.approval.expires_s) == (2, 60, 600)
    assert rule.approval_when is rule.approval.when
    assert type(rule.effect_type) is str and type(rule.risk_tier) is str


def test_what_a_bundle_leaves_out_is_the_careful_choice() -> None:
    rule = tool("files.read")
    assert (rule.timeout_ms, rule.spend_cents, rule.irreversible) == (30_000, 0, False)
    assert rule.destination is None and rule.allow_destinations == rule.deny_destinations == ()
    assert rule.velocity == () and rule.approval is None and rule.approval_when is None
    assert not rule.requirements and not rule.windows and not rule.free_text
    assert not rule.accepts_tainted and rule.credential == "" and rule.jurisdiction == ""


def test_schemas_are_pinned_by_hash() -> None:
    rule = tool("pay")
    assert rule.input_schema_hash == hash_in(domains.SCHEMA, canonical(FULL["tools"]["pay"]["input"]))
    assert rule.output_schema_hash == hash_in(domains.SCHEMA, canonical(FULL["tools"]["pay"]["output"]))
    rule.input_schema.check({"iban": "DE00", "cents": 1})
    with pytest.raises(SchemaViolation):
        rule.input_schema.check({"iban": "DE00", "cents": 1, "to": "me"})
    with pytest.raises(SchemaViolation):
        rule.output_schema.check({"receipt": 7})


def test_requirements_are_compiled_and_hashed_as_a_set() -> None:
    small, own = tool("pay").requirements
    facts = {"args": {"cents": 10, "iban": "DE00"}}
    assert small.program.holds(facts) and own.program.holds(facts)
    assert (small.id, small.reason, own.reason) == ("small", "only small sums", "args.iban.startsWith('DE')")
    with pytest.raises(CelError):
        small.program.holds({"args": {}})
    looser = tool("pay", requires=[{"id": "small", "cel": "args.cents < 10001", "reason": "only small sums"}])
    assert looser.requirement_set_hash != tool("pay").requirement_set_hash
    assert tool("files.read").requirement_set_hash == hash_in(domains.REQUIREMENTS, b"[]")


@pytest.mark.parametrize(
    ("principal", "admitted"),
    [
        ("agent-1", True),
        ("agent-2", False),
        ("agent-11", False),
        ("clerk-", True),
        ("clerk-7", True),
        ("xclerk-7", False),
        ("", False),
        ("*", False),
    ],
)
def test_only_named_principals_are_admitted(principal: str, admitted: bool) -> None:
    assert tool("pay").admits(principal) is admitted


def test_a_tool_that_names_nobody_admits_nobody() -> None:
    rule = tool("orders.get")
    assert not any(rule.admits(name) for name in ("agent-1", "*", "", "root"))


# Schemas and conditions


@pytest.mark.parametrize("member", ["input", "output"])
@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"additonalProperties": False}, "#/additonalProperties"),
        ({"properties": {"a": {"$ref": "https://example.com/a"}}}, "#/properties/a/$ref"),
        ({"pattern": "(?=a)"}, "#/pattern"),
        ({"format": "made-up"}, "#/format"),
    ],
)
def test_a_schema_that_cannot_be_pinned_is_refused_with_its_pointer(
    member: str, schema: dict[str, Any], place: str
) -> None:
    assert refusal("tools", "files.read", **{member: schema}).where == f'tools."files.read".{member}{place}'


def test_a_schema_in_a_text_is_for_toml_only() -> None:
    assert refusal("tools", "pay", output='{"type": "object"}').where == "tools.pay.output"


@pytest.mark.parametrize("source", ["args.cents <", "user == 'x'", "now() > 1", "args.to.map(x, x) == []"])
def test_broken_conditions_are_refused_wherever_they_stand(source: str) -> None:
    requires = [{"id": "a", "cel": "true"}, {"id": "b", "cel": source}]
    assert refusal("tools", "pay", requires=requires).where == "tools.pay.requires[1].cel"
    assert refusal("tools", "pay", approval={"when": source}).where == "tools.pay.approval.when"


def test_two_requirements_of_one_name_are_refused() -> None:
    problem = refusal("tools", "pay", requires=[{"id": "a", "cel": "true"}, {"id": "a", "cel": "false"}])
    assert problem.where == "tools.pay.requires[1].id"


@pytest.mark.parametrize("names", [["nte"], ["note", "iba"]])
def test_a_document_argument_must_be_one_that_the_schema_knows(names: list[str]) -> None:
    assert "no property" in refusal("tools", "pay", free_text=names).what


# Approval, velocity, windows


@pytest.mark.parametrize(
    "approval",
    [
        {},
        {"required": False},
        {"required": True, "when": "true"},
        {"quorum": 2},
        {"required": True, "quorum": 0},
        {"required": True, "quorum": 17},
        {"required": True, "expires_s": 0},
        {"required": True, "timelock_s": -1},
        {"required": True, "timelock_s": 600, "expires_s": 600},
        {"required": True, "timelock_s": 4_000},
    ],
)
def test_an_approval_that_cannot_be_asked_for_or_given_is_refused(approval: dict[str, Any]) -> None:
    assert refusal("tools", "pay", approval=approval).where.startswith("tools.pay.approval")


@pytest.mark.parametrize(
    "velocity",
    [
        {"window_s": 60},
        {"window_s": 0, "throttle_above": 1},
        {"window_s": 60, "throttle_above": 0},
        {"window_s": 60, "throttle_above": 4_097},
        {"window_s": 90_000, "interrupt_above": 1},
    ],
)
def test_a_velocity_that_limits_nothing_or_cannot_be_counted_is_refused(velocity: dict[str, Any]) -> None:
    assert refusal("tools", "pay", velocity=velocity).where.startswith("tools.pay.velocity")


@pytest.mark.parametrize(
    "window",
    [
        {"from": "08:00", "to": "08:00"},
        {"from": "22:00", "to": "06:00"},
        {"from": "8:00", "to": "09:00"},
        {"from": "00:00", "to": "24:01"},
        {"from": "00:00", "to": "25:00"},
        {"from": "00:60", "to": "02:00"},
        {"days": [], "from": "08:00", "to": "09:00"},
        {"days": ["monday"], "from": "08:00", "to": "09:00"},
        {"days": ["Mon"], "from": "08:00", "to": "09:00"},
        {"days": ["mon", "mon"], "from": "08:00", "to": "09:00"},
    ],
)
def test_a_window_that_is_never_open_is_refused(window: dict[str, Any]) -> None:
    assert refusal("tools", "pay", windows=[window]).where.startswith("tools.pay.windows[0]")


# Destinations


def reaches(rule: Any, text: str) -> bool:
    return any(pattern.matches(normalise(text)) for pattern in rule.allow_destinations)


def test_a_tool_may_only_go_where_it_says() -> None:
    rule = tool("pay")
    assert reaches(rule, "https://bank.example.com") and reaches(rule, "https://api.bank.example.com")
    assert not reaches(rule, "https://example.com")
    assert rule.deny_destinations == (Pattern.parse("10.0.0.0/8"),)


def test_a_fixed_destination_declares_itself_and_nothing_else() -> None:
    whole = without("tools", "pay", "allow_destinations")
    rule = compile_document(whole).tool("pay")
    assert rule is not None
    assert reaches(rule, "https://bank.example.com:443")
    assert not reaches(rule, "http://bank.example.com") and not reaches(rule, "https://bank.example.com:8443")


def test_a_named_destination_declares_nothing_by_itself() -> None:
    rule = compile_document(without("tools", "fetch", "allow_destinations")).tool("fetch")
    assert rule is not None and rule.destination is not None
    assert rule.destination.argument == "url" and rule.allow_destinations == ()


def test_a_service_s_tool_goes_to_the_service() -> None:
    rule = tool("orders.get")
    assert rule.destination == DestinationRule(fixed="https://orders.example.com:443", argument="")
    assert reaches(rule, "https://orders.example.com") and not reaches(rule, "https://evil.example.com")
    fetch = tool("fetch")
    assert fetch.destination == DestinationRule(fixed="", argument="url")
    tool("orders.get", destination={"fixed": "https://ORDERS.example.com"})


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("pay", {"destination": {}}),
        ("pay", {"destination": {"fixed": "https://a.example", "argument": "iban"}}),
        ("pay", {"destination": {"fixed": "https://user@a.example"}}),
        ("pay", {"destination": {"fixed": "http://0x7f.1"}}),
        ("pay", {"destination": {"argument": "nowhere"}}),
        ("pay", {"destination": {"argument": "note"}}),
        ("pay", {"destination": {"argument": "cents"}}),
        ("pay", {"allow_destinations": ["*"]}),
        ("pay", {"allow_destinations": ["https://a.example/path"]}),
        ("pay", {"deny_destinations": ["a.*.example"]}),
        ("files.read", {"destination": {"fixed": "https://a.example"}}),
        ("files.read", {"allow_destinations": ["a.example"]}),
        ("files.read", {"deny_destinations": []}),
        ("orders.get", {"destination": {"fixed": "https://evil.example"}}),
        ("orders.get", {"destination": {"fixed": "http://orders.example.com"}}),
        ("orders.get", {"destination": {"argument": "order_id"}}),
        ("fetch", {"destination": {"fixed": "https://example.com"}}),
        ("fetch", {"input": {"type": "object", "properties": {"url": {"type": "string"}}}}),
        ("fetch", {"input": {"type": "object", "properties": {"url": {}}, "required": ["url"]}}),
        ("fetch", {"input": {"properties": {"url": {"type": "string"}}, "required": ["url"]}}),
    ],
)
def test_a_destination_that_could_be_read_in_two_ways_is_refused(name: str, members: dict[str, Any]) -> None:
    refusal("tools", name, **members)


# Connectors


def test_what_a_bundle_says_of_connectors_is_read() -> None:
    connectors = policy().connectors
    assert connectors["local"] == LocalConnection(name="local")
    assert connectors["files"] == FilesConnection(name="files", root="files", max_bytes=1_000)
    orders = connectors["orders"]
    assert isinstance(orders, HttpConnection)
    assert (orders.origin, orders.max_response_bytes) == ("https://orders.example.com:443", 65_536)
    assert orders.operations["get_order"].method == "GET" and orders.headers == {"X-Client": "helm"}
    web = connectors["web"]
    assert isinstance(web, HttpConnection) and web.origin == "" and not web.allow_private


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("pay", {"connector": "nobody"}),
        ("files.read", {"operation": "write"}),
        ("files.read", {"operation": ""}),
        ("orders.get", {"operation": "delete_everything"}),
        ("orders.get", {"operation": ""}),
    ],
)
def test_a_tool_without_its_connector_or_operation_is_refused(name: str, members: dict[str, Any]) -> None:
    refusal("tools", name, **members)


@pytest.mark.parametrize(
    "members",
    [
        {"origin": "ftp://orders.example.com"},
        {"origin": "orders.example.com"},
        {"origin": "https://orders.example.com/api"},
        {"origin": "https://user:pw@orders.example.com"},
        {"origin": "https://127.1"},
        {"origin": ""},
        {"operations": {}},
        {"operations": {"get_order": {"method": "GET"}}},
        {"operations": {"get_order": {"method": "get", "path": "/"}}},
        {"operations": {"get_order": {"method": "TRACE", "path": "/"}}},
        {"operations": {"get_order": {"method": "GET", "path": "orders"}}},
        {"operations": {"get_order": {"method": "GET", "path": "/{a b}"}}},
        {"operations": {"get_order": {"method": "GET", "path": "/?a=b"}}},
        {"operations": {"get_order": {"method": "GET", "path": "/", "url_argument": "url"}}},
        {"headers": {"Authorization": "Bearer x"}},
        {"headers": {"cookie": "a=b"}},
        {"headers": {"x bad": "a"}},
        {"headers": {"X-Line": "a\r\nHost: evil"}},
        {"headers": {"X-Number": 3}},
        {"max_response_bytes": 0},
        {"max_response_bytes": 2**30},
        {"root": "files"},
    ],
)
def test_a_service_that_is_no_one_place_is_refused(members: dict[str, Any]) -> None:
    refusal("connectors", "orders", **members)


def test_a_service_without_an_origin_takes_its_place_from_an_argument_only() -> None:
    refusal("connectors", "web", operations={"fetch": {"method": "GET", "path": "/"}})
    refusal("connectors", "files", root="")


@pytest.mark.parametrize(("typed", "hint"), [("kind", "add effect_type"), ("effect_tpye", "rename 'effect_tpye'")])
def test_a_misspelt_key_that_must_be_there_is_named(typed: str, hint: str) -> None:
    bundle = without("tools", "pay", "effect_type")
    bundle["tools"]["pay"][typed] = "payment"
    with pytest.raises(Invalid) as caught:
        compile_document(bundle)
    assert hint in caught.value.hint
