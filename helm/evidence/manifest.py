"""The manifest: every file of a pack by path, hash, size and type, and the signature over all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import Form, JSONValue
from helm.crypto import domains
from helm.crypto.canonical import fragment, record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SignatureInvalid, Signer
from helm.crypto.hashing import hash_in, sha256
from helm.evidence.layout import MANIFEST, VERSION, content_type
from helm.evidence.lines import read_json
from helm.evidence.scope import check_scope
from helm.evidence.unseal import unsealed
from helm.trust.registry import Registry
from helm.wire import structure

SEALS = ("entries", "manifest_hash", "signature")
CHANGED = "the pack was changed after it was exported"
NEWER = "another HELM wrote this pack, or it was changed: verify it with a HELM of its own age"


@attrs.frozen(kw_only=True, slots=False)
class Cover:
    """What a pack says of itself as a whole. Together with the hash of the list below it, this is signed."""

    from_ms: int
    """The first moment of a range, 0 where the pack is about none."""
    key_id: str
    lamport: int
    """The ProofGraph's clock up to which the pack speaks: that of its last node."""
    log_id: str
    open_intents: tuple[str, ...]
    """Nodes of the intents whose outcome is not in the pack, sorted: they were under way."""
    redacted: int
    """How many calls' facts were left out. Their hashes stay in the decisions."""
    scope: str
    """One of `scope.SCOPES`."""
    sessions: tuple[tuple[str, str], ...]
    """Tenant and name of every session that the pack is about, sorted."""
    shard: str
    until_ms: int
    """The first moment behind a range."""
    version: str = VERSION


COVER = Form(Cover)


class OtherVersion(Invalid):
    """A pack of another format than this verifier's."""


class Altered(Invalid):
    """A file of a pack that is not the one that the manifest lists."""


@attrs.frozen(kw_only=True)
class Manifest:
    """A manifest that lists exactly the files that are there. Its signature is not checked yet."""

    cover: Cover
    manifest_hash: str
    signature: str
    hashes: Mapping[str, str] = attrs.field(repr=False)
    """The hash of every file but the manifest, by path."""

    def statement(self) -> bytes:
        """Return what is signed: the cover, and the hash that covers cover and list."""
        return statement(self.cover, self.manifest_hash)


def statement(cover: Cover, manifest_hash: str) -> bytes:
    """Return what is signed: the cover, and the hash that covers cover and list."""
    return record_bytes(COVER.body(cover) | {"manifest_hash": manifest_hash})


def write_manifest(cover: Cover, members: Mapping[str, bytes], signer: Signer) -> bytes:
    """Return the signed manifest of a pack with these other members. Raises PurposeMismatch, Invalid."""
    return write_list(cover, listed_in(members), signer)


def write_list(cover: Cover, listed: bytes, signer: Signer) -> bytes:
    """Return the signed manifest of a pack with this list. Raises PurposeMismatch, Invalid."""
    body = COVER.body(cover) | {"entries": fragment(listed)}
    manifest_hash = hash_in(domains.MANIFEST, record_bytes(body))
    signature = signer.sign(domains.PACK, statement(cover, manifest_hash))
    return record_bytes(body | {"manifest_hash": manifest_hash, "signature": signature})


def read_manifest(raw: bytes | None, sizes: Mapping[str, int]) -> Manifest:
    """Return a manifest once it lists exactly these files, by path and size, besides itself.

    What is in the files is for `Listed` to compare. Raises Invalid; OtherVersion for one of another format.
    """
    if raw is None:
        raise Invalid("there is no manifest", MANIFEST, "this is not an evidence pack")
    body = read_json(raw, MANIFEST)
    rest = unsealed(body, SEALS, MANIFEST)
    check_entries(body["entries"], sizes)
    manifest_hash, signature = body["manifest_hash"], body["signature"]
    said = record_bytes({name: value for name, value in body.items() if name not in SEALS[1:]})
    if manifest_hash != hash_in(domains.MANIFEST, said) or type(signature) is not str:
        raise Invalid("the manifest does not hash to its manifest_hash", MANIFEST, CHANGED)
    if rest.get("version") != VERSION:
        raise OtherVersion(f"the pack is of version {rest.get('version')!r}, not {VERSION}", MANIFEST, NEWER)
    cover = structure(rest, Cover, MANIFEST)
    check_scope(cover.scope, cover.from_ms, cover.until_ms, cover.sessions, MANIFEST)
    hashes = {entry["path"]: entry["hash"] for entry in body["entries"]}
    return Manifest(cover=cover, manifest_hash=manifest_hash, signature=signature, hashes=hashes)


class Listed(Mapping[str, bytes]):
    """The files of a pack, each compared with what the manifest lists whenever it is read.

    So whoever writes to the file of a pack while it is read changes nothing but whether it is believed (T5).
    """

    def __init__(self, files: Mapping[str, bytes], hashes: Mapping[str, str]) -> None:
        self._files = files
        self._hashes = hashes

    def __getitem__(self, path: str) -> bytes:
        content = self._files[path]
        if path != MANIFEST and sha256(content) != self._hashes[path]:
            raise Altered("is not the file that the manifest lists", path, CHANGED)
        return content

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: object) -> bool:
        return path in self._files


def check_signature(manifest: Manifest, registry: Registry) -> None:
    """Raise Invalid unless an evidence key that counted when the pack was made signed the manifest."""
    cover = manifest.cover
    try:
        key = registry.require(cover.key_id, KeyPurpose.EVIDENCE, cover.lamport)
        key.verify(domains.PACK, manifest.statement(), manifest.signature)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), MANIFEST, CHANGED) from problem


def listed_in(members: Mapping[str, bytes]) -> bytes:
    """Return what a manifest of these members lists: every one but itself. Raises Invalid."""
    return written_entries(hashed(members))


def hashed(members: Mapping[str, bytes]) -> Iterator[tuple[str, str, int]]:
    """Yield path, hash and size of every member but the manifest, sorted."""
    for path in sorted(members):
        if path != MANIFEST:
            content = members[path]
            yield path, sha256(content), len(content)


def written_entries(files: Iterable[tuple[str, str, int]]) -> bytes:
    """Return a list of files, path, hash and size of each, in canonical bytes. Raises Invalid.

    Paths are plain names, so nothing in them is written otherwise in JSON.
    """
    lines = [
        f'{{"hash":"{content_hash}","path":"{path}","size":{size},"type":"{content_type(path)}"}}'.encode()
        for path, content_hash, size in files
    ]
    return b"[%b]" % b",".join(lines)


def check_entries(listed: JSONValue, sizes: Mapping[str, int]) -> None:
    """Raise Invalid, naming the first path, unless exactly the files that are there are listed."""
    if type(listed) is not list or not all(type(entry) is dict for entry in listed):
        raise Invalid("its entries are not a list of files", MANIFEST, CHANGED)
    paths = [path for path in sorted(sizes) if path != MANIFEST]
    for entry, path in zip(listed, paths, strict=False):
        so = {"path": path, "size": sizes[path], "type": content_type(path)}
        if {name: value for name, value in entry.items() if name != "hash"} != so or type(entry.get("hash")) is not str:
            raise Invalid(f"does not list {path} as it is there", MANIFEST, CHANGED)
    if len(listed) != len(paths):
        missing = paths[len(listed) :] or [str(entry.get("path")) for entry in listed[len(paths) :]]
        raise Invalid(f"lists other files than are there: {missing[0]}", MANIFEST, CHANGED)
