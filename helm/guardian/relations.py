"""Relationships: who stands in which relation to what, as signed tuples, and the walk through them (ReBAC).

A tuple is written `object#relation@subject`, such as `document:7#viewer@user:alice`. A subject may itself be a set,
`group:staff#member`: all that stand in that relation to that object. The policy says which follow from which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import Form, Noun
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes, record_bytes
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer
from helm.crypto.hashing import hash_in

RESOLVER: Final = "helm.relations/1"

MAX_CHANGES: Final = 1_000
"""Tuples that one command adds and removes: it is one event of the journal (T4)."""

MAX_TUPLES: Final = 200_000
"""Tuples of a log (T4)."""

MAX_DEPTH: Final = 32
"""How far one walk goes: sets within sets (T4)."""

MAX_READ: Final = 10_000
"""Tuples that one walk reads (T4)."""

PART: Final = r"[A-Za-z0-9_.-]{1,64}"
NAME: Final = r"[!-\"$-?A-~]{1,200}"
"""Visible ASCII but for # and @, which end it."""
OBJECT: Final = rf"{PART}:{NAME}"
TUPLE: Final = re.compile(rf"(?P<object>{OBJECT})#(?P<relation>{PART})@(?P<subject>{OBJECT}(?:#{PART})?)")
WHOLE_OBJECT: Final = re.compile(OBJECT)

Model = Mapping[str, Mapping[str, tuple[str, ...]]]
"""By type of object and relation: the relations that it follows from, "other" on the same object, or "via.other"."""


class RelationsCommand(Noun, frozen=True, kw_only=True):
    """What a policy key signs of relationships: tuples to add and to remove, or that they still hold, with none.

    `sequence` rises with every command of this log, so that an old one cannot be played again (T6).
    """

    add: tuple[str, ...]
    issued_at_ms: int
    key_id: str
    log_id: str
    model_id: str
    """The model that the tuples are written for."""
    remove: tuple[str, ...]
    sequence: int

    def __post_init__(self) -> None:
        if len(self.add) + len(self.remove) > MAX_CHANGES:
            raise ValueError(f"a command changes at most {MAX_CHANGES} tuples")
        if len({*self.add, *self.remove}) != len(self.add) + len(self.remove):
            raise ValueError("a tuple stands twice")
        for written in (*self.add, *self.remove):
            if TUPLE.fullmatch(written) is None:
                raise ValueError(f"not object#relation@subject: {written[:100]!r}")


RELATIONS_COMMAND = Form(RelationsCommand)


def sign_relations(command: RelationsCommand, signer: Signer) -> str:
    """Return the policy key's signature, 128 hex digits, over the command."""
    return signer.sign(domains.RELATIONS, ordered_bytes(command))


def check_relations(command: RelationsCommand, signature: str, key: PublicKey) -> None:
    """Raise Invalid unless `key` signed `command`."""
    try:
        key.verify(domains.RELATIONS, ordered_bytes(command), signature)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), "relations", "sign it with the policy key of this log") from problem


class AuthzSnapshot(Noun, frozen=True, kw_only=True):
    """What one walk came to, and what it read: a fact of a call's World."""

    checked_at_ms: int
    decision: str
    """`related`, `unrelated`, or `unknown` where the walk could not be finished."""
    model_id: str
    model_mismatch: bool
    """Whether the tuples were written for another model than the policy's."""
    object: str
    relation: str
    relationship_hash: str
    """Over the tuples that were read, in order: the same ones give the same answer."""
    resolver: str
    snapshot_token: str
    """The number of the last command: whoever wrote later than it may be missing."""
    stale: bool
    subject: str


def snapshot_hash(snapshot: AuthzSnapshot) -> str:
    """Return the hash that a decision binds its snapshot by."""
    return hash_in(domains.AUTHZ_SNAPSHOT, ordered_bytes(snapshot))


class TooFar(Exception):
    """A walk that would read more than any question is worth."""


@attrs.define
class Relations:
    """The tuples of a log: a fold of signed commands, in sequence."""

    sequence: int = 0
    model_id: str = ""
    confirmed_at_ms: int = 0
    """When somebody last said that they hold, by the kernel's clock."""
    by_object: dict[tuple[str, str], dict[str, None]] = attrs.field(factory=dict, repr=False)
    """By object and relation: the subjects, in the order in which they came."""
    count: int = 0

    def check_next(self, command: RelationsCommand) -> None:
        """Raise Invalid for a command that is not the next one of this log, or that makes too many of them."""
        if command.sequence != self.sequence + 1:
            hint = "read the current sequence and sign again: an old command is never obeyed twice"
            raise Invalid(f"relations command {command.sequence} does not follow {self.sequence}", "relations", hint)
        if self.count + len(command.add) > MAX_TUPLES:
            raise Invalid(f"more than {MAX_TUPLES} tuples", "relations", "remove what does not hold any more")

    def apply(self, command: RelationsCommand, at_ms: int) -> None:
        """Take a checked command. What is there is not added twice, what is not there is not missed."""
        self.check_next(command)
        for written in command.remove:
            self._remove(*split(written))
        for written in command.add:
            target, relation, subject = split(written)
            subjects = self.by_object.setdefault((target, relation), {})
            self.count += subject not in subjects
            subjects[subject] = None
        self.sequence, self.model_id, self.confirmed_at_ms = command.sequence, command.model_id, at_ms

    def _remove(self, target: str, relation: str, subject: str) -> None:
        subjects = self.by_object.get((target, relation), {})
        if subject in subjects:
            del subjects[subject]
            self.count -= 1
            if not subjects:
                del self.by_object[target, relation]


