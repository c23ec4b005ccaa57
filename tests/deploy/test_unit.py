"""The systemd unit: judged by systemd-analyze, and started by a real systemd where one can be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from helm.config import Config
from tests.counterparts import systemd
from tests.counterparts.systemd import Machine
from tests.gates.source import ROOT

UNIT: Final = ROOT / "docs" / "deploy" / "helm.service"
EXPOSED: Final = UNIT.parent / "helm.service.d" / "exposed.conf"

MOST_EXPOSURE: Final = 14
"""In tenths, as systemd-analyze takes it: 96 for a unit that confines nothing, below 50 it says OK."""

PLACES: Final = 4
"""How many times over grace_s may pass: answers, effects, last words, stores."""

analyzed = pytest.mark.skipif(systemd.ANALYZE is None, reason=systemd.HOW_TO_ANALYZE)


def settings(text: str) -> list[tuple[str, str]]:
    """Return what a unit sets, in order."""
    found = (re.fullmatch(r"([A-Za-z]+)=(.*)", line) for line in text.splitlines())
    return [(one[1], one[2]) for one in found if one is not None]


@analyzed
def test_systemd_finds_nothing_wrong_with_the_unit_and_its_drop_in(tmp_path: Path) -> None:
    assert systemd.verify(UNIT, tmp_path) == ""


@analyzed
@pytest.mark.parametrize(
    ("poison", "said"),
    [
        ("NoSuchSetting=yes", "NoSuchSetting"),
        ("SystemCallFilter=@no-such-group", "@no-such-group"),
        ("ProtectSystem=perhaps", "perhaps"),
    ],
)
def test_what_is_wrong_with_a_unit_is_seen(tmp_path: Path, poison: str, said: str) -> None:
    unit = tmp_path / "from" / UNIT.name
    unit.parent.mkdir()
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("[Service]", f"[Service]\n{poison}"), encoding="utf-8")
    assert said in systemd.verify(unit, tmp_path)


def exposure(unit: Path) -> bool:
    """Tell whether a unit is confined as far as ours is to be."""
    line = [str(systemd.ANALYZE), "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", "--no-pager"]
    return subprocess.run([*line, str(unit)], capture_output=True, check=False).returncode == 0


@analyzed
def test_the_unit_confines_what_it_starts(tmp_path: Path) -> None:
    assert exposure(UNIT)
    for line in ("CapabilityBoundingSet=", "RestrictNamespaces=yes", "PrivateDevices=yes"):
        weaker = tmp_path / "helm.service"
        weaker.write_text(UNIT.read_text(encoding="utf-8").replace(f"{line}\n", "", 1), encoding="utf-8")
        assert not exposure(weaker), line


def test_the_unit_waits_as_long_as_the_end_may_take() -> None:
    found = dict(settings(UNIT.read_text(encoding="utf-8")))
    assert int(found["TimeoutStopSec"]) > PLACES * Config().grace_s
    assert (found["Type"], found["NotifyAccess"], found["ExecReload"]) == (
        "notify",
        "main",
        "/opt/helm/bin/helm reload",
    )


def test_no_secret_stands_in_a_unit() -> None:
    for path in (UNIT, EXPOSED):
        given = [value for name, value in settings(path.read_text(encoding="utf-8")) if name == "Environment"]
        assert not [one for one in given if re.search(r"API_KEY|PIN=|DATABASE_URL|PASSWORD", one)]
    exposed = settings(EXPOSED.read_text(encoding="utf-8"))
    assert ("LoadCredential", "HELM_ADMIN_API_KEY:/etc/helm/admin.key") in exposed


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which HELM is installed and initialized, with the unit and its drop-in."""
    folder = tmp_path_factory.mktemp("machine")
    placed = systemd.helm_of(folder / "opt")
    (folder / "podman").mkdir()
    with systemd.machine(folder / "podman", placed) as one:
        one.ask("cp", f"/opt/src/{UNIT.relative_to(ROOT)}", "/etc/systemd/system/")
        one.ask("systemctl", "daemon-reload")
        own = ("DynamicUser=yes", "User=helm", "StateDirectory=helm", "StateDirectoryMode=0700", "UMask=0077")
        words = [f"--property={one}" for one in own]
        program = ("/opt/helm/bin/helm", "init", "/var/lib/helm/data")
        one.ask("systemd-run", "--quiet", "--wait", "--pipe", *words, *program)
        yield one


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not systemd.is_there(), reason=systemd.HOW)
class TestARealSystemd:
    """The unit as it stands, on systemd as the first process."""

    def test_it_starts_confined_reloads_and_ends_well(self, machine: Machine) -> None:
        machine.ask("systemctl", "start", "helm")
        assert machine.shown("helm", "StatusText") == "deciding at http://127.0.0.1:8420"
        status = machine.ask("cat", f"/proc/{machine.shown('helm', 'MainPID')}/status")
        said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert said["Uid"].split()[0] != "0"
        assert (said["CapEff"], said["CapBnd"]) == ("0" * 16, "0" * 16)
        assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")
        machine.ask("systemctl", "reload", "helm")
        assert machine.shown("helm", "StatusText") == "policy epoch 1 is in force"
        machine.ask("sed", "-i", "s/^epoch = 1/epoch = 2/", "/var/lib/private/helm/data/policy.toml")
        assert machine.run("systemctl", "reload", "helm").returncode != 0
        assert machine.shown("helm", "ActiveState") == "active"
        machine.ask("systemctl", "stop", "helm")
        assert (machine.shown("helm", "Result"), machine.shown("helm", "ExecMainStatus")) == ("success", "0")
        machine.ask("sed", "-i", "s/^epoch = 2/epoch = 1/", "/var/lib/private/helm/data/policy.toml")
        journal = machine.ask("journalctl", "--unit", "helm", "--output", "cat")
        assert "nothing is in flight any more" in journal

    def test_exposed_it_has_its_secrets_from_credentials(self, machine: Machine) -> None:
        machine.ask("mkdir", "-p", "/etc/systemd/system/helm.service.d", "/etc/helm")
        machine.ask("cp", f"/opt/src/{EXPOSED.relative_to(ROOT)}", "/etc/systemd/system/helm.service.d/")
        subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
        made = ("-newkey", "rsa:2048", "-nodes", "-keyout", "/etc/helm/tls.key", "-out", "/etc/helm/tls.crt")
        machine.ask("openssl", "req", "-x509", *made, *subject)
        machine.ask(
            "sh", "-c", "umask 077; head -c 32 /dev/urandom | base64 > /etc/helm/admin.key; chmod 600 /etc/helm/*"
        )
        machine.ask("systemctl", "daemon-reload")
        machine.ask("systemctl", "start", "helm")
        assert machine.shown("helm", "StatusText") == "deciding at https://0.0.0.0:8420"
        environment = machine.ask("cat", f"/proc/{machine.shown('helm', 'MainPID')}/environ")
        assert machine.ask("cat", "/etc/helm/admin.key") not in environment
        ask = "SSL_CERT_FILE=/etc/helm/tls.crt /opt/helm/bin/helm ready --server https://127.0.0.1:8420"
        machine.ask("sh", "-c", ask)
        machine.ask("sh", "-c", f"HELM_API_KEY=$(cat /etc/helm/admin.key) {ask.replace(' ready ', ' budget list ')}")
        machine.ask("systemctl", "stop", "helm")
