"""The way to a decision point: to checked addresses, over TLS that the policy pins, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from actors.connectors.opa import OpaClient, PointFailed
from helm.guardian.points import OpaPoint
from tests.actors.connectors.server import Server, ok
from tests.actors.connectors.test_http import _certificate as certificate

ANSWER = b'{"result":true}'


def point(origin: str, **changes: object) -> OpaPoint:
    fields: dict[str, object] = {
        "name": "remote",
        "content_hash": "sha256:c",
        "origin": origin,
        "path": "helm/allow",
        "bundles": (("main", "r1"),),
        "deadline_ms": 10_000,
        "max_age_ms": 10_000,
        "max_response_bytes": 1_000,
        "places": 2,
        "allow_private": True,
        "token_file": "",
        "ca_pem": "",
    }
    return OpaPoint(**fields | changes)  # type: ignore[arg-type]


async def home(_: str) -> Sequence[str]:
    return ["127.0.0.1"]


def json_answer() -> bytes:
    return ok(ANSWER, b"Content-Type: application/json")


async def asked(of: OpaPoint) -> bytes:
    client = OpaClient(of, resolver=home)
    try:
        return await client.ask(b'{"n":1}')
    finally:
        await client.aclose()


async def test_the_pinned_authority_is_the_only_one_that_counts(nursery: trio.Nursery, tmp_path: Path) -> None:
    server = await Server(json_answer(), tls=certificate(tmp_path, "opa.example")).start(nursery)
    origin, pem = f"https://opa.example:{server.port}", (tmp_path / "ca.pem").read_text()
    assert await asked(point(origin, ca_pem=pem)) == ANSWER
    with pytest.raises(PointFailed, match="no answer: ConnectError"):
        await asked(point(origin))  # the system trusts nobody who signed this
    other = tmp_path / "other"
    other.mkdir()
    certificate(other, "opa.example")
    with pytest.raises(PointFailed, match="no answer: ConnectError"):
        await asked(point(origin, ca_pem=(other / "ca.pem").read_text()))
    assert len(server.requests) == 1


async def test_a_certificate_of_another_name_is_not_believed(nursery: trio.Nursery, tmp_path: Path) -> None:
    server = await Server(json_answer(), tls=certificate(tmp_path, "other.example")).start(nursery)
    with pytest.raises(PointFailed):
        await asked(point(f"https://opa.example:{server.port}", ca_pem=(tmp_path / "ca.pem").read_text()))
    assert server.requests == []


async def test_certificates_that_are_none_are_said() -> None:
    with pytest.raises(PointFailed, match="no certificates"):
        OpaClient(point("https://opa.example", ca_pem="-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----"))


async def test_a_name_that_leads_into_the_house_is_not_followed(nursery: trio.Nursery) -> None:
    server = await Server(json_answer()).start(nursery)
    with pytest.raises(PointFailed, match="loopback"):
        await asked(point(f"http://127.0.0.1:{server.port}", allow_private=False))
    assert server.connections == 0


async def test_a_point_is_asked_in_its_own_words_and_no_more(nursery: trio.Nursery, tmp_path: Path) -> None:
    server = await Server(json_answer()).start(nursery)
    token = tmp_path / "token"
    token.write_text("s3cret")
    await asked(point(f"http://127.0.0.1:{server.port}", token_file=str(token)))
    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == "POST /v1/data/helm/allow?provenance=true&strict-builtin-errors=true HTTP/1.1"
    assert sorted(line.partition(":")[0].lower() for line in lines[1:]) == [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    ]
    assert "authorization: Bearer s3cret" in lines
    assert f"host: 127.0.0.1:{server.port}" in lines
    assert body == '{"input":{"n":1}}'


@pytest.mark.parametrize("content", ["", "\n", "two words", "tab\there", "ü", "x" * 9_000, "a\nb"])
async def test_a_token_file_without_a_token_sends_nothing(nursery: trio.Nursery, tmp_path: Path, content: str) -> None:
    server = await Server(json_answer()).start(nursery)
    token = tmp_path / "token"
    token.write_text(content, encoding="utf-8")
    with pytest.raises(PointFailed, match="holds no token"):
        await asked(point(f"http://127.0.0.1:{server.port}", token_file=str(token)))
    assert server.connections == 0


async def test_a_token_file_that_nobody_fills_is_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with trio.move_on_after(0.05) as patience:
        await asked(point("http://127.0.0.1:1", token_file=str(pipe)))
    assert patience.cancelled_caught
    pipe.write_bytes(b"")  # lets the thread that still waits for it go


async def test_an_answer_that_was_left_over_is_not_the_next_calls_answer(nursery: trio.Nursery) -> None:
    kind, answers = b"Content-Type: application/json", [b'{"result":false}', b'{"result":"second"}']

    async def more_than_was_asked(stream: trio.abc.Stream) -> None:
        await stream.send_all(ok(answers.pop(0), kind) + ok(ANSWER, kind))

    server = await Server(more_than_was_asked).start(nursery)
    client = OpaClient(point(f"http://127.0.0.1:{server.port}"), resolver=home)
    said = [await client.ask(b"{}"), await client.ask(b"{}")]
    await client.aclose()
    assert said == [b'{"result":false}', b'{"result":"second"}']
