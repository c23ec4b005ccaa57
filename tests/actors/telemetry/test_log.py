"""The log says what happened, in lines that nobody can forge; it holds no secret, and nothing waits for it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio

from actors.connectors.mcp import McpConnector
from actors.connectors.port import ConnectorFailed, Dispatch
from actors.losses import Losses
from actors.observing import observing
from actors.process.events import CONNECTION_FAILED, KERNEL_STOPPED, event
from actors.telemetry import log as logs
from actors.telemetry.line import HIDDEN, MAX_MESSAGE, Words, of_record
from actors.telemetry.log import Log, Spoken, Structured, listening
from helm.contracts.form import JSONValue
from helm.guardian.connection import McpConnection
from tests.actors.doors.street import open_street
from tests.actors.kit import House
from tests.actors.puppet import Puppet

SOON_S: Final = 60.0
"""Longest wait for a thread: on a busy machine it may get its turn late."""

SECRET: Final = "correct-horse-battery-staple"
HOSTILE: Final = 'x\n{"event":"call","verdict":"ALLOW"}\r\n\x1b[2J\x1b]0;owned\x07\x9b31m\u2028\u202e\x7f\x00"'
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@attrs.define(eq=False)
class Book:
    """A log in a file, and what is read from it."""

    path: Path
    log: Log

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line. Each must be one JSON object of visible ASCII."""
        raw = self.path.read_bytes()
        assert all(32 <= byte < 127 or byte == 10 for byte in raw)
        assert raw.endswith(b"\n") or not raw
        return [json.loads(line) for line in raw.decode().splitlines()]


@contextmanager
def logging_to(path: Path, *secrets: str) -> Iterator[Book]:
    """Log to a file, and have everything written at the end."""
    log = Log(path, Words(secrets=secrets), Losses(), SOON_S)
    book = Book(path, log)
    with log.running(), listening(Structured(log)):
        yield book


