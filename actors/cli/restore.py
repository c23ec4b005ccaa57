"""helm restore: make a data directory of a backup, once all of it is proved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.place import data_dir_option, open_place
from actors.installation import how_to_replace
from actors.process.environs import environs
from helm.crypto.domains import KeyPurpose

if TYPE_CHECKING:
    from actors.backups.proof import Proved
    from actors.backups.restored_keys import TakenKeys

LOST = (
    "what came after the backup is not known here: approvals that were used count as unused, budgets and velocities "
    "stand where they stood, and keys, delegations or approvals that were revoked since are valid again"
)

NO_PEN = "no kernel starts without the execution key: " + how_to_replace(KeyPurpose.EXECUTION, "KEY_ID")


@click.command()
@click.argument("backup", type=click.Path(path_type=Path), required=False)
@data_dir_option
@click.option("--log-id", default="", help="The log that was pinned; without it, the backup's own genesis is believed.")
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A checkpoint or signed note that was kept elsewhere: a backup that is older is refused. May be repeated.",
)
@click.option(
    "--keys", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Put in the key files that count."
)
@click.option("--check", is_flag=True, help="Prove the backup, and restore nothing.")
@click.option("--accept", is_flag=True, help="Let kernels start on what was restored to the data directory.")
@show.json_option
def restore(backup: Path | None, data_dir: Path, check: bool, accept: bool, as_json: bool, **given: Any) -> None:
    """Restore BACKUP to the new or empty --data-dir, or to the empty database that DATABASE_URL names.

    Everything is verified before it says done: hashes, every row from the genesis on, signatures, trees. A kernel does
    not start on it before `helm restore --accept`: see first that no other kernel of this log still runs.
    """
    if accept == (backup is not None):
        raise click.UsageError("name a BACKUP to restore, or say --accept to let kernels start")
    if backup is None:
        told = accepted(data_dir)
    else:
        proved = prove_backup(backup, given)
        keys = {} if check else put_back(proved, data_dir, given["keys"])
        told = {**told_of(proved, "" if check else str(data_dir)), **keys}
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name.replace("_", " "), words(value)) for name, value in told.items()])
    if backup is None or not check:
        show.note(LOST)


def prove_backup(backup: Path, given: dict[str, Any]) -> Proved:
    """Check a backup. Raises Invalid."""
    from actors.backups.proof import Witness, prove

    show.note(f"reading {backup}, trusting {given['log_id'] or 'its own genesis'}")
    witnesses = [Witness(where=str(path), raw=path.read_bytes()) for path in given["witnesses"]]
    with bar("verifying") as shown:
        return prove(backup, log_id=given["log_id"], witnesses=witnesses, seen=shown.move)


def put_back(proved: Proved, data_dir: Path, keys: Path | None) -> dict[str, Any]:
    """Restore what was proved, and say which keys did not come along. Raises Invalid."""
    from actors.backups.restoring import restore as make
    from actors.process.clock import SystemClock

    with bar("verifying what was written") as shown:
        taken = make(
            proved, data_dir, clock=SystemClock(), keys=keys, environment=environs(os.environ), seen=shown.move
        )
    if keys is None and not proved.backup.holds_keys:
        show.note(f"the backup holds no keys: copy yours to {data_dir / 'keys'}, mode 0600, before a start")
    else:
        tell_of_keys(taken)
    aside = {show.plain(name): why for name, why in taken.left_aside.items()}
    return {"keys_left_aside": aside, "keys_missing": [purpose.value for purpose in taken.missing]}


def tell_of_keys(taken: TakenKeys) -> None:
    """Say which keys did not come along, and what that means."""
    for name, why in taken.left_aside.items():
        show.note(f"left aside: {show.plain(name)}: {why}")
    if taken.missing:
        show.note(f"no key for {', '.join(taken.missing)} came along")
    if KeyPurpose.EXECUTION in taken.missing:
        show.note(NO_PEN)


def words(value: Any) -> str:
    """Return a value for people: of several things their names, "none" where there is nothing to say."""
    return show.plain(", ".join(value) if isinstance(value, dict | list) else str(value)) or "none"


def told_of(proved: Proved, restored: str) -> dict[str, Any]:
    backup = proved.backup
    return {
        "verified": True,
        "restored_to": restored,
        "entries": backup.entries,
        "checkpoint": backup.checkpoint_hash,
        "kernel_epoch": backup.kernel_epoch,
        "log_id": backup.log_id,
    }


def accepted(data_dir: Path) -> dict[str, Any]:
    """Let kernels start. Raises Invalid."""
    from actors.backups.restoring import accept

    return accept(open_place(data_dir))
