// Checks of the keys: who may sign, from which entry of the log to which, is the fold of its signed trust events.

import { canonical, inOrder, need, shape, textOf, without } from "./pack-exact.js";
import { hashIn, sha256, short } from "./pack-digest.js";
import { unhex } from "./bytes.js";

const MAX_ADMINS = 16;
const SNAPSHOT = "trust/snapshot.json";

const nameOf = (publicKey) => short("key_", sha256(unhex(publicKey)));
const isActive = (key) => !key.revoked && !key.rotated;
const adminsOf = (keys) => new Map([...keys].filter(([, key]) => isActive(key) && key.purpose === "trust-admin"));

export function* checkTrust(s) {
  s.keys = new Map();
  const keepers = s.events[0].payload.keepers;
  let [before, threshold] = keepers === undefined ? ["GENESIS", 1] : begun(keepers, s.events[0].where), logId = "", clock = 0;
  for (const [index, node] of s.events.entries()) {
    const { event, cosignatures } = node.payload, { where } = node, height = index + 1, has = (name) => Object.hasOwn(node.payload, name);
    const follows = event.height === height && event.prev_event_hash === before && event.log_id === logId && node.lamport > clock;
    need(follows, `${where}: does not follow the one before it`);
    s.checkKey(event.public_key);
    need(event.key_id === nameOf(event.public_key), `${where}: the key bears another's name`);
    const admins = s.keys.size ? adminsOf(s.keys) : founders(s, event, keepers, node.lamport, where);
    const signer = change(s.keys, event, node.lamport, where, threshold);
    const said = canonical(without(event, "signature")), others = Object.entries(cosignatures ?? {});
    s.signed(signer, "TrustEvent", said, event.signature);
    need(height === 1 ? has("keepers") === has("cosignatures") : !has("keepers"), `${where}: would change how many must sign`);
    need(!others.some(([name]) => name === event.signed_by) && others.length <= MAX_ADMINS, `${where}: one signs once`);
    for (const [name, signature] of others) {
      need(admins.has(name), `${where}: ${name} may not sign trust events`);
      s.signed(admins.get(name).public_key, "TrustEvent", said, signature);
    }
    need(others.length + 1 >= (height === 1 ? admins.size : threshold), `${where}: too few have signed it`);
    if (height === 1) for (const [name, key] of admins) s.keys.set(name, key);
    [before, logId, clock] = [hashIn("TrustEventHash", canonical(event)), s.logId, node.lamport];
    yield height / s.events.length;
  }
  const snapshot = { height: s.events.length, keys: keysOf(s.keys), lamport: clock, last_event_hash: before, log_id: logId };
  if (Object.hasOwn(s.events[0].payload, "cosignatures")) snapshot.threshold = threshold;
  const written = s.files.get(SNAPSHOT);
  need(written !== undefined && textOf(written, SNAPSHOT) === canonical(snapshot), `${SNAPSHOT}: is not their fold`);
}

function keysOf(keys) {
  const status = (key) => (key.revoked ? "REVOKED" : key.rotated ? "ROTATED" : "ACTIVE");
  return [...keys].sort(([one], [other]) => (one < other ? -1 : 1)).map(([keyId, key]) => ({ ...key, key_id: keyId, status: status(key) }));
}

const added = (event, moment, publicKey = event.public_key, purpose = event.purpose) => ({ added: moment, public_key: publicKey, purpose, replaced_by: "", revoked: null, roles: [], rotated: null });

/** Return what the first event of a log that several keep names as the one before it, and how many must sign. */
function begun(keepers, where) {
  const { admins, threshold } = shape(keepers, "admins:l threshold:i", where);
  need(inOrder(admins) && admins.length >= 2 && admins.length <= MAX_ADMINS && threshold >= 1 && threshold <= admins.length, `${where}: an odd circle of keepers`);
  return [hashIn("Keepers", canonical(keepers)), threshold];
}

/** Return the administrators that a log begins with, by name. */
function founders(s, event, keepers, lamport, where) {
  const publicKeys = keepers === undefined ? [event.public_key] : keepers.admins;
  need(publicKeys.includes(event.public_key), `${where}: signed by who is no administrator`);
  for (const publicKey of publicKeys) s.checkKey(publicKey);
  return new Map(publicKeys.map((publicKey) => [nameOf(publicKey), added(event, { height: event.height, lamport }, publicKey, "trust-admin")]));
}

/** Apply one event to the keys and return the public key that must have signed it. */
function change(keys, event, lamport, where, threshold) {
  const { kind, key_id: keyId } = event, moment = { height: event.height, lamport };
  if (!keys.size) {
    need(kind === "KEY_ADDED" && event.purpose === "trust-admin" && event.signed_by === keyId, `${where}: a log begins with a trust-admin key that signs for itself`);
    keys.set(keyId, added(event, moment));
    return event.public_key;
  }
  const admins = adminsOf(keys);
  need(admins.has(event.signed_by), `${where}: ${event.signed_by} may not sign trust events`);
  const signer = keys.get(event.signed_by).public_key, old = event.replaces || keyId, known = keys.get(old);
  if (kind !== "KEY_ADDED") need(known?.purpose === event.purpose, `${where}: ${old} is not a known key for ${event.purpose}`);
  if (kind === "KEY_REVOKED") {
    need(!known.revoked && !(admins.has(keyId) && admins.size <= threshold), `${where}: revoked already, or one of the last trust-admin keys`);
    keys.set(keyId, { ...known, revoked: moment });
  } else if (kind === "ROLE_GRANTED" || kind === "ROLE_REVOKED") {
    changeRole(keys, event, known, moment, where);
  } else {
    need(!keys.has(keyId), `${where}: the key is known already`);
    if (kind === "KEY_ROTATED") {
      need(isActive(known), `${where}: ${old} does not count any more`);
      keys.set(old, { ...known, replaced_by: keyId, rotated: moment });
    }
    keys.set(keyId, added(event, moment));
  }
  return signer;
}

function changeRole(keys, event, known, moment, where) {
  const grants = event.kind === "ROLE_GRANTED", isHeld = (one) => one.role === event.role && !one.revoked, held = known.roles.some(isHeld);
  need(grants !== held && (isActive(known) || !grants), `${where}: a role that it has, or cannot have`);
  const roles = grants ? [...known.roles, { granted: moment, revoked: null, role: event.role }] : known.roles.map((one) => (isHeld(one) ? { ...one, revoked: moment } : one));
  keys.set(event.key_id, { ...known, roles });
}

/** Return the public key that may have signed for a purpose, and in a role, in the node at `lamport`. */
export function keyAt(s, keyId, purpose, lamport, role = "") {
  const key = s.keys.get(keyId);
  need(key !== undefined && key.purpose === purpose, `${keyId} is no ${purpose} key of this log`);
  const ends = [key.rotated, key.revoked].filter(Boolean).map((moment) => moment.lamport);
  need(key.added.lamport <= lamport && lamport < Math.min(lamport + 1, ...ends), `${keyId} did not count at ${lamport}`);
  const covers = (one) => one.role === role && one.granted.lamport <= lamport && (one.revoked === null || lamport < one.revoked.lamport);
  need(role === "" || key.roles.some(covers), `${keyId} was not ${role} at ${lamport}`);
  return key.public_key;
}

export function* checkSignature(s) {
  s.signed(keyAt(s, s.cover.key_id, "evidence", s.cover.lamport), "Pack", ...s.signedCover);
  yield 1;
}

