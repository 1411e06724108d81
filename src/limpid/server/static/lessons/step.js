// One step: prose, what can be changed, code, and what came of it.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { blocks, draw } from "../lib/markdown.js";
import { language } from "../lib/preferences.js";
import { python } from "../lib/python.js";
import { IconButton } from "../parts/icons.js";
import { Control } from "./controls.js";
import { Drawing } from "./pictures.js";
import { running } from "./store.js";

export function Step({ number, step, outcome, program }) {
  const say = language.value, [copied, setCopied] = useState(false);
  const copy = async () => { await navigator.clipboard.writeText(program()); setCopied(true); setTimeout(() => setCopied(false), 1500); };
  return html`<section class="lesson-step" data-step=${number} aria-label=${step.title[say]}>
    <h2><span>${number}</span>${step.title[say]}</h2>
    <${Prose} text=${step.prose[say]} />
    ${step.inputs.length > 0 && html`<div class="lesson-inputs" role="group" aria-label=${t("lessons.yours")}>${step.inputs.map((one) => html`<${Control} input=${one} key=${one.name} />`)}</div>`}
    ${step.code && html`<div class="lesson-code"><pre tabindex="0" aria-label=${t("lessons.code", { n: number })}><code>${python(step.code)}</code></pre><${IconButton} name="copy" label=${t(copied ? "lessons.copied" : "lessons.copy")} onClick=${copy} /></div>`}
    ${outcome ? html`<${Came} outcome=${outcome} title=${step.title[say]} />` : step.code && running.value && html`<p class="soft note">${t("lessons.running")}</p>`}
  </section>`;
}

function Came({ outcome, title }) {
  return html`<div class="lesson-came" data-stale=${running.value}>
    ${outcome.output && html`<pre class="lesson-output" tabindex="0" aria-label=${t("lessons.prints")}><samp>${outcome.output.replace(/\n$/, "")}</samp></pre>`}
    ${outcome.pictures.map((one) => html`<${Drawing} picture=${one} says=${one.title || title} />`)}
    ${outcome.fault && html`<p class="lesson-fault">${t("lessons.fault", { why: outcome.fault })}</p>`}
  </div>`;
}

function Prose({ text }) {
  const place = useRef(null);
  useLayoutEffect(() => { place.current.replaceChildren(...blocks(text).map(draw)); }, [text]);
  return html`<div class="lesson-prose" ref=${place}></div>`;
}
