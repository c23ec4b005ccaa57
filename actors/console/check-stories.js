// Check of the stories: node, decision, record and receipt of every call say the same.

import { byCodePoint, canonical, need } from "./pack-exact.js";
import { hashIn } from "./pack-digest.js";
import { activation, setOf } from "./check-policies.js";
import { receiptOf } from "./check-receipts.js";
import { told } from "./check-seals.js";
import { sessionOf } from "./pack-state.js";
import { REASONS } from "./pack-tables.js";

const words = (text) => text.split(" ");
const SAME = words("args_hash effect_id tenant session_id principal tool policy_hash policy_epoch risk_tier log_id verdict idempotency_key door transport sandbox_grant_hash");
const SAME_IN_RECORD = words("args_hash authz_snapshot_hash input_schema_hash log_id policy_epoch policy_hash principal reason reason_code sandbox_grant_hash session_id tenant verdict");
const OF_INTENT = words("args_hash delegation_id effect_id principal session_id tenant tool");
const OF_A_RUN = words("fuel_used lease_id module_hash sandbox_limits trap");
const EXECUTED = words("SUCCESS FAILED NOT_DISPATCHED INTERRUPTED INDETERMINATE");
const OUTCOMES = { ALLOW: EXECUTED, DENY: ["DENIED"], ESCALATE: ["ESCALATED"] };

export function* checkStories(s) {
  const intents = new Map();
  for (const call of s.calls) {
    if (call.node.kind === "INTENT") intents.set(call.node.hash, call);
    else call.outcome = call.node;
  }
  for (const node of s.effects) {
    const call = intents.get(node.payload.intent_node);
    need(call !== undefined && call.outcome === null && call.node.lamport < node.lamport, `${node.where}: an effect without an open intent`);
    need(node.session === call.node.session && node.principal === call.node.principal, `${node.where}: an effect of another session or principal than its intent`);
    call.outcome = node;
  }
  const seen = new Set();
  for (const [index, call] of s.calls.entries()) {
    if (call.outcome !== null && !s.condensed.has(call.outcome.receiptHash)) call.receipt = s.links.get(call.outcome.receiptHash) ?? null;
    checkCall(s, call);
    need(!seen.has(call.id), `${call.node.where}: tells a decision a second time`);
    seen.add(call.id);
    yield index / s.calls.length;
  }
}

function checkCall(s, call) {
  const { decision, record } = told(s, call), { node } = call, { where } = node;
  const whose = sessionOf(decision.tenant, decision.session_id) === node.session && decision.principal === node.principal && decision.log_id === s.logId;
  need(whose, `${where}: node and decision are of two calls`);
  need((decision.verdict === "ALLOW") === (node.kind === "INTENT"), `${where}: another verdict than the node's`);
  need(decision.kernel_epoch === s.epochs.filter((lamport) => lamport <= node.lamport).length, `${where}: decided by another kernel than wrote it`);
  for (const name of SAME_IN_RECORD) need(record[name] === decision[name], () => `${where}: the record has another ${name}`);
  const approvals = decision.approval_id ? [decision.approval_id] : [];
  const isHis = record.decision_id === call.id && record.approval_ids.length === approvals.length && record.approval_ids[0] === approvals[0] && record.created_at_ms === decision.decided_at_ms;
  need(isHis, `${where}: the record is of another decision`);
  need(record.tool_effect === decision.effect_type && record.tool_name === decision.tool, `${where}: the record is of another tool`);
  const intent = Object.fromEntries(OF_INTENT.map((name) => [name, decision[name]]));
  need(decision.intent_hash === (decision.effect_id ? hashIn("Intent", canonical(intent)) : ""), `${where}: the intent_hash is not that of the call`);
  if (decision.policy_hash) checkBound(s, decision, node, where);
  if (call.receipt !== null) checkOutcome(call, decision, receiptOf(s, call.receipt), where);
}

/** A call was decided under a bundle that was active, and the overlays that bound its caller. */
function checkBound(s, decision, node, where) {
  let bundle = decision.policy_hash, overlays = [];
  if (!s.active.has(activation(bundle, decision.policy_epoch))) {
    const found = setOf(s, bundle);
    need(found !== null, `${where}: decided under a policy not in force`);
    ({ bundle, overlays } = found);
    const ceilings = Object.keys(found.p0).length ? hashIn("P0", canonical(found.p0)) : decision.p0_ceiling_hash;
    need(ceilings === decision.p0_ceiling_hash, `${where}: decided under other ceilings`);
  }
  need((s.active.get(activation(bundle, decision.policy_epoch)) ?? node.lamport) < node.lamport, `${where}: decided under a policy not in force`);
  const grant = s.delegations.get(decision.delegation_id), names = new Set([decision.principal]);
  if (grant?.tenant === decision.tenant && grant.boundAt < node.lamport) names.add(grant.delegator);
  const states = s.overlaid.filter(([since]) => since < node.lamport).map(([, state]) => state);
  const possible = node.kind === "INTENT" ? states.slice(-1) : states;
  const isBound = possible.some((state) => canonical(overlaysOf(state, decision.tenant, names)) === canonical(overlays));
  need(isBound, `${where}: decided under other overlays than those that bound its caller`);
}

/** Return the hashes of the overlays that bind one of these principals in a tenant. */
function overlaysOf(state, tenant, names) {
  const binds = ({ principals, tenants }) => (!tenants.length || tenants.includes(tenant)) && (!principals.length || principals.some((one) => names.has(one)));
  return [...state].sort(([one], [other]) => byCodePoint(one, other)).map(([, command]) => command).filter(binds).map((command) => command.overlay_hash);
}

function checkOutcome(call, decision, receipt, where) {
  const intentNode = call.outcome === call.node ? "" : call.node.hash;
  for (const name of SAME) need(receipt[name] === decision[name], () => `${where}: the receipt has another ${name}`);
  const isHis = receipt.decision_id === call.id && receipt.decision_hash === call.hash && receipt.record_hash === call.recordHash && receipt.intent_node === intentNode;
  need(isHis, `${where}: the receipt is of another call`);
  need(intentNode || receipt.reason_code === decision.reason_code, `${where}: the receipt refuses for another reason`);
  need(receipt.reason_code === "" || REASONS.has(receipt.reason_code), `${where}: an unknown reason code`);
  need(OUTCOMES[decision.verdict].includes(receipt.status), `${where}: an outcome that its verdict does not permit`);
  const succeeded = receipt.status === "SUCCESS";
  need((intentNode === "") === (receipt.verdict !== "ALLOW"), `${where}: an intent too many or too few`);
  need((receipt.output_hash !== "") === succeeded && succeeded === (receipt.reason_code === ""), `${where}: an odd outcome`);
  if (OF_A_RUN.some((name) => (Array.isArray(receipt[name]) ? receipt[name].length : receipt[name]))) checkRun(receipt, where);
}

/** The evidence of a run is there as a whole; its limits can be read in one way; no answer comes after a trap. */
function checkRun(receipt, where) {
  const limits = receipt.sandbox_limits;
  need(limits.every(([, limit]) => limit >= 0), `${where}: a limit below nothing`);
  need(receipt.intent_node && receipt.lease_id && receipt.module_hash && limits.length, `${where}: odd evidence of a run`);
  need(limits.every(([name], at) => at === 0 || byCodePoint(limits[at - 1][0], name) < 0), `${where}: limits that are not in order`);
  need(!(receipt.trap && receipt.status === "SUCCESS"), `${where}: an answer after a trap`);
}
