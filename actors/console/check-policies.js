// Check of the policies: who vouched for which bundle, and whether the bundle in the pack is that one.

import { canonical, isExact, need, read, shape, textOf, without } from "./pack-exact.js";
import { hashIn } from "./pack-digest.js";
import { keyAt } from "./check-trust.js";

const END_OF_SET = ',"version":"helm.policy-set/1"}';

export const policyFile = (name) => `policy/${name.replace(/^sha256:/, "")}.json`;

export function* checkPolicies(s) {
  s.active = new Map();
  s.sets = new Map();
  let last = null;
  for (const [index, node] of s.activations.entries()) {
    const said = without(node.payload, "activated_at_ms", "type");
    const key = keyAt(s, said.key_id, "policy", node.lamport);
    s.signed(key, "PolicyBundle", canonical({ ...said, signature: "", version: "helm.policy-signature/1" }), said.signature);
    const raw = s.files.get(policyFile(said.policy_hash));
    if (raw !== undefined) checkBundle(raw, said, node.where);
    const newer = last === null || said.epoch > last.epoch || (said.epoch === last.epoch && said.policy_hash === last.policy_hash);
    need(newer && (last === null || said.scope === last.scope), `${node.where}: does not follow the one before it`);
    last = said;
    const name = activation(said.policy_hash, said.epoch);
    if (!s.active.has(name)) s.active.set(name, node.lamport);
    yield index / s.activations.length;
  }
}

export const activation = (policyHash, epoch) => `${policyHash} ${epoch}`;

function checkBundle(raw, said, where) {
  const bundle = read(raw, where, isExact), p0 = Object.hasOwn(bundle, "p0") ? bundle.p0 : {};
  const isSo = bundle.epoch === said.epoch && bundle.scope === said.scope && hashIn("P0", canonical(p0)) === said.p0_ceiling_hash && hashIn("Policy", raw) === said.policy_hash;
  need(isSo, `${where}: its bundle is another one`);
}

/** Return the policy set of this hash with the texts of its overlays, null where the pack has a bundle of it, or none. */
export function setOf(s, policyHash) {
  if (!s.sets.has(policyHash)) s.sets.set(policyHash, readSet(s, policyHash));
  return s.sets.get(policyHash);
}

function readSet(s, policyHash) {
  const raw = s.files.get(policyFile(policyHash));
  if (raw === undefined || !textOf(raw, policyHash).endsWith(END_OF_SET)) return null;
  const found = shape(read(raw, policyHash), "bundle:s overlays:l p0:d version:s", policyHash);
  need(hashIn("PolicySet", raw) === policyHash, `${policyHash}: another policy set`);
  for (const name of found.overlays) need(hashIn("OverlayText", s.files.get(policyFile(name)) ?? "") === name, `${name}: another overlay`);
  return found;
}
