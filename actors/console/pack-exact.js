// JSON as HELM writes it, and no other: one text per value, members of one shape, or a refusal that says where.

/** The pack must not be believed. */
export class Refused extends Error {}

export function need(holds, what) {
  if (!holds) throw new Refused(typeof what === "function" ? what() : what);
}

/** Deepest nesting of what is read: no record is deeper, and no reader's stack is spent on it (T4). */
const MAX_DEPTH = 64;

/** Longest text of one record: the largest policy bundle (T4). */
export const MAX_RECORD = 16 * 1024 * 1024;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Return RFC 8785 text of a value. Numbers are whole ones: nothing else stands in a record. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const names = Object.keys(value).sort(); // UTF-16 code units, as RFC 8785 section 3.2.3 wants
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

export function without(body, ...names) {
  need(names.every((name) => Object.hasOwn(body, name)), () => `misses one of ${names.join(", ")}`);
  return Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)));
}

/** Return the text of bytes. Throws Refused where they are no UTF-8. */
export function textOf(raw, where) {
  try {
    return UTF8.decode(raw);
  } catch {
    throw new Refused(`${where}: is not UTF-8`);
  }
}

/** Return the object of canonical bytes, or of a text. Throws Refused where writing it again gives another text. */
export function read(raw, where, isNumber = isPlain) {
  need(raw !== undefined, `${where}: is missing`);
  need(raw.length <= MAX_RECORD, `${where}: is too long for one record`);
  const text = typeof raw === "string" ? raw : textOf(raw, where);
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refused(`${where}: is not JSON`);
  }
  need(isObject(body), `${where}: is not one canonical object`);
  try {
    checkValue(body, 1, isNumber, text.includes("\\u"));
  } catch (problem) {
    if (problem instanceof Refused) throw new Refused(`${where}: ${problem.message}`);
    throw problem;
  }
  need(JSON.stringify(body) === text || canonical(body) === text, `${where}: is not one canonical object`); // doubled names, blanks, odd escapes
  return body;
}

/** Check what writing a value again does not: its depth, its numbers, its halves of characters. JSON.stringify is quick, and right only if names are in order. */
function checkValue(value, depth, isNumber, escapes) {
  if (typeof value === "string") return need(!escapes || value.isWellFormed(), "half a character");
  if (typeof value === "number") return need(isNumber(value), "a number that two readers may read differently");
  if (value === null || typeof value !== "object") return undefined;
  need(depth <= MAX_DEPTH, "is nested too deeply");
  if (Array.isArray(value)) {
    for (const one of value) checkValue(one, depth + 1, isNumber, escapes);
    return undefined;
  }
  let before = null;
  for (const name in value) {
    if (escapes) need(name.isWellFormed(), "half a character");
    need(before === null || before < name || /^\d+$/.test(before), "its names are not in order");
    checkValue(value[name], depth + 1, isNumber, escapes);
    before = name;
  }
  return undefined;
}

/** Say whether a number is one that every reader reads alike: no record holds a fraction. */
const isPlain = Number.isSafeInteger;

/** The same of a policy, whose canonical form is RFC 8785's in full. */
export const isExact = (value) => Number.isFinite(value) && !(Math.abs(value) > Number.MAX_SAFE_INTEGER && Math.abs(value) < 1e21);

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

const KINDS = {
  s: (value) => typeof value === "string",
  i: (value) => Number.isSafeInteger(value),
  b: (value) => typeof value === "boolean",
  l: (value) => Array.isArray(value),
  d: isObject,
};
const NOT_OF_TEXTS = new Set(["budget_reservation", "entries", "sandbox_limits", "sessions", "standing", "velocity"]);
const SHAPES = new Map();

function membersOf(spec) {
  let members = SHAPES.get(spec);
  if (members === undefined) {
    members = spec.split(/\s+/).filter(Boolean).map((item) => item.split(":")).sort(([one], [other]) => (one < other ? -1 : 1));
    SHAPES.set(spec, members);
  }
  return members;
}

/** Return a value that has exactly these members, of these types; a list is of texts, but for those that say otherwise. */
export function shape(body, spec, where) {
  const members = membersOf(spec);
  need(isObject(body) && Object.keys(body).length === members.length, () => `${where}: has other members than it must`);
  for (const [name, kind] of members) {
    need(Object.hasOwn(body, name), () => `${where}: has other members than it must`);
    need(KINDS[kind](body[name]), () => `${where}: ${name} is of another type`);
    if (kind === "l" && !NOT_OF_TEXTS.has(name)) need(body[name].every(KINDS.s), () => `${where}: ${name} is not a list of texts`);
  }
  return body;
}

/** Say whether two values are the same, member by member. */
export function same(one, other) {
  if (one === other) return true;
  if (one === null || other === null || typeof one !== "object" || typeof other !== "object") return false;
  const names = Object.keys(one);
  return Array.isArray(one) === Array.isArray(other) && names.length === Object.keys(other).length && names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]));
}

/** Compare two texts as Python does: by code points, where JavaScript compares halves of characters. */
export function byCodePoint(one, other) {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return (a >= 0xd800 ? (a > 0xdfff ? a - 0x2000 : a + 0x10000) : a) - (b >= 0xd800 ? (b > 0xdfff ? b - 0x2000 : b + 0x10000) : b);
  }
  return one.length - other.length;
}

/** Say whether texts are in order, and none stands twice. */
export const inOrder = (texts) => texts.every((text, index) => index === 0 || byCodePoint(texts[index - 1], text) < 0);

/** Say whether a text shows all that it holds, on one line. */
export const isPrintable = (text) => /^(?:[^\p{C}\p{Z}]| )*$/u.test(text);

export const lengthOf = (text) => [...text].length;

/** Say whether a text is a reason that somebody gave: one line, and not an endless one. */
export const isReason = (text) => text !== "" && lengthOf(text) <= 500 && isPrintable(text);
