// What the page looks at. The address holds all of it: #/steps/STEP?model=..&text=..&at=PLACE&layer=..&head=..&cell=NAME@INDEX ...
import { batch, computed, signal } from "@preact/signals";
import { Failure } from "../lib/api.js";
import { go, route } from "../lib/route.js";
import { language } from "../lib/preferences.js";
import { walkers } from "../lib/server.js";
import { openTrace } from "../lib/trace.js";

export const SAMPLING = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 };
export const TEXT = { en: "The cat sat on the", zh: "床前明月光" };

/** @typedef {{key: string, shows: Record<string, string>, weights: Record<string, string>, how: any}} Step */
/** @typedef {{kind: string, stack: string, layers: Step[][]}} Chapter */

/** The opened text: what POST /api/trace says of it, its chapters, and `open`, with which one asks for its numbers. */
export const trace = signal(null);
/** Why a text could not be opened: a Failure. */
export const failure = signal(null);
export const busy = signal(false);

const number = (text, otherwise = 0) => (text !== undefined && /^-?\d+$/.test(text) ? Number(text) : otherwise);

/** The address, read. */
export const asked = computed(() => {
  const { page, part, query } = route.value;
  if (page !== "steps") return null;
  return {
    step: part || "tokens", model: query.model, text: query.text, ids: query.ids, target: query.target, targets: query.targets, at: number(query.at, -1), source: number(query.source, -1),
    stack: query.stack, layer: number(query.layer), head: number(query.head), cell: query.cell ?? "", off: query.off ? query.off.split(",") : [], how: query.how === "mean" ? "mean" : "zero",
    temperature: decimal(query.temperature, SAMPLING.temperature), top_k: number(query.top_k, SAMPLING.top_k), top_p: decimal(query.top_p, SAMPLING.top_p), min_p: decimal(query.min_p, SAMPLING.min_p), uniform: decimal(query.uniform, 0.5),
  };
});
function decimal(text, otherwise) { const value = Number(text); return text !== undefined && text !== "" && Number.isFinite(value) ? value : otherwise; }

/** Change what is looked at. @param {object} changes by the names of `asked` @param {boolean} [quietly] no entry in the browser's history */
export function look(changes, quietly = false) {
  const query = { ...route.value.query };
  for (const [name, value] of Object.entries(changes)) {
    if (name === "step") continue;
    if (value === null || value === undefined || (Array.isArray(value) && !value.length)) delete query[name];
    else query[name] = String(value);
  }
  go("steps", changes.step ?? route.value.part, query, quietly);
}

// ------------------------------------------------------------------ the text

/** Whether other weights answer than those that the page began with. */
export const replaced = signal(false);

let latest = 0;
/** Open the text that the address names. @param {boolean} [anew] because the model is another now */
export async function open(anew = false) {
  replaced.value = anew;
  const { model, text, ids, target, targets } = asked.value, own = ++latest;
  busy.value = true;
  const body = { model: model ?? walkers()[0]?.name };
  if (ids) body.ids = ids.split(",").map(Number); else body.text = text ?? TEXT[language.value];
  if (targets !== undefined) body.target = targets ? targets.split(",").map(Number) : [];
  else if (target !== undefined) body.target = target;
  try {
    const found = await openTrace(body), { chapters } = await found.json("walk");
    if (own !== latest) return;
    batch(() => { trace.value = { ...found.facts, chapters, open: found }; failure.value = null; });
  } catch (one) {
    if (own !== latest) return;
    if (!(one instanceof Failure)) throw one;
    failure.value = one;
  } finally {
    if (own === latest) busy.value = false;
  }
}

// ------------------------------------------------------------------ where in it

/** The stack whose output is the model's. */
export const mainStack = () => trace.value.stacks.find((one) => one.name === trace.value.main);

/** All there is to know of the chosen step: its chapter, stack, layer, head and place. */
export const here = computed(() => {
  const want = asked.value, open = trace.value;
  if (!want || !open) return null;
  const has = (chapter) => chapter.layers[0].some((step) => step.key === want.step);
  const chapter = open.chapters.find((one) => one.stack === want.stack && has(one)) ?? open.chapters.find(has) ?? open.chapters[0];
  const stack = open.stacks.find((one) => one.name === chapter.stack), n = stack.tokens.length;
  const layer = clamp(want.layer, chapter.layers.length), steps = chapter.layers[layer];
  const step = steps.find((one) => one.key === want.step) ?? steps[0];
  const main = stack.name === open.main, given = main ? want.at : want.source;
  const at = given < 0 ? n - 1 : clamp(given, n);
  const reads = open.stacks.find((one) => one.name === stack.reads), cross = step.how.branch === "cross_attn";
  const keys = cross ? reads.tokens : stack.tokens, place = want.source < 0 ? keys.length - 1 : clamp(want.source, keys.length);
  const heads = step.how.heads ?? stack.n_head, head = clamp(want.head, heads);
  return { chapter, stack, layer, steps, step, at, main, keys, key: cross ? place : at, heads, head, group: Math.floor(head / (heads / (step.how.kv_heads ?? heads))), cell: cellOf(want.cell) };
});
const clamp = (value, count) => Math.min(Math.max(value, 0), Math.max(count - 1, 0));

/** "blocks.0.attn.hook_q@5.1.3" -> {name, index}. */
function cellOf(text) {
  const [name, index = ""] = text.split("@");
  return name && /^\d+(\.\d+)*$/.test(index) ? { name, index: index.split(".").map(Number) } : null;
}
/** The chosen cell, where this trace has it. */
export const chosen = computed(() => {
  const cell = here.value?.cell, shape = cell && trace.value.names[cell.name];
  return shape && shape.length === cell.index.length && cell.index.every((one, i) => one < shape[i]) ? cell : null;
});
/** The cell that stands out of the step's result. */
export const standing = signal(null);
/** The cell that is worked out. */
export const worked = computed(() => chosen.value ?? standing.value);
export const pick = (name, index) => look({ cell: `${name}@${index.join(".")}` }, true);

/** The place in the main text, whichever stack is looked at. */
export const mainAt = () => { const n = mainStack().tokens.length, { at } = asked.value; return at < 0 ? n - 1 : clamp(at, n); };

/** Every step in the order one walks: chapter by chapter, the chosen layer's. @returns {{chapter: Chapter, step: Step}[]} */
export function way() {
  const want = asked.value;
  return trace.value.chapters.flatMap((chapter) => chapter.layers[clamp(want.layer, chapter.layers.length)].map((step) => ({ chapter, step })));
}

/** What leads to a step; the cell that was chosen stays behind. */
export const toStep = (chapter, step) => ({ step: step.key, stack: trace.value.stacks.length > 1 ? chapter.stack : null, cell: null });
export const goTo = (chapter, step) => look(toStep(chapter, step));
