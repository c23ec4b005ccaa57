// Receipts: the live list, and one receipt as the story of its call.

import { get, getOr } from "./api.js";
import { el, empty, facts, hash, moment, sayProblem, show, verdict } from "./dom.js";
import { pin, pinned } from "./keys.js";
import { lanes } from "./lanes.js";
import { checksOf, keyId } from "./proof.js";

const HEIGHT = 40, SPARE = 6;
const FILTERS = [["verdict", "Verdict", ["", "ALLOW", "DENY", "ESCALATE"]], ["tool", "Tool"], ["reason_code", "Reason code"], ["session_id", "Session"]];

/** The list holds thousands of receipts and draws the few that fit, at most once a frame. */
export async function receipts(place, { live, parameters }) {
  const wanted = Object.fromEntries(FILTERS.map(([name]) => [name, parameters.get(name) ?? ""]));
  const matches = (one) => FILTERS.every(([name]) => !wanted[name] || one[name] === wanted[name]);
  let kept = live.kept.filter(matches);
  if (FILTERS.some(([name]) => wanted[name])) {
    const asked = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    const known = new Set(kept.map((one) => one.receipt_id));
    const older = (await get(`/api/v1/receipts?limit=200&${asked}`)).receipts.reverse();
    kept = [...kept, ...older.filter((one) => !known.has(one.receipt_id))];
  }
  const inside = el("div", { role: "list" }), list = el("div", { class: "list", tabindex: 0, "aria-label": "Receipts, latest first" }, inside), count = el("p", { class: "soft small", role: "status" });
  const controls = FILTERS.map(([name, title, choices]) => el("label", {}, title, choices
    ? el("select", { name }, choices.map((one) => el("option", { value: one, selected: one === wanted[name] }, one || "any")))
    : el("input", { name, value: wanted[name], autocomplete: "off" })));
  const filter = (event) => {
    event.preventDefault();
    const chosen = [...new FormData(form)].filter(([, value]) => value);
    location.hash = `#/receipts${chosen.length ? `?${new URLSearchParams(chosen)}` : ""}`;
  };
  const form = el("form", { class: "row filters", onsubmit: filter, onchange: filter }, controls, el("button", {}, "Filter"));
  show(place, el("h1", {}, "Receipts"), el("p", { class: "soft" }, "Every outcome, refusals included, as it is sealed."), form, count, list);

  let asked = 0, arrivedAt = "";
  function draw() {
    asked = 0;
    count.textContent = `${kept.length} ${kept.length === 1 ? "receipt" : "receipts"}${kept.length >= 10000 ? ", the latest 10,000" : ""}`;
    if (!kept.length) return show(inside, empty("Nothing here matches.", "Take a filter away, or send a call to POST /v1/tools/execute."));
    inside.style.height = `${kept.length * HEIGHT}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - SPARE), last = Math.min(kept.length, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + SPARE);
    show(inside, ...kept.slice(first, last).map((one, index) => row(one, first + index, one.receipt_id === arrivedAt)));
  }
  const soon = () => { asked ||= requestAnimationFrame(draw); };
  const hear = (one) => {
    if (!matches(one)) return;
    kept.unshift(one);
    if (kept.length > 10000) kept.length = 10000;
    if (list.scrollTop > HEIGHT) list.scrollTop += HEIGHT; // what is read stays where it is
    arrivedAt = one.receipt_id;
    soon();
  };
  list.addEventListener("scroll", soon, { passive: true });
  live.hears.add(hear);
  draw();
  return () => { live.hears.delete(hear); cancelAnimationFrame(asked); };
}

function row(one, index, isNew) {
  const shown = el("a", { class: `row-of${isNew ? " new" : ""}`, role: "listitem", href: `#/receipt/${one.receipt_id}` },
    verdict(one), el("span", {}, one.tool), el("span", { class: "who soft" }, one.principal), el("span", { class: "why soft" }, one.reason_code || one.status), el("span", { class: "when soft" }, moment(one.issued_at_ms)));
  shown.style.top = `${index * HEIGHT}px`;
  return shown;
}

const GATES = ["freeze", "context", "identity", "egress", "threat", "delegation"];
const OFFICES = ["effect", "temporal", "compliance", "schema", "relationships", "requirements", "decision point", "budget"];

/** One receipt, top to bottom, the way its call went; beside it its place among the others. */
export async function receipt(place, { rest: [id] }) {
  const story = await get(`/api/v1/receipts/${encodeURIComponent(id)}`);
  const { receipt: said, decision, record } = story;
  const picture = el("div", { class: "card" }), checks = el("div", { class: "card" });
  show(place, 
    el("p", { class: "small" }, el("a", { href: "#/receipts" }, "Receipts"), " / ", said.receipt_id),
    el("h1", {}, verdict(said), " ", said.tool),
    el("p", {}, sentence(said, story.reason)),
    el("div", { class: "story" }, el("div", {}, el("ol", { class: "steps" }, steps(said, decision, record, story.reason))), el("div", {}, checks, picture)));
  show(checks, el("h2", {}, "Verify here"), el("p", { class: "soft small" }, "Hashes and signatures are computed again in this browser; the server is not asked whether they are right."), el("button", { class: "first", type: "button", id: "verify", onclick: () => prove(checks, story).catch(sayProblem) }, "Verify"));
  show(picture, el("h2", {}, "Its place in the ProofGraph"), await lanes(story));
  return null;
}

