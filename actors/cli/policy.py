"""helm policy: read a bundle as the guardian will, before it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.failure import REFUSED
from actors.cli.in_force import active_policy, note_where_other
from actors.cli.layered import layers_at, limits_of, what_it_changes
from actors.cli.overlay import overlay
from actors.cli.place import data_dir_option, open_place
from actors.cli.policy_activate import activate, compile_
from actors.cli.policy_state import cancel_raise
from actors.cli.policy_state import show as show_state
from actors.cli.supposing import supposing
from actors.cli.zone import rule_of
from actors.founding import TENANT
from actors.policy_file import read_policy, read_signed, signature_path, write_signature
from actors.signed_policy import SignedPolicy, check_signed
from helm.contracts.errors import Invalid, Refused
from helm.guardian.bundle_signature import check_succession, sign_policy
from helm.guardian.explain import explain as rules_of
from helm.guardian.explanation import Supposed
from helm.guardian.points import OpaPoint
from helm.guardian.policy import Policy, ToolRule

file_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def policy() -> None:
    """Check, explain and sign policy bundles."""


policy.add_command(compile_)
policy.add_command(activate)
policy.add_command(overlay)
policy.add_command(show_state)
policy.add_command(cancel_raise)


@policy.command()
@file_argument
@data_dir_option
@show.json_option
def check(file: Path, data_dir: Path, as_json: bool) -> None:
    """Compile FILE and say what is in it. A mistake is named with its line."""
    compiled = read_policy(file)
    signed = signature_state(file, data_dir)
    if as_json:
        body = {**summary(compiled), "signature": signed, "decision_points": points_of(compiled)}
        show.as_object({**body, "tools": [tool_body(rule) for rule in compiled.tools.values()]})
        return
    show.fields([*told(summary(compiled)), ("signature", signed)])
    click.echo()
    heads = ("tool", "effect", "tier", "through", "goes to", "asks a human", "decision point")
    show.table(heads, [tuple(tool_body(rule).values()) for rule in compiled.tools.values()])
    if compiled.points:
        click.echo()
        about = ("decision point", "kind", "decides by", "content hash")
        show.table(about, [tuple(point.values()) for point in points_of(compiled)])


@policy.command()
@click.argument("tool")
@click.option("--principal", default="", help="Say what holds for this principal.")
@click.option("--layers", "by_layer", is_flag=True, help="With --json: which layer decides each limit, as well.")
@supposing
@click.option("--policy", "file", type=click.Path(path_type=Path), help="A bundle other than the data directory's.")
@data_dir_option
@show.json_option
def explain(tool: str, file: Path | None, data_dir: Path, supposed: Supposed, *, principal: str, **how: bool) -> int:
    """Say what the guardian will ask of a call of TOOL.

    In the guardian's order; then which layer decides each limit: P0, P1, P2 or a delegation. Exit 1 for a tool that
    is not declared, or that an overlay removes.
    """
    layered = layers_at(data_dir, file)
    tenant = supposed.tenant or TENANT
    policy = layered.layers.of(tenant, principal)
    rows, limits = rules_of(policy, tool, principal, supposed), limits_of(layered, tool, tenant, principal)
    show.note(f"{layered.path}, epoch {layered.layers.bundle.epoch}")
    if file is None:
        note_where_other(open_place(data_dir))
    if how["as_json"]:
        rules = [row._asdict() for row in rows]
        refused = [refusal._asdict() for refusal in layered.refused]
        decided = [limit._asdict() for limit in limits]
        show.as_object({"layers": decided, "refused": refused, "rules": rules} if how["by_layer"] else rules)
    else:
        show.table(("office", "what it asks", "answer"), rows)
        click.echo()
        show.table(("limit", "value", "decided by"), limits)
        for refusal in layered.refused:
            show.note(f"refused: {refusal.where}: {refusal.what}. {refusal.hint}")
    return 0 if policy.tool(tool) is not None else REFUSED


@policy.command()
@file_argument
@data_dir_option
@show.json_option
def sign(file: Path, data_dir: Path, as_json: bool) -> None:
    """Sign FILE with the data directory's policy key.

    The signature is written beside it. A policy that could not follow the active one, such as one whose epoch did
    not rise, is refused here already.
    """
    place = open_place(data_dir)
    compiled = read_policy(file)
    check_succession(active_policy(place), compiled)
    signature = sign_policy(compiled, place.policy_key())
    write_signature(file, signature)
    body = {**summary(compiled), "signed_by": signature.key_id, "signature": str(signature_path(file))}
    if as_json:
        show.as_object(body)
    else:
        show.fields(told(body))
    for line in what_it_changes(place, compiled):
        show.note(line)
    show.note(f"Put it in force: helm policy activate {file}")


@policy.command("time-zone")
@click.argument("name")
def zone(name: str) -> None:
    """Print the rule of a time zone.

    NAME is one that this machine knows, such as Europe/Berlin. A policy states the rule, so that its hours mean the
    same on every machine; look again when a law changes.
    """
    click.echo(rule_of(name))


def told(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Return an object's members for people."""
    return [(name.replace("_", " "), str(value)) for name, value in body.items()]


def signature_state(file: Path, data_dir: Path) -> str:
    """Say what the signature beside a file is worth here. A check of the text alone does not depend on it."""
    try:
        signed = read_signed(file)
    except Invalid as problem:
        return f"none that can be read ({problem.what})"
    try:
        check_vouched(signed, data_dir)
    except (Invalid, Refused) as problem:
        return f"not valid here: {problem}"
    return f"valid, by {signed.signature.key_id}"


def check_vouched(signed: SignedPolicy, data_dir: Path) -> None:
    """Raise Invalid or Refused unless a policy key that counts in the data directory's log vouches for the policy."""
    from actors.trust_log import registry_of

    check_signed(signed, registry_of(open_place(data_dir)))


def summary(compiled: Policy) -> dict[str, Any]:
    """Return what identifies a bundle."""
    return {
        "scope": compiled.scope,
        "epoch": compiled.epoch,
        "policy_hash": compiled.policy_hash,
        "p0_ceiling_hash": compiled.p0_ceiling_hash,
    }


def tool_body(rule: ToolRule) -> dict[str, str]:
    """Return one tool in a few words."""
    return {
        "tool": rule.name,
        "effect_type": rule.effect_type,
        "risk_tier": rule.risk_tier,
        "connector": f"{rule.connector} {rule.operation}".strip(),
        "destination": destination_of(rule),
        "approval": approval_of(rule),
        "decision_point": rule.point.point.name if rule.point is not None else "none",
    }


def points_of(compiled: Policy) -> list[dict[str, str]]:
    """Return each decision point in a few words."""
    found = []
    for point in compiled.points.values():
        if isinstance(point, OpaPoint):
            told = ", ".join(f"{bundle} {revision}" for bundle, revision in point.bundles)
            kind, by = "opa", f"{point.origin} {point.path}, {told}"
        else:
            kind, by = "cedar", "policies of the bundle"
        found.append({"name": point.name, "kind": kind, "decides_by": by, "content_hash": point.content_hash})
    return found


def destination_of(rule: ToolRule) -> str:
    if rule.destination is None:
        return "no network"
    return rule.destination.fixed or f"what {rule.destination.argument} names"


def approval_of(rule: ToolRule) -> str:
    if rule.approval is None:
        return "never"
    return "always" if rule.approval.required else "under a condition"
