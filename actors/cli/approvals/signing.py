"""helm approvals sign: look, retype, sign; with a key file, and nothing else that HELM runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from actors.cli import keys, show
from actors.cli.approvals.desk import Told
from actors.cli.approvals.reading import ACTIONS, fields_of
from actors.cli.failure import Failed
from actors.cli.keys import token_of, token_options
from helm.contracts.approval import ASSERTION, CHALLENGED, Action, Challenge, OverrideReason
from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import PublicKey, Signer
from helm.guardian.answering import Said, answer, check_challenge, check_shown
from helm.guardian.ceremony import phrase, purpose_of
from helm.wire import structure

REASONS = click.Choice([reason.value for reason in OverrideReason])


@click.command()
@click.argument("offer", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--key", "key_file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The key file.")
@token_options
@click.option("--action", type=click.Choice(ACTIONS), default=Action.APPROVE.value, show_default=True)
@click.option(
    "--execution-key", default="", metavar="HEX", help="The kernel's own public key: its challenge is checked."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@click.option("--confirm", default="", metavar="PHRASE", help="What is shown to be retyped; asked for where missing.")
@click.option("--override-reason", "reason_code", type=REASONS, help="Why an emergency passes the quorum over.")
def sign(offer: Path, key_file: Path, action: str, execution_key: str, out: Path | None, **said: Any) -> None:
    """Show what an OFFER is about, have it retyped, and sign it. No network, no data directory, no kernel."""
    told = read_offer(offer)
    signer = keys.read(key_file, purpose_of(action), token_of(said["module"], said["label"]))
    signed = signed_by(signer, action, told, execution_key, said)
    if out is None:
        show.as_object(signed)
    else:
        out.write_text(json.dumps(signed, indent=2) + "\n", encoding="utf-8")
        show.note(f"hand it in with: helm approvals {action} {out}")


def signed_by(signer: Signer, action: str, offer: Told, execution_key: str, said: dict[str, Any]) -> Told:
    """Return what a key says of an offer, once its holder has seen and retyped it. Raises Invalid.

    `signer` may be any that HELM can sign with: a key file's, or one that lives in hardware.
    """
    approval = offer["approval"]
    challenge = challenge_of(offer) if action in CHALLENGED else None
    check_shown(approval)
    if challenge is not None and execution_key:
        check_challenge(approval, *challenge, PublicKey.from_hex(execution_key))
    for name, value in fields_of(approval):
        show.note(f"{name:<10} {value}")
    typed = said["confirm"]
    if action in CHALLENGED and not typed:
        expected = phrase(action, approval["tool"], approval["intent_hash"])
        typed = retyped(action, expected)
    words = Said(action=action, reason=said["reason"], reason_code=said["reason_code"] or "", typed=typed)
    assertion, signature = answer(words, approval, challenge, signer)
    return {"assertion": ASSERTION.body(assertion), "signature": signature}


def retyped(action: str, expected: str) -> str:
    """Return what the holder of a key types of the phrase. Raises Failed where nobody sits there to type."""
    try:
        typed: str = click.prompt(f"To {action} this call, retype: {show.plain(expected)}\n", err=True)
    except click.Abort as problem:
        if isinstance(problem.__context__, KeyboardInterrupt):
            raise
        hint = "give the phrase with --confirm, or sit at a terminal"
        raise Failed(
            f"nothing was signed to {action} it: the input ended before the phrase was retyped", hint
        ) from None
    return typed


def challenge_of(offer: Told) -> tuple[Challenge, str]:
    """Return the challenge of an offer, and the kernel's signature under it. Raises Invalid."""
    if "challenge" not in offer or type(offer.get("signature")) is not str:
        raise Invalid("the offer holds no challenge", "offer", "fetch it with `helm approvals challenge`")
    return structure(offer["challenge"], Challenge, "challenge"), offer["signature"]


def read_offer(path: Path) -> Told:
    """Return what stands in a file of ours. Raises Invalid."""
    try:
        body: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise Invalid(f"cannot be read: {problem}", str(path)) from problem
    if type(body) is not dict:
        raise Invalid("is not a JSON object", str(path))
    return body
