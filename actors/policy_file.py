"""Policy files: a TOML bundle or overlay and, beside it, the signature that vouches for it."""

from __future__ import annotations

from pathlib import Path

from actors.identity.pinned import check_identity
from actors.process import durable
from actors.signed_policy import SignedOverlay, SignedPolicy
from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import parse, record_bytes
from helm.crypto.ed25519 import Signer
from helm.guardian.bundle import load_toml
from helm.guardian.bundle_overlay import load_overlay
from helm.guardian.bundle_signature import SIGNATURE, PolicySignature, sign_policy
from helm.guardian.overlay import Overlay
from helm.guardian.overlays import OverlayCommand, command_body
from helm.guardian.policy import Policy
from helm.wire import structure

MAX_POLICY_BYTES = 4 * 1024 * 1024
"""A bundle of some thousand tools; a larger file is a mistake (T4)."""


def signature_path(policy_path: Path) -> Path:
    """Return where the signature of a policy file stands: beside it, with .sig after its name."""
    return policy_path.with_name(policy_path.name + ".sig")


def read_policy(path: Path) -> Policy:
    """Return the compiled policy of a TOML file. Raises Invalid with file and line or path."""
    policy = load_toml(_read(path).decode("utf-8", "strict"), str(path))
    check_identity(policy)
    return policy


def read_signed(path: Path, overlays: Path | None = None) -> SignedPolicy:
    """Return a policy file and its signature, which is checked where the policy is activated. Raises Invalid.

    `overlays` is the directory of those that come with it, each with its own signature.
    """
    policy, signature = read_policy(path), _read_signature(path)
    files = sorted(overlays.glob("*.toml")) if overlays is not None and overlays.is_dir() else []
    signed = tuple(read_signed_overlay(file, policy) for file in files)
    return SignedPolicy(policy=policy, signature=signature, overlays=signed, path=str(path))


def read_overlay(path: Path, bundle: Policy) -> Overlay:
    """Return the compiled overlay of a TOML file. Raises Invalid with file and line or path."""
    return load_overlay(_read(path, "name an overlay that is there").decode("utf-8", "strict"), str(path), bundle)


def read_signed_overlay(path: Path, bundle: Policy) -> SignedOverlay:
    """Return an overlay file and its signature, which is checked where it is put in force. Raises Invalid."""
    overlay = read_overlay(path, bundle)
    sign, place = f"helm policy overlay sign {path}", str(signature_path(path))
    try:
        body = parse(_read(signature_path(path), f"sign it: {sign}"))
        command, signature = structure(body["command"], OverlayCommand, place), str(body["signature"])
    except (Malformed, KeyError, TypeError) as problem:
        raise Invalid("is no signature of an overlay", place, f"sign it again: {sign}") from problem
    return SignedOverlay(command=command, signature=signature, document=overlay.document)


def write_overlay_signature(path: Path, signed: SignedOverlay) -> None:
    """Write what is said of an overlay beside its file, in one step."""
    body = {"command": command_body(signed.command), "signature": signed.signature}
    durable.replace(signature_path(path), record_bytes(body) + b"\n")


def sign_text(text: str, where: str, signer: Signer) -> SignedPolicy:
    """Compile a policy and vouch for it with a policy key. Raises Invalid."""
    policy = load_toml(text, where)
    return SignedPolicy(policy=policy, signature=sign_policy(policy, signer))


def write_signature(path: Path, signature: PolicySignature) -> None:
    """Write the signature beside its policy file, in one step."""
    durable.replace(signature_path(path), record_bytes(SIGNATURE.body(signature)) + b"\n")


def _read_signature(path: Path) -> PolicySignature:
    """Return the signature beside a policy file. Raises Invalid."""
    place, sign = signature_path(path), f"helm policy sign {path}"
    try:
        return structure(parse(_read(place, f"sign the policy: {sign}")), PolicySignature, str(place))
    except Malformed as problem:
        raise Invalid(f"is not JSON: {problem}", str(place), f"sign the policy again: {sign}") from problem


def _read(path: Path, hint: str = "name a policy file that is there") -> bytes:
    try:
        raw = path.read_bytes()
        raw.decode("utf-8", "strict")
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(path), hint) from problem
    except UnicodeDecodeError as problem:
        raise Invalid(f"is not UTF-8 at byte {problem.start}", str(path), "save it as UTF-8") from problem
    if len(raw) > MAX_POLICY_BYTES:
        raise Invalid(f"has {len(raw)} bytes, more than {MAX_POLICY_BYTES}", str(path), "split the policy")
    return raw
