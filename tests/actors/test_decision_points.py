"""Remote decision points on a running kernel: what is asked, what counts, and what a bad one cannot do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.commands.delegation import BindDelegation
from actors.kernel import Kernel
from actors.mailbox import Answer, KernelStopped
from helm.contracts.call import CallContext
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import parse, reread
from helm.evidence.pack import PackMaterial, build
from helm.evidence.replay import replay_pack
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack
from helm.guardian.chain import CHAIN
from helm.guardian.facts import read_facts
from helm.guardian.intake import PLAIN, Caller, Terms, admit
from helm.guardian.policy import Policy
from tests.actors.delegating import grant, policy_of, signature, under
from tests.actors.kit import House
from tests.actors.opa_server import UNDEFINED, OpaServer, response_of
from tests.actors.overlaying import narrow
from tests.actors.pointed import CEDAR, WITH_CEDAR, with_opa
from tests.actors.puppet import Puppet
from tests.helm.evidence.forger import SCRIPT


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.build(tmp_path)


def server_of(result: Any, **more: Any) -> OpaServer:
    """Return a server whose one rule gives this result, or calls it."""
    rule = result if callable(result) else lambda _: result
    return OpaServer({"helm/allow": rule}, **more)


async def ask(kernel: Kernel, n: int = 1, **more: Any) -> Answer:
    return await kernel.call("asked", {"n": n, "note": "private"}, principal="agent", **more)


def judged(house: House, policy: Policy) -> list[dict[str, Any]]:
    """Return each decision of the journal, after judging its facts again came to the same."""
    decisions = []
    for row in house.disk.rows:
        entry = parse(row)
        decision = entry["node"]["payload"].get("decision")
        if decision is not None:
            facts = json.dumps(entry["beside"]["facts"], separators=(",", ":"), ensure_ascii=False).encode()
            call, world = read_facts(facts, policy, "the test's journal")
            again = CHAIN.evaluate(call, world).decision
            assert again.id == decision["decision_id"]
            decisions.append({**decision, "facts": entry["beside"]["facts"]})
    return decisions


async def test_a_call_that_the_point_allows_is_executed_and_says_by_which_policy(
    house: House, nursery: trio.Nursery
) -> None:
    server = await server_of(lambda told: told["principal"] == "agent" and told["arguments"]["n"] < 10).start(nursery)
    puppet = Puppet()
    text = with_opa(server.port)
    policy = house.sign(text).policy
    async with house.kernel(puppet, policy=text) as kernel:
        allowed, refused = await ask(kernel, 1), await ask(kernel, 11)
    assert (allowed.reason, allowed.allowed) == ("", True)
    assert (refused.reason_code, refused.reason) == (
        ReasonCode.PDP_DENY,
        "the decision point remote does not allow it",
    )
    assert len(puppet.orders) == 1
    first, second = judged(house, policy)
    assert first["pdp_policy_hash"] == second["pdp_policy_hash"] == policy.points["remote"].content_hash
    assert first["facts"]["world"]["pdp"]["bundles"] == [["main", "r1"]]


async def test_the_point_sees_who_calls_what_and_only_the_arguments_it_may_see(
    house: House, nursery: trio.Nursery
) -> None:
    server = await server_of(True).start(nursery)
    async with house.kernel(policy=with_opa(server.port)) as kernel:
        await ask(kernel)
    (told,) = server.inputs
    assert told["arguments"] == {"n": 1}
    assert (told["principal"], told["tool"], told["tenant"]) == ("agent", "asked", "local")
    assert "private" not in json.dumps(told)
    assert server.heads[0].startswith("POST /v1/data/helm/allow?provenance=true&strict-builtin-errors=true HTTP/1.1")


async def test_what_the_built_in_rules_refuse_is_not_put_before_the_point(house: House, nursery: trio.Nursery) -> None:
    server = await server_of(True).start(nursery)
    async with house.kernel(policy=with_opa(server.port)) as kernel:
        stranger = await kernel.call("asked", {"n": 1}, principal="stranger", session="theirs")
        misshapen = await kernel.call("asked", {"n": "one"}, principal="agent")
        plain = await kernel.call("read", {}, principal="agent")
    assert stranger.reason_code == ReasonCode.INSUFFICIENT_PRIVILEGE
    assert misshapen.reason_code == ReasonCode.SCHEMA_VIOLATION
    assert plain.allowed
    assert server.inputs == []


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (UNDEFINED, "no truth value: undefined"),
        ("true", "no truth value: other"),
        (1, "no truth value: other"),
        (None, "no truth value: other"),
        ({"allow": True}, "no truth value: other"),
        ([True], "no truth value: other"),
    ],
)
async def test_a_result_that_is_no_truth_value_is_no_answer(
    house: House, nursery: trio.Nursery, result: Any, says: str
) -> None:
    server = await server_of(result).start(nursery)
    puppet = Puppet()
    async with house.kernel(puppet, policy=with_opa(server.port)) as kernel:
        answer = await ask(kernel)
    assert answer.reason_code == ReasonCode.PDP_ERROR
    assert says in answer.reason
    assert puppet.orders == []


def body(text: bytes, **more: str) -> Callable[[bytes], bytes]:
    return lambda _: response_of(text, **more)


TRUE = b'{"result":true,"provenance":{"bundles":{"main":{"revision":"r1"}}}}'

BAD_ANSWERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a duplicate member": (body(b'{"result":false,' + TRUE[1:]), "no exact JSON"),
    "something behind it": (body(TRUE + b"{}"), "no exact JSON"),
    "no JSON": (body(b"true!"), "no exact JSON"),
    "no object": (body(b"true"), "no object"),
    "NaN": (body(b'{"metrics":NaN,' + TRUE[1:]), "no exact JSON"),
    "a warning": (body(b'{"warning":{"code":"api_usage_warning"},' + TRUE[1:]), "warning"),
    "no provenance": (body(b'{"result":true}'), "other bundles"),
    "another revision": (body(TRUE.replace(b"r1", b"r2")), "other bundles"),
    "one bundle more": (body(TRUE.replace(b'{"main"', b'{"also":{"revision":"x"},"main"')), "other bundles"),
    "an odd revision": (body(TRUE.replace(b'"r1"', b"7")), "without a revision"),
    "an odd decision_id": (body(b'{"decision_id":7,' + TRUE[1:]), "odd decision_id"),
    "a redirect": (
        lambda _: b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "redirects are not followed",
    ),
    "a server error": (body(b'{"code":"internal_error"}', status="500 Internal Server Error"), "HTTP 500"),
    "created": (body(TRUE, status="201 Created"), "HTTP 201"),
    "a page": (body(TRUE, kind="text/html"), "not declared as JSON"),
    "packed": (
        lambda _: response_of(TRUE).replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n", 1),
        "a coding that was not asked for",
    ),
    "too long": (body(b'{"x":"' + b"a" * 20_000 + b'",' + TRUE[1:]), "longer than 16384 bytes"),
    "half an answer": (lambda honest: honest[:-5], "no answer"),
    "no HTTP": (lambda _: b"\x00\xff garbage\r\n\r\n", "no answer"),
    "nothing": (lambda _: b"", "no answer"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_an_answer_that_is_not_exact_is_no_answer(house: House, nursery: trio.Nursery, name: str) -> None:
    raw, says = BAD_ANSWERS[name]
    server = await server_of(True, raw=raw).start(nursery)
    puppet = Puppet()
    text = with_opa(server.port)
    async with house.kernel(puppet, policy=text) as kernel:
        answer = await ask(kernel)
    assert answer.reason_code == ReasonCode.PDP_ERROR
    assert says in answer.reason
    assert puppet.orders == []
    assert len(judged(house, house.sign(text).policy)) == 1


async def test_a_dead_point_stops_its_own_calls_and_no_other(house: House, nursery: trio.Nursery) -> None:
    server = await server_of(True).start(nursery)
    async with house.kernel(policy=with_opa(1)) as kernel:  # nobody listens there
        answer, plain = await ask(kernel), await kernel.call("read", {}, principal="agent")
    assert server.inputs == []
    assert (answer.reason_code, plain.allowed) == (ReasonCode.PDP_ERROR, True)
    assert "no answer: ConnectError" in answer.reason


async def test_a_point_that_never_answers_is_waited_for_until_its_deadline(house: House, nursery: trio.Nursery) -> None:
    server = await server_of(True, hold=trio.sleep_forever).start(nursery)
    async with house.kernel(policy=with_opa(server.port, more="deadline_ms = 50")) as kernel:
        answer = await ask(kernel)
    assert (answer.reason_code, answer.reason) == (
        ReasonCode.PDP_ERROR,
        "the decision point remote: no answer within 50 ms",
    )


async def test_a_slow_point_holds_its_own_places_and_other_calls_go_on(house: House, nursery: trio.Nursery) -> None:
    go = trio.Event()
    server = await server_of(True, hold=go.wait).start(nursery)
    answers: list[Answer] = []

    async def one() -> None:
        answers.append(await ask(kernel))

    async with house.kernel(policy=with_opa(server.port, more="places = 2")) as kernel:
        async with trio.open_nursery() as callers:
            for _ in range(2):
                callers.start_soon(one)
            await server.asked(2)
            third, plain = await ask(kernel), await kernel.call("read", {}, principal="agent")
            go.set()
        after = await ask(kernel)
    assert (third.reason_code, plain.allowed) == (ReasonCode.PDP_ERROR, True)
    assert "2 questions are under way already" in third.reason
    assert [answer.allowed for answer in (*answers, after)] == [True, True, True]
    assert server.most_under_way <= 2


class Swap:
    """What happens between question and answer, once."""

    def __init__(self) -> None:
        self.asked, self.go = trio.Event(), trio.Event()

    async def __call__(self) -> None:
        self.asked.set()
        await self.go.wait()

    async def during(self, kernel: Kernel, act: Callable[[], Any]) -> Answer:
        """Make a call, do `act` while its answer is outstanding, and return what became of the call."""
        answers: list[Answer] = []

        async def one() -> None:
            answers.append(await ask(kernel))

        async with trio.open_nursery() as callers:
            callers.start_soon(one)
            await self.asked.wait()
            await act()
            self.go.set()
        return answers[0]


async def test_an_answer_given_under_another_policy_is_not_taken(house: House, nursery: trio.Nursery) -> None:
    swap, puppet = Swap(), Puppet()
    server = await server_of(True, hold=swap).start(nursery)
    text = with_opa(server.port)
    newer = house.sign(text.replace("epoch = 7", "epoch = 8"))
    async with house.kernel(puppet, policy=text) as kernel:
        answer = await swap.during(kernel, lambda: kernel.activate(newer, kernel.executor.connectors))
        again = await ask(kernel)
    assert answer.reason_code == ReasonCode.PDP_ERROR
    assert "under another policy" in answer.reason
    assert (again.allowed, len(puppet.orders)) == (True, 1)


async def test_an_answer_that_is_older_than_its_bound_is_not_taken(house: House, nursery: trio.Nursery) -> None:
    swap = Swap()
    server = await server_of(True, hold=swap).start(nursery)

    async def hours_pass() -> None:
        house.clock.advance(3600)

    async with house.kernel(policy=with_opa(server.port)) as kernel:
        answer = await swap.during(kernel, hours_pass)
    assert answer.reason_code == ReasonCode.PDP_ERROR
    assert "is older than" in answer.reason


async def test_a_clock_that_is_set_back_makes_no_answer_young(house: House, nursery: trio.Nursery) -> None:
    swap = Swap()
    server = await server_of(True, hold=swap).start(nursery)

    async def back() -> None:
        house.clock.advance(-3600)

    async with house.kernel(policy=with_opa(server.port)) as kernel:
        answer = await swap.during(kernel, back)
    assert answer.reason_code == ReasonCode.PDP_ERROR


async def test_a_session_that_was_tainted_meanwhile_is_another_question(house: House, nursery: trio.Nursery) -> None:
    swap = Swap()
    server = await server_of(True, hold=swap).start(nursery)

    async def taint() -> None:
        caller = Caller(tenant="local", principal="agent", session_id="default", context=CallContext(labels=("web",)))
        await kernel.govern(admit(caller, "read", {}, PLAIN))

    async with house.kernel(policy=with_opa(server.port)) as kernel:
        answer = await swap.during(kernel, taint)
    assert answer.reason_code != ReasonCode.NONE
    assert not answer.allowed


async def test_a_kernel_that_ends_while_a_point_is_asked_has_judged_nothing(
    house: House, nursery: trio.Nursery
) -> None:
    swap, told = Swap(), []
    server = await server_of(True, hold=swap).start(nursery)

    async def one(kernel: Kernel) -> None:
        with pytest.raises(KernelStopped) as stopped:
            await ask(kernel)
        told.append(stopped.value.unknown)

    async with trio.open_nursery() as callers, house.kernel(policy=with_opa(server.port)) as kernel:
        callers.start_soon(one, kernel)
        await swap.asked.wait()
    assert told == [False]


async def test_a_token_is_read_from_its_file_for_each_question(
    house: House, nursery: trio.Nursery, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    server = await server_of(True, token="second").start(nursery)
    async with house.kernel(policy=with_opa(server.port, more=f'token_file = "{token}"')) as kernel:
        refused = await ask(kernel)
        token.write_text("second\n")
        allowed = await ask(kernel)
        token.write_text("two words\n")
        odd = await ask(kernel)
        token.unlink()
        gone = await ask(kernel)
    assert "HTTP 401" in refused.reason
    assert allowed.allowed
    assert "holds no token" in odd.reason
    assert "cannot be read" in gone.reason
    assert "first" not in refused.reason


async def test_cedar_is_asked_in_the_guardians_own_step(house: House) -> None:
    policy = house.sign(WITH_CEDAR).policy
    async with house.kernel(policy=WITH_CEDAR) as kernel:
        answers = [
            await kernel.call("weighed", {"n": n}, principal=principal, session=principal)
            for principal, n in (("agent", 7), ("agent", 700), ("agent", 13), ("stranger", 7), ("agent", 5000))
        ]
    codes = [answer.reason_code for answer in answers]
    assert codes == [ReasonCode.NONE, *(3 * [ReasonCode.PDP_DENY]), ReasonCode.PDP_ERROR]
    assert answers[1].reason == "the decision point house: no policy permits it"
    assert answers[2].reason == "the decision point house: forbidden by 'no-thirteen'"
    decisions = judged(house, policy)
    assert {one["pdp_policy_hash"] for one in decisions} == {policy.points["house"].content_hash}
    assert all(one["facts"]["world"]["pdp"] is None for one in decisions)


async def test_a_delegate_is_shown_with_its_delegator(house: House, nursery: trio.Nursery) -> None:
    server = await server_of(lambda told: told["delegator"] == "boss").start(nursery)
    text = with_opa(server.port).replace('["agent", "other"]', '["agent", "boss", "delegate"]')
    one = grant(house.place, house.clock.now_ms(), {"asked": ""})
    async with house.kernel(policy=policy_of(house.place, text)) as kernel:
        await kernel.command(BindDelegation(one, signature(one, house.place), kernel.parts.state.registry))
        answer = await kernel.call("asked", {"n": 1}, principal="delegate", tenant="default", terms=under(one, 1))
        again = await kernel.call("asked", {"n": 1}, principal="delegate", tenant="default", terms=under(one, 1))
    assert (answer.reason, again.reason_code) == ("", ReasonCode.DELEGATION_INVALID)
    assert [told["delegator"] for told in server.inputs] == ["boss"]


async def test_two_calls_under_one_sequence_that_wait_together_are_one_call(
    house: House, nursery: trio.Nursery
) -> None:
    go = trio.Event()
    server = await server_of(True, hold=go.wait).start(nursery)
    text = with_opa(server.port).replace('["agent", "other"]', '["agent", "boss", "delegate"]')
    one, answers = grant(house.place, house.clock.now_ms(), {"asked": ""}), []

    async def call() -> None:
        answers.append(
            await kernel.call("asked", {"n": 1}, principal="delegate", tenant="default", terms=under(one, 1))
        )

    async with house.kernel(policy=policy_of(house.place, text)) as kernel:
        await kernel.command(BindDelegation(one, signature(one, house.place), kernel.parts.state.registry))
        async with trio.open_nursery() as callers:
            callers.start_soon(call)
            callers.start_soon(call)
            await server.asked(2)
            go.set()
    assert sorted(answer.reason_code for answer in answers) == [ReasonCode.NONE, ReasonCode.DELEGATION_INVALID]


async def test_a_freeze_that_comes_while_a_point_is_asked_is_in_force(house: House, nursery: trio.Nursery) -> None:
    swap = Swap()
    server = await server_of(True, hold=swap).start(nursery)
    puppet = Puppet()

    async def freeze() -> None:
        kernel.memory.freezes.in_force.add(("global", ""))

    async with house.kernel(puppet, policy=with_opa(server.port)) as kernel:
        answer = await swap.during(kernel, freeze)
    assert answer.reason_code == ReasonCode.SYSTEM_FROZEN
    assert puppet.orders == []


async def test_calls_that_wait_together_do_not_spend_one_budget_twice(house: House, nursery: trio.Nursery) -> None:
    go = trio.Event()
    server = await server_of(True, hold=go.wait).start(nursery)
    budget = '[[budgets]]\nid = "thrifty"\nsubject = "tool:asked"\nspend_limit_cents = 7\nwindow_s = 3600\n'
    text = with_opa(server.port).replace("[[budgets]]", budget + "\n[[budgets]]", 1)
    answers: list[Answer] = []

    async def call() -> None:
        answers.append(await ask(kernel))

    async with house.kernel(policy=text) as kernel, trio.open_nursery() as callers:
        for _ in range(6):
            callers.start_soon(call)
        await server.asked(6)
        go.set()
    codes = sorted(answer.reason_code for answer in answers)
    assert codes == [*(2 * [ReasonCode.NONE]), *(4 * [ReasonCode.BUDGET_EXCEEDED])]


async def test_no_human_is_asked_about_what_the_point_refuses(house: House, nursery: trio.Nursery) -> None:
    server = await server_of(lambda told: told["arguments"]["n"] == 1).start(nursery)
    text = with_opa(server.port).replace("spend_cents = 3", "spend_cents = 3\napproval = { required = true }")
    async with house.kernel(policy=text) as kernel:
        refused, escalated = await ask(kernel, 2), await ask(kernel, 1)
    assert refused.reason_code == ReasonCode.PDP_DENY
    assert escalated.reason_code == ReasonCode.APPROVAL_REQUIRED


async def test_a_new_policy_that_needs_no_point_is_the_one_that_judges(house: House, nursery: trio.Nursery) -> None:
    swap = Swap()
    server = await server_of(False, hold=swap).start(nursery)
    text = with_opa(server.port)
    newer = text.replace("epoch = 7", "epoch = 8").replace(
        'decision_point = { name = "remote", arguments = ["n"] }', ""
    )
    async with house.kernel(policy=text) as kernel:
        answer = await swap.during(kernel, lambda: kernel.activate(house.sign(newer), kernel.executor.connectors))
    assert answer.allowed


async def test_a_new_policy_may_ask_another_server_under_the_same_name(house: House, nursery: trio.Nursery) -> None:
    one, other = await server_of(True).start(nursery), await server_of(False).start(nursery)
    newer = house.sign(with_opa(other.port).replace("epoch = 7", "epoch = 8"))
    async with house.kernel(policy=with_opa(one.port)) as kernel:
        first = await ask(kernel)
        await kernel.activate(newer, kernel.executor.connectors)
        second = await ask(kernel)
    assert (first.allowed, second.reason_code) == (True, ReasonCode.PDP_DENY)
    assert (len(one.inputs), len(other.inputs)) == (1, 1)


async def test_a_duplicate_under_the_same_key_asks_nobody_again(house: House, nursery: trio.Nursery) -> None:
    server = await server_of(True).start(nursery)
    terms = Terms(idempotency_key="once")
    async with house.kernel(policy=with_opa(server.port)) as kernel:
        first, again = await ask(kernel, terms=terms), await ask(kernel, terms=terms)
    assert (first.allowed, again.replayed, len(server.inputs)) == (True, True, 1)


async def test_what_points_said_is_judged_again_from_a_pack(house: House, nursery: trio.Nursery) -> None:
    server = await server_of(lambda told: told["arguments"]["n"] < 10).start(nursery)
    async with house.kernel(policy=with_opa(server.port) + CEDAR) as kernel:
        for n in (1, 11):
            await ask(kernel, n, session="one")
        for n in (7, 700, 5000):
            await kernel.call("weighed", {"n": n}, principal="agent", session="one")
    selection = Selection("local", "one")
    for row in house.disk.rows:
        selection.take(reread(row))
    pack = build(PackMaterial(selection=selection, script=SCRIPT.read_bytes()), house.place.evidence_key())
    replayed = replay_pack(check_pack(pack, TrustRoot(log_id=house.place.log_id)))
    assert (replayed.judged, replayed.redacted) == (5, 0)


async def test_an_overlay_leaves_the_point_in_its_place(house: House, nursery: trio.Nursery) -> None:
    server = await server_of(lambda told: told["arguments"]["n"] < 10).start(nursery)
    async with house.kernel(policy=with_opa(server.port) + CEDAR) as kernel:
        await narrow(kernel, house.place, principals=["agent"], remove_tools=["read"])
        allowed, refused = await ask(kernel, 1), await ask(kernel, 11)
        forbidden = await kernel.call("weighed", {"n": 13}, principal="agent")
    assert (allowed.allowed, refused.reason_code) == (True, ReasonCode.PDP_DENY)
    assert forbidden.reason_code == ReasonCode.PDP_DENY
    assert len(server.inputs) == 2


async def test_an_overlay_that_comes_while_a_point_is_asked_makes_it_another_question(
    house: House, nursery: trio.Nursery
) -> None:
    swap = Swap()
    server = await server_of(True, hold=swap).start(nursery)
    async with house.kernel(policy=with_opa(server.port)) as kernel:
        answer = await swap.during(
            kernel, lambda: narrow(kernel, house.place, principals=["agent"], remove_tools=["read"])
        )
    assert answer.reason_code == ReasonCode.PDP_ERROR
    assert "under another policy" in answer.reason


async def test_a_question_that_is_under_way_when_another_server_takes_its_name_ends_no_kernel(
    house: House, nursery: trio.Nursery
) -> None:
    swap = Swap()
    slow, other = await server_of(True, hold=swap).start(nursery), await server_of(True).start(nursery)
    newer = house.sign(with_opa(other.port).replace("epoch = 7", "epoch = 8"))

    async def replace() -> None:
        await kernel.activate(newer, kernel.executor.connectors)
        assert (await ask(kernel)).allowed

    async with house.kernel(policy=with_opa(slow.port)) as kernel:
        late = await swap.during(kernel, replace)
        after = await ask(kernel)
    assert (late.reason_code, after.allowed) == (ReasonCode.PDP_ERROR, True)
