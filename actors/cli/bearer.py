"""helm key: the bearer keys of agents and operators, issued, listed, and taken back."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from actors.cli import show
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.receipts import state_of_journal
from actors.cli.server import API, Server, server_option, server_url
from actors.founding import ADMIN, TENANT
from actors.installation import Installation
from actors.process.clock import SystemClock
from helm.guardian.bearers import Bearers, KeyClass, KeyScope, KeyState

KEYS: Final = f"{API}/keys"

HEADS: Final = ("key", "class", "tenant", "principal", "scope", "state", "expires", "label")

DAY_S: Final = 86_400


@click.group()
def key() -> None:
    """Bearer keys: one is told once, when it is issued; HELM keeps its hash."""


@key.command("list")
@click.option("--principal", default="", help="Only this principal's.")
@click.option("--tenant", default="", help="Only this tenant's.")
@click.option("--state", type=click.Choice([one.value for one in KeyState]), help="Only those in this state.")
@data_dir_option
@server_option
@show.json_option
def list_(principal: str, tenant: str, state: str | None, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """List the keys, those that were taken back last."""
    wanted = {"principal": principal, "tenant": tenant, "state": state or ""}
    url = server_url(data_dir, server)
    told = Server(url).get(KEYS, wanted) if url else keys_here(open_place(data_dir), wanted)
    if as_json:
        show.as_object(told)
        return
    show.table(HEADS, [row(one) for one in told["keys"]])
    if not told["is_complete"]:
        show.note("there are more: say which by --principal, --tenant or --state")


@key.command()
@click.option("--principal", required=True, help="Whom it makes of its holder.")
@click.option(
    "--class",
    "key_class",
    type=click.Choice([one.value for one in KeyClass]),
    default=KeyClass.TENANT.value,
    show_default=True,
)
@click.option("--tenant", default=TENANT, show_default=True, help="In which tenant; an admin key has none.")
@click.option("--label", default="", help="What it is for, to know it by.")
@click.option("--expires-in-days", "days", type=click.IntRange(1, 3650), help="Without it, it counts until revoked.")
@click.option("--scope", type=click.Choice([KeyScope.READ.value]), help="Let it only read (GET), such as /metrics.")
@data_dir_option
@server_option
@show.json_option
def issue(data_dir: Path, server: str | None, *, as_json: bool, **said: Any) -> None:
    """Issue a key. It is written here, once, and nowhere else."""
    url = server_url(data_dir, server)
    told = Server(url).post(KEYS, asked(said)) if url else issued_here(open_place(data_dir), said)
    if as_json:
        show.as_object(told)
        return
    show.note(f"{told['bearer_key']['key_id']} for {show.plain(told['bearer_key']['principal'])}; the key, only now:")
    sys.stdout.write(told["key"] + "\n")


@key.command()
@click.argument("key_id", metavar="KEY")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@data_dir_option
@server_option
@show.json_option
def revoke(key_id: str, reason: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Take a key back for ever: what it opened ends.

    KEY is the name that `helm key list` shows, not the key itself.
    """
    url = server_url(data_dir, server)
    if url:
        told = Server(url).post(f"{KEYS}/{quote(key_id, safe='')}/revoke", {"reason": reason})
    else:
        told = revoked_here(open_place(data_dir), key_id, reason)
    if as_json:
        show.as_object(told)
    else:
        show.note(f"{key_id} opens nothing any more")


def asked(said: dict[str, Any]) -> dict[str, Any]:
    """Return the options as the route takes them."""
    body = {"class": said["key_class"], "label": said["label"], "principal": said["principal"]}
    if said["key_class"] == KeyClass.TENANT:
        body["tenant"] = said["tenant"]
    if said["days"]:
        body["expires_in_s"] = said["days"] * DAY_S
    return body | ({"scope": said["scope"]} if said["scope"] else {})


def keys_here(place: Installation, wanted: dict[str, str]) -> dict[str, Any]:
    """Return the keys of the file, and what the log says of them where one was begun. Raises Invalid."""
    from actors.issuing import listed

    bearers = state_of_journal(place.journal_at, place.log_id).memory.bearers if place.has_journal else Bearers()
    given = {name: said for name, said in wanted.items() if said}
    found = listed(place.bearer_keys(), bearers, SystemClock().now_ms())
    return {"is_complete": True, "keys": [one for one in found if given.items() <= one.items()]}


def issued_here(place: Installation, said: dict[str, Any]) -> dict[str, Any]:
    """Issue a key into a log that no kernel writes now. Raises Invalid where one does."""
    from actors.issuing import Issuing, Wanted

    body = asked(said)
    wanted = Wanted(key_class=KeyClass(body.pop("class")), **body)

    async def obey(issuing: Issuing) -> dict[str, Any]:
        plain, told = await issuing.issue(wanted, ADMIN)
        return {"bearer_key": told, "key": plain}

    return obeyed_here(place, obey)


def revoked_here(place: Installation, key_id: str, reason: str) -> dict[str, Any]:
    """Take a key back in a log that no kernel writes now. Raises Invalid, Failed for a key that never was."""
    from actors.issuing import Issuing

    async def obey(issuing: Issuing) -> dict[str, Any]:
        return await issuing.revoke(key_id, reason, ADMIN)

    try:
        return obeyed_here(place, obey)
    except KeyError as problem:
        raise Failed("no such bearer key", "`helm key list` shows them", "NOT_FOUND") from problem


def obeyed_here(place: Installation, obey: Callable[[Any], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Have a kernel of our own obey, for as long as that takes. Raises Invalid where another one runs."""
    import trio

    from actors.issuing import Issuing
    from actors.opening import open_kernel

    async def run() -> dict[str, Any]:
        async with open_kernel(place, policy=None) as kernel:
            return await obey(Issuing(kernel, place.bearer_keys()))

    return trio.run(run)


def row(one: dict[str, Any]) -> tuple[str, ...]:
    """Return a key as a line of the table."""
    names = (show.plain(one[name]) or "-" for name in ("tenant", "principal", "scope"))
    return (one["key_id"], one["class"], *names, one["state"], day(one["expires_at_ms"]), show.plain(one["label"]))


def day(at_ms: int | None) -> str:
    """Return the day of a time, "-" for none."""
    return "-" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
