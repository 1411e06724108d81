// One head, opened: as a matrix, as lines, or from its vectors; alone or beside another.
import { useRef } from "preact/hooks";
import { css } from "../lib/colors.js";
import { largest } from "../lib/heat.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { cell } from "../lib/trace.js";
import { Exports } from "./export.js";
import { headColor, Lines } from "./lines.js";
import { matrices } from "./matrices.js";
import { Matrix } from "./matrix.js";
import { Neuron } from "./neuron.js";
import { Readout, RowTable, sameShape } from "./row.js";
import { beside, chosen, choose, models, STAGES, trace, VIEWS } from "./store.js";

export function Looker() {
  const c = chosen.value, found = matrices.value, box = useRef(null);
  const view = c.rollout && c.view !== "matrix" ? "matrix" : c.view;
  return html`<section class="looker" ref=${box} aria-label=${title(c)}>
    <header><h2>${title(c)}</h2>
      <div class="modes" role="group" aria-label=${t("attention.view")}>${VIEWS.map((one) => html`<button type="button" aria-pressed=${one === view} disabled=${c.rollout && one !== "matrix"} onClick=${() => choose({ view: one })}>${t(`attention.view.${one}`)}</button>`)}</div>
      <span class="grow"></span><${Exports} canvas=${() => box.current.querySelector(".viewport canvas")} /></header>
    ${view === "matrix" && html`<div class="options">
      ${!c.rollout && html`<label>${t("attention.stage")}<select onChange=${(event) => choose({ stage: event.target.value === "pattern" ? null : event.target.value })}>${STAGES.map((one) => html`<option value=${one} selected=${one === c.stage}>${t(`attention.stage.${one}`)}</option>`)}</select></label>`}
      <label>${t("attention.scale")}<select onChange=${(event) => choose({ scale: event.target.value === "root" ? null : event.target.value })}>${["root", "linear", "row"].map((one) => html`<option value=${one} selected=${one === c.scale}>${t(`attention.scale.${one}`)}</option>`)}</select></label>
      <${Beside} /></div>`}
    ${view === "lines" && html`<${Heads} />`}
    ${!found ? html`<div class="viewport matrix-view" aria-busy="true"></div>` : view === "matrix" ? html`<${Matrices} found=${found} />` : view === "lines" ? html`<${Lines} />` : html`<${Neuron} />`}
    ${view === "matrix" && html`<${Readout} />`}
    ${view !== "neuron" && html`<${RowTable} />`}
  </section>`;
}

const title = (c) => (c.rollout ? t("attention.rollout") : t("attention.headName", { layer: String(c.layer), head: String(c.head) }));

function Matrices({ found }) {
  const c = chosen.value, signed = !c.rollout && c.stage !== "pattern", own = c.rollout ? t("attention.rollout") : `${c.layer}.${c.head}`, ready = sameShape(found);
  const otherTitle = beside.value ? `${beside.value.facts.model} ${own}` : `${c.otherLayer}.${c.otherHead}`;
  if (!ready) return html`<${Matrix} numbers=${found.main} signed=${signed} title=${legend(signed, found.main, beside.value || found.other ? `${trace.value.facts.model} ${own}` : "")} />`;
  const second = c.difference ? difference(found) : found.other, most = signed ? Math.max(largest(found.main), largest(found.other)) : undefined;
  return html`<div class="pair"><${Matrix} numbers=${found.main} signed=${signed} most=${most} title=${legend(signed, found.main, `${trace.value.facts.model} ${own}`, most)} />
    <${Matrix} numbers=${second} signed=${signed || c.difference} most=${c.difference ? undefined : most} title=${legend(signed || c.difference, second, c.difference ? t("attention.minus", { other: otherTitle }) : otherTitle, c.difference ? undefined : most)} /></div>`;
}

