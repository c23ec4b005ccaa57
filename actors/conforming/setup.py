"""Make what a server is tested with: a data directory for each server, with the conformance policy, keys and guests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from actors.conforming import material
from actors.conforming.target import AGENT, CALLERS, OPERATOR, ServerUnderTest, Target
from actors.connectors.compiling import module_file
from actors.founding import TENANT, found_installation
from actors.installation import CONFIG_FILE, Installation, key_path, read_text
from actors.keys.bearer import KeyClass
from actors.plugging import MODULES
from actors.policy_file import sign_text, write_signature
from actors.process import durable
from actors.process.clock import SystemClock
from helm.crypto.domains import KeyPurpose
from helm.crypto.hashing import sha256

TARGET_FILE: Final = "target.json"

ISLAND: Final = "island"

SETTINGS: Final[Mapping[str, str]] = {
    "main": 'proxy_upstream = "{origin}/v1"\nproxy_key_env = ""\nproxy_max_iterations = 2\n',
    "hurried": 'proxy_upstream = "{origin}/v1"\nproxy_key_env = ""\nproxy_max_wall_s = 1\n',
    ISLAND: (
        'proxy_upstream = "{origin}/v1"\nproxy_key_env = ""\nisland_mode = true\nproxy_max_iterations = 5\n'
        'proxy_max_wall_s = 600\nproxy_spend_limit_cents = 100\nproxy_prices = "prices.toml"\n'
    ),
    "narrow": "places = 2\nplaces_per_principal = 1\n",
}
"""What stands in the helm.toml of each server beside its port."""

WHEN: Final[Mapping[str, str]] = {
    "stale": "not_before = 2000-01-01T00:00:00Z\nmax_age_s = 60",
    "early": "not_before = 2199-01-01T00:00:00Z",
}
"""When the policy of each server counts, where that is not always."""

ANOTHER: Final = sha256(b"conformance: the module that a policy pins, and that is not there")
"""Under this name lies another module than the policy pins."""


def set_up(base: Path, names: Iterable[str], counterpart: str, first_port: int = 0) -> Target:
    """Make the data directories below `base`, and the target file that names them; the servers are not started.

    Each server has the next port from `first_port` on; 0 leaves ports, and URLs, open. Raises Invalid.
    """
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    servers: dict[str, ServerUnderTest] = {}
    for number, name in enumerate(names):
        port = first_port + number if first_port else 0
        servers[name] = make_server(base / name, name, f"http://{counterpart}", port)
    target = Target(counterpart=counterpart, servers=servers)
    write_target(base, target)
    return target


def write_target(base: Path, target: Target) -> None:
    """Write the target file; it holds bearer keys, so nobody else may read it."""
    file = base / TARGET_FILE
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    file.chmod(0o600)
    durable.replace(file, (json.dumps(target.body(), indent=2) + "\n").encode())


def make_server(path: Path, name: str, origin: str, port: int) -> ServerUnderTest:
    """Make the data directory of one server. Raises Invalid."""
    clock = SystemClock()
    first = found_installation(path, clock=clock)
    settings = read_text(path / CONFIG_FILE) + f"\nport = {port}\n" + SETTINGS.get(name, "").format(origin=origin)
    durable.replace(path / CONFIG_FILE, settings.encode())
    place = Installation.open(path)
    write_policy(place, name, origin)
    bearer, now_ms = place.bearer_keys(), clock.now_ms()
    keys = {one: bearer.issue(KeyClass.TENANT, TENANT, one, at_ms=now_ms) for one in CALLERS if one != AGENT}
    return ServerUnderTest(
        url=f"http://127.0.0.1:{port}" if port else "",
        log_id=place.log_id,
        execution_key=place.execution_key().public_key,
        keys={AGENT: first.tenant, OPERATOR: first.admin, **keys},
        data_dir=str(path),
        policy=str(place.policy_path),
        emergency_key=str(key_path(path, KeyPurpose.EMERGENCY)),
        delegation_key=str(key_path(path, KeyPurpose.DELEGATION)),
        approval_key=str(key_path(path, KeyPurpose.APPROVAL)),
    )


def write_policy(place: Installation, name: str, origin: str) -> None:
    """Write the server's policy with its signature, and the guests that it pins."""
    modules = material.guests()
    text = policy_of(name, origin, place.delegation_key().key_id, {one: sha256(raw) for one, raw in modules.items()})
    durable.replace(place.policy_path, text.encode())
    write_signature(place.policy_path, sign_text(text, str(place.policy_path), place.policy_key()).signature)
    durable.replace(place.path / "prices.toml", material.read(material.SETUP / "prices.toml").encode())
    folder = place.path / MODULES
    folder.mkdir(exist_ok=True)
    for raw in modules.values():
        module_file(folder, sha256(raw)).write_bytes(raw)
    module_file(folder, ANOTHER).write_bytes(modules["echo"])


def policy_of(name: str, origin: str, delegation_key: str, modules: Mapping[str, str]) -> str:
    """Return the text of a server's policy; `modules` are the hashes of the guests by name."""
    if name == ISLAND:
        return material.read(material.SETUP / "island.toml")
    text = material.policy_text().replace("@WHEN@", WHEN.get(name, "")).replace("@COUNTERPART@", origin)
    text = text.replace("@DELEGATION_KEY@", delegation_key).replace("@WRONG@", ANOTHER)
    for one, named in modules.items():
        text = text.replace(f"@GUEST:{one}@", named)
    return text
