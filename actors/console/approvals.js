// Approvals: what exactly is allowed, and the signature, by a key that never leaves this browser.

import { get, getOr, post } from "./api.js";
import { el, empty, facts, hash, laidOut, moment, say, sayProblem, show, svg } from "./dom.js";
import { own, pinned, sign } from "./keys.js";
import { canonical } from "./pack-exact.js";
import { hashIn, keyId, sha256, verify } from "./proof.js";

const WAITING = ["PENDING", "DISPUTED"];
const SHOWN = ["approval_id", "args_hash", "intent_hash", "principal", "session_id", "tenant", "tool"];
const CHALLENGED = ["approve", "dispute"];

export async function approvals(place, { rest: [id] }) {
  if (id) return one(place, id);
  const { approvals: all } = await get("/api/v1/approvals");
  const waiting = all.filter((each) => WAITING.includes(each.state)).sort((a, b) => a.expires_at_ms - b.expires_at_ms);
  const done = all.filter((each) => !WAITING.includes(each.state)).slice(0, 20);
  show(place, el("h1", {}, "Approvals"), el("p", { class: "soft" }, "What waits for a human, first what expires first. Nothing here runs before it was looked at."),
    waiting.length ? el("div", { class: "cards" }, waiting.map(card)) : empty("Nothing waits for a human.", "A tool whose policy has an approval rule parks its calls here."),
    done.length ? [el("h2", {}, "Answered"), table(done)] : "");
  const turning = setInterval(() => { if (!document.hidden) for (const ring of place.querySelectorAll("[data-ring]")) ring.replaceWith(timelock(waiting.find((each) => each.approval_id === ring.dataset.ring))); }, 1000);
  return () => clearInterval(turning);
}

function table(rows) {
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["State", "Tool", "Who asked", "Agreed", "When"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((each) => el("tr", {}, el("td", {}, el("a", { href: `#/approvals/${each.approval_id}` }, each.state)), el("td", {}, each.tool), el("td", {}, each.principal), el("td", {}, each.grants.map((grant) => grant.principal).join(", ") || "nobody"), el("td", {}, moment(each.requested_at_ms)))))));
}

function card(each) {
  return el("article", { class: "card" }, el("div", { class: "spread" },
    el("div", {}, el("h3", {}, el("a", { href: `#/approvals/${each.approval_id}` }, each.tool)), el("p", { class: "small soft" }, `${each.principal} of ${each.tenant}`, each.delegation_id ? ", acting for somebody else" : "")), timelock(each)),
    facts([["tier", each.risk_tier], ["asked", moment(each.requested_at_ms)], ["expires", moment(each.expires_at_ms)], ["why", each.reason_code], ["agreed", seats(each)]]));
}

/** The timelock as a ring that fills; full and open once approvers may agree. */
function timelock(each) {
  const { requested_at_ms: from, timelock_until_ms: until } = each, length = 2 * Math.PI * 18;
  const part = each.unlocked || !until ? 1 : Math.min(1, Math.max(0, (Date.now() - from) / (until - from)));
  const open = part >= 1, left = Math.ceil((until - Date.now()) / 1000);
  return svg("svg", { class: "ring", viewBox: "0 0 44 44", role: "img", "data-ring": each.approval_id, "aria-label": open ? "may be answered now" : `the timelock holds for ${left} s` },
    svg("circle", { cx: 22, cy: 22, r: 18 }), svg("circle", { class: open ? "full open" : "full", cx: 22, cy: 22, r: 18, "stroke-dasharray": `${length * part} ${length}` }),
    svg("text", { x: 22, y: 26, "text-anchor": "middle", fill: "currentColor", "font-size": 11 }, open ? "open" : left > 99 ? `${Math.ceil(left / 60)}m` : `${left}s`));
}

function seats(each) {
  const taken = each.grants.length;
  return el("span", {}, el("ul", { class: "seats", "aria-label": `${taken} of ${each.quorum} have agreed` }, Array.from({ length: each.quorum }, (_, index) => el("li", { class: index < taken ? "taken" : "" }))));
}

