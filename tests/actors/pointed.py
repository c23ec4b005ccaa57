"""A policy with tools that need a decision point."""

from __future__ import annotations

from tests.actors.policies import POLICY

NUMBER = """input = '''{
  "type": "object", "properties": {"n": {"type": "integer"}, "note": {"type": "string"}}, "required": ["n"],
  "additionalProperties": false
}'''
output = '{}'
"""

CEDAR = (
    """
[decision_points.house]
kind = "cedar"
policies = '''
@id("small")
permit (principal in Group::"staff", action == Action::"weighed", resource) when { context.arguments.n < 100 };
@id("no-thirteen")
forbid (principal, action, resource) when { context.arguments.n == 13 };
@id("odd")
forbid (principal, action, resource) when { context.arguments.n + 9223372036854774807 < 0 };
'''
schema = '''
entity Principal in [Group];
entity Group;
entity Tool;
action "weighed" appliesTo {
  principal: Principal, resource: Tool, context: { call: HelmCall, arguments: { n: Long, note?: String } }
};
'''
entities = '''[
  {"uid": {"type": "Principal", "id": "agent"}, "attrs": {}, "parents": [{"type": "Group", "id": "staff"}]},
  {"uid": {"type": "Group", "id": "staff"}, "attrs": {}, "parents": []}
]'''

[tools.weighed]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
decision_point = { name = "house", arguments = ["n", "note"] }
"""
    + NUMBER
)

TOOL = (
    """
[tools.asked]
connector = "local"
effect_type = "write"
risk_tier = "T1"
principals = ["agent", "other"]
spend_cents = 3
decision_point = { name = "remote", arguments = ["n"] }
"""
    + NUMBER
)


def opa(port: int, *, more: str = "", bundles: str = '{ main = "r1" }') -> str:
    """Return a point at a server beside the kernel."""
    return f"""
[decision_points.remote]
kind = "opa"
origin = "http://127.0.0.1:{port}"
allow_private = true
path = "helm/allow"
bundles = {bundles}
{more if "deadline_ms" in more else "deadline_ms = 10000" + chr(10) + more}
"""


def with_opa(port: int, *, more: str = "", bundles: str = '{ main = "r1" }') -> str:
    """Return the test policy with a tool that needs a remote decision point."""
    return POLICY + opa(port, more=more, bundles=bundles) + TOOL


WITH_CEDAR = POLICY + CEDAR
