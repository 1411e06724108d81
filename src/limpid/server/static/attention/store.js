// What the Attention page knows. What is chosen stands in the address; what was computed, in the traces.
import { batch, computed, effect, signal } from "@preact/signals";
import { Failure } from "../lib/api.js";
import { language } from "../lib/preferences.js";
import { go, route } from "../lib/route.js";
import { loadServer, server } from "../lib/server.js";
import { openTrace } from "../lib/trace.js";

const EXAMPLES = { en: "The detective entered the dark room, and the detective saw the cat. The cat saw the detective.", zh: "床前明月光，疑是地上霜。举头望明月，低头思故乡。" };
export const VIEWS = ["matrix", "lines", "neuron"];
export const STAGES = ["pattern", "raw", "scaled", "masked"];
export const SCORES = ["previous", "first", "duplicate", "induction"];

const number = (text, most = Infinity) => (/^\d{1,6}$/.test(text ?? "") && Number(text) < most ? Number(text) : null);

/** What is chosen, read from the address; numbers that the trace does not have are null. */
export const chosen = computed(() => {
  const query = route.value.page === "attention" ? route.value.query : {}, facts = trace.value?.facts;
  const stack = facts?.stacks.find((one) => one.name === query.stack) ?? facts?.stacks.at(-1) ?? null;
  const kind = stack?.kinds.includes(query.kind) ? query.kind : stack?.kinds.at(-1) === "cross_attn" && query.kind === undefined ? "cross_attn" : "attn";
  const rows = stack?.tokens.length ?? 0, columns = stack ? keysOf(stack, kind).length : 0;
  const layer = number(query.layer, stack?.n_layer), head = number(query.head, stack?.n_head), one = layer !== null && head !== null;
  const heads = [...new Set((query.heads ?? "").split(",").map((text) => number(text, stack?.n_head)).filter((n) => n !== null))];
  return {
    model: query.model, beside: query.beside ?? "", text: query.text, ids: query.ids, target: query.target, stack, kind,
    rollout: query.layer === "rollout" && kind === "attn", layer: one ? layer : null, head: one ? head : null,
    heads: one && heads.length ? heads : one ? [head] : [],
    otherLayer: number(query.layer2, stack?.n_layer), otherHead: number(query.head2, stack?.n_head), difference: query.difference === "1",
    view: VIEWS.includes(query.view) ? query.view : "matrix", stage: STAGES.includes(query.stage) ? query.stage : "pattern",
    scale: ["root", "linear", "row"].includes(query.scale) ? query.scale : "root",
    row: number(query.row, rows), column: number(query.column, columns), score: query.score ?? "", sorted: query.sorted === "1",
  };
});

/** @type {import("@preact/signals").Signal<import("../lib/trace.js").Trace | null>} */
export const trace = signal(null);
/** The second model's, where one is chosen. @type {import("@preact/signals").Signal<import("../lib/trace.js").Trace | null>} */
export const beside = signal(null);
/** Whether a text is being traced. */
export const busy = signal(true);
/** What is in the way: {text} or {key, values}, and what mends it. */
export const trouble = signal(null);
/** The cell under the pointer: {row, column}, either may be null. */
export const pointed = signal(null);
/** What a reader who listens is to hear. */
export const spoken = signal("");

export const keysOf = (stack, kind) => trace.value?.keys(stack, kind) ?? [];
export const queryTokens = computed(() => chosen.value.stack?.tokens ?? []);
export const keyTokens = computed(() => (chosen.value.stack ? keysOf(chosen.value.stack, chosen.value.kind) : []));
/** The cell that is looked at: pointed at, or pinned, or the last row. */
export const cursor = computed(() => {
  const { row, column } = chosen.value, over = pointed.value;
  if (over) return over;
  return row === null && column === null ? { row: Math.max(0, queryTokens.value.length - 1), column: null } : { row, column };
});
/** The models whose attention can be seen. */
export const models = () => server.value?.models ?? [];

/** Change what is chosen; null takes it out of the address. */
export function choose(changes, quietly = true) {
  go("attention", "", { ...route.value.query, ...changes }, quietly);
}

/** Another text, or another model: what was pinned in the old one means nothing. */
export function look(changes) { choose({ row: null, column: null, ...changes }, false); }

let example = null; // it stays when the language changes
/** What the address asks to be traced, as the server takes it. */
function wanted(query, model) {
  if (query.ids) return { model, ids: query.ids.split(",").map(Number) };
  const text = query.text ?? (example ??= EXAMPLES[language.peek()]);
  return query.target ? { model, text, target: query.target } : { model, text };
}

let asked = "", controller = null;
/** Trace what the address asks for, unless that is what stands there. */
export async function follow(again = false) {
  const { query, page } = route.value;
  if (page !== "attention" || !server.value) return;
  const model = models().some((one) => one.name === query.model) ? query.model : models()[0]?.name;
  const second = models().some((one) => one.name === query.beside) ? query.beside : null;
  const what = wanted(query, model), key = JSON.stringify([what, second]);
  if (key === asked && !again) return;
  asked = key;
  controller?.abort();
  const own = controller = new AbortController();
  busy.value = true;
  try {
    const [first, other] = await Promise.all([openTrace(what, own.signal), second ? openTrace({ ...what, model: second }, own.signal) : null]);
    if (own.signal.aborted) return;
    batch(() => {
      const alike = !other || sameTokens(first, other);
      trouble.value = alike ? null : { key: "attention.otherTokens", values: { model: second } };
      pointed.value = null;
      beside.value = alike ? other : null;
      trace.value = first;
    });
    if (server.value.models.some((one) => one.name === model && one.fingerprint !== first.facts.fingerprint)) { replaced(model); loadServer(); }
  } catch (failure) {
    if (own.signal.aborted) return;
    asked = "";
    told(failure, () => follow(true));
  } finally {
    if (!own.signal.aborted) busy.value = false;
  }
}

const sameTokens = (one, other) => JSON.stringify(one.facts.stacks.map((s) => [s.name, s.tokens.map((x) => x.id)])) === JSON.stringify(other.facts.stacks.map((s) => [s.name, s.tokens.map((x) => x.id)]));

/** Say what went wrong; what stands on the page stays. */
export function told(failure, again) {
  if (!(failure instanceof Failure)) throw failure;
  if (failure.status === 401) return;
  const long = failure.code === "context_length_exceeded" && /has ([\d,]+) tokens.* at most ([\d,]+)/.exec(failure.words);
  if (long) {
    const [n, context] = long.slice(1).map((digits) => Number(digits.replaceAll(",", "")));
    trouble.value = { key: "attention.tooLong", values: { count: n, context, n: n - context } };
    return;
  }
  trouble.value = failure.status === 0 ? { key: "noServer", again } : { text: failure.message, again: failure.status >= 500 ? again : null };
}

function replaced(model) { trouble.value = { key: "replaced", values: { model } }; }

/** What a trace answers, or null with the trouble told. @template T @param {() => Promise<T>} question @returns {Promise<T | null>} */
export async function asking(question, again) {
  try {
    const answer = await question();
    if (trouble.value?.key === "noServer") trouble.value = null;
    if (trace.value?.replaced) { trace.value.replaced = false; replaced(trace.value.facts.model); loadServer(); }
    return answer;
  } catch (failure) {
    told(failure, again);
    return null;
  }
}

effect(() => { server.value; route.value; follow(); });
