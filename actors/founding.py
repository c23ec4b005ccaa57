"""Founding an installation: its directory, its keys, the genesis that begins its log, settings and a first policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

import attrs

from actors import policy_file
from actors.installation import (
    BEARER_FILE,
    CONFIG_FILE,
    DIRECTORY_MODE,
    GENESIS_FILE,
    KEYS,
    POLICY_FILE,
    key_path,
    read_key,
    read_text,
    write_key,
)
from actors.keys import keyfile
from actors.keys.bearer import BearerKeys, KeyClass
from actors.keys.hsm import TokenPlace
from actors.keys.trust_file import TrustFile, read_trust_file
from actors.process import durable
from actors.process.clock import Clock
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.trust.event import (
    FIRST_PLACE,
    MAX_ADMINS,
    EventKind,
    Keepers,
    KeyChange,
    begin_jointly,
    cosign,
    log_id_of,
    place_after,
    sign_event,
)
from helm.trust.registry import fold

DRAFT_FILE: Final = "genesis.draft.json"
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


def found_installation(
    path: Path, *, clock: Clock, administration: Administration = ALONE, token: TokenPlace | None = None
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
