// Checks of the receipts: each earns its id and is signed, and those of a session are one chain.

import { canonical, need, read, shape, without } from "./pack-exact.js";
import { digest, hashIn, short } from "./pack-digest.js";
import { checkVerdict } from "./check-seals.js";
import { isOver, next } from "./check-graph.js";
import { keyAt } from "./check-trust.js";
import { sessionOf } from "./pack-state.js";
import { LEAF, RECEIPT } from "./pack-tables.js";

const LEAVES = "condensed/leaves.jsonl";
const VERSION = "helm.receipt/1";

export const leafOf = (kind, said) => digest(Uint8Array.of(0), `HELM/${kind}/v1\n`, said);

/** What is kept of a receipt, or of the leaf that stands for one: its link in the chain, and where it can be read again. */
function link(said, session, signature, lamport, bodyHash, where) {
  const { lamport_clock: clock, log_id, prev_hash: before, risk_tier, tenant } = said;
  const leaf = leafOf("Leaf", canonical({ body_hash: bodyHash, lamport_clock: clock, log_id, prev_hash: before, risk_tier, session, signature, tenant }));
  return { clock, before, signature, lamport, leaf, riskTier: risk_tier, session: sessionOf(tenant, session), where, place: null };
}

export function* checkReceipts(s) {
  s.links = new Map();
  s.condensed = new Set();
  const receipts = s.files.shards("receipts"), leaves = s.files.has(LEAVES) ? s.files.lines(LEAVES) : [].values();
  const binding = s.nodes.filter((node) => node.binds);
  for (const [index, node] of binding.entries()) {
    const bodyHash = node.receiptHash, line = next(receipts, `${node.where}: its receipt`);
    if (s.links.has(bodyHash)) s.doubled ??= node.where; // a link that follows itself: the chain is not one
    if (line.raw.length) s.links.set(bodyHash, checkReceipt(s, node, line));
    else {
      s.links.set(bodyHash, checkLeaf(s, node, next(leaves, `${node.where}: ${LEAVES}`)));
      s.condensed.add(bodyHash);
    }
    yield index / binding.length;
  }
  isOver(receipts, "receipts");
  isOver(leaves, LEAVES);
  need(!s.pins.executionKey || s.links.size > s.condensed.size, "no receipt is there that the pinned key could vouch for");
}

const isLimit = (one) => Array.isArray(one) && one.length === 2 && typeof one[0] === "string" && Number.isSafeInteger(one[1]);

function checkReceipt(s, node, { raw, start, where }) {
  const body = read(raw, where), receipt = shape(without(body, "receipt_id", "signature"), RECEIPT, where);
  need(receipt.sandbox_limits.every(isLimit), `${where}: an odd limit`);
  if (receipt.verdict !== "ALLOW") checkVerdict(receipt.verdict, receipt.reason_code, where);
  need(receipt.lamport_clock >= 1 && (receipt.lamport_clock === 1) === (receipt.prev_hash === "GENESIS"), `${where}: an odd place`);
  need(body.receipt_id === short("rcpt_", hashIn("ReceiptName", canonical(receipt))) && typeof body.signature === "string", `${where}: was edited`);
  need(receipt.version === VERSION, `${where}: of another version`);
  need(hashIn("ReceiptHash", raw) === node.receiptHash, `${where}: is not the receipt that its node binds`);
  need(receipt.log_id === s.logId, `${where}: of another log`);
  const key = keyAt(s, receipt.key_id, "execution", node.lamport);
  s.signed(key, "Receipt", canonical(without(body, "signature")), body.signature);
  need(!s.pins.executionKey || s.pins.executionKey === key, `${where}: is not signed by the pinned key`);
  const found = link(receipt, receipt.session_id, body.signature, node.lamport, node.receiptHash, where);
  found.place = [start, raw.length];
  return found;
}

function checkLeaf(s, node, { raw, where }) {
  const body = shape(read(raw, where), LEAF, where);
  need(s.sessions.size === 1, `${where}: only a pack of one session may be condensed`);
  need(body.log_id === s.logId && s.sessions.has(sessionOf(body.tenant, body.session)), `${where}: of another session or log`);
  need(body.body_hash === node.receiptHash, `${where}: stands for another receipt than its node binds`);
  return link(body, body.session, body.signature, node.lamport, node.receiptHash, where);
}

/** Return a receipt again, without its name and its signature. */
export function receiptOf(s, found) {
  const [start, size] = found.place;
  return without(read(s.source.bytes(start, start + size), found.where), "receipt_id", "signature");
}

export function* checkChain(s) {
  const latest = new Map([...s.sessions].map((session) => [session, { clock: 0, signature: "GENESIS", lamport: 0 }]));
  need(!s.doubled, () => `${s.doubled}: binds a receipt that another node binds`);
  for (const receipt of s.links.values()) {
    const last = latest.get(receipt.session);
    need(last !== undefined, `${receipt.where}: of another session`);
    need(receipt.clock === last.clock + 1 && receipt.before === last.signature && receipt.lamport > last.lamport, `${receipt.where}: does not follow the one before it`);
    latest.set(receipt.session, receipt);
  }
  yield 1;
}

