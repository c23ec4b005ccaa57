"""Holding what a host saw against what the boundary let through: the best call for each connection, and the drift.

A call is a candidate for a connection only at its time: from its decision to its end, five minutes to either side. Of
the candidates the one that says most of who spoke is taken: identity, then process, then destination alone. Where the
recorder names an agent or a sandbox, a call of another one is no candidate, however well the destination fits. Among
equals the call to the same place counts before others, one decided by then before a later one, the nearer in time
before the further, a refusal before an allowed call (nobody gets the benefit of a doubt), and the earlier in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from ipaddress import ip_address
from typing import Final

import attrs

from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status, Verdict
from helm.evidence.drift import TYPE, VERSION, Drift
from helm.evidence.host_receipt import HostReceipt
from helm.evidence.layout import HOST
from helm.evidence.reading import Reading, Told
from helm.evidence.sets import compile_named
from helm.guardian.address import reached_address
from helm.guardian.destination import DEFAULT_PORTS, Destination, normalise
from helm.guardian.policy import Policy

WINDOW_MS: Final = 5 * 60 * 1000
"""How far from a call a connection may be seen that belongs to it: clocks differ, and connections outlive answers."""

SKEW_MS: Final = 2_000
"""How much earlier than its call's decision a connection may be noted before another, decided by then, is preferred."""

MAX_SPAN_MS: Final = 7 * 24 * 3600 * 1000
"""Longest that a call is taken to last: each call stands in as many windows as it spans (T4)."""

MAX_COMPARISONS: Final = 20_000_000
"""Most pairs of call and connection that are looked at: some minutes of work (T4)."""


class Score(IntEnum):
    """How much of a connection a call explains, in hundredths."""

    NONE = 0
    DESTINATION = 65
    PROCESS = 85
    IDENTITY = 100


@attrs.frozen(kw_only=True)
class Call:
    """What of a call a connection is held against."""

    told: Told
    begins_ms: int
    ends_ms: int
    destination: Destination | None
    """Where it was let go to, or wanted to; None for a call that reaches no network, or was refused before it said."""
    principal: str
    lease_id: str
    processes: frozenset[str]
    """The names under which a process may have acted for it: connector, MCP server, guest's module."""
    let_go: bool
    """Whether it was allowed, and may have reached the world."""

    @property
    def receipt_id(self) -> str:
        """Its receipt, "" for a call whose receipt is not in the pack."""
        return self.told.receipt.receipt_id if self.told.receipt is not None else ""

    def distance_ms(self, at_ms: int) -> int:
        """Return how far a moment is from the call, 0 within it."""
        return max(self.begins_ms - at_ms, at_ms - self.ends_ms, 0)


@attrs.frozen(kw_only=True)
class Match:
    """One host receipt, the call that explains it best, and why; a drift where it does not explain it."""

    source: str
    receipt: HostReceipt
    score: Score
    call: Call | None
    why: tuple[str, ...]
    drift: tuple[tuple[ReasonCode, str], ...]

    def body(self) -> dict[str, JSONValue]:
        """Return the match as a JSON object."""
        told = self.call.told if self.call is not None else None
        return {
            "decision_id": told.decision.id if told is not None else "",
            "destination": spoken_to(self.receipt),
            "drift": [code.value for code, _ in self.drift],
            "host_receipt_hash": self.receipt.receipt_hash,
            "host_receipt_id": self.receipt.receipt_id,
            "receipt_id": self.call.receipt_id if self.call is not None else "",
            "score": self.score / 100,
            "source": self.source,
            "tool": told.decision.content.tool if told is not None else "",
            "why": [*self.why, *(reason for _, reason in self.drift)],
        }


@attrs.frozen
class Correlation:
    """What all connections of a pack come to."""

    matches: tuple[Match, ...]
    unseen: tuple[Call, ...]
    """Calls that went out while a recorder watched that is said to see everything, and that it did not see."""

    def drifts(self, reading: Reading, key_id: str) -> list[Drift]:
        """Return every disagreement, in the order of sources and of their receipts, as an evidence key signs it."""
        found = [*self._of_matches(), *self._of_unseen()]
        if reading.native is None:
            raise Invalid("there is no host evidence", HOST, "attach a chain first: helm evidence attach-host-chain")
        of_all: dict[str, JSONValue] = {
            "key_id": key_id,
            "log_id": reading.log_id,
            "manifest_hash": reading.native.manifest_hash,
            "total": len(found),
            "type": TYPE,
            "version": VERSION,
        }
        return [Drift(**of_all, **one, number=number) for number, one in enumerate(found, 1)]

    def _of_matches(self) -> Iterator[dict[str, JSONValue]]:
        for match in self.matches:
            for code, reason in match.drift:
                yield {
                    "at_ms": match.receipt.at_ms,
                    "decision_id": match.call.told.decision.id if match.call is not None else "",
                    "destination": spoken_to(match.receipt),
                    "host_receipt_hash": match.receipt.receipt_hash,
                    "reason": reason,
                    "reason_code": code.value,
                    "receipt_id": match.call.receipt_id if match.call is not None else "",
                    "source": match.source,
                }

    def _of_unseen(self) -> Iterator[dict[str, JSONValue]]:
        for call in self.unseen:
            yield {
                "at_ms": call.begins_ms,
                "decision_id": call.told.decision.id,
                "destination": str(call.destination),
                "host_receipt_hash": "",
                "reason": "the call went out, and no recorder saw it",
                "reason_code": ReasonCode.ERR_HOST_RECEIPT_MISSING.value,
                "receipt_id": call.receipt_id,
                "source": "",
            }


