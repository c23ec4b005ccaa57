// Check of what was condensed: it is of low risk, was allowed without a human's word, and lies under a checkpoint.

import { need, shape } from "./pack-exact.js";

const COLD = "condensed/cold.json";
const LEAVES = "condensed/leaves.jsonl";
const T2_WINDOW_MS = 30 * 24 * 3600 * 1000;

export function* checkCondensed(s) {
  need(s.condensed.size || !(s.files.has(COLD) || s.files.has(LEAVES)), "condensed/: there is nothing that was condensed");
  if (!s.condensed.size) return;
  const said = shape(s.files.read(COLD), "cold_hash:s manifest_hash:s receipts:i", COLD), latest = s.checkpoints.at(-1);
  need(said.receipts === s.condensed.size && latest !== undefined, `${COLD}: counts others, or none is covered`);
  need(!s.pins.executionKey || s.keys.get(latest.key_id).public_key === s.pins.executionKey, "the checkpoint over what was condensed is not by the pinned key");
  for (const [index, call] of s.calls.entries()) {
    if (call.outcome !== null && s.condensed.has(call.outcome.receiptHash)) checkOne(s, call, latest);
    yield index / s.calls.length;
  }
}

function checkOne(s, call, latest) {
  const { riskTier: tier } = s.links.get(call.outcome.receiptHash), { outcome } = call;
  const hasAged = tier === "T2" && latest.issued_at_ms - call.decidedAtMs >= T2_WINDOW_MS;
  const isLow = tier === call.riskTier && (tier === "T0" || tier === "T1" || hasAged);
  const isPlain = call.verdict === "ALLOW" && !call.approvalId && !(outcome.payload?.reason ?? "");
  need(isLow && isPlain && outcome.lamport <= latest.lamport, `${call.node.where}: its receipt may not be condensed`);
}

