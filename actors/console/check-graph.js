// Checks of the graph: every node hashes to its name and stands on what came before, and its first event is the pinned one.

import { canonical, isPrintable, lengthOf, need, read, shape, without, inOrder } from "./pack-exact.js";
import { hashIn } from "./pack-digest.js";
import { Node, OF_NONE } from "./pack-state.js";
import { NODE, PURPOSES, TRUST_EVENT } from "./pack-tables.js";

const FRONTIER = "proofgraph/frontier.json";
const NODES = "proofgraph/nodes";
const EVENTS = "trust/events.jsonl";
const BARE = NODE.split(/\s+/).filter((item) => item !== "payload:d").join(" ");
const OF_ROLES = ["ROLE_GRANTED", "ROLE_REVOKED"];
const KINDS = ["KEY_ADDED", "KEY_REVOKED", "KEY_ROTATED", ...OF_ROLES];

/** Return the next line of something that must go on. */
export function next(lines, where) {
  const { value, done } = lines.next();
  need(!done, `${where}: has no line for this node`);
  return value;
}

export const isOver = (lines, where) => need(lines.next().done, `${where}: goes on behind the last node`);

/**
 * The nodes that a following one may stand on: the last of every chain, intents without an outcome, and events, which are
 * few. A call that is over is stood on by nobody but its session's next node; where it is, the frontier says so.
 */
class Edge {
  constructor() {
    this.heads = new Map();
    this.last = new Set();
    this.lasting = new Set();
  }

  has(hash) {
    return this.last.has(hash) || this.lasting.has(hash);
  }

  advance(node, payload) {
    this.last.delete(this.heads.get(node.session));
    this.heads.set(node.session, node.hash);
    this.last.add(node.hash);
    if (node.kind === "EFFECT") this.lasting.delete(payload.intent_node);
    else if (!node.isRefusal) this.lasting.add(node.hash);
  }
}

export function* checkNodes(s) {
  const frontier = s.files.read(FRONTIER);
  shape(frontier, "nodes:d", FRONTIER);
  const outside = new Map(Object.entries(frontier.nodes)), heads = new Map([...s.sessions].map((session) => [session, ""]));
  need([...outside.values()].every(Number.isSafeInteger), `${FRONTIER}: has a clock that is no number`);
  need(s.files.has(`${NODES}/000000.jsonl`), `${NODES}/000000.jsonl: is missing`);
  const records = s.files.shards("records"), events = s.files.has(EVENTS) ? s.files.lines(EVENTS) : [].values();
  const edge = new Edge(), reliedOn = new Set();
  let control = "", clock = 0;
  s.nodes = [];
  for (const { raw, where } of s.files.shards(NODES)) {
    const line = read(raw, where), isBare = !Object.hasOwn(line, "payload");
    shape(line, isBare ? BARE : NODE, where);
    const own = isBare ? next(line.kind === "TRUST_EVENT" ? events : records, `${where}: its payload`) : null;
    const payload = isBare ? read(own.raw, own.where) : line.payload;
    const node = new Node(line, payload, where);
    need(isBare === (node.isCall || node.kind === "TRUST_EVENT"), `${where}: its payload stands elsewhere`);
    if (node.isCall) node.place = [own.start, own.raw.length];
    need(hashIn("Node", canonical({ ...without(line, "node_hash"), payload })) === node.hash, `${where}: does not hash to its name`);
    need(line.shard === s.cover.shard && (node.session === OF_NONE || heads.has(node.session)), `${where}: of another session`);
    need(node.lamport > clock, `${where}: is doubled or moved`);
    const causes = [control, heads.get(node.session) ?? ""].filter(Boolean);
    need(causes.length || node.lamport === 1, `${where}: the log's first node is missing`);
    need(causes.every((cause) => line.parents.includes(cause)), `${where}: a node before it is missing`);
    need(inOrder(line.parents), `${where}: its parents are not sorted and unique`);
    for (const parent of line.parents) {
      if (edge.has(parent)) continue;
      need(!heads.has(node.session) || heads.get(node.session), `${where}: the first nodes of its session are missing`);
      const at = outside.get(parent) ?? 0;
      need(at > 0 && at < node.lamport, `${where}: stands on what does not come before it`);
      reliedOn.add(parent);
    }
    edge.advance(node, payload);
    clock = node.lamport;
    if (heads.has(node.session)) heads.set(node.session, node.hash);
    else control = node.hash;
    s.nodes.push(node);
    yield clock / Math.max(1, s.cover.lamport);
  }
  isOver(records, "records");
  isOver(events, EVENTS);
  need([...heads.values()].every(Boolean) && clock === s.cover.lamport, "the last node, or all of a session, is missing");
  need(s.cover.scope !== "whole" || s.nodes.length === clock, "it is not the whole log: a node is missing");
  need(reliedOn.size === outside.size, `${FRONTIER}: names nodes that no node stands on`);
}

/** Return the payload of a call's node again: what it hashes to is known already. */
export function payloadOf(s, node) {
  const [start, size] = node.place;
  return read(s.source.bytes(start, start + size), node.where);
}

export function* checkGenesis(s) {
  s.events = s.nodes.filter((node) => node.kind === "TRUST_EVENT");
  for (const node of s.events) checkEvent(node);
  need(s.nodes[0]?.kind === "TRUST_EVENT", "the log does not begin with a trust event");
  const first = s.events[0].payload.event;
  s.logId = hashIn("Genesis", canonical(first));
  need(!s.pins.logId || s.pins.logId === s.logId, `the pack is of log ${s.logId}, not of the pinned one`);
  need(!s.pins.genesisKey || s.pins.genesisKey === first.public_key, "the log begins with another key than the pinned one");
  need(s.cover.log_id === s.logId, "the manifest speaks of another log");
  yield 1;
}

function checkEvent(node) {
  const { where, payload } = node, has = (name) => Object.hasOwn(payload, name);
  shape(payload, `event:d type:s ${["cosignatures", "keepers"].filter(has).map((name) => `${name}:d`).join(" ")}`, where);
  const event = shape(payload.event, TRUST_EVENT, where);
  need(!has("keepers") || has("cosignatures"), `${where}: keepers who did not sign`);
  need(payload.type === "TRUST_EVENT" && node.session === OF_NONE, `${where}: is no trust event`);
  const texts = Object.values(event).filter((value) => typeof value === "string");
  need(texts.every((text) => lengthOf(text) <= 500 && isPrintable(text)), `${where}: an odd text`);
  need(event.height >= 0 && event.issued_at_ms >= 0, `${where}: an odd number`);
  need(KINDS.includes(event.kind), `${where}: of an unknown kind`);
  need(OF_ROLES.includes(event.kind) ? /^[a-z][a-z0-9._-]{0,63}$/.test(event.role) : event.role === "", `${where}: an odd role`);
  need(PURPOSES.has(event.purpose) && event.reason !== "", `${where}: an odd purpose, or no reason`);
  need((event.kind === "KEY_ROTATED") === (event.replaces !== ""), `${where}: replaces what it does not`);
}
