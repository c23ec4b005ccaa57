"""What can be found out about this machine and a data directory before, or while, a kernel stands on it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from statistics import median

import helm
from actors.cli.examine_anchors import examine_anchors
from actors.cli.examine_points import examine_points
from actors.cli.examine_store import examine_store
from actors.cli.finding import Finding
from actors.cli.receipts import verify_journal
from actors.cli.startable import check_startable
from actors.installation import KEYS, Installation
from actors.policy_file import read_signed
from actors.process.clock import SystemClock
from actors.stores.glance import glance, sqlite_version
from actors.stores.lock import LOCKS, beside, is_locked
from actors.trust_log import key_of, registry_of
from helm.contracts.errors import Invalid, Refused
from helm.guardian.bearers import Bearers

DISTRIBUTION = "helm-kernel"
PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^;\s]+)\s*(?:;(?P<marker>.*))?")

SYNCS = 16
SLOW_SYNC_MS = 20.0
"""A commit waits for the disk once or twice per call: beyond this, one caller alone gets a few answers a second."""

QUICK_ENTRIES = 5_000
"""A journal up to this long is verified always, in about a second; a longer one with --deep."""


def examine_machine() -> Iterator[Finding]:
    """Yield what does not depend on a data directory."""
    found = f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"
    yield Finding("python", "ok" if sys.version_info >= (3, 11) else "fail", found)
    yield Finding("helm", "ok", helm.__version__)
    yield libraries()
    yield Finding("sqlite", "ok", sqlite_version())


def libraries() -> Finding:
    """Compare what is installed with what was tested."""
    try:
        pins = [match for text in requires(DISTRIBUTION) or () if (match := PINNED.fullmatch(text))]
        pins = [pin for pin in pins if "extra" not in (pin["marker"] or "")]
        odd = [f"{pin['name']} {version(pin['name'])}, not {pin['version']}" for pin in pins if not fits(pin)]
    except PackageNotFoundError as problem:
        return Finding("libraries", "fail", f"{problem.name} is not installed", "pip install -e .")
    if odd:
        hint = "install on constraints.txt: these versions were never tested"
        return Finding("libraries", "warn", "; ".join(odd), hint)
    return Finding("libraries", "ok", f"{len(pins)}, each exactly the version that was tested")


def fits(pin: re.Match[str]) -> bool:
    return version(pin["name"]) == pin["version"]


def examine_place(path: Path, opened: Callable[[], Installation], *, deep: bool) -> Iterator[Finding]:
    """Yield what there is to say of a data directory."""
    try:
        place = opened()
    except Invalid as problem:
        yield Finding("data directory", "fail", f"{problem.where}: {problem.what}", problem.hint)
        return
    yield Finding("data directory", "ok", f"{path.resolve()}, its owner's alone, log {place.log_id}")
    for check, look in (
        ("disk space", disk_space),
        ("disk sync", disk_sync),
        ("key files", key_files),
        ("bearer keys", bearer_keys),
        ("exposure", exposure),
        ("policy", policy),
        ("layers", layers),
        ("anchors", examine_anchors),
        *(() if place.config.database else (("lock", lock),)),
    ):
        yield guarded(check, look, place)
    yield from examine_store(place)
    yield from examine_points(place)
    yield guarded("journal", lambda place: journal(place, deep=deep), place)


def guarded(check: str, look: Callable[[Installation], Finding], place: Installation) -> Finding:
    """Return what a look found; what it stumbled over is a finding too."""
    try:
        return look(place)
    except Invalid as problem:
        return Finding(check, "fail", f"{problem.where}: {problem.what}", problem.hint)
    except Refused as problem:
        return Finding(check, "fail", str(problem))
    except OSError as problem:
        return Finding(check, "fail", str(problem), "the kernel needs this to work")


def disk_space(place: Installation) -> Finding:
    """Compare what is free with the reserve below which calls are refused."""
    free, reserve = shutil.disk_usage(place.path).free, place.config.free_space_reserve_bytes
    detail = f"{free / 1e9:.1f} GB free, calls are refused below {reserve / 1e6:.0f} MB"
    if free < reserve:
        return Finding("disk space", "fail", detail, "free some space")
    return Finding("disk space", "warn" if free < 10 * reserve else "ok", detail)


def disk_sync(place: Installation) -> Finding:
    """Measure how long the disk takes to make a small write durable."""
    took = []
    with tempfile.TemporaryFile(dir=place.path) as file:
        for _ in range(SYNCS):
            start = time.perf_counter()
            os.write(file.fileno(), b"\0" * 4096)
            os.fsync(file.fileno())
            took.append((time.perf_counter() - start) * 1000)
    detail = f"{median(took):.2f} ms, the slowest of {SYNCS} {max(took):.2f} ms"
    if median(took) <= SLOW_SYNC_MS:
        return Finding("disk sync", "ok", detail)
    return Finding("disk sync", "warn", detail, "every call waits for the disk: a local SSD serves it better")


def key_files(place: Installation) -> Finding:
    """Read every key, which checks modes and owners, and ask the trust events whether it counts."""
    registry = registry_of(place)
    for purpose in KEYS:
        registry.require(key_of(place, purpose).key_id, purpose, registry.lamport + 1)
    return Finding("key files", "ok", f"{len(KEYS)}, mode 0600, vouched for by the trust events")


def bearer_keys(place: Installation) -> Finding:
    """Read the hashes of the bearer keys."""
    keys, now_ms = place.bearer_keys(), SystemClock().now_ms()
    ended = sum(not key.counts_at(now_ms) for key in keys.everyone)
    has_admin = bool(keys.admins(Bearers(), now_ms))
    told = f"{len(keys.issued)} issued, {'an admin key among them' if has_admin else 'no admin key that counts'}"
    told += f"; {ended} expired" if ended else ""
    hint = "" if has_admin else "helm key issue --class admin --principal NAME"
    return Finding("bearer keys", "ok" if has_admin else "warn", told, hint)


def exposure(place: Installation) -> Finding:
    """Say who can reach the port, and whether that may be. Raises Invalid."""
    from actors.doors.tls import tls_of

    config = place.config
    config.check_exposure(admin_key_issued=place.bearer_keys().has_admin)
    tls_of(config)
    who = "other machines" if config.is_exposed else "this machine only"
    how = "TLS" if config.tls_cert else "no TLS"
    if config.client_certificates != "none":
        how += f", client certificates {config.client_certificates}"
        if not read_signed(place.policy_path).policy.identity.takes_certificates:
            return Finding("exposure", "warn", f"{who}, {how}: but the policy pins no root, and none counts")
    return Finding("exposure", "warn" if config.is_exposed and not config.tls_cert else "ok", f"{who}, {how}")


def policy(place: Installation) -> Finding:
    """Ask of the policy what a start would ask. Raises Invalid, or Refused, as a start does."""
    signed = read_signed(place.policy_path, place.overlays_path)
    local = check_startable(place, signed)
    policy = signed.policy
    detail = f"epoch {policy.epoch}, {len(policy.tools)} tools, signed by {signed.signature.key_id}"
    if local:
        hint = "start the program that gives their functions, or take them out of the policy"
        return Finding("policy", "warn", f"{detail}; `helm serve` refuses local connectors: {', '.join(local)}", hint)
    return Finding("policy", "ok", detail)


def layers(place: Installation) -> Finding:
    """Read what is in force around the bundle, and say what waits or would be refused at the next start."""
    from actors.cli.layered import layers_at
    from actors.cli.policy_state import moment

    found = layers_at(place.path, None)
    if found.refused:
        first = found.refused[0]
        return Finding("layers", "fail", f"{first.where}: {first.what}", first.hint)
    count = len(found.precedence.overlays.in_force)
    detail = f"{count} overlays in force"
    if found.precedence.due_at_ms:
        hint = "helm policy show says which; helm policy cancel-raise gives it up"
        detail += f", a raise of P0 ceilings waits until {moment(found.precedence.due_at_ms)}"
        return Finding("layers", "warn", detail, hint)
    return Finding("layers", "ok", detail)


def lock(place: Installation) -> Finding:
    """Say whether a kernel holds the journal, without ever standing in its way."""
    path = beside(place.journal_path)
    if not LOCKS.exists():
        return Finding("lock", "note", "this system does not tell who holds a lock")
    if path.exists() and is_locked(path, LOCKS.read_text()):
        return Finding("lock", "note", f"a kernel runs here: process {path.read_text().strip()}")
    return Finding("lock", "note", "no kernel runs here")


def journal(place: Installation, *, deep: bool) -> Finding:
    """Verify the journal from its genesis, unless it is long and nobody asked for it."""
    if not place.has_journal:
        return Finding("journal", "note", "none yet: the first start begins it")
    with glance(place.journal_at) as seen:
        head = seen.head()
    if head > QUICK_ENTRIES and not deep:
        return Finding("journal", "note", f"{head:,} entries, not verified", "helm doctor --deep verifies them all")
    told = verify_journal(place.journal_at, place.log_id)
    detail = f"{told['entries']:,} entries and {told['receipts']:,} receipts verified from the genesis"
    return Finding("journal", "ok", detail)
