"""Tools that the caller executes: the permitted order is handed over, and what becomes of it is not known here."""

from __future__ import annotations

from typing import NoReturn

from actors.connectors.port import Dispatch, Released


class ClientConnector:
    """Lets go of each order. Nothing leaves the house here: the door that asked hands the call to its client."""

    async def dispatch(self, order: Dispatch, /) -> NoReturn:
        """Release the order; its receipt says INDETERMINATE, because nobody of ours executes or sees it."""
        raise Released

    async def aclose(self) -> None:
        """Nothing is held."""
