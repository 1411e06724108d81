// What a reader can change: a number, a row of them, a matrix, a text.
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { language } from "../lib/preferences.js";
import { IconButton } from "../parts/icons.js";
import { change } from "./store.js";

export function Control({ input }) {
  const Kind = { number: Slider, integer: Slider, numbers: Numbers, matrix: Matrix, text: Words }[input.kind];
  return html`<${Kind} input=${input} label=${input.label[language.value]} />`;
}

const read = (event, input) => {
  const value = event.target.valueAsNumber;
  if (!Number.isFinite(value)) { event.target.value = event.target.defaultValue; return null; }
  return Math.min(input.high, Math.max(input.low, input.kind === "integer" ? Math.round(value) : value));
};

function Slider({ input, label }) {
  const step = input.kind === "integer" ? 1 : 10 ** Math.floor(Math.log10((input.high - input.low) / 100));
  const set = (event) => { const value = read(event, input); if (value !== null) change(input.name, Number(value.toPrecision(6))); };
  return html`<div class="lesson-slide"><span id=${`in-${input.name}`}>${label}</span>
    <input type="range" aria-labelledby=${`in-${input.name}`} min=${input.low} max=${input.high} step=${step} value=${input.value} onInput=${set} />
    <input type="number" aria-labelledby=${`in-${input.name}`} min=${input.low} max=${input.high} step="any" value=${input.value} onChange=${set} /></div>`;
}

const Cell = ({ input, value, label, onSet }) =>
  html`<input type="number" step="any" min=${input.low} max=${input.high} value=${value} aria-label=${label} onChange=${(event) => { const next = read(event, input); if (next !== null) onSet(next); }} />`;

function Numbers({ input, label }) {
  const { value } = input, put = (i, next) => change(input.name, value.map((one, j) => (i === j ? next : one)));
  return html`<div class="lesson-numbers" role="group" aria-label=${label}><span>${label}</span><div>
    ${value.map((one, i) => html`<${Cell} input=${input} value=${one} label=${`${label}, ${t("lessons.number", { n: i + 1 })}`} onSet=${(next) => put(i, next)} />`)}
    ${input.most > input.least && html`<${IconButton} name="minus" label=${t("lessons.less")} disabled=${value.length <= input.least} onClick=${() => change(input.name, value.slice(0, -1))} />
    <${IconButton} name="add" label=${t("lessons.more")} disabled=${value.length >= input.most} onClick=${() => change(input.name, [...value, value.at(-1)])} />`}</div></div>`;
}

function Matrix({ input, label }) {
  const put = (y, x, next) => change(input.name, input.value.map((row, i) => (i === y ? row.map((one, j) => (j === x ? next : one)) : row)));
  return html`<div class="lesson-matrix" role="group" aria-label=${label}><span>${label}</span><div>
    ${input.value.map((row, y) => html`<div>${row.map((one, x) => html`<${Cell} input=${input} value=${one} label=${`${label}, ${t("lessons.cell", { row: y + 1, column: x + 1 })}`} onSet=${(next) => put(y, x, next)} />`)}</div>`)}</div></div>`;
}

function Words({ input, label }) {
  return html`<label class="lesson-words"><span>${label}</span><input type="text" maxlength=${input.high} value=${input.value} spellcheck="false"
    onChange=${(event) => { const text = event.target.value.trim(); if (text) change(input.name, text); else event.target.value = input.value; }} /></label>`;
}
