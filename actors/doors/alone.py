"""One client's connection ends alone: whatever goes wrong in it is logged and counted, and ends nothing but it.

What it asked for is not undone by that: its calls are cases on the belt, and leave their receipts. What is wrong with
the kernel itself says so (`Broken`, or an office that raises), and ends the kernel as before.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from actors.meter import Meter
from helm.contracts.errors import Broken

LOG: Final = logging.getLogger("helm.doors")


async def alone(serve: Callable[[], Awaitable[None]], broken_by: tuple[type[Exception], ...], meter: Meter) -> None:
    """Serve one client. `broken_by` is how a connection breaks by its client, or by the network: that is no news.

    Raises Broken, and whatever is no Exception, such as a cancellation.
    """
    try:
        await serve()
    except* Broken:
        raise
    except* broken_by:
        pass
    except* Exception as failures:
        meter.failed_connections += 1
        LOG.error("a client's connection failed, and ended alone", exc_info=failures)


def known(still: Callable[[], bool], meter: Meter) -> bool:
    """Tell whether a client is known still; whoever cannot be looked up any more is known no more."""
    try:
        return still()
    except Exception as failure:
        meter.failed_connections += 1
        LOG.error("a client's credential could not be looked at again", exc_info=failure)
        return False
