"""What is done with evidence packs in a process of its own: verify one, judge one again, make one.

The pack is the process's standard input: it is read there, and written there. Each errand imports what it needs, and
no more: nobody waits for the rest.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes, reread
from helm.evidence.selection import NotThere
from helm.evidence.trust_root import TrustRoot

if TYPE_CHECKING:
    from actors.evidence.envelopes import Kept
    from actors.installation import Installation

MIB: Final = 1024 * 1024

POLITENESS: Final = 10
"""How far an errand stands back: calls are judged first."""

Answer = dict[str, JSONValue]


def verify(pins: dict[str, str]) -> Answer:
    """Return the report of a verification. Raises Invalid for pins that are none."""
    from helm.evidence.verify import verify_pack

    return verify_pack(sys.stdin.buffer.read(), TrustRoot(**pins)).body()


def replay(pins: dict[str, str]) -> Answer:
    """Return the report of a replay. Raises Invalid for pins that are none."""
    from helm.evidence.replay_report import replay_report

    return replay_report(sys.stdin.buffer.read(), TrustRoot(**pins)).body(with_calls=False)


def export(data_dir: str, session: tuple[str, str], scope: list[Any], through: int, **how: Any) -> Answer:
    """Write the pack that is asked for, and return its size. Raises NotThere, and Invalid for an unfit log.

    With `envelope` in `how`, an envelope of that kind is signed around it and kept, and returned by its name.
    """
    from actors.evidence.export import glance_over, replay_script, write_into
    from actors.evidence.spool import file_spools
    from actors.installation import Installation
    from actors.stores.glance import glance
    from helm.evidence.pack import PackMaterial
    from helm.evidence.scope import Scope
    from helm.evidence.selection import Selection

    place = Installation.open(Path(data_dir), environment=os.environ)
    with file_spools() as spool, os.fdopen(os.dup(sys.stdin.fileno()), "w+b") as file:
        selection = Selection(session[0], session[1], Scope(*scope), through, spool)
        with glance(place.journal_at) as journal:
            glance_over(journal, selection)
        selection.check_reached()
        material = PackMaterial(selection=selection, script=replay_script(), redact_facts=how["redact"])
        write_into(file, material, place.evidence_key())
        name = wrap_made(place, file, **how["envelope"]).name if how["envelope"] else ""
        return {"bytes": file.tell(), "envelope": name}


def wrap_made(place: Installation, pack: IO[bytes], kind: str, experimental: bool, now_ms: int) -> Kept:
    """Sign an envelope around a pack that was made and verified just now, and keep it. Raises Invalid."""
    from actors.evidence.envelopes import Envelopes
    from actors.trust_log import registry_of
    from helm.evidence.envelopes.kinds import EnvelopeKind
    from helm.evidence.envelopes.native import of_pack
    from helm.evidence.envelopes.wrap import check_counts, wrap

    pen = place.evidence_key()
    check_counts(registry_of(place), pen)
    with mmap(pack.fileno(), 0, access=ACCESS_READ) as raw:
        native = of_pack(raw)
    envelope = wrap(native, EnvelopeKind(kind), pen, experimental=experimental)
    return Envelopes.of(place.path).keep(envelope, now_ms)


ERRANDS: Final[Mapping[str, Callable[..., Answer]]] = {"export": export, "replay": replay, "verify": verify}


def serve() -> None:
    """Be the process: do the one errand that the command line names, and tell what came of it."""
    said = reread(sys.argv[1].encode())
    os.nice(POLITENESS)
    most = said["memory_mib"] * MIB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (said["cpu_s"], said["cpu_s"]))  # who would kill it may be dead itself
    asked = said["asked"]
    try:
        answer: Answer = {"done": ERRANDS[asked.pop("errand")](**asked)}
    except Invalid as problem:
        answer = {"refused": {"is_there": not isinstance(problem, NotThere), "what": problem.what}}
    sys.stdout.buffer.write(record_bytes(answer))
