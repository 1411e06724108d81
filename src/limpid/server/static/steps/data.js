// Numbers of the opened trace, asked for once: arrays raw and together, findings as JSON.
import { useEffect, useState } from "preact/hooks";
import { said } from "../lib/failures.js";
import { open, trace } from "./state.js";

const TOGETHER = 64; // arrays that one request asks for
let waiting = [];

/** The part of a named array where its first dimensions are `index`: its values, and the shape that is left. */
export function part(name, index) {
  const { open, names } = trace.value, what = `${name}@${index.join(",")}`, shape = names[name].slice(index.length), size = shape.reduce((a, b) => a * b, 1);
  return open.once(what, () => new Promise((resolve, reject) => {
    waiting.push({ open, what, size, resolve: (values) => resolve([{ values, shape, name, index }, 4 * size]), reject });
    if (waiting.length === 1) queueMicrotask(askAll);
  }));
}

/** All that was asked for meanwhile, of each trace together. */
function askAll() {
  for (const all of Map.groupBy(waiting.splice(0), (one) => one.open).values()) for (let first = 0; first < all.length; first += TOGETHER) askSome(all.slice(first, first + TOGETHER));
}

async function askSome(some) {
  const query = some.map(({ what }) => `of=${encodeURIComponent(what)}`).join("&");
  try {
    const values = new Float32Array(await (await some[0].open.fetch(`rows?${query}`)).arrayBuffer());
    let at = 0;
    for (const { size, resolve } of some) { resolve(values.slice(at, at + size)); at += size; }
  } catch (failure) { for (const { reject } of some) reject(failure); }
}

/** What a route below the trace answers. */
export const find = (path, body) => trace.value.open.json(path, body);

/** What to say of a failure. */
export const why = said;

/**
 * What `load` promises, for the key it was asked with; while the next is on its way the last one stays.
 * @returns {{value: any, fresh: boolean, failure: Error | null}}
 */
export function useFound(key, load) {
  const whole = key === null ? null : `${trace.value.id} ${key}`;
  const [held, hold] = useState({ key: "", value: null, failure: null });
  useEffect(() => {
    if (whole === null) return undefined;
    let wanted = true;
    const from = trace.value.open;
    load().then((value) => { if (from.replaced && from === trace.value.open) open(true); else if (wanted) hold({ key: whole, value, failure: null }); }, (failure) => wanted && hold((last) => ({ ...last, key: whole, failure })));
    return () => { wanted = false; };
  }, [whole]);
  return { value: held.value, fresh: held.key === whole, failure: held.key === whole ? held.failure : null };
}

/** Several parts at once: {role: [name, index]} -> {role: {values, shape, name, index}}. */
export function useParts(wanted) {
  const entries = Object.entries(wanted), key = entries.map(([role, [name, index]]) => `${role} ${name}@${index}`).join(" ");
  return useFound(key, async () => Object.fromEntries(await Promise.all(entries.map(async ([role, [name, index]]) => [role, await part(name, index)]))));
}
