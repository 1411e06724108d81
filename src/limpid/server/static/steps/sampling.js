// From scores to a token: temperature, the filters, and the number that draws. Every column is the engine's own.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { digits, percent } from "../lib/format.js";
import { Icon } from "../parts/icons.js";
import { find, useFound, why } from "./data.js";
import { SAMPLING, asked, look, mainAt, mainStack, trace } from "./state.js";
import { Code } from "./code.js";

const DIALS = { temperature: ["temperature", 0, 2, 0.05], top_k: ["top_k", 0, 100, 1], top_p: ["top_p", 0.01, 1, 0.01], min_p: ["min_p", 0, 1, 0.01] };

function useSampling() {
  const at = mainAt(), { temperature, top_k, top_p, min_p, uniform } = asked.value;
  const path = `sampling?at=${at}&temperature=${temperature}&top_k=${top_k}&top_p=${top_p}&min_p=${min_p}&uniform=${uniform}&count=20`;
  return useFound(path, () => find(path));
}

function Dials({ names }) {
  return html`<div class="dials">${names.map((name) => html`<${Dial} key=${name} name=${name} />`)}</div>`;
}

function Dial({ name }) {
  const [key, low, high, step] = DIALS[name], value = asked.value[name], timer = useRef(0), [draft, setDraft] = useState(value);
  useEffect(() => { setDraft(value); }, [value]);
  const change = (event) => {
    const wanted = Number(event.target.value);
    if (event.target.value === "" || !Number.isFinite(wanted)) return;
    const next = Math.min(high, Math.max(low, wanted));
    setDraft(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => look({ [name]: next === SAMPLING[name] ? null : next }, true), 60);
  };
  return html`<div class=${`dial ${draft !== SAMPLING[name] ? "changed" : ""}`}><label for=${`steps-${key}`}>${t(`dial.${key}`)}</label><output></output>
    <input type="number" min=${low} max=${high} step=${step} value=${draft} aria-label=${t(`dial.${key}`)} onChange=${change} />
    <input id=${`steps-${key}`} type="range" min=${low} max=${high} step=${step} value=${draft} aria-describedby=${`steps-${key}-what`} onInput=${change} /><p id=${`steps-${key}-what`}>${t(`dial.${key}.what`)}</p></div>`;
}

const code = () => {
  const { temperature, top_k, top_p, min_p, uniform } = asked.value;
  return { lines: ["from limpid.inference.sampler import Sampling", "from limpid.inference.shaping import drawn, shape_in_steps", "import torch", "",
    `s = shape_in_steps(torch.from_numpy(t.logits(${mainAt()})), Sampling(temperature=${temperature}, top_k=${top_k}, top_p=${top_p}, min_p=${min_p}))`], prints: [`s.final, drawn(s, ${uniform})`] };
};

