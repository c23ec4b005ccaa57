// Check of the checkpoints: one signed chain over these calls, and no session was cut off before the last of them.

import { hashIn } from "./pack-digest.js";
import { byCodePoint, canonical, isObject, isPrintable, lengthOf, need, read, shape } from "./pack-exact.js";
import { leafOf } from "./check-receipts.js";
import { keyAt } from "./check-trust.js";
import { joined } from "./check-whole.js";
import { hashBytes, hashText, OF_NONE } from "./pack-state.js";
import { CAUSES, CHECKPOINT, CHECKPOINT_PAYLOAD } from "./pack-tables.js";

const HEAD = "checkpoints/head.json";
const PROOFS = "checkpoints/proofs.jsonl";
const GROWING = ["receipts_size", "records_size", "heads_size", "lamport"];
const LONGEST_NAME = 255;

export function* checkCheckpoints(s) {
  Object.assign(s, { checkpoints: [], notes: new Map(), witnessed: new Set() });
  const calls = new Map(s.calls.map((call) => [call.node.hash, call]));
  const proofs = s.files.has(PROOFS) ? s.files.lines(PROOFS) : [].values();
  const stands = new Map(), stood = new Map();
  let own = { receipts: [], records: [] }, owed = new Set(), control = "";
  for (const [index, node] of s.nodes.entries()) {
    if (node.kind === "CHECKPOINT") {
      checkCheckpoint(s, node, control);
      if (own.receipts.length || own.records.length) checkCovered(s, own, proofs);
      [own, owed] = [{ receipts: [], records: [] }, new Set()];
      for (const [session, stand] of stands) stood.set(session, stand);
      stands.clear();
    } else if (node.type === "APPROVAL_ASSERTED" && node.payload.assertion.action === "override") {
      owed.add(node.payload.assertion.approval_id);
    } else if (node.type === "CHECKPOINT_COSIGNED") {
      checkCosigned(s, node);
    }
    const call = calls.get(node.hash);
    need(node.kind !== "INTENT" || !owed.has(call.approvalId), `${node.where}: relies on an override that no checkpoint covers`);
    if (node.session === OF_NONE) control = node.hash;
    else stands.set(node.session, standing(s, node, call, stands.get(node.session) ?? stood.get(node.session), own));
    yield index / s.nodes.length;
  }
  need(proofs.next().done, `${PROOFS}: proves what is under none of its checkpoints`);
  checkStanding(s, [...stood].sort(([one], [other]) => bySession(one, other)));
  need(!s.pins.checkpoint || s.notes.has(s.pins.checkpoint), "the pinned checkpoint is not in the pack");
}

/** Return where a session stands after a node, and note what the node brings under the next checkpoint. */
function standing(s, node, call, before, own) {
  const stand = { clock: 0, signature: "GENESIS", ...before, node: node.hash };
  if (call !== undefined) own.records.push(leafOf("RecordLeaf", call.recordHash));
  const link = node.binds ? s.links.get(node.receiptHash) : undefined;
  if (link !== undefined) {
    own.receipts.push(link.leaf);
    Object.assign(stand, { clock: link.clock, signature: link.signature });
  }
  return stand;
}

/** Compare two sessions by their canonical names, as Python compares pairs of texts. */
function bySession(one, other) {
  const [a, b] = [JSON.parse(one), JSON.parse(other)];
  return byCodePoint(a[0], b[0]) || byCodePoint(a[1], b[1]);
}

function checkCheckpoint(s, node, control) {
  const { where } = node, said = shape(node.payload, CHECKPOINT_PAYLOAD, where), checkpoint = shape(said.checkpoint, CHECKPOINT, where);
  const before = s.checkpoints.at(-1);
  need(said.type === "CHECKPOINT" && node.session === OF_NONE, `${where}: no checkpoint of the log`);
  need(checkpoint.version === "helm.checkpoint/1", `${where}: another version of a checkpoint`);
  need(CAUSES.has(checkpoint.cause), `${where}: taken for no known cause`);
  const isHere = checkpoint.lamport === node.lamport && checkpoint.shard === s.cover.shard && checkpoint.log_id === s.logId && checkpoint.control_head === control;
  need(isHere, `${where}: speaks of another place`);
  const named = before === undefined ? "GENESIS" : hashIn("CheckpointHash", canonical(before));
  need(checkpoint.sequence === s.checkpoints.length + 1 && checkpoint.prev_checkpoint_hash === named, `${where}: does not follow the checkpoint before it`);
  for (const name of GROWING) need(checkpoint[name] >= (before?.[name] ?? 0), `${where}: covers less than the one before it`);
  const key = keyAt(s, checkpoint.key_id, "execution", node.lamport), [hash, note] = noteOf(checkpoint);
  s.signed(key, "Checkpoint", canonical(checkpoint), said.signature);
  s.signedBytes(key, new TextEncoder().encode(note), said.note_signature);
  s.checkpoints.push(checkpoint);
  s.notes.set(hash, note);
}

