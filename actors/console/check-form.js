// Checks of the pack as a file: its one form, its list of contents, and the versions it speaks.

import { filesIn } from "./pack-archive.js";
import { hashIn } from "./pack-digest.js";
import { byCodePoint, canonical, isObject, need, same, shape, without } from "./pack-exact.js";
import { sessionOf, OF_NONE } from "./pack-state.js";
import { COVER, SCHEMAS, SCRIPTS } from "./pack-tables.js";

const MANIFEST = "manifest.json";
const VERSION = "helm.pack/2";
const TYPES = new Map([["json", "application/json"], ["jsonl", "application/jsonl"], ["py", "text/x-python"]]);
const SCOPES = ["range", "session", "whole"];

export function* checkArchive(s) {
  s.files = yield* filesIn(s.source);
}

export function* checkManifest(s) {
  const body = s.files.read(MANIFEST), said = without(body, "entries", "manifest_hash", "signature"), { entries } = body;
  const paths = [...s.files.paths].filter((path) => path !== MANIFEST);
  need(Array.isArray(entries), `${MANIFEST}: its entries are no list of files`);
  for (const [index, path] of paths.entries()) {
    const type = TYPES.get(path.slice(path.lastIndexOf(".") + 1)), entry = entries[index];
    need(type, `${path}: a kind of file that no pack holds`);
    need(isObject(entry) && same(entry, { hash: entry.hash, path, size: s.files.sizeOf(path), type }), () => `${MANIFEST}: does not list ${path} as it is there`);
  }
  need(entries.length === paths.length, `${MANIFEST}: lists other files than are there`);
  const hash = hashIn("Manifest", canonical(without(body, "manifest_hash", "signature")));
  need(hash === body.manifest_hash && typeof body.signature === "string", `${MANIFEST}: does not hash to its manifest_hash`);
  s.version = said.version;
  if (said.version !== VERSION) return; // which the next check refuses: another version may have other members
  s.cover = coverOf(said);
  s.sessions = new Set(s.cover.sessions.map(([tenant, session]) => sessionOf(tenant, session)));
  s.signedCover = [canonical({ ...s.cover, manifest_hash: hash }), body.signature];
  for (const [index, path] of paths.entries()) {
    const found = yield* s.files.hash(path, index / paths.length);
    need(found === entries[index].hash, () => `${path}: is not the file that the manifest lists`);
  }
}

/** Return what a pack says of itself: that it is about these sessions. */
function coverOf(said) {
  const cover = shape(said, COVER, MANIFEST), { sessions, from_ms: begins, until_ms: ends } = cover;
  need(SCOPES.includes(cover.scope), `${MANIFEST}: of no known scope`);
  need(cover.scope === "range" ? begins >= 0 && begins < ends : begins === 0 && ends === 0, `${MANIFEST}: of no such range`);
  need(sessions.every((one) => Array.isArray(one) && one.length === 2 && one.every((name) => typeof name === "string")), `${MANIFEST}: sessions that are none`);
  need(sessions.every((one, at) => at === 0 || (byCodePoint(sessions[at - 1][0], one[0]) || byCodePoint(sessions[at - 1][1], one[1])) < 0), `${MANIFEST}: sessions out of order`);
  need(!sessions.some(([tenant, session]) => sessionOf(tenant, session) === OF_NONE), `${MANIFEST}: a session without a name`);
  need(cover.scope !== "session" || sessions.length === 1, `${MANIFEST}: is about one session and names others`);
  return cover;
}

export function* checkVersions(s) {
  need(s.version === VERSION, `${MANIFEST}: of another version than ${VERSION}: a newer HELM wrote it, or it was changed`);
  const found = [...s.files.paths].filter((path) => path.startsWith("schemas/"));
  const known = Object.entries(SCHEMAS).map(([name, hash]) => [`schemas/${name}.json`, hash]);
  need(found.length === known.length, "schemas/: not those that this verifier knows");
  for (const [path, hash] of known) need(s.files.has(path) && (yield* s.files.hash(path)) === hash, `${path}: is not the schema that this verifier knows`);
  need(s.files.has("replay/verify.py") && SCRIPTS.includes(yield* s.files.hash("replay/verify.py")), "replay/verify.py: is no script that this verifier knows: do not run it");
}

