"""helm policy compile, helm policy activate: a bundle in the form that its hash covers, and put in force."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from actors.cli import show
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.installation import Installation
from actors.policy_file import read_policy, read_signed, signature_path
from actors.process import durable
from helm.contracts.errors import Invalid, Refused
from helm.guardian.bundle_signature import check_succession

FILE = click.Path(path_type=Path, dir_okay=False)

NOBODY_LISTENS: Final = (FileNotFoundError, ConnectionRefusedError)
"""No socket, or the one that a killed gateway left. One that lives has the log's lock besides."""

NOBODY_KNOWS: Final = "nobody knows whether the policy is in force"
LOOK: Final = "helm policy show says which one is; then activate it again"


@click.command("compile", short_help="Write a bundle in the form that its hash covers.")
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=FILE, help="Write it to this file, and its hash to stdout.")
@show.json_option
def compile_(file: Path, output: Path | None, as_json: bool) -> None:
    """Write FILE in its one canonical form: what is hashed, signed and kept in evidence packs."""
    compiled = read_policy(file)
    if output is None:
        sys.stdout.write(compiled.document.decode())
        sys.stdout.flush()
        show.note(f"{compiled.policy_hash}, epoch {compiled.epoch}")
        return
    durable.replace(output, compiled.document)
    body = {"epoch": compiled.epoch, "file": str(output), "policy_hash": compiled.policy_hash}
    if as_json:
        show.as_object(body)
    else:
        click.echo(compiled.policy_hash)


@click.command(short_help="Put a signed bundle in force.")
@click.argument("file", type=FILE)
@data_dir_option
@show.json_option
def activate(file: Path, data_dir: Path, as_json: bool) -> None:
    """Put FILE and the signature beside it in force, in the running gateway or in the log itself.

    FILE becomes the data directory's policy once it is in force. Refused, everything stays as it was: the file, the
    policy in force, and the log. Where a gateway gives no answer, FILE stays: nobody knows whether it is in force.
    """
    from actors.cli.in_force import active_policy
    from actors.cli.policy import check_vouched

    place = open_place(data_dir)
    signed = read_signed(file, place.overlays_path)
    check_vouched(signed.policy, signed.signature, data_dir)
    check_succession(active_policy(place), signed.policy)
    with put(file, place):
        told = in_force(place)
    body = {"epoch": signed.policy.epoch, "policy_hash": signed.policy.policy_hash, "said": told}
    if as_json:
        show.as_object(body)
    else:
        show.note(show.plain(told))


class Unknown(Failed):
    """Nobody knows whether the policy is in force."""


@contextmanager
def put(file: Path, place: Installation) -> Iterator[None]:
    """Put a policy file and its signature in their places, and what stood there back where the body is refused.

    Between the two writes a reload finds a signature of another policy, and keeps the one in force. Whatever else
    ends the body, nobody knows what became of the policy: the new files stay, because an older policy than the log's
    keeps the next start from opening.
    """
    files = [(place.policy_path, file), (signature_path(place.policy_path), signature_path(file))]
    before = [(to, to.read_bytes() if to.exists() else None) for to, _ in files]
    wanted = [(to, by.read_bytes()) for to, by in files]
    try:
        for to, content in wanted:
            durable.replace(to, content)
    except BaseException:  # nobody was asked yet
        put_back(before)
        raise
    try:
        yield
    except Unknown:
        raise
    except (Failed, Invalid, Refused):
        put_back(before)
        raise
    except KeyboardInterrupt:
        show.note(f"interrupted: {NOBODY_KNOWS}\n  {LOOK}")
        raise


def put_back(before: list[tuple[Path, bytes | None]]) -> None:
    """Put back what stood at each path, nothing where nothing did. Raises Invalid."""
    for to, was in before:
        if was is None:
            to.unlink(missing_ok=True)
        else:
            durable.replace(to, was)


def in_force(place: Installation) -> str:
    """Have the data directory's policy put in force by whoever writes its log.

    Raises Unknown where a gateway was asked and gave no answer; Failed, Invalid or Refused where it was refused.
    """
    from actors.cli.reload import ask

    try:
        said: dict[str, Any] = ask(place.path)
    except Failed as problem:
        if isinstance(problem.__cause__, NOBODY_LISTENS):
            return in_force_here(place)
        raise Unknown(f"{problem}: {NOBODY_KNOWS}", LOOK, "NO_ANSWER") from problem
    if said["refused"]:
        raise Failed(str(said["said"]), "the gateway refused it: nothing has changed", "REFUSED")
    return str(said["said"])


def in_force_here(place: Installation) -> str:
    """Write the activation into a log that no kernel writes now. Raises Invalid where one does."""
    import trio

    from actors.cli.deciding import deciding_kernel

    async def begin() -> int:
        async with deciding_kernel(place) as kernel:
            return kernel.memory.bundle.epoch

    return f"policy epoch {trio.run(begin)} is in force"
