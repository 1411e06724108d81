// The Attention page: a text, every head of a model on it, and one head opened.
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { words } from "../i18n/attention.js";
import { IconButton } from "../parts/icons.js";
import { Form } from "./form.js";
import { Grid } from "./grid.js";
import { Guide } from "./guide.js";
import { Looker } from "./looker.js";
import { Reading } from "./reading.js";
import { beside, busy, chosen, choose, models, SCORES, spoken, trace, trouble } from "./store.js";

addWords(words);

export function AttentionPage() {
  useEffect(() => { addEventListener("keydown", shortcuts); return () => removeEventListener("keydown", shortcuts); }, []);
  if (!models().length) return html`<main id="main" class="wait" tabindex="-1"><p>${t("noSpeaker")}</p></main>`;
  const open = chosen.value.layer !== null || chosen.value.rollout;
  return html`<main id="main" class="attention" tabindex="-1" aria-label=${t("attention")} aria-busy=${busy.value && !trouble.value}>
    <${Troubles} />
    <h1 class="hidden">${t("attention")}</h1>
    <${Form} />
    <${Reading} />
    ${trace.value && html`<div class=${open ? "work open" : "work"}><section class="heads" aria-label=${t("attention.heads")}><${GridBar} /><${Grid} /></section>${open ? html`<${Looker} />` : html`<${Guide} />`}</div>`}
    <p class="hidden" aria-live="polite">${spoken.value}</p>
  </main>`;
}

function shortcuts(event) {
  if (event.isComposing || document.querySelector("dialog[open]") || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  if (event.key === "/") { event.preventDefault(); document.querySelector("#look-text")?.focus(); }
}

/** Which attention, in what order, and marked by what. */
function GridBar() {
  const c = chosen.value, { stacks } = trace.value.facts, kinds = stacks.flatMap((stack) => stack.kinds.map((kind) => ({ stack: stack.name, kind })));
  const rated = c.kind === "attn" && c.stack.name === trace.value.facts.main, all = [...SCORES, ...(beside.value ? ["difference"] : [])];
  return html`<header>
    ${kinds.length > 1 && html`<div class="modes" role="group" aria-label=${t("attention.kind")}>${kinds.map((one) => html`<button type="button" aria-pressed=${one.stack === c.stack.name && one.kind === c.kind} onClick=${() => choose({ ...one, row: null, column: null, layer: null, head: null, heads: null, score: null, sorted: null })}>${t(one.kind === "cross_attn" ? "attention.cross" : `attention.stack.${one.stack}`)}</button>`)}</div>`}
    ${rated && html`<label>${t("attention.mark")}<select onChange=${(event) => choose({ score: event.target.value || null, sorted: event.target.value && c.sorted ? 1 : null })}><option value="">${t("attention.nothing")}</option>${all.map((one) => html`<option value=${one} selected=${one === c.score}>${t(`attention.score.${one}`)}</option>`)}</select></label>
      ${c.score && html`<label class="check"><input type="checkbox" checked=${c.sorted} onChange=${(event) => choose({ sorted: event.target.checked ? 1 : null })} />${t("attention.sort")}</label>`}`}
    ${c.kind === "attn" && html`<button type="button" class="ib word" aria-pressed=${c.rollout} onClick=${() => choose(c.rollout ? { layer: null, head: null } : { layer: "rollout", head: null, heads: null, layer2: null, head2: null, stage: null })} title=${t("attention.rolloutWhat")}>${t("attention.rollout")}</button>`}
    ${c.score && html`<p class="soft note">${t(`attention.score.${c.score}.what`)}</p>`}
  </header>`;
}

function Troubles() {
  const one = trouble.value;
  return html`<div class="troubles" role="alert">${one && html`<div class="banner"><p>${one.key ? t(one.key, one.values) : one.text}</p>
    ${one.again && html`<button type="button" class="plain" onClick=${() => { trouble.value = null; one.again(); }}>${t("retry")}</button>`}
    <${IconButton} name="close" label=${t("close")} onClick=${() => { trouble.value = null; }} /></div>`}</div>`;
}
