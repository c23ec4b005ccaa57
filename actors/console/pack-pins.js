// What a verifier trusts before it reads a pack: never anything that it reads in the pack.

import { oddKey } from "./ed25519.js";
import { need } from "./pack-exact.js";

const HASHES = { logId: "a log_id", checkpoint: "a checkpoint's hash" };
const KEYS = ["genesisKey", "executionKey"];

/** Return pins, of which one at least is there. Throws Refused: it says what to bring, and how. */
export function pinsOf({ hostKeys = [], ...given }) {
  const pins = { logId: "", genesisKey: "", executionKey: "", checkpoint: "", ...given };
  need([...Object.keys(HASHES), ...KEYS].some((name) => pins[name]), "no trust root: a pack cannot vouch for itself. Ask whoever runs the log for its log_id, by another way than the pack came");
  for (const [name, what] of Object.entries(HASHES)) need(!pins[name] || /^sha256:[0-9a-f]{64}$/.test(pins[name]), `${what} is sha256: and 64 lower-case hex digits: copy it whole`);
  for (const name of KEYS) need(!pins[name] || !oddKey(pins[name]), () => `${oddKey(pins[name])}: copy the key whole`);
  return { ...pins, hostKeys: hostKeysOf(hostKeys) };
}

/** Return the keys of recorders by the names of their sources, from lines of SOURCE=HEX. */
function hostKeysOf(lines) {
  const found = new Map();
  for (const line of lines) {
    const [, source, key] = /^([^=]+)=([0-9a-f]{64}|04[0-9a-f]{128})$/.exec(line) ?? [];
    need(key !== undefined && !found.has(source), "the key of a recorder is SOURCE=KEY, once for each source: 64 hex digits of Ed25519, or 130 of P-256");
    need(key.length !== 64 || !oddKey(key), () => `${source}: ${oddKey(key)}`);
    found.set(source, key);
  }
  return found;
}
