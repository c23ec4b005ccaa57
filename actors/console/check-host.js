// Check of what recorders on hosts wrote: it stands beside the pack as it was exported, in whole chains.

import { bytes } from "./bytes.js";
import { hashIn, sha256, Sha256 } from "./pack-digest.js";
import { hashText } from "./pack-state.js";
import { canonical, isObject, isPrintable, lengthOf, need, read, same, shape, textOf, without } from "./pack-exact.js";
import { keyAt } from "./check-trust.js";
import { COVER, DRIFT, REASONS } from "./pack-tables.js";

const HOST = "host_evidence/";
const NATIVE = "host_evidence/native.json";
const SOURCES = "host_evidence/sources.json";
const DRIFTS = "host_evidence/drift.jsonl";
const CHAIN = /^host_evidence\/chains\/([a-z0-9][a-z0-9_.-]{0,39})\.jsonl$/;
const MUST = ["event:d", "host_id:s", "prev_receipt_hash:s", "receipt_hash:s", "receipt_id:s", "recorded_at:s", "signature:s", "signature_algorithm:s", "signing_key_id:s"];
const MAY = ["agent_id:s", "hardware_root:d", "process_ancestry:l", "process_identity:s", "sandbox_lease_id:s", "version:s", "workload_id:s"];
const EVENT_MUST = ["destination_ip:s", "destination_port:i", "protocol:s", "timestamp:s"];
const EVENT_MAY = ["bytes_received:i", "bytes_sent:i", "destination_host:s", "verdict:s"];
const VERSION = "external_host_receipt.v1";
const LONGEST_TEXT = 1024;
const LONGEST_CHAIN = 100_000;

export function* checkHost(s) {
  s.chains = new Map();
  s.drifts = 0;
  if ([...s.files.paths].some((path) => path.startsWith(HOST))) {
    const native = checkNative(s), described = {};
    for (const path of [...s.files.paths].filter((one) => one.startsWith(`${HOST}chains/`))) {
      const [, source] = CHAIN.exec(path) ?? [];
      need(source !== undefined, `${path}: is no chain, or one under an odd name`);
      const chain = yield* readChain(s, path);
      s.chains.set(source, chain);
      described[source] = chain.described;
    }
    need(s.chains.size > 0, `${HOST}chains: there is no chain`);
    const written = s.files.get(SOURCES);
    need(written !== undefined && textOf(written, SOURCES) === canonical(described), `${SOURCES}: describes other chains`);
    if (s.files.has(DRIFTS)) yield* checkDrifts(s, native);
  }
  for (const source of s.pins.hostKeys.keys()) need(s.chains.has(source), `there is nothing from '${source}', whose key you brought`);
}

/** Check the pack as it was exported: its manifest lists the rest of the files, and is signed by itself. */
function checkNative(s) {
  const body = s.files.read(NATIVE), cover = shape(without(body, "entries", "manifest_hash", "signature"), COVER, NATIVE);
  const ours = s.files.read("manifest.json").entries.filter((entry) => !entry.path.startsWith(HOST));
  need(same(body.entries, ours), `${NATIVE}: does not list the rest of the files`);
  const hash = hashIn("Manifest", canonical(without(body, "manifest_hash", "signature")));
  need(hash === body.manifest_hash, `${NATIVE}: does not hash to its manifest_hash`);
  s.signed(keyAt(s, cover.key_id, "evidence", cover.lamport), "Pack", canonical({ ...cover, manifest_hash: hash }), body.signature);
  need(same(without(cover, "key_id"), without(s.cover, "key_id")), `${NATIVE}: speaks of another pack`);
  return hash;
}

