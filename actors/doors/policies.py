"""Routes on which one sees what is in force above and below the bundle, and changes it by signed commands."""

from __future__ import annotations

from quart import Response

from actors.commands.command import Command
from actors.commands.policy import CancelRaise, ChangeOverlays
from actors.doors.delegations import read, signature_of
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem
from actors.kernel import Kernel
from actors.signed_policy import SignedOverlay
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse
from helm.guardian.bundle_overlay import overlay_bytes
from helm.guardian.bundle_signature import InForce
from helm.guardian.overlays import OverlayCommand, command_body
from helm.guardian.precedence import Precedence, RaiseCancel

POLICY = "/api/v1/policy"


class PolicyRoutes:
    """An admin key opens the routes; what changes anything is the policy key's signature."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def show(self) -> Response:
        """Answer with the ceilings in force, what waits, and every overlay."""
        query()
        return answer(self._shown())

    async def overlay(self) -> Response:
        """Put a signed overlay in force."""
        signed = overlay_in(await read_object())
        self._check_epoch(signed.command)
        await self._obey(ChangeOverlays((signed,), self.kernel.parts.state.registry), signed.command)
        return answer(self._shown(), 201)

    async def remove(self, name: str) -> Response:
        """Take an overlay out of force, as the policy key signed."""
        body = await read_object()
        command = read(body["command"], OverlayCommand, "/command")
        if command.overlay_id != name or command.action != "remove":
            raise Problem(status=400, detail="the command is no removal of this overlay", place="/command")
        if name not in self.kernel.memory.precedence.overlays.in_force:
            raise Problem(status=404, detail="no such overlay is in force")
        self._check_epoch(command)
        signed = SignedOverlay(command=command, signature=signature_of(body), document=b"")
        await self._obey(ChangeOverlays((signed,), self.kernel.parts.state.registry), command)
        return answer(self._shown())

    async def cancel(self) -> Response:
        """Give up the raise of P0 ceilings that waits, as the policy key signed."""
        body = await read_object()
        cancel = read(body["command"], RaiseCancel, "/command")
        if cancel.due_at_ms != self.kernel.memory.precedence.due_at_ms:
            raise Problem(status=409, detail="another raise waits, or none: read what waits and sign again")
        try:
            await self.kernel.command(CancelRaise(cancel, signature_of(body), self.kernel.parts.state.registry))
        except Invalid as problem:
            raise Problem(status=403, detail=str(problem), place="/signature") from problem
        return answer(self._shown())

    async def _obey(self, command: Command, said: OverlayCommand) -> None:
        try:
            await self.kernel.command(command)
        except Invalid as problem:
            self._check_epoch(said)  # another command may have come in between: a lost race is a conflict
            raise Problem(status=403, detail=str(problem), place="/document") from problem

    def _check_epoch(self, command: OverlayCommand) -> None:
        known = self.kernel.memory.precedence.overlays.epochs.get(command.overlay_id, 0)
        if command.epoch <= known:
            detail = f"epoch {command.epoch} does not follow {known}: raise it and sign again"
            raise Problem(status=409, detail=detail, place="/command/epoch")

    def _shown(self) -> dict[str, JSONValue]:
        memory = self.kernel.memory
        return shown(memory.precedence, memory.active, self.kernel.parts.boot.log_id)


def overlay_in(body: dict[str, JSONValue]) -> SignedOverlay:
    """Return the signed overlay of a body. Raises Problem."""
    command = read(body["command"], OverlayCommand, "/command")
    if type(body["document"]) is not dict or command.action != "add":
        raise Problem(status=400, detail="expected an overlay, and a command that adds it", place="/document")
    try:
        text = overlay_bytes(body["document"])
    except Invalid as problem:
        raise Problem(status=400, detail=problem.what, place=f"/document {problem.where}") from problem
    return SignedOverlay(command=command, signature=signature_of(body), document=text)


def shown(precedence: Precedence, active: InForce | None, log_id: str) -> dict[str, JSONValue]:
    """Return what is in force as people and programs read it; before any activation scope "" and epoch 0."""
    stated, in_force, overlays = precedence.stated, precedence.in_force, precedence.overlays
    return {
        "bundle_hash": "" if stated is None else stated.policy_hash,
        "epoch": 0 if active is None else active.epoch,
        "log_id": log_id,
        "overlays": [
            {"command": command_body(one.command), "document": parse(one.document)} for one in overlays.ordered()
        ],
        "overlay_epochs": {**overlays.epochs},
        "p0": None
        if in_force is None or stated is None
        else {
            "due_at_ms": precedence.due_at_ms,
            "in_force": in_force.document(),
            "in_force_hash": stated.p0_ceiling_hash if precedence.held is None else in_force.hash,
            "stated": stated.ceilings.document(),
            "stated_hash": stated.p0_ceiling_hash,
        },
        "scope": "" if active is None else active.scope,
    }
