"""Check that node, decision, record and receipt of every call tell one story."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.contracts.verdict import Verdict
from helm.evidence.check_layers import Bound
from helm.evidence.part import PartNode
from helm.evidence.reading import CHANGED, Reading, Told
from helm.evidence.story import check_record, check_story
from helm.proofgraph.node import NodeKind


class Stories:
    """Node, decision, record and receipt of every call tell one story."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.bound = Bound(reading)
        self.decided: set[int] = set()
        """The number in each decision's id: some hundred bytes a call, all that is held of it."""

    def take(self, node: PartNode) -> None:
        """Check the call of the next node, or the outcome that it brings."""
        reading, told = self.reading, self.reading.told
        if told is not None:
            self._take_call(told, node)
        elif node.kind == NodeKind.EFFECT:
            told = reading.told = self._intent_of(node)
            told.outcome = node
        if told is None or reading.sealed is None:
            return
        told.receipt = reading.sealed
        check_story(reading.sealed.content, told.decision, told.record, told.intent_node, told.node.payload_at)

    def _take_call(self, told: Told, node: PartNode) -> None:
        where = node.payload_at
        check_decided(told, self.reading.log_id, where)
        check_record(told.record.content, told.decision, where)
        self.bound.check(told, where)
        number = int(told.decision.id.removeprefix("dec_"), 16)
        if number in self.decided:
            raise Invalid("tells a decision a second time", where, CHANGED)
        self.decided.add(number)
        self.reading.used.add(told.decision.content.policy_hash)
        if node.kind == NodeKind.INTENT:
            self.reading.open[node.node_hash] = told
        else:
            told.outcome = node

    def _intent_of(self, node: PartNode) -> Told:
        """Return the intent that an effect ends. Raises Invalid."""
        intent = self.reading.open.pop(node.payload["intent_node"], None)
        if intent is None:
            what = "an effect without an open intent: no permission, or a second outcome"
            raise Invalid(what, node.where, CHANGED)
        if (node.session, node.principal) != (intent.node.session, intent.node.principal):
            raise Invalid("an effect of another session or principal than its intent", node.where, CHANGED)
        return intent

    def end(self) -> None:
        """Nothing is left: whether open intents are listed, `complete` says."""


def check_decided(told: Told, log_id: str, where: str) -> None:
    """Raise Invalid unless the decision is of this log, this kernel, and its node's session and kind."""
    decision, node = told.decision.content, told.node
    said = (decision.tenant, decision.session_id), decision.principal, decision.log_id
    if said != (node.session, node.principal, log_id):
        raise Invalid("node and decision are not about the same call", where, CHANGED)
    if (decision.verdict == Verdict.ALLOW) != (node.kind == NodeKind.INTENT):
        raise Invalid(f"a decision to {decision.verdict} in a node of kind {node.kind}", where, CHANGED)
    if decision.kernel_epoch != told.kernel_epoch:
        what = f"decided in kernel epoch {decision.kernel_epoch}, written in {told.kernel_epoch}"
        raise Invalid(what, where, CHANGED)
