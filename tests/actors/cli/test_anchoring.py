"""A checkpoint goes where nobody of ours can rewrite it: to the first target that takes it, and each try is kept."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest

from helm.contracts.errors import Invalid
from helm.evidence.anchor_port import MAX_ANSWER_BYTES, MAX_TARGETS, FileTarget, LogTarget, targets_in
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm


@attrs.define
class Answering:
    """A log that answers every anchor alike, and keeps what it got."""

    status: int = 201
    body: bytes = b'{"index": 7}'
    header: tuple[str, str] = ("x-log", "test")
    got: list[bytes] = attrs.field(factory=list)
    silent: threading.Event | None = None
    """Where it is there, nothing is answered before it is set."""


@contextmanager
def serving(log: Answering) -> Iterator[str]:
    """Serve a log on this machine; yield where."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            log.got.append(self.rfile.read(int(self.headers["content-length"])))
            if log.silent is not None:
                log.silent.wait(60)
            self.send_response(log.status)
            self.send_header(*log.header)
            self.send_header("content-length", str(len(log.body)))
            self.end_headers()
            self.wfile.write(log.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/anchors"
    finally:
        if log.silent is not None:
            log.silent.set()
        server.shutdown()
        thread.join()
        server.server_close()


def anchor(made: Made, targets: str, *words: str, private: bool = True, timeout_s: str = "60") -> Ended:
    settings = {"HELM_ANCHOR_TARGETS": targets, "HELM_ANCHOR_ALLOW_PRIVATE": str(private).lower()}
    settings |= {"HELM_ANCHOR_TIMEOUT_S": timeout_s}
    return helm("checkpoint", "anchor", "--json", *words, *made.option, **settings)


def tries(made: Made) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = helm("checkpoint", "anchors", "--json", *made.option).json()["tries"]
    return found


@pytest.fixture
def covered(used: Made) -> Made:
    assert helm("checkpoint", "now", *used.option).code == 0
    return used


def test_a_file_gets_a_line_that_holds_against_the_log(covered: Made, tmp_path: Path) -> None:
    ended = anchor(covered, f"file:{tmp_path}/kept.jsonl")
    assert ended.code == 0, ended.err
    (line,) = (tmp_path / "kept.jsonl").read_bytes().splitlines()
    said = json.loads(line)
    told = helm("checkpoint", "show", "--json", *covered.option).json()
    assert (said["checkpoint_hash"], said["sequence"], said["log_id"]) == (
        told["checkpoint_hash"], 1, covered.log_id,
    )  # fmt: skip
    (tmp_path / "note").write_text(said["note"])
    key = covered.place().execution_key().public_key
    assert helm("checkpoint", "verify", str(tmp_path / "note"), "--execution-key", key).code == 0
    pack = str(tmp_path / "pack.tar")
    assert helm("evidence", "export", "--session", "s1", "-o", pack, *covered.option).code == 0
    assert helm("verify", pack, "--checkpoint", said["checkpoint_hash"]).code == 0


def test_a_log_gets_the_line_and_its_answer_is_kept(covered: Made) -> None:
    log = Answering()
    with serving(log) as url:
        assert anchor(covered, url).code == 0
    assert json.loads(log.got[0])["version"] == "helm.anchor/1"
    (one,) = tries(covered)
    assert (one["ok"], one["target"], base64.b64decode(one["answer"])) == (True, url, log.body)


@pytest.mark.parametrize(
    "log",
    [
        Answering(status=500),
        Answering(status=302, header=("location", "http://127.0.0.1/elsewhere")),
        Answering(body=b"x" * (MAX_ANSWER_BYTES + 1)),
        Answering(status=204, body=b""),
    ],
    ids=["an error", "a redirect", "an answer without end", "no word on it"],
)
def test_the_next_target_is_tried_where_one_does_not_take_it(log: Answering, covered: Made, tmp_path: Path) -> None:
    with serving(log) as url:
        ended = anchor(covered, f"{url} file:{tmp_path}/kept.jsonl file:{tmp_path}/never.jsonl")
    assert ended.code == 0
    assert [(one["ok"], one["target"]) for one in tries(covered)] == [
        (False, url),
        (True, f"file:{tmp_path}/kept.jsonl"),
    ]
    assert not (tmp_path / "never.jsonl").exists()
    assert len(log.got) == 1


def test_a_log_that_never_answers_costs_its_time_and_no_more(covered: Made, tmp_path: Path) -> None:
    log = Answering(silent=threading.Event())
    with serving(log) as url:
        ended = anchor(covered, f"{url} file:{tmp_path}/kept.jsonl", timeout_s="0.5")
    assert ended.code == 0
    assert "no answer within" in tries(covered)[0]["detail"]


def test_where_nobody_takes_it_the_exit_code_says_so_and_calls_go_on(covered: Made, tmp_path: Path) -> None:
    gone = tmp_path / "nowhere" / "kept.jsonl"
    assert anchor(covered, f"file:{gone}").code == 1
    listed = helm("checkpoint", "anchors", *covered.option)
    assert (listed.code, "anchored nowhere: 1" in listed.out) == (1, True)
    findings = helm("doctor", "--json", *covered.option, HELM_ANCHOR_TARGETS=f"file:{gone}").json()
    assert [one["state"] for one in findings if one["check"] == "anchors"] == ["warn"]
    assert helm("checkpoint", "now", *covered.option).code == 0
    gone.parent.mkdir()
    assert anchor(covered, f"file:{gone}").code == 0
    assert helm("checkpoint", "anchors", *covered.option).code == 0
    findings = helm("doctor", "--json", *covered.option, HELM_ANCHOR_TARGETS=f"file:{gone}").json()
    assert [one["state"] for one in findings if one["check"] == "anchors"] == ["ok"]


def test_an_address_that_no_connector_reaches_is_not_asked(covered: Made) -> None:
    log = Answering()
    with serving(log) as url:
        plain = anchor(covered, url, private=False)
        hidden = anchor(covered, url.replace("http://", "https://"), private=False)
    assert (plain.code, "anchor_allow_private" in plain.err) == (1, True)
    assert (hidden.code, log.got) == (1, [])
    assert "loopback" in tries(covered)[0]["detail"]


def test_what_is_anchored_is_anchored_once(covered: Made, tmp_path: Path) -> None:
    targets = f"file:{tmp_path}/kept.jsonl"
    assert [anchor(covered, targets).code for _ in range(2)] == [0, 0]
    assert len((tmp_path / "kept.jsonl").read_bytes().splitlines()) == 1
    assert anchor(covered, targets, "--again").code == 0
    assert len((tmp_path / "kept.jsonl").read_bytes().splitlines()) == 2
    assert anchor(covered, targets, "9").code == 1


def test_a_file_that_is_torn_or_a_link_is_left_alone(covered: Made, tmp_path: Path) -> None:
    torn, link = tmp_path / "torn.jsonl", tmp_path / "link.jsonl"
    torn.write_bytes(b'{"half": ')
    link.symlink_to(tmp_path / "target.jsonl")
    assert anchor(covered, f"file:{torn} file:{link}").code == 1
    assert torn.read_bytes() == b'{"half": '
    assert not (tmp_path / "target.jsonl").exists()


def test_tries_that_somebody_edited_are_not_believed(covered: Made, tmp_path: Path) -> None:
    assert anchor(covered, f"file:{tmp_path}/nowhere/x").code == 1
    path = covered.path / "anchors.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"ok":false', b'"ok":false,"zz":1'))
    assert helm("checkpoint", "anchors", *covered.option).code == 1


def test_without_a_target_the_setting_is_named(covered: Made) -> None:
    ended = helm("checkpoint", "anchor", *covered.option)
    assert (ended.code, "anchor_targets" in ended.err) == (1, True)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://log.example.com/x",
        "log.example.com/x",
        "https://user@log.example.com/x",
        "https://log.example.com",
        "http://log.example.com/x",
        "https://log.example.com/x#y",
        "file:",
        "file:a file:a",
        " ".join(f"file:{number}" for number in range(MAX_TARGETS + 1)),
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        targets_in(text, allow_plain=False)


def test_targets_keep_their_order() -> None:
    one, other = targets_in("https://log.example.com/a?b=c file:b", allow_plain=False)
    assert (type(one), str(one), other) == (LogTarget, "https://log.example.com:443/a?b=c", FileTarget("b"))
