// Check of the approvals: every one that a call relied on was agreed to by its quorum, for this very call, and used once.

import { canonical, isReason, need, shape } from "./pack-exact.js";
import { hashIn } from "./pack-digest.js";
import { receiptOf } from "./check-receipts.js";
import { told } from "./check-seals.js";
import { keyAt } from "./check-trust.js";
import { sessionOf } from "./pack-state.js";
import { ASSERTION, CHALLENGE, OVERRIDES } from "./pack-tables.js";

const MOST_CHALLENGES = 1000;
const POSSIBLE = new Map([
  ["approve", ["PENDING", "DISPUTED"]],
  ["deny", ["PENDING", "DISPUTED"]],
  ["revoke", ["APPROVED"]],
  ["dispute", ["APPROVED"]],
  ["override", ["PENDING", "DISPUTED"]],
  ["review", ["APPROVED", "CONSUMED", "EXPIRED", "REVOKED", "DISPUTED"]],
]);
const AFTER = new Map([["deny", "DENIED"], ["revoke", "REVOKED"], ["override", "APPROVED"]]);
const CHALLENGED = ["approve", "dispute", "override", "review"];
const EXPIRING = ["PENDING", "DISPUTED", "APPROVED"];
const SHOWN = ["approval_id", "args_hash", "intent_hash", "principal", "session_id", "tenant", "tool"];

export function* checkApprovals(s) {
  s.approvals = new Map();
  const calls = new Map(s.calls.map((call) => [call.node.hash, call]));
  const outcomes = new Map(s.calls.filter((call) => call.approvalId && call.outcome !== null && call.receipt !== null).map((call) => [call.outcome.hash, call]));
  for (const [index, node] of s.nodes.entries()) {
    if (calls.has(node.hash)) takeApproval(s, calls.get(node.hash));
    else if (node.kind === "EFFECT") release(s, outcomes.get(node.hash));
    else if (node.kind === "ATTESTATION") seen(s, node);
    yield index / s.nodes.length;
  }
}

function seen(s, node) {
  if (node.type === "APPROVAL_CHALLENGED") return checkChallenge(s, node);
  if (node.type === "APPROVAL_ASSERTED") return checkAssertion(s, node);
  if (node.type !== "APPROVALS_UNLOCKED" && node.type !== "APPROVALS_EXPIRED") return undefined;
  for (const one of node.payload.approval_ids.map((name) => s.approvals.get(name)).filter(Boolean)) {
    if (node.type === "APPROVALS_UNLOCKED") one.isUnlocked = true;
    else if (EXPIRING.includes(one.state)) one.state = "EXPIRED";
  }
  return undefined;
}

/** An approval whose call was not dispatched is not used up. */
function release(s, call) {
  if (call !== undefined && receiptOf(s, call.receipt).status === "NOT_DISPATCHED") s.approvals.get(call.approvalId).state = "APPROVED";
}

const isBoundAlike = (one, other) => ["intent_hash", "policy_hash", "p0_ceiling_hash"].every((name) => one[name] === other[name]);

function takeApproval(s, call) {
  const name = call.approvalId, { where } = call.node;
  if (call.verdict === "DENY" || (call.verdict === "ALLOW" && !name)) return;
  const { decision } = told(s, call);
  if (call.verdict === "ESCALATE" && decision.approval_quorum && !s.approvals.has(name)) {
    const isUnlocked = decision.approval_timelock_until_ms === 0;
    s.approvals.set(name, { asked: new Map(), challenges: 0, grants: [], review: "", state: "PENDING", isUnlocked, decision });
  } else if (call.verdict === "ALLOW") {
    const one = s.approvals.get(name);
    need(one !== undefined, `${where}: relies on an approval that nobody asked for`);
    need(isBoundAlike(one.decision, decision), `${where}: relies on the approval of another call`);
    need(one.state === "APPROVED" && decision.decided_at_ms < one.decision.approval_expires_at_ms, `${where}: relies on an approval that was ${one.state}`);
    one.state = "CONSUMED";
  }
}

function approvalOf(s, said, node) {
  const one = s.approvals.get(said.approval_id), { where } = node;
  need(one !== undefined, `${where}: is about an approval that nobody asked for`);
  const asked = one.decision;
  need(sessionOf(asked.tenant, asked.session_id) === node.session && asked.principal === node.principal, `${where}: stands in another session than its approval`);
  const isAbout = said.intent_hash === asked.intent_hash && said.policy_bundle_hash === asked.policy_hash && said.p0_ceiling_hash === asked.p0_ceiling_hash;
  need(isAbout && said.log_id === s.logId, `${where}: is about another call or log`);
  return one;
}

