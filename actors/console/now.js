// Now: is it deciding, is anything stuck, stop it.

import { getOr, post, text } from "./api.js";
import { el, hash, moment, say, sayProblem, show, svg, verdict, verdictOf } from "./dom.js";
import { own, sign } from "./keys.js";

const SECONDS = 60;
const VERDICTS = ["ALLOW", "ESCALATE", "DENY", "INDETERMINATE"];

export async function now(place, { live }) {
  const buckets = new Map();
  const note = (one) => {
    const second = Math.floor(one.seen / 1000);
    const bucket = buckets.get(second) ?? Object.fromEntries(VERDICTS.map((name) => [name, 0]));
    bucket[verdictOf(one)] += 1;
    buckets.set(second, bucket);
  };
  live.kept.forEach(note);
  const figures = el("div", { class: "tiles" }), chart = el("div", { class: "card" }), stops = el("div", {}), last = el("div", { class: "card" });
  show(place, 
    el("div", { class: "spread" }, el("div", {}, el("h1", {}, "Now"), el("p", { class: "soft" }, "What is decided at this moment, and the lever that ends it.")), lever(() => refresh())),
    stops, figures, chart, last);
  live.hears.add(note);

  async function refresh() {
    const [measured, approvals, servers, frozen, checkpoint] = await Promise.all([
      metrics(), getOr("/api/v1/approvals?state=PENDING", { approvals: [] }), getOr("/api/v1/mcp/registry", { servers: [] }),
      getOr("/api/v1/freeze", { in_force: [] }), latestCheckpoint()]);
    const waiting = approvals.approvals.length;
    const quarantined = servers.servers.filter((one) => one.state === "quarantined").length;
    show(figures, 
      tile("Deciding", measured ? (measured.ready ? "yes" : "no") : live.connected ? "yes" : "unknown"),
      tile("p50 of a call", measured ? milliseconds(measured.quantile(0.5)) : "operators only"),
      tile("p99 of a call", measured ? milliseconds(measured.quantile(0.99)) : "operators only"),
      tile("In flight", measured ? `${measured.inFlight} of ${measured.limit}` : "operators only"),
      tile("Waiting for approvers", waiting, "#/approvals"),
      tile("Quarantined servers", quarantined, "#/tools"),
      tile("Last checkpoint", checkpoint ? el("span", {}, `${checkpoint.checkpoint.sequence} · `, moment(checkpoint.checkpoint.issued_at_ms)) : "none yet"),
      tile("Head of the chain", live.kept[0] ? hash(live.kept[0].receipt_id) : "no receipt yet"));
    show(stops, ...(frozen.in_force.length ? [el("div", { class: "frozen", role: "status" }, el("h2", {}, "Frozen"), frozen.in_force.map((one) => el("p", {}, one.scope === "global" ? "Everything is stopped: nothing is dispatched." : `${one.scope} ${one.target} is stopped.`)))] : []));
  }

  function draw() {
    show(chart, el("h2", {}, "Verdicts a second"), picture(buckets), el("div", { class: "legend" }, VERDICTS.map((name) => el("span", { class: `verdict ${name}` }, name))));
    const shown = live.kept.slice(0, 8);
    show(last, el("h2", {}, "Latest"), shown.length
      ? el("table", {}, el("tbody", {}, shown.map((one) => el("tr", {}, el("td", {}, verdict(one)), el("td", {}, el("a", { href: `#/receipt/${one.receipt_id}` }, one.tool)), el("td", {}, one.principal), el("td", { class: "soft" }, one.reason_code), el("td", {}, moment(one.issued_at_ms))))))
      : el("p", { class: "soft" }, "No call yet. Send one to POST /v1/tools/execute, and it appears here as it is sealed."));
    for (const second of buckets.keys()) if (second < Date.now() / 1000 - SECONDS - 5) buckets.delete(second);
  }

  await refresh();
  draw();
  const slow = setInterval(() => refresh().catch(sayProblem), 2000), fast = setInterval(draw, 1000);
  return () => { clearInterval(slow); clearInterval(fast); live.hears.delete(note); };
}

function tile(name, figure, href = "") {
  const words = typeof figure === "string" && figure.length > 9 || typeof figure === "object";
  const shown = el("div", { class: `figure${words ? " still" : ""}` }, typeof figure === "object" ? figure : String(figure));
  return el("div", { class: "tile" }, shown, el("div", { class: "name" }, href ? el("a", { href }, name) : name));
}

const milliseconds = (seconds) => (seconds === null ? "no call yet" : seconds < 1 ? `${(seconds * 1000).toFixed(1)} ms` : `${seconds.toFixed(1)} s`);

/** Return the figures of /metrics that are shown here, null for a key that does not read them. */
async function metrics() {
  let raw;
  try {
    raw = await text("/metrics");
  } catch (problem) {
    if (problem.status === 403) return null;
    throw problem;
  }
  const value = (name) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(raw)?.[1] ?? 0);
  const buckets = [...raw.matchAll(/^helm_call_seconds_bucket\{le="([^"]+)"\} (\S+)$/gm)].map(([, end, count]) => [end === "+Inf" ? Infinity : Number(end), Number(count)]);
  const quantile = (part) => {
    const wanted = (buckets.at(-1)?.[1] ?? 0) * part;
    let [start, below] = [0, 0];
    for (const [end, count] of buckets) {
      if (wanted > 0 && count >= wanted) return end === Infinity ? start : start + ((end - start) * (wanted - below)) / (count - below);
      [start, below] = [end, count];
    }
    return null;
  };
  return { inFlight: value("helm_calls_in_flight"), limit: value("helm_calls_in_flight_limit"), quantile, ready: value("helm_ready") === 1 };
}

