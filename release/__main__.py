"""python -m release: make a release, verify one, build its archives alone, or make a release key."""

from __future__ import annotations

import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import click

from helm.contracts.errors import Invalid
from release import archives, key
from release.commit import Commit
from release.making import Wanted, make
from release.provenance import BUILDER, EPHEMERAL_BUILDER, REPOSITORY, Origin
from release.verifying import Reading, verify

ROOT = Path(__file__).resolve().parent.parent

folder = click.argument("folder", type=click.Path(path_type=Path))
wheels = click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with wheels of all that it needs; without it this interpreter's libraries are borrowed.",
)
repository = click.option("--repository", default=REPOSITORY, show_default=True, help="How the sources are called.")
checkout = click.option(
    "--checkout", type=click.Path(path_type=Path, exists=True, file_okay=False), default=ROOT, help="The sources."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def program() -> None:
    """Make a release of the commit that is checked out, or verify one."""


@program.command("make")
@folder
@checkout
@repository
@wheels
@click.option(
    "--key", "key_file", type=click.Path(path_type=Path), help=f"The release key; or name it in {key.VARIABLE}."
)
@click.option("--ephemeral-key", is_flag=True, help="Sign with a key that is thrown away: a trial, and it says so.")
@click.option("--ref", default="", help="The ref that the provenance names; the one that is checked out.")
def make_release(  # noqa: PLR0917 - what may be typed, by name
    folder: Path,
    checkout: Path,
    repository: str,
    wheels: Path | None,
    key_file: Path | None,
    ephemeral_key: bool,
    ref: str,
) -> None:
    """Make a release in FOLDER: wheel, sdist, bill of materials, sample pack, signed provenance, sums."""
    chosen = key.chosen(key_file, ephemeral=ephemeral_key)
    wanted = Wanted(root=checkout, target=folder, key=chosen, repository=repository, ref=ref, wheels=wheels)
    origin = make(wanted, tell)
    click.echo(f"public key  {chosen.public}")
    click.echo(f"ref         {origin.ref}")
    if chosen.is_ephemeral:
        tell("an EPHEMERAL key signed this: it is gone, nobody can know it from elsewhere, and the provenance says so")
    else:
        tell("tell the public key by another way than with the release")


@program.command("verify")
@folder
@wheels
@repository
@click.option("--public-key", required=True, help="64 hex digits, told to you by another way.")
@click.option("--ref", required=True, help="The ref that it must have been built from, such as refs/tags/v1.0.")
@click.option("--ephemeral", is_flag=True, help="Take a trial that was signed with a key that was thrown away.")
def verify_release(
    folder: Path, wheels: Path | None, repository: str, public_key: str, ref: str, ephemeral: bool
) -> None:
    """Verify the release in FOLDER. Exit 1 names the first file that is not what it must be."""
    builder = EPHEMERAL_BUILDER if ephemeral else BUILDER
    origin = Origin(repository=repository, ref=ref, builder=builder)
    verify(Reading(folder=folder, public_key=public_key, origin=origin, wheels=wheels), click.echo)


@program.command("archives")
@folder
@checkout
def build_archives(folder: Path, checkout: Path) -> None:
    """Build wheel and sdist alone into FOLDER, to be compared with somebody else's."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="helm-release-") as place:
        made = archives.build(Commit.at_head(checkout), Path(place) / "build", folder)
    for path in (made.wheel, made.sdist):
        click.echo(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}")


@program.command("key")
@click.argument("file", type=click.Path(path_type=Path))
def make_key(file: Path) -> None:
    """Make a release key in a new FILE of mode 0600, and show its public half."""
    click.echo(f"public key  {key.make(file).public}")


def tell(line: str) -> None:
    """Say something to the person."""
    click.echo(line, err=True)


def main() -> None:
    """Run what was typed; a refusal names its place."""
    try:
        program.main(prog_name="release", standalone_mode=True)
    except Invalid as problem:
        tell(f"refused: {problem.where}: {problem.what}")
        if problem.hint:
            tell(f"  {problem.hint}")
        sys.exit(1)


if __name__ == "__main__":
    main()
