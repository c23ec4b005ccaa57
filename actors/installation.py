"""The data directory: everything one installation is, and nothing that another user can reach."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from actors import policy_file
from actors.keys import hsm, keyfile
from actors.keys.bearer import BearerKeys
from actors.keys.hsm import TokenPlace
from actors.keys.trust_file import read_trust_file
from actors.process import durable
from actors.registry_file import RegistryFile
from actors.stores import lock, which
from helm.config import NOTHING, Config, read_config
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.database import Database
from helm.trust.event import (
    TrustEvent,
)
from helm.trust.registry import Registry, fold

DIRECTORY_MODE: Final = 0o700
OTHERS: Final = 0o077
"""The mode bits of everyone but the owner."""

GENESIS_FILE: Final = "genesis.json"
CONFIG_FILE: Final = "helm.toml"
RESTORED_FILE: Final = "restored.json"
"""Beside a genesis that came out of a backup, until an operator has accepted what was lost with it."""

SURFACES_FILE: Final = "boundary/surfaces.json"
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


@attrs.frozen(kw_only=True)
class Installation:
    """One data directory, opened. Keys are read from their files when they are asked for, and not kept."""

    path: Path
    config: Config
    log_id: str
    genesis: tuple[TrustEvent, ...] = attrs.field(repr=False)

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
        """The append-only journal's name here. Raises Invalid where another store keeps it than the settings say."""
        return which.journal_path(self.path, which.POSTGRESQL if self.config.database_url else self.config.journal)

    @property
    def journal_at(self) -> Path | Database:
        """Where the journal lies: its file or directory, or its database. Raises Invalid as `journal_path` does."""
        path = self.journal_path
        return self.config.database or path

    @property
    def has_journal(self) -> bool:
        """Whether a journal was begun here. Raises Invalid."""
        return os.path.lexists(self.journal_path)

    def check_accepted(self) -> None:
        """Raise Invalid where this came out of a backup, and nobody has said that what came after it may be lost."""
        if os.path.lexists(self.path / RESTORED_FILE):
            what = "it was restored from a backup: what came after that is not known here"
            hint = f"see that no other kernel of this log runs, then: helm restore --accept --data-dir {self.path}"
            raise Invalid(what, str(self.path / RESTORED_FILE), hint)

    def check_alone(self) -> None:
        """Raise Invalid, naming its process, where another kernel writes the journal in this directory."""
        if self.config.database is None:
            lock.check_free(lock.beside(self.journal_path))

    @property
    def surfaces_file(self) -> RegistryFile | None:
        """The file that snapshots of the surfaces are kept in, None where a table of the database has them alone."""
        config = self.config
        named = config.boundary_registry_path
        if not named and (config.database is not None or config.journal == "sqlite"):
            return None
        return RegistryFile(path=self.path / (named or SURFACES_FILE), log_id=self.log_id)

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
    def overlays_path(self) -> Path:
        """The directory of the overlays that come with the policy bundle."""
        return self.path / self.config.overlays

    @property
    def bearer_path(self) -> Path:
        """The hashes of the bearer keys."""
        return self.path / BEARER_FILE

    @property
    def token(self) -> TokenPlace | None:
        """The token that holds the keys, None where they are files. Raises Invalid where nobody knows its PIN."""
        config = self.config
        if not config.pkcs11_module:
            return None
        pin = config.pkcs11_pin
        if not pin and config.pkcs11_pin_file:
            pin = hsm.read_pin(self.path / config.pkcs11_pin_file)
        if not pin:
            hint = "set HELM_PKCS11_PIN in the environment, or pkcs11_pin_file in helm.toml"
            raise Invalid("the token's PIN is not known", f"token {config.pkcs11_token}", hint)
        return TokenPlace(module=config.pkcs11_module, label=config.pkcs11_token, pin=pin)

    def registry(self) -> Registry:
        """Return the registry of the genesis events alone, as if they were the first nodes of the log."""
        return fold(((event, event.height) for event in self.genesis), self.log_id)

    def bearer_keys(self) -> BearerKeys:
        """Return whose bearer keys open this installation. Raises Invalid."""
        return BearerKeys.load(self.bearer_path, self.config.admin_api_key)

    def key(self, purpose: KeyPurpose) -> Signer:
        """Return the key for `purpose`; whether it still counts, the registry knows. Raises Invalid."""
        try:
            return read_key(self.path, purpose, self.token)
        except Invalid as problem:
            if not self.lacks(purpose):
                raise
            hint = how_to_replace(purpose, "KEY_ID") + "; helm trust keys names it"
            raise Invalid(problem.what, problem.where, hint) from problem

    def lacks(self, purpose: KeyPurpose) -> bool:
        """Tell whether the key for `purpose` is gone, and is one that the administrators can replace."""
        return purpose is not KeyPurpose.TRUST_ADMIN and not os.path.lexists(key_path(self.path, purpose, self.token))

    def next_key(self, purpose: KeyPurpose) -> Signer:
        """Return the key that is to replace the one for `purpose`, made where there is none yet. Raises Invalid."""
        path = next_path(self.path, purpose, self.token)
        if path.exists():
            return read_file(path, purpose, self.token)
        return write_key(path, purpose, self.token)

    def promote_next_key(self, purpose: KeyPurpose) -> None:
        """Put the next key in the old one's place. The old one is gone: it counts for nothing any more."""
        try:
            next_path(self.path, purpose, self.token).replace(key_path(self.path, purpose, self.token))
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


def key_path(path: Path, purpose: KeyPurpose, token: TokenPlace | None = None) -> Path:
    return path / "keys" / f"{purpose}.{'pem' if token is None else 'token'}"


def next_path(path: Path, purpose: KeyPurpose, token: TokenPlace | None = None) -> Path:
    return path / "keys" / f"{purpose}.next.{'pem' if token is None else 'token'}"


def read_key(path: Path, purpose: KeyPurpose, token: TokenPlace | None = None) -> Signer:
    return read_file(key_path(path, purpose, token), purpose, token)


def read_file(path: Path, purpose: KeyPurpose, token: TokenPlace | None) -> Signer:
    return keyfile.read(path, purpose) if token is None else hsm.read(path, purpose, token)


def write_key(path: Path, purpose: KeyPurpose, token: TokenPlace | None) -> Signer:
    return keyfile.write_new(path, purpose) if token is None else hsm.write_new(path, purpose, token)


def how_to_replace(purpose: KeyPurpose, lost: str) -> str:
    """Return what to do where the file of a key is gone; `lost` is the key's name."""
    rotate = f'helm trust rotate {purpose} --lost {lost} --reason "why"'
    return f"bring it back from a copy; without one, as the operator's runbook says under Loss: {rotate}"


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
    file = read_trust_file(path)
    fold(((event, event.height) for event in file.events), file.log_id)
    return file.log_id, file.events


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
