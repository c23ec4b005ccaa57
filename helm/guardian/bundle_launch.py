"""Reads what a bundle says of agents that are launched: which image, behind which tier, within what (T10)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.hashing import hash_in
from helm.guardian.bundle_table import Table
from helm.guardian.connection import LaunchConnection, LaunchGrant, Tier

IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]{0,255}@sha256:[0-9a-f]{64}")
NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
SHARED = frozenset({"host", "bridge", "default", "slirp4netns", "pasta", "private"})
"""Networks by which an agent reaches everything that its host does, or as good as."""

USER = re.compile(r"[1-9][0-9]{0,9}:[1-9][0-9]{0,9}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_WORDS = 64
MIB = 1024 * 1024


class Engine(StrEnum):
    """The engines that are known."""

    DOCKER = "docker"
    PODMAN = "podman"


def read_launch(name: str, table: Table) -> LaunchConnection:
    """Return one agent with its substrate spec. Raises Invalid."""
    grant = LaunchGrant(
        command=read_command(table),
        cpu_milli=table.whole("cpu_milli", (10, 1_024_000), 1000),
        dedicated=table.flag("dedicated"),
        engine=str(table.choice("engine", Engine, Engine.DOCKER)),
        environment=dict(sorted(read_environment(table))),
        image=matching(table, "image", IMAGE, "write NAME@sha256:... with the image's digest"),
        memory_bytes=table.whole("memory_bytes", (8 * MIB, 2**42), 512 * MIB),
        network=read_network(table),
        processes=table.whole("processes", (1, 65_536), 256),
        tier=table.choice("tier", Tier),
        user=matching(table, "user", USER, "write UID:GID in numbers, neither of them 0")
        if table.has("user")
        else NOBODY,
    )
    if grant.dedicated != (grant.tier == Tier.DEDICATED_VM):
        hint = 'dedicated = true is what tier = "dedicated-vm" rests on, and says nothing of any other'
        raise Invalid("a statement that its tier does not match", table.at("dedicated"), hint)
    return LaunchConnection(name=name, grant=grant, grant_hash=hash_in(domains.GRANT, ordered_bytes(grant)))


NOBODY = "65534:65534"


def matching(table: Table, member: str, pattern: re.Pattern[str], hint: str) -> str:
    """Return a text of one form. Raises Invalid."""
    text = table.text(member)
    if pattern.fullmatch(text) is None:
        raise Invalid("not what it must be", table.at(member), hint)
    return text


def read_network(table: Table) -> str:
    """Return where an agent stands. Raises Invalid for the host's own network, and for one that is as good as it."""
    if not table.has("network"):
        return "none"
    network = matching(table, "network", NETWORK, "name a network of the engine's")
    if network in SHARED:
        hint = "make an internal network in which the egress proxy is all there is, and name that"
        raise Invalid("a network that leads everywhere", table.at("network"), hint)
    return network


def read_command(table: Table) -> tuple[str, ...]:
    """Return the words that the image is started with, none for its own. Raises Invalid."""
    words = tuple(table.value("command", list, "a list of words")) if table.has("command") else ()
    for index, word in enumerate(words):
        if type(word) is not str or not word or not word.isprintable() or index >= MAX_WORDS:
            raise Invalid(
                "not a word", f"{table.at('command')}[{index}]", f"at most {MAX_WORDS} words that are visible"
            )
    return words


def read_environment(table: Table) -> Iterator[tuple[str, str]]:
    """Yield the variables of an agent. Raises Invalid."""
    given = table.table("environment")
    for name in given.members:
        if VARIABLE.fullmatch(name) is None:
            raise Invalid("not the name of a variable", given.at(name))
        yield name, given.text(name, "")
