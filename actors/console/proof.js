// Canonical JSON, hashes and Ed25519 as HELM has them: what the console verifies, it verifies here, in the browser.

import { bytes, hex, unhex } from "./bytes.js";
import { oddKey, oddSignature } from "./ed25519.js";
import { canonical } from "./pack-exact.js";

const without = (body, ...names) => Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)));

async function digest(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(...parts)));
}

/** Return a plain hash: of arguments and outputs. */
export async function sha256(...parts) {
  return `sha256:${hex(await digest(...parts))}`;
}

/** Return the hash of a statement of some kind. */
export async function hashIn(kind, value) {
  return sha256(`HELM/${kind}/v1\n`, canonical(value));
}

export const short = (prefix, whole) => prefix + whole.slice(7, 39);

/** Return the name of a public key. */
export async function keyId(publicKey) {
  return short("key_", await sha256(unhex(publicKey)));
}

/** Say whether a key signed a statement: S below L, no R of low order or in a second form, a proper key (RFC 8032). */
export async function verify(publicKey, kind, value, signature) {
  if (oddKey(publicKey) || oddSignature(signature)) return false;
  try {
    const imported = await crypto.subtle.importKey("raw", unhex(publicKey), { name: "Ed25519" }, false, ["verify"]);
    return await crypto.subtle.verify({ name: "Ed25519" }, imported, unhex(signature), bytes(`HELM/${kind}/v1\n`, canonical(value)));
  } catch (problem) {
    if (problem.name === "NotSupportedError") throw new Error("this browser knows no Ed25519: verify with `helm verify`");
    return false;
  }
}

/** Return the root that a leaf and its path lead to (RFC 9162 section 2.1.3.2), or null for no proof at all. */
export async function rootFrom(leaf, index, size, path) {
  let last = size - 1, root = leaf, at = index;
  if (!Number.isInteger(at) || at < 0 || at > last) return null;
  for (const text of path) {
    if (last === 0) return null;
    const step = unhex(text.replace(/^sha256:/, ""));
    if (at % 2 === 1 || at === last) {
      root = await digest(Uint8Array.of(1), step, root);
      while (at % 2 === 0 && at !== 0) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
    } else {
      root = await digest(Uint8Array.of(1), root, step);
    }
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? `sha256:${hex(root)}` : null;
}

async function leafOf(receipt) {
  const said = {
    body_hash: await hashIn("ReceiptHash", receipt),
    lamport_clock: receipt.lamport_clock, log_id: receipt.log_id, prev_hash: receipt.prev_hash, risk_tier: receipt.risk_tier,
    session: receipt.session_id, signature: receipt.signature, tenant: receipt.tenant,
  };
  return digest(Uint8Array.of(0), "HELM/Leaf/v1\n", canonical(said));
}

/**
 * Yield every check of a receipt's story, by name: {name, ok, detail}.
 * `story` is {receipt, decision, record}; `keys` says which public key a key_id stands for; `inclusion` may be null.
 */
export async function* checksOf(story, keys, inclusion) {
  const { receipt, decision, record } = story;
  const named = await hashIn("ReceiptName", without(receipt, "receipt_id", "signature"));
  yield { name: "The receipt's id is the hash of what it says", ok: short("rcpt_", named) === receipt.receipt_id, detail: receipt.receipt_id };
  const key = keys.get(receipt.key_id);
  if (!key) yield { name: "The signing key is known", ok: false, detail: `pin the public key of ${receipt.key_id}` };
  else {
    yield { name: "The key bears the name that its bytes give it", ok: (await keyId(key.publicKey)) === receipt.key_id, detail: receipt.key_id };
    const signed = await verify(key.publicKey, "Receipt", without(receipt, "signature"), receipt.signature);
    yield { name: "Ed25519: the key signed every member", ok: signed, detail: key.pinned ? "by the key that you pinned" : "by the key that this server names; pin one to trust nobody's word" };
  }
  for (const [name, shown] of [["decision", decision], ["boundary record", record]]) if (!shown) yield { name: `The ${name} is here`, ok: false, detail: "the server did not show what the receipt is sealed over" };
  if (decision) {
    const decided = await hashIn("Decision", without(decision, "decision_id"));
    yield { name: "The decision is the one that was signed", ok: decided === receipt.decision_hash, detail: decision.decision_id };
  }
  if (record) {
    const recorded = await hashIn("Record", without(record, "record_hash"));
    yield { name: "The boundary record is the one that was signed", ok: recorded === receipt.record_hash, detail: record.record_id };
    yield { name: "Decision, record and receipt tell one story", ok: ["tenant", "session_id", "principal", "args_hash", "verdict"].every((name) => record[name] === receipt[name]) && record.decision_id === receipt.decision_id, detail: "" };
  }
  if (inclusion) {
    const { checkpoint, signature } = inclusion.under;
    const root = await rootFrom(await leafOf(receipt), inclusion.index, checkpoint.receipts_size, inclusion.path);
    yield { name: `It lies under checkpoint ${checkpoint.sequence}`, ok: root === checkpoint.receipts_root, detail: `leaf ${inclusion.index} of ${checkpoint.receipts_size}` };
    const signer = keys.get(checkpoint.key_id);
    const holds = signer ? await verify(signer.publicKey, "Checkpoint", checkpoint, signature) : false;
    yield { name: "The checkpoint is signed", ok: holds, detail: checkpoint.key_id };
  }
}
