// What the page of runs knows: the state in its address, the list of runs, and the lines of those that are chosen.
import { batch, computed, signal } from "@preact/signals";
import { api } from "../lib/api.js";
import { go, route } from "../lib/route.js";

export const AXES = ["step", "tokens", "seconds", "flops"];
export const TABS = ["recipe", "texts", "checkpoints", "log"];
export const HELD_OUT = "held out: ";

/** @type {import("@preact/signals").Signal<{folder: string, exists: boolean, runs: any[]} | null>} */
export const list = signal(null);
/** Lines by run: {revision, damaged, lines}; null for a run that is gone. */
export const curves = signal({});
/** How far the server is with files that it reads for the first time: {done, total} bytes; null: it knows them all. */
export const reading = signal(null);
export const detail = signal(null);
/** What went wrong, and what an action came to: {text, run?}. */
export const trouble = signal(null);
/** Runs that were asked to stop, and checkpoints being loaded. */
export const busy = signal(new Set());

const number = (text) => (text !== undefined && text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);
export const state = computed(() => {
  const { query: q } = route.value;
  const known = new Set(list.value?.runs.map((run) => run.name) ?? []), asked = (q.sel ?? "").split("|").filter((name) => known.has(name));
  const chosen = asked.length ? asked : (list.value?.runs ?? []).filter((run) => run.names.length).slice(0, 1).map((run) => run.name);
  return {
    chosen, focus: chosen.includes(q.run) ? q.run : chosen[0] ?? null, x: AXES.includes(q.x) ? q.x : "step", smooth: Math.min(0.99, Math.max(0, number(q.smooth) ?? 0.6)),
    logX: q.logx === "1", logY: new Set((q.logy ?? "").split("|").filter(Boolean)), low: number(q.from), high: number(q.to), tab: TABS.includes(q.tab) ? q.tab : "recipe",
  };
});
export const set = (changes) => go("runs", "", { ...route.value.query, ...changes }, true);
export const run = (name) => list.value?.runs.find((one) => one.name === name);

/** Choose a run alone, or add it to those that lie over one another. */
export function choose(name, beside = false) {
  const { chosen, focus } = state.value;
  const next = !beside ? [name] : chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name];
  set({ sel: (next.length ? next : [name]).join("|"), run: beside ? focus : name, from: null, to: null });
}
export const colour = (name) => `var(--run${state.value.chosen.indexOf(name) % 6})`;

// ------------------------------------------------------------------ asking

export async function loadList() {
  try {
    const found = await api("GET", "/api/runs");
    batch(() => {
      list.value = found;
      reading.value = found.reading;
      if (trouble.value?.ofList) trouble.value = null;
      const still = new Set(found.runs.filter((one) => one.state === "running").map((one) => `stop ${one.name}`));
      const left = [...busy.value].filter((one) => !one.startsWith("stop ") || still.has(one));
      if (left.length !== busy.value.size) busy.value = new Set(left);
    });
  } catch (failure) {
    trouble.value = { text: failure.status ? failure.message : null, ofList: true };
  }
}

let key = "";
/** The lines of the chosen runs; of those already drawn only what is new. */
export async function loadCurves() {
  const { chosen, x, smooth, logX, low, high } = state.value;
  if (!chosen.length) return;
  const most = chosen.length > 8 ? 150 : chosen.length > 2 ? 300 : 600;
  const body = { runs: chosen.slice(0, 64), x, smooth, log: logX, low, high, most }, own = JSON.stringify([{ ...body, runs: 0 }]);
  const known = own === key ? Object.fromEntries(chosen.filter((name) => curves.value[name]).map((name) => [name, curves.value[name].revision])) : {};
  key = own;
  try {
    const { runs, reading: left } = await api("POST", "/api/runs/curves", { ...body, known });
    if (own !== key) return;
    if (left) reading.value = left; // of the chosen ones: the drawings wait for these
    if (Object.keys(runs).length) curves.value = { ...(Object.keys(known).length ? curves.value : Object.fromEntries(Object.entries(curves.value).filter(([name]) => !chosen.includes(name)))), ...runs };
  } catch (failure) {
    key = "";
    trouble.value = { text: failure.status ? failure.message : null, ofList: true };
  }
}

export async function loadDetail() {
  const { focus } = state.value;
  if (!focus) return;
  try {
    const found = await api("GET", `/api/runs/one?run=${encodeURIComponent(focus)}`);
    if (state.value.focus === focus) detail.value = { name: focus, ...found };
  } catch (failure) { if (state.value.focus === focus) detail.value = { name: focus, failure }; }
}

let timer = 0, watching = false;
async function tick() {
  if (!watching) return;
  if (!document.hidden) {
    const before = run(state.value.focus)?.state;
    await loadList();
    await loadCurves();
    const now = run(state.value.focus);
    if (now && (now.state === "running" || now.state !== before || now.child?.code === null)) await loadDetail();
  }
  clearTimeout(timer);
  if (watching) timer = setTimeout(tick, reading.value ? 20 : list.value?.runs.some((one) => one.state === "running" || one.child?.code === null) ? 1500 : 4000);
}
export function watch() {
  watching = true;
  tick();
  const seen = () => { if (!document.hidden) { clearTimeout(timer); tick(); } };
  document.addEventListener("visibilitychange", seen);
  return () => { watching = false; clearTimeout(timer); document.removeEventListener("visibilitychange", seen); };
}

/** Do something to a run, or unload a model by its name. @returns {Promise<any>} what the server answered, or null where it could not be done */
export async function act(what, name, more = {}) {
  const mark = `${what} ${name}${more.step !== undefined ? ` ${more.step}` : ""}`;
  busy.value = new Set([...busy.value, mark]);
  trouble.value = null;
  const done = () => { const rest = new Set(busy.value); rest.delete(mark); busy.value = rest; };
  try {
    const answer = await api("POST", `/api/runs/${what}`, what === "unload" ? { model: name } : { run: name, ...more });
    if (what !== "stop") done(); // a stop is over when the run has saved
    clearTimeout(timer);
    tick();
    return answer;
  } catch (failure) {
    done();
    trouble.value = { text: failure.status ? failure.message : null };
    return null;
  }
}