/** Check that a key may do this to an approval now, and return whose key it is. */
function checkPossible(one, action, keyId, atMs, where) {
  const asked = one.decision;
  need((POSSIBLE.get(action) ?? []).includes(one.state), `${where}: nobody can ${action} what is ${one.state}`);
  if (action === "review") need(one.review === "OPEN", `${where}: no override waits for a review`);
  else need(atMs < asked.approval_expires_at_ms, `${where}: its time was over`);
  if (action === "override") return "";
  const pairs = asked.approval_approvers.map((text) => text.split(" "));
  need(pairs.every((pair) => pair.length === 2), `${where}: approvers that cannot be read`);
  const owners = pairs.length ? new Map(pairs.map(([owner, key]) => [key, owner])) : new Map([[keyId, keyId]]);
  need(owners.has(keyId), `${where}: ${keyId} is none of its approvers`);
  const owner = owners.get(keyId);
  if (action === "approve") {
    need(owner !== asked.principal, `${where}: whoever asked agreed`);
    const agreed = one.grants.some((grant) => grant.includes(keyId) || grant.includes(owner));
    need(!agreed && one.isUnlocked, `${where}: agreed already, or before the timelock had elapsed`);
  }
  return owner;
}

/** Return the public key of whoever says something about an approval, for what it must be and in which role. */
const speaker = (s, said, one, lamport) => (said.action === "override" ? keyAt(s, said.key_id, "emergency", lamport) : keyAt(s, said.key_id, "approval", lamport, one.decision.approval_role));

function checkChallenge(s, node) {
  const { where } = node, said = shape(node.payload.challenge, CHALLENGE, where), one = approvalOf(s, said, node);
  s.signed(keyAt(s, said.signed_by, "execution", node.lamport), "ApprovalChallenge", canonical(said), node.payload.signature);
  speaker(s, said, one, node.lamport);
  need(CHALLENGED.includes(said.action) && said.args_hash === one.decision.args_hash, `${where}: of another call`);
  const isNext = said.sequence === one.challenges + 1 && (one.challenges < MOST_CHALLENGES || said.action === "review"); // a review is put also beyond the thousandth
  need(isNext, `${where}: not the next challenge`);
  checkPossible(one, said.action, said.key_id, said.issued_at_ms, where);
  const answer = hashIn("ApprovalResponse", canonical({ challenge: said, signature: node.payload.signature }));
  one.asked.set(said.key_id, { action: said.action, expiresAtMs: said.expires_at_ms, answer });
  one.challenges += 1;
}

function checkAssertion(s, node) {
  const { where } = node, said = shape(node.payload.assertion, ASSERTION, where), atMs = node.payload.asserted_at_ms;
  const one = approvalOf(s, said, node), { action, key_id: keyId } = said, overrides = action === "override";
  s.signed(speaker(s, said, one, node.lamport), overrides ? "ApprovalOverride" : "Approval", canonical(said), node.payload.signature);
  need(isReason(said.reason), `${where}: no reason, or no line`);
  need(OVERRIDES.has(said.reason_code) === overrides, `${where}: no such reason to override`);
  const owner = checkPossible(one, action, keyId, atMs, where);
  if (overrides) need(![...s.approvals.values()].some((other) => other.review === "OPEN" && other.decision.tenant === one.decision.tenant), `${where}: an earlier override was not reviewed`);
  checkAnswer(said, one, atMs, where);
  one.asked.delete(keyId);
  if (action === "approve") {
    one.grants.push([owner, keyId]);
    if (one.grants.length >= one.decision.approval_quorum) one.state = "APPROVED";
  } else if (action === "dispute") {
    Object.assign(one, { asked: new Map(), grants: [], state: "DISPUTED" });
  } else if (action === "review") {
    one.review = "CLOSED";
  } else {
    one.state = AFTER.get(action);
    if (overrides) one.review = "OPEN";
  }
}

function checkAnswer(said, one, atMs, where) {
  if (!CHALLENGED.includes(said.action)) return need(said.challenge_response === "" && said.confirmation_hash === "", `${where}: answers what nobody asked`);
  const asked = one.asked.get(said.key_id);
  const isAsked = asked !== undefined && asked.action === said.action && atMs < asked.expiresAtMs;
  return need(isAsked && said.challenge_response === asked.answer && said.confirmation_hash === confirmation(said, one.decision), `${where}: answers no challenge`);
}

function confirmation(said, decision) {
  const digits = decision.intent_hash.replace(/^sha256:/, ""), typed = `${said.action} ${decision.tool} ${digits.slice(0, 4)}-${digits.slice(4, 8)}`;
  return hashIn("ApprovalConfirmation", canonical({ ...Object.fromEntries(SHOWN.map((name) => [name, decision[name]])), action: said.action, typed }));
}
