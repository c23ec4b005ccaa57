"""What an engine made is compared with what was asked for, before it is started (T10)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.guardian.bundle import load_toml
from helm.guardian.connection import LaunchConnection, Tier
from helm.launch.substrate import create_words, shortfalls
from helm.launch.tiers import Found
from tests.gates.source import ROOT
from tests.helm.launch.answers import container

PAGE = ROOT / "docs" / "launch.md"
DIGEST = "sha256:" + "d" * 64
BUNDLE = f"""
version = "helm.policy/1"
scope = "test"
epoch = 1

[connectors.agent]
kind = "launch"
tier = "gvisor"
image = "ghcr.io/acme/agent@{DIGEST}"
command = ["serve", "--quiet"]
environment = {{ HTTPS_PROXY = "http://proxy:8421" }}

[tools.launch]
connector = "agent"
operation = "run"
effect_type = "execute"
risk_tier = "T2"
principals = ["*"]
timeout_ms = 60000
input = '''{{
  "type": "object", "properties": {{"name": {{"type": "string"}}}}, "required": ["name"], "additionalProperties": false
}}'''
output = '{{}}'
"""

GVISOR = Found(tier=Tier.GVISOR, evidence="the runtime runsc", runtime="runsc")


def loaded(old: str = "", new: str = "") -> LaunchConnection:
    """Return the agent of the bundle with something else in it."""
    assert old in BUNDLE
    connection = load_toml(BUNDLE.replace(old, new, 1) if old else BUNDLE, "test").connectors["agent"]
    assert isinstance(connection, LaunchConnection)
    return connection


def test_the_page_shows_a_policy_that_compiles() -> None:
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    policy = load_toml(BUNDLE[: BUNDLE.index("[connectors.agent]")] + shown, "page")
    assert policy.connectors["agent"].kind == "launch"
    assert policy.rule("launch").sandbox_grant_hash


def test_a_spec_is_asked_for_word_by_word() -> None:
    words = create_words(loaded().grant, GVISOR, "helm-a", {"helm.spec": "x"})
    asked = " ".join(words)
    assert words[0] == "create"
    for part in (
        "--pull never",
        "--runtime runsc",
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--pids-limit 256",
        "--memory 536870912",
        "--cpus 1",
        "--user 65534:65534",
        "--env HTTPS_PROXY=http://proxy:8421",
    ):
        assert part in asked
    assert words[-3:] == [f"ghcr.io/acme/agent@{DIGEST}", "serve", "--quiet"]


def test_a_container_that_is_what_was_asked_for_lacks_nothing() -> None:
    agent = loaded()
    assert shortfalls(container(agent.grant, agent.grant_hash, runtime="runsc"), agent.grant, GVISOR) == ()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("Runtime", "runc"),
        ("Runtime", None),
        ("Privileged", True),
        ("Privileged", None),
        ("ReadonlyRootfs", False),
        ("NetworkMode", "host"),
        ("NetworkMode", "bridge"),
        ("PidsLimit", 0),
        ("PidsLimit", None),
        ("Memory", 0),
        ("NanoCpus", 0),
        ("Binds", ["/:/host"]),
        ("CapAdd", ["SYS_ADMIN"]),
        ("CapDrop", None),
        ("CapDrop", ["NET_RAW"]),
        ("Devices", [{"PathOnHost": "/dev/kvm"}]),
        ("PidMode", "host"),
        ("IpcMode", "host"),
        ("UsernsMode", "host"),
        ("UTSMode", "host"),
        ("SecurityOpt", None),
        ("SecurityOpt", ["seccomp=unconfined"]),
        ("VolumesFrom", ["other"]),
    ],
)
def test_a_container_that_is_less_than_its_spec_is_seen(member: str, value: Any) -> None:
    agent = loaded()
    made = container(agent.grant, agent.grant_hash, **{"Runtime": "runsc", member: value})
    assert len(shortfalls(made, agent.grant, GVISOR)) == 1


@pytest.mark.parametrize("made", [None, [], {}, {"HostConfig": None}, "container"])
def test_a_container_of_which_nothing_is_said_lacks_everything(made: Any) -> None:
    assert shortfalls(made, loaded().grant, GVISOR)


def test_another_image_or_user_is_seen() -> None:
    agent = loaded()
    made = container(agent.grant, agent.grant_hash, runtime="runsc")
    made["Config"] |= {"Image": "ghcr.io/acme/agent:latest", "User": "0:0"}
    assert len(shortfalls(made, agent.grant, GVISOR)) == 2


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('tier = "gvisor"', 'tier = "hardened"', "none of the words"),
        ('tier = "gvisor"\n', "", "tier"),
        (f"@{DIGEST}", ":latest", "not what it must be"),
        (f"ghcr.io/acme/agent@{DIGEST}", f"--privileged@{DIGEST}", "not what it must be"),
        ('tier = "gvisor"', 'tier = "gvisor"\nnetwork = "host"', "leads everywhere"),
        ('tier = "gvisor"', 'tier = "gvisor"\nnetwork = "bridge"', "leads everywhere"),
        ('tier = "gvisor"', 'tier = "gvisor"\nnetwork = "container:other"', "not what it must be"),
        ('tier = "gvisor"', 'tier = "gvisor"\nuser = "0:0"', "not what it must be"),
        ('tier = "gvisor"', 'tier = "gvisor"\nuser = "root"', "not what it must be"),
        ('tier = "gvisor"', 'tier = "gvisor"\ndedicated = true', "does not match"),
        ('tier = "gvisor"', 'tier = "dedicated-vm"', "does not match"),
        ('tier = "gvisor"', 'tier = "gvisor"\nprivileged = true', "unknown key"),
        ('operation = "run"', 'operation = "exec"', "has no operation exec"),
        ('"serve"', '""', "not a word"),
    ],
)
def test_a_spec_that_says_too_little_or_too_much_is_refused(old: str, new: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        loaded(old, new)