async function one(place, id) {
  const told = await get(`/api/v1/approvals/${encodeURIComponent(id)}`);
  const matches = told.arguments !== null && (await sha256(canonical(told.arguments))) === told.args_hash;
  const actions = WAITING.includes(told.state) ? ["approve", "deny"] : told.state === "APPROVED" ? ["revoke", "dispute"] : [];
  show(place, el("p", { class: "small" }, el("a", { href: "#/approvals" }, "Approvals"), " / ", id),
    el("div", { class: "spread" }, el("h1", {}, told.tool), timelock(told)),
    el("p", {}, el("strong", {}, told.principal), ` of ${told.tenant} asks to run this, ${told.state.toLowerCase()} since `, moment(told.requested_at_ms), "."),
    el("div", { class: "story" },
      el("div", {}, el("section", { class: "card" }, el("h2", {}, "With these arguments"), laidOut(told.arguments),
        el("p", { class: `small ${matches ? "ALLOW" : "DENY"}` }, matches ? "✓ They are what the intent names, by their hash." : "✕ These arguments are not those that the intent names. Sign nothing.")),
      el("section", { class: "card" }, el("h2", {}, "What policy says of it"), facts([["why a human", told.reason_code], ["risk tier", told.risk_tier], ["quorum", seats(told)], ["approvers", told.approvers.map((each) => each.split(" ")[0]).join(", ") || "whoever holds an approval key"], told.role && ["role", told.role],
        ["policy", el("span", {}, `epoch ${told.policy_epoch} `, hash(told.policy_hash))], ["intent", hash(told.intent_hash)], ["session", told.session_id], ["expires", moment(told.expires_at_ms)], told.grants.length && ["agreed", told.grants.map((grant) => grant.principal).join(", ")], told.reason && ["said", told.reason]]))),
      el("div", {}, actions.length ? await answering(told, actions, matches, () => one(place, id)) : el("section", { class: "card" }, el("h2", {}, told.state), el("p", { class: "soft" }, "There is nothing to sign any more.")))));
  return null;
}

/** Return the form with which an approver answers: look, retype, sign. */
async function answering(told, actions, matches, again) {
  const keys = (await own()).filter((each) => each.purpose === "approval");
  const action = el("select", { name: "action" }, actions.map((each) => el("option", {}, each)));
  const key = el("select", { name: "key" }, keys.map((each) => el("option", { value: each.keyId }, `${each.name} (${each.keyId.slice(0, 12)})`)), el("option", { value: "" }, "a signature made offline"));
  const reason = el("input", { name: "reason", required: true, maxlength: 500 }), typed = el("input", { name: "typed", autocomplete: "off", spellcheck: "false" });
  const pasted = el("textarea", { rows: 5, placeholder: "what `helm approvals sign` wrote" }), offerKey = el("input", { name: "offer_key", placeholder: "key_... of whoever signs" });
  const digits = told.intent_hash.slice(7), words = () => `${action.value} ${told.tool} ${digits.slice(0, 4)}-${digits.slice(4, 8)}`;
  const phrase = el("span", { class: "phrase" }), retype = el("label", {}, "Retype this, to say that you have looked", phrase, typed), send = el("button", { class: "first" }, "Sign");
  const offline = el("div", {}, el("div", { class: "row" }, el("label", {}, "Key", offerKey), el("button", { type: "button", onclick: () => offer(told, offerKey.value.trim(), action.value).catch(sayProblem) }, "Save the offer")), el("label", {}, "The signed answer", pasted));
  const look = () => {
    const here = key.value !== "", asked = CHALLENGED.includes(action.value);
    offline.hidden = here;
    retype.hidden = !(here && asked);
    reason.parentElement.hidden = !here;
    reason.required = here;
    phrase.textContent = words();
    send.textContent = here ? "Sign" : "Hand in";
    send.disabled = !matches || (here ? !reason.value.trim() || (asked && typed.value !== words()) : !pasted.value.trim());
  };
  const submit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    try {
      const mine = keys.find((each) => each.keyId === key.value);
      const signed = mine ? await answer(told, mine, action.value, reason.value.trim(), typed.value) : JSON.parse(pasted.value);
      const after = await post(`/api/v1/approvals/${told.approval_id}/${encodeURIComponent(signed.assertion.action)}`, { ceremony_hash: signed.ceremony_hash ?? told.ceremony_hash, ...signed });
      say(after.state === "APPROVED" ? "Approved. The caller makes its call again, and it is judged once more." : `It is ${after.state} now.`);
      again();
    } catch (problem) {
      sayProblem(problem);
      look();
    }
  };
  const form = el("form", { class: "card", onsubmit: submit, oninput: look }, el("h2", {}, "Your answer"),
    el("label", {}, "I", action), el("label", {}, "with", key), el("label", {}, "Why; it stands in the log for ever", reason), retype, offline, el("div", { class: "row" }, send),
    keys.length ? "" : el("p", { class: "small soft" }, "This browser holds no approval key. Make one under ", el("a", { href: "#/budgets" }, "Budgets and keys"), ", or sign offline."));
  look();
  return form;
}

