"""A policy in which every way to be refused has a tool of its own."""

from typing import Final

OPEN: Final = """
input = '{"type": "object"}'
output = '{}'
"""
"""Schemas that admit any object and any answer."""

NUMBER: Final = """{
  "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false
}"""
TO: Final = '{"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}'
TEXTS: Final = '{"type": "object", "properties": {"body": {"type": "string"}, "title": {"type": "string"}}}'

POLICY: Final = f"""
version = "helm.policy/1"
scope = "test"
epoch = 7

[p0]
max_risk_tier = "T2"
denied_tools = ["shell.*"]
denied_effect_types = ["delete"]
denied_destinations = ["169.254.169.254"]

[compliance]
allowed_data_classes = ["public", "internal"]
allowed_jurisdictions = ["EU"]
min_retention_days = 30

[principals.delegate]
delegation_required = true

[principals.cleared]
data_classes = ["public"]
credentials = ["vault-key"]

[[budgets]]
id = "spend"
subject = "tool:pay"
spend_limit_cents = 1000
window_s = 3600

[[budgets]]
id = "few"
subject = "tool:limited"
tool_call_limit = 3
window_s = 3600

[[budgets]]
id = "writes"
subject = "principal:scribe"
write_operation_limit = 2
window_s = 3600

[connectors.local]
kind = "local"

[connectors.other]
kind = "local"

[tools.read]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
timeout_ms = 2000
{OPEN}

[tools.write]
connector = "local"
effect_type = "write"
risk_tier = "T1"
principals = ["*"]
timeout_ms = 2000
{OPEN}

[tools.strict]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
input = '''{NUMBER}'''
output = '''{NUMBER}'''

[tools.neighbour]
connector = "other"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
{OPEN}

[tools.pay]
connector = "local"
effect_type = "payment"
risk_tier = "T2"
principals = ["*"]
spend_cents = 10
{OPEN}

[tools.limited]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
{OPEN}

[tools.send]
connector = "local"
effect_type = "message"
risk_tier = "T1"
principals = ["*"]
destination = {{ argument = "to" }}
allow_destinations = ["https://*.example.com"]
deny_destinations = ["https://evil.example.com"]
input = '{TO}'
output = '{{}}'

[tools.metadata]
connector = "local"
effect_type = "egress"
risk_tier = "T1"
principals = ["*"]
destination = {{ argument = "to" }}
allow_destinations = ["*.example.com", "169.254.169.254"]
input = '{TO}'
output = '{{}}'

[tools.secret]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
credential = "vault-key"
{OPEN}

[tools.high]
connector = "local"
effect_type = "read"
risk_tier = "T3"
principals = ["*"]
{OPEN}

[tools."shell.run"]
connector = "local"
effect_type = "execute"
risk_tier = "T1"
principals = ["*"]
{OPEN}

[tools.wipe]
connector = "local"
effect_type = "delete"
risk_tier = "T1"
principals = ["*"]
{OPEN}

[tools.private]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["friend-*"]
{OPEN}

[tools.medical]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
data_classes = ["medical"]
retention_days = 60
{OPEN}

[tools.internal]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
data_classes = ["internal"]
retention_days = 60
{OPEN}

[tools.forgetful]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
data_classes = ["public"]
retention_days = 29
{OPEN}

[tools.abroad]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
jurisdiction = "US"
{OPEN}

[tools.needy]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
requires = [{{ id = "ticket", cel = "args.ticket == 'T-1'", reason = "name the ticket" }}]
{OPEN}

[tools.asking]
connector = "local"
effect_type = "payment"
risk_tier = "T1"
principals = ["*"]
approval = {{ required = true, expires_s = 600 }}
{OPEN}

[tools.wondering]
connector = "local"
effect_type = "payment"
risk_tier = "T1"
principals = ["*"]
approval = {{ when = "args.cents > 100", expires_s = 600 }}
{OPEN}

[tools.daylight]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
windows = [{{ days = ["mon", "tue", "wed", "thu", "fri"], from = "08:00", to = "18:00" }}]
{OPEN}

[tools.slowly]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
velocity = {{ window_s = 60, throttle_above = 3, interrupt_above = 5 }}
{OPEN}

[tools.counted]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
velocity = {{ window_s = 60, interrupt_above = 2 }}
{OPEN}

[tools.document]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
free_text = ["body"]
input = '{TEXTS}'
output = '{{}}'

[tools.brave]
connector = "local"
effect_type = "message"
risk_tier = "T1"
principals = ["*"]
accepts_tainted = true
destination = {{ argument = "to" }}
allow_destinations = ["https://*.example.com"]
input = '{TO}'
output = '{{}}'
"""


def with_epoch(epoch: int) -> str:
    """Return the same policy, signed later or earlier."""
    return POLICY.replace("epoch = 7", f"epoch = {epoch}")


def with_line(after: str, line: str, *, epoch: int = 8) -> str:
    """Return the policy with one more line behind `after`, under a newer epoch."""
    return with_epoch(epoch).replace(after, f"{after}\n{line}", 1)
