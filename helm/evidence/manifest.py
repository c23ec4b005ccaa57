"""The manifest: every file of a pack by path, hash, size and type, and the signature over all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import Form, JSONValue
from helm.crypto import domains
from helm.crypto.canonical import fragment, record_bytes, reread
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
    redacted: tuple[str, ...]
    """Paths of facts that were left out, sorted. Their hashes stay in the decisions."""
    scope: str
    """One of `scope.SCOPES`."""
    sessions: tuple[tuple[str, str], ...]
    """Tenant and name of every session that the pack is about, sorted."""
    shard: str
    until_ms: int
    """The first moment behind a range."""
    version: str = VERSION


COVER = Form(Cover)


@attrs.frozen(kw_only=True)
class Manifest:
    """A manifest that lists exactly the files that are there. Its signature is not checked yet."""

    cover: Cover
    manifest_hash: str
    signature: str

    def statement(self) -> bytes:
        """Return what is signed: the cover, and the hash that covers cover and list."""
        return record_bytes(COVER.body(self.cover) | {"manifest_hash": self.manifest_hash})


def write_manifest(cover: Cover, members: Mapping[str, bytes], signer: Signer) -> bytes:
    """Return the signed manifest of a pack with these other members. Raises PurposeMismatch, Invalid."""
    return write_list(cover, listed_in(members), signer)


def write_list(cover: Cover, listed: bytes, signer: Signer) -> bytes:
    """Return the signed manifest of a pack with this list. Raises PurposeMismatch, Invalid."""
    body = COVER.body(cover) | {"entries": fragment(listed)}
    manifest = Manifest(cover=cover, manifest_hash=hash_in(domains.MANIFEST, record_bytes(body)), signature="")
    signature = signer.sign(domains.PACK, manifest.statement())
    return record_bytes(body | {"manifest_hash": manifest.manifest_hash, "signature": signature})


def read_manifest(members: Mapping[str, bytes]) -> Manifest:
    """Return the manifest among `members` once it lists all others, and nothing else. Raises Invalid."""
    raw = members.get(MANIFEST)
    if raw is None:
        raise Invalid("there is no manifest", MANIFEST, "this is not an evidence pack")
    listed, rest = split_manifest(raw, members)
    cover = structure(unsealed(rest, ("manifest_hash", "signature"), MANIFEST), Cover, MANIFEST)
    check_scope(cover.scope, cover.from_ms, cover.until_ms, cover.sessions, MANIFEST)
    manifest_hash, signature = rest.pop("manifest_hash"), rest.pop("signature")
    said = b'{"entries":%b,%b' % (listed, record_bytes(rest)[1:])
    if manifest_hash != hash_in(domains.MANIFEST, said) or type(signature) is not str:
        raise Invalid("the manifest does not hash to its manifest_hash", MANIFEST, CHANGED)
    return Manifest(cover=cover, manifest_hash=manifest_hash, signature=signature)


def split_manifest(raw: bytes, members: Mapping[str, bytes]) -> tuple[bytes, dict[str, JSONValue]]:
    """Return a manifest's list, which is that of exactly these members, and what it says besides. Raises Invalid."""
    listed = listed_in(members)
    begin = b'{"entries":%b,' % listed
    if not raw.startswith(begin):
        body = read_json(raw, MANIFEST)
        unsealed(body, SEALS, MANIFEST)
        check_entries(body["entries"], reread(listed))
        raise Invalid("is not the manifest of these files", MANIFEST, CHANGED)
    return listed, read_json(b"{" + raw[len(begin) :], MANIFEST)


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


def check_entries(listed: JSONValue, found: list[dict[str, JSONValue]]) -> None:
    """Raise Invalid, naming the first path, unless exactly the files that are there are listed."""
    if listed == found:
        return
    if type(listed) is not list:
        raise Invalid("its entries are not a list", MANIFEST, CHANGED)
    listed_paths = paths_in(listed)
    for entry in found:
        if entry["path"] not in listed_paths:
            raise Invalid("is not listed in the manifest", str(entry["path"]), CHANGED)
        if entry not in listed:
            raise Invalid("is not the file that the manifest lists", str(entry["path"]), CHANGED)
    missing = listed_paths - paths_in(found)
    what = f"lists what is not there: {min(missing)}" if missing else "lists a file twice or out of order"
    raise Invalid(what, MANIFEST, CHANGED)


def paths_in(entries: Iterable[JSONValue]) -> set[str]:
    """Return the paths that a list of entries names, as far as it is one."""
    return {str(entry.get("path")) for entry in entries if type(entry) is dict}