let covered = { latest: null, after: 0 };

/** Return the latest checkpoint; those that were seen before are not read again. */
async function latestCheckpoint() {
  for (;;) {
    const page = await getOr(`/api/v1/boundary/checkpoints?after=${covered.after}`, { checkpoints: [] });
    if (!page.checkpoints.length) return covered.latest;
    const latest = page.checkpoints.at(-1);
    covered = { latest, after: latest.checkpoint.sequence };
  }
}

/** Return the last minute as stacked areas. */
function picture(buckets) {
  const width = 900, height = 140, floor = height - 18, end = Math.floor(Date.now() / 1000);
  const seconds = Array.from({ length: SECONDS }, (_, index) => end - SECONDS + 1 + index);
  const sums = seconds.map((second) => VERDICTS.reduce((sum, name) => sum + (buckets.get(second)?.[name] ?? 0), 0));
  const most = Math.max(4, ...sums), x = (index) => 32 + (index * (width - 36)) / (SECONDS - 1), y = (count) => floor - (count / most) * (floor - 10);
  let under = seconds.map(() => 0);
  const areas = VERDICTS.map((name) => {
    const over = under.map((sum, index) => sum + (buckets.get(seconds[index])?.[name] ?? 0));
    const path = `M${over.map((sum, index) => `${x(index)},${y(sum)}`).join("L")}L${under.map((sum, index) => `${x(index)},${y(sum)}`).reverse().join("L")}Z`;
    under = over;
    return svg("path", { class: name, d: path });
  });
  return svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${sums.reduce((a, b) => a + b, 0)} receipts in the last minute, at most ${most} a second`, preserveAspectRatio: "none" },
    svg("line", { x1: 32, x2: width, y1: floor, y2: floor }), svg("line", { x1: 32, x2: width, y1: y(most), y2: y(most) }),
    svg("text", { x: 0, y: y(most) + 4 }, String(most)), svg("text", { x: 0, y: floor + 4 }, "0"), svg("text", { x: 32, y: height - 2 }, "a minute ago"), svg("text", { x: width - 24, y: height - 2 }, "now"), areas);
}

/** The one red lever: it asks for a reason and a typed word, and shows the command before it is sent. */
function lever(done) {
  return el("div", { class: "row" }, el("button", { class: "stop", type: "button", onclick: () => stopDialog("freeze", done) }, "Freeze"), el("button", { type: "button", onclick: () => stopDialog("unfreeze", done) }, "Resume"));
}

async function stopDialog(action, done) {
  let told;
  try {
    told = await getOr("/api/v1/freeze", null);
  } catch (problem) {
    return sayProblem(problem);
  }
  const keys = (await own()).filter((one) => one.purpose === "emergency");
  const reason = el("input", { required: true, maxlength: 500, name: "reason" }), typed = el("input", { required: true, autocomplete: "off", name: "typed" });
  const scope = el("select", { name: "scope" }, ["global", "tenant", "agent"].map((one) => el("option", {}, one))), target = el("input", { name: "target", placeholder: "tenant, or tenant/principal" });
  const key = el("select", { name: "key" }, keys.map((one) => el("option", { value: one.keyId }, `${one.name} (${one.keyId.slice(0, 12)})`)), el("option", { value: "" }, "a signature made offline"));
  const keyName = el("input", { name: "key_id", placeholder: "key_..." }), pasted = el("textarea", { rows: 2, name: "signature", placeholder: "128 hex digits" });
  const offline = el("div", {}, el("label", {}, "Key", keyName), el("label", {}, "Signature over HELM/Freeze/v1 and the command below", pasted));
  const shown = el("pre", { "aria-label": "The command that is signed" }), send = el("button", { class: "stop armed", disabled: true }, action === "freeze" ? "Freeze" : "Resume");
  const issued = Date.now();
  const command = () => ({ action, issued_at_ms: issued, key_id: key.value || keyName.value.trim(), log_id: told.log_id, reason: reason.value, scope: scope.value, sequence: told.sequence + 1, target: scope.value === "global" ? "" : target.value.trim() });
  const look = () => {
    offline.hidden = key.value !== "";
    target.parentElement.hidden = scope.value === "global";
    shown.textContent = JSON.stringify(command(), null, 2);
    send.disabled = typed.value.trim() !== action || !reason.value.trim();
  };
  const submit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    try {
      const said = command(), mine = keys.find((one) => one.keyId === key.value);
      await post("/api/v1/freeze", { command: said, signature: mine ? await sign(mine, "Freeze", said) : pasted.value.trim() });
      box.close();
      say(action === "freeze" ? "Frozen: nothing is dispatched any more." : "Resumed.");
      done();
    } catch (problem) {
      sayProblem(problem);
      look();
    }
  };
  const box = el("dialog", { "aria-labelledby": "lever-title" }, el("form", { onsubmit: submit, oninput: look },
    el("h1", { id: "lever-title" }, action === "freeze" ? "Stop what agents do" : "Let agents go on"),
    el("p", { class: "soft" }, action === "freeze" ? "Effects under way are cut off, and nothing is dispatched until it is lifted. What is obeyed is the emergency key's signature." : "What is obeyed is the emergency key's signature."),
    el("label", {}, "What", scope), el("label", {}, "Who", target), el("label", {}, "Why; it stands in the log for ever", reason), el("label", {}, `Type the word ${action}`, typed), el("label", {}, "Signed with", key), offline, shown,
    el("div", { class: "row" }, send, el("button", { type: "button", onclick: () => box.close() }, "Leave it"))));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  look();
  box.showModal();
  reason.focus();
}