/** Return {assertion, signature, ceremony_hash}: the challenge is fetched, checked, answered and signed here. */
async function answer(told, key, action, reason, typed) {
  let seen = told, response = "", confirmed = "";
  if (CHALLENGED.includes(action)) {
    const { approval, challenge, signature } = await post(`/api/v1/approvals/${told.approval_id}/challenge`, { action, key_id: key.keyId });
    await check(told, approval, challenge, signature, key, action);
    seen = approval;
    response = await hashIn("ApprovalResponse", { challenge, signature });
    confirmed = await hashIn("ApprovalConfirmation", { ...Object.fromEntries(SHOWN.map((name) => [name, approval[name]])), action, typed });
  }
  const assertion = { action, approval_id: told.approval_id, challenge_response: response, confirmation_hash: confirmed, intent_hash: seen.intent_hash, key_id: key.keyId, log_id: seen.log_id, p0_ceiling_hash: seen.p0_ceiling_hash, policy_bundle_hash: seen.policy_hash, reason, reason_code: "" };
  return { assertion, ceremony_hash: seen.ceremony_hash, signature: await sign(key, "Approval", assertion) };
}

/** Throw unless the challenge is about the very thing that was shown on this page. */
async function check(told, approval, challenge, signature, key, action) {
  const same = SHOWN.every((name) => approval[name] === told[name]) && approval.policy_hash === told.policy_hash;
  const bound = challenge.approval_id === told.approval_id && challenge.intent_hash === told.intent_hash && challenge.args_hash === told.args_hash && challenge.policy_bundle_hash === told.policy_hash && challenge.p0_ceiling_hash === approval.p0_ceiling_hash && challenge.log_id === approval.log_id && challenge.key_id === key.keyId && challenge.action === action;
  const meant = (await sha256(canonical(approval.arguments))) === told.args_hash;
  if (!same || !bound || !meant) throw new Error("the challenge is about something else than this page showed: look again before you sign");
  const trusted = pinned();
  if (!trusted.length) return;
  for (const each of trusted) if ((await keyId(each)) === challenge.signed_by && (await verify(each, "ApprovalChallenge", challenge, signature))) return;
  throw new Error("the challenge is not signed by an execution key that you pinned");
}

async function offer(told, keyName, action) {
  const path = `/api/v1/approvals/${told.approval_id}`;
  const body = CHALLENGED.includes(action) ? await post(`${path}/challenge`, { action, key_id: keyName }) : { approval: await getOr(path, told) };
  const link = el("a", { href: URL.createObjectURL(new Blob([JSON.stringify(body, null, 2)], { type: "application/json" })), download: `${told.approval_id}.json` });
  link.click();
  URL.revokeObjectURL(link.href);
  say("Sign it where the key is: helm approvals sign, then paste what it wrote.");
}
