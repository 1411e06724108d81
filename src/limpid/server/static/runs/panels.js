// Which lines stand together in one drawing, the telling ones first.
import { HELD_OUT } from "./store.js";

const held = (name) => HELD_OUT + name;
const FIRST = [
  ["loss", ["loss", held("validation_nats"), held("validation_loss")]],
  ["bits", [held("validation_bits_per_byte")]],
  ["reward", ["reward"]], ["kl", ["kl"]], ["length", ["length"]], ["margin", ["margin"]],
  ["accuracy", ["accuracy", held("validation_accuracy")]], ["entropy", ["entropy"]], ["wrong", ["wrong", held("wrong")]],
];
const LAST = [["learning_rate", ["learning_rate"]], ["grad_norm", ["grad_norm"]], ["tokens_per_second", ["tokens_per_second"]], ["memory_bytes", ["memory_bytes"]], ["utilisation", ["utilisation"]]];

/** @param {Set<string>} names @returns {{id: string, names: string[], own: boolean}[]} own: it has a title of its own */
export function panels(names) {
  const left = new Set(names), found = [];
  const take = (id, wanted, own = true) => { const there = wanted.filter((name) => left.delete(name)); if (there.length) found.push({ id, names: there, own }); };
  for (const [id, wanted] of FIRST) take(id, wanted);
  take("right", [...left].filter((name) => name.startsWith(held("right/"))));
  const machine = LAST.filter(([, wanted]) => wanted.some((name) => left.has(name))), kept = new Set(machine.flatMap(([, wanted]) => wanted));
  const machinery = machine.map(([id, wanted]) => ({ id, names: wanted, own: true }));
  for (const name of [...left].filter((one) => !kept.has(one)).sort()) take(name, [name], false);
  return [...found.slice(0, FIRST.length + 1), ...machinery, ...found.slice(FIRST.length + 1)];
}

/** What is left of a line's name beside its panel's title. */
export const lineName = (name) => name.replace(HELD_OUT, "").replace(/^right\//, "").replaceAll("_", " ");
export const isHeldOut = (name) => name.startsWith(HELD_OUT);
