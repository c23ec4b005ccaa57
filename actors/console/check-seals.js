// Check of the seals: decisions, records, effects and facts hash to what names them.

import { canonical, need, shape, without } from "./pack-exact.js";
import { hashIn, short } from "./pack-digest.js";
import { isOver, next, payloadOf } from "./check-graph.js";
import { DECISION, EFFECT, ESCALATING, INTENT, OUTCOME, REASONS, RECORD, REFUSAL } from "./pack-tables.js";

const EDITED = "it was edited";
const IS = { s: (value) => typeof value === "string", i: Number.isSafeInteger };
const RESERVATION = "siiiii", VELOCITY = "siisisi";

/** What is kept of a call: of its decision, only what a later check asks of every call. */
class Call {
  constructor(node, decision, hash, recordHash) {
    this.node = node;
    this.hash = hash;
    this.id = short("dec_", hash);
    this.recordHash = recordHash;
    this.approvalId = decision.approval_id;
    this.decidedAtMs = decision.decided_at_ms;
    this.policyHash = decision.policy_hash;
    this.riskTier = decision.risk_tier;
    this.verdict = decision.verdict;
    this.outcome = null;
    this.receipt = null;
  }
}

export function* checkSeals(s) {
  Object.assign(s, { calls: [], effects: [], redacted: 0 });
  const facts = s.files.shards("facts");
  for (const [index, node] of s.nodes.entries()) {
    if (node.kind === "EFFECT") {
      shape(node.payload, OUTCOME, node.where);
      need(node.payload.type === "EFFECT", `${node.where}: of another type`);
      node.receiptHash = node.payload.receipt_hash;
      s.effects.push(node);
    } else if (node.isCall) {
      s.calls.push(checkCall(s, node, next(facts, `${node.where}: its facts`).raw));
    }
    yield index / s.nodes.length;
  }
  isOver(facts, "facts");
}

function checkCall(s, node, facts) {
  const payload = payloadOf(s, node), { where } = node, isIntent = node.kind === "INTENT";
  shape(payload, isIntent ? INTENT : REFUSAL, where);
  need(payload.type === (isIntent ? "INTENT" : "REFUSAL"), `${where}: of another type`);
  const decision = shape(without(payload.decision, "decision_id"), DECISION, where), hash = hashIn("Decision", canonical(decision));
  const { record } = payload, recordHash = record.record_hash;
  const call = new Call(node, decision, hash, recordHash);
  need(payload.decision.decision_id === call.id, `${where}: ${EDITED}`);
  checkDecision(decision, where);
  shape(without(record, "record_id", "record_hash"), RECORD, where);
  need(hashIn("Record", canonical(without(record, "record_hash"))) === recordHash, `${where}: ${EDITED}`);
  need(record.record_id === `rec_${record.decision_id.replace(/^dec_/, "")}`, `${where}: ${EDITED}`);
  if (isIntent) need(short("eff_", hashIn("Effect", canonical(shape(payload.effect, EFFECT, where)))) === decision.effect_id, `${where}: ${EDITED}`);
  else node.receiptHash = payload.receipt_hash;
  if (facts.length) need(hashIn("Facts", facts) === decision.facts_hash, `${where}: other facts`);
  else s.redacted += 1;
  return call;
}

const isOf = (value, kinds) => Array.isArray(value) && value.length === kinds.length && value.every((one, at) => IS[kinds[at]](one));

function checkDecision(decision, where) {
  need(decision.budget_reservation.every((usage) => isOf(usage, RESERVATION)), `${where}: an odd reservation`);
  need(decision.velocity.every((tick) => isOf(tick, VELOCITY)), `${where}: an odd velocity`);
  checkVerdict(decision.verdict, decision.reason_code, where);
}

export function checkVerdict(verdict, reason, where) {
  const fits = { ALLOW: reason === "", ESCALATE: ESCALATING.has(reason), DENY: REASONS.has(reason) && !ESCALATING.has(reason) };
  need(Object.hasOwn(fits, verdict) && fits[verdict], `${where}: a ${verdict} cannot carry the reason code '${reason}'`);
}

/** Return the payload of a call again: its decision without its name, and its record. */
export function told(s, call) {
  const { decision, record } = payloadOf(s, call.node);
  return { decision: without(decision, "decision_id"), record };
}
