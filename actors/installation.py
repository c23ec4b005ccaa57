"""The data directory: everything one installation is, and nothing that another user can reach."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import attrs

from actors import durable, keyfile, policy_file
from actors.bearer import BearerKeys, KeyClass
from actors.clock import Clock
from actors.stores import which
from helm.config import NOTHING, Config, read_config
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse, record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.trust.event import (
    FIRST_PLACE,
    EventKind,
    KeyChange,
    TrustEvent,
    check_members,
    from_body,
    log_id_of,
    sign_event,
    to_body,
)
from helm.trust.registry import Registry, fold

DIRECTORY_MODE: Final = 0o700
OTHERS: Final = 0o077
"""The mode bits of everyone but the owner."""

GENESIS_FILE: Final = "genesis.json"
CONFIG_FILE: Final = "helm.toml"
BEARER_FILE: Final = "bearer.json"
POLICY_FILE: Final = "policy.toml"

KEYS: Final = (
    KeyPurpose.TRUST_ADMIN,
    KeyPurpose.EXECUTION,
    KeyPurpose.POLICY,
    KeyPurpose.EVIDENCE,
    KeyPurpose.EMERGENCY,
    KeyPurpose.APPROVAL,
    KeyPurpose.DELEGATION,
)
"""The keys an installation begins with, in the order of its genesis: the first vouches for the rest."""

TENANT: Final = "default"
PRINCIPAL: Final = "agent"
ADMIN: Final = "admin"
"""Whom the first bearer keys are for."""

DIRECTORIES: Final = ("keys", "files", "files/public", "files/private")
SAMPLES: Final[Mapping[str, str]] = {
    "files/public/readme.txt": "The starter policy lets agents read what stands in this directory.\n",
    "files/private/salaries.txt": "No agent reads this unless a human agrees: the starter policy asks one.\n",
}


@attrs.frozen(kw_only=True)
class FirstKeys:
    """The bearer keys of a new installation, in the clear, this one time."""

    tenant: str = attrs.field(repr=False)
    admin: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Installation:
    """One data directory, opened. Keys are read from their files when they are asked for, and not kept."""

    path: Path
    config: Config
    log_id: str
    genesis: tuple[TrustEvent, ...] = attrs.field(repr=False)

    @classmethod
    def create(cls, path: Path, *, clock: Clock) -> FirstKeys:
        """Make the data directory at `path` with keys, genesis, settings, policy. Raises Invalid.

        The genesis is written last: a directory without it is half made, and is never opened.
        """
        now_ms = clock.now_ms()
        make_directories(path)
        events = make_keys(path, now_ms)
        copy_starters(path)
        sign_policy(path / POLICY_FILE, read_key(path, KeyPurpose.POLICY))
        first_keys = make_bearer_keys(path / BEARER_FILE, now_ms)
        body = {"events": [to_body(event) for event in events], "log_id": log_id_of(events[0])}
        durable.replace(path / GENESIS_FILE, record_bytes(body) + b"\n")
        return first_keys

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        environment: Mapping[str, str] = NOTHING,
        flags: Mapping[str, Any] = NOTHING,
        config_path: Path | None = None,
    ) -> Installation:
        """Return the installation at `path`; environment and flags outweigh its helm.toml. Raises Invalid."""
        check_private(path)
        check_private(path / "keys")
        log_id, events = read_genesis(path / GENESIS_FILE)
        flags = {**flags, "data_dir": str(path)}
        toml_path = path / CONFIG_FILE if config_path is None else config_path
        config = read_config(read_text(toml_path), str(toml_path), environment=environment, flags=flags)
        return cls(path=path, config=config, log_id=log_id, genesis=events)

    @property
    def config_hash(self) -> str:
        """The settings' part in the environment's fingerprint (gate 1)."""
        return self.config.hash

    @property
    def journal_path(self) -> Path:
        """The append-only journal. Raises Invalid where another store keeps it than the settings say."""
        return which.journal_path(self.path, self.config.journal)

    @property
    def index_path(self) -> Path:
        """The index of ids, which can be made again from the journal."""
        return self.path / "index.sqlite"

    @property
    def policy_path(self) -> Path:
        """The policy bundle."""
        return self.path / self.config.policy

    @property
    def policy_signature_path(self) -> Path:
        """The signature of the policy bundle."""
        return policy_file.signature_path(self.policy_path)

    @property
    def bearer_path(self) -> Path:
        """The hashes of the bearer keys."""
        return self.path / BEARER_FILE

    def registry(self) -> Registry:
        """Return the registry of the genesis events alone, as if they were the first nodes of the log."""
        return fold(((event, event.height) for event in self.genesis), self.log_id)

    def bearer_keys(self) -> BearerKeys:
        """Return whose bearer keys open this installation. Raises Invalid."""
        return BearerKeys.load(self.bearer_path, self.config.admin_api_key)

    def key(self, purpose: KeyPurpose) -> Signer:
        """Return the key for `purpose`; whether it still counts, the registry knows. Raises Invalid."""
        return read_key(self.path, purpose)

    def next_key(self, purpose: KeyPurpose) -> Signer:
        """Return the key that is to replace the one for `purpose`, made where there is none yet. Raises Invalid."""
        path = next_path(self.path, purpose)
        return keyfile.read(path, purpose) if path.exists() else keyfile.write_new(path, purpose)

    def promote_next_key(self, purpose: KeyPurpose) -> None:
        """Put the next key in the old one's place. The old one is gone: it counts for nothing any more."""
        try:
            next_path(self.path, purpose).replace(key_path(self.path, purpose))
            durable.sync_directory(self.path / "keys")
        except OSError as error:
            hint = "say the same again: the new key counts already, and is still there"
            raise Invalid(f"the key file cannot be replaced: {error.strerror}", str(self.path), hint) from error

    def trust_admin_key(self) -> Signer:
        """Return the key that signs trust events. Raises Invalid."""
        return self.key(KeyPurpose.TRUST_ADMIN)

    def execution_key(self) -> Signer:
        """Return the key that signs receipts. Raises Invalid."""
        return self.key(KeyPurpose.EXECUTION)

    def policy_key(self) -> Signer:
        """Return the key that signs policy bundles. Raises Invalid."""
        return self.key(KeyPurpose.POLICY)

    def evidence_key(self) -> Signer:
        """Return the key that signs evidence packs. Raises Invalid."""
        return self.key(KeyPurpose.EVIDENCE)

    def approval_key(self) -> Signer:
        """Return the key that signs approvals of MCP servers. Raises Invalid."""
        return self.key(KeyPurpose.APPROVAL)

    def delegation_key(self) -> Signer:
        """Return the key that signs delegations. Raises Invalid."""
        return self.key(KeyPurpose.DELEGATION)

    def emergency_key(self) -> Signer:
        """Return the key that signs freezes. Raises Invalid."""
        return self.key(KeyPurpose.EMERGENCY)


