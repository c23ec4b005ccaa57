"""helm backup: copy an installation, verified, while its kernel runs."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.place import data_dir_option, open_place


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@data_dir_option
@click.option("--with-keys", is_flag=True, help="The private keys too: whoever holds the backup then signs as HELM.")
@show.json_option
def backup(target: Path, data_dir: Path, with_keys: bool, as_json: bool) -> None:
    """Copy the journal, the settings, the policy and its overlays to the new directory TARGET.

    Every row is verified as it is copied, a kernel may run meanwhile, and TARGET is there whole or not at all. Private
    keys are not in it unless --with-keys says so: keep copies of DATA_DIR/keys elsewhere.
    """
    from actors.backups.making import back_up
    from actors.process.clock import SystemClock

    place = open_place(data_dir)
    show.note(f"reading {place.journal_at}")
    with bar("verifying") as shown:
        made = back_up(place, target, clock=SystemClock(), with_keys=with_keys, seen=shown.move)
    told = {
        "backup": str(target),
        "entries": made.entries,
        "checkpoint": made.checkpoint_hash,
        "kernel_epoch": made.kernel_epoch,
        "files": len(made.files),
        "holds_keys": made.holds_keys,
        "log_id": made.log_id,
    }
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name.replace("_", " "), str(value) or "none") for name, value in told.items()])
    if not made.checkpoint_hash:
        show.note("its log holds no checkpoint: nothing can prove later that a backup is not too old (checkpoint now)")
