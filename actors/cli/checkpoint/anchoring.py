"""helm checkpoint anchor, anchors: a checkpoint's hash and note where nobody of ours can rewrite them.

Targets are tried in their order, and the first that takes the anchor ends it. Each try is written down in the data
directory. It is a command of its own: no kernel waits for a target, and no call for an anchor.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final

import attrs
import click
import trio

from actors.cli import show
from actors.cli.checkpoint.source import Told, find, on_directory
from actors.cli.failure import REFUSED, Failed
from actors.cli.place import data_dir_option, open_place
from actors.connectors.anchor_file import NotAppended, append
from actors.connectors.anchor_log import AnchorFailed, AnchorLog
from actors.installation import Installation
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid
from helm.evidence.anchor_port import FileTarget, LogTarget, Target, Try, anchored, statement, targets_in
from helm.evidence.lines import read_lines
from helm.wire import structure

TRIES: Final = "anchors.jsonl"
"""The file in the data directory in which every try is written down."""

MAX_TRIES_BYTES: Final = 64 * 1024**2
"""Largest file of tries that is read (T4)."""


@click.command()
@click.argument("name", default="latest")
@click.option("--again", is_flag=True, help="Also where it is anchored already.")
@data_dir_option
@show.json_option
def anchor(name: str, again: bool, data_dir: Path, as_json: bool) -> int:
    """Anchor the checkpoint NAME, an id, a number or `latest`, at the targets of `anchor_targets`.

    They are tried in their order until one takes it. Exit 1 where none did; calls go on all the same.
    """
    place = open_place(data_dir)
    targets = targets_of(place)
    if not targets:
        raise Failed(
            "no target is configured", 'set anchor_targets in helm.toml: "file:PATH https://HOST/PATH"', "USAGE"
        )
    found = find(place, "", name)
    before = anchored(tries_in(place.path)).get(found["checkpoint_hash"])
    made = [] if before is not None and not again else trio.run(fail_over, place, targets, found)
    taken = next((one for one in made if one.ok), None if made else before)
    if as_json:
        show.as_object({"anchored": taken is not None, "tries": [attrs.asdict(one) for one in made], **named(found)})
    else:
        for one in made:
            click.echo(f"{show.state('ok' if one.ok else 'fail')}  {one.target}  {show.plain(one.detail)}")
        number = found["checkpoint"]["sequence"]
        where = f"anchored at {taken.target}" if taken is not None else "not anchored anywhere"
        click.echo(f"checkpoint {number} is {where}")
    return 0 if taken is not None else REFUSED


@click.command()
@data_dir_option
@show.json_option
def anchors(data_dir: Path, as_json: bool) -> int:
    """List every try to anchor a checkpoint. Exit 1 where the latest checkpoint is anchored nowhere."""
    place = open_place(data_dir)
    made = tries_in(place.path)
    waiting = unanchored(place)
    if as_json:
        show.as_object({"tries": [attrs.asdict(one) for one in made], "unanchored": waiting})
    else:
        rows = [(str(one.sequence), show.state("ok" if one.ok else "fail"), one.target, one.detail) for one in made]
        show.table(("checkpoint", "try", "target", "what came of it"), [tuple(map(show.plain, row)) for row in rows])
        if waiting:
            click.echo(f"anchored nowhere: {', '.join(map(str, waiting))}")
    return REFUSED if is_latest_open(place, waiting) else 0


def targets_of(place: Installation) -> tuple[Target, ...]:
    """Return where a data directory's checkpoints are anchored. Raises Invalid."""
    return targets_in(place.config.anchor_targets, allow_plain=place.config.anchor_allow_private)


def named(found: Told) -> dict[str, Any]:
    """Return which checkpoint it is about."""
    return {"checkpoint_hash": found["checkpoint_hash"], "sequence": found["checkpoint"]["sequence"]}


async def fail_over(place: Installation, targets: tuple[Target, ...], found: Told) -> list[Try]:
    """Try one target after another until one takes the anchor; write each try down, and return them all."""
    made: list[Try] = []
    for target in targets:
        one = await attempt(place, target, found)
        made.append(one)
        try:
            append(place.path / TRIES, one.line())
        except NotAppended as problem:
            raise Failed(f"the try cannot be written down: {problem}", f"look at {place.path / TRIES}") from problem
        if one.ok:
            break
    return made


async def attempt(place: Installation, target: Target, found: Told) -> Try:
    """Return what came of one try. Whatever a target does, it is an answer."""
    answer, detail, ok = b"", "", False
    with trio.move_on_after(place.config.anchor_timeout_s) as scope:
        try:
            answer = await hand_over(place, target, statement(found))
            ok, detail = True, "taken"
        except (AnchorFailed, NotAppended) as problem:
            detail = str(problem)
    if scope.cancelled_caught:
        detail = f"no answer within {place.config.anchor_timeout_s:g} s"
    at_ms = SystemClock().now_ms()
    return Try(
        answer=base64.b64encode(answer).decode(), at_ms=at_ms, detail=detail, ok=ok, target=str(target), **named(found)
    )


async def hand_over(place: Installation, target: Target, line: bytes) -> bytes:
    """Give a statement to a target; return what it answered. Raises AnchorFailed, NotAppended."""
    match target:
        case FileTarget():
            await trio.to_thread.run_sync(append, place.path / target.path, line, abandon_on_cancel=True)
            return b""
        case LogTarget():
            log = AnchorLog(target, allow_private=place.config.anchor_allow_private)
            try:
                return await log.post(line)
            finally:
                with trio.move_on_after(1, shield=True):
                    await log.aclose()


def tries_in(folder: Path) -> list[Try]:
    """Return every try that was written down. Raises Invalid."""
    path = folder / TRIES
    if not path.exists():
        return []
    raw = path.read_bytes()
    if len(raw) > MAX_TRIES_BYTES:
        raise Invalid(f"more than {MAX_TRIES_BYTES} bytes", str(path), "put it away, and begin a new one")
    return [structure(body, Try, where) for body, where in read_lines(raw, TRIES)]


def unanchored(place: Installation) -> list[int]:
    """Return the numbers of the checkpoints that are anchored nowhere."""
    done = anchored(tries_in(place.path))
    return [one["checkpoint"]["sequence"] for one in on_directory(place) if one["checkpoint_hash"] not in done]


def is_latest_open(place: Installation, waiting: list[int]) -> bool:
    """Tell whether the latest checkpoint is among those that are anchored nowhere."""
    listed = on_directory(place) if waiting else []
    return bool(listed) and listed[-1]["checkpoint"]["sequence"] in waiting
