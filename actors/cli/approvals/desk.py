"""Where approvals are asked about: a running kernel over HTTP, or the data directory itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import attrs

from actors.cli.failure import Failed
from actors.cli.place import open_place
from actors.cli.server import API, Server, server_url
from actors.installation import Installation

if TYPE_CHECKING:
    from actors.approving import Approving

APPROVALS: Final = f"{API}/approvals"

Told = dict[str, Any]
T = TypeVar("T")


class Desk(Protocol):
    """Whoever holds the ceremonies."""

    @property
    def where(self) -> str:
        """The URL, or the directory."""

    def list(self, state: str) -> list[Told]:
        """Return the approvals, the latest first."""

    def show(self, approval_id: str) -> Told:
        """Return one approval with its arguments. Raises Failed."""

    def challenge(self, approval_id: str, key_id: str, action: str) -> Told:
        """Return what is to be signed by a key. Raises Failed."""

    def say(self, signed: Told) -> Told:
        """Hand in what was signed; return the approval as it stands then. Raises Failed."""


def desk_of(data_dir: Path, server: str | None) -> Desk:
    """Return the kernel at the URL that is named, the data directory where none is."""
    url = server_url(data_dir, server)
    return RemoteDesk(Server(url), url) if url else LocalDesk(open_place(data_dir), str(data_dir))


@attrs.frozen
class RemoteDesk:
    """A running kernel."""

    server: Server
    where: str

    def list(self, state: str) -> list[Told]:
        """Ask for the approvals."""
        found: list[Told] = self.server.get(APPROVALS, {"state": state})["approvals"]
        return found

    def show(self, approval_id: str) -> Told:
        """Ask for one."""
        found: Told | None = self.server.get(f"{APPROVALS}/{approval_id}", {})
        if found is None:
            raise missing(approval_id)
        return found

    def challenge(self, approval_id: str, key_id: str, action: str) -> Told:
        """Ask for a challenge."""
        told: Told = self.server.post(f"{APPROVALS}/{approval_id}/challenge", {"action": action, "key_id": key_id})
        return told

    def say(self, signed: Told) -> Told:
        """Post it, with the hash of the approval as it stands."""
        said = signed["assertion"]
        seen = self.show(said["approval_id"])["ceremony_hash"]
        told: Told = self.server.post(
            f"{APPROVALS}/{said['approval_id']}/{said['action']}", signed | {"ceremony_hash": seen}
        )
        return told


@attrs.frozen
class LocalDesk:
    """A log that no kernel writes now: one runs, without a policy, for as long as one answer takes."""

    place: Installation
    where: str

    def list(self, state: str) -> list[Told]:
        """Read the approvals."""
        from actors.approving import told

        async def read(approving: Approving) -> list[Told]:
            found = approving.kernel.memory.approvals.ceremonies.values()
            wanted = [one for one in found if one.record_id and state in ("", one.state)]
            return [told(one) for one in sorted(wanted, key=lambda one: -one.requested_at_ms)]

        return self._run(read)

    def show(self, approval_id: str) -> Told:
        """Read one."""
        return self._run(lambda approving: approving.show(approval_id))

    def challenge(self, approval_id: str, key_id: str, action: str) -> Told:
        """Put a challenge to a key."""
        return self._run(lambda approving: approving.challenge(approval_id, key_id, action))

    def say(self, signed: Told) -> Told:
        """Take what was signed."""
        from actors.approving import told
        from helm.contracts.approval import Assertion
        from helm.wire import structure

        assertion = structure(signed["assertion"], Assertion, "assertion")

        async def take(approving: Approving) -> Told:
            seen = approving.find(assertion.approval_id).ceremony_hash
            return told(await approving.say(assertion, signed["signature"], seen))

        return self._run(take)

    def _run(self, work: Callable[[Approving], Awaitable[T]]) -> T:
        import trio

        return trio.run(on_directory, self.place, work)


async def on_directory(place: Installation, work: Callable[[Approving], Awaitable[T]]) -> T:
    """Run a kernel without a policy for as long as `work` takes. Raises Invalid where one runs already."""
    from actors.approving import Approving
    from actors.opening import open_kernel

    async with open_kernel(place, policy=None) as kernel:
        return await work(Approving(kernel))


def missing(approval_id: str) -> Failed:
    return Failed(f"there is no approval {approval_id}", "`helm approvals list` names them", "NOT_FOUND")
