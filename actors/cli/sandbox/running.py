"""helm sandbox run and add: try a guest, and bring its module where a policy finds it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
import trio

from actors.cli import show
from actors.cli.failure import REFUSED, Failed
from actors.cli.place import data_dir_option
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxGrant
from helm.crypto.hashing import sha256
from helm.guardian.bundle_grants import MAX_FUEL, MAX_MEMORY_BYTES, MAX_WALL_MS, PAGE
from helm.guardian.grants import read_asked, read_view
from helm.guardian.overgrant import in_words, overgrants


@click.command()
@click.argument("module", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--fuel", type=click.IntRange(1, MAX_FUEL))
@click.option("--memory-bytes", type=click.IntRange(PAGE, MAX_MEMORY_BYTES))
@click.option("--wall-ms", type=click.IntRange(1, MAX_WALL_MS))
@click.option("--grant", "grant_id", metavar="GRANT", help="Under this grant of the data directory, a draft as well.")
@click.option(
    "--input", "source", type=click.File("rb"), default="-", help="What it reads; standard input, if not said."
)
@data_dir_option
@show.json_option
def run(
    module: Path, grant_id: str | None, source: BinaryIO, data_dir: Path, *, as_json: bool, **limits: int | None
) -> int:
    """Run MODULE once, under limits or a grant.

    No policy is asked for the call, and no receipt is left; an overgrant is refused.

    Its answer goes to stdout. Exit 1 where it was ended; the code and the reason are told.
    """
    from actors.connectors.guest_grant import surroundings
    from actors.connectors.patience import Patience
    from actors.connectors.wasm import Seat, Visit
    from helm.runtime.sandbox.cell import Cell
    from helm.runtime.sandbox.guest import compiled
    from helm.runtime.sandbox.port import Guest, GuestEnded

    found = read_module(module)
    asked = {name: value for name, value in limits.items() if value is not None}
    grant = grant_of(data_dir, grant_id, found, asked)
    arguments = source.read()

    @contextmanager
    def guest() -> Iterator[Guest]:
        with surroundings(grant, arguments, data_dir) as given:
            yield Guest(arguments, given)

    async def visit() -> Visit:
        cell = Cell(compiled(found, grant.module_hash, grant.limits), grant.limits)
        one = Visit(Seat(cell), guest, lambda: None)
        one.begin()
        with trio.move_on_after(grant.limits.wall_ms / 1000):
            await one.wait(Patience())
        return one

    try:
        answered = trio.run(visit).outcome()
    except GuestEnded as end:
        if as_json:
            show.as_object({"code": str(end.code), "fuel_used": end.fuel_used, "reason": end.reason, "trap": end.trap})
        else:
            show.note(f"{end.code}: {end.reason} ({end.fuel_used} fuel)")
        return REFUSED
    if as_json:
        text = answered.output.decode("utf-8", "replace")
        show.as_object({"code": "", "fuel_used": answered.fuel_used, "output": text})
    else:
        sys.stdout.buffer.write(answered.output)
        sys.stdout.buffer.flush()
        show.note(f"{answered.fuel_used} fuel")
    return 0


@click.command()
@click.argument("module", type=click.Path(path_type=Path, dir_okay=False))
@data_dir_option
@show.json_option
def add(module: Path, data_dir: Path, as_json: bool) -> None:
    """Keep MODULE under the hash that a policy pins it by."""
    from actors.connectors.compiling import module_file
    from actors.plugging import MODULES
    from actors.process.durable import replace

    found = read_module(module)
    folder = data_dir / MODULES
    if not data_dir.is_dir():
        raise Invalid("there is no data directory", str(data_dir), "make one with helm init")
    folder.mkdir(mode=0o700, exist_ok=True)
    replace(module_file(folder, sha256(found)), found)
    if as_json:
        show.as_object({"module_hash": sha256(found)})
    else:
        click.echo(f'[connectors.NAME]\nkind = "wasm"\nmodule_hash = "{sha256(found)}"')


def grant_of(data_dir: Path, grant_id: str | None, module: bytes, limits: dict[str, JSONValue]) -> SandboxGrant:
    """Return what the guest is granted: nothing but limits, unless a grant is named. Raises Invalid, Failed."""
    if grant_id is None:
        return read_asked({"module_hash": sha256(module), **limits})
    if limits:
        raise Invalid("the grant says the limits", "--grant", "leave one of the two out")
    from actors.cli.sandbox.granting import Standing, source_of

    source = source_of(data_dir, None)
    if not isinstance(source, Standing):
        raise Invalid("a kernel at another place is asked", "--grant", "unset HELM_URL and url: a guest runs here")
    grant = read_view(source.find(grant_id))
    beyond = in_words(overgrants(grant, source.policy.p0.sandbox))
    if beyond:
        raise Failed(f"an overgrant: {beyond}", "helm sandbox preflight", ReasonCode.SANDBOX_VIOLATION)
    return grant


def read_module(module: Path) -> bytes:
    """Return the bytes of a module. Raises Invalid."""
    try:
        return module.read_bytes()
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(module), "name a .wasm file") from problem
