"""What a grant is asked for with on the command line, in the form in which a policy states it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.profile import DENY_DEFAULT, PROFILES
from helm.contracts.sandbox import ListMode, Source
from helm.crypto.hashing import sha256

F = TypeVar("F", bound=Callable[..., Any])

LIMITS = ("fuel", "memory_bytes", "output_bytes", "stack_bytes", "wall_ms", "open_files")

OPTIONS = (
    click.option("--module", type=click.Path(path_type=Path, dir_okay=False), help="The module; its hash is pinned."),
    click.option("--module-hash", help="Its hash, where the module is not here."),
    click.option("--profile", type=click.Choice([*PROFILES]), default=DENY_DEFAULT, show_default=True),
    click.option("--preopen", "preopens", multiple=True, metavar="HOST:GUEST[:ro|rw]", help="A folder."),
    click.option("--hash-preopens", is_flag=True, help="Pin what the folders hold now; those for reading alone."),
    click.option("--env", "variables", multiple=True, metavar="NAME", help="A variable of this machine."),
    click.option("--redacted", is_flag=True, help="Show that the variables are there, and none of their values."),
    click.option("--destination", "destinations", multiple=True, metavar="HOST[:PORT]", help="Where it may connect."),
    click.option("--cidr", "cidrs", multiple=True, metavar="NETWORK", help="The same, as a network."),
    click.option(
        "--clock", type=click.Choice([one.value for one in Source]), default=Source.DENIED.value, show_default=True
    ),
    click.option(
        "--randomness", type=click.Choice([one.value for one in Source]), default=Source.DENIED.value, show_default=True
    ),
    click.option("--runtime-version", help="The only version of the runtime that may run it."),
    *(click.option(f"--{name.replace('_', '-')}", type=click.IntRange(1), help="A limit.") for name in LIMITS),
)


def grant_options(command: F) -> F:
    """Give a command the options of a grant."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def asked_grant(**options: Any) -> dict[str, JSONValue]:
    """Return the options as the table that a policy would hold. Raises Invalid."""
    asked: dict[str, JSONValue] = {"module_hash": module_hash_of(options["module"], options["module_hash"])}
    for name in ("profile", "clock", "randomness", "runtime_version", *LIMITS):
        if options[name] is not None:
            asked[name] = options[name]
    if options["preopens"]:
        asked["preopens"] = [preopen_of(text) for text in options["preopens"]]
    if options["variables"]:
        mode = ListMode.REDACTED if options["redacted"] else ListMode.ALLOWLIST
        asked["env"] = {"mode": mode.value, "names": list(options["variables"])}
    if options["destinations"] or options["cidrs"]:
        asked["network"] = {
            "mode": ListMode.ALLOWLIST.value,
            "destinations": list(options["destinations"]),
            "cidrs": list(options["cidrs"]),
        }
    return asked


def module_hash_of(module: Path | None, module_hash: str | None) -> str:
    """Return the hash of the module that is meant. Raises Invalid."""
    if module is None:
        if module_hash is None:
            raise Invalid("no module is named", "--module", "name a .wasm file, or its hash")
        return module_hash
    try:
        found = sha256(module.read_bytes())
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(module), "name a .wasm file") from problem
    if module_hash not in (None, found):
        raise Invalid(f"the module hashes to {found}", "--module-hash", "leave one of the two out")
    return found


def preopen_of(text: str) -> dict[str, JSONValue]:
    """Return a folder as a policy states it. Raises Invalid."""
    path, _, rest = text.partition(":")
    guest_path, _, mode = rest.partition(":")
    if not guest_path:
        raise Invalid("not a folder of this machine and its name for the guest", text, "/srv/data:/data:ro")
    return {"path": path, "guest_path": guest_path, "mode": mode or "ro"}


def policy_lines(asked: dict[str, JSONValue]) -> str:
    """Return the lines that a policy needs for this grant."""
    lines = ["[connectors.NAME]", 'kind = "wasm"']
    lines += [f"{name} = {written(value)}" for name, value in asked.items() if type(value) in (str, int)]
    for member in ("env", "network"):
        if member in asked:
            lines += ["", f"[connectors.NAME.{member}]"]
            lines += [f"{name} = {written(value)}" for name, value in asked[member].items()]
    for preopen in asked.get("preopens", ()):
        lines += ["", "[[connectors.NAME.preopens]]"]
        lines += [f"{name} = {written(value)}" for name, value in preopen.items()]
    return "\n".join(lines)


def written(value: JSONValue) -> str:
    """Return a value as TOML writes it: of these texts none needs more than JSON's escapes."""
    return json.dumps(value)
