"""The page about the supply chain says what really happens: every command of it is run here."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from helm.contracts.errors import Invalid
from helm.crypto.dsse import written_envelope
from helm.guardian.bundle import load_toml
from helm.guardian.connection import WasmConnection
from helm.supply import rekor, slsa, tuf
from helm.supply.findings import promise_of
from helm.supply.provenance_policy import read_policy
from tests.actors.cli.shell import helm
from tests.actors.policies import POLICY
from tests.gates.source import ROOT
from tests.helm.supply import builds, logs
from tests.helm.supply.keys import ed25519
from tests.helm.supply.repositories import CONTENT, Repository

PAGE: Final = (ROOT / "docs" / "supply-chain.md").read_text(encoding="utf-8")
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOML: Final = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT: Final = re.compile(r"\s+# exit (\d)$")


def commands() -> list[tuple[str, int]]:
    """Return every command of the page with the exit code that it promises."""
    found = []
    for line in "".join(BLOCK.findall(PAGE)).splitlines():
        said = EXIT.search(line)
        found.append((EXIT.sub("", line), int(said[1]) if said else 0))
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with every file that the page names, as the place where commands are typed."""
    log, signed = logs.Log(ed25519(1)), logs.envelope(b"{}")
    entry, logged = log.answer(logs.hashedrekord()), log.answer(logs.dsse(signed))
    texts = {
        "bundle.json": json.dumps(logs.bundle(logged, signed)),
        "dsse-entry.json": json.dumps(logged),
        "empty.toml": 'version = "helm.provenance-policy/1"\n',
        "entry.json": json.dumps(entry),
        "envelope.json": written_envelope(signed).decode(),
        "log.pub": log.key.pem,
        "policy.toml": builds.POLICY,
        "provenance.json": builds.signed(builds.statement()).decode(),
        "signer.pub": logs.SIGNER.pem,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name, raw in {"tool": logs.ARTIFACT, "tool.wasm": builds.ARTIFACT, "other.wasm": b"x"}.items():
        (tmp_path / name).write_bytes(raw)
    _repositories(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _repositories(place: Path) -> None:
    whole = Repository().publish()
    for name, files in (("older", dict(whole.files)), ("repository", whole.advance().files)):
        (place / name / "metadata").mkdir(parents=True)
        for file, raw in files.items():
            (place / name / "metadata" / file).write_bytes(raw)
    (place / "root.json").write_bytes(whole.files["1.root.json"])
    (place / "copy.wasm").write_bytes(CONTENT)
    targets = place / "repository" / "targets" / "team"
    targets.mkdir(parents=True)
    (targets / f"{hashlib.sha256(CONTENT).hexdigest()}.tool.wasm").write_bytes(CONTENT)


def test_every_command_of_the_page_ends_as_the_page_says(place: Path) -> None:
    for line, code in commands():
        program, *words = shlex.split(line)
        assert program == "helm"
        ended = helm(*words)
        assert ended.code == code, (line, ended.out, ended.err)


def test_the_page_promises_something() -> None:
    assert len(commands()) > 15
    assert {code for _, code in commands()} == {0, 1, 2}


@pytest.mark.parametrize("checks", [slsa.CHECKS, rekor.CHECKS, tuf.CHECKS], ids=["slsa", "rekor", "tuf"])
def test_the_page_names_every_check_in_its_order(checks: tuple[tuple[str, object], ...]) -> None:
    promises = [(name, promise_of(check)) for name, check in checks]  # type: ignore[arg-type]
    rows = [
        f"| {number} | `{name}` | {promise[0].lower()}{promise[1:]} |\n"
        for number, (name, promise) in enumerate(promises, 1)
    ]
    assert "".join(rows) in PAGE


def test_the_page_names_no_other_check() -> None:
    every = [*slsa.CHECKS, *rekor.CHECKS, *tuf.CHECKS]
    assert len(re.findall(r"^\| \d+ \| `", PAGE, re.MULTILINE)) == len(every)


def test_the_demand_of_the_page_is_read() -> None:
    _, written = TOML.findall(PAGE)
    policy = load_toml(f"{POLICY}\n{written}".replace("sha256:...", "sha256:" + "0" * 64), "docs/supply-chain.md")
    connection = policy.connectors["sums"]
    assert isinstance(connection, WasmConnection)
    assert connection.provenance is not None


def test_the_policy_of_the_page_is_one() -> None:
    policy, _ = TOML.findall(PAGE)
    with pytest.raises(Invalid, match="public key"):  # the key is left for its reader to fill in
        read_policy(policy.encode())
    key = ed25519(1).public.raw.hex()
    assert read_policy(re.sub(r'keys = \[".*"\]', f'keys = ["{key}"]', policy).encode()).sources
