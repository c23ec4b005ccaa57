// Tools and servers: what is pinned, what has drifted, what nobody approved yet.

import { getOr } from "./api.js";
import { el, empty, facts, hash, moment, show } from "./dom.js";

const WORD = { approved: "ALLOW", expired: "ESCALATE", quarantined: "ESCALATE", discovered: "ESCALATE", revoked: "DENY" };

export async function servers(place) {
  const [registry, connectors, policy] = await Promise.all([getOr("/api/v1/mcp/registry", null), getOr("/api/v1/connectors", null), getOr("/api/v1/policy", null)]);
  if (registry === null) return void show(place, el("h1", {}, "Tools and servers"), empty("An operator's key shows them.", "Sign out and come back with an admin key."));
  const rank = (one) => ["quarantined", "discovered", "expired", "revoked", "approved"].indexOf(one.state);
  const all = [...registry.servers].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  show(place, el("h1", {}, "Tools and servers"), el("p", { class: "soft" }, "A server that nobody approved is quarantined: its tools are not called, and not even listed."),
    el("h2", {}, "MCP servers"), all.length ? el("div", { class: "cards" }, all.map(server)) : empty("The policy names no MCP server.", "helm mcp scan looks through one before it is declared."),
    el("h2", {}, "Connectors"), el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["Connector", "State"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, connectors.connectors.map((one) => el("tr", {}, el("td", {}, one.name), el("td", {}, standing(one))))))),
    policy ? [el("h2", {}, "Ceilings"), ceilings(policy.p0.in_force)] : "");
  return null;
}

function standing(one) {
  if (one.halted) return el("span", { class: "verdict DENY" }, `halted: ${one.halted}`);
  if (!one.failure) return el("span", { class: "verdict ALLOW" }, "serving");
  return [el("span", { class: "verdict ESCALATE" }, `failing: ${one.failure}`), el("span", { class: "small soft" }, " since ", moment(one.failing_since_ms))];
}

function server(one) {
  return el("article", { class: "card" }, el("div", { class: "spread" }, el("h3", {}, one.name), el("span", { class: `verdict ${WORD[one.state] ?? "DENY"}` }, one.state)),
    facts([["where", `${one.endpoint || "nowhere"} (${one.transport || "no transport"})`], ["risk", one.risk || "none"], ["tools", one.tool_names.join(", ") || "none"], one.approved_at_ms && ["approved", moment(one.approved_at_ms)], one.expires_at_ms && ["good until", moment(one.expires_at_ms)], ["pins", hash(one.pins_hash)], one.reason && ["said", one.reason]]),
    one.drifted.length ? el("p", { class: "DENY" }, `Not listed as it was pinned: ${one.drifted.join(", ")}. Calls of it are refused; scan the server and approve it anew.`) : "",
    one.state === "approved" ? "" : el("p", { class: "small soft" }, "Approve it where the approval key is: ", el("code", {}, `helm mcp approve ${one.name}`)));
}

function ceilings(p0) {
  return facts([["highest risk tier", p0.max_risk_tier], ["never called", p0.denied_tools.join(", ") || "none named"], ["never done", p0.denied_effect_types.join(", ") || "none named"], ["never reached", p0.denied_destinations.join(", ") || "none named"]]);
}