def correlate(reading: Reading, *, complete: bool = False) -> Correlation:
    """Return what the host receipts of a pack in which every check has held are explained by.

    With `complete`, the recorders are said to have seen every connection. Raises Invalid for more than is looked at.
    """
    windows = in_windows(calls_of(reading))
    ceilings, explained, matches = Ceilings(reading), set[str](), []
    comparisons = 0
    for source, chain in sorted(reading.chains.items()):
        for receipt in chain.receipts:
            near = windows.get(receipt.at_ms // WINDOW_MS, ())
            comparisons += len(near)
            if comparisons > MAX_COMPARISONS:
                raise Invalid("too many calls and connections at one time", HOST, "export and attach a shorter time")
            match = best(source, receipt, near)
            if match.call is not None and not match.drift:
                explained.add(match.call.told.node.node_hash)
                match = attrs.evolve(match, drift=ceilings.count(match.call, receipt.bytes_sent))
            matches.append(match)
    unseen = unseen_of(reading, explained) if complete else ()
    return Correlation(tuple(matches), tuple(unseen))


def calls_of(reading: Reading) -> list[Call]:
    """Return every call of a pack as a connection is held against it."""
    return [call_of(told) for told in reading.calls]


def call_of(told: Told) -> Call:
    """Return one call."""
    decision, record, receipt = told.decision.content, told.record.content, told.receipt
    connector = told.effect.connector if told.effect is not None else ""
    ended, status = (receipt.content.issued_at_ms, receipt.content.status) if receipt is not None else (0, "")
    open_end = decision.decided_at_ms + (MAX_SPAN_MS if told.outcome is None else 0)
    ends_ms = ended or open_end
    lease_id, module = (receipt.content.lease_id, receipt.content.module_hash) if receipt is not None else ("", "")
    return Call(
        told=told,
        begins_ms=decision.decided_at_ms,
        ends_ms=max(decision.decided_at_ms, min(ends_ms, decision.decided_at_ms + MAX_SPAN_MS)),
        destination=read_destination(record.destination),
        principal=decision.principal,
        lease_id=lease_id,
        processes=frozenset({connector, record.mcp_server_id, module} - {""}),
        let_go=decision.verdict == Verdict.ALLOW and status != Status.NOT_DISPATCHED,
    )


def read_destination(text: str) -> Destination | None:
    """Return where a call went, its port filled in where its scheme has one; None for nowhere."""
    try:
        found = normalise(text) if text else None
    except Refused:
        return None
    if found is None or found.port:
        return found
    return attrs.evolve(found, port=DEFAULT_PORTS.get(found.scheme, 0))


def in_windows(calls: Iterable[Call]) -> dict[int, list[Call]]:
    """Return the calls near each window of time, in the order of the log."""
    windows: dict[int, list[Call]] = {}
    for call in calls:
        first, last = (call.begins_ms - WINDOW_MS) // WINDOW_MS, (call.ends_ms + WINDOW_MS) // WINDOW_MS
        for number in range(first, last + 1):
            windows.setdefault(number, []).append(call)
    return windows


def best(source: str, receipt: HostReceipt, near: Iterable[Call]) -> Match:
    """Return the call that explains a connection best, and what it leaves unexplained."""
    found = [(rank(one, call, receipt), one, call) for call in near if (one := score(call, receipt)) is not Score.NONE]
    if not found:
        reason = f"nothing that HELM let through explains a connection to {spoken_to(receipt)}"
        drift = ((ReasonCode.ERR_HOST_EGRESS_WITHOUT_INTENT, reason),)
        return Match(source=source, receipt=receipt, score=Score.NONE, call=None, why=(), drift=drift)
    _, won, call = max(found, key=lambda candidate: candidate[0])
    return Match(
        source=source, receipt=receipt, score=won, call=call, why=(reason_of(won),), drift=drift_of(call, receipt)
    )


def rank(won: Score, call: Call, receipt: HostReceipt) -> tuple[int, ...]:
    """Return how a candidate stands among others. Of those that stand alike the earlier in the log is first."""
    return (
        won,
        is_same_place(call, receipt),
        call.begins_ms <= receipt.at_ms + SKEW_MS,
        -call.distance_ms(receipt.at_ms),
        not call.let_go,
    )


def score(call: Call, receipt: HostReceipt) -> Score:
    """Return how much of a connection a call explains."""
    if call.distance_ms(receipt.at_ms) > WINDOW_MS:
        return Score.NONE
    lease, agent = receipt.sandbox_lease_id, receipt.agent_id
    if (lease and lease != call.lease_id) or (agent and agent != call.principal):
        return Score.NONE
    if lease:
        return Score.IDENTITY
    if call.destination is None and call.let_go:
        return Score.NONE
    if agent or receipt.workload_id == call.principal:
        return Score.IDENTITY
    if not call.processes.isdisjoint(receipt.processes):
        return Score.PROCESS
    return Score.DESTINATION if is_same_place(call, receipt) else Score.NONE


def reason_of(won: Score) -> str:
    """Return why a call was taken, in words."""
    return {
        Score.IDENTITY: "the recorder names the agent, the workload or the sandbox of this call",
        Score.PROCESS: "the recorder names a process that acts for this call",
    }.get(won, "the same destination within five minutes")


def is_same_place(call: Call, receipt: HostReceipt) -> bool:
    """Tell whether a connection went where a call wanted to go: the same name or address, and the same port.

    Where the call named a host, an address that the recorder knows no name of could be anybody's.
    """
    wanted = call.destination
    if wanted is None or wanted.port not in (0, receipt.port):
        return False
    if not wanted.is_ip:
        return wanted.host == receipt.host
    return reached_address(ip_address(wanted.host)) == receipt.address


def drift_of(call: Call, receipt: HostReceipt) -> tuple[tuple[ReasonCode, str], ...]:
    """Return what the call leaves unexplained of the connection: it was refused, never started, or went elsewhere."""
    decision, went = call.told.decision.content, spoken_to(receipt)
    if decision.verdict != Verdict.ALLOW:
        what = f"HELM said {decision.verdict} to {decision.tool}, and a connection to {went} was made"
        return ((ReasonCode.ERR_HOST_EGRESS_AFTER_DENY, what),)
    if not call.let_go:
        what = f"{decision.tool} was allowed and never started, and a connection to {went} was made"
        return ((ReasonCode.ERR_HOST_EGRESS_WITHOUT_INTENT, what),)
    if not is_same_place(call, receipt):
        what = f"{decision.tool} was let go to {call.destination or 'no network'}, and the connection went to {went}"
        return ((ReasonCode.ERR_HOST_DESTINATION_MISMATCH, what),)
    return ()


def spoken_to(receipt: HostReceipt) -> str:
    """Return where a connection went, as people read it."""
    address = f"[{receipt.address}]" if ":" in str(receipt.address) else str(receipt.address)
    return f"{receipt.host or address}:{receipt.port}"


def unseen_of(reading: Reading, explained: set[str]) -> list[Call]:
    """Return the calls that succeeded over a network while a recorder watched, and that nothing was seen of."""
    spans = [(min(times), max(times)) for times in ([one.at_ms for one in c.receipts] for c in reading.chains.values())]
    return [
        call
        for call in calls_of(reading)
        if call.let_go
        and call.destination is not None
        and call.told.receipt is not None
        and call.told.receipt.content.status == Status.SUCCESS
        and call.told.node.node_hash not in explained
        and any(begins <= call.begins_ms and call.ends_ms <= ends for begins, ends in spans)
    ]


@attrs.define
class Ceilings:
    """What may leave, and what was seen to: for a tunnel by itself, and for every budget that counts bytes."""

    reading: Reading
    policies: dict[str, Policy] = attrs.field(factory=dict)
    sent: dict[tuple[str, int], int] = attrs.field(factory=dict)

    def count(self, call: Call, amount: int) -> tuple[tuple[ReasonCode, str], ...]:
        """Count bytes that left for a call; return the drift where they are more than was ever allowed."""
        decision = call.told.decision.content
        policy = self._policy(decision.policy_hash)
        rule = policy.tools.get(decision.tool)
        bounds = [((call.told.node.node_hash, 0), rule.sends_bytes, "the call")] if rule and rule.sends_bytes else []
        for account, window_start_ms, *_ in decision.budget_reservation:
            budget = policy.budgets_by_id.get(account.partition("/")[0])
            if budget is not None and budget.egress_limit_bytes is not None:
                bounds.append(((account, window_start_ms), budget.egress_limit_bytes, f"budget {account}"))
        for place, _, _ in bounds:
            self.sent[place] = self.sent.get(place, 0) + amount
        over = [(limit, name, self.sent[place]) for place, limit, name in bounds if self.sent[place] > limit]
        words = [f"{name} may send {limit} bytes, and {sent} left" for limit, name, sent in over]
        return tuple((ReasonCode.ERR_HOST_VOLUME_EXCEEDED, what) for what in words[:1])

    def _policy(self, policy_hash: str) -> Policy:
        if policy_hash not in self.policies:
            self.policies[policy_hash] = compile_named(policy_hash, self.reading.members)
        return self.policies[policy_hash]
