"""Reads what a bundle says of relationships: the model, and which relation a tool asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.guardian.bundle_table import MAX_WHOLE, Table
from helm.guardian.policy import RelationRule
from helm.guardian.relations import NAME, NO_MODEL, PART, AuthzModel, Model

FOLLOWS: Final = re.compile(r"(?:[A-Za-z0-9_-]{1,64}\.)?[A-Za-z0-9_-]{1,64}")
RELATION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Without the dot, which leads from one object to another."""


def read_authz(bundle: Table) -> AuthzModel:
    """Return the model, NO_MODEL where there is none: then nobody stands in any relation. Raises Invalid."""
    if not bundle.has("authz"):
        return NO_MODEL
    table = bundle.table("authz")
    model = {kind: dict(read_type(below)) for kind, below in table.named("relations")}
    for kind, relations in model.items():
        for relation, follows in relations.items():
            check_follows(kind, relation, follows, model)
    authz = AuthzModel(
        model_id=table.name("model_id"),
        max_age_s=table.whole("max_age_s", (0, MAX_WHOLE // 1000), 0),
        model=MappingProxyType(model),
    )
    table.finish()
    return authz


def read_type(table: Table) -> Mapping[str, tuple[str, ...]]:
    """Return the relations of one type of object. Raises Invalid."""
    if re.fullmatch(PART, table.place.rpartition(".")[2].strip('"')) is None:
        raise Invalid("not a type of objects", table.place, "letters, digits, _ and -")
    relations: dict[str, tuple[str, ...]] = {}
    for name in table.members:
        if RELATION.fullmatch(name) is None:
            raise Invalid("not a relation", table.at(name), "letters, digits, _ and -")
        relations[name] = table.texts(name)
        for follows in relations[name]:
            if FOLLOWS.fullmatch(follows) is None:
                raise Invalid(f"{follows} is no relation", table.at(name), 'write "editor", or "parent.viewer"')
    table.finish()
    return MappingProxyType(relations)


def check_follows(kind: str, relation: str, follows: tuple[str, ...], model: Model) -> None:
    """Raise Invalid where a relation follows from one that the model does not have."""
    for one in follows:
        via, _, other = one.rpartition(".")
        known = via in model[kind] if via else other in model[kind]
        if not known or (via and not any(other in relations for relations in model.values())):
            where = f"authz.relations.{kind}.{relation}"
            raise Invalid(f"follows from {one}, which the model does not have", where, "declare it, [] for tuples only")


def read_relation(table: Table, authz: AuthzModel, inputs: JSONValue) -> RelationRule | None:
    """Return the relation that a tool asks for, None where it asks for none. Raises Invalid."""
    if not table.has("authz"):
        return None
    below = table.table("authz")
    rule = RelationRule(
        object_type=below.name("object_type"),
        object_id=below.name("object_id", ""),
        object_argument=below.name("object_argument", ""),
        relation=below.name("relation"),
    )
    below.finish()
    if rule.relation not in authz.model.get(rule.object_type, {}):
        what = f"the model has no relation {rule.relation} of {rule.object_type}"
        raise Invalid(what, below.at("relation"), f"declare it in [authz.relations.{rule.object_type}]")
    if (rule.object_id == "") == (rule.object_argument == ""):
        raise Invalid("one object, or the argument that names it", below.place, "write object_id or object_argument")
    if rule.object_id and re.fullmatch(NAME, rule.object_id) is None:
        raise Invalid("not the name of an object", below.at("object_id"), "visible ASCII, no # and no @")
    if rule.object_argument and not is_required(rule.object_argument, inputs):
        what = f"the input schema does not require {rule.object_argument} as a text"
        raise Invalid(what, below.at("object_argument"), "a call that names no object would ask for none")
    return rule


def is_required(argument: str, inputs: JSONValue) -> bool:
    """Tell whether every call that the schema admits has this argument, as a text."""
    if type(inputs) is not dict:
        return False
    said = inputs.get("properties", {}).get(argument, {})
    return argument in inputs.get("required", ()) and type(said) is dict and said.get("type") == "string"