/** Read a chain, and check its signatures where its key was brought. */
function* readChain(s, path) {
  const key = s.pins.hostKeys.get(CHAIN.exec(path)[1]), ids = new Set(), hashes = new Set([""]), sum = new Sha256();
  let first = null, last = null, roots = 0;
  for (const { raw, where } of s.files.lines(path)) {
    const receipt = read(raw, where);
    checkReceipt(receipt, where);
    first ??= receipt;
    need(receipt.prev_receipt_hash === (last ?? { receipt_hash: receipt.prev_receipt_hash }).receipt_hash, `${where}: does not name the one before it`);
    need(!ids.has(receipt.receipt_id), `${where}: is there twice`);
    need(["host_id", "signing_key_id", "signature_algorithm"].every((name) => receipt[name] === first[name]), `${where}: of another recorder or key`);
    if (key !== undefined) checkSignature(s, key, receipt);
    ids.add(receipt.receipt_id);
    hashes.add(receipt.receipt_hash);
    roots += Object.hasOwn(receipt, "hardware_root") ? 1 : 0;
    sum.update(canonical(receipt)).update("\n");
    last = receipt;
    need(ids.size <= LONGEST_CHAIN, `${path}: holds too many receipts`);
    yield 0.5;
  }
  need(first !== null, `${path}: holds no receipt`);
  const described = {
    begins: first.prev_receipt_hash, chain_hash: hashText(sum.digest()), first: first.receipt_hash, hardware_root: "not verified", hardware_roots: roots,
    host_id: first.host_id, last: last.receipt_hash, receipts: ids.size, signature_algorithm: first.signature_algorithm, signing_key_id: first.signing_key_id,
  };
  return { described, hashes };
}

/** These members must be there, those may, and no other. */
function partly(body, must, may, where) {
  need(isObject(body), `${where}: is no object`);
  return shape(body, [...must, ...may.filter((item) => Object.hasOwn(body, item.split(":")[0]))].join(" "), where);
}

const isHash = (text) => /^sha256:[0-9a-f]{64}$/.test(text);

function checkReceipt(receipt, where) {
  partly(receipt, MUST, MAY, where);
  partly(receipt.event, EVENT_MUST, EVENT_MAY, `${where} event`);
  need(["Ed25519", "ES256"].includes(receipt.signature_algorithm), `${where}: of an unknown algorithm`);
  need((receipt.version ?? VERSION) === VERSION, `${where}: of another version`);
  need(typeof (receipt.hardware_root ?? { type: "" }).type === "string", `${where}: a hardware root of no type`);
  const texts = [...Object.values(receipt), ...Object.values(receipt.event), ...(receipt.process_ancestry ?? [])].filter((value) => typeof value === "string");
  need(texts.every((text) => text !== "" && lengthOf(text) <= LONGEST_TEXT && isPrintable(text)), `${where}: an odd text`);
  need(isHash(receipt.receipt_hash) && (receipt.prev_receipt_hash === "GENESIS" || isHash(receipt.prev_receipt_hash)), `${where}: a hash is not written as one`);
  need(sha256(canonical({ ...receipt, receipt_hash: "", signature: "" })) === receipt.receipt_hash, `${where}: does not hash to its receipt_hash`);
}

/** The key says which algorithm it is for; what the receipt says must be the same. */
function checkSignature(s, key, receipt) {
  const algorithm = key.length === 64 ? "Ed25519" : "ES256", message = bytes(`${VERSION}\n`, canonical({ ...receipt, signature: "" }));
  need(receipt.signature_algorithm === algorithm, "a host receipt is of another algorithm than its key");
  if (algorithm === "Ed25519") s.signedBytes(key, message, receipt.signature);
  else s.signedES256(key, message, receipt.signature);
}

function* checkDrifts(s, native) {
  let total = 0;
  for (const { raw, where } of s.files.lines(DRIFTS)) {
    const line = shape(read(raw, where), "drift:d signature:s", where), said = shape(line.drift, DRIFT, where);
    need(said.type === "BOUNDARY_DRIFT" && said.version === "helm.drift/1", `${where}: is no drift of a host`);
    need(said.reason_code.startsWith("ERR_HOST_") && REASONS.has(said.reason_code), `${where}: for no known reason`);
    need(said.number === s.drifts + 1 && said.total === (total || said.total), `${where}: drifts were left out, added or moved`);
    need(said.log_id === s.logId && said.manifest_hash === native, `${where}: of another log or pack`);
    need(said.host_receipt_hash === "" || s.chains.get(said.source)?.hashes.has(said.host_receipt_hash), `${where}: about no host receipt of this pack`);
    s.signed(keyAt(s, said.key_id, "evidence", s.cover.lamport), "Drift", canonical(said), line.signature);
    [s.drifts, total] = [said.number, said.total];
    yield 0.9;
  }
  need(s.drifts > 0 && s.drifts === total, `${DRIFTS}: holds nothing, or drifts were left out`);
}

