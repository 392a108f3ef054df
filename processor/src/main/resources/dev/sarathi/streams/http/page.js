import { Timeline, describe, iterationOf } from "./timeline.js";

const RATE_SECONDS = 10;
const MOST_ROWS = 60;
const MOST_MILLIS_AWAY = 3000;

const byId = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const state = { constants: { latency_bounds: [], max_sequences: 0 }, now: null, group: {}, span: "last_minute" };

function text(id, value) {
  const element = typeof id === "string" ? byId(id) : id;
  const string = String(value);
  if (element.textContent !== string) {
    element.textContent = string;
  }
}

function element(name, className, content) {
  const made = document.createElement(name);
  if (className) {
    made.className = className;
  }
  if (content !== undefined) {
    made.textContent = content;
  }
  return made;
}

function millis(value) {
  if (value >= 10_000) {
    return `${whole.format(Math.round(value / 1000))} s`;
  }
  return value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function age(value) {
  const seconds = Math.max(0, Math.round(value / 1000));
  if (seconds < 120) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} m` : `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
}

// ---- light and dark

const system = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

function showTheme() {
  text("theme", isDark() ? "Light" : "Dark");
  byId("theme").setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
  timeline.draw();
}

function remembered() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

byId("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // It holds for this page, then.
  }
  showTheme();
});

// ---- iterations

const timeline = new Timeline(
  byId("timeline"),
  {
    decode: byId("ink-decode"), prefill: byId("ink-prefill"), budget: byId("ink-budget"),
    duration: byId("ink-duration"), text: byId("timeline-text"),
  },
  (iteration) => {
    const canvas = byId("timeline");
    text(
      "readout",
      iteration
        ? describe(iteration)
        : "Each column is one iteration, the newest on the right. Point at one, or use the arrow keys.");
    canvas.setAttribute("aria-valuenow", iteration ? iteration.number : canvas.getAttribute("aria-valuemax"));
    canvas.setAttribute("aria-valuetext", iteration ? describe(iteration) : "none");
  });

byId("range").addEventListener("change", (event) => {
  timeline.range = Number(event.target.value);
  showIterations();
});

function showIterations() {
  const shown = timeline.shown;
  const canvas = byId("timeline");
  const both = shown.filter((it) => it.decodes > 0 && it.prefill > 0);
  const decodesOnly = shown.filter((it) => it.prefill === 0).length;
  const prefillOnly = shown.length - both.length - decodesOnly;
  byId("timeline-empty").hidden = shown.length > 0;
  Object.assign(canvas.dataset, {
    shown: shown.length, mixed: both.length, decodesOnly, prefillOnly,
    mostDecodesBesidePrefill: both.reduce((most, it) => Math.max(most, it.decodes), 0),
  });
  if (shown.length === 0) {
    text("timeline-text", "");
    return;
  }
  canvas.setAttribute("aria-valuemin", shown[0].number);
  canvas.setAttribute("aria-valuemax", shown.at(-1).number);
  const tokens = both.reduce((sum, it) => sum + it.prefill, 0);
  const longest = shown.reduce((most, it) => Math.max(most, it.millis), 0);
  text(
    "timeline-text",
    `The last ${whole.format(shown.length)}: ${whole.format(both.length)} with prefill chunks beside decodes`
      + ` (${whole.format(tokens)} prefill tokens), ${whole.format(decodesOnly)} of decodes alone,`
      + ` ${whole.format(prefillOnly)} of prefill alone. The longest took ${millis(longest)}.`);
}

function showRates(now) {
  const all = timeline.iterations;
  const from = now.at - RATE_SECONDS * 1000;
  const late = all.filter((it) => it.at > from);
  // The history may reach back less far than the span.
  const seconds = late.length === all.length && late.length === state.constants.history
    ? Math.max(0.1, (now.at - late[0].at) / 1000)
    : RATE_SECONDS;
  const rate = (field) => whole.format(Math.round(late.reduce((sum, it) => sum + it[field], 0) / seconds));
  text("decode-rate", rate("decodes"));
  text("prefill-rate", rate("prefill"));
}

// ---- figures

function showFigures(now) {
  text("running", whole.format(now.running));
  text("running-of", `of ${whole.format(state.constants.max_sequences)}`);
  text("waiting", whole.format(now.waiting));
  const stored = state.group.requests?.unfinished;
  text("waiting-of", stored === undefined ? "in the engine" : `${whole.format(stored)} in the stores`);
  text("preemptions", whole.format(now.preemptions));
  for (const name of ["ttft", "tbt"]) {
    const counts = now[name].last_minute;
    text(`${name}-p50`, bound(quantile(counts, 0.5)));
    text(`${name}-p99`, bound(quantile(counts, 0.99)));
  }
  const good = (id, label, is) => {
    text(id, label);
    byId(id).dataset.good = is;
  };
  good("streams-state", `streams ${now.streams}`, now.streams === "RUNNING" ? "true" : now.streams === "REBALANCING" ? "" : "false");
  good("engine-state", `engine ${now.engine}`, now.engine === "ready" ? "true" : now.engine === "broken" ? "false" : "");
}

