"""helm restore: make a data directory of a backup, once all of it is proved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.place import data_dir_option, open_place
from actors.environs import environs

if TYPE_CHECKING:
    from actors.backup_proof import Proved

LOST = (
    "what came after the backup is not known here: approvals that were used count as unused, budgets and velocities "
    "stand where they stood, and keys, delegations or approvals that were revoked since are valid again"
)


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
@click.option("--keys", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Key files to put in.")
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
        if not check:
            put_back(proved, data_dir, given["keys"])
        told = told_of(proved, "" if check else str(data_dir))
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name.replace("_", " "), str(value) or "none") for name, value in told.items()])
    if backup is None or not check:
        show.note(LOST)


def prove_backup(backup: Path, given: dict[str, Any]) -> Proved:
    """Check a backup. Raises Invalid."""
    from actors.backup_proof import Witness, prove

    show.note(f"reading {backup}, trusting {given['log_id'] or 'its own genesis'}")
    witnesses = [Witness(where=str(path), raw=path.read_bytes()) for path in given["witnesses"]]
    with bar("verifying") as shown:
        return prove(backup, log_id=given["log_id"], witnesses=witnesses, seen=shown.move)


def put_back(proved: Proved, data_dir: Path, keys: Path | None) -> None:
    """Restore what was proved. Raises Invalid."""
    from actors.clock import SystemClock
    from actors.restoring import restore as make

    with bar("verifying what was written") as shown:
        make(proved, data_dir, clock=SystemClock(), keys=keys, environment=environs(os.environ), seen=shown.move)
    if keys is None and not proved.backup.holds_keys:
        show.note(f"the backup holds no keys: copy yours to {data_dir / 'keys'}, mode 0600, before a start")


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
    from actors.restoring import accept

    return accept(open_place(data_dir))
