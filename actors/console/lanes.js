// The ProofGraph around one receipt: a lane for each session, time downwards, checkpoints as bars across all lanes.

import { get, getOr } from "./api.js";
import { el, svg, verdictOf } from "./dom.js";

const AROUND = 10, LANES = 6, STEP = 28, LEFT = 40, TOP = 32;

export async function lanes({ receipt, seq }) {
  const [before, after, own, proof] = await Promise.all([
    get(`/api/v1/receipts?before=${seq}&limit=${AROUND}`), get(`/api/v1/receipts?after=${seq - 1}&limit=${AROUND}`),
    get(`/api/v1/receipts?session_id=${encodeURIComponent(receipt.session_id)}&before=${seq}&limit=3`), getOr(`/api/v1/boundary/proofs/${receipt.receipt_id}`, null)]);
  const seen = new Map();
  for (const one of [...own.receipts, ...before.receipts, ...after.receipts]) seen.set(one.receipt_id, one);
  const all = [...seen.values()], name = (one) => `${one.tenant}/${one.session_id}`, here = name(receipt);
  const busy = new Map();
  for (const one of all) busy.set(name(one), (busy.get(name(one)) ?? 0) + 1);
  const shown = [here, ...[...busy].filter(([lane]) => lane !== here).sort((a, b) => b[1] - a[1]).map(([lane]) => lane)].slice(0, LANES);
  const drawn = all.filter((one) => shown.includes(name(one)));
  const width = 420, gap = (width - 2 * LEFT) / Math.max(1, shown.length - 1 || 1), x = (lane) => LEFT + shown.indexOf(lane) * gap;
  const height = TOP + drawn.length * STEP + 24, y = (index) => TOP + 12 + index * STEP;
  const parts = shown.map((lane) => [svg("line", { class: "lane", x1: x(lane), x2: x(lane), y1: TOP, y2: height - 12 }), svg("text", { x: x(lane), y: 14, "text-anchor": "middle" }, short(lane.slice(lane.indexOf("/") + 1)))]);
  const covers = proof?.under.checkpoint;
  if (covers) {
    const index = drawn.findIndex((one) => one.issued_at_ms > covers.issued_at_ms);
    const at = (index === -1 ? y(drawn.length - 1) + STEP : y(index)) - STEP / 2;
    parts.push(svg("line", { class: "bar", x1: 4, x2: width - 4, y1: at, y2: at }), svg("text", { class: "bar-name", x: width - 4, y: at - 4, "text-anchor": "end" }, `checkpoint ${covers.sequence}`));
  }
  drawn.forEach((one, index) => {
    const centre = { cx: x(name(one)), cy: y(index) }, verdict = verdictOf(one);
    const link = svg("a", { href: `#/receipt/${one.receipt_id}`, "aria-label": `${one.verdict} ${one.tool}, clock ${one.lamport_clock} of ${one.session_id}` }, shape(verdict, centre), svg("title", {}, `${one.verdict} ${one.tool} · ${one.principal} · clock ${one.lamport_clock}`));
    if (one.receipt_id === receipt.receipt_id) link.append(svg("circle", { class: "here", cx: centre.cx, cy: centre.cy, r: 11 }));
    parts.push(link);
  });
  const others = busy.size - shown.length;
  return el("figure", {}, svg("svg", { class: "lanes", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Receipts around this one" }, parts),
    el("figcaption", { class: "soft small" }, `Down each lane every receipt signs over the signature of the one above it.${covers ? "" : " No checkpoint covers this receipt yet."}${others > 0 ? ` ${others} more sessions were busy then.` : ""}`));
}

function shape(verdict, { cx, cy }) {
  if (verdict === "DENY") return svg("rect", { class: verdict, x: cx - 5, y: cy - 5, width: 10, height: 10 });
  if (verdict === "ESCALATE") return svg("path", { class: verdict, d: `M${cx},${cy - 6}L${cx + 6},${cy + 5}L${cx - 6},${cy + 5}Z` });
  return svg("circle", { class: verdict, cx, cy, r: 5.5 });
}

const short = (text) => (text.length > 11 ? `${text.slice(0, 9)}..` : text);
