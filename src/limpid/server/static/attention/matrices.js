// The matrices that are looked at, and the heads at a glance: asked for when they are chosen, and only then.
import { effect, signal } from "@preact/signals";
import { asking, beside, chosen, trace } from "./store.js";

/** @typedef {import("../lib/trace.js").Numbers} Numbers */

/** The chosen head. main: at the chosen stage; weights: its pattern; other: what it is compared with; several: [head, pattern] of those that lines are drawn of.
 * @type {import("@preact/signals").Signal<{key: string, main: Numbers, weights: Numbers, other: Numbers | null, several: [number, Numbers][]} | null>} */
export const matrices = signal(null);
/** The heads at a glance by layer, as they come. @type {import("@preact/signals").Signal<{key: string, layers: Numbers[]}>} */
export const glances = signal({ key: "", layers: [] });
/** The scores of heads, (L, H) by kind. @type {import("@preact/signals").Signal<Record<string, number[][]>>} */
export const scores = signal({});

let wanted = "";
effect(() => {
  const c = chosen.value, own = trace.value, second = beside.value;
  if (!own || !c.stack || (c.layer === null && !c.rollout)) { wanted = ""; matrices.value = null; return; }
  const key = JSON.stringify([own.facts.id, second?.facts.id, c.stack.name, c.kind, c.rollout, c.layer, c.head, c.heads, c.view === "lines", c.stage, c.otherLayer, c.otherHead]);
  if (key === wanted) return;
  wanted = key;
  load(key, c, own, second);
});

async function load(key, c, own, second) {
  const at = { stack: c.stack.name, kind: c.kind };
  const found = await asking(async () => {
    if (c.rollout) {
      const main = await own.rollout(c.stack.name);
      return { key, main, weights: main, other: second ? await second.rollout(c.stack.name) : null, several: [] };
    }
    const main = own.head(c.layer, c.head, { ...at, stage: c.stage });
    const weights = c.stage === "pattern" ? main : own.head(c.layer, c.head, at);
    const several = c.view === "lines" ? c.heads : [];
    return {
      key, main: await main, weights: await weights, other: await other(c, own, second, at),
      several: await Promise.all(several.map(async (head) => [head, await own.head(c.layer, head, at)])),
    };
  }, () => { if (wanted === key) load(key, c, own, second); });
  if (wanted === key && found) matrices.value = found;
}

function other(c, own, second, at) {
  if (second) {
    const stack = second.stack(at.stack);
    return c.layer < stack.n_layer && c.head < stack.n_head ? second.head(c.layer, c.head, { ...at, stage: c.stage }) : null;
  }
  return c.otherLayer === null || c.otherHead === null ? null : own.head(c.otherLayer, c.otherHead, { ...at, stage: c.stage });
}

let glanced = "";
effect(() => {
  const own = trace.value, { stack, kind } = chosen.value;
  if (!own || !stack) return;
  const key = `${own.facts.id} ${stack.name} ${kind}`;
  if (key !== glanced) { glanced = key; glance(key, own, stack, kind); }
});

/** Layer by layer, so that what is chosen meanwhile need not wait for all of them. */
async function glance(key, own, stack, kind) {
  glances.value = { key, layers: [] };
  for (let layer = 0; layer < stack.n_layer; layer++) {
    const heads = await asking(() => own.heads(layer, stack.name, kind), () => { if (glanced === key) glance(key, own, stack, kind); });
    if (!heads || glanced !== key) return;
    glances.value = { key, layers: [...glances.value.layers, heads] };
  }
}

let scored = "";
effect(() => {
  const own = trace.value, second = beside.value, { score } = chosen.value;
  if (!own || !score) return;
  const key = `${own.facts.id} ${score === "difference" ? second?.facts.id : ""}`;
  if (key === scored || (score === "difference" && !second)) return;
  scored = key;
  rate(key, own, second, score);
});

async function rate(key, own, second, score) {
  const found = await asking(async () => (score === "difference" ? { difference: (await own.compare(second)).attention } : own.scores()), () => { if (scored === key) rate(key, own, second, score); });
  if (scored === key && found) scores.value = found;
}
