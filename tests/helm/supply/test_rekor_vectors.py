"""Sigstore's public bundles: the log's part of each is believed or refused as its folder says, by the right check.

Faults of certificates, of time stamps of others and of trust roots are no faults of a log entry: those bundles are
listed, and their entries are as good as they look.
"""

import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from helm.contracts.errors import Invalid
from helm.supply.log_checkpoint import Log
from helm.supply.outside_key import OutsideKey, key_of_der, read_key
from helm.supply.rekor import LogReading, verify_log_entry
from tests import vectors

BEYOND: Final = frozenset(
    {
        "integrated-time-in-future_fail",
        "intoto-expired-certificate_fail",
        "intoto-set-outside-signing-cert-validity_fail",
        "intoto-tsa-timestamp-outside-cert-validity_fail",
        "invalid-ct-key_fail",
        "managed-key-no-key_fail",
        "rekor2-no-timestamp_fail",
        "rekor2-timestamp-outside-trust-root-tsa-validity_fail",
        "rekor2-timestamp-outside-tsa-cert-validity_fail",
        "rekor2-timestamp-payload-mismatch_fail",
        "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail",
        "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail",
        "rekor2-timestamp-with-incorrect-time_fail",
        "trust-root-tlog-missing-validity-start_fail",
    }
)
"""What is wrong with these is not in the log."""

REFUSED: Final = {
    "bundle-empty-certificate-chain_fail": "entry",
    "bundle-from-wrong-instance_fail": "log",
    "bundle-invalid-base64-signature_fail": "entry",
    "bundle-malformed-json_fail": "entry",
    "bundle-negative-log-index_fail": "entry",
    "bundle-unknown-version_fail": "entry",
    "bundle-with-root-cert_fail": "entry",
    "checkpoint-bad-keyhint_fail": "checkpoint",
    "checkpoint-wrong-roothash_fail": "head",
    "dsse-invalid-sig_fail": "subject",
    "dsse-mismatch-envelope_fail": "subject",
    "dsse-mismatch-sig_fail": "subject",
    "inclusion-proof-corrupted-hash_fail": "inclusion",
    "incorrect-public-key_fail": "inclusion",
    "intoto-log-entry-mismatch_fail": "body",
    "intoto-missing-inclusion-proof_fail": "entry",
    "invalid-checkpoint-signature_fail": "checkpoint",
    "invalid-inclusion-proof_fail": "entry",
    "managed-key-wrong-key_fail": "key",
    "message-digest-mismatch_fail": "subject",
    "rekor2-checkpoint-missing-log-signature_fail": "checkpoint",
    "rekor2-checkpoint-missing-origin_fail": "checkpoint",
    "rekor2-checkpoint-missing-root-hash_fail": "checkpoint",
    "rekor2-checkpoint-missing-size_fail": "checkpoint",
    "rekor2-checkpoint-no-matching-signature_fail": "checkpoint",
    "rekor2-dsse-invalid-sig_fail": "subject",
    "rekor2-dsse-mismatch-envelope_fail": "subject",
    "rekor2-dsse-mismatch-sig_fail": "subject",
    "rekor2-no-inclusion-proof_fail": "entry",
    "set-invalid-signature_fail": "timestamp",
    "signature-mismatch_fail": "subject",
    "wrong-hashedrekord-artifact_fail": "subject",
    "wrong-hashedrekord-cert-and-sig_fail": "subject",
    "wrong-hashedrekord-entry_fail": "subject",
    "wrong-material_fail": "subject",
}
"""The check that refuses each of the others that must fail."""


def test_every_bundle_comes_out_as_its_folder_says() -> None:
    whole = vectors.folder("sigstore") / "bundle-verify"
    folders = sorted(path for path in whole.iterdir() if path.is_dir())
    must_fail = {path.name for path in folders if path.name.endswith("_fail")}
    assert len(folders) > 60
    assert must_fail == REFUSED.keys() | BEYOND
    found = {path.name: _refusal(path) for path in folders}
    assert found == {path.name: REFUSED.get(path.name, "") for path in folders}


def _refusal(folder: Path) -> str:
    artifact = folder / "artifact"
    raw = (artifact if artifact.exists() else folder.parent / "a.txt").read_bytes()
    bundle = (folder / "bundle.sigstore.json").read_bytes()
    try:
        signer = _signer(folder)
    except Invalid:
        return "key"
    reading = LogReading(raw=bundle, log=_log(folder, bundle), artifact=sha256(raw).digest(), signer=signer)
    failed = verify_log_entry(reading).failed
    return "" if failed is None else failed.name


def _signer(folder: Path) -> OutsideKey | None:
    pem = folder / "key.pub"
    return read_key(pem.read_text(encoding="ascii")) if pem.exists() else None


def _log(folder: Path, bundle: bytes) -> Log:
    """Return the log that the folder's trusted root names for the entry, any of its logs where it names none."""
    logs: list[dict[str, Any]] = _trusted_root(folder)["tlogs"]
    named = [one for one in logs if one["logId"]["keyId"].encode() in bundle] or logs
    url = urlsplit(named[0]["baseUrl"])
    return Log(name=url.netloc, key=key_of_der(b64decode(named[0]["publicKey"]["rawBytes"])))


def _trusted_root(folder: Path) -> Any:
    own = folder / "trusted_root.json"
    if own.exists():
        return vectors.load(own)
    [public] = (vectors.folder("tuf") / "sigstore-root-signing" / "targets").glob("*.trusted_root.json")
    return json.loads(public.read_bytes())


@pytest.mark.parametrize("name", ["rekor2-checkpoint-cosigned", "rekor2-checkpoint-two-sigs-from-origin"])
def test_a_cosigned_checkpoint_counts_by_the_log_s_own_signature(name: str) -> None:
    assert _refusal(vectors.folder("sigstore") / "bundle-verify" / name) == ""