/** Return the hash of a checkpoint, and the text of its signed note (c2sp.org/tlog-checkpoint). */
function noteOf(checkpoint) {
  const hash = hashIn("CheckpointHash", canonical(checkpoint)), root = btoa(String.fromCharCode(...hashBytes(checkpoint.receipts_root)));
  const origin = `HELM/CheckpointNote/v1/${checkpoint.log_id.slice(7)}/${checkpoint.shard}`;
  return [hash, `${origin}\n${checkpoint.receipts_size}\n${root}\n${checkpoint.version} ${hash}\n`];
}

/** Check a witness's signature under a checkpoint's note (c2sp.org/tlog-cosignature). */
function checkCosigned(s, node) {
  const { where, payload: said } = node, witnessed = JSON.stringify([said.checkpoint_hash, said.key_id]);
  need(s.notes.has(said.checkpoint_hash) && !s.witnessed.has(witnessed), `${where}: of no checkpoint, or a second time`);
  const isName = said.name !== "" && lengthOf(said.name) <= LONGEST_NAME && isPrintable(said.name) && !/[+ ]/.test(said.name);
  need(isName && said.cosigned_at_s >= 0, `${where}: an odd name or time`);
  const text = `cosignature/v1\ntime ${said.cosigned_at_s}\n${s.notes.get(said.checkpoint_hash)}`;
  s.signedBytes(keyAt(s, said.key_id, "witness", node.lamport), new TextEncoder().encode(text), said.signature);
  s.witnessed.add(witnessed);
}

/** Check that what the pack brought since the last checkpoint is under this one. */
function checkCovered(s, own, proofs) {
  const checkpoint = s.checkpoints.at(-1), before = s.checkpoints.at(-2), { value: found, done } = proofs.next();
  need(!done, `${PROOFS}: the proofs under checkpoint ${checkpoint.sequence} are missing`);
  const { where } = found, line = shape(read(found.raw, where), "receipts:d records:d sequence:i", where);
  need(line.sequence === checkpoint.sequence, `${where}: is about another checkpoint`);
  for (const [name, leaves] of Object.entries(own)) {
    const proof = line[name], size = checkpoint[`${name}_size`], since = before?.[`${name}_size`] ?? 0;
    need(isObject(proof) && Object.keys(proof).join() === "indexes,path" && Object.values(proof).every(Array.isArray), `${where}: is no proof`);
    const { indexes } = proof, rest = proof.path.map(hashBytes).values();
    const isProper = indexes.every((one, at) => Number.isSafeInteger(one) && one >= since && one < size && (at === 0 || indexes[at - 1] < one));
    need(isProper && indexes.length === leaves.length, `${where}: proves other leaves than those of the pack`);
    if (indexes.length) need(hashText(rootOver(indexes, leaves, [0, indexes.length], rest, 0, size)) === checkpoint[`${name}_root`], `${where}: a call is not under its checkpoint`);
    need(rest.next().done, `${where}: the proof is too long`);
  }
}

/**
 * Return the root over the leaves of a tree from `start` to `end`. Of ours, those numbered from `first` to `last` are in it;
 * a proof gives every subtree that holds none, left to right.
 */
function rootOver(indexes, leaves, [first, last], rest, start, end) {
  if (first === last) {
    const { value, done } = rest.next();
    need(!done, "the proof is too short");
    return value;
  }
  if (end - start === 1) return leaves[first];
  const middle = start + 2 ** Math.floor(Math.log2(end - start - 1));
  let between = first;
  while (between < last && indexes[between] < middle) between += 1;
  const left = rootOver(indexes, leaves, [first, between], rest, start, middle);
  return joined(left, rootOver(indexes, leaves, [between, last], rest, middle, end));
}

/** Check where each session stood at the last checkpoint. */
function checkStanding(s, stood) {
  need(stood.length > 0 === s.files.has(HEAD), `${HEAD}: must be there where a checkpoint covers a session`);
  if (!stood.length) return;
  const said = shape(s.files.read(HEAD), "sequence:i standing:l", HEAD), checkpoint = s.checkpoints.at(-1);
  need(said.sequence === checkpoint.sequence, `${HEAD}: is not about the last checkpoint`);
  need(said.standing.length === stood.length, `${HEAD}: is about other sessions`);
  for (const [at, [session, stand]] of stood.entries()) {
    const place = shape(said.standing[at], "index:i path:l", HEAD), [tenant, id] = JSON.parse(session);
    const root = leafOf("HeadLeaf", canonical({ ...stand, session: id, tenant }));
    checkUnder(checkpoint, root, place.index, place.path.map(hashBytes));
  }
}

/** Check that a leaf is under the root of the session heads (RFC 9162 section 2.1.3.2). */
function checkUnder(checkpoint, leaf, index, path) {
  let last = checkpoint.heads_size - 1, at = index, root = leaf;
  const half = (number) => Math.floor(number / 2);
  need(at >= 0 && at <= last, `${HEAD}: stands outside the tree`);
  for (const step of path) {
    need(last > 0, `${HEAD}: the proof is too long`);
    if (at % 2 || at === last) {
      root = joined(step, root);
      while (at % 2 === 0 && at) [at, last] = [half(at), half(last)];
    } else {
      root = joined(root, step);
    }
    [at, last] = [half(at), half(last)];
  }
  need(last === 0 && hashText(root) === checkpoint.heads_root, `${HEAD}: a session stood elsewhere then`);
}

