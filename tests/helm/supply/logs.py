"""A transparency log small enough to lie: entries, proofs, checkpoints and promises, signed with keys of tests."""

import json
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any, Final

import attrs

from helm.crypto.dsse import Envelope, EnvelopeSignature
from helm.proofgraph.merkle import Tree, leaf_hash
from tests.helm.supply.keys import Signing, p256

NAME: Final = "log.example"
ARTIFACT: Final = b"the tool"
SIGNER: Final = p256(77)


def b64(raw: bytes) -> str:
    return b64encode(raw).decode()


def hashedrekord(artifact: bytes = ARTIFACT, signer: Signing = SIGNER) -> dict[str, Any]:
    signature = {"content": b64(signer.sign(artifact)), "publicKey": {"content": b64(signer.pem.encode())}}
    data = {"hash": {"algorithm": "sha256", "value": sha256(artifact).hexdigest()}}
    return {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {"data": data, "signature": signature}}


def envelope(payload: bytes, signer: Signing = SIGNER, payload_type: str = "application/vnd.in-toto+json") -> Envelope:
    unsigned = Envelope(payload_type=payload_type, payload=payload, signatures=())
    signature = EnvelopeSignature(key_id="", raw=signer.sign(unsigned.signed_bytes))
    return attrs.evolve(unsigned, signatures=(signature,))


def dsse(signed: Envelope, signer: Signing = SIGNER) -> dict[str, Any]:
    payload_hash = {"algorithm": "sha256", "value": sha256(signed.payload).hexdigest()}
    signatures = [{"signature": b64(one.raw), "verifier": b64(signer.pem.encode())} for one in signed.signatures]
    spec = {"envelopeHash": payload_hash, "payloadHash": payload_hash, "signatures": signatures}
    return {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}


@attrs.define
class Log:
    """A log with five entries of others, and then yours."""

    key: Signing
    name: str = NAME
    tree: Tree = attrs.field(factory=lambda: Tree(leaf_hash(b"entry %d" % one) for one in range(5)))
    extensions: str = ""

    def answer(self, record: Any, *, integrated_at_s: int = 1_700_000_000) -> dict[str, Any]:
        """Take a record in and return what the log's interface answers."""
        body = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
        index = len(self.tree)
        self.tree.append(leaf_hash(body))
        said = {
            "body": b64(body),
            "integratedTime": integrated_at_s,
            "logID": self.key.public.fingerprint.hex(),
            "logIndex": 1_000_000 + index,
        }
        promise = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        verification = {
            "inclusionProof": self.proof(index),
            "signedEntryTimestamp": b64(self.key.sign(promise)),
        }
        return {"ab" * 8 + leaf_hash(body).hex(): said | {"verification": verification}}

    def proof(self, index: int) -> dict[str, Any]:
        return {
            "checkpoint": self.checkpoint(),
            "hashes": [one.hex() for one in self.tree.inclusion(index)],
            "logIndex": index,
            "rootHash": self.tree.head().root.hex(),
            "treeSize": len(self.tree),
        }

    def checkpoint(self, *, origin: str = "", name: str = "") -> str:
        head = self.tree.head()
        text = f"{origin or self.name + ' - 42'}\n{head.size}\n{b64(head.root)}\n{self.extensions}"
        raw = self.key.public.fingerprint[:4] + self.key.sign(text.encode())
        return f"{text}\n— {name or self.name} {b64(raw)}\n"


def bundle(answer: dict[str, Any], signed: Envelope) -> dict[str, Any]:
    """Return an answer of a log's interface as a Sigstore bundle."""
    [entry] = answer.values()
    proof = entry["verification"]["inclusionProof"]
    record = json.loads(b64decode(entry["body"]))
    inclusion = {
        "checkpoint": {"envelope": proof["checkpoint"]},
        "hashes": [b64(bytes.fromhex(one)) for one in proof["hashes"]],
        "logIndex": str(proof["logIndex"]),
        "rootHash": b64(bytes.fromhex(proof["rootHash"])),
        "treeSize": str(proof["treeSize"]),
    }
    tlog = {
        "canonicalizedBody": entry["body"],
        "inclusionPromise": {"signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"]},
        "inclusionProof": inclusion,
        "integratedTime": str(entry["integratedTime"]),
        "kindVersion": {"kind": record["kind"], "version": record["apiVersion"]},
        "logId": {"keyId": b64(bytes.fromhex(entry["logID"]))},
        "logIndex": str(entry["logIndex"]),
    }
    return {
        "dsseEnvelope": {
            "payload": b64(signed.payload),
            "payloadType": signed.payload_type,
            "signatures": [{"sig": b64(one.raw)} for one in signed.signatures],
        },
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "k"}, "tlogEntries": [tlog]},
    }
