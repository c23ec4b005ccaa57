// What HELM refuses of Ed25519 before anybody's library is asked (RFC 8032): S not below L, keys and R that are odd.

import { hex, unhex } from "./bytes.js";

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;
const ROOT_OF_MINUS_1 = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0n;
const Y_OF_ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const LOW_ORDER = new Set([0n, 1n, P - 1n, Y_OF_ORDER_8, P - Y_OF_ORDER_8]);

const little = (raw) => BigInt(`0x${hex(raw.slice().reverse()) || "0"}`);

/** Say whether bytes are a point in its one form, and none of low order. */
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

/** Return what is odd about a public key, "" for one that HELM takes. */
export function oddKey(text) {
  if (typeof text !== "string" || !/^[0-9a-f]{64}$/.test(text)) return "the public key is not 64 lower-case hex digits";
  const raw = unhex(text);
  if (!isProperPoint(raw)) return "the public key is of low order or not in canonical form";
  return isOfPrimeOrder(raw) ? "" : "the public key is not in the group of prime order";
}

/** Return what is odd about a signature, "" for one that may be asked about. */
export function oddSignature(text) {
  if (typeof text !== "string" || !/^[0-9a-f]{128}$/.test(text)) return "the signature is not 128 lower-case hex digits";
  const raw = unhex(text);
  if (!isProperPoint(raw.subarray(0, 32))) return "the signature's R is of low order or not in canonical form";
  return little(raw.subarray(32)) < L ? "" : "the signature's S is not below L";
}
