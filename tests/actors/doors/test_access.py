"""Who may ask what: each row of the table opens its route to one class of keys, and nothing else opens it.

Which one is written a second time, by hand, in tests/gates/access.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

import pytest

from helm.surfaces.route import VARIABLE, Access, Route
from helm.surfaces.table import TABLE
from tests.actors.doors.openai.lane import open_lane
from tests.actors.doors.street import Reply, Street
from tests.actors.kit import House
from tests.gates.source import ROOT

WRITTEN: Final = tomllib.loads((ROOT / "tests" / "gates" / "access.toml").read_text(encoding="utf-8"))
CLASSES: Final = {Access(name): frozenset(rows) for name, rows in WRITTEN.items()}

OTHERWISE_REFUSED: Final = frozenset({"export_pack", "make_pack"})
"""Open to a tenant's key as well, but only where a setting says so."""

UPGRADE: Final = {
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-protocol": "helm.stream.v1",
}


@pytest.fixture
async def street(house: House) -> AsyncIterator[Street]:
    """A door at which every row of the table is mounted, the proxy's too."""
    async with open_lane(house) as lane:
        yield lane.street


async def ask(street: Street, row: Route, key: str) -> Reply:
    """Ask for a route in the simplest way, with a key."""
    body: dict[str, str] | None = {} if row.body is not None else None
    more = UPGRADE if row.name == "open_stream" else {}
    return await street.ask(row.method, VARIABLE.sub("x", row.path), body, key=key, host="127.0.0.1", **more)


async def test_no_route_is_open_to_nobody_but_the_public_ones(street: Street) -> None:
    told = {name: await ask(street, TABLE[name], "") for name in sorted(TABLE.keys() - CLASSES[Access.PUBLIC])}
    assert {name: reply.status for name, reply in told.items() if reply.status != HTTPStatus.UNAUTHORIZED} == {}


async def test_no_route_is_open_to_a_key_that_was_never_issued(street: Street) -> None:
    told = {
        name: await ask(street, TABLE[name], "helm_nobody") for name in sorted(TABLE.keys() - CLASSES[Access.PUBLIC])
    }
    assert {name: reply.status for name, reply in told.items() if reply.status != HTTPStatus.UNAUTHORIZED} == {}


async def test_a_key_without_its_scheme_is_told_how_to_come_and_never_whether_it_is_known(street: Street) -> None:
    said = set()
    for header in (street.admin, "helm_nobody", f"Basic {street.admin}", "Bearer", f"Bearer{street.admin}"):
        reply = await street.ask("GET", TABLE["list_trust_keys"].path, key="", authorization=header)
        assert reply.status == HTTPStatus.UNAUTHORIZED
        said.add(reply.body)
    assert len(said) == 1
    assert b"write `authorization: Bearer KEY`" in said.pop()


async def test_no_operators_route_opens_to_an_agent(street: Street) -> None:
    told = {name: await ask(street, TABLE[name], street.agent) for name in sorted(CLASSES[Access.ADMIN])}
    assert {name: refused_for(reply) for name, reply in told.items()} == dict.fromkeys(
        CLASSES[Access.ADMIN], "only an admin key opens this route"
    )


async def test_no_agents_route_opens_to_an_operator(street: Street) -> None:
    told = {name: await ask(street, TABLE[name], street.admin) for name in sorted(CLASSES[Access.TENANT])}
    assert {name: refused_for(reply) for name, reply in told.items()} == dict.fromkeys(
        CLASSES[Access.TENANT], "an admin key makes no calls: use a tenant's key"
    )


async def test_every_other_route_opens_to_both(street: Street) -> None:
    opened = CLASSES[Access.ANY] | CLASSES[Access.APPROVER]
    opened -= OTHERWISE_REFUSED | {"open_stream", "tail_receipts"}  # those last
    for key in (street.agent, street.admin):
        told = {name: await ask(street, TABLE[name], key) for name in sorted(opened)}
        assert {name: reply.status for name, reply in told.items() if is_class_refused(reply)} == {}


def refused_for(reply: Reply) -> str:
    """Return why a key does not open a route, in whichever form of error its door speaks."""
    assert reply.status == HTTPStatus.FORBIDDEN, reply.body
    body = reply.json()
    found: str = body["error"]["message"] if "error" in body else body["detail"]
    return found


def is_class_refused(reply: Reply) -> bool:
    return reply.status == HTTPStatus.FORBIDDEN and reply.json().get("place") == "authorization"
