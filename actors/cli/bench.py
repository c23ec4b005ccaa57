"""helm bench: the figures of this machine, as ratios against bare baselines of the same run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

import actors
from actors.cli import show
from actors.cli.failure import Failed

CHECKOUT = Path(actors.__file__).parent.parent
"""Where the source tree lies when HELM was installed from one with `pip install -e .`"""


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@show.json_option
def bench(arguments: tuple[str, ...], as_json: bool) -> int:
    """Measure HELM on this machine. Exit 1 where a target is missed.

    The benchmarks stand in the source tree, not in the installed package; ARGUMENTS go to them.
    """
    if not (CHECKOUT / "bench" / "__main__.py").exists():
        hint = "in a checkout of the source: pip install -e '.[test]' && helm bench"
        raise Failed("the benchmarks are not part of the installed package", hint, "NO_BENCH")
    line = [sys.executable, "-m", "bench", *arguments, *(["--json"] if as_json else [])]
    return subprocess.run(line, cwd=CHECKOUT, check=False).returncode  # noqa: S603 - our own module