def split(written: str) -> tuple[str, str, str]:
    """Return object, relation and subject of a tuple that was checked."""
    target, _, rest = written.partition("#")
    relation, _, subject = rest.partition("@")
    return target, relation, subject


@attrs.define
class Walk:
    """One question, walked through the tuples; it remembers what it read."""

    relations: Relations
    model: Model
    subject: str
    read: list[str] = attrs.field(factory=list)
    _seen: set[tuple[str, str]] = attrs.field(factory=set)

    def reaches(self, target: str, relation: str, depth: int = 0) -> bool:
        """Say whether the subject stands in this relation to the object. Raises TooFar."""
        if (target, relation) in self._seen:
            return False  # it is being asked already, or was: a circle proves nothing
        self._seen.add((target, relation))
        if depth > MAX_DEPTH:
            raise TooFar
        follows = self.model.get(target.partition(":")[0], {}).get(relation)
        if follows is None:
            return False  # the model has no such relation: nobody stands in it
        return self._directly(target, relation, depth) or any(self._through(target, one, depth) for one in follows)

    def _directly(self, target: str, relation: str, depth: int) -> bool:
        sets: list[tuple[str, str]] = []
        for subject in self._subjects(target, relation):
            if subject == self.subject:
                return True
            inner, _, inner_relation = subject.partition("#")
            if inner_relation:
                sets.append((inner, inner_relation))
        return any(self.reaches(inner, inner_relation, depth + 1) for inner, inner_relation in sets)

    def _through(self, target: str, follows: str, depth: int) -> bool:
        via, _, other = follows.rpartition(".")
        if not via:
            return self.reaches(target, other, depth + 1)
        found = [subject for subject in self._subjects(target, via) if "#" not in subject]
        return any(self.reaches(subject, other, depth + 1) for subject in found)

    def _subjects(self, target: str, relation: str) -> list[str]:
        found = [*self.relations.by_object.get((target, relation), ())]
        self.read += [f"{target}#{relation}@{subject}" for subject in found]
        if len(self.read) > MAX_READ:
            raise TooFar
        return found


def subject_of(principal: str) -> str:
    """Return what tuples call a principal. Written plain, `#` would make a set of it, whose members others are (T9)."""
    if "%" in principal or "#" in principal or "@" in principal:
        principal = principal.replace("%", "%25").replace("#", "%23").replace("@", "%40")
    return f"user:{principal}"


@attrs.frozen(kw_only=True)
class Question:
    """Whether `subject` stands in `relation` to `object`."""

    object: str
    relation: str
    subject: str


@attrs.frozen(kw_only=True)
class AuthzModel:
    """What the policy says of relationships."""

    model_id: str
    max_age_s: int
    """How long tuples count after somebody last said that they hold; 0: for ever."""
    model: Model


NO_MODEL: Final = AuthzModel(model_id="", max_age_s=0, model={})


def look(relations: Relations, authz: AuthzModel, question: Question, now_ms: int) -> AuthzSnapshot:
    """Return what the tuples say to a question, at this moment."""
    walk, decision = Walk(relations, authz.model, question.subject), "unknown"
    if WHOLE_OBJECT.fullmatch(question.object) is not None:
        try:
            decision = "related" if walk.reaches(question.object, question.relation) else "unrelated"
        except TooFar:
            walk.read.clear()
    age_ms = now_ms - relations.confirmed_at_ms
    return AuthzSnapshot(
        checked_at_ms=now_ms,
        decision=decision,
        model_id=authz.model_id,
        model_mismatch=relations.model_id != authz.model_id,
        object=question.object,
        relation=question.relation,
        relationship_hash=hash_in(domains.RELATIONSHIPS, record_bytes({"tuples": walk.read})),
        resolver=RESOLVER,
        snapshot_token=str(relations.sequence),
        stale=authz.max_age_s > 0 and not 0 <= age_ms <= authz.max_age_s * 1000,
        subject=question.subject,
    )
