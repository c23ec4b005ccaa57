"""What holds for every test: no luck, no network."""

import os
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final

import pytest
from hypothesis import settings

from tests import browser
from tests.counterparts import opa, podman, postgres, programs, pythons, release, softhsm, systemd
from tests.warm import python as warm

# A shared machine is slow at odd moments, and a test that failed once must fail again.
settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")

WATCHED: Final = frozenset({"socket.connect", "socket.sendto"})


def _stay_on_this_machine(event: str, args: tuple[Any, ...]) -> None:
    """Refuse a connection to anything but loopback or a local socket, whoever opens it in this process."""
    if event not in WATCHED or not isinstance(args[1], tuple):
        return
    host = args[1][0]
    if not _is_home(host):
        raise RuntimeError(f"a test tried to reach {host}: simulate the production port instead")


def _is_home(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


sys.addaudithook(_stay_on_this_machine)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one worker more than there are cores, because many tests wait; none where tests were picked by hand."""
    picked = config.invocation_params.args and config.args != config.getini("testpaths")
    return 0 if picked else (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Start what slow programs are forked from, once for all workers."""
    if warm.PLACE not in os.environ:
        config.add_cleanup(warm.Host.start().end)


WALKERS: Final = ("tests/helm/", "tests/actors/test_")
"""Whose steps through the trusted base are counted: the tests of its rooms, and of the offices that stand on them. A
journey walks through everything on its way and looks at little of it; counting that says nothing, and takes as much
time as the journey."""

COUNTING: Final = pytest.StashKey[bool]()

BEGAN: Final = pytest.StashKey[float]()

LONG_S: Final = 3.0
"""Processor time from which on a test is slow: on a shared machine a clock on the wall tells of the others."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Count steps, where they are counted at all, in the tests of the walkers alone."""
    plugin: Any = item.config.pluginmanager.getplugin("_cov")
    if plugin is None or plugin.cov_controller is None:
        return
    wanted = item.nodeid.startswith(WALKERS)
    if wanted != item.config.stash.get(COUNTING, True):
        (plugin.cov_controller.cov.start if wanted else plugin.cov_controller.cov.stop)()
        item.config.stash[COUNTING] = wanted


def processor_s() -> float:
    """Return the processor time of this process, and of those that it started and saw end."""
    return sum(os.times()[:4])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note when a test began."""
    item.stash[BEGAN] = processor_s()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Tell what a test took, where that is long and nobody marked it."""
    took_s = processor_s() - item.stash[BEGAN]
    if took_s > LONG_S and item.get_closest_marker("slow") is None:
        item.user_properties.append(("processor_s", took_s))


def tell_long(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that keep everybody waiting: marked `slow`, they wait for `just check`."""
    for outcome in ("passed", "failed", ""):
        for report in terminalreporter.stats.get(outcome, ()):
            for took_s in (took_s for name, took_s in report.user_properties if name == "processor_s"):
                terminalreporter.write_line(f"{report.nodeid}: {took_s:.1f} s, and not marked slow", yellow=True)


def undeployed() -> Iterator[str]:
    """Yield what was not done of shipping."""
    if not release.can_build():
        yield release.HOW
    if systemd.ANALYZE is None:
        yield systemd.HOW_TO_ANALYZE
    if not systemd.is_there():
        yield systemd.HOW


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud what took long, and that programs of other makes were not there to be talked to."""
    tell_long(terminalreporter)
    if not os.environ.get(programs.NAME):
        terminalreporter.write_line(programs.HOW, yellow=True)
    if softhsm.module() is None:
        terminalreporter.write_line(softhsm.HOW, yellow=True)
    if browser.program() is None:
        terminalreporter.write_line(browser.HOW, yellow=True)
    if opa.program() is None:
        terminalreporter.write_line(opa.HOW, yellow=True)
    if not postgres.is_here():
        terminalreporter.write_line(postgres.HOW, yellow=True)
    if not pythons.is_there_another():
        terminalreporter.write_line(pythons.HOW, yellow=True)
    if not podman.is_there():
        terminalreporter.write_line(podman.HOW, yellow=True)
    for line in undeployed():
        terminalreporter.write_line(line, yellow=True)