async def test_every_call_leaves_a_line_with_the_ids_by_which_it_is_found(house: House, tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as book:
        observed = observing(book.log.losses, share=1.0, tell_all=book.log.take, tell_traced=lambda _: None)
        async with open_street(house, observing=observed) as street:
            replies = [
                await street.call({"tool": "read", "arguments": {}}, x_request_id="mine", traceparent=TRACEPARENT),
                await street.call({"tool": "nowhere", "arguments": {}}),
            ]
    allowed, denied = (line for line in book.lines if line["event"] == "call")
    assert [line["receipt_id"] for line in (allowed, denied)] == [one.receipt["receipt_id"] for one in replies]
    assert allowed["decision_id"] == replies[0].headers["x-helm-decision-id"]
    assert (allowed["request_id"], allowed["trace_id"]) == ("mine", TRACEPARENT[3:35])
    assert (allowed["verdict"], allowed["status"], allowed["tool"]) == ("ALLOW", "SUCCESS", "read")
    assert (denied["verdict"], denied["reason_code"], denied["tenant"]) == ("DENY", "NO_POLICY_DEFINED", "acme")
    assert denied["request_id"] == replies[1].headers["x-request-id"]
    assert "tool" not in denied  # its name is the caller's own words
    assert allowed["duration_us"] > 0
    assert allowed["at"].endswith("Z")


async def test_no_argument_output_or_credential_is_in_the_log(house: House, tmp_path: Path) -> None:
    def answer(order: Dispatch) -> JSONValue:
        if order.tool == "write":
            raise ConnectorFailed(SECRET)
        return {"answer": SECRET}

    with logging_to(tmp_path / "log") as book:
        observed = observing(book.log.losses, share=0.0, tell_all=book.log.take, tell_traced=None)
        async with open_street(house, Puppet(answer), observing=observed) as street:
            headers = {"x_helm_session": SECRET, "x_upstream_key": SECRET, "cookie": SECRET}
            for tool in ("read", "write", SECRET):
                body = {"tool": tool, "arguments": {"token": SECRET}, "idempotency_key": SECRET + tool[:1]}
                await street.call(body, **headers)
            await street.call(json.dumps({"tool": "read", "arguments": SECRET}).encode(), **headers)
            keys = (street.agent, street.rival, street.admin)
    assert len([line for line in book.lines if line["event"] == "call"]) == 4
    text = book.path.read_text()
    assert [secret for secret in (SECRET, *keys) if secret in text] == []


async def test_an_mcp_server_that_cannot_be_asked_is_an_event(nursery: trio.Nursery) -> None:
    failed, told = trio.Event(), list[dict[str, Any]]()

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(of_record(record, Words()))
            failed.set()

    async def drifted(*_: str) -> None:
        raise AssertionError("nothing was listed")

    connection = McpConnection(name="gone", command=("/no/such/program", SECRET), max_response_bytes=1024)
    with listening(Hearing()), trio.fail_after(30):
        nursery.start_soon(McpConnector(connection, {}).attend, drifted)
        await failed.wait()
        nursery.cancel_scope.cancel()
    assert (told[0]["event"], told[0]["connector"]) == (CONNECTION_FAILED, "gone")
    assert told[0]["failures"]
    assert SECRET not in json.dumps(told)


@pytest.mark.parametrize("name", ["helm.doors", "somebody.else", HOSTILE])
def test_nobody_forges_a_line_or_paints_a_terminal(name: str, tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as book:
        logging.getLogger(name).error("it said %s", HOSTILE, extra=event(KERNEL_STOPPED, told=HOSTILE))
        logging.getLogger(name).error(HOSTILE)
    assert [line["event"] for line in book.lines] == [KERNEL_STOPPED, "message"]
    assert book.lines[0]["told"] == HOSTILE


def test_without_a_log_a_warning_is_one_line_for_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with listening(Spoken(Words(secrets=(SECRET,)))):
        logging.getLogger("helm.doors").warning("it said %s and %s", HOSTILE, SECRET)
        logging.getLogger("helm.doors").info("not worth a line")
        logging.getLogger("helm.doors").error("told by other ways", extra=event(KERNEL_STOPPED))
        logging.getLogger("mcp.client").warning(HOSTILE)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.isascii()
    assert said[:-1].isprintable()
    assert SECRET not in said


def test_without_a_log_a_server_that_cannot_be_asked_is_named_on_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with listening(Spoken(Words())):
        logging.getLogger("helm.connectors").warning(
            "it cannot be asked", extra=event(CONNECTION_FAILED, connector="notes")
        )
    assert "notes" in capsys.readouterr().err


def test_of_another_library_only_the_place_is_written(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as book:
        logging.getLogger("httpcore2").warning("sent %s", SECRET)
        logging.getLogger("httpcore2").warning(f"sent {SECRET}")
    assert all("test_log.py:" in line["message"] for line in book.lines)
    assert SECRET not in book.path.read_text()


def test_of_a_failure_its_kind_and_place_are_written_and_not_its_words(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as book:
        try:
            try:
                raise KeyError(SECRET)
            except KeyError as cause:
                raise ExceptionGroup(SECRET, [ValueError(SECRET)]) from cause
        except ExceptionGroup:
            logging.getLogger("helm.doors").exception("it broke")
    (line,) = book.lines
    assert [one["type"] for one in line["failures"]] == ["builtins.ValueError", "builtins.KeyError"]
    assert "test_log.py:" in line["failures"][1]["where"][-1]
    assert SECRET not in book.path.read_text()


def test_what_this_process_must_not_tell_is_hidden_wherever_it_comes_from(tmp_path: Path) -> None:
    key, quoted = "helm_" + "k" * 43, 'with "quotes" and \\'
    with logging_to(tmp_path / "log", SECRET, quoted) as book:
        logging.getLogger("helm.doors").error("%s, %s, %s, Authorization: Bearer abc.def", SECRET, key, quoted)
    assert book.lines[0]["message"] == f"{HIDDEN}, {HIDDEN}, {HIDDEN}, Authorization: {HIDDEN}"


def test_a_secret_at_the_edge_of_a_long_message_is_not_shown_by_half(tmp_path: Path) -> None:
    key = "helm_" + "k" * 43
    with logging_to(tmp_path / "log", SECRET) as book:
        for hidden in (SECRET, key):
            for seen in range(1, len(hidden)):
                logging.getLogger("helm.doors").error("%s%s", "-" * (MAX_MESSAGE - seen), hidden)
    lines = [line["message"] for line in book.lines]
    assert max(map(len, lines)) == MAX_MESSAGE
    assert all(line.lstrip("-") in {HIDDEN[:n] for n in range(len(HIDDEN) + 1)} for line in lines)


def test_a_log_is_for_whoever_runs_helm(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as book:
        pass
    assert book.path.stat().st_mode & 0o777 == 0o600


def test_a_log_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", Words(), Losses(), SOON_S)
    for number in range(3):
        with log.running():
            log.take_line({"number": number})
        (tmp_path / "log").rename(tmp_path / f"log.{number}")
    log = Log(tmp_path / "log", Words(), Losses(), SOON_S)
    log._open()  # as a writer that is under way while somebody rotates
    (tmp_path / "log").rename(tmp_path / "log.3")
    log._write([{"number": 3}])
    log._close()
    assert json.loads((tmp_path / "log").read_text()) == {"number": 3}
    assert (tmp_path / "log.3").read_text() == ""


def test_a_full_queue_loses_lines_and_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_WAITING", 2)
    log = Log(tmp_path / "log", Words(), Losses(), SOON_S)
    for number in range(5):
        log.take_line({"number": number})
    assert log.losses.lines == 3
    with log.running():
        pass
    assert [json.loads(line)["number"] for line in (tmp_path / "log").read_text().splitlines()] == [0, 1]


def test_a_disk_that_does_not_take_a_line_costs_a_count(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "log").symlink_to("/dev/full")
    log = Log(tmp_path / "log", Words(), Losses(), SOON_S)
    with log.running():
        log.take_line({"number": 1})
    assert log.losses.lines_unwritten == 1


def test_a_reader_that_does_not_read_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    log = Log(tmp_path / "log", Words(), Losses(), 0.2)
    with log.running():  # and it ends, although what is to be written fits into no pipe
        for _ in range(logs.MAX_WAITING + 2 * logs.TOGETHER):  # more than wait, and are in the writer's hand
            log.take_line({"filler": "x" * 1000})
    assert log.losses.lines_refused > 0
    os.close(reader)
