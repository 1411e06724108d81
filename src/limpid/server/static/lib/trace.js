// What is inside a text in a model: the server's traces, their arrays as typed arrays, each asked for once.
import { Failure, ask } from "./api.js";

/** @typedef {{id: number, bytes: string, label: string, character: string, completes: boolean, special: boolean}} TracedToken */
/** @typedef {{name: string, tokens: TracedToken[], n_layer: number, n_head: number, kinds: string[], reads: string | null}} TracedStack */
/** @typedef {{shape: number[], data: Float32Array | Int32Array | Uint8Array, triangle: boolean}} Numbers `triangle`: of a square only each row up to its diagonal */

const KINDS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
const KEPT = 96 * 2 ** 20; // bytes of arrays of one trace that the page keeps

/**
 * Open a text in a model. Throws Failure.
 * @param {{model?: string, text?: string, ids?: number[], messages?: any[], answer?: number[], target?: string}} what
 */
export async function openTrace(what, signal) {
  return new Trace(what, await (await ask("POST", "/api/trace", what, signal)).json());
}

/**
 * A trace. What the server told of it is in `facts`; arrays and findings are asked for by the methods and kept.
 * Where the server has let go of it, it is taken again and the question is put again; should other weights answer
 * meanwhile, `replaced` is true.
 */
export class Trace {
  constructor(what, facts) {
    this.what = what; this.facts = facts; this.replaced = false;
    this.known = new Map(); this.bytes = 0;
  }

  /** @returns {TracedStack} by name; the last, whose output is the model's, for none */
  stack(name = this.facts.main) { return this.facts.stacks.find((one) => one.name === name) ?? this.facts.stacks.at(-1); }

  /** The number of places that queries of an attention look at. */
  keys(stack, kind) { return (kind === "cross_attn" ? this.stack(stack.reads) : stack).tokens; }

  /** `trace[name][index]`, index as numpy's: "5,:,2". @returns {Promise<Numbers>} */
  array(name, index = "") { return this.numbers(`array?${query({ name, index })}`); }

  /** The heads of a layer at a glance: (H, h, w) bytes. @returns {Promise<Numbers>} */
  heads(layer, stack, kind) { return this.numbers(`heads?${query({ layer, stack, kind })}`); }

  /** One head: (T, S) weights, or the scores they were made of. @returns {Promise<Numbers>} */
  head(layer, head, { stack, kind, stage } = {}) { return this.numbers(`head/${layer}/${head}?${query({ stack, kind, stage })}`); }

  /** (T, T) attention rollout. @returns {Promise<Numbers>} */
  rollout(stack) { return this.numbers(`rollout?${query({ stack })}`); }

  lens(options = {}) { return this.json(`lens?${query(options)}`); }
  attribution(options = {}) { return this.json(`attribution?${query(options)}`); }
  next(at = -1, count = 20) { return this.json(`next?${query({ at, count })}`); }
  read() { return this.json("read"); }
  scores() { return this.json("scores"); }
  ablate(parts, { how = "zero", at = -1 } = {}) { return this.json("ablate", { parts, how, at }); }
  /** @param {Trace} source whose values are put in */
  patch(source, parts, { places, at = -1 } = {}) { return this.json("patch", { source: source.facts.id, parts, places, at }); }
  sweep(source, options) { return this.json("sweep", { source: source.facts.id, ...options }); }
  /** This trace beside another of the same tokens. @param {Trace} other */
  compare(other) { return this.json(`compare/${other.facts.id}`); }

  async json(path, body) { return this.once(path + (body ? JSON.stringify(body) : ""), async () => [await (await this.fetch(path, body)).json(), 0]); }

  async numbers(path) {
    return this.once(path, async () => {
      const response = await this.fetch(path), buffer = await response.arrayBuffer();
      const shape = response.headers.get("limpid-shape").split(",").filter(Boolean).map(Number);
      const data = new KINDS[response.headers.get("limpid-dtype")](buffer);
      return [{ shape, data, triangle: response.headers.get("limpid-layout") === "triangle" }, buffer.byteLength];
    });
  }

  /** The answer of `make`, asked for once; the longest unused large ones are let go of. */
  once(key, make) {
    let entry = this.known.get(key);
    if (!entry) {
      entry = { bytes: 0 };
      entry.answer = make().then(([answer, bytes]) => {
        entry.bytes = bytes;
        this.bytes += bytes;
        for (const [name, other] of this.known) {
          if (this.bytes <= KEPT) break;
          if (other !== entry && other.bytes) { this.known.delete(name); this.bytes -= other.bytes; }
        }
        return answer;
      });
      entry.answer.catch(() => { if (this.known.get(key) === entry) this.known.delete(key); });
    }
    this.known.delete(key);
    this.known.set(key, entry);
    return entry.answer;
  }

  async fetch(path, body) {
    const put = () => ask(body ? "POST" : "GET", `/api/trace/${this.facts.id}/${path}`, body);
    try {
      return await put();
    } catch (failure) {
      if (!(failure instanceof Failure) || failure.code !== "trace_gone") throw failure;
      const facts = await (await ask("POST", "/api/trace", this.what)).json();
      this.replaced ||= facts.fingerprint !== this.facts.fingerprint;
      this.facts = facts;
      return put();
    }
  }
}

/** The number at (row, column) of a matrix; 0 above a triangle. @param {Numbers} matrix */
export function cell({ shape, data, triangle }, row, column) {
  if (!triangle) return data[row * shape[1] + column];
  return column > row ? 0 : data[(row * (row + 1)) / 2 + column];
}

/** A row of a matrix, as far as it goes. @param {Numbers} matrix */
export function row({ shape, data, triangle }, at) {
  return triangle ? data.subarray((at * (at + 1)) / 2, ((at + 1) * (at + 2)) / 2) : data.subarray(at * shape[1], (at + 1) * shape[1]);
}

/** How a token is shown: its label, with the character that it completes. @param {TracedToken} token */
export const labelOf = (token) => (token.completes ? `${token.label} ${token.character}` : token.label);

const query = (fields) => new URLSearchParams(Object.entries(fields).filter(([, value]) => value != null && value !== "")).toString();
