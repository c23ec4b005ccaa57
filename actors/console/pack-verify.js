// Verifying a pack: the checks of `helm verify`, by its numbers and names, each standing on the ones before it.

import { checkApprovals } from "./check-approvals.js";
import { checkCheckpoints } from "./check-checkpoints.js";
import { checkCondensed } from "./check-condensed.js";
import { checkControl } from "./check-control.js";
import { checkArchive, checkManifest, checkVersions } from "./check-form.js";
import { checkGenesis, checkNodes } from "./check-graph.js";
import { checkHost } from "./check-host.js";
import { checkPolicies } from "./check-policies.js";
import { checkChain, checkReceipts } from "./check-receipts.js";
import { checkSeals } from "./check-seals.js";
import { checkStories } from "./check-stories.js";
import { checkSignature, checkTrust } from "./check-trust.js";
import { checkComplete, checkInclusion } from "./check-whole.js";
import { MAX_BYTES } from "./pack-archive.js";
import { Refused } from "./pack-exact.js";
import { State } from "./pack-state.js";
import { CHECKS } from "./pack-tables.js";

const MADE = {
  archive: checkArchive,
  manifest: checkManifest,
  versions: checkVersions,
  nodes: checkNodes,
  genesis: checkGenesis,
  trust: checkTrust,
  signature: checkSignature,
  control: checkControl,
  policies: checkPolicies,
  seals: checkSeals,
  receipts: checkReceipts,
  chain: checkChain,
  stories: checkStories,
  approvals: checkApprovals,
  complete: checkComplete,
  inclusion: checkInclusion,
  checkpoints: checkCheckpoints,
  condensed: checkCondensed,
  host: checkHost,
};
if (Object.keys(MADE).join() !== CHECKS.map(([name]) => name).join()) throw new Error("the checks made here are not those of helm verify");

/** Longest time between two looks at whoever waits: the page hears of progress, and a wish to stop is heard (ms). */
const TURN_MS = 50;

/** Nobody wants to know any more. */
export class Stopped extends Error {}

/** Throws Error where this browser cannot verify: that says nothing about any pack. */
export async function checkAble() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32).fill(1, 0, 1), { name: "Ed25519" }, false, ["verify"]);
  } catch (problem) {
    if (problem.name === "NotSupportedError" || !globalThis.crypto?.subtle) throw new Error("this browser knows no Ed25519: verify with `helm verify`, or with the script in the pack");
  }
}

/** Throws Error for a pack that is larger than a browser takes. */
export function checkSize(size) {
  if (size > MAX_BYTES) throw new Error(`the file has ${size} bytes: a browser takes ${MAX_BYTES} at most. Verify it with \`helm verify\``);
}

/**
 * Verify a pack and return {authenticated, checks, subject}: the report of `helm verify`.
 * `pins` come from `pinsOf`. `tell` hears {number, part} while a check is made and its outcome then; `turn` is awaited now
 * and then, and may throw Stopped. Nothing else is thrown for what is in a pack.
 */
export async function verifyPack(source, pins, tell = () => {}, turn = async () => {}) {
  const s = new State(source, pins), checks = [];
  let failed = 0;
  for (const [index, [name, promise]] of CHECKS.entries()) {
    const number = index + 1;
    tell({ number, part: 0 });
    const detail = failed ? `not made: check ${failed} did not hold` : await problemOf(s, MADE[name], (part) => tell({ number, part }), turn);
    if (detail && !failed) failed = number;
    checks.push({ number, name, promise, ok: !detail, detail });
    tell(checks.at(-1));
  }
  return { authenticated: !failed, checks, subject: failed ? null : subjectOf(s) };
}

/** Return what a check finds wrong, "" where it holds. Whatever breaks it, the pack or this program, it does not hold. */
async function problemOf(s, check, progress, turn) {
  try {
    let looked = performance.now();
    for (const steps = check(s); ;) {
      const { value, done } = steps.next();
      if (done) break;
      if (s.isBusy) await s.settle(false);
      if (performance.now() - looked < TURN_MS) continue;
      progress(value);
      await turn();
      looked = performance.now();
    }
    await s.settle();
    return "";
  } catch (problem) {
    if (problem instanceof Stopped) throw problem;
    return problem instanceof Refused ? problem.message || "does not hold" : `this verifier broke on it: ${problem.message}`;
  }
}

function subjectOf(s) {
  const { cover } = s, [tenant, session] = cover.scope === "session" ? cover.sessions[0] : ["", ""];
  return {
    log_id: s.logId, scope: cover.scope, tenant, session_id: session, sessions: cover.sessions.length, lamport: cover.lamport,
    receipts: s.links.size, condensed: s.condensed.size, open_intents: cover.open_intents.length, redacted: s.redacted,
    host_receipts: [...s.chains.values()].reduce((sum, chain) => sum + chain.described.receipts, 0),
    host_unsigned: [...s.chains.keys()].filter((source) => !s.pins.hostKeys.has(source)).length, drifts: s.drifts,
  };
}
