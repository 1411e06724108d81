// From two vectors to one weight: the query of a token, the keys it meets, their products, the sum, the softmax.
import { useEffect, useRef, useState } from "preact/hooks";
import { effect } from "@preact/signals";
import { largest, paint } from "../lib/heat.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { row as rowOf } from "../lib/trace.js";
import { matrices } from "./matrices.js";
import { asking, chosen, choose, cursor, keyTokens, queryTokens, trace } from "./store.js";
import { quoted, weight } from "./words.js";

const SHOWN = 16; // keys that stand beneath one another; the others are in the matrix

/** What the pinned query meets: q (C,), keys (S, C), the scaled scores and weights of its row. */
function useVectors(layer, head, row) {
  const [found, setFound] = useState(null), own = trace.value, { stack, kind } = chosen.value;
  const key = own && layer !== null ? `${own.facts.id} ${stack.name} ${kind} ${layer} ${head} ${row}` : "";
  useEffect(() => {
    if (!key) return undefined;
    let live = true;
    const ask = async () => {
      const name = (part) => `${stack.name}.${layer}.${kind}.${part}`, [, kvHeads] = own.facts.names[name("hook_rot_k")];
      const kv = Math.floor(head / (stack.n_head / kvHeads)), at = `${head},${row}`;
      const all = await asking(() => Promise.all([
        own.array(name("hook_rot_q"), `${row},${head}`), own.array(name("hook_rot_k"), `:,${kv}`), own.array(name("hook_attn_scores_raw"), at),
        own.array(name("hook_attn_scores"), at), own.array(name("hook_pattern"), at),
      ]), ask);
      if (all && live) { const [q, k, raw, masked, pattern] = all; setFound({ key, row, kv, q: q.data, k, raw: raw.data, masked: masked.data, pattern: pattern.data }); }
    };
    ask();
    return () => { live = false; };
  }, [key]);
  return found?.key === key ? found : null;
}

/** A vector as a strip of coloured cells. */
function Strip({ values, most, label }) {
  const canvas = useRef(null);
  useEffect(() => effect(() => {
    const picture = paint({ shape: [1, values.length], data: values, triangle: false }, { signed: true, most, scale: "linear" });
    canvas.current.width = values.length;
    canvas.current.height = 1;
    canvas.current.getContext("2d").drawImage(picture, 0, 0);
  }), [values, most]);
  const point = (event) => {
    const at = Math.min(values.length - 1, Math.max(0, Math.floor((event.offsetX / event.currentTarget.clientWidth) * values.length)));
    event.currentTarget.title = `[${at}] ${weight(values[at])}`;
  };
  return html`<canvas ref=${canvas} class="strip" role="img" aria-label=${label} onPointerMove=${point}></canvas>`;
}

export function Neuron() {
  const c = chosen.value, numbers = matrices.value?.weights, row = c.row ?? cursorRow();
  const found = useVectors(c.layer, c.head, row);
  if (!found || !numbers) return html`<div class="neuron" aria-busy="true"></div>`;
  const width = found.q.length, key = (j) => found.k.data.subarray(j * width, (j + 1) * width), product = (j) => Float32Array.from(found.q, (value, i) => value * key(j)[i]);
  const weights = rowOf(numbers, row), order = [...found.pattern.keys()].filter((j) => Number.isFinite(found.masked[j])).sort((a, b) => found.pattern[b] - found.pattern[a]);
  const column = c.column !== null && Number.isFinite(found.masked[c.column]) ? c.column : order[0], shown = order.slice(0, SHOWN);
  if (!shown.includes(column)) shown[shown.length - 1] = column;
  const mostKey = largest(found.k), mostQuery = largest({ data: found.q }), products = new Map(shown.map((j) => [j, product(j)])), mostProduct = Math.max(...[...products.values()].map((data) => largest({ data })));
  const root = Math.sqrt(width), from = queryTokens.value[row], to = keyTokens.value[column], pair = products.get(column);
  const sum = order.reduce((total, j) => total + Math.exp(found.masked[j] - found.masked[order[0]]), 0);
  return html`<div class="neuron">
    <p class="soft">${t("attention.neuron.what", { from: quoted(from), n: order.length })}</p>
    <div class="vector"><span>q <b>${quoted(from)}</b></span><${Strip} values=${found.q} most=${mostQuery} label=${t("attention.neuron.query", { from: quoted(from) })} /></div>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("attention.neuron.keys")}><table class="keys">
      <thead><tr><th scope="col">${t("attention.key")}</th><th scope="col">k</th><th scope="col">q × k</th><th scope="col">q · k</th><th scope="col">÷ √${width}</th><th scope="col">softmax</th></tr></thead>
      <tbody>${shown.map((j) => html`<tr key=${j} class=${j === column ? "on" : ""}>
        <th scope="row"><button type="button" class="token" aria-pressed=${j === column} onClick=${() => choose({ row, column: j })}>${quoted(keyTokens.value[j])} <small>${j}</small></button></th>
        <td><${Strip} values=${key(j)} most=${mostKey} label=${t("attention.neuron.keyOf", { to: quoted(keyTokens.value[j]) })} /></td>
        <td><${Strip} values=${products.get(j)} most=${mostProduct} label=${t("attention.neuron.productOf", { to: quoted(keyTokens.value[j]) })} /></td>
        <td>${weight(found.raw[j])}</td><td>${weight(found.masked[j])}</td><td><span class="amount" style=${{ "--w": found.pattern[j] }}></span>${weight(found.pattern[j])}</td></tr>`)}</tbody>
    </table></div>
    <section class="worked"><h3>${t("attention.neuron.worked", { from: quoted(from), to: quoted(to) })}</h3>
      <p><span>q · k</span> = ${[...pair.keys()].slice(0, 3).map((i) => html`${i > 0 && " + "}(${weight(found.q[i])} × ${weight(key(column)[i])})`)} + … = <b>${weight(found.raw[column])}</b></p>
      <p><span>÷ √${width}</span> = ${weight(found.raw[column])} ÷ ${weight(root)} = <b>${weight(found.masked[column])}</b></p>
      <p><span>softmax</span> = exp(${weight(found.masked[column])} − ${weight(found.masked[order[0]])}) ÷ ${weight(sum)} = <b>${weight(weights[column] ?? 0)}</b></p>
    </section>
    <details><summary>${t("attention.neuron.all", { n: width })}</summary><div class="scroll" tabindex="0" role="region" aria-label=${t("attention.neuron.all", { n: width })}><table class="numbers">
      <thead><tr><th scope="col">#</th><th scope="col">q</th><th scope="col">k</th><th scope="col">q × k</th></tr></thead>
      <tbody>${[...pair.keys()].map((i) => html`<tr><th scope="row">${i}</th><td>${weight(found.q[i])}</td><td>${weight(key(column)[i])}</td><td>${weight(pair[i])}</td></tr>`)}</tbody></table></div></details>
  </div>`;
}

const cursorRow = () => cursor.peek().row ?? Math.max(0, queryTokens.value.length - 1);
