// Signing keys that never leave this browser: made here, not extractable, kept in IndexedDB. And public keys that were pinned.

import { bytes, hex } from "./bytes.js";
import { canonical } from "./pack-exact.js";
import { keyId } from "./proof.js";

const PINNED = "helm.pinned";

function store() {
  return new Promise((done, failed) => {
    const opening = indexedDB.open("helm", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys", { keyPath: "keyId" });
    opening.onsuccess = () => done(opening.result);
    opening.onerror = () => failed(opening.error);
  });
}

async function within(mode, work) {
  const database = await store();
  try {
    return await new Promise((done, failed) => {
      const asked = work(database.transaction("keys", mode).objectStore("keys"));
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => failed(asked.error);
    });
  } finally {
    database.close();
  }
}

/** Return this browser's keys: {keyId, name, pair, publicKey, purpose}. */
export const own = () => within("readonly", (keys) => keys.getAll());

/** Make a key for one purpose. Nobody counts it before an administrator of the log has added its public key. */
export async function make(purpose, name) {
  const pair = await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]);
  const publicKey = hex(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)));
  const made = { keyId: await keyId(publicKey), name, pair, publicKey, purpose };
  await within("readwrite", (keys) => keys.add(made));
  return made;
}

/** Return 128 hex digits over a statement of some kind. */
export async function sign(key, kind, value) {
  const signed = await crypto.subtle.sign({ name: "Ed25519" }, key.pair.privateKey, bytes(`HELM/${kind}/v1\n`, canonical(value)));
  return hex(new Uint8Array(signed));
}

export const pinned = () => JSON.parse(localStorage.getItem(PINNED) || "[]");

/** Pin an execution key that came by another way than this server. */
export function pin(publicKey) {
  localStorage.setItem(PINNED, JSON.stringify([...new Set([...pinned(), publicKey])]));
}

export function unpin(publicKey) {
  localStorage.setItem(PINNED, JSON.stringify(pinned().filter((one) => one !== publicKey)));
}