/** The bucket that holds a quantile; -1 if there is none. */
function quantile(counts, share) {
  const total = counts.reduce((sum, it) => sum + it, 0);
  let left = total * share;
  return total === 0 ? -1 : counts.findIndex((it) => it > 0 && (left -= it) <= 0);
}

function bound(bucket) {
  const bounds = state.constants.latency_bounds;
  if (bucket < 0) {
    return "–";
  }
  return bucket < bounds.length ? `≤ ${short(bounds[bucket])}` : `> ${short(bounds.at(-1))}`;
}

function short(value) {
  return value >= 1000 ? `${value / 1000} s` : `${value} ms`;
}

function showKv(kv) {
  const share = (blocks) => `${(100 * blocks) / Math.max(1, kv.total)}%`;
  const bar = byId("kv");
  bar.children[0].style.width = share(kv.used);
  bar.children[1].style.width = share(kv.cached);
  bar.setAttribute("aria-label", `${kv.used} used, ${kv.cached} cached, ${kv.free} free, of ${kv.total} KV blocks`);
  text("kv-used", whole.format(kv.used));
  text("kv-cached", whole.format(kv.cached));
  text("kv-free", whole.format(kv.free));
  text("kv-total", `of ${whole.format(kv.total)}`);
}

// ---- latencies

byId("span").addEventListener("change", (event) => {
  state.span = event.target.value;
  showLatencies();
});

function showLatencies() {
  if (!state.now) {
    return;
  }
  showHistogram("ttft", "time to first token", state.now.ttft[state.span]);
  showHistogram("tbt", "time between tokens", state.now.tbt[state.span]);
}

const LABELLED = new Set([1, 5, 20, 100, 500, 2000, 10000]);

function showHistogram(id, name, counts) {
  const chart = byId(id);
  const bounds = state.constants.latency_bounds;
  if (chart.children.length !== counts.length) {
    chart.replaceChildren(...counts.map((_, bucket) => {
      const column = element("div");
      const track = element("div", "track");
      track.append(element("i"));
      column.append(track, element("span", "bound", LABELLED.has(bounds[bucket]) ? short(bounds[bucket]) : ""));
      return column;
    }));
  }
  const most = Math.max(1, ...counts);
  counts.forEach((it, bucket) => {
    const column = chart.children[bucket];
    column.querySelector("i").style.height = it === 0 ? "0" : `max(2px, ${(100 * it) / most}%)`;
    const range = bucket < bounds.length ? `up to ${short(bounds[bucket])}` : `over ${short(bounds.at(-1))}`;
    column.title = `${range}: ${whole.format(it)}`;
  });
  const total = counts.reduce((sum, it) => sum + it, 0);
  const summary = total === 0
    ? `${name}; none`
    : `${name}; ${whole.format(total)}, p50 ${bound(quantile(counts, 0.5))}, p99 ${bound(quantile(counts, 0.99))}`;
  text(`${id}-text`, summary);
  chart.dataset.total = total;
  chart.setAttribute("aria-label", `Histogram of ${summary}`);
}

// ---- generations

const rows = new Map();

/** What runs, as the engine tells; then what the stores hold beside it. */
function generations() {
  const stored = new Map((state.group.requests?.list ?? []).map((it) => [it.id, it]));
  const all = state.now.sequences.map((it) => ({
    key: `${it.id}\n${it.choice}`, id: it.id, choice: it.choice, state: it.phase, generated: it.generated,
    positions: it.positions, tried: it.tried, request: stored.get(it.id),
  }));
  const live = new Set(state.now.sequences.map((it) => it.id));
  for (const request of stored.values()) {
    if (!live.has(request.id)) {
      all.push({
        key: `${request.id}\n`, id: request.id, choice: 0, state: "waiting", generated: request.tokens,
        positions: request.tokens, tried: false, request,
      });
    }
  }
  return all;
}

function newRow() {
  const row = element("tr");
  const cells = ["id", "state", "number", "grow", "number optional", "optional"].map((it) => element("td", it));
  const growth = element("div", "growth");
  growth.append(element("i", "prefill"), element("i", "decode"));
  cells[3].append(growth);
  row.append(...cells);
  return row;
}

