// Verify a pack: a file is dropped, every check is told as it is made, and nobody is asked, least of all the pack.

import { el, facts, hash, show } from "./dom.js";
import { pinned } from "./keys.js";
import { pinsOf } from "./pack-pins.js";
import { CHECKS } from "./pack-tables.js";

const PINS = [
  ["logId", "The id of its log", "sha256: and 64 digits"],
  ["genesisKey", "The public key that its log begins with", "64 digits"],
  ["executionKey", "The public key that signs its receipts", "64 digits"],
  ["checkpoint", "A checkpoint of its log", "sha256: and 64 digits"],
];
const WIDE = { range: ", those with calls in a range of time", whole: ", the whole log up to its last node" };
const OUTCOME = { ok: "ok", bad: "fail", unmade: "not made", now: "..." };

let office = null, jobs = 0;

/** Return the worker, made once: from then on nothing is loaded. The one policy of this page admits this one address (see the door). */
function worker() {
  const address = new URL("pack-worker.js", import.meta.url).href;
  const trusted = globalThis.trustedTypes?.createPolicy("helm-worker", { createScriptURL: () => address }).createScriptURL("") ?? address;
  return new Worker(trusted, { type: "module" });
}

export async function pack(place) {
  const state = el("p", { role: "status", class: "small" }), told = el("section", { "aria-label": "What was found" });
  const form = formOf(begin, forget), drop = dropOf(take);
  let file = null, job = 0, isReady = office?.isReady ?? false;
  show(place, el("h1", {}, "Verify a pack"), el("p", { class: "soft" }, "In this browser alone: the file is read here and goes nowhere."), state, form.shown, drop.shown, told);
  office ??= worker();
  office.onmessage = ({ data }) => (data.ready ? ready() : data.job === job && hear(data));
  office.onerror = () => show(state, el("span", { class: "off", "aria-hidden": "true" }), " The verifier was not loaded: is the network there? Load the page again before you unplug it.");

  function ready() {
    office.isReady = isReady = true;
    sayState();
  }
  function sayState() {
    if (!isReady) return show(state, "Loading the verifier...");
    const words = navigator.onLine ? " Ready. All that is needed is loaded: unplug the network if you like, nothing is asked of it." : " Ready, and the network is unplugged: nothing here needs it.";
    return show(state, el("span", { class: "live", "aria-hidden": "true" }), words);
  }
  /** Forget what was found: it is of another file, or under another pin, than what is shown now. */
  function forget() {
    job = 0;
    office.postMessage({ stop: true });
    show(told);
  }
  function take(files) {
    file = null;
    forget();
    if (files.length !== 1) return drop.say("One pack at a time, please: a file that helm export wrote.");
    [file] = files;
    drop.say(`${file.name} · ${sizeOf(file.size)}`);
    return begin();
  }
  function begin() {
    const pins = form.pins();
    if (pins === null || file === null) return;
    jobs += 1;
    job = jobs;
    report.begin(file);
    office.postMessage({ job, file, pins });
  }
  const report = reportIn(told, () => office.postMessage({ stop: true }));
  const hear = (data) => {
    if (data.told) report.tell(data.told);
    else report.end(data, file);
  };

  const still = (event) => event.preventDefault(); // a drop beside the field must not open the file instead of this page
  const listening = [["online", sayState], ["offline", sayState], ["dragover", still], ["drop", still]];
  for (const [name, heard] of listening) addEventListener(name, heard);
  sayState();
  return () => {
    office.postMessage({ stop: true });
    for (const [name, heard] of listening) removeEventListener(name, heard);
  };
}

/** Ask what whoever looks trusts. `pins` returns it, or null after saying what is missing. */
function formOf(submitted, changed) {
  const kind = el("select", { name: "kind" }, PINS.map(([name, title]) => el("option", { value: name }, title)));
  const field = el("input", { name: "pin", autocomplete: "off", spellcheck: "false", placeholder: PINS[0][2], list: "pinned-here", "aria-describedby": "pin-problem" });
  const recorders = el("textarea", { name: "recorders", rows: 2, spellcheck: "false", placeholder: "SOURCE=KEY, one a line" }), problem = el("p", { id: "pin-problem", class: "DENY small", role: "alert" });
  const known = el("datalist", { id: "pinned-here" });
  const chosen = () => {
    field.placeholder = PINS.find(([name]) => name === kind.value)[2];
    show(known, kind.value === "executionKey" ? pinned().map((one) => el("option", { value: one }, "pinned in this browser")) : []);
  };
  kind.addEventListener("change", chosen);
  const pins = () => {
    const given = { [kind.value]: field.value.trim(), hostKeys: recorders.value.split("\n").map((line) => line.trim()).filter(Boolean) };
    try {
      pinsOf(given);
    } catch (odd) {
      field.setAttribute("aria-invalid", "true");
      show(problem, odd.message);
      field.focus();
      return null;
    }
    field.removeAttribute("aria-invalid");
    show(problem);
    return given;
  };
  const onsubmit = (event) => {
    event.preventDefault();
    submitted();
  };
  const shown = el("form", { class: "card", onsubmit, oninput: changed }, el("h2", {}, "What do you trust?"),
    el("p", { class: "soft small" }, "One thing that you got by another way than the pack came. It is never taken from the pack: a forged one would bring its own."),
    el("div", { class: "row" }, el("label", {}, "Trust", kind), el("label", { class: "wide" }, "As you were told it", field, known), el("button", { class: "first" }, "Verify")), problem,
    el("details", {}, el("summary", { class: "small" }, "Keys of recorders on hosts"), el("label", {}, "Whose chains beside the pack are checked too", recorders)));
  return { shown, pins };
}

