// What is looked at: the model, the text, and which of its tokens.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { language } from "../lib/preferences.js";
import { said } from "../lib/failures.js";
import { walkers } from "../lib/server.js";
import { TEXT, asked, busy, failure, look, mainAt, replaced, trace } from "./state.js";
import { TokenText, labelOf } from "./tokens.js";

const sameTokens = { text: null, ids: null, target: null, targets: null, at: null, source: null, cell: null };

export function Head() {
  const { model, text, ids, target } = asked.value, models = walkers(), own = models.find((one) => one.name === model) ?? models[0];
  const pairs = own?.task === "pair" || own?.task === "choice", field = useRef(null), goal = useRef(null), shown = text ?? (ids ? textOf() : TEXT[language.value]);
  useEffect(() => { if (field.current) field.current.value = shown ?? ""; }, [shown]);
  useEffect(() => { if (goal.current) goal.current.value = target ?? ""; }, [target]);
  const submit = (event) => {
    event?.preventDefault();
    const goalText = goal.current?.value ?? "";
    if (!field.current.value) { failure.value = { status: 400, message: t("steps.empty") }; return; }
    if (ids && field.current.value === shown && !goal.current) return;
    look({ ...sameTokens, text: field.current.value, target: goal.current && goalText ? goalText : null, model: own.name, off: null });
  };
  const keys = (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) submit(event); };
  return html`<form class="steps-text" onSubmit=${submit}>
    ${models.length > 1 && html`<label><span class="hidden">${t("model")}</span><select value=${own.name} onChange=${(event) => look({ model: event.target.value, ids: null, text: shown, targets: null, target: null, off: null, cell: null, at: null, source: null, layer: null, head: null, stack: null })}>${models.map((one) => html`<option value=${one.name} selected=${one === own}>${one.name}</option>`)}</select></label>`}
    <label class="grow"><span class="hidden">${t("steps.text")}</span><textarea ref=${field} rows="1" dir="auto" spellcheck=${false} placeholder=${t("steps.text")} onKeyDown=${keys}></textarea></label>
    ${(own.kind === "encoder-decoder" || pairs) && html`<label class="grow"><span class="hidden">${t(pairs ? "steps.second" : "steps.target")}</span><textarea ref=${goal} rows="1" dir="auto" spellcheck=${false} placeholder=${t(pairs ? "steps.second" : "steps.target")} onKeyDown=${keys}></textarea></label>`}
    <button type="submit" class="primary" disabled=${busy.value}>${t("open")}</button></form>
    ${replaced.value && trace.value && html`<p class="banner" role="status">${t("replaced", { model: trace.value.model })}</p>`}
    ${failure.value && html`<p class="banner" role="alert">${said(failure.value)}</p>`}`;
}

/** The text of the opened ids, as far as it is text. */
function textOf() {
  const bytes = (trace.value?.stacks[0].tokens ?? []).map((one) => (one.special ? "" : one.bytes)).join("").match(/../g) ?? [];
  return new TextDecoder().decode(Uint8Array.from(bytes, (pair) => parseInt(pair, 16))).replace(/\ufffd/g, "");
}

/** The tokens of every text, one of which is the place. */
export function Places() {
  return trace.value.stacks.map((stack) => html`<${Row} key=${stack.name} stack=${stack} />`);
}

function Row({ stack }) {
  const main = stack.name === trace.value.main, { source } = asked.value, n = stack.tokens.length;
  const at = main ? mainAt() : source < 0 ? n - 1 : Math.min(source, n - 1), list = useRef(null), [all, setAll] = useState(false);
  const go = (to) => look({ [main ? "at" : "source"]: Math.min(n - 1, Math.max(0, to)), cell: null }, true);
  const keys = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -n, End: n }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    go(at + step);
    requestAnimationFrame(() => list.current?.querySelector("[aria-checked=true]")?.focus());
  };
  useEffect(() => { list.current?.querySelector("[aria-checked=true]")?.scrollIntoView({ block: "nearest", inline: "center" }); }, [at, trace.value.id]);
  const first = all || n <= 400 ? 0 : Math.max(0, at - 200), last = all || n <= 400 ? n : Math.min(n, first + 400);
  return html`<div class="places"><span class="soft places-label">${t(trace.value.stacks.length === 1 ? "steps.tokensOf" : main ? "steps.targetTokens" : "steps.sourceTokens", { n })}</span>
    <div class="places-list" role="radiogroup" aria-label=${t(main ? "steps.choosePlace" : "steps.chooseSource")} ref=${list} onKeyDown=${keys}>
      ${first > 0 && html`<button type="button" class="link" onClick=${() => setAll(true)}>${t("steps.earlier", { n: first })}</button>`}
      ${stack.tokens.slice(first, last).map((token, i) => html`<button key=${first + i} type="button" role="radio" class="place" aria-checked=${first + i === at} tabindex=${first + i === at ? 0 : -1} aria-label=${`${first + i}: ${labelOf(token)}`} data-at=${first + i} onClick=${() => go(first + i)}><${TokenText} token=${token} /></button>`)}
      ${last < n && html`<button type="button" class="link" onClick=${() => setAll(true)}>${t("steps.later", { n: n - last })}</button>`}
    </div></div>`;
}
