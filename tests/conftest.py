"""What holds for every test: no luck, no network."""

import os
import sys
from ipaddress import ip_address
from typing import Any, Final

import pytest
from hypothesis import settings

from tests import browser
from tests.counterparts import opa, podman, postgres, programs, softhsm
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud that programs of other makes were not there to be talked to."""
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
    if not podman.is_there():
        terminalreporter.write_line(podman.HOW, yellow=True)
