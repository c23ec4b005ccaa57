// Check of the log's own events: kernels started in order; stops, servers, relations, overlays and delegations are signed.

import { byCodePoint, canonical, inOrder, isObject, isReason, lengthOf, need, shape } from "./pack-exact.js";
import { hashIn, short } from "./pack-digest.js";
import { keyAt } from "./check-trust.js";
import { OF_NONE } from "./pack-state.js";
import { DELEGATION, DELEGATION_END, FREEZE, MCP_SERVER, OF_LOG, OF_SESSION, OVERLAY, RAISE_CANCEL, RELATIONS } from "./pack-tables.js";

const KINDS = new Set(["ATTESTATION", "CHECKPOINT", "EFFECT", "INTENT", "TRUST_EVENT"]);
const MOST_TUPLES = 1000;
const MOST_TOOLS = 64;
const LONGEST_DELEGATION_MS = 86_400_000;
const CLOCKS_DIFFER_MS = 60_000;

/** What is to be seen of an event, by its type, beyond its members. */
const SEEN = {
  KERNEL_STARTED: checkStart,
  POLICY_ACTIVATED: (s, node) => s.activations.push(node),
  FREEZE: checkFreeze,
  MCP_SERVER: checkServer,
  RELATIONS: checkRelations,
  OVERLAID: checkOverlays,
  P0_RAISE_CANCELLED: checkRaiseCancel,
  DELEGATION_BOUND: checkDelegation,
  DELEGATION_REVOKED: checkDelegationEnd,
};

export function* checkControl(s) {
  Object.assign(s, { epochs: [], activations: [], delegations: new Map(), overlaid: [[0, new Map()]], overlayEpochs: new Map(), counts: {} });
  for (const [index, node] of s.nodes.entries()) {
    need(KINDS.has(node.kind), `${node.where}: of an unknown kind`);
    if (node.kind !== "ATTESTATION" || node.isRefusal) continue;
    const known = node.session === OF_NONE ? OF_LOG : OF_SESSION;
    need(Object.hasOwn(known, node.type), `${node.where}: an event of unknown type`);
    shape(node.payload, known[node.type], node.where);
    if (Object.hasOwn(SEEN, node.type)) SEEN[node.type](s, node);
    yield index / s.nodes.length;
  }
}

/** Count the events of a type, from 1 on. */
function nth(s, type) {
  s.counts[type] = (s.counts[type] ?? 0) + 1;
  return s.counts[type];
}

function checkStart(s, node) {
  need(node.payload.kernel_epoch === s.epochs.length + 1, `${node.where}: two kernels wrote here`);
  s.epochs.push(node.lamport);
}

/** Check that a command is of this log, the next of its kind, and signed by a key for it. */
function checkCommand(s, node, command, purpose, kind) {
  need(command.log_id === s.logId, `${node.where}: of another log`);
  if (Object.hasOwn(command, "sequence")) need(command.sequence === nth(s, node.type), `${node.where}: of another sequence`);
  s.signed(keyAt(s, command.key_id, purpose, node.lamport), kind, canonical(command), node.payload.signature);
}

function checkFreeze(s, node) {
  const command = shape(node.payload.command, FREEZE, node.where);
  need(["freeze", "unfreeze"].includes(command.action), `${node.where}: no such command`);
  need(["global", "tenant", "agent"].includes(command.scope), `${node.where}: no such scope`);
  need((command.scope === "global") === (command.target === ""), `${node.where}: no such target`);
  need(command.reason !== "" && lengthOf(command.reason) <= 500, `${node.where}: no reason, or a long one`);
  checkCommand(s, node, command, "emergency", "Freeze");
}

function checkServer(s, node) {
  const command = shape(node.payload.command, MCP_SERVER, node.where), approves = command.action === "approve";
  need(approves || command.action === "revoke", `${node.where}: no such command`);
  need((command.pins_hash !== "") === approves && command.expires_at_ms > 0 === approves, `${node.where}: no such terms`);
  need(isReason(command.reason), `${node.where}: no reason, or no line`);
  checkCommand(s, node, command, "approval", "McpServer");
}

