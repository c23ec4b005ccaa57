"""How two packs that verified differ: which calls only one of them holds, and which the two tell otherwise."""

from __future__ import annotations

import attrs

from helm.contracts.form import JSONValue, members
from helm.evidence.reading import Reading
from helm.receipts.chain import SealedReceipt


@attrs.frozen(kw_only=True)
class Differing:
    """One place of a session's chain at which the packs hold different receipts, and the members that differ."""

    lamport_clock: int
    names: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Difference:
    """Two packs side by side. Members that name the packs themselves are `about`; receipts go by their place."""

    about: tuple[tuple[str, str, str], ...]
    """(name, in the first, in the second) of what the packs are about, where it differs."""
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    """Places of the chain that only one pack holds."""
    differing: tuple[Differing, ...]
    same: int
    """Receipts that are the same in both."""

    @property
    def is_none(self) -> bool:
        """Whether the packs tell the same calls of the same session."""
        return not (self.about or self.only_first or self.only_second or self.differing)

    def body(self) -> dict[str, JSONValue]:
        """Return the difference as a JSON object."""
        return {
            "about": [{"name": name, "first": first, "second": second} for name, first, second in self.about],
            "differing": [{"lamport_clock": one.lamport_clock, "members": list(one.names)} for one in self.differing],
            "equal": self.is_none,
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "same": self.same,
        }


def difference(first: Reading, second: Reading) -> Difference:
    """Return how two packs differ, of each of which every check held."""
    ours, theirs = by_place(first), by_place(second)
    shared = sorted(ours.keys() & theirs.keys())
    changed = [place for place in shared if ours[place].receipt_hash != theirs[place].receipt_hash]
    return Difference(
        about=tuple(row for row in zip(ABOUT, about(first), about(second), strict=True) if row[1] != row[2]),
        only_first=tuple(sorted(ours.keys() - theirs.keys())),
        only_second=tuple(sorted(theirs.keys() - ours.keys())),
        differing=tuple(
            Differing(lamport_clock=place, names=differing_members(ours[place], theirs[place])) for place in changed
        ),
        same=len(shared) - len(changed),
    )


ABOUT = ("log_id", "tenant", "session_id", "policies")


def about(reading: Reading) -> tuple[str, ...]:
    """Return what a pack is about, in the order of ABOUT."""
    policies = {signature.policy_hash for signature in reading.activations}
    return (reading.log_id, *reading.session, " ".join(sorted(policies)))


def by_place(reading: Reading) -> dict[int, SealedReceipt]:
    return {receipt.content.lamport_clock: receipt for receipt in reading.receipts.values()}


def differing_members(first: SealedReceipt, second: SealedReceipt) -> tuple[str, ...]:
    """Return the names of the members that two receipts do not share; the signature, where nothing else differs."""
    ours, theirs = members(first.content), members(second.content)
    return tuple(name for name in ours if ours[name] != theirs[name]) or ("signature",)
