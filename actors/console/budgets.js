// Budgets and keys: what is left, which keys count and since when, and the keys of this browser.

import { getOr } from "./api.js";
import { el, empty, facts, hash, say, sayProblem, show, svg } from "./dom.js";
import { make, own, pin, pinned, unpin } from "./keys.js";

const LIMITS = [["tool_call_limit", "tool_calls", "calls"], ["write_operation_limit", "write_operations", "writes"], ["spend_limit_cents", "spend_cents", "cents"], ["egress_limit_bytes", "egress_bytes", "bytes"]];

export async function budgets(place) {
  const [told, keys] = await Promise.all([getOr("/api/v1/budgets", null), getOr("/api/v1/trust/keys", null)]);
  const mine = el("section", {}), pins = el("section", {});
  show(place, el("h1", {}, "Budgets and keys"),
    told === null ? empty("An operator's key shows the budgets.", "Sign out and come back with an admin key.") : [el("h2", {}, "Ceilings, and what is left of them"), told.budgets.length ? told.budgets.map(budget) : empty("The policy has no budget.", "[[budgets]] in the policy adds one.")],
    keys ? [el("h2", {}, "Keys of the log"), el("p", { class: "soft" }, `By purpose, over ${keys.lamport} entries of the log: a line begins where a key was added, and ends where it was rotated or revoked.`), trust(keys)] : "",
    mine, pins);
  await showMine(mine);
  showPins(pins);
  return null;
}

function budget(one) {
  const limits = LIMITS.filter(([name]) => one[name] !== null);
  const bars = (account) => limits.map(([limit, used, unit]) => {
    const [most, spent] = [one[limit], account[used]], part = most ? Math.min(1, spent / most) : 1;
    return el("div", {}, el("div", { class: "spread small" }, el("span", {}, account.account.split("/").slice(1).join("/") || "everyone"), el("span", { class: "soft" }, `${most - spent} of ${most} ${unit} left`)),
      el("div", { class: "meter", role: "meter", "aria-valuemin": 0, "aria-valuemax": most, "aria-valuenow": spent, "aria-label": `${one.budget_id}, ${unit} used by ${account.account}` }, svg("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none" }, svg("rect", { class: part >= 1 ? "full" : "", width: part * 100, height: 8 }))));
  });
  const accounts = one.accounts.length ? one.accounts.slice(0, 12) : [{ account: "/nothing used yet", egress_bytes: 0, spend_cents: 0, tool_calls: 0, write_operations: 0 }];
  return el("article", { class: "card" }, el("div", { class: "spread" }, el("h3", {}, one.budget_id), el("span", { class: "soft small" }, `${one.subject} · every ${span(one.window_s)} · ${one.layer}`)), accounts.map(bars), one.accounts.length > 12 ? el("p", { class: "soft small" }, `and ${one.accounts.length - 12} accounts more`) : "");
}

const span = (seconds) => (seconds % 86400 === 0 ? `${seconds / 86400} d` : seconds % 3600 === 0 ? `${seconds / 3600} h` : `${seconds} s`);

function trust({ keys, lamport }) {
  const x = (at) => (at / Math.max(1, lamport)) * 1000;
  const line = (one) => {
    const begin = x(one.added.lamport), ended = one.revoked ?? one.rotated, end = ended ? x(ended.lamport) : 1000;
    return svg("svg", { class: "life", viewBox: "0 0 1000 20", preserveAspectRatio: "none", role: "img", "aria-label": `added at ${one.added.lamport}${ended ? `, ended at ${ended.lamport}` : ""}` }, svg("rect", { x: begin, y: 7, width: Math.max(2, end - begin), height: 6 }), svg("line", { x1: begin, x2: begin, y1: 2, y2: 18 }), ended ? svg("line", { class: one.revoked ? "revoked" : "", x1: end, x2: end, y1: 2, y2: 18 }) : "");
  };
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["Purpose", "Key", "State", "Roles", "Lifetime"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, [...keys].sort((a, b) => a.purpose.localeCompare(b.purpose) || a.added.lamport - b.added.lamport).map((one) => el("tr", {}, el("td", {}, one.purpose), el("td", {}, hash(one.key_id)), el("td", {}, el("span", { class: `verdict ${one.status === "ACTIVE" ? "ALLOW" : one.status === "REVOKED" ? "DENY" : "ESCALATE"}` }, one.status)), el("td", {}, one.roles.filter((role) => !role.revoked).map((role) => role.role).join(", ") || "none"), el("td", {}, line(one)))))));
}

async function showMine(place) {
  const keys = await own();
  const name = el("input", { required: true, maxlength: 60, placeholder: "such as: alice, phone" }), purpose = el("select", {}, ["approval", "emergency"].map((one) => el("option", {}, one)));
  const create = async (event) => {
    event.preventDefault();
    try {
      await make(purpose.value, name.value.trim());
      say("Made. It counts once an administrator of the log has added its public key.");
      await showMine(place);
    } catch (problem) {
      sayProblem(problem);
    }
  };
  show(place, el("h2", {}, "Keys of this browser"), el("p", { class: "soft" }, "Made here, not extractable, and gone with this browser's data. An administrator of the log adds the public key before it counts."),
    keys.map((one) => el("article", { class: "card" }, el("h3", {}, `${one.name} · ${one.purpose}`), facts([["key", hash(one.keyId)], ["public key", el("code", {}, one.publicKey)], ["add it with", el("code", {}, `helm trust add ${one.purpose} --public-key ${one.publicKey} --reason "..."`)]]))),
    el("form", { class: "row", onsubmit: create }, el("label", {}, "Whose, and where", name), el("label", {}, "For", purpose), el("button", { class: "first" }, "Make a key")));
}

function showPins(place) {
  const field = el("input", { required: true, pattern: "[0-9a-f]{64}", placeholder: "64 hex digits", autocomplete: "off" });
  const take = (event) => {
    event.preventDefault();
    pin(field.value.trim());
    showPins(place);
  };
  show(place, el("h2", {}, "Execution keys that you trust"), el("p", { class: "soft" }, "Where one is pinned, receipts and challenges are verified with it alone, and not with what this server names."),
    pinned().map((one) => el("div", { class: "row" }, el("code", {}, one), el("button", { type: "button", onclick: () => { unpin(one); showPins(place); } }, "Forget"))),
    el("form", { class: "row", onsubmit: take }, el("label", {}, "Public key, got by another way than this server", field), el("button", {}, "Pin")));
}
