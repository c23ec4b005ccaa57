"""Which policy the log has in force, and whether it is the one that the data directory's file states."""

from __future__ import annotations

import attrs

from actors.cli import show
from actors.installation import Installation
from actors.policy_file import read_policy
from helm.contracts.errors import Invalid


@attrs.frozen
class Activated:
    """The policy that the journal says is in force, as far as the next one must know it."""

    scope: str
    epoch: int
    policy_hash: str


def active_policy(place: Installation) -> Activated | None:
    """Return what was activated last, None where nothing ever was. Raises Invalid."""
    from actors.cli.receipt_source import holding
    from actors.stores.glance import glance

    if not place.has_journal:
        return None
    with glance(place.journal_at) as journal:
        for _, entry in holding(journal, '"type":"POLICY_ACTIVATED"'):
            payload = entry["node"]["payload"]
            if payload.get("type") == "POLICY_ACTIVATED":
                return Activated(payload["scope"], payload["epoch"], payload["policy_hash"])
    return None


def note_where_other(place: Installation) -> None:
    """Say on stderr where the policy's file is not what the log has in force. Raises Invalid for a log that fails.

    Commands that read the file describe what would be asked under it, and a kernel of this log asks something else.
    """
    active = active_policy(place)
    if active is None:
        return
    try:
        found = read_policy(place.policy_path)
    except Invalid as problem:
        show.note(show.plain(f"{place.policy_path} cannot be read as a policy: {problem.where}: {problem.what}"))
        show.note(f"  the log has {words(active)} in force: helm policy show")
        return
    if found.policy_hash != active.policy_hash:
        stated = Activated(found.scope, found.epoch, found.policy_hash)
        show.note(f"{place.policy_path} ({words(stated)}) is not what the log has in force ({words(active)})")
        show.note("  what is told here is the file's; of the log's: helm policy show")


def words(policy: Activated) -> str:
    """Return which policy it is, for people."""
    return f"scope {policy.scope}, epoch {policy.epoch}"
