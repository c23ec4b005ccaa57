"""Keeps the file of the proxy's receipts level with the journal for as long as the kernel runs."""

from __future__ import annotations

import logging
from typing import NoReturn

from actors.doors.openai.proxy import Proxy
from actors.evidence.receipt_file import ReceiptFile
from actors.kernel import Kernel
from helm.openai.request import DOOR

LOG = logging.getLogger("helm.doors")


async def copy_receipts(kernel: Kernel, proxy: Proxy) -> None:
    """Compare the file with the journal, then copy on in the kernel's nursery. Raises Invalid for a changed file."""
    if proxy.receipts is None:
        return
    file = await ReceiptFile.open(proxy.receipts, DOOR, kernel.parts.journal)
    if file.completed:
        torn = ", the first of them begun" if file.torn else ""
        LOG.warning("%s lacked %d receipts of the journal%s: they are there now", file.path, file.completed, torn)
    kernel.nursery.start_soon(follow, kernel, file)


async def follow(kernel: Kernel, file: ReceiptFile) -> NoReturn:
    """Copy until the kernel ends; a file that cannot be written ends it, because receipts must be kept."""
    try:
        await file.follow()
    except Exception as failure:
        kernel.fail(failure)
        raise
    finally:
        file.close()
