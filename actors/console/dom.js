// Elements, from data that is never read as markup: what an agent wrote stays text.

const UNSEEN = /(?![ \n])[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]/gu;

/** Return a text with whatever shows nothing, or turns what stands around it, written out: what is read is what is there. */
export function visible(text) {
  return text.replace(UNSEEN, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

const fit = (children) => children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false).map((one) => (typeof one === "string" ? visible(one) : one));

/** Return an element. Attributes that begin with "on" are listeners; null and false ones are left out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Return an element of an SVG picture. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** Put these children, and no others, into a place; lists are taken apart, and nothing stays nothing. */
export function show(place, ...children) {
  place.replaceChildren(...fit(children));
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...fit(children));
  return node;
}

/** Return what happened, as a shape, a colour and a word. An effect that nobody knows the end of is a ring. */
export function verdict(receipt) {
  const name = verdictOf(receipt);
  const odd = receipt.verdict === "ALLOW" && receipt.status !== "SUCCESS" ? ` · ${receipt.status}` : "";
  return el("span", { class: `verdict ${name}` }, name === "INDETERMINATE" ? "INDETERMINATE" : receipt.verdict + odd);
}

export function verdictOf(receipt) {
  return receipt.status === "INDETERMINATE" ? "INDETERMINATE" : receipt.verdict;
}

/** Return a hash or an id by its first 8 characters; a click copies the whole. */
export function hash(text) {
  if (!text) return el("span", { class: "soft" }, "none");
  const [, kind, digits] = /^(sha256:|[a-z]+_)?(.*)$/.exec(text);
  const copy = async (event) => {
    event.preventDefault();
    await navigator.clipboard?.writeText(text);
    say(`Copied ${text}`);
  };
  const shown = (kind && kind !== "sha256:" ? kind : "") + digits.slice(0, 8);
  return el("button", { class: "hash", type: "button", title: `${text} (click to copy)`, onclick: copy }, shown);
}

/** Return a moment: how long ago, the exact time behind it. */
export function moment(ms) {
  if (!ms) return el("span", { class: "soft" }, "never");
  const exact = new Date(ms).toISOString();
  return el("time", { datetime: exact, title: exact, "data-ms": ms }, ago(ms));
}

export function ago(ms, now = Date.now()) {
  const seconds = Math.round((now - ms) / 1000);
  const [far, word] = seconds < 0 ? [-seconds, (text) => `in ${text}`] : [seconds, (text) => `${text} ago`];
  if (far < 2) return "now";
  if (far < 90) return word(`${far} s`);
  if (far < 5400) return word(`${Math.round(far / 60)} min`);
  if (far < 172800) return word(`${Math.round(far / 3600)} h`);
  return word(`${Math.round(far / 86400)} d`);
}

/** Bring the relative times on the page up to date. */
export function tick(root = document) {
  const now = Date.now();
  for (const one of root.querySelectorAll("time[data-ms]")) one.textContent = ago(Number(one.dataset.ms), now);
}

/** Return a list of names and values. */
export function facts(rows) {
  return el("dl", {}, rows.filter(Boolean).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** Return arguments laid out by their names, not as JSON. What is no text stands as code: "5" and 5 are two things. */
export function laidOut(value) {
  if (value === "") return el("span", { class: "soft" }, "empty text");
  if (typeof value === "string") return el("span", { class: "given" }, value);
  if (value === null || typeof value !== "object") return el("code", {}, JSON.stringify(value));
  const named = (name) => el("span", { class: "given" }, name.replaceAll("\n", "\\n"));
  const rows = Array.isArray(value) ? value.map((one, index) => [String(index + 1), laidOut(one)]) : Object.entries(value).map(([name, one]) => [named(name), laidOut(one)]);
  return rows.length ? facts(rows) : el("span", { class: "soft" }, "empty");
}

export function empty(what, next) {
  return el("div", { class: "empty" }, el("p", {}, what), el("p", { class: "small" }, next));
}

let silence = 0;
/** Say something for a few seconds, also to a screen reader. */
export function say(text) {
  const place = document.getElementById("said");
  place.textContent = visible(text);
  place.hidden = false;
  clearTimeout(silence);
  silence = setTimeout(() => { place.hidden = true; }, 6000);
}

/** Say what was refused, why, and what to do. */
export function sayProblem(problem) {
  say([problem.reason_code, problem.message, problem.place && `at ${problem.place}`].filter(Boolean).join(" · "));
}
