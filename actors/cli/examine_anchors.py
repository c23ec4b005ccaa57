"""Whether the latest checkpoint stands anywhere but here."""

from __future__ import annotations

from actors.cli.checkpoint.anchoring import is_latest_open, targets_of, tries_in, unanchored
from actors.cli.finding import Finding
from actors.installation import Installation


def examine_anchors(place: Installation) -> Finding:
    """Return what there is to say of anchors: a kernel whose anchor is missing works. Raises Invalid."""
    if not targets_of(place):
        return Finding("anchors", "note", "no target is configured: checkpoints stand here alone")
    waiting = unanchored(place)
    if is_latest_open(place, waiting):
        last = [one.detail for one in tries_in(place.path)][-1:] or ["nobody tried"]
        hint = "calls go on; `helm checkpoint anchor` tries again, `helm checkpoint anchors` lists the tries"
        return Finding("anchors", "warn", f"checkpoint {waiting[-1]} is anchored nowhere: {last[0]}", hint)
    return Finding("anchors", "ok", f"the latest checkpoint is anchored, {len(waiting)} earlier ones are not")
