"""A TUF repository of tests: it signs what it is told to sign, honest or not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha512
from typing import Any, Final

import attrs
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from helm.supply.tuf import StoredFile, TufReading
from tests.helm.supply.keys import Signing, ed25519, p256

NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
NAME: Final = "team/tool.wasm"
CONTENT: Final = b"\x00asm the tool"
TOP: Final = ("root", "timestamp", "snapshot", "targets")


def signer(key: Signing, key_id: str | None = None) -> CryptoSigner:
    public: Any = SSlibKey.from_crypto(key.private.public_key())
    return CryptoSigner(key.private, public if key_id is None else renamed(public, key_id))


def renamed(public: Any, key_id: str) -> Any:
    return SSlibKey(key_id, public.keytype, public.scheme, public.keyval)


def stored(content: bytes, place: str = "targets/file") -> StoredFile:
    hashes = {"sha256": sha256(content).hexdigest(), "sha512": sha512(content).hexdigest()}
    return StoredFile(place=place, length=len(content), hashes=hashes)


@attrs.define
class Repository:
    """Metadata as objects until it is published, as files from then on."""

    signers: dict[str, list[CryptoSigner]] = attrs.field(factory=dict)
    root: Root = attrs.field(init=False)
    timestamp: Timestamp = attrs.field(init=False)
    snapshot: Snapshot = attrs.field(init=False)
    targets: Targets = attrs.field(init=False)
    delegated: dict[str, Targets] = attrs.field(factory=dict)
    files: dict[str, bytes] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        later = NOW + timedelta(days=10)
        self.root = Root(expires=later)
        for number, role in enumerate(TOP):
            self.give(role, signer(ed25519(100 + number) if number % 2 else p256(100 + number)))
        self.timestamp = Timestamp(expires=later)
        self.snapshot = Snapshot(expires=later)
        self.targets = Targets(expires=later)
        self.name(NAME, CONTENT)
        self.publish_root()

    def give(self, role: str, *signers: CryptoSigner, threshold: int = 1) -> None:
        """Give a top-level role these keys in the place of those it had."""
        for key_id in list(self.root.roles[role].keyids):
            self.root.revoke_key(key_id, role)
        for one in signers:
            self.root.add_key(one.public_key, role)
        self.root.roles[role].threshold = threshold
        self.signers[role] = list(signers)

    def name(self, name: str, content: bytes, role: str = "targets") -> None:
        found = self.targets if role == "targets" else self.delegated[role]
        found.targets[name] = TargetFile.from_data(name, content, ["sha256"])

    def delegate(
        self, role: str, paths: list[str], *, by: str = "targets", key: int = 150, terminating: bool = False
    ) -> None:
        """Delegate paths to a role of its own key."""
        delegator = self.targets if by == "targets" else self.delegated[by]
        if delegator.delegations is None:
            delegator.delegations = Delegations({}, {})
        roles = delegator.delegations.roles
        assert roles is not None
        roles[role] = DelegatedRole(role, [], 1, terminating, paths)
        own = signer(ed25519(key))
        delegator.add_key(own.public_key, role)
        self.signers[role] = [own]
        if role not in self.delegated:
            self.delegated[role] = Targets(expires=NOW + timedelta(days=10))

    def sign(self, role: str, signed: Any, by: list[CryptoSigner] | None = None) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        for one in self.signers[role] if by is None else by:
            metadata.sign(one, append=True)
        return metadata.to_bytes()

    def publish_root(self, by: list[CryptoSigner] | None = None) -> None:
        self.files[f"{self.root.version}.root.json"] = self.sign("root", self.root, by)

    def rotate(self, change: Callable[[Repository], object]) -> None:
        """Publish the next root after a change to it, signed by the keys before and after."""
        before = self.signers["root"]
        change(self)
        self.root.version += 1
        both = {one.public_key.keyid: one for one in (*before, *self.signers["root"])}
        self.publish_root(list(both.values()))

    def publish(self) -> Repository:
        """Publish all but the root: targets, what names them, and what names that."""
        for role, signed in ({"targets": self.targets} | self.delegated).items():
            self.files[f"{signed.version}.{role}.json"] = self.sign(role, signed)
            self.snapshot.meta[f"{role}.json"] = MetaFile(signed.version)
        return self.publish_snapshot()

    def publish_snapshot(self) -> Repository:
        raw = self.sign("snapshot", self.snapshot)
        self.files[f"{self.snapshot.version}.snapshot.json"] = raw
        self.timestamp.snapshot_meta = MetaFile.from_data(self.snapshot.version, raw, ["sha256"])
        return self.publish_timestamp()

    def publish_timestamp(self) -> Repository:
        self.files["timestamp.json"] = self.sign("timestamp", self.timestamp)
        return self

    def advance(self) -> Repository:
        """Publish the next version of everything but the root."""
        for signed in (self.timestamp, self.snapshot, self.targets):
            signed.version += 1
        return self.publish()

    def reading(self, **more: Any) -> TufReading:
        """Return what a client reads, who pinned the first root and asks for the one target."""
        given: dict[str, Any] = {
            "at": NOW,
            "files": {NAME: (stored(CONTENT),)},
            "metadata": dict(self.files),
            "root": self.files["1.root.json"],
        }
        return TufReading(**given | more)
