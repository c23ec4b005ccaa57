"""What a service manager is told, over its real socket."""

from __future__ import annotations

import os
import socket
from itertools import count
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.process.service_manager import ServiceManager
from tests.actors.manager import listening, manager_at, told


def test_each_word_is_one_datagram() -> None:
    with manager_at() as (manager, heard):
        manager.ready("deciding")
        manager.reloading()
        manager.status("two\nlines and READY=1")
        manager.stopping()
        ready, reloading, status, stopping = heard()
    assert ready == "READY=1\nSTATUS=deciding"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert status == "STATUS=two lines and READY=1"
    assert stopping == "STOPPING=1"


def test_an_abstract_address_is_found_too() -> None:
    name = f"helm-test-{os.getpid()}-{next(NUMBERS)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{name}")
        ServiceManager.of({"NOTIFY_SOCKET": f"@{name}"}, 1).stopping()
        assert told(line) == ["STOPPING=1"]


NUMBERS = count()


@pytest.mark.parametrize(
    ("environment", "watch_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "\u00b2"}, 0.0),
        ({"WATCHDOG_USEC": "9" * 5000}, 0.0),
        ({"WATCHDOG_USEC": "1"}, 0.1),
        ({"WATCHDOG_USEC": "0"}, 0.0),
        ({}, 0.0),
    ],
    ids=[
        "watched",
        "by our number",
        "another process",
        "not a number",
        "a digit that is no number",
        "more than a lifetime",
        "so often that nothing else is done",
        "never",
        "not watched",
    ],
)
def test_a_watch_is_kept_where_it_is_over_us(environment: dict[str, str], watch_s: float) -> None:
    assert ServiceManager.of({"NOTIFY_SOCKET": "/run/x", **environment}, 7).watch_s == watch_s


def test_an_instance_of_a_unit_has_its_name_in_the_path(tmp_path: Path) -> None:
    """A path with an @ in it, as of helm@2.service, is a path: whoever waits there would wait for ever."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "helm@2"))
        ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "helm@2")}, 1).stopping()
        assert told(line) == ["STOPPING=1"]


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1"])
def test_an_address_that_is_none_is_told_nothing(address: str) -> None:
    assert ServiceManager.of({"NOTIFY_SOCKET": address}, 1).address == ""


def test_nobody_waits_for_a_manager_that_is_gone() -> None:
    with listening() as (_, path):
        pass
    manager = ServiceManager(address=path)
    manager.ready("deciding")
    manager.status("still")


async def test_a_beat_comes_often_enough_while_the_loop_turns(autojump_clock: trio.testing.MockClock) -> None:
    with manager_at(watch_s=30.0) as (manager, heard):
        with trio.move_on_after(61):
            await manager.beat()
        assert heard() == ["WATCHDOG=1"] * 7


async def test_where_nobody_watches_no_beat_is_sent() -> None:
    with manager_at() as (manager, heard):
        await manager.beat()
        assert heard() == []
