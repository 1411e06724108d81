// The perceptron's page: the decision in the address, and what the lesson tells of learning.
import { batch, computed, signal } from "@preact/signals";
import { Lesson } from "../lib/lesson.js";
import { restate, route } from "../lib/route.js";

export const REASONS = ["weather", "price", "companion"];
export const START = { weights: [8, 4, 4], threshold: 8 };
export const MOST = 16;

const numbers = (text, count, low, high) => { const found = text ? text.split(",").map(Number) : []; return found.length === count && found.every((n) => Number.isFinite(n) && n >= low && n <= high) ? found : null; };
/** The decision and the reasons of today, as the address says them; what it does not say rightly is as at the start. */
export const decision = computed(() => {
  const { weights, threshold, today } = route.value.query;
  return { weights: numbers(weights, 3, -MOST, MOST) ?? START.weights, threshold: numbers(threshold, 1, -MOST, 2 * MOST)?.[0] ?? START.threshold, today: /^[01]{3}$/.test(today) ? [...today].map(Number) : [1, 0, 1] };
});
export function decide(changes) {
  const { weights, threshold, today } = { ...decision.value, ...changes }, parts = [];
  if (weights.join() !== START.weights.join()) parts.push(`weights=${weights.join()}`);
  if (threshold !== START.threshold) parts.push(`threshold=${threshold}`);
  if (today.join("") !== "101") parts.push(`today=${today.join("")}`);
  restate(parts.join("&"));
}
/** Every case there is: the reasons, their weights' sum, and whether it exceeds the threshold. */
export const CASES = [[1, 1, 1], [1, 1, 0], [1, 0, 1], [1, 0, 0], [0, 1, 1], [0, 1, 0], [0, 0, 1], [0, 0, 0]];
export const total = (weights, reasons) => weights.reduce((sum, weight, i) => sum + weight * reasons[i], 0);

export const NETS = ["line", "linear", "bent"];
export const LEARNERS = ["rule", "descent"];
export const people = signal(null);
export const about = signal(null);
export const picture = signal(null);
export const fault = signal("");
/** @type {import("@preact/signals").Signal<Lesson | null>} */
export const lesson = signal(null);
export const say = (message) => lesson.value?.say(message);

export function enter() {
  lesson.value = new Lesson("perceptron", {
    opened: () => say({ do: "open" }),
    told: (message) => batch(() => {
      if (message.people) { people.value = Uint8Array.from(atob(message.people), (c) => c.charCodeAt(0)); about.value = message; fault.value = ""; }
      if (message.fault) fault.value = message.fault;
    }),
    draw,
  });
}
export function leave() { lesson.value?.close(); batch(() => { lesson.value = null; picture.value = null; people.value = null; }); }

function draw(view) {
  const flags = view.getUint32(8, true), side = view.getUint32(16, true), list = new Float32Array(view.buffer, 20, 18), cells = side * side, bytes = new Uint8Array(view.buffer, 20 + 72);
  picture.value = {
    running: { habits: (flags & 1) > 0, xor: (flags & 2) > 0 }, epoch: view.getUint32(12, true), side,
    learners: LEARNERS.map((name, i) => { const [seen, a, b, c, threshold, right] = list.subarray(6 * i, 6 * i + 6); return { name, seen, weights: [a, b, c], threshold, right }; }),
    nets: NETS.map((name, i) => ({ name, loss: list[12 + 2 * i], right: list[13 + 2 * i], map: bytes.subarray(i * cells, (i + 1) * cells) })),
  };
}