function checkRelations(s, node) {
  const command = shape(node.payload.command, RELATIONS, node.where), tuples = [...command.add, ...command.remove];
  need(new Set(tuples).size === tuples.length && tuples.length <= MOST_TUPLES, `${node.where}: a tuple stands twice, or there are too many`);
  need(tuples.every((one) => one.includes("#") && one.includes("@")), `${node.where}: not object#relation@subject`);
  checkCommand(s, node, command, "policy", "Relations");
}

function checkRaiseCancel(s, node) {
  checkCommand(s, node, shape(node.payload.command, RAISE_CANCEL, node.where), "policy", "P0Raise");
}

/** Each command is signed by a policy key, under its own name, and newer than the last one about it. */
function checkOverlays(s, node) {
  const inForce = new Map(s.overlaid.at(-1)[1]), { where } = node;
  for (const [name, said] of Object.entries(node.payload.commands).sort(([one], [other]) => byCodePoint(one, other))) {
    need(isObject(said), `${where}: no signed command`);
    const command = shape(shape(said, "command:d signature:s", where).command, OVERLAY, where);
    const adds = command.action === "add", whom = [command.principals, command.tenants];
    need(adds || command.action === "remove", `${where}: no such command`);
    need(adds === (command.narrows !== "") && adds === (command.overlay_hash !== ""), `${where}: no such terms`);
    need(adds || whom.every((names) => !names.length), `${where}: what is removed binds nobody`);
    need(whom.every(inOrder), `${where}: names that are not in order`);
    need(isReason(command.reason), `${where}: no reason, or no line`);
    need(command.overlay_id === name && !name.includes("/"), `${where}: under another name`);
    need(command.log_id === s.logId, `${where}: an overlay of another log`);
    need(command.epoch > (s.overlayEpochs.get(name) ?? 0), `${where}: older than what was said of it before`);
    need(adds || inForce.has(name), `${where}: removes what is not in force`);
    s.signed(keyAt(s, command.key_id, "policy", node.lamport), "Overlay", canonical(command), said.signature);
    s.overlayEpochs.set(name, command.epoch);
    if (adds) inForce.set(name, command);
    else inForce.delete(name);
  }
  s.overlaid.push([node.lamport, inForce]);
}

function checkDelegation(s, node) {
  const { where, payload: said } = node, grant = shape(said.grant, DELEGATION, where);
  const tools = Object.keys(grant.capabilities).length, life = grant.expires_at_ms - grant.issued_at_ms;
  need(grant.log_id === s.logId, `${where}: a delegation of another log`);
  need(tools > 0 && tools <= MOST_TOOLS && Object.values(grant.capabilities).every((one) => typeof one === "string"), `${where}: its tools are not what a delegation names`);
  need(grant.delegate !== grant.delegator, `${where}: nobody delegates to itself`);
  need(life > 0 && life <= LONGEST_DELEGATION_MS, `${where}: it lives too long`);
  need(grant.issued_at_ms - CLOCKS_DIFFER_MS <= said.bound_at_ms && said.bound_at_ms < grant.expires_at_ms, `${where}: not in force`);
  need(said.delegation_id === short("dlg_", hashIn("DelegationName", canonical(grant))), `${where}: its event names another one`);
  need(![...s.delegations.values()].some((one) => one.key_id === grant.key_id && one.nonce === grant.nonce), `${where}: its nonce was used before`);
  s.signed(keyAt(s, grant.key_id, "delegation", node.lamport), "Delegation", canonical(grant), said.signature);
  s.delegations.set(said.delegation_id, { ...grant, boundAt: node.lamport });
}

function checkDelegationEnd(s, node) {
  const { where } = node, command = shape(node.payload.command, DELEGATION_END, where), grant = s.delegations.get(command.delegation_id);
  need(isReason(command.reason), `${where}: no reason, or no line`);
  need(command.log_id === s.logId, `${where}: a revocation of another log`);
  need(grant !== undefined && !grant.hasEnded, `${where}: there is no such delegation, or it has ended`);
  const own = grant.key_id === command.key_id, key = keyAt(s, command.key_id, own ? "delegation" : "emergency", node.lamport);
  s.signed(key, own ? "DelegationEnd" : "DelegationStop", canonical(command), node.payload.signature);
  s.delegations.set(command.delegation_id, { ...grant, hasEnded: true });
}

