// Canonical JSON, hashes and Ed25519 as HELM has them: what the console verifies, it verifies here, in the browser.

const UTF8 = new TextEncoder();
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;
const ROOT_OF_MINUS_1 = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0n;
const Y_OF_ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const LOW_ORDER = new Set([0n, 1n, P - 1n, Y_OF_ORDER_8, P - Y_OF_ORDER_8]);

/** Return RFC 8785 text of a value. Numbers are whole ones: nothing else stands in a record. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const names = Object.keys(value).sort(); // UTF-16 code units, as RFC 8785 section 3.2.3 wants
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

export function without(body, ...names) {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)));
}

export function hex(bytes) {
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

export function unhex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error("expected lower-case hexadecimal digits");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function bytes(...parts) {
  const whole = parts.map((part) => (typeof part === "string" ? UTF8.encode(part) : part));
  const joined = new Uint8Array(whole.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of whole) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

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

const little = (raw) => BigInt(`0x${hex(raw.slice().reverse()) || "0"}`);

function isProperPoint(raw) {
  const y = little(raw) & (2n ** 255n - 1n);
  return y < P && !LOW_ORDER.has(y);
}

const mod = (value) => ((value % P) + P) % P;

function power(base, exponent) {
  let result = 1n;
  for (let square = base, left = exponent; left > 0n; left >>= 1n, square = (square * square) % P) if (left & 1n) result = (result * square) % P;
  return result;
}

/** Return the point that bytes name, in extended coordinates (RFC 8032 section 5.1.3), null where they name none. */
function pointOf(raw) {
  const y = little(raw) & (2n ** 255n - 1n), u = mod(y * y - 1n), v = mod(D * y * y + 1n);
  let x = mod(u * power(v, 3n) * power(mod(u * power(v, 7n)), (P - 5n) / 8n));
  const square = mod(v * x * x);
  if (square === mod(-u)) x = mod(x * ROOT_OF_MINUS_1);
  else if (square !== u) return null;
  if ((x & 1n) !== BigInt(raw[31] >> 7)) x = mod(-x);
  return [x, y, 1n, mod(x * y)];
}

/** Return the sum of two points (RFC 8032 section 5.1.4). */
function sum([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = mod((y1 - x1) * (y2 - x2)), b = mod((y1 + x1) * (y2 + x2)), c = mod(2n * D * t1 * t2), d = mod(2n * z1 * z2);
  const e = b - a, f = d - c, g = d + c, h = b + a;
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

/** Say whether a key is a point of the group that honest keys are in: L times it is nothing. */
function isOfPrimeOrder(raw) {
  let double = pointOf(raw), total = [0n, 1n, 1n, 0n];
  if (double === null) return false;
  for (let left = L; left > 0n; left >>= 1n, double = sum(double, double)) if (left & 1n) total = sum(total, double);
  return total[0] === 0n && total[1] === total[2];
}

/** Say whether a key signed a statement: S below L, no R of low order or in a second form, a proper key (RFC 8032). */
export async function verify(publicKey, kind, value, signature) {
  if (!/^[0-9a-f]{64}$/.test(publicKey) || !/^[0-9a-f]{128}$/.test(signature)) return false;
  const key = unhex(publicKey), raw = unhex(signature);
  if (!isProperPoint(key) || !isProperPoint(raw.slice(0, 32)) || little(raw.slice(32)) >= L || !isOfPrimeOrder(key)) return false;
  try {
    const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
    return await crypto.subtle.verify({ name: "Ed25519" }, imported, raw, bytes(`HELM/${kind}/v1\n`, canonical(value)));
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
