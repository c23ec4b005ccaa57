"""What to type where a kernel holds the journal that a command would write: the same words, sent to that kernel."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from actors.cli.failure import Failed
from helm.contracts.errors import Invalid


@contextmanager
def told_to_ask(ctx: click.Context) -> Iterator[None]:
    """Run a command that was given no --server. Raises Failed with the whole line to type where it needs one."""
    try:
        yield
    except Invalid as held:
        from actors.stores.port import JournalHeld

        data_dir = ctx.params.get("data_dir")
        if not isinstance(held, JournalHeld) or data_dir is None:
            raise
        from actors.cli.ready import own_url

        line = line_with("--server", own_url(data_dir))
        hint = (
            f"nothing was done: {held.holder}. "
            f"Ask the gateway that helm.toml describes, with your key in HELM_ADMIN_KEY: {line}"
        )
        raise Failed(f"{held.where}: {held.what}", hint, "INVALID") from held


def line_with(*option: str) -> str:
    """Return what was typed, with one option more."""
    typed = sys.argv[1:]
    end = typed.index("--") if "--" in typed else len(typed)
    return shlex.join(["helm", *typed[:end], *option, *typed[end:]])
