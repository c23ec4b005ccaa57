// The console: one page, seven rooms. Which room is open, and how it is filtered, stands in the address.

import { bearer, follow, get, getOr } from "./api.js";
import { el, sayProblem, show, tick } from "./dom.js";
import { approvals } from "./approvals.js";
import { budgets } from "./budgets.js";
import { now } from "./now.js";
import { pack } from "./pack.js";
import { receipt, receipts } from "./receipts.js";
import { servers } from "./servers.js";

const ROOMS = [
  ["now", "Now", now],
  ["receipts", "Receipts", receipts],
  ["receipt", "", receipt],
  ["approvals", "Approvals", approvals],
  ["tools", "Tools and servers", servers],
  ["budgets", "Budgets and keys", budgets],
  ["verify", "Verify a pack", pack],
];

/** The room that needs no key: it asks this server for nothing. */
const FOR_ALL = "verify";
const MOST_KEPT = 10000;

/** What every room sees: the receipts that arrived, latest first, and who wants to hear of the next. */
const live = { kept: [], hears: new Set(), connected: false };
let leave = null;
let stream = null;

function arrived(seq, one) {
  live.kept.unshift({ ...one, seq, seen: Date.now() });
  if (live.kept.length > MOST_KEPT) live.kept.length = MOST_KEPT;
  for (const hear of live.hears) hear(live.kept[0]);
}

function connected(is, problem) {
  live.connected = is;
  const state = document.getElementById("state");
  const told = is ? "live" : problem?.status === 401 ? "the key does not count" : "not connected, trying again";
  show(state, el("span", { class: is ? "live" : "off", "aria-hidden": "true" }), told, bearer.get() ? el("button", { type: "button", onclick: signOut }, "Sign out") : "");
}

function signOut() {
  bearer.forget();
  location.reload();
}

function signIn(why = "") {
  leave?.();
  leave = null;
  show(document.getElementById("rooms"));
  const field = el("input", { type: "password", autocomplete: "off", id: "bearer", required: true, spellcheck: "false" });
  const enter = async (event) => {
    event.preventDefault();
    bearer.set(field.value.trim());
    try {
      await get("/api/v1/receipts?limit=1");
    } catch (problem) {
      bearer.forget();
      return sayProblem(problem);
    }
    begin();
  };
  const form = el("form", { class: "card", onsubmit: enter },
    el("h1", {}, "Who is looking?"),
    el("p", { class: "soft" }, why || "A bearer key opens the console: an operator's shows everything, a tenant's its own. It stays in this tab and goes when the tab is closed."),
    el("div", { class: "row" }, el("label", { for: "bearer" }, "Bearer key", field), el("button", { class: "first" }, "Look")),
    el("p", { class: "small" }, el("a", { href: `#/${FOR_ALL}` }, "Verify a pack"), " without a key: it is done in this browser alone."));
  show(document.getElementById("room"), form);
  field.focus();
}

async function begin() {
  stream?.abort();
  stream = new AbortController();
  follow(arrived, connected, stream.signal);
  const page = await getOr("/api/v1/receipts?limit=200", { receipts: [] }).catch(() => ({ receipts: [] }));
  if (!live.kept.length) live.kept = page.receipts.reverse().map((one) => ({ ...one, seq: null, seen: one.issued_at_ms }));
  open();
}

async function open() {
  const address = new URL(location.hash.slice(1) || "/now", "http://room");
  const [, name, ...rest] = address.pathname.split("/");
  const [, , room] = ROOMS.find(([known]) => known === name) ?? ROOMS[0];
  if (!bearer.get() && name !== FOR_ALL) return signIn();
  leave?.();
  leave = null;
  const shown = bearer.get() ? ROOMS.filter(([, title]) => title) : [["now", "Sign in"], ROOMS.find(([known]) => known === FOR_ALL)];
  show(document.getElementById("rooms"), ...shown.map(([known, title]) => el("a", { href: `#/${known}`, "aria-current": known === name || (name === "receipt" && known === "receipts") ? "page" : null }, title)));
  const place = document.getElementById("room");
  document.title = `HELM · ${(ROOMS.find(([known]) => known === name) ?? ROOMS[0])[1] || "Receipt"}`;
  show(place, el("p", { class: "soft" }, "Looking..."));
  try {
    leave = await room(place, { live, parameters: address.searchParams, rest: rest.map(decodeURIComponent) });
  } catch (problem) {
    if (problem.status === 401) return signIn("That key does not count any more.");
    show(place, el("div", { class: "card" }, el("h1", {}, "This room did not open"), el("p", {}, problem.message), el("button", { type: "button", onclick: open }, "Try again")));
  }
}

setInterval(() => tick(), 1000);
addEventListener("hashchange", open);
if (bearer.get()) begin();
else open();