/** Two bars a token: before and after. */
function Table({ found, before, after, columns, dropped }) {
  const reach = Math.max(...found.candidates.flatMap((one) => [one[before], one[after]]), 1e-9);
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${t("steps.candidates")}><table class="sampling"><thead><tr><th scope="col">${t("token")}</th>${columns.map(({ title }) => html`<th scope="col" class="num">${title}</th>`)}<th scope="col" class="wide"><span class="hidden">${t("steps.bars")}</span></th></tr></thead>
    <tbody>${found.candidates.map((one) => html`<tr key=${one.id} data-id=${one.id} data-final=${one.final} class=${`${one.id === found.token ? "chosen" : ""} ${one[after] === 0 ? "dropped" : ""}`}><th scope="row"><bdi class="name">${one.label}</bdi>${dropped && one[after] === 0 ? html` <small class="soft">${t("steps.droppedBy", { filter: droppedBy(one) })}</small>` : ""}</th>
      ${columns.map(({ of }) => html`<td class="num">${of(one)}</td>`)}<td class="wide"><span class="bars" aria-hidden="true"><i class="before" style=${{ width: `${(100 * one[before]) / reach}%` }}></i><i class="after" style=${{ width: `${(100 * one[after]) / reach}%` }}></i></span></td></tr>`)}</tbody></table></div>`;
}
const droppedBy = (one) => (one.top_k === 0 ? "top-k" : one.top_p === 0 ? "top-p" : "min-p");

export function Temperature() {
  const { value: found, failure } = useSampling(), { temperature } = asked.value;
  return html`<${Dials} names=${["temperature"]} />${failure && html`<p class="soft">${why(failure)}</p>`}
    ${found && html`<p class="key soft"><i class="bar-key before"></i>${t("steps.at1")} <i class="bar-key after"></i>${t("steps.atT", { temperature: digits(temperature) })}</p>
    <${Table} found=${found} before="plain" after="warm" columns=${[{ title: t("steps.logit"), of: (one) => digits(one.logits) }, { title: `/ ${digits(temperature || 1)}`, of: (one) => digits(one.scaled) }, { title: t("probability"), of: (one) => percent(one.warm) }]} /><${Code} ...${code()} />`}`;
}

export function Filters() {
  const { value: found, failure } = useSampling();
  return html`<${Dials} names=${["top_k", "top_p", "min_p"]} />${failure && html`<p class="soft">${why(failure)}</p>`}
    ${found && html`<p class="op soft">${t("steps.kept", { n: found.kept.final, whole: number(found.vocabulary) })}</p>
    <p class="key soft"><i class="bar-key before"></i>${t("steps.beforeFilters")} <i class="bar-key after"></i>${t("steps.afterFilters")}</p>
    <${Table} found=${found} before="warm" after="final" dropped columns=${[{ title: t("steps.before"), of: (one) => percent(one.warm) }, { title: t("steps.afterwards"), of: (one) => percent(one.final) }]} /><${Code} ...${code()} />`}`;
}

/** The draw: tokens side by side on a line from 0 to 1, and the number that falls on one of them. */
export function Draw() {
  const { value: found, failure } = useSampling(), { uniform } = asked.value;
  if (failure) return html`<p class="soft">${why(failure)}</p>`;
  if (!found) return null;
  const drawn = found.candidates.find((one) => one.id === found.token);
  const another = () => look({ uniform: (Math.floor(Math.random() * 10_000) / 10_000).toFixed(4) }, true);
  return html`<div class="draw"><div class="draw-line" role="img" aria-label=${t("steps.lineOf", { u: digits(uniform) })}>${found.candidates.filter((one) => one.final > 0).map((one) => html`<span key=${one.id} class=${one.id === found.token ? "chosen" : ""} style=${{ left: `${100 * (one.until - one.final)}%`, width: `${100 * one.final}%` }} title=${`${one.label} ${percent(one.final)}`}><bdi>${one.final > 0.06 ? one.label : ""}</bdi></span>`)}
      <i class="draw-mark" style=${{ left: `${100 * uniform}%` }}></i></div>
      <label class="draw-number"><span>${t("steps.uniform")}</span><input type="range" min="0" max="0.9999" step="0.0001" value=${uniform} onInput=${(event) => look({ uniform: event.target.value }, true)} /><output class="num">${Number(uniform).toFixed(4)}</output></label>
      <button type="button" class="plain" onClick=${another}><${Icon} name="again" />${t("steps.another")}</button></div>
    <p class="drawn" role="status" data-id=${found.token}><bdi class="name big">${drawn.label}</bdi><span class="soft">${t("steps.drawn", { share: percent(drawn.final), rank: number(found.rank) })}</span></p>
    <p class="op"><button type="button" class="primary" onClick=${() => append(found.token)}><${Icon} name="add" />${t("steps.append")}</button></p>
    <${Dials} names=${["temperature", "top_k", "top_p", "min_p"]} /><${Code} ...${code()} />`;
}

/** The text as far as the place, and the token after it. */
function append(token) {
  const { stacks } = trace.value, at = mainAt(), ids = mainStack().tokens.slice(0, at + 1).map((one) => one.id);
  if (stacks.length > 1) look({ target: null, targets: [...ids.slice(1), token].join(","), at: null, cell: null });
  else look({ text: null, ids: [...ids, token].join(","), at: null, cell: null });
}
