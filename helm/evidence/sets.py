"""Policy sets in a pack: the bundle, the overlays and the ceilings that a decision was made under, and their texts.

A decision under a bundle alone bears the bundle's hash. Any other bears the hash of a set, a small document that names
its parts by theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from helm.contracts.errors import Invalid, Malformed, Refused
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical, parse
from helm.evidence.beside import written
from helm.evidence.layout import policy_path
from helm.guardian.bundle import compile_written
from helm.guardian.bundle_overlay import compile_overlay, overlay_hash_of
from helm.guardian.ceilings import Ceilings, ceilings_of, read_ceilings
from helm.guardian.narrowing import VERSION, narrowed, set_document, set_hash
from helm.guardian.overlays import OverlayCommand
from helm.guardian.policy import NO_POLICY, Policy
from helm.guardian.precedence import Precedence, Stated
from helm.wire import structure

EDITED = "the pack was changed, or made from a log that was"

Entry = dict[str, JSONValue]


@attrs.frozen(kw_only=True)
class PolicySet:
    """What a set names. `held` are the ceilings in force where they were lower than the bundle's own."""

    bundle: str
    overlays: tuple[str, ...]
    held: Ceilings | None

    @property
    def paths(self) -> set[str]:
        """Where the texts of its parts stand."""
        return {policy_path(name) for name in (self.bundle, *self.overlays)}


def read_set(raw: bytes, policy_hash: str, where: str) -> PolicySet:
    """Return the set of this hash. Raises Invalid for bytes that are none, or another one."""
    try:
        body = parse(raw)
        p0 = body["p0"]
        held = read_ceilings(p0) if p0 else None
        found = PolicySet(bundle=body["bundle"], overlays=tuple(body["overlays"]), held=held)
        same = raw == set_document(found.bundle, found.overlays, p0) and body["version"] == VERSION
    except (Malformed, Refused, KeyError, TypeError, ValueError) as problem:
        raise Invalid(f"is not a policy set: {type(problem).__name__} {problem}", where, EDITED) from problem
    if not same or set_hash(raw) != policy_hash:
        raise Invalid("is another policy set than the one that its name says", where, EDITED)
    return found


def check_texts(found: PolicySet, members: Mapping[str, bytes]) -> None:
    """Raise Invalid unless the texts of a set's overlays are those that it names; activations name the bundles'."""
    for name in found.overlays:
        path = policy_path(name)
        if overlay_hash_of(members.get(path, b"")) != name:
            raise Invalid("is not the overlay that its name says", path, EDITED)


def compile_named(policy_hash: str, members: Mapping[str, bytes]) -> Policy:
    """Return the policy of a hash, compiled from the texts in a pack. Raises Invalid."""
    if not policy_hash:
        return NO_POLICY
    path = policy_path(policy_hash)
    raw = members.get(path, b"")
    if not is_set(raw):
        return compile_written(raw)
    found = read_set(raw, policy_hash, path)
    check_texts(found, members)
    bundle = compile_written(members.get(policy_path(found.bundle), b""))
    overlays = tuple(compile_overlay(members[policy_path(name)], bundle) for name in found.overlays)
    policy = narrowed(bundle, found.held, overlays)
    if policy.policy_hash != policy_hash or bundle.policy_hash != found.bundle:
        raise Invalid("its parts come to another policy set", path, EDITED)
    return policy


def is_set(raw: bytes) -> bool:
    """Tell a set from a bundle: each says its version, and no other member begins like it."""
    return raw.endswith(b',"version":"' + VERSION.encode() + b'"}')


def packed(layers: Layered, used: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the text of every bundle, overlay and set that decisions were made under."""
    for policy_hash in sorted(used & layers.bundles.keys()):
        yield policy_path(policy_hash), layers.bundles[policy_hash]
    for policy_hash in sorted(used & layers.sets.keys()):
        document = layers.sets[policy_hash]
        yield policy_path(policy_hash), document
        body = parse(document)
        yield policy_path(body["bundle"]), layers.bundles[body["bundle"]]
        for name in body["overlays"]:
            yield policy_path(name), layers.texts[name]


@attrs.define
class Layered:
    """What was in force around each call of a log, followed entry by entry; nothing of it is verified here."""

    bundles: dict[str, bytes] = attrs.field(factory=dict)
    texts: dict[str, bytes] = attrs.field(factory=dict)
    sets: dict[str, bytes] = attrs.field(factory=dict)
    _history: list[Precedence] = attrs.field(factory=lambda: [Precedence()])
    _delegators: dict[str, str] = attrs.field(factory=dict)

    def take(self, entry: Entry) -> None:
        """Follow one entry."""
        payload = entry["node"]["payload"]
        match payload.get("type"):
            case "POLICY_ACTIVATED":
                self._activate(payload, written(entry["beside"]["bundle"], entry["node"]["node_hash"]))
            case "OVERLAID":
                self._overlay(payload, entry)
            case "P0_RAISED":
                self._history.append(self._history[-1].raised(payload["raised_at_ms"]))
            case "P0_RAISE_CANCELLED":
                self._history.append(attrs.evolve(self._history[-1], due_at_ms=0))
            case "DELEGATION_BOUND":
                self._delegators[payload["delegation_id"]] = payload["grant"]["delegator"]
            case "INTENT" | "REFUSAL":
                self._call(payload["decision"])
            case _:
                pass  # says nothing of what is in force

    def _activate(self, payload: Entry, bundle: bytes) -> None:
        name = payload["policy_hash"]
        self.bundles[name] = bundle
        last = self._history[-1]
        if last.stated is None or last.stated.policy_hash != name:
            p0 = parse(bundle, max_bytes=len(bundle)).get("p0", {})
            stated = Stated(policy_hash=name, p0_ceiling_hash=payload["p0_ceiling_hash"], ceilings=ceilings_of(p0))
            self._history.append(last.activated(stated, payload["activated_at_ms"]))

    def _overlay(self, payload: Entry, entry: Entry) -> None:
        overlays = self._history[-1].overlays
        kept = entry["beside"].get("overlays", {})
        for name, said in payload["commands"].items():
            command = structure(said["command"], OverlayCommand, name)
            text = canonical(kept[name]) if name in kept else b""
            self.texts[command.overlay_hash] = text
            overlays = overlays.after(command, text)
        self._history.append(attrs.evolve(self._history[-1], overlays=overlays))

    def _call(self, decision: Entry) -> None:
        """Keep the set that a decision names: a refusal may be written after a change that came behind it."""
        wanted = decision["policy_hash"]
        if not wanted or wanted in self.bundles or wanted in self.sets:
            return
        delegator = self._delegators.get(decision["delegation_id"], "")
        names = (decision["principal"], delegator) if delegator else (decision["principal"],)
        for precedence in reversed(self._history):
            document = precedence.set_document(decision["tenant"], names)
            if set_hash(document) == wanted:
                self.sets[wanted] = document
                return
