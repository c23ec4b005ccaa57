// SHA-256 (FIPS 180-4) at once: WebCrypto's has to be waited for, and a pack asks for it a dozen times a call.

import { hex } from "./bytes.js";

const BLOCK = 64;
const primes = (count) => {
  const found = [];
  for (let one = 2; found.length < count; one += 1) if (found.every((prime) => one % prime)) found.push(one);
  return found;
};

/** The first 32 bits of the fraction of a prime's square root, or of its cube root, in whole numbers (section 4.2.2). */
function fraction(prime, power) {
  const target = BigInt(prime) << BigInt(32 * power);
  let root = BigInt(Math.floor(prime ** (1 / power) * 2 ** 32));
  while (root ** BigInt(power) > target) root -= 1n;
  while ((root + 1n) ** BigInt(power) <= target) root += 1n;
  return Number(root & 0xffffffffn) | 0;
}

const START = Int32Array.from(primes(8), (prime) => fraction(prime, 2));
const K = Int32Array.from(primes(64), (prime) => fraction(prime, 3));
const W = new Int32Array(64);
const UTF8 = new TextEncoder();

export class Sha256 {
  constructor() {
    this.state = START.slice();
    this.rest = new Uint8Array(BLOCK);
    this.waiting = 0;
    this.size = 0;
  }

  update(part) {
    const bytes = typeof part === "string" ? UTF8.encode(part) : part;
    let at = 0;
    this.size += bytes.length;
    if (this.waiting) {
      at = Math.min(BLOCK - this.waiting, bytes.length);
      this.rest.set(bytes.subarray(0, at), this.waiting);
      this.waiting += at;
      if (this.waiting < BLOCK) return this;
      compress(this.state, this.rest, 0);
      this.waiting = 0;
    }
    for (; at + BLOCK <= bytes.length; at += BLOCK) compress(this.state, bytes, at);
    this.rest.set(bytes.subarray(at));
    this.waiting = bytes.length - at;
    return this;
  }

  digest() {
    const size = this.size, end = new Uint8Array(this.waiting < 56 ? BLOCK : 2 * BLOCK), view = new DataView(end.buffer);
    end.set(this.rest.subarray(0, this.waiting));
    end[this.waiting] = 0x80;
    view.setUint32(end.length - 8, Math.floor(size / 2 ** 29));
    view.setUint32(end.length - 4, (size << 3) >>> 0);
    for (let at = 0; at < end.length; at += BLOCK) compress(this.state, end, at);
    const out = new Uint8Array(32), word = new DataView(out.buffer);
    for (let index = 0; index < 8; index += 1) word.setInt32(4 * index, this.state[index]);
    return out;
  }
}

function compress(state, bytes, at) {
  for (let t = 0, from = at; t < 16; t += 1, from += 4) W[t] = (bytes[from] << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3];
  for (let t = 16; t < 64; t += 1) {
    const x = W[t - 15], y = W[t - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3), s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[t] = (W[t - 16] + s0 + W[t - 7] + s1) | 0;
  }
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (let t = 0; t < 64; t += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[t] + W[t]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

/** Return the 32 bytes of the hash of texts and bytes, one behind the other. */
export function digest(...parts) {
  const sum = new Sha256();
  for (const part of parts) sum.update(part);
  return sum.digest();
}

/** Return a plain hash as HELM writes it. */
export const sha256 = (...parts) => `sha256:${hex(digest(...parts))}`;

/** Return the hash of a statement of some kind. */
export const hashIn = (kind, said) => sha256(`HELM/${kind}/v1\n`, said);

/** Return what names something by its hash. */
export const short = (prefix, whole) => prefix + whole.slice(7, 39);
