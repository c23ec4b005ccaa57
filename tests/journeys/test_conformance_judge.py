"""Every check of a conformance run can fail: what a lying server might show is shown to it, one lie at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar, Final

import attrs
import pytest

from actors.cli.conform.own import gateways
from actors.conforming.counterpart import counterpart
from actors.conforming.material import vector_set
from actors.conforming.run import Run
from actors.conforming.setup import set_up
from actors.conforming.target import Target
from helm.conformance.judge import STEPS, Asked, Seen, judge
from helm.conformance.report import Ran, seal_report
from helm.conformance.result import FAILED, PASSED, SKIPPED, Result
from helm.conformance.vector import SERVERS, Step, Vector
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.evidence.trust_root import TrustRoot

SET: Final = vector_set()
ALLOWED: Final = SET["allowed"]
BLOCKED: Final = SET["blocked-egress"]
CROWDED: Final = SET["one-call-too-many"]


@attrs.frozen(kw_only=True)
class Witnessed:
    """What an honest server showed, and what it is held to."""

    seen: dict[str, Seen]
    target: Target
    root: TrustRoot


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnessed]:
    with counterpart() as service:
        made = set_up(tmp_path_factory.mktemp("servers") / "own", ["main"], service.origin.removeprefix("http://"))
        with gateways(made) as (target, _):
            run = Run(target=target, service=service, may_stop=True)
            results = run.run((ALLOWED, BLOCKED), said_nothing)
            seen = {one.vector.id: one.seen for one in results if one.seen is not None}
            yield Witnessed(seen=seen, target=target, root=target.servers["main"].root)


def said_nothing(_: Result) -> None:
    """Say nothing."""


def failed(vector: Vector, seen: Seen, root: TrustRoot) -> list[str]:
    """Return the names of the checks that do not hold."""
    return [check.name for check in judge(vector, seen, root) if not check.ok]


def test_an_honest_server_passes_every_check(honest: Witnessed) -> None:
    for vector in (ALLOWED, BLOCKED):
        assert [check.name for check in judge(vector, honest.seen[vector.id], honest.root)] == [*STEPS]
        assert failed(vector, honest.seen[vector.id], honest.root) == []


def with_story(seen: Seen, where: str, **members: Any) -> Seen:
    """Return what was seen with some members of one sealed object changed, wherever it is shown."""
    story = copy.deepcopy(dict(seen.story))
    story[where] |= members
    if where != "receipt":
        return attrs.evolve(seen, story=story)
    session = (*seen.session[:-1], story["receipt"])
    return attrs.evolve(seen, story=story, answered=story["receipt"], session=session)


LIES: Final[dict[str, tuple[Callable[[Seen], Seen], set[str]]]] = {
    "a refusal told as success": (lambda seen: attrs.evolve(seen, http=200), {"answer"}),
    "another code": (lambda seen: attrs.evolve(seen, reason_code="PDP_DENY"), {"answer"}),
    "a verdict without words": (lambda seen: attrs.evolve(seen, verdict=""), {"answer"}),
    "no receipt": (lambda seen: attrs.evolve(seen, receipt_id="", story={}, session=()), {"receipt", "signature"}),
    "an answer with another receipt": (lambda seen: attrs.evolve(seen, answered={}), {"receipt"}),
    "a receipt of another call": (lambda seen: attrs.evolve(seen, receipt_id="rcpt_" + "0" * 32), {"receipt", "chain"}),
    "an edited receipt": (lambda seen: with_story(seen, "receipt", tool="conf.read"), {"signature", "sealed"}),
    "an edited record": (lambda seen: with_story(seen, "record", destination=""), {"sealed"}),
    "an edited decision": (lambda seen: with_story(seen, "decision", gate_results=[]), {"sealed"}),
    "another caller": (
        lambda seen: attrs.evolve(seen, asked=attrs.evolve(seen.asked, principal="intruder")),
        {"said"},
    ),
    "other arguments": (
        lambda seen: attrs.evolve(seen, asked=attrs.evolve(seen.asked, args_hash="sha256:" + "0" * 64)),
        {"said"},
    ),
    "a session without its beginning": (lambda seen: attrs.evolve(seen, session=()), {"chain"}),
    "a session that shows a receipt twice": (
        lambda seen: attrs.evolve(seen, session=(*seen.session, *seen.session)),
        {"chain"},
    ),
    "a dispatch after all": (lambda seen: attrs.evolve(seen, deeds=1), {"dispatch"}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_by_the_check_that_is_for_it(lie: str, honest: Witnessed) -> None:
    tell, found_by = LIES[lie]
    assert set(failed(BLOCKED, tell(honest.seen[BLOCKED.id]), honest.root)) >= found_by


def test_what_must_be_bound_is_missed_where_it_is_not(honest: Witnessed) -> None:
    greedy = attrs.evolve(BLOCKED, must_bind=(*BLOCKED.must_bind, "sandbox_grant_hash"))
    assert failed(greedy, honest.seen[BLOCKED.id], honest.root) == ["bound"]


def test_an_effect_that_never_arrived_is_missed(honest: Witnessed) -> None:
    assert failed(ALLOWED, attrs.evolve(honest.seen[ALLOWED.id], deeds=0), honest.root) == ["dispatch"]


def test_a_receipt_counts_by_the_key_that_the_caller_names_and_for_that_log_alone(honest: Witnessed) -> None:
    other = SigningKey.from_seed(bytes(32), KeyPurpose.EXECUTION).public_key
    seen, log_id = honest.seen[BLOCKED.id], honest.root.log_id
    assert failed(BLOCKED, seen, TrustRoot(log_id=log_id, execution_key=other)) == ["signature", "chain"]
    elsewhere = TrustRoot(log_id="sha256:" + "0" * 64, execution_key=honest.root.execution_key)
    assert failed(BLOCKED, seen, elsewhere) == ["signature", "chain"]
    assert failed(BLOCKED, seen, TrustRoot(log_id=log_id)) == ["signature", "chain"]


@pytest.mark.parametrize("name", ["policy_hash", "policy_epoch"])
def test_what_is_bound_is_what_the_policy_comes_to(name: str, honest: Witnessed) -> None:
    seen = honest.seen[BLOCKED.id]
    assert seen.asked.bindings.keys() >= {"input_schema_hash", "sandbox_grant_hash", "credential_ref", name}
    another = attrs.evolve(seen.asked, bindings={**seen.asked.bindings, name: "another"})
    assert failed(BLOCKED, attrs.evolve(seen, asked=another), honest.root) == ["bound"]


def test_what_is_bound_twice_is_bound_alike(honest: Witnessed) -> None:
    seen = honest.seen[BLOCKED.id]
    alone = attrs.evolve(seen, asked=attrs.evolve(seen.asked, bindings={}))
    split = with_story(alone, "decision", policy_hash="sha256:" + "0" * 64)
    assert "bound" in failed(BLOCKED, split, honest.root)


def test_what_nobody_judged_has_no_receipt(honest: Witnessed) -> None:
    nobody = Asked(principal="agent", session_id="", tool="", args_hash="")
    refused = Seen(asked=nobody, http=503, verdict="", status="", reason_code="OVERLOADED", receipt_id="")
    assert failed(CROWDED, refused, honest.root) == []
    assert failed(CROWDED, attrs.evolve(refused, receipt_id="rcpt_1"), honest.root) == ["receipt"]


def test_the_counterparts_silence_counts_only_where_it_was_reached_at_all(honest: Witnessed) -> None:
    with counterpart() as deaf:
        [alone] = Run(target=honest.target, service=deaf).run((BLOCKED,), said_nothing)
    assert alone.outcome == FAILED
    assert "its silence proves nothing" in alone.why


def test_a_dispatch_between_two_vectors_is_a_stray(honest: Witnessed) -> None:
    with counterpart() as service:
        run = Run(target=honest.target, service=service, may_stop=True)
        run.run((BLOCKED,), lambda _: service.deeds.append("/deeds/late"))
        assert run.strays == 1


def test_what_is_missing_is_skipped_aloud(honest: Witnessed) -> None:
    main = honest.target.servers["main"]
    poor = attrs.evolve(main, keys={"agent": main.keys["agent"]}, emergency_key="", delegation_key="", data_dir="")
    target = attrs.evolve(honest.target, servers={"main": poor})
    wanted = ("borrowed-session", "frozen-system", "delegation-beyond", "stale-policy", "allowed")
    with counterpart() as service:
        results = Run(target=target, service=service, may_stop=True).run([SET[name] for name in wanted], said_nothing)
    assert [one.outcome for one in results[:4]] == [SKIPPED] * 4
    assert ["intruder" in results[0].why, "emergency" in results[1].why] == [True, True]
    assert ["delegation" in results[2].why, "stale" in results[3].why] == [True, True]
    assert results[4].outcome != PASSED  # its effect went to the counterpart that the policy names, not to this one


class Babbler(BaseHTTPRequestHandler):
    """A server that answers everything alike, whatever is asked."""

    protocol_version = "HTTP/1.1"
    said: ClassVar[tuple[int, bytes]] = (200, b"{}")

    def do_GET(self) -> None:
        """Say it."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status, body = self.said
        self.send_response(status)
        for name, value in (("X-Helm-Verdict", "DENY"), ("X-Helm-Reason-Code", "DATA_EGRESS_BLOCKED")):
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Say it again."""
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in http.server
        """Say no more."""


SHOWN: Final = (
    b'{"outcome": "DENIED", "receipt_id": "rcpt_1", "receipt": {}, "record": {}, "decision": {}, "receipts": []}'
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "said",
    [
        (200, b""),
        (200, b"[]"),
        (200, b"{}"),
        (403, b"no"),
        (403, b'{"outcome": "DENIED"}'),
        (403, SHOWN),
        (200, SHOWN),
        (200, b'{"outcome": "DENIED", "receipt_id": "rcpt_1", "receipts": [1], "after": 0, "sequence": "x"}'),
        (500, b'{"outcome": "\\ud800", "receipt_id": "/../"}'),
    ],
    ids=str,
)
def test_a_server_that_only_says_no_conforms_in_nothing(said: tuple[int, bytes], honest: Witnessed) -> None:
    handler = type("Said", (Babbler,), {"said": said})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, counterpart() as service:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            main = attrs.evolve(
                honest.target.servers["main"], url=f"http://127.0.0.1:{server.server_port}", data_dir=""
            )
            target = attrs.evolve(honest.target, servers=dict.fromkeys(SERVERS, main))
            run = Run(target=target, service=service, may_stop=True)
            results = run.run([attrs.evolve(one, trigger=hasty(one)) for one in SET.vectors], said_nothing)
        finally:
            server.shutdown()
            thread.join()
    assert [one.vector.id for one in results if one.outcome == PASSED] == []
    ran = Ran(results=results, subjects=run.subjects, strays=run.strays, begun_at_ms=1, ended_at_ms=2)
    assert seal_report(ran, SET, SigningKey.from_seed(bytes(32), KeyPurpose.EVIDENCE))["signature"]


def hasty(vector: Vector) -> tuple[Step, ...]:
    """Return the trigger of a vector without what only waits."""
    return tuple(attrs.evolve(step, patience_s=0) for step in vector.trigger if step.do not in ("crowd", "crash"))


def test_a_server_that_is_not_ours_is_neither_killed_nor_moved(honest: Witnessed) -> None:
    main = attrs.evolve(honest.target.servers["main"], data_dir="")
    target = attrs.evolve(honest.target, servers={"crash": main, "moved": main})
    with counterpart() as service:
        results = Run(target=target, service=service, may_stop=True).run(
            (SET["killed-under-way"], SET["moved-house"]), said_nothing
        )
    assert [one.outcome for one in results] == [SKIPPED, SKIPPED]


def test_a_server_that_the_run_did_not_start_is_stopped_only_where_that_is_said(honest: Witnessed) -> None:
    with counterpart() as service:
        [frozen, refused] = Run(target=honest.target, service=service).run(
            (SET["frozen-system"], SET["denied-by-the-ceilings"]), said_nothing
        )
    assert (frozen.outcome, "--allow-stops" in frozen.why) == (SKIPPED, True)
    assert refused.seen is not None
    assert refused.seen.reason_code == "PDP_DENY"


def test_what_was_changed_is_changed_back_whatever_becomes_of_the_vector(honest: Witnessed) -> None:
    frozen = SET["frozen-system"]
    with counterpart() as service:
        run = Run(target=honest.target, service=service, may_stop=True)
        before = run.run((SET["denied-by-the-ceilings"],), said_nothing)[0].seen
        [stopped] = run.run((attrs.evolve(frozen, expected=attrs.evolve(frozen.expected, http=200)),), said_nothing)
        again = run.run((SET["denied-by-the-ceilings"],), said_nothing)[0].seen
    assert stopped.outcome == FAILED
    assert before is not None
    assert again is not None
    assert again.reason_code == before.reason_code == "PDP_DENY"
