// The routes, with the bearer key of whoever looks. The key lives in this tab alone and goes with it.

const KEPT = "helm.bearer";

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `status ${status}`);
    this.status = status;
    this.reason_code = body.reason_code || "";
    this.place = body.place || "";
  }
}

export const bearer = {
  get: () => sessionStorage.getItem(KEPT) || "",
  set: (key) => sessionStorage.setItem(KEPT, key),
  forget: () => sessionStorage.removeItem(KEPT),
};

async function ask(method, path, body, more = {}) {
  const headers = { authorization: `Bearer ${bearer.get()}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  const sent = { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store", ...more };
  let reply;
  try {
    reply = await fetch(path, sent);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Problem(0, { detail: "the kernel cannot be reached: is it running?" });
  }
  if (!reply.ok) throw new Problem(reply.status, await reply.json().catch(() => ({})));
  return reply;
}

export const get = async (path) => (await ask("GET", path)).json();
export const text = async (path) => (await ask("GET", path)).text();
export const post = async (path, body) => (await ask("POST", path, body)).json();

/** Return what a route answers, or `otherwise` where this key does not open it or nothing is there. */
export async function getOr(path, otherwise) {
  try {
    return await get(path);
  } catch (problem) {
    if (problem instanceof Problem && [403, 404].includes(problem.status)) return otherwise;
    throw problem;
  }
}

/** Yield {id, data} for every server-sent event. EventSource cannot send a bearer key, so the stream is read here. */
async function* events(path, after, signal) {
  const headers = { authorization: `Bearer ${bearer.get()}`, accept: "text/event-stream" };
  if (after !== null) headers["last-event-id"] = String(after);
  const reply = await fetch(path, { headers, signal, cache: "no-store" });
  if (!reply.ok) throw new Problem(reply.status, await reply.json().catch(() => ({})));
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting += value;
    const blocks = waiting.split("\n\n");
    waiting = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
      if (fields.id || fields.data) yield { id: Number(fields.id), data: fields.data ? JSON.parse(fields.data) : null };
    }
  }
}

/** Call `arrived` for every receipt as it is sealed, `changed` when the stream comes or goes; until `signal` aborts. */
export async function follow(arrived, changed, signal) {
  let after = null, pause = 500;
  while (!signal.aborted) {
    try {
      changed(true);
      for await (const { id, data } of events("/api/v1/receipts/tail", after, signal)) {
        after = id;
        pause = 500;
        if (data) arrived(id, data);
      }
    } catch (problem) {
      if (signal.aborted) return;
      changed(false, problem);
      if (problem.status === 401) return;
    }
    await new Promise((wake) => setTimeout(wake, pause));
    pause = Math.min(pause * 2, 10000);
  }
}
