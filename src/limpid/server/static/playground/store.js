// The playground: what is known of it, and what can be asked of the process that computes it.
import { batch, computed, signal } from "@preact/signals";
import { halves, Lesson } from "../lib/lesson.js";
import { restate, route } from "../lib/route.js";

/** @typedef {{settings: any, address: string, shape: number, sizes: number[], activations: string[], running: boolean, epoch: number, altered: boolean, exploded: number | null, own: boolean}} State */
/** @typedef {{epoch: number, running: boolean, parameters: Float32Array, side: number, map: Float32Array, thumb: number, small: Uint8Array, right: [number, number]}} Picture */

export const FEATURES = ["x", "y", "xSquared", "ySquared", "xTimesY", "sinX", "sinY", "cosX", "cosY"];
export const LABELS = { x: "x₁", y: "x₂", xSquared: "x₁²", ySquared: "x₂²", xTimesY: "x₁x₂", sinX: "sin x₁", sinY: "sin x₂", cosX: "cos x₁", cosY: "cos x₂" };

/** @type {import("@preact/signals").Signal<State | null>} */
export const state = signal(null);
export const points = signal({ rows: [], train: 0 });
export const thumbnails = signal({});
/** @type {import("@preact/signals").Signal<Uint8Array | null>} maps of all features */
export const features = signal(null);
/** @type {import("@preact/signals").Signal<Picture | null>} */
export const picture = signal(null);
/** Losses so far: [epoch, training, test], thinned out when there are many. */
export const losses = signal([]);
export const faults = signal([]);
export const said = signal("");
export const program = signal({});
/** The neuron that is looked at: {layer, neuron}, layer -1 the inputs; null: the output. */
export const looked = signal(null);
/** The neuron whose numbers are open. */
export const picked = signal(null);
export const keepWeights = signal(false);
/** Whether there is nothing to see yet. */
export const empty = computed(() => picture.value === null);
export const settings = computed(() => state.value?.settings);
/** Whether a control is shown: an address can hide it. */
export const shows = (name) => !settings.value?.hidden.includes(name);

/** @type {import("@preact/signals").Signal<Lesson | null>} */
export const lesson = signal(null);
export const say = (message) => lesson.value?.say(message);

export function enter() {
  lesson.value = new Lesson("playground", { opened: () => { batch(() => { losses.value = []; faults.value = []; said.value = ""; }); openAddress(); }, told, draw });
}
export function leave() { lesson.value?.close(); batch(() => { lesson.value = null; state.value = null; picture.value = null; picked.value = null; looked.value = null; }); }

let opened = "";
function openAddress() { opened = route.value.text; faults.value = []; say({ do: "open", address: opened }); }
/** Another address was given, by a link or by hand. */
export function follow() { if (route.value.page === "playground" && state.value && route.value.text !== opened && route.value.text !== state.value.address) openAddress(); }

function told(message) {
  batch(() => {
    if (message.thumbnails) { thumbnails.value = message.thumbnails; features.value = Uint8Array.from(atob(message.features), (c) => c.charCodeAt(0)); faults.value = message.faults; }
    if (message.points) { points.value = { rows: message.points, train: message.train }; losses.value = []; looked.value = null; }
    if (message.fault) { faults.value = [message.fault]; answered(); }
    if (message.said) { said.value = message.said; faults.value = []; }
    if (message.program) program.value = { [message.kind]: message.program };
    if (message.settings) {
      answered();
      if (!message.sizes.every((n, i) => n === state.value?.sizes[i]) || message.sizes.length !== state.value?.sizes.length) picked.value = null;
      state.value = message;
      opened = message.address;
      restate(message.address);
    }
  });
}

const HEAD = 48, MOST = 1200;
function draw(view) {
  const word = (n) => view.getUint32(4 * n, true);
  if (word(2) !== state.value?.shape) return;
  const [count, parameters, neurons, thumb, side] = [5, 6, 7, 8, 9].map(word), buffer = view.buffer;
  let at = HEAD;
  const rows = new Float32Array(buffer, at, 3 * count); at += 12 * count;
  const numbers = new Float32Array(buffer, at, parameters); at += 4 * parameters;
  const map = halves(buffer, at, side * side); at += 2 * side * side;
  let list = losses.value;
  for (let i = 0; i < count; i++) {
    const row = [rows[3 * i], rows[3 * i + 1], rows[3 * i + 2]];
    if (list.length && row[0] <= list.at(-1)[0]) list = list.filter((one) => one[0] < row[0]);
    list = list === losses.value ? [...list, row] : (list.push(row), list);
  }
  if (list.length > MOST) list = list.filter((_, i) => i % 2 === 0 || i === list.length - 1);
  batch(() => {
    losses.value = list;
    picture.value = { epoch: word(3), running: (word(4) & 1) === 1, parameters: numbers, side, map, thumb, small: new Uint8Array(buffer, at, neurons * thumb * thumb), right: [view.getFloat32(40, true), view.getFloat32(44, true)] };
  });
}

/** What has been asked for and not been answered: quick clicks build on one another. */
let asked = {}, waiting = 0;
function answered() { waiting = Math.max(0, waiting - 1); if (!waiting) asked = {}; }
/** The settings as they will be. */
export const wanted = () => ({ ...settings.value, ...asked });
/** Turn dials. */
export function change(changes) { asked = { ...asked, ...changes }; waiting += 1; faults.value = []; said.value = ""; say({ do: "change", changes, keep: keepWeights.value }); }
export const seed = () => Math.random().toFixed(5);
export function look(layer, neuron) {
  looked.value = layer === null ? null : { layer, neuron };
  say({ do: "look", ...(looked.value ?? {}) });
}
/** Where a weight, or a bias (source null), stands among the parameters. */
export function place(sizes, layer, neuron, source) {
  let first = 0;
  for (let i = 0; i < layer; i++) first += sizes[i + 1] * (sizes[i] + 1);
  return first + (source === null ? sizes[layer + 1] * sizes[layer] + neuron : neuron * sizes[layer] + source);
}
export const edit = (layer, neuron, source, value) => say({ do: "edit", layer, neuron, source, value });
/** How many neurons stand before a layer's first in the small maps. */
export const before = (sizes, layer) => sizes.slice(1, layer + 1).reduce((sum, n) => sum + n, 0);
