"""The layers of a data directory for a command that explains them: what is in force, and which overlays are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from actors.cli.place import open_place
from actors.commands.policy import layers_of, stated_by
from actors.installation import Installation
from actors.policy_file import read_overlay, read_policy
from helm.contracts.errors import Invalid
from helm.guardian.ceilings import joined
from helm.guardian.delegation import DelegationGrant
from helm.guardian.explain_layers import Layer, explain_layers, raises
from helm.guardian.layers import Layers
from helm.guardian.overlay import Overlay
from helm.guardian.policy import Policy
from helm.guardian.precedence import Precedence


def what_it_changes(place: Installation, bundle: Policy) -> Iterator[str]:
    """Yield what a person should know before a bundle is put in force: which overlays it leaves behind, what waits."""
    from actors.policy_log import precedence_of

    precedence = precedence_of(place)
    behind = [one.command.overlay_id for one in precedence.overlays.ordered()]
    behind = [name for name in behind if precedence.overlays.in_force[name].command.narrows != bundle.policy_hash]
    if behind:
        yield f"It is refused until these overlays are signed for it, into {place.overlays_path}: {', '.join(behind)}"
    in_force, stated = precedence.in_force, stated_by(bundle).ceilings
    if in_force is not None and not stated.within(in_force):
        names = [name for name, _, _ in raises(joined(in_force, stated), stated)]
        yield f"What it raises of P0 waits {in_force.increase_timelock_s} s once it is active: {', '.join(names)}"


class Refusal(NamedTuple):
    """An overlay that is not in force, because it would widen, or clashes with others."""

    where: str
    what: str
    hint: str


class Layered(NamedTuple):
    """What a command knows of the layers."""

    path: Path
    layers: Layers
    precedence: Precedence
    refused: tuple[Refusal, ...]
    grants: tuple[DelegationGrant, ...]


def layers_at(data_dir: Path, file: Path | None) -> Layered:
    """Return the layers around the bundle of a data directory; around another bundle, none. Raises Invalid."""
    if file is not None:
        return Layered(file, Layers(read_policy(file), None, ()), Precedence(), (), ())
    from actors.policy_log import grants_of, precedence_of

    place = open_place(data_dir)
    bundle, precedence = read_policy(place.policy_path), precedence_of(place)
    active = precedence.stated is not None and precedence.stated.policy_hash == bundle.policy_hash
    try:
        layers = layers_of(precedence, bundle) if active else Layers(bundle, None, ())
        clash: tuple[Refusal, ...] = ()
    except Invalid as problem:
        layers, clash = Layers(bundle, precedence.held, ()), (refusal_of(problem),)
    refused = tuple(refusals(place, bundle, layers))
    return Layered(place.policy_path, layers, precedence, (*clash, *refused), tuple(grants_of(place)))


def refusals(place: Installation, bundle: Policy, layers: Layers) -> list[Refusal]:
    """Return the overlays of the directory that would be refused, each alone or beside those in force."""
    found: list[Refusal] = []
    files = sorted(place.overlays_path.glob("*.toml")) if place.overlays_path.is_dir() else []
    for file in files:
        try:
            one = read_overlay(file, bundle)
            Layers(bundle, layers.held, beside(layers.overlays, one))
        except Invalid as problem:
            found.append(refusal_of(problem))
    return found


def beside(overlays: tuple[Overlay, ...], one: Overlay) -> tuple[Overlay, ...]:
    """Return overlays with one in the place of its older self."""
    return tuple(sorted((*(other for other in overlays if other.id != one.id), one), key=lambda other: other.id))


def refusal_of(problem: Invalid) -> Refusal:
    return Refusal(problem.where, problem.what, problem.hint)


def limits_of(layered: Layered, tool: str, tenant: str, principal: str) -> tuple[Layer, ...]:
    """Return which layer decides each limit of a tool."""
    return explain_layers(layered.layers, layered.precedence, tool, (tenant, principal), layered.grants)