/** What the colours of a matrix mean, after its name. */
function legend(signed, numbers, name, most) {
  const end = signed ? (most ?? largest(numbers)) : 1, by = chosen.value.scale === "row" && !signed;
  return html`${name && html`<b>${name}</b> `}<span class=${signed ? "ramp signed" : "ramp"}><span>${signed ? `−${end.toPrecision(3)}` : "0"}</span><i></i><span>${signed ? end.toPrecision(3) : by ? t("attention.rowMost") : "1"}</span></span>`;
}

const differences = new WeakMap();
/** The first minus the second, cell by cell. */
function difference({ main, other }) {
  const known = differences.get(main);
  if (known?.other === other) return known.made;
  const data = new Float32Array(main.data.length), columns = main.shape[1];
  if (main.triangle === other.triangle) for (let i = 0; i < data.length; i++) data[i] = main.data[i] - other.data[i];
  else for (let i = 0; i < data.length; i++) data[i] = main.data[i] - cell(other, Math.floor(i / columns), i % columns);
  const made = { ...main, data };
  differences.set(main, { other, made });
  return made;
}

/** What the head is compared with. */
function Beside() {
  const c = chosen.value, others = models().filter((one) => one.name !== trace.value?.facts.model), value = c.beside ? `model:${c.beside}` : c.otherLayer !== null ? "head" : "";
  const change = (event) => {
    const to = event.target.value;
    choose({ beside: to.startsWith("model:") ? to.slice(6) : null, ...(to === "head" ? { layer2: c.layer, head2: (c.head + 1) % c.stack.n_head } : { layer2: null, head2: null }), difference: null });
  };
  const pick = (name, count, now) => html`<select aria-label=${t(name === "layer2" ? "attention.otherLayer" : "attention.otherHead")} onChange=${(event) => choose({ [name]: event.target.value })}>${Array.from({ length: count }, (_, i) => html`<option value=${i} selected=${i === now}>${i}</option>`)}</select>`;
  return html`<label>${t("attention.compare")}<select class="compare" onChange=${change}><option value="" selected=${!value}>${t("attention.alone")}</option>${!c.rollout && html`<option value="head" selected=${value === "head"}>${t("attention.anotherHead")}</option>`}${others.map((one) => html`<option value=${`model:${one.name}`} selected=${value === `model:${one.name}`}>${one.name}</option>`)}</select></label>
    ${value === "head" && html`<span class="two">${pick("layer2", c.stack.n_layer, c.otherLayer)}.${pick("head2", c.stack.n_head, c.otherHead)}</span>`}
    ${value && html`<label class="check"><input type="checkbox" checked=${c.difference} onChange=${(event) => choose({ difference: event.target.checked ? 1 : null })} />${t("attention.difference")}</label>`}`;
}

/** The heads of the layer whose lines are drawn. */
function Heads() {
  const c = chosen.value, shown = new Set(c.heads);
  const toggle = (head, event) => {
    const next = event.altKey || event.detail === 2 ? [head] : shown.has(head) ? c.heads.filter((one) => one !== head) : [...c.heads, head];
    if (next.length) choose({ heads: next.sort((a, b) => a - b).join(","), head: next.includes(c.head) ? c.head : next[0] });
  };
  const all = Array.from({ length: c.stack.n_head }, (_, head) => head);
  return html`<div class="options" role="group" aria-label=${t("attention.headsOf", { layer: String(c.layer) })}><span class="soft">${t("attention.headsOf", { layer: String(c.layer) })}</span>
    <span class="chips">${all.map((head) => html`<button type="button" class="chip-button" aria-pressed=${shown.has(head)} style=${{ "--c": css(headColor(head)) }} title=${t("attention.toggle")} onClick=${(event) => toggle(head, event)}>${head}</button>`)}</span>
    <button type="button" class="ib word" onClick=${() => choose({ heads: shown.size === all.length ? String(c.head) : all.join(",") })}>${t(shown.size === all.length ? "attention.one" : "attention.all")}</button></div>`;
}
