// Checks of the pack as a whole: nothing is missing, nothing is spare, and the receipts stand under one root.

import { digest } from "./pack-digest.js";
import { canonical, need, same } from "./pack-exact.js";
import { policyFile, setOf } from "./check-policies.js";
import { hashText } from "./pack-state.js";

const FIXED = new Set(["manifest.json", "proofgraph/frontier.json", "trust/snapshot.json", "trust/events.jsonl", "inclusion/head.json", "replay/verify.py",
  "checkpoints/head.json", "checkpoints/proofs.jsonl", "condensed/cold.json", "condensed/leaves.jsonl",
  "host_evidence/native.json", "host_evidence/sources.json", "host_evidence/drift.jsonl"]);
const SHARD = /^(proofgraph\/nodes|records|facts|receipts)\/(\d{6})\.jsonl$/;
const HEAD = "inclusion/head.json";
const SUBTREE = 1024;

export function* checkComplete(s) {
  for (const call of s.calls) need(call.outcome === null || s.links.has(call.outcome.receiptHash), `${call.node.where}: its receipt is not in the pack`);
  const open = s.calls.filter((call) => call.outcome === null).map((call) => call.node.hash).sort();
  need(same(s.cover.open_intents, open), "the open intents are not those that the manifest lists");
  if (s.cover.scope === "range") {
    const had = new Set(s.calls.filter((call) => s.cover.from_ms <= call.decidedAtMs && call.decidedAtMs < s.cover.until_ms).map((call) => call.node.session));
    need(had.size === s.sessions.size && [...had].every((session) => s.sessions.has(session)), "a session had no call in the range that it is there for");
  }
  need(s.cover.redacted === s.redacted, "facts are missing that are not counted as redacted");
  yield 0.5;
  const policies = policiesOf(s);
  for (const path of policies) need(s.files.has(path), `${path}: a policy that a decision was made under is not there`);
  for (const path of s.files.paths) {
    const isKnown = FIXED.has(path) || policies.has(path) || isShard(s, path) || path.startsWith("schemas/") || path.startsWith("host_evidence/chains/");
    need(isKnown, `${path}: has no place in this pack`);
  }
}

/** Return where the policies stand that calls were decided under, and what those are made of. */
function policiesOf(s) {
  const used = new Set(s.calls.map((call) => call.policyHash).filter(Boolean));
  for (const found of [...used].map((policyHash) => setOf(s, policyHash)).filter(Boolean)) for (const name of [found.bundle, ...found.overlays]) used.add(name);
  return new Set([...used].map(policyFile));
}

/** Say whether a path is that of a shard that was read: the first, or one that stands behind another. */
function isShard(s, path) {
  const [, folder, digits] = SHARD.exec(path) ?? [];
  return folder !== undefined && (Number(digits) === 0 || s.files.has(`${folder}/${String(Number(digits) - 1).padStart(6, "0")}.jsonl`));
}

/** Return the root over the hashes of leaves (RFC 9162 section 2.1.1). */
export function rootOf(leaves) {
  if (!leaves.length) return digest();
  let level = leaves;
  while (level.length > 1) {
    const above = [];
    for (let at = 0; at < level.length; at += 2) above.push(at + 1 < level.length ? joined(level[at], level[at + 1]) : level[at]);
    level = above;
  }
  return level[0];
}

export const joined = (left, right) => digest(Uint8Array.of(1), left, right);

export function* checkInclusion(s) {
  const leaves = [...s.links.values()].map((link) => link.leaf), subtrees = [];
  for (let at = 0; at < leaves.length; at += SUBTREE) {
    subtrees.push(rootOf(leaves.slice(at, at + SUBTREE)));
    yield at / leaves.length;
  }
  const head = { root: hashText(rootOf(subtrees)), size: leaves.length, subtrees: subtrees.map(hashText) };
  need(canonical(s.files.read(HEAD)) === canonical(head), `${HEAD}: is not the root over the receipts`);
}

