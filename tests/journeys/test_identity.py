"""A gateway for workloads: certificates are required, tokens turn their keys, and an auditor reads whose they were."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import attrs
import pytest

from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import Ended, helm
from tests.actors.doors.issuing import (
    AUDIENCE,
    DOMAIN,
    ISSUER,
    WORKLOAD,
    Pair,
    authority,
    bundle,
    certified,
    client_tls,
    key,
    public,
    root_entry,
    token,
)
from tests.warm.python import python

__all__ = ["made"]


@attrs.define
class Served:
    """A running gateway that asks for certificates."""

    made: Made
    out: IO[str]
    process: subprocess.Popen[str]
    server: Pair
    files: Path
    url: str = ""

    def wait_for(self, words: str) -> str:
        for line in self.out:
            event: str = json.loads(line)["event"]
            if words in event:
                return event
        raise AssertionError(f"it ended without saying {words!r}")

    def call(self, workload: Pair | None, bearer: str = "", path: str = "public/readme.txt") -> Any:
        """Read a file as who shows this certificate, and this token."""
        context = client_tls(self.server, None if workload is None else workload.files(self.files))
        parts = urlsplit(self.url)
        connection = HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=20)
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {bearer}"} if bearer else {})
        try:
            body = json.dumps({"tool": "files.read", "arguments": {"path": path}})
            connection.request("POST", "/v1/tools/execute", body, headers)
            with connection.getresponse() as response:
                return response.status, json.loads(response.read())
        finally:
            connection.close()

    def helm(self, *words: str, certificate: Pair) -> Ended:
        """Have an operator run a command against the gateway, who shows a certificate and holds an admin key."""
        cert, private = certificate.files(self.files)
        trusted, _ = self.server.files(self.files)
        environment = {"HELM_API_KEY": self.made.admin_key, "HELM_CLIENT_CERT": cert, "HELM_CLIENT_KEY": private}
        return helm(*words, "--server", self.url, *self.made.option, **environment, SSL_CERT_FILE=trusted)


@contextmanager
def served(made: Made, files: Path) -> Iterator[Served]:
    server = certified()
    cert, private = server.files(files)
    settings = made.path / "helm.toml"
    tls = f'tls_cert = "{cert}"\ntls_key = "{private}"\nclient_certificates = "required"\n'
    settings.write_text(settings.read_text() + tls)
    line = [*python(), "-m", "actors.cli.main", "serve", "--port", "0", "--json", *made.option]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            gateway = Served(made, process.stdout, process, server, files)
            gateway.url = gateway.wait_for("deciding at").rpartition(" ")[2]
            yield gateway
        finally:
            process.terminate()
            process.wait(timeout=20)


def write_policy(made: Made, base: str, epoch: int, *names: str) -> None:
    """Sign the policy that pins these keys of the corp's issuer."""
    tables = f"""
[identity.oidc.corp]
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
algorithms = ["Ed25519"]
jwks = '{json.dumps({"keys": public(*(key(name) for name in names))})}'

[identity.spiffe."{DOMAIN}"]
bundle = '{bundle(root_entry(authority()))}'
"""
    file = made.path / "policy.toml"
    file.write_text(base.replace("epoch = 1", f"epoch = {epoch}") + tables)
    signed = helm("policy", "sign", str(file), *made.option)
    assert signed.code == 0, signed.err


def issued(name: str) -> str:
    now = int(time.time())
    return token({"iat": now, "exp": now + 600, "aud": AUDIENCE}, signer=key(name), kid=name)


def test_workloads_come_with_what_others_vouch_for_and_the_evidence_says_who(made: Made, tmp_path: Path) -> None:
    base = (made.path / "policy.toml").read_text()
    write_policy(made, base, 2, "one")
    writer, operator = certified(WORKLOAD, by=authority()), certified(f"spiffe://{DOMAIN}/ops", by=authority())
    stranger = certified(WORKLOAD)
    files = tmp_path / "files"
    files.mkdir()
    with served(made, files) as gateway:
        # 1. Nobody gets as far as a request without a certificate that a pinned root proves.
        for nobody in (None, stranger):
            with pytest.raises((ssl.SSLError, OSError)):
                gateway.call(nobody, made.tenant_key)
        # 2. A workload is its SPIFFE id; a token's holder is the issuer's subject; a key's holder is as before.
        told = [gateway.call(writer), gateway.call(writer, issued("one")), gateway.call(writer, made.tenant_key)]
        assert [status for status, _ in told] == [200, 200, 200]
        principals = [body["receipt"]["principal"] for _, body in told]
        assert principals == [WORKLOAD, "oidc:corp:alice", "agent"]
        # 3. The issuer turns its keys: both count, then the new one alone, at once.
        write_policy(made, base, 3, "one", "two")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("policy epoch 3 is in force")
        assert [gateway.call(writer, issued(name))[0] for name in ("one", "two")] == [200, 200]
        write_policy(made, base, 4, "two")
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for("policy epoch 4 is in force")
        assert [gateway.call(writer, issued(name))[0] for name in ("one", "two")] == [401, 200]
        # 4. The operator sees who is known, and stops one of them; the others go on.
        agents = gateway.helm("identity", "agents", "--json", certificate=operator)
        assert {one["principal"] for one in agents.json()["agents"]} >= set(principals)
        frozen = gateway.helm("freeze", "--agent", f"default/{WORKLOAD}", "--reason", "test", certificate=operator)
        assert frozen.code == 0, frozen.err
        status, refused = gateway.call(writer)
        assert (status, refused["reason_code"]) == (403, "AGENT_KILLED")
        assert gateway.call(writer, issued("two"))[0] == 200
    # 5. An auditor verifies it all offline, and reads the names.
    pack = tmp_path / "pack.tar"
    session = told[1][1]["receipt"]["session_id"]
    assert helm("evidence", "export", "--session", session, "--output", str(pack), *made.option).code == 0
    assert helm("verify", str(pack), *made.option).code == 0
    listed = helm("receipts", "list", "--json", *made.option).json()
    assert {one["principal"] for one in listed} == set(principals)
