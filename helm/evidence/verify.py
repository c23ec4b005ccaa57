"""Verifying a pack offline, from a trust root that the caller brings.

Each check stands on the ones before it; the first that does not hold ends the verification.

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
16. inclusion  the tree over the receipts has the stated root, and every proof leads to it
17. checkpoints  checkpoints are one signed chain over these calls; the session was not cut off before the last of them
18. condensed  whatever was condensed is of low risk, was allowed without a human's word, and lies under a checkpoint
19. host       what recorders on hosts wrote stands beside the pack as it was exported, in whole chains
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from helm.contracts.errors import Invalid
from helm.evidence.archive import Raw
from helm.evidence.check_approvals import check_approvals
from helm.evidence.check_checkpoints import check_checkpoints
from helm.evidence.check_condensed import check_condensed
from helm.evidence.check_form import check_archive, check_manifest, check_versions
from helm.evidence.check_graph import (
    check_control,
    check_genesis,
    check_nodes,
    check_policies,
    check_signed_manifest,
    check_trust,
)
from helm.evidence.check_host import check_host
from helm.evidence.check_receipts import check_chain, check_receipts
from helm.evidence.check_seals import check_seals
from helm.evidence.check_stories import check_stories
from helm.evidence.check_whole import check_complete, check_inclusion
from helm.evidence.proven import Helpers
from helm.evidence.reading import NO_KEYS, Reading
from helm.evidence.report import Outcome, Report, Subject
from helm.evidence.scope import SESSION
from helm.evidence.trust_root import TrustRoot

CHECKS: Final[tuple[tuple[str, Callable[[Reading], None]], ...]] = (
    ("archive", check_archive),
    ("manifest", check_manifest),
    ("versions", check_versions),
    ("nodes", check_nodes),
    ("genesis", check_genesis),
    ("trust", check_trust),
    ("signature", check_signed_manifest),
    ("control", check_control),
    ("policies", check_policies),
    ("seals", check_seals),
    ("receipts", check_receipts),
    ("chain", check_chain),
    ("stories", check_stories),
    ("approvals", check_approvals),
    ("complete", check_complete),
    ("inclusion", check_inclusion),
    ("checkpoints", check_checkpoints),
    ("condensed", check_condensed),
    ("host", check_host),
)


class CheckFailed(Invalid):
    """A pack that must not be believed, and the check that says so."""

    def __init__(self, number: int, name: str, problem: Invalid) -> None:
        super().__init__(problem.what, problem.where, problem.hint)
        self.number = number
        self.name = name


def check_pack(
    raw: Raw, root: TrustRoot, helpers: Helpers | None = None, host_keys: Mapping[str, str] = NO_KEYS
) -> Reading:
    """Verify a pack and return what was read of it. Raises CheckFailed at the first check that does not hold.

    `helpers` check signatures meanwhile; the outcome is the same without them. `host_keys` are public keys of recorders
    on hosts, by the name of the source that each is of: no pins of the log.
    """
    reading = Reading(raw, root, helpers, host_keys)
    for number, (name, check) in enumerate(CHECKS, 1):
        try:
            check(reading)
        except Invalid as problem:
            raise CheckFailed(number, name, problem) from problem
    return reading


def verify_pack(
    raw: Raw, root: TrustRoot, helpers: Helpers | None = None, host_keys: Mapping[str, str] = NO_KEYS
) -> Report:
    """Verify a pack and report every check by number and name. Never raises for what is in the pack."""
    try:
        reading = check_pack(raw, root, helpers, host_keys)
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


def promise_of(check: Callable[[Reading], None]) -> str:
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
        receipts=len(reading.receipts) + len(reading.condensed),
        condensed=len(reading.condensed),
        open_intents=len(cover.open_intents),
        redacted=len(cover.redacted),
        host_receipts=sum(len(chain.receipts) for chain in reading.chains.values()),
        host_unsigned=len(reading.chains.keys() - reading.host_keys.keys()),
        drifts=reading.drifts,
    )