/** A place to drop a file on, or to choose one by keyboard. */
function dropOf(taken) {
  const said = el("p", { class: "small", role: "status" }, "No file yet."), input = el("input", { type: "file", accept: ".tar", id: "pack-file", onchange: () => input.files.length && taken([...input.files]) });
  const over = (is) => (event) => {
    event.preventDefault();
    shown.classList.toggle("over", is);
  };
  const dropped = (event) => {
    over(false)(event);
    taken([...event.dataTransfer.files]);
  };
  const shown = el("div", { class: "drop", ondragover: over(true), ondragleave: over(false), ondrop: dropped }, el("p", {}, el("label", { for: "pack-file", class: "large" }, "Drop a pack here, or choose it")), input, said);
  return { shown, say: (text) => show(said, text) };
}

/** Show the checks as they are made, and the verdict. */
function reportIn(place, stop) {
  const verdict = el("div", { role: "status" }), bar = el("progress", { max: CHECKS.length, value: 0, "aria-label": "Checks made" });
  const running = el("div", { class: "row" }, bar, el("button", { type: "button", class: "stop", onclick: stop }, "Stop"));
  let lines = [];
  const line = (at, kind, text) => {
    const [name] = CHECKS[at];
    lines[at].className = kind;
    show(lines[at], el("span", { class: "number" }, String(at + 1)), el("span", { class: "name" }, name), el("span", { class: "outcome" }, OUTCOME[kind] ?? ""), el("span", { class: "found" }, text));
  };
  const begin = (file) => {
    lines = CHECKS.map(() => el("li", {}));
    show(verdict, el("p", { class: "soft" }, `Verifying ${file.name}...`));
    show(place, verdict, running, el("ol", { class: "made" }, lines));
    CHECKS.forEach(([, promise], at) => line(at, "", promise));
    bar.value = 0;
    running.hidden = false;
  };
  const tell = ({ number, part, ok, detail }) => {
    const at = number - 1, promise = CHECKS[at][1];
    bar.value = at + (part ?? 1);
    if (ok === undefined) {
      if (lines[at].className !== "now") line(at, "now", promise);
    } else line(at, ok ? "ok" : detail.startsWith("not made") ? "unmade" : "bad", detail || promise);
  };
  const end = ({ report, problem, stopped }, file) => {
    running.hidden = true;
    if (report) show(verdict, verdictOf(report, file));
    else show(verdict, el("p", { class: "large" }, stopped ? "Stopped" : "Not verified"), el("p", {}, stopped ? "Nothing is known of this pack." : `${problem} Nothing is known of this pack.`));
    verdict.scrollIntoView({ block: "nearest" });
  };
  return { begin, tell, end };
}

function verdictOf({ authenticated, checks, subject }, file) {
  const alone = el("p", { class: "soft small" }, `${file.name} was read in this browser alone. Nothing was sent, and nobody was asked.`);
  if (!authenticated) {
    const failed = checks.find((one) => !one.ok);
    return [el("p", { class: "verdict large DENY" }, "NOT AUTHENTICATED"), el("p", {}, `By check ${failed.number}, ${failed.name}: ${failed.detail}`), el("p", {}, "Believe nothing in it."), alone];
  }
  const whose = subject.session_id ? `session ${subject.session_id} of ${subject.tenant}` : `${subject.sessions} sessions`;
  return [el("p", { class: "verdict large ALLOW" }, "AUTHENTICATED"), facts([
    ["receipts", `${subject.receipts} of ${whose}${WIDE[subject.scope] ?? ""}`],
    ["log", hash(subject.log_id)],
    ["calls", `without an outcome: ${subject.open_intents}, without their facts: ${subject.redacted}`],
    subject.condensed && ["condensed", `${subject.condensed} receipts stand as leaves alone`],
    subject.host_receipts && ["of hosts", `${subject.host_receipts} host receipts beside it, which are not HELM's word. Boundary drift: ${subject.drifts}, sources whose key you did not bring: ${subject.host_unsigned}`],
  ]), alone];
}

function sizeOf(size) {
  if (size < 10_000) return `${size} bytes`;
  return size < 10_000_000 ? `${(size / 1000).toFixed(0)} kB` : `${(size / 1_000_000).toFixed(0)} MB`;
}
