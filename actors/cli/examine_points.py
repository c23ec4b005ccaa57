"""Whether the decision points of the policy can be asked from here, and answer by what the policy pins."""

from __future__ import annotations

import time
from collections.abc import Iterator

import trio

from actors.cli.finding import Finding
from actors.connectors.opa import OpaClient, PointFailed
from actors.installation import Installation
from actors.policy_file import read_signed
from helm.contracts.errors import Invalid, Refused
from helm.crypto.canonical import canonical
from helm.guardian.opa import Unreadable, read_answer
from helm.guardian.points import OpaPoint, Point

PROBE = canonical({"arguments": {}, "probe": "helm doctor", "version": "helm.pdp/1"})
"""A question about no call, told as such: whatever it is answered lets nothing pass."""


def examine_points(place: Installation) -> Iterator[Finding]:
    """Yield what there is to say of each decision point; nothing where the policy cannot be read, which is said."""
    try:
        points = read_signed(place.policy_path).policy.points
    except (Invalid, Refused, OSError):
        return
    for point in points.values():
        yield examine(point)


def examine(point: Point) -> Finding:
    """Return whether one point could answer now."""
    check = f"decision point {point.name}"
    if not isinstance(point, OpaPoint):
        return Finding(check, "ok", f"Cedar in the bundle, {point.content_hash}")
    begun = time.perf_counter()
    try:
        result, bundles, _ = read_answer(trio.run(probe, point), point.max_response_bytes)
    except (PointFailed, Unreadable) as problem:
        hint = "calls of its tools are refused with PDP_ERROR meanwhile"
        return Finding(check, "fail", f"{point.origin}: {problem}", hint)
    took_ms = (time.perf_counter() - begun) * 1000
    told = ", ".join(f"{name} {revision}" for name, revision in bundles) or "no bundle"
    if bundles != point.bundles:
        hint = "sign a policy that pins what it should answer by, or load that at the server"
        return Finding(check, "fail", f"{point.origin} answers by {told}: the policy pins another", hint)
    return Finding(check, "ok", f"{point.origin} answers {result} by {told}, in {took_ms:.0f} ms")


async def probe(point: OpaPoint) -> bytes:
    """Return the bytes that a point answers the probe with. Raises PointFailed."""
    client = OpaClient(point)
    with trio.move_on_after(point.deadline_ms / 1000):
        try:
            return await client.ask(PROBE)
        finally:
            with trio.move_on_after(1, shield=True):
                await client.aclose()
    raise PointFailed(f"no answer within {point.deadline_ms} ms")
