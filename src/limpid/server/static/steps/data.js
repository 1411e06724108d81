// Numbers of the opened trace, asked for once: arrays raw and together, findings as JSON.
import { useEffect, useState } from "preact/hooks";
import { api, raw } from "../lib/api.js";
import { mend, trace } from "./state.js";

let arrays = new Map(), findings = new Map(), waiting = [], id = null;

/** Forget what belongs to another trace. */
export function empty(next) { if (id !== next) { arrays = new Map(); findings = new Map(); waiting = []; id = next; } }

/** name@index of an array, index as numpy's: "blocks.0.attn.hook_q@5,1". @returns {Promise<Float32Array>} */
function array(what, size) {
  if (!arrays.has(what)) {
    const { promise, resolve, reject } = Promise.withResolvers();
    promise.catch(() => arrays.delete(what));
    arrays.set(what, promise);
    waiting.push({ what, size, resolve, reject });
    if (waiting.length === 1) queueMicrotask(fetchAll);
  }
  return arrays.get(what);
}

async function fetchAll() {
  const own = waiting.splice(0), from = id;
  for (let first = 0; first < own.length; first += 64) {
    const some = own.slice(first, first + 64);
    const query = some.map(({ what }) => `of=${encodeURIComponent(what)}`).join("&");
    try {
      const { values } = await raw(`/api/trace/${from}/rows?${query}`);
      let at = 0;
      for (const { size, resolve } of some) { resolve(values.slice(at, at + size)); at += size; }
    } catch (failure) { for (const { reject } of some) reject(failure); }
  }
}

/** The part of a named array where its first dimensions are `index`: its values and the shape that is left. */
export function part(name, index) {
  const shape = trace.value.names[name].slice(index.length);
  return array(`${name}@${index.join(",")}`, shape.reduce((a, b) => a * b, 1)).then((values) => ({ values, shape, name, index }));
}

/** What a route below the trace answers. */
export function find(path) {
  if (!findings.has(path)) {
    const promise = api("GET", `/api/trace/${id}/${path}`);
    promise.catch(() => findings.delete(path));
    findings.set(path, promise);
  }
  return findings.get(path);
}

/** What an intervention does. */
export function ablate(parts, how, at) {
  const key = `ablate ${parts} ${how} ${at}`;
  if (!findings.has(key)) {
    const promise = api("POST", `/api/trace/${id}/ablate`, { parts, how, at });
    promise.catch(() => findings.delete(key));
    findings.set(key, promise);
  }
  return findings.get(key);
}

/**
 * What `load` promises, for the key it was asked with; while the next is on its way the last one stays.
 * @returns {{value: any, fresh: boolean, failure: Error | null}}
 */
export function useFound(key, load) {
  const whole = `${trace.value?.id} ${key}`;
  const [held, hold] = useState({ key: "", value: null, failure: null });
  useEffect(() => {
    if (key === null) return undefined;
    let wanted = true;
    load().then((value) => wanted && hold({ key: whole, value, failure: null }), (failure) => { if (wanted) { hold((last) => ({ ...last, key: whole, failure })); mend(failure); } });
    return () => { wanted = false; };
  }, [whole]);
  return { value: held.value, fresh: held.key === whole, failure: held.key === whole ? held.failure : null };
}

/** Several parts at once: {role: [name, index]} -> {role: {values, shape, name, index}}. */
export function useParts(wanted) {
  const entries = Object.entries(wanted);
  const key = entries.map(([role, [name, index]]) => `${role} ${name}@${index}`).join(" ");
  return useFound(key, async () => Object.fromEntries(await Promise.all(entries.map(async ([role, [name, index]]) => [role, await part(name, index)]))));
}
