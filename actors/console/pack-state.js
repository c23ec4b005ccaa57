// A pack under verification: what the checks so far have established, and the signatures that are still asked about.

import { bytes, hex, unhex } from "./bytes.js";
import { oddKey, oddSignature } from "./ed25519.js";
import { Refused, need } from "./pack-exact.js";

/** How many signatures are asked about at once: enough that no processor waits, few enough to be held. */
const AT_ONCE = 256;

const ED25519 = { name: "Ed25519" };
const P256 = { name: "ECDSA", namedCurve: "P-256" };
const HALF_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n / 2n;

/** The session that events of the log itself stand in. */
export const OF_NONE = JSON.stringify(["", ""]);

export const sessionOf = (tenant, session) => JSON.stringify([tenant, session]);

export class State {
  constructor(source, pins) {
    this.source = source;
    this.pins = pins;
    this.asked = [];
    this.imported = new Map();
    this.odd = new Map();
  }

  /** Ask whether a key signed a statement of some kind. The answer comes with `settle`. */
  signed(key, kind, statement, signature) {
    this.signedBytes(key, bytes(`HELM/${kind}/v1\n`, statement), signature);
  }

  /** The same, of bytes as they are. What HELM refuses before it asks a library is refused here at once. */
  signedBytes(key, message, signature) {
    this.checkKey(key);
    const odd = oddSignature(signature);
    need(!odd, odd);
    this.asked.push(this.ask(key, "raw", ED25519, ED25519, unhex(signature), message));
  }

  /** The same for ECDSA over P-256 with SHA-256; of the two values of s, the lower one only. */
  signedES256(key, message, signature) {
    need(/^04[0-9a-f]{128}$/.test(key), "the public key is not an uncompressed point of P-256");
    need(typeof signature === "string" && /^[0-9a-f]{128}$/.test(signature), "the signature is not 128 lower-case hex digits");
    need(BigInt(`0x${signature.slice(64)}`) <= HALF_ORDER, "the signature's s is the higher one");
    this.asked.push(this.ask(key, "raw", P256, { name: "ECDSA", hash: "SHA-256" }, unhex(signature), message));
  }

  checkKey(key) {
    if (!this.odd.has(key)) this.odd.set(key, oddKey(key));
    need(!this.odd.get(key), this.odd.get(key));
  }

  async ask(key, form, kind, how, signature, message) {
    try {
      if (!this.imported.has(key)) this.imported.set(key, crypto.subtle.importKey(form, unhex(key), kind, false, ["verify"]));
      return (await crypto.subtle.verify(how, await this.imported.get(key), signature, message)) ? "" : "the signature is not this key's over this statement";
    } catch (problem) {
      return `the signature cannot be checked: ${problem.message}`;
    }
  }

  get isBusy() {
    return this.asked.length >= AT_ONCE;
  }

  /** Wait for the older half of what was asked, or for all. Throws Refused where one signature does not hold. */
  async settle(all = true) {
    const problems = await Promise.all(this.asked.splice(0, all ? this.asked.length : AT_ONCE / 2));
    const found = problems.find((problem) => problem);
    if (found) throw new Refused(found);
  }
}

/** A line of the graph. A call's payload is read again where it is needed: a pack may hold very many. */
export class Node {
  constructor(line, payload, where) {
    this.kind = line.kind;
    this.lamport = line.lamport;
    this.hash = line.node_hash;
    this.session = sessionOf(line.tenant, line.session_id);
    this.principal = line.principal;
    this.type = typeof payload.type === "string" ? payload.type : "";
    this.isRefusal = line.kind === "ATTESTATION" && this.type === "REFUSAL";
    this.isCall = line.kind === "INTENT" || this.isRefusal;
    this.binds = line.kind === "EFFECT" || this.isRefusal;
    this.payload = this.isCall ? null : payload;
    this.where = where;
  }
}

/** Return the 32 bytes of a hash as HELM writes it. Throws Refused. */
export function hashBytes(text) {
  need(typeof text === "string" && /^sha256:[0-9a-f]{64}$/.test(text), "a hash is not written as one");
  return unhex(text.slice(7));
}

export const hashText = (raw) => `sha256:${hex(raw)}`;
