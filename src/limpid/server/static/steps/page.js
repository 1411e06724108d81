// Step by step: from tokens to the next token, every number on the way the model's own.
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { address, route } from "../lib/route.js";
import { model as find, walkers } from "../lib/server.js";
import { language } from "../lib/preferences.js";
import { words } from "../i18n/steps.js";
import { IconButton } from "../parts/icons.js";
import { part, useFound } from "./data.js";
import { Exports } from "./export.js";
import { highest, largest, outOf } from "./flow.js";
import { Head, Places } from "./head.js";
import { Chapters } from "./jump.js";
import { Pager, Rail, chapterTitle } from "./rail.js";
import { Draw, Filters, Temperature } from "./sampling.js";
import { asked, busy, chosen, failure, goTo, here, look, mainAt, open, standing, trace, way } from "./state.js";
import * as views from "./views.js";
import { Weights } from "./weights.js";
import { Prediction } from "./without.js";
import { explain, titleOf } from "./words.js";
import { Worked } from "./worked.js";

addWords(words);

const VIEWS = {
  tokens: views.Tokens, embed: views.Embed, segment: views.Position, position: views.Position, enter: views.Sum, mix: views.Mix, norm: views.Norm, heads: views.Heads, qk_norm: views.Both, turn: views.Both,
  raw: views.Scores, scaled: views.Scores, masked: views.Scores, pattern: views.Scores, mixed: views.Mixed, join: views.Join, residual: views.Sum, up: views.Up, neurons: views.Neurons, down: views.Down,
  router: views.Router, experts: views.Experts, lens: views.Lens, final_norm: views.Norm, logits: views.Logits, classes: views.Classes, pool: views.Pool, temperature: Temperature, filters: Filters, draw: Draw,
};
const HEADED = ["heads", "qk_norm", "turn", "raw", "scaled", "masked", "pattern", "mixed", "join"];

export function StepsPage() {
  const { model, text: given, ids, target, targets } = route.value.query;
  const text = given ?? (ids ? "" : language.value); // without a text, the example is in the reader's language
  useEffect(() => { if (route.value.page === "steps" && walkers().length && find(model)?.task !== "similarity") open(); }, [model, text, ids, target, targets]);
  useEffect(() => { addEventListener("keydown", keys); return () => removeEventListener("keydown", keys); }, []);
  if (!asked.value) return null;
  if (!walkers().length || find(model)?.task === "similarity") return html`<main id="main" class="wait" tabindex="-1"><p>${t("steps.classifier")}</p><p class="acts"><a class="plain" href=${address("reading", "", { model })}>${t("reading")}</a><a class="plain" href=${address("attention", "", { model })}>${t("attention")}</a></p></main>`;
  const ready = trace.value && here.value;
  return html`<div class="steps-page">
    ${ready ? html`<${Rail} />` : html`<div class="rail"></div>`}
    <main id="main" class="steps-main" tabindex="-1" aria-label=${t("steps")} aria-busy=${busy.value || (!ready && !failure.value)}>
      <h1 class="hidden">${t("steps")}</h1>
      <${Head} />
      ${ready && html`<${Places} /><${Prediction} /><${StepView} />`}
    </main>
    ${ready && html`<${Weights} />`}
  </div>`;
}

function StepView() {
  const { step, chapter, layer, head, heads, stack } = here.value, all = way(), kind = step.key.split(".").at(-1);
  const place = all.findIndex((one) => one.chapter === chapter && one.step.key === step.key), View = VIEWS[kind];
  const to = (one) => one && (() => goTo(one.chapter, one.step));
  const cell = useCell();
  return html`<article class="step" data-step=${step.key} data-stack=${stack.name} data-layer=${layer} data-head=${head}>
    <header class="step-head">
      <${IconButton} name="left" label=${t("steps.before.step")} keys="K" disabled=${place === 0} onClick=${to(all[place - 1])} />
      <div class="step-title"><p class="soft">${chapterTitle(chapter)}${chapter.kind === "block" ? html` <${Pager} chapter=${chapter} layer=${layer} />` : ""}${HEADED.includes(kind) && html`<${Heads} head=${head} heads=${heads} />`}</p><h2 aria-live="polite">${titleOf(step)}</h2></div>
      <${IconButton} name="right" label=${t("steps.after.step")} keys="J" disabled=${place === all.length - 1} onClick=${to(all[place + 1])} />
    </header>
    <${Chapters} all=${all} place=${place} />
    <p class="explain">${explain(step)}</p>
    <div class=${`step-body ${cell ? "" : "alone"}`}>
      <div class="step-view"><${View} key=${step.key} /><${Exports} /></div>
      ${cell && html`<${Worked} cell=${cell} />`}
    </div>
  </article>`;
}

/** From head to head. */
function Heads({ head, heads }) {
  const go = (to) => look({ head: to, cell: null }, true);
  return html`<span class="pager"><${IconButton} name="left" label=${t("steps.headBefore")} disabled=${head === 0} onClick=${() => go(head - 1)} /><span class="num">${t("steps.headOf", { n: head, last: heads - 1 })}</span><${IconButton} name="right" label=${t("steps.headAfter")} disabled=${head === heads - 1} onClick=${() => go(head + 1)} /></span>`;
}

/** The cell that is worked: the chosen one, or the one that stands out. */
function useCell() {
  const { step, at, head, group } = here.value, temperature = step.key === "temperature";
  const unworked = trace.value.kind === "encoder" && step.key === "logits"; // its head is a network by itself
  const out = unworked ? null : temperature ? { name: "probabilities", index: [mainAt()] } : outOf(step, { at, head, group }), key = !chosen.value && out ? `${out.name}@${out.index}` : null;
  const { value, fresh } = useFound(key, () => part(out.name, out.index));
  const best = ["logits", "probabilities"].includes(out?.name) ? highest : largest;
  const cell = unworked ? null : chosen.value ?? (key && fresh && value ? { name: out.name, index: [...out.index, best(value.values)] } : null);
  useEffect(() => { standing.value = cell; }, [cell && `${cell.name}@${cell.index}`]);
  return cell;
}

function keys(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.isComposing || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || document.querySelector("dialog[open]") || !here.value) return;
  if (event.key === "/") { event.preventDefault(); document.querySelector(".steps-text textarea").focus(); return; }
  const step = { j: 1, k: -1 }[event.key.toLowerCase()];
  if (!step) return;
  const all = way(), place = all.findIndex((one) => one.chapter === here.value.chapter && one.step.key === here.value.step.key), next = all[place + step];
  if (next) { event.preventDefault(); goTo(next.chapter, next.step); }
}