def make_directories(path: Path) -> None:
    """Make the directory, or take the empty one that is there, with the ones in it. Raises Invalid."""
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise Invalid("the directory is not empty", str(path), how_to_empty(path))
        path.chmod(DIRECTORY_MODE)
        for name in DIRECTORIES:
            (path / name).mkdir(mode=DIRECTORY_MODE)
    except OSError as error:
        raise Invalid(f"the directory cannot be made: {error.strerror}", str(path)) from error


def how_to_empty(path: Path) -> str:
    if (path / GENESIS_FILE).exists():
        return "an installation is here already: open it, or name another directory"
    return f"without {GENESIS_FILE} it is no installation: remove a half-made one, or name another directory"


def make_keys(path: Path, now_ms: int) -> tuple[TrustEvent, ...]:
    """Make every key file and return the signed events that add the keys. Raises Invalid."""
    signers = [keyfile.write_new(key_path(path, purpose), purpose) for purpose in KEYS]
    admin = signers[0]
    first = sign_event(addition_of(admin), FIRST_PLACE, now_ms, admin)
    registry = Registry.begin(first, log_id_of(first))
    events = [first]
    for signer in signers[1:]:
        event = sign_event(addition_of(signer), registry.place, now_ms, admin)
        registry.apply(event, event.height)
        events.append(event)
    return tuple(events)


