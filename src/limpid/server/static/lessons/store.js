// What is known of the lessons, and what the process that runs the current one has said.
import { batch, computed, signal } from "@preact/signals";
import { api } from "../lib/api.js";
import { Lesson } from "../lib/lesson.js";
import { go, route } from "../lib/route.js";

/** @typedef {{en: string, zh: string}} Both */
/** @typedef {{name: string, kind: "number" | "integer" | "numbers" | "matrix" | "text", label: Both, low: number, high: number, least: number, most: number, value: any}} Input */
/** @typedef {{kind: "bars" | "matrix" | "curves", rows: (number | null)[][], names: string[], columns: any[], title: string, svg: string}} Picture */
/** @typedef {{output: string, pictures: Picture[], fault: string}} Outcome */

/** @type {import("@preact/signals").Signal<{title: Both, lessons: any[]}[] | null>} */
export const chapters = signal(null);
export const failure = signal(null);
/** What the steps are with the reader's values: {code, inputs}. @type {import("@preact/signals").Signal<any[] | null>} */
export const changed = signal(null);
/** @type {import("@preact/signals").Signal<(Outcome | undefined)[]>} */
export const outcomes = signal([]);
export const running = signal(false);
/** Why the server does not take a value. */
export const refused = signal("");
/** @type {import("@preact/signals").Signal<Lesson | null>} */
export const line = signal(null);

export const all = computed(() => (chapters.value ?? []).flatMap((chapter) => chapter.lessons));
export const current = computed(() => all.value.find((one) => one.name === route.value.part) ?? null);

export async function loadBook() {
  failure.value = null;
  try { chapters.value = (await api("GET", "/api/lessons")).chapters; } catch (error) { failure.value = error; }
}

let run = 0, out = false, waiting = null;
export function enter(name) {
  batch(() => { changed.value = null; outcomes.value = []; refused.value = ""; running.value = true; });
  line.value = new Lesson(`lesson:${name}`, { opened: () => { out = false; waiting = null; start(valuesOf(name)); }, told, draw: () => {} });
}
export function leave() { line.value?.close(); line.value = null; }

/** The values that the address names. */
function valuesOf(name) { return route.value.page === "lessons" && route.value.part === name ? route.value.query : {}; }

/** Run it with these values; while it runs, the newest wait. */
export function start(values) {
  if (out) { waiting = values; return; }
  out = running.value = true;
  line.value.say({ run: ++run, values });
}

function told(message) {
  batch(() => {
    if (message.fault && message.step === undefined) { refused.value = message.fault; over(); }
    if (message.run !== run) return;
    if (message.steps) { changed.value = message.steps; refused.value = ""; }
    if (message.step !== undefined) {
      const next = [...outcomes.value];
      next[message.step] = message;
      if (message.fault) next.length = message.step + 1;
      outcomes.value = next;
    }
    if (message.over) over();
  });
}

function over() {
  out = running.value = false;
  if (waiting !== null) { const values = waiting; waiting = null; start(values); }
}

/** Another value: it goes into the address, and the lesson runs. */
export function change(name, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value), first = current.value.steps.flatMap((step) => step.inputs).find((one) => one.name === name).value;
  const query = { ...route.value.query, [name]: text };
  if (text === (typeof first === "string" ? first : JSON.stringify(first))) delete query[name];
  go("lessons", route.value.part, query, true);
}
export const reset = () => go("lessons", route.value.part, {}, true);
