"""Verifying a pack offline, from a trust root that the caller brings.

Each check stands on the ones before it, and the first that does not hold is the outcome. From the fourth on they walk
through the nodes together: each call is read once, held against all of them, and forgotten. Where one does not hold,
only those before it go on, so that what is said of a pack is what reading it check by check would say.

 1. archive    the file is an archive in the one form that HELM writes
 2. manifest   the manifest lists exactly the files that are there, by hash
 3. versions   pack format, schemas and replay script are ones that this verifier knows
 4. nodes      every node of the graph hashes to its name and stands on what came before it
 5. genesis    the log begins with the event that the caller pinned
 6. trust      trust events are signed by who may sign them; the snapshot is their fold
 7. signature  the manifest is signed by an evidence key that counted
 8. control    kernels started in order, freezes are signed and in sequence
 9. policies   every policy was activated by its signature, newer than the last
10. seals      decisions, records, effects and facts hash to what names them
11. receipts   receipts earn their ids and are signed by a key that counted
12. chain      the receipts of each session are one dense chain from GENESIS on
13. stories    node, decision, record and receipt of every call tell one story
14. approvals  every approval that a call relied on was agreed to by its quorum, for this very call, and used once
15. complete   every call has its receipt or is listed as open; nothing is missing, nothing is spare
16. inclusion  the tree over the receipts has the stated root and subtrees
17. checkpoints  checkpoints are one signed chain over these calls; the session was not cut off before the last of them
18. condensed  whatever was condensed is of low risk, was allowed without a human's word, and lies under a checkpoint
19. host       what recorders on hosts wrote stands beside the pack as it was exported, in whole chains
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from helm.contracts.errors import Invalid
from helm.evidence.archive import Raw
from helm.evidence.check_approvals import ApprovalEvents
from helm.evidence.check_checkpoints import Covering
from helm.evidence.check_condensed import CondensedCalls
from helm.evidence.check_form import check_archive, check_manifest, check_versions
from helm.evidence.check_graph import ControlEvents, Genesis, Nodes, Policies, SignedManifest, Trust
from helm.evidence.check_host import check_host
from helm.evidence.check_receipts import Chain, Receipts
from helm.evidence.check_seals import Seals
from helm.evidence.check_stories import Stories
from helm.evidence.check_whole import Complete, Tree
from helm.evidence.manifest import Altered
from helm.evidence.part import PartNode
from helm.evidence.proven import Helpers
from helm.evidence.reading import NO_KEYS, Check, Reading
from helm.evidence.report import Outcome, Report, Subject
from helm.evidence.scope import SESSION
from helm.evidence.trust_root import TrustRoot
from helm.proofgraph.node import NodeKind

OF_THE_FILE: Final[tuple[tuple[str, Callable[[Reading], None]], ...]] = (
    ("archive", check_archive),
    ("manifest", check_manifest),
    ("versions", check_versions),
)
WALKING: Final[tuple[tuple[str, type[Check]], ...]] = (
    ("genesis", Genesis),
    ("trust", Trust),
    ("signature", SignedManifest),
    ("control", ControlEvents),
    ("policies", Policies),
    ("seals", Seals),
    ("receipts", Receipts),
    ("chain", Chain),
    ("stories", Stories),
    ("approvals", ApprovalEvents),
    ("complete", Complete),
    ("inclusion", Tree),
    ("checkpoints", Covering),
    ("condensed", CondensedCalls),
)

CHECKS: Final[tuple[tuple[str, Callable[..., object]], ...]] = (
    *OF_THE_FILE,
    ("nodes", Nodes),
    *WALKING,
    ("host", check_host),
)
"""Every check by its name, in the order of the numbers, from 1 on."""

NUMBERS: Final = {name: number for number, (name, _) in enumerate(CHECKS, 1)}


Takes = list[tuple[str, Callable[[PartNode], None]]]

ANY: Final = ""
"""A node of any kind."""

OF_THE_LOG: Final = frozenset({"genesis", "trust", "signature", "control", "policies"})

PASSED_BY: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        NodeKind.INTENT: OF_THE_LOG | {"receipts", "chain", "inclusion", "condensed"},
        NodeKind.EFFECT: OF_THE_LOG | {"complete"},
    }
)
"""The checks that have nothing to say of a node of a kind, once the log has begun: most nodes are of these two."""


class CheckFailed(Invalid):
    """A pack that must not be believed, and the check that says so."""

    def __init__(self, name: str, problem: Invalid) -> None:
        super().__init__(problem.what, problem.where, problem.hint)
        self.name = "manifest" if isinstance(problem, Altered) else name
        self.number = NUMBERS[self.name]


def check_pack(
    raw: Raw,
    root: TrustRoot,
    helpers: Helpers | None = None,
    host_keys: Mapping[str, str] = NO_KEYS,
    *,
    keep: bool = True,
) -> Reading:
    """Verify a pack and return what was read of it. Raises CheckFailed at the first check that does not hold.

    `helpers` check signatures meanwhile; the outcome is the same without them. `host_keys` are public keys of recorders
    on hosts, by the name of the source that each is of: no pins of the log. With `keep` every call stays in memory.
    """
    reading = Reading(raw, root, helpers, host_keys, keep)
    for name, check in OF_THE_FILE:
        made(name, check, reading)
    walk(reading)
    made("host", check_host, reading)
    return reading


def of_kinds(checks: list[tuple[str, Check]]) -> dict[str, Takes]:
    """Return what each check does with a node, for each kind of node that some have no business with."""
    every = taking(checks)
    return {kind: [one for one in every if one[0] not in passed] for kind, passed in PASSED_BY.items()} | {ANY: every}


def taking(checks: list[tuple[str, Check]]) -> Takes:
    """Return what each check does with a node."""
    return [(name, check.take) for name, check in checks]


def made(name: str, check: Callable[..., object], *given: Reading) -> None:
    """Make a check, or a part of one. Raises CheckFailed."""
    try:
        check(*given)
    except Invalid as problem:
        raise CheckFailed(name, problem) from problem


def walk(reading: Reading) -> None:
    """Hold every node of a pack against the checks that walk. Raises CheckFailed: the first of them that does not."""
    failed: CheckFailed | None = None
    checks: list[tuple[str, Check]] = []
    try:
        nodes = Nodes(reading)
        checks = [(name, check(reading)) for name, check in WALKING]
        takes = {ANY: taking(checks)}
        for node in nodes.walk():
            name = ""
            try:
                for name, take in takes.get(node.kind, takes[ANY]):  # noqa: B007 - where it stopped
                    take(node)
            except Altered:
                raise
            except Invalid as problem:
                failed = CheckFailed(name, problem)
                checks = [one for one in checks if NUMBERS[one[0]] < failed.number]
                takes = {ANY: taking(checks)}
            if len(takes) == 1 and checks:
                takes = of_kinds(checks)
    except Invalid as problem:
        raise CheckFailed("nodes", problem) from problem
    for name, check in checks:
        made(name, check.end)
    if failed is not None:
        raise failed


def verify_pack(
    raw: Raw, root: TrustRoot, helpers: Helpers | None = None, host_keys: Mapping[str, str] = NO_KEYS
) -> Report:
    """Verify a pack and report every check by number and name. Never raises for what is in the pack."""
    try:
        reading = check_pack(raw, root, helpers, host_keys, keep=False)
    except CheckFailed as failed:
        return Report(outcomes=outcomes(failed), subject=Subject())
    return Report(outcomes=outcomes(None), subject=subject(reading))


def outcomes(failed: CheckFailed | None) -> tuple[Outcome, ...]:
    """Return one outcome per check: held before the failed one, not made behind it."""
    return tuple(
        Outcome(
            number=number,
            name=name,
            promise=promise_of(check),
            ok=failed is None or number < failed.number,
            detail=detail(number, failed),
        )
        for number, (name, check) in enumerate(CHECKS, 1)
    )


def promise_of(check: Callable[..., object]) -> str:
    """Return what a check makes sure of, in its own words."""
    return (check.__doc__ or "").removesuffix(".")


def detail(number: int, failed: CheckFailed | None) -> str:
    """Return what is to be said of check `number` beyond its promise."""
    if failed is None or number < failed.number:
        return ""
    return str(failed) if number == failed.number else f"not made: check {failed.number} did not hold"


def subject(reading: Reading) -> Subject:
    """Return what a pack is about in which every check held."""
    cover = reading.manifest.cover
    tenant, session_id = cover.sessions[0] if cover.scope == SESSION else ("", "")
    return Subject(
        log_id=reading.log_id,
        scope=cover.scope,
        tenant=tenant,
        session_id=session_id,
        sessions=len(cover.sessions),
        lamport=cover.lamport,
        receipts=reading.counts.receipts + reading.counts.condensed,
        condensed=reading.counts.condensed,
        open_intents=len(cover.open_intents),
        redacted=cover.redacted,
        host_receipts=sum(len(chain.receipts) for chain in reading.chains.values()),
        host_unsigned=len(reading.chains.keys() - reading.host_keys.keys()),
        drifts=reading.drifts,
    )