def addition_of(signer: Signer) -> KeyChange:
    return KeyChange(
        kind=EventKind.KEY_ADDED.value,
        key_id=signer.key_id,
        public_key=signer.public_key,
        purpose=signer.purpose.value,
        reason="genesis",
    )


def key_path(path: Path, purpose: KeyPurpose) -> Path:
    return path / "keys" / f"{purpose}.pem"


def next_path(path: Path, purpose: KeyPurpose) -> Path:
    return path / "keys" / f"{purpose}.next.pem"


def read_key(path: Path, purpose: KeyPurpose) -> Signer:
    return keyfile.read(key_path(path, purpose), purpose)


def copy_starters(path: Path) -> None:
    """Write the starter settings, the starter policy and the files it speaks of."""
    starters = files("actors") / "cli"
    for name in (CONFIG_FILE, POLICY_FILE):
        durable.replace(path / name, (starters / f"starter_{name}").read_bytes())
    for name, text in SAMPLES.items():
        durable.replace(path / name, text.encode())


def sign_policy(path: Path, signer: Signer) -> None:
    """Vouch for the policy file at `path`. Raises Invalid."""
    signed = policy_file.sign_text(read_text(path), str(path), signer)
    policy_file.write_signature(path, signed.signature)


def make_bearer_keys(path: Path, now_ms: int) -> FirstKeys:
    """Issue the first tenant key and the first admin key. Raises Invalid."""
    keys = BearerKeys(path, ())
    return FirstKeys(
        tenant=keys.issue(KeyClass.TENANT, TENANT, PRINCIPAL, at_ms=now_ms),
        admin=keys.issue(KeyClass.ADMIN, "", ADMIN, at_ms=now_ms),
    )


def check_private(path: Path) -> None:
    """Raise Invalid unless `path` is a directory of ours that nobody else can enter."""
    try:
        status = path.stat()
    except OSError as error:
        raise Invalid(f"no data directory: {error.strerror}", str(path), "`helm init` makes one") from error
    if not stat.S_ISDIR(status.st_mode):
        raise Invalid("not a directory", str(path), "name the directory that `helm init` made")
    if status.st_uid != os.geteuid():
        raise Invalid("the directory belongs to another user", str(path), "run HELM as its owner")
    if status.st_mode & OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise Invalid(f"mode {mode:04o} lets others at the keys", str(path), f"chmod 0700 {path}")


def read_genesis(path: Path) -> tuple[str, tuple[TrustEvent, ...]]:
    """Return the pinned log_id and the genesis events, folded once against it. Raises Invalid."""
    where = str(path)
    try:
        body: JSONValue = parse(read_bytes(path))
    except Malformed as problem:
        raise Invalid(str(problem), where) from problem
    check_members(body, ("events", "log_id"), where)
    if type(body["events"]) is not list or type(body["log_id"]) is not str:
        raise Invalid("expected a list of events and a text as log_id", where)
    events = tuple(from_body(event, where) for event in body["events"])
    fold(((event, event.height) for event in events), body["log_id"])
    return body["log_id"], events


def read_text(path: Path) -> str:
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as problem:
        raise Invalid(f"not UTF-8 at byte {problem.start}", str(path)) from problem


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(
            f"cannot be read: {error.strerror}",
            str(path),
            "bring it back from a copy; `helm init` makes a new installation only",
        ) from error
