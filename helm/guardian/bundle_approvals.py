"""Reads who may approve, and when a human must."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from helm.contracts.errors import Invalid
from helm.guardian.bundle_table import MAX_WHOLE, Table
from helm.guardian.cel import Program
from helm.guardian.policy import ApprovalRule
from helm.trust.event import is_role

DEFAULT_EXPIRES_S = 3_600
MAX_EXPIRES_S = 30 * 86_400
MAX_QUORUM = 16

MAX_KEYS = 64
"""Keys that may approve one tool: all of them stand in each decision that asks (T4)."""

KEY_ID = re.compile(r"key_[0-9a-f]{32}")

Approvers = Mapping[str, tuple[str, ...]]
"""The approval keys of each principal that may approve."""


def read_approvers(bundle: Table) -> Approvers:
    """Return whose approval keys are whose: here a key is bound to its principal. Raises Invalid."""
    owners: dict[str, str] = {}
    found: dict[str, tuple[str, ...]] = {}
    for name, table in bundle.named("approvers"):
        found[name] = read_keys(table)
        for key_id in found[name]:
            if key_id in owners:
                what = f"{key_id} is also {owners[key_id]}'s: one key under two names would be two approvers"
                raise Invalid(what, table.at("keys"), "a key is one principal's")
            owners[key_id] = name
        table.texts("also", ())
        table.finish()
    return MappingProxyType(found)


def read_aliases(bundle: Table, approvers: Approvers) -> Mapping[str, str]:
    """Return as whom else approvers call, each name with its approver's: they approve nothing of their own.

    Raises Invalid for a name that would be two people's.
    """
    found: dict[str, str] = {}
    for name, table in bundle.named("approvers"):
        for index, other in enumerate(table.texts("also", ())):
            if other in approvers or other in found:
                what = f"{other} is {found.get(other, other)}'s name already"
                raise Invalid(what, f"{table.at('also')}[{index}]", "a name is one person's")
            found[other] = name
    return MappingProxyType(found)


def read_keys(table: Table) -> tuple[str, ...]:
    keys = table.texts("keys")
    for index, key_id in enumerate(keys):
        if KEY_ID.fullmatch(key_id) is None:
            hint = "key_ and 32 hex digits: `helm trust keys` lists them"
            raise Invalid("not the id of a key", f"{table.at('keys')}[{index}]", hint)
    if not keys:
        raise Invalid("an approver without a key", table.at("keys"), "name one, or leave the approver out")
    return keys


def keys_of(approvers: Approvers, names: Iterable[str]) -> tuple[str, ...]:
    """Return "principal key_id" of every key of these approvers, in order."""
    return tuple(f"{name} {key_id}" for name in sorted(names) for key_id in sorted(approvers[name]))


def read_approval(table: Table, approvers: Approvers) -> ApprovalRule | None:
    """Return when a human must agree, None for never. Raises Invalid."""
    if not table.has("approval"):
        return None
    below = table.table("approval")
    names = read_names(below, approvers)
    approval = ApprovalRule(
        required=below.flag("required"),
        when=Program.compile(below.source("when"), below.at("when")) if below.has("when") else None,
        quorum=below.whole("quorum", (1, MAX_QUORUM), 1),
        timelock_s=below.whole("timelock_s", (0, MAX_EXPIRES_S - 1), 0),
        expires_s=below.whole("expires_s", (1, MAX_EXPIRES_S), DEFAULT_EXPIRES_S),
        max_per_hour=below.whole("max_per_hour", (0, MAX_WHOLE), 0),
        max_per_day=below.whole("max_per_day", (0, MAX_WHOLE), 0),
        approvers=keys_of(approvers, names),
        role=read_role(below),
    )
    below.finish()
    check_sense(approval, len(names), below)
    return approval


def read_names(below: Table, approvers: Approvers) -> tuple[str, ...]:
    """Return the approvers of one tool, all of the bundle's where it names none. Raises Invalid."""
    names = below.texts("approvers", tuple(approvers))
    for index, name in enumerate(names):
        if name not in approvers:
            hint = f"declare [approvers.{name}] with its keys"
            raise Invalid(f"{name} is no approver", f"{below.at('approvers')}[{index}]", hint)
    return names


def read_role(below: Table) -> str:
    """Return the role that approvers must have, "" for none. Raises Invalid."""
    role = below.text("role", "")
    if role and not is_role(role):
        raise Invalid(f"{role!r} is no role's name", below.at("role"), "a-z, then a-z 0-9 . _ - up to 64 characters")
    return role


def check_sense(approval: ApprovalRule, principals: int, below: Table) -> None:
    """Raise Invalid for a rule that asks for nothing, or for what nobody could give."""
    if approval.required == (approval.when is not None):
        hint = "write required = true, or when = and an expression"
        raise Invalid("an approval is asked for always or under a condition", below.place, hint)
    if approval.timelock_s >= approval.expires_s:
        raise Invalid("the approval expires before its timelock ends", below.place, "raise expires_s")
    if below.has("approvers") and not principals:
        raise Invalid("nobody may approve it", below.at("approvers"), "name one, or leave approvers out")
    if approval.quorum > 1 and principals < approval.quorum:
        what = f"{approval.quorum} different principals must agree, and {principals} are named"
        raise Invalid(what, below.at("quorum"), "name them as [approvers.NAME] with keys: keys alone tell nobody apart")
    if len(approval.approvers) > MAX_KEYS:
        raise Invalid(f"more than {MAX_KEYS} keys", below.at("approvers"), "name fewer of them")
