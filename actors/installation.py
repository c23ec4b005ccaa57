"""The data directory: everything one installation is, and nothing that another user can reach."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import attrs

from actors import policy_file
from actors.keys import hsm, keyfile
from actors.keys.bearer import BearerKeys, KeyClass
from actors.keys.hsm import TokenPlace
from actors.keys.trust_file import TrustFile, read_trust_file
from actors.process import durable
from actors.process.clock import Clock
from actors.registry_file import RegistryFile
from actors.stores import which
from helm.config import NOTHING, Config, read_config
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.database import Database
from helm.trust.event import (
    FIRST_PLACE,
    MAX_ADMINS,
    EventKind,
    Keepers,
    KeyChange,
    TrustEvent,
    begin_jointly,
    cosign,
    log_id_of,
    place_after,
    sign_event,
)
from helm.trust.registry import Registry, fold

DIRECTORY_MODE: Final = 0o700
OTHERS: Final = 0o077
"""The mode bits of everyone but the owner."""

GENESIS_FILE: Final = "genesis.json"
DRAFT_FILE: Final = "genesis.draft.json"
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
class Administration:
    """Who is to keep the log: how many administrators, how many of them must sign, and whose keys are elsewhere."""

    count: int = 1
    threshold: int = 1
    others: tuple[str, ...] = ()
    """Public keys: all but the one that is made here. Where none are given, every key is made here."""

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.threshold <= self.count <= MAX_ADMINS:
            what = f"{self.threshold} of {self.count} administrators"
            raise Invalid(what, "administrators", f"at most {MAX_ADMINS}, and no more that must sign than there are")
        if self.others and len(self.others) != self.count - 1:
            what = f"{len(self.others)} keys of other administrators, of {self.count - 1}"
            raise Invalid(what, "administrators", "give the keys of all the others, or of none")


ALONE: Final = Administration()
"""One administrator, whose key is made here."""


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
    def create(
        cls, path: Path, *, clock: Clock, administration: Administration = ALONE, token: TokenPlace | None = None
    ) -> FirstKeys:
        """Make the data directory at `path` with keys, genesis, settings, policy. Raises Invalid.

        The genesis is written last: a directory without it is half made, and is never opened. Where keys of
        administrators are elsewhere, a draft of it is written for them to sign, and `complete` makes it the genesis.
        """
        now_ms = clock.now_ms()
        make_directories(path)
        genesis = make_keys(path, now_ms, administration, token)
        copy_starters(path, token)
        sign_policy(path / POLICY_FILE, read_key(path, KeyPurpose.POLICY, token))
        first_keys = make_bearer_keys(path / BEARER_FILE, now_ms)
        if administration.others:
            genesis.write(path / DRAFT_FILE)
        else:
            fold(((event, event.height) for event in genesis.events), genesis.log_id)
            genesis.write(path / GENESIS_FILE)
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
            if purpose is KeyPurpose.TRUST_ADMIN or os.path.lexists(key_path(self.path, purpose, self.token)):
                raise
            hint = f"bring it back from a copy; without one: helm trust rotate {purpose} --lost KEY_ID"
            raise Invalid(problem.what, problem.where, hint) from problem

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
    if (path / DRAFT_FILE).exists():
        return f"its administrators have not signed {DRAFT_FILE} yet: helm trust sign, then helm trust apply"
    if (path / GENESIS_FILE).exists():
        return "an installation is here already: open it, or name another directory"
    return f"without {GENESIS_FILE} it is no installation: remove a half-made one, or name another directory"


def make_keys(path: Path, now_ms: int, administration: Administration, token: TokenPlace | None) -> TrustFile:
    """Make every key and return the signed events that add the keys. Raises Invalid."""
    signers = [write_key(key_path(path, purpose, token), purpose, token) for purpose in KEYS]
    others = [make_admin(path, number) for number in range(2, administration.count + 1 - len(administration.others))]
    admin = signers[0]
    if administration.count == 1:
        first = sign_event(addition_of(admin), FIRST_PLACE, now_ms, admin)
    else:
        public = (admin.public_key, *administration.others, *(other.public_key for other in others))
        keepers = keepers_of(public, administration.threshold)
        place = attrs.evolve(FIRST_PLACE, prev_event_hash=keepers.hash)
        first = begin_jointly(sign_event(addition_of(admin), place, now_ms, admin), keepers)
    log_id, events = log_id_of(first), [first]
    for signer in signers[1:]:
        events.append(sign_event(addition_of(signer), place_after(events[-1], log_id), now_ms, admin))
    for other in others:
        events = [cosign(event, other) for event in events]
    return TrustFile(log_id, tuple(events))


def make_admin(path: Path, number: int) -> Signer:
    """Make the key of one more administrator, to be taken away by whoever it is for. Raises Invalid."""
    return keyfile.write_new(path / "keys" / f"{KeyPurpose.TRUST_ADMIN}-{number}.pem", KeyPurpose.TRUST_ADMIN)


def keepers_of(public_keys: tuple[str, ...], threshold: int) -> Keepers:
    try:
        return Keepers(admins=tuple(sorted(public_keys)), threshold=threshold)
    except ValueError as problem:
        raise Invalid(str(problem), "administrators") from problem


def addition_of(signer: Signer) -> KeyChange:
    return KeyChange(
        kind=EventKind.KEY_ADDED.value,
        key_id=signer.key_id,
        public_key=signer.public_key,
        purpose=signer.purpose.value,
        reason="genesis",
    )


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


def copy_starters(path: Path, token: TokenPlace | None) -> None:
    """Write the starter settings, the starter policy and the files it speaks of."""
    starters = files("actors") / "cli"
    for name in (CONFIG_FILE, POLICY_FILE):
        durable.replace(path / name, (starters / f"starter_{name}").read_bytes())
    if token is not None:
        settings = (path / CONFIG_FILE).read_text(encoding="utf-8")
        for name, value in (("pkcs11_module", token.module), ("pkcs11_token", token.label)):
            settings = settings.replace(f'#{name} = ""', f"{name} = {json.dumps(value)}")
        durable.replace(path / CONFIG_FILE, settings.encode())
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
    file = read_trust_file(path)
    fold(((event, event.height) for event in file.events), file.log_id)
    return file.log_id, file.events


def complete(path: Path, file: TrustFile) -> None:
    """Make the half-made installation at `path` a whole one, by a genesis that all of them signed. Raises Invalid."""
    begun = read_trust_file(path / DRAFT_FILE)
    if file.log_id != begun.log_id:
        raise Invalid(f"it is the genesis of {file.log_id}, not of {begun.log_id}", "genesis", "sign this one's draft")
    fold(((event, event.height) for event in file.events), file.log_id)
    if len(file.events) != len(begun.events):
        raise Invalid(f"{len(file.events)} of {len(begun.events)} events", "genesis", "take the whole file")
    file.write(path / GENESIS_FILE)
    (path / DRAFT_FILE).unlink(missing_ok=True)


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
