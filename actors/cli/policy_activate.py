"""helm policy compile, helm policy activate: a bundle in the form that its hash covers, and put in force."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

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

ELSEWHERE: Final = "it reads another file: was it started with --policy? Put the new one there, then: helm reload"


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
    check_vouched(signed, data_dir)
    with alone(place):
        check_succession(active_policy(place), signed.policy)
        told = in_force(file, place, signed.policy.policy_hash)
    body = {"epoch": signed.policy.epoch, "policy_hash": signed.policy.policy_hash, "said": told}
    if as_json:
        show.as_object(body)
    else:
        show.note(show.plain(told))


class Unknown(Failed):
    """Nobody knows whether the policy is in force."""


@contextmanager
def alone(place: Installation) -> Iterator[None]:
    """Keep a second activation out: each would put its files, and have the other's put in force or back.

    Raises Failed where another one is under way. The directory itself is locked: no file is left behind.
    """
    directory = os.open(place.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed("another activation is under way", "nothing has changed: wait until it has ended") from None
        yield
    finally:
        os.close(directory)


@contextmanager
def put(file: Path, place: Installation) -> Iterator[None]:
    """Put a policy file and its signature in their places, and what stood there back where the body is refused.

    Between the two writes a reload finds a signature of another policy, and keeps the one in force. Whatever else
    ends the body, nobody knows what became of the policy: the new files stay, because an older policy than the log's
    keeps the next start from opening. Ctrl-C waits while files are written: one never stays without the other.
    """
    files = [(place.policy_path, file), (signature_path(place.policy_path), signature_path(file))]
    before = [(to, to.read_bytes() if to.exists() else None) for to, _ in files]
    wanted = [(to, by.read_bytes()) for to, by in files]
    try:
        put_back(wanted)
        yield
    except Unknown:
        raise
    except (Failed, Invalid, Refused):
        put_back(before)
        raise
    except BaseException as problem:
        if is_interrupt(problem):
            show.note(f"interrupted: {NOBODY_KNOWS}\n  {LOOK}")
        raise


def put_back(contents: Sequence[tuple[Path, bytes | None]]) -> None:
    """Put what belongs at each path, nothing where nothing did. Raises Invalid."""
    with uninterrupted():
        for to, content in contents:
            if content is None:
                to.unlink(missing_ok=True)
            else:
                durable.replace(to, content)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Have Ctrl-C wait until the body is done."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def is_interrupt(problem: BaseException) -> bool:
    """Tell whether Ctrl-C is what ended something, also among other things."""
    if isinstance(problem, BaseExceptionGroup):
        return problem.subgroup(KeyboardInterrupt) is not None
    return isinstance(problem, KeyboardInterrupt)


def in_force(file: Path, place: Installation, policy_hash: str) -> str:
    """Have a policy put in force by whoever writes the data directory's log.

    Raises Unknown where a gateway was asked and gave no answer; Failed, Invalid or Refused where it was refused.
    """
    from actors.cli.reload import reached

    try:
        with reached(place.path) as line:
            return in_force_there(file, place, policy_hash, line)
    except Failed as problem:
        if not isinstance(problem.__cause__, NOBODY_LISTENS):
            raise
    return in_force_here(file, place)


def in_force_there(file: Path, place: Installation, policy_hash: str, line: socket.socket) -> str:
    """Have a gateway read the policy, and see in the log that it did."""
    from actors.cli.in_force import active_policy
    from actors.cli.reload import answer

    with put(file, place):
        try:
            said = answer(line, place.path)
        except Failed as problem:
            raise Unknown(f"{problem}: {NOBODY_KNOWS}", LOOK, "NO_ANSWER") from None
        if said["refused"]:
            raise Failed(str(said["said"]), "the gateway refused it: nothing has changed", "REFUSED")
        active = active_policy(place)
        if active is None or active.policy_hash != policy_hash:
            raise Failed(f"the gateway read another policy: {said['said']}", ELSEWHERE, "REFUSED")
    return str(said["said"])


def in_force_here(file: Path, place: Installation) -> str:
    """Write the activation into a log that no kernel writes now. Raises Invalid where one does.

    The log is locked before a file is put: a gateway that starts meanwhile would take it, and find it put back.
    """
    import trio

    from actors.cli.deciding import deciding_kernel
    from actors.opening import break_ground

    async def begin() -> int:
        ground = await break_ground(place)
        try:
            with put(file, place):
                async with deciding_kernel(place, ground) as kernel:
                    return kernel.memory.bundle.epoch
        finally:
            await ground.aclose()

    return f"policy epoch {trio.run(begin)} is in force"
