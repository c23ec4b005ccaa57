"""helm approvals approve, deny, revoke, dispute, override, review: hand in what an approver signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import keys, show
from actors.cli.approvals.desk import Desk, Told, desk_of
from actors.cli.approvals.reading import fields_of
from actors.cli.approvals.signing import REASONS, read_offer, signed_by
from actors.cli.keys import token_options
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import server_option
from helm.contracts.approval import CHALLENGED, Action
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.guardian.ceremony import purpose_of

BEGINNING = "apr_"
"""How an approval's id begins; anything else is the name of a file."""


def command_of(action: Action, help_line: str) -> click.Command:
    """Return the command that hands in one kind of assertion."""

    @click.argument("what", metavar="SIGNED|APPROVAL_ID")
    @click.option(
        "--key", "key_file", type=click.Path(path_type=Path, dir_okay=False), help="Sign here, with this key."
    )
    @token_options
    @click.option("--reason", default="", help="Why, where it is signed here.")
    @click.option(
        "--confirm", default="", metavar="PHRASE", help="What is shown to be retyped; asked for where missing."
    )
    @server_option
    @data_dir_option
    @show.json_option
    def run(what: str, data_dir: Path, server: str | None, *, as_json: bool, **said: Any) -> None:
        desk = desk_of(data_dir, server)
        show.note(f"{action} on {desk.where}")
        if what.startswith(BEGINNING):
            signed = signed_here(desk, what, action, data_dir, said)
        else:
            signed = read_offer(Path(what))
        told = desk.say(checked(signed, action, what))
        if as_json:
            show.as_object(told)
        else:
            show.fields([(name, value) for name, value in fields_of(told) if name != "arguments"])

    if action is Action.OVERRIDE:
        run = click.option("--override-reason", "reason_code", type=REASONS, help="Why, in an emergency.")(run)
    return click.command(action.value, help=help_line)(run)


def signed_here(desk: Desk, approval_id: str, action: Action, data_dir: Path, said: dict[str, Any]) -> Told:
    """Fetch, show, sign: for whoever has the key at hand. Raises Invalid."""
    if not said["reason"]:
        raise click.UsageError("--reason: it stands in the log for ever")
    signer = key_of(said, purpose_of(action), data_dir)
    if action in CHALLENGED:
        offer = desk.challenge(approval_id, signer.key_id, action.value)
    else:
        offer = {"approval": desk.show(approval_id)}
    words = {"confirm": said["confirm"], "reason": said["reason"], "reason_code": said.get("reason_code") or ""}
    return signed_by(signer, action.value, offer, "", words)


def key_of(said: dict[str, Any], purpose: KeyPurpose, data_dir: Path) -> Signer:
    """Return the key that signs: a file's, a token's, or the data directory's own. Raises Invalid."""
    key = keys.chosen(purpose, said["key_file"], said["module"], said["label"])
    return open_place(data_dir).key(purpose) if key is None else key


def checked(signed: Told, action: Action, where: str) -> Told:
    """Return what was signed, if it is of this kind. Raises Invalid."""
    said = signed.get("assertion")
    if signed.keys() != {"assertion", "signature"} or type(said) is not dict or said.get("action") != action:
        raise Invalid(f"is nothing that was signed to {action}", where, "`helm approvals sign` writes it")
    return signed


HELP: dict[Action, str] = {
    Action.APPROVE: "Agree. SIGNED is what `sign` wrote; with an approval's id it is signed here, and handed in.",
    Action.DENY: "Refuse: the call is refused until the approval would have expired.",
    Action.REVOKE: "Take back what was approved and not used yet.",
    Action.DISPUTE: "Hold back what was approved: everyone who agreed is asked again.",
    Action.OVERRIDE: "Grant it alone, in an emergency, with the emergency key. It opens a review.",
    Action.REVIEW: "Review an override after the fact. No other override is taken in this tenant before.",
}

COMMANDS: dict[Action, click.Command] = {action: command_of(action, line) for action, line in HELP.items()}

approve, deny, revoke = COMMANDS[Action.APPROVE], COMMANDS[Action.DENY], COMMANDS[Action.REVOKE]
dispute, override, review = COMMANDS[Action.DISPUTE], COMMANDS[Action.OVERRIDE], COMMANDS[Action.REVIEW]
