"""helm sandbox run and add: try a guest, and bring its module where a policy finds it."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import click
import trio

from actors.cli import show
from actors.cli.failure import REFUSED
from actors.cli.place import data_dir_option
from helm.contracts.errors import Invalid
from helm.crypto.hashing import sha256
from helm.guardian.bundle_grants import (
    DEFAULT_FUEL,
    DEFAULT_MEMORY_BYTES,
    DEFAULT_WALL_MS,
    MAX_FUEL,
    MAX_MEMORY_BYTES,
    MAX_WALL_MS,
    PAGE,
    read_limits,
)
from helm.guardian.bundle_table import Table


@click.command()
@click.argument("module", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--fuel", type=click.IntRange(1, MAX_FUEL), default=DEFAULT_FUEL, show_default=True)
@click.option("--memory-bytes", type=click.IntRange(PAGE, MAX_MEMORY_BYTES), default=DEFAULT_MEMORY_BYTES)
@click.option("--wall-ms", type=click.IntRange(1, MAX_WALL_MS), default=DEFAULT_WALL_MS, show_default=True)
@click.option(
    "--input", "source", type=click.File("rb"), default="-", help="What it reads; standard input, if not said."
)
@show.json_option
def run(module: Path, fuel: int, memory_bytes: int, wall_ms: int, source: BinaryIO, as_json: bool) -> int:
    """Run MODULE once, under limits.

    No policy is asked, and no receipt is left.

    Its answer goes to stdout. Exit 1 where it was ended; the code and the reason are told.
    """
    from actors.connectors.wasm import Visit
    from helm.runtime.sandbox.cell import Cell
    from helm.runtime.sandbox.guest import compiled
    from helm.runtime.sandbox.port import Guest, GuestEnded

    found = read_module(module)
    asked = {"fuel": fuel, "memory_bytes": memory_bytes, "wall_ms": wall_ms}
    limits = read_limits(Table("", asked))

    async def visit() -> Visit:
        cell = Cell(compiled(found, sha256(found), limits), limits)
        guest = Guest(source.read())
        one = Visit(cell, lambda: nullcontext(guest), lambda: None)
        with trio.move_on_after(wall_ms / 1000):
            await one.make()
        return one

    try:
        answered = trio.run(visit).outcome()
    except GuestEnded as end:
        if as_json:
            show.as_object({"code": str(end.code), "fuel_used": end.fuel_used, "reason": end.reason})
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
    from actors.connectors.wasm import module_file
    from actors.durable import replace
    from actors.plugging import MODULES

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


def read_module(module: Path) -> bytes:
    """Return the bytes of a module. Raises Invalid."""
    try:
        return module.read_bytes()
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(module), "name a .wasm file") from problem