function showGenerations() {
  const all = generations();
  const body = byId("generations");
  const longest = Math.max(64, ...all.map((it) => it.positions));
  const shown = all.slice(0, MOST_ROWS);
  const keys = new Set(shown.map((it) => it.key));
  for (const [key, row] of rows) {
    if (!keys.has(key)) {
      row.remove();
      rows.delete(key);
    }
  }
  shown.forEach((it, index) => {
    let row = rows.get(it.key);
    if (!row) {
      row = newRow();
      rows.set(it.key, row);
      row.children[0].append(element("span"));
      if (it.tried) {
        row.children[0].append(element("span", "tag", "tried"));
      }
    }
    const [id, phase, tokens, growth, since, place] = row.children;
    const label = it.tried ? it.id.slice(5, 13) : it.id + (it.choice > 0 || it.request?.choices > 1 ? ` #${it.choice}` : "");
    text(id.firstChild, label);
    id.title = it.id;
    text(phase, it.state);
    text(tokens, whole.format(it.generated));
    const generated = Math.min(it.generated, it.positions);
    growth.firstChild.children[0].style.width = `${(100 * (it.positions - generated)) / longest}%`;
    growth.firstChild.children[1].style.width = `${(100 * generated) / longest}%`;
    text(since, it.request ? age(state.now.at - Date.parse(it.request.prompted_at)) : "");
    text(place, it.request ? `${it.request.topic}-${it.request.partition}@${it.request.offset}` : "");
    Object.assign(row.dataset, { id: it.id, state: it.state, generated: it.generated });
    if (body.children[index] !== row) {
      body.insertBefore(row, body.children[index] ?? null);
    }
  });
  byId("generations-empty").hidden = all.length > 0;
  byId("generations").parentElement.hidden = all.length === 0;
  const hidden = state.now.running + state.now.waiting - state.now.sequences.length;
  const notes = [];
  if (all.length > MOST_ROWS) {
    notes.push(`${whole.format(all.length - MOST_ROWS)} more are not shown`);
  }
  if (state.group.requests && !state.group.requests.complete) {
    notes.push("the stores hold more than are listed");
  }
  if (hidden > 0 && notes.length === 0) {
    notes.push(`${whole.format(hidden)} in the engine have not begun`);
  }
  if (state.group.problem) {
    notes.push(state.group.problem);
  }
  text("generations-more", notes.join("; "));
}

// ---- tasks and instances

function cells(...contents) {
  const row = element("tr");
  for (const [className, content] of contents) {
    row.append(element("td", className, content));
  }
  return row;
}

function showGroup(group) {
  const tasks = (group.tasks ?? []).flatMap((task) =>
    task.partitions.map((it) => {
      const lag = it.end >= 0 ? Math.max(0, it.end - Math.max(0, it.committed)) : -1;
      return cells(
        ["", task.role === "active" ? task.task : `${task.task} standby`],
        ["", task.thread],
        ["partitions", it.partition],
        ["number", it.committed < 0 ? "–" : whole.format(it.committed)],
        ["number", lag < 0 ? "–" : whole.format(lag)]);
    }));
  byId("tasks").replaceChildren(...tasks);
  byId("tasks").parentElement.hidden = tasks.length === 0;
  byId("tasks-empty").hidden = tasks.length > 0;
  const instances = (group.instances ?? []).map((it) => {
    const row = cells(["", it.address ?? "does not listen"], ["partitions", it.partitions.join(", ") || "none"]);
    if (it.address === state.constants.address) {
      row.firstChild.append(element("span", "tag", "this one"));
    }
    return row;
  });
  byId("instances").replaceChildren(...instances);
  byId("instances").parentElement.hidden = instances.length === 0;
  byId("instances-empty").hidden = instances.length > 0;
}

// ---- a prompt to try

const page = crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint32Array(4)), (it) => it.toString(16)).join("-");
let trying = null;

function answered(message, bad) {
  text("answer-text", message);
  byId("answer-text").dataset.bad = Boolean(bad);
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const whole = (rest + part.value).split("\n\n");
    rest = whole.pop();
    for (const event of whole) {
      const name = /^event: (.*)$/m.exec(event)?.[1];
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (name && data) {
        yield { name, data: JSON.parse(data) };
      }
    }
  }
}

async function attempt(signal) {
  const response = await fetch("/page/prompts", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      page, prompt: byId("prompt").value, max_tokens: Number(byId("max-tokens").value),
      temperature: Number(byId("temperature").value),
    }),
    signal,
  });
  if (!response.ok) {
    answered((await response.json()).error, true);
    return;
  }
  for await (const { name, data } of events(response)) {
    if (name === "tokens") {
      byId("answer").append(data.text);
    } else if (name === "end") {
      answered(
        data.error
          ?? `${data.reason}: ${whole.format(data.tokens)} tokens after a prompt of ${whole.format(data.prompt_tokens)};`
            + ` TTFT ${millis(data.ttft_ms)}, longest gap ${millis(data.longest_gap_ms)}, in all ${millis(data.total_ms)}.`,
        Boolean(data.error));
      return;
    }
  }
  answered("The answer has broken off.", true);
}

