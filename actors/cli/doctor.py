"""helm doctor: examine the ground that a kernel would stand on."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.cli.examine import examine_machine, examine_place
from actors.cli.examine_containment import examine_containment
from actors.cli.failure import REFUSED
from actors.cli.finding import Finding
from actors.cli.place import data_dir_option, open_place
from actors.installation import Installation
from helm.contracts.errors import Invalid


@click.command()
@data_dir_option
@click.option("--deep", is_flag=True, help="Verify every entry of the journal, however long it is.")
@show.json_option
def doctor(data_dir: Path, deep: bool, as_json: bool) -> int:
    """Examine this machine and a data directory. Exit 1 where something would keep a kernel from working."""
    findings = [*examine_machine(), *examine_place(data_dir, lambda: open_place(data_dir), deep=deep)]
    findings += examine_containment(place_at(data_dir))
    if as_json:
        show.as_object([finding._asdict() for finding in findings])
    else:
        show.table(("check", "state", "found"), [(one.check, show.state(one.state), one.detail) for one in findings])
        for finding in findings:
            advise(finding)
    return REFUSED if any(finding.state == "fail" for finding in findings) else 0


def place_at(data_dir: Path) -> Installation | None:
    """Return the data directory, None where there is none to be opened: that was told."""
    try:
        return open_place(data_dir)
    except Invalid:
        return None


def advise(finding: Finding) -> None:
    if finding.hint:
        show.note(f"{finding.check}: {finding.hint}")
