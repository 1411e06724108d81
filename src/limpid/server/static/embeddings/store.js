// What the embeddings page knows: the state in its address, and what the server computed for it.
import { batch, computed, signal } from "@preact/signals";
import { api } from "../lib/api.js";
import { go, route } from "../lib/route.js";
import { model as find, server } from "../lib/server.js";

/** @typedef {{id: number, bytes: string, text: string | null, special?: boolean, count?: number}} Token */
export const VIEWS = ["map", "vectors", "positions"];
export const METHODS = ["pca", "tsne", "umap"];
export const COUNTS = [100, 250, 500, 1000, 2000, 5000];

const whole = (text, or) => (/^\d+$/.test(text ?? "") ? Number(text) : or);
const ids = (text) => (text ?? "").split(",").filter((one) => /^\d+$/.test(one)).map(Number);

/** What the address says. chosen: {id} or {word}, or null. pins: such items. */
export const state = computed(() => {
  const { part, query: q } = route.value, models = server.value?.models ?? [];
  return {
    view: VIEWS.includes(part) ? part : "map", run: q.run || null, model: q.run ? null : (find(q.m) ?? models[0])?.name ?? null, table: q.table === "output" ? "output" : "input",
    method: METHODS.includes(q.method) ? q.method : "pca", count: whole(q.n, 500), search: q.only ?? "", unit: q.unit === "1", also: ids(q.also),
    chosen: item(q.t), pins: (q.pins ?? "").split(" ").map(item).filter(Boolean), among: q.among === "words" ? "words" : "tokens",
    a: q.a ?? "", b: q.b ?? "", c: q.c ?? "", sight: (q.at ?? "").split(",").map(Number), stack: q.stack === "encoder" ? "encoder" : "decoder",
    show: q.show ?? "", places: whole(q.places, 64), place: whole(q.place, null),
  };
});

/** An item as the address writes it: an id as digits, a word as ~word. */
function item(text) {
  if (/^\d+$/.test(text ?? "")) return { id: Number(text) };
  if (text?.startsWith("~") && text.length > 1) return { word: text.slice(1) };
  return null;
}
export const written = (one) => (one === null ? null : one.word !== undefined ? `~${one.word}` : String(one.id));
export const same = (a, b) => written(a) === written(b);

/** Whose table: a served model's, or that of a run in the folder of runs, word vectors among them. */
export const source = () => (state.value.run ? { run: state.value.run } : { model: state.value.model });
const of = (body) => body?.run ?? body?.model;
const own = () => of(source());

/** Change the state: by its names in the address. */
export function set(changes, view = state.value.view) {
  go("embeddings", view === "map" ? "" : view, { ...route.value.query, ...changes }, true);
}
export const choose = (one) => set({ t: written(one) });
export function pin(one) {
  const { pins } = state.value, rest = pins.filter((other) => !same(other, one));
  set({ pins: (rest.length < pins.length ? rest : [...pins, one].slice(-32)).map(written).join(" ") });
}

// ------------------------------------------------------------------ what the server says

/** Each: {key, value} once it came, {key, failure} where it could not be had; null meanwhile. */
export const about = signal(null);
export const map = signal(null);
/** How far a map is: {done, seconds, points}; null: none is computed. */
export const making = signal(null);
export const near = signal(null);
export const found = signal(null);
export const analogy = signal(null);
export const rows = signal(null);

const newest = new Map();
/** Ask, and keep the answer in `to` unless something else was asked meanwhile. */
export async function ask(to, path, body, until = null) {
  const key = JSON.stringify([path, body]);
  if (newest.get(to) === key && !to.value?.failure) return;
  newest.set(to, key);
  const kept = () => newest.get(to) === key;
  try {
    for (;;) {
      const value = await api("POST", `/api/embeddings/${path}`, body);
      if (!kept()) return;
      remember(of(body), [...(value.tokens?.map ? value.tokens : []), ...(value.near ?? []), ...(value.of ?? []), ...(value.items ?? []).flatMap((one) => one.tokens)]);
      if (until === null || until(value)) { to.value = { key, value, body }; return; }
      await new Promise((done) => setTimeout(done, 300));
      if (!kept()) return;
    }
  } catch (failure) {
    if (kept()) to.value = { key, failure, body };
  }
}

/** Tokens by model and id, of all that was answered: so that a pin has its name. */
const names = new Map();
function remember(model, tokens) { for (const one of tokens) if (one?.bytes !== undefined) names.set(`${model} ${one.id}`, one); }
/** @returns {Token | undefined} */
export const tokenOf = (id) => names.get(`${own()} ${id}`);

export function forget(to) { newest.delete(to); to.value = null; }

export function loadAbout() {
  if (of(about.value?.body) !== own()) batch(() => { for (const one of [about, map, near, found, analogy, rows]) forget(one); });
  return ask(about, "about", source());
}
export const facts = () => (of(about.value?.body) === own() ? about.value?.value : undefined);
/** The table that is looked at: the output's only where there is one. */
export const table = () => (facts()?.tables.includes(state.value.table) ? state.value.table : "input");

export async function loadMap() {
  const { method, count, search, unit, also } = state.value;
  if (!facts()) return;
  const body = { ...source(), table: table(), method, count: Math.min(5000, Math.max(3, count)), search, also, unit };
  await ask(map, "map", body, (value) => {
    making.value = value.state === "done" ? null : value;
    return value.state === "done";
  });
  if (map.value?.failure) making.value = null;
}
export function loadNear() {
  const { chosen, among } = state.value;
  if (!facts()) return;
  if (chosen) ask(near, "near", { ...source(), table: table(), of: chosen, count: 20, among });
  else forget(near);
}
export function loadAnalogy() {
  const { a, b, c } = state.value;
  if (!facts()) return;
  if (a && b && c) ask(analogy, "analogy", { ...source(), table: table(), a, b, c, count: 10 });
  else forget(analogy);
}
/** Asked for by the view of rows, and for the names of pins that nothing else has told. */
export function loadRows() {
  const { chosen, pins, view } = state.value;
  if (!facts() || (view !== "vectors" && pins.every((one) => one.id === undefined || tokenOf(one.id)))) return;
  const items = [...pins, ...(chosen && !pins.some((one) => same(one, chosen)) ? [chosen] : [])].slice(-32);
  if (items.length) ask(rows, "rows", { ...source(), table: table(), items });
  else forget(rows);
}