byId("try").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (trying) {
    return;
  }
  trying = new AbortController();
  byId("generate").disabled = true;
  byId("stop").disabled = false;
  byId("answer").replaceChildren(element("span", "asked", byId("prompt").value));
  answered("Generating.");
  try {
    await attempt(trying.signal);
  } catch (failure) {
    answered(failure.name === "AbortError" ? "Stopped." : "The instance does not answer.", failure.name !== "AbortError");
  } finally {
    trying = null;
    byId("generate").disabled = false;
    byId("stop").disabled = true;
  }
});
byId("stop").addEventListener("click", () => {
  trying?.abort();
  byId("generate").focus();
});
addEventListener("pagehide", () => trying?.abort());

// ---- a request to find

function showFound(id, answer) {
  const place = byId("found");
  const silent = answer.silent?.length ? ` These did not answer: ${answer.silent.join(", ")}.` : "";
  if (!answer.found) {
    place.replaceChildren(element("p", "", (answer.error ?? `No instance has an unfinished request ${id}.`) + silent));
    return;
  }
  const request = answer.request;
  const list = element("dl");
  const add = (name, value) => list.append(element("dt", "", name), element("dd", "", value));
  add("id", request.id);
  add("state", request.state);
  add("tokens written", whole.format(request.tokens));
  add("choices", request.choices);
  add("attempts", request.attempts);
  add("priority", request.priority);
  if (request.tenant) {
    add("tenant", request.tenant);
  }
  add("age", age(request.age_ms));
  if (request.deadline) {
    add("deadline", request.deadline);
  }
  add("prompt record", `${request.topic}-${request.partition}@${request.offset}`);
  add("instance", request.instance);
  if (request.fingerprint) {
    add("fingerprint", request.fingerprint);
  }
  const notes = [];
  if (!request.committed) {
    const note = element("p", "note");
    note.append(element("span", "tag warn", "uncommitted"), " What the store holds may not be committed yet: after a crash, its last tokens come again.");
    notes.push(note);
  }
  place.replaceChildren(...notes, list);
  Object.assign(place.dataset, { id: request.id, state: request.state, committed: request.committed });
}

byId("find").addEventListener("submit", async (event) => {
  event.preventDefault();
  const id = byId("request-id").value.trim();
  const place = byId("found");
  delete place.dataset.id;
  try {
    const response = await fetch(`/page/requests/${encodeURIComponent(id)}`);
    showFound(id, await response.json());
  } catch {
    place.replaceChildren(element("p", "", "The instance does not answer."));
  }
});

// ---- the instance as it works

let last = 0;

function link(label, good) {
  text("link-state", label);
  byId("link-state").dataset.good = good;
}

function listen() {
  const source = new EventSource("/page/events");
  source.addEventListener("constants", (event) => {
    // A new stream begins with all that is kept.
    timeline.clear();
    const constants = JSON.parse(event.data);
    state.constants = constants;
    timeline.capacity = constants.history;
    document.title = `${constants.address} · Sarathi Streams`;
    text("address", constants.address);
    text("model", constants.model);
    text("policy", constants.policy);
    text("budget", constants.token_budget);
    byId("max-tokens").max = constants.most_tried_tokens;
  });
  source.addEventListener("now", (event) => {
    last = Date.now();
    link("live", "true");
    state.now = JSON.parse(event.data);
    timeline.add(state.now.iterations.map(iterationOf));
    showIterations();
    showFigures(state.now);
    showRates(state.now);
    showKv(state.now.kv);
    showLatencies();
    showGenerations();
  });
  source.addEventListener("group", (event) => {
    state.group = JSON.parse(event.data);
    showGroup(state.group);
  });
  source.addEventListener("full", (event) => {
    link(`${JSON.parse(event.data).readers} pages watch already`, "false");
  });
  source.addEventListener("error", () => {
    if (byId("link-state").dataset.good === "true") {
      link("reconnecting", "false");
    }
  });
}

setInterval(() => {
  if (last > 0 && Date.now() - last > MOST_MILLIS_AWAY) {
    link("no news", "false");
  }
}, 1000);

const chosen = remembered();
if (chosen === "light" || chosen === "dark") {
  document.documentElement.dataset.theme = chosen;
}
system.addEventListener("change", showTheme);
showTheme();
listen();