function sentence(said, reason) {
  const how = { SUCCESS: "It was allowed, and it happened.", FAILED: "It was allowed, and failed.", DENIED: "It was refused. Nothing was dispatched.", ESCALATED: "It waits for a human. Nothing was dispatched.", NOT_DISPATCHED: "It was allowed, and never left.", INTERRUPTED: "It was cut off, and nothing happened.", INDETERMINATE: "It may have happened: reconcile before a retry." };
  return el("span", {}, how[said.status] ?? said.status, " ", said.reason_code ? el("code", {}, said.reason_code) : "", reason ? ` ${reason}` : "");
}

/** Return the way of the call. A gate that was never reached says so. */
function steps(said, decision, record, reason) {
  const results = decision?.gate_results ?? [];
  const names = [...GATES, ...OFFICES];
  const barred = results.findIndex((one) => one !== "PASS");
  const gate = (name, index) => {
    const result = results[index];
    const state = result === undefined ? "unasked" : result === "PASS" ? "passed" : "barred";
    return el("li", { class: state, title: result ?? "not reached" }, `${index < 6 ? `${index} ` : ""}${name}`, state === "barred" ? ` · ${decision.reason_code || result}` : "", state === "unasked" ? el("span", { class: "soft" }, " · not reached") : "");
  };
  const refusal = said.verdict === "ESCALATE" ? "asked" : "refused";
  const gates = names.slice(0, 6).map(gate), offices = names.slice(6).map((name, index) => gate(name, index + 6));
  const dispatched = said.intent_node !== "";
  const outcome = said.status === "INDETERMINATE" ? "unknown" : said.status === "SUCCESS" ? "" : "refused";
  return [
    el("li", {}, el("h3", {}, `Door: ${said.door} (${said.transport})`), facts([["who", `${said.principal} of ${said.tenant}`], ["session", el("a", { href: `#/receipts?session_id=${encodeURIComponent(said.session_id)}` }, said.session_id)], ["arguments", hash(said.args_hash)], said.idempotency_key && ["idempotency key", said.idempotency_key]])),
    el("li", { class: barred >= 0 && barred < 6 ? refusal : "" }, el("h3", {}, "Gates 0 to 5"), el("ul", { class: "gates" }, gates)),
    el("li", { class: barred >= 6 ? refusal : barred >= 0 ? "skipped" : "" }, el("h3", {}, "Policy"), el("ul", { class: "gates" }, offices),
      facts([["effect", `${decision?.effect_type ?? ""} · ${said.risk_tier}`], ["policy", el("span", {}, `epoch ${said.policy_epoch} `, hash(said.policy_hash))], record?.destination && ["destination", record.destination], decision?.requirement_set_hash && ["requirements", hash(decision.requirement_set_hash)]])),
    decision?.approval_id ? el("li", { class: said.status === "ESCALATED" ? "asked" : "" }, el("h3", {}, "Approval"), el("a", { href: `#/approvals/${decision.approval_id}` }, decision.approval_id)) : null,
    el("li", { class: dispatched ? "" : "skipped" }, el("h3", {}, dispatched ? "Dispatched" : "Not dispatched"), dispatched ? facts([["intent", hash(said.intent_node)], ["effect", hash(said.effect_id)], said.module_hash && ["module", hash(said.module_hash)], said.fuel_used && ["fuel used", String(said.fuel_used)]]) : el("p", { class: "soft" }, reason || "Nothing left the house.")),
    dispatched ? el("li", { class: outcome }, el("h3", {}, `Output checked: ${said.status}`), facts([["output", hash(said.output_hash)], said.reason_code && ["reason", said.reason_code]])) : null,
    el("li", {}, el("h3", {}, "Signed"), facts([["receipt", hash(said.receipt_id)], ["clock of the session", String(said.lamport_clock)], ["follows", said.prev_hash === "GENESIS" ? "nothing: it is the first" : hash(said.prev_hash)], ["key", hash(said.key_id)], ["when", moment(said.issued_at_ms)]])),
    el("li", { class: "skipped" }, el("h3", {}, "As it was written"), el("details", {}, el("summary", {}, "Receipt, decision and record"), el("pre", {}, JSON.stringify({ decision, receipt: said, record }, null, 2)))),
  ].filter(Boolean);
}

/** Make every check, and show each as it is made. */
async function prove(place, story) {
  const shown = el("ul", { class: "checks" }), result = el("p", { class: "large", role: "status" }, "Checking...");
  show(place, el("h2", {}, "Verify here"), result, shown);
  const keys = new Map();
  for (const one of (await getOr("/api/v1/trust/keys", { keys: [] })).keys) keys.set(one.key_id, { pinned: false, publicKey: one.public_key });
  const own = pinned();
  if (own.length) for (const name of [...keys.keys()]) keys.delete(name); // who pins a key trusts no other
  for (const one of own) keys.set(await keyId(one), { pinned: true, publicKey: one });
  const inclusion = await getOr(`/api/v1/boundary/proofs/${story.receipt.receipt_id}`, null);
  let holds = true;
  for await (const { name, ok, detail } of checksOf(story, keys, inclusion)) {
    holds &&= ok;
    shown.append(el("li", { class: ok ? "ok" : "bad" }, name, detail ? el("span", { class: "soft small" }, ` · ${detail}`) : ""));
  }
  if (!inclusion) shown.append(el("li", {}, "No checkpoint covers it yet"));
  result.textContent = holds ? "Verified" : "Not verified";
  result.className = `large ${holds ? "ALLOW" : "DENY"}`;
  const field = el("input", { placeholder: "64 hex digits", pattern: "[0-9a-f]{64}", required: true, "aria-label": "Public key of the execution key", autocomplete: "off" });
  const take = (event) => {
    event.preventDefault();
    pin(field.value.trim());
    prove(place, story).catch(sayProblem);
  };
  place.append(el("form", { class: "row", onsubmit: take }, el("label", {}, "Pin an execution key that you got by another way", field), el("button", {}, "Pin")));
}
