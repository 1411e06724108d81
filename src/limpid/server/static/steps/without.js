// Taking parts out: a switch beside each part, and what the model then says, beside what it says as it is.
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { digits, percent } from "../lib/format.js";
import { find, useFound, why } from "./data.js";
import { asked, look, mainAt, mainStack, trace } from "./state.js";
import { TokenText } from "./tokens.js";
import { Code } from "./code.js";

const COUNT = 5;

/** A switch that takes a part out, or puts it back. @param {{part: string, label?: string}} props as inspection.parts writes it: "head:2.1" */
export function Without({ part, label }) {
  const { off } = asked.value, out = off.includes(part);
  return html`<button type="button" class="without" data-part=${part} aria-pressed=${out} title=${t(out ? "steps.putBack" : "steps.takeOut")} aria-label=${`${t(out ? "steps.putBack" : "steps.takeOut")}: ${part}`}
    onClick=${() => look({ off: out ? off.filter((one) => one !== part) : [...off, part] }, true)}>${label ?? t("steps.without")}</button>`;
}

/** What comes next at the chosen place; and without the parts that were taken out. */
export function Prediction() {
  const at = mainAt(), { off, how } = asked.value, tokens = mainStack().tokens, encodes = trace.value.kind === "encoder", sorts = !!trace.value.answers;
  const { value: next } = useFound(`next ${at}`, () => find(`next?at=${at}&count=20`));
  const { value: effect, fresh, failure } = useFound(off.length ? `ablate ${off} ${how} ${at}` : null, () => find("ablate", { parts: off, how, at }));
  const shown = off.length && effect && fresh ? effect : null;
  return html`<section class="prediction" aria-label=${t(sorts ? "steps.sorts.label" : encodes ? "steps.stands.label" : "steps.prediction")} data-at=${at}>
    <p class="prediction-head"><span>${t(sorts ? "steps.readTo" : encodes ? "steps.atToken" : "steps.afterToken")} <span class="pill small"><${TokenText} token=${tokens[at]} /></span></span>${!encodes && !sorts && tokens[at + 1] && html`<span class="soft">${t("steps.itSays")} <span class="pill small"><${TokenText} token=${tokens[at + 1]} /></span></span>`}</p>
    ${next && html`<${Row} label=${off.length ? t("steps.asItIs") : t(sorts ? "steps.sorts" : encodes ? "steps.stands" : "steps.comes")} candidates=${next.candidates} kind="as-is" />`}
    ${off.length > 0 && html`<div class="off-line" role="status">${failure ? html`<p class="soft">${why(failure)}</p>` : shown && html`<${Row} label=${t("steps.withoutThese")} candidates=${shown.after.candidates} before=${next?.candidates} kind="changed" />`}
      <p class="off-list">${off.map((part) => html`<button key=${part} type="button" class="off-part mono" aria-label=${`${t("steps.putBack")}: ${part}`} title=${t("steps.putBack")} onClick=${() => look({ off: off.filter((one) => one !== part) }, true)}>${part} ×</button>`)}
        <select aria-label=${t("steps.how")} value=${how} onChange=${(event) => look({ how: event.target.value === "mean" ? "mean" : null }, true)}><option value="zero" selected=${how === "zero"}>${t("steps.how.zero")}</option><option value="mean" selected=${how === "mean"}>${t("steps.how.mean")}</option></select>
        ${shown && trace.value.outputs > 1 && html`<span class="soft" data-divergence=${shown.divergence}>${t("steps.divergence", { bits: digits(shown.divergence) })}</span>`}</p>
      ${shown && html`<${Code} prints=${[`t.ablate(${off.map((part) => `"${part}"`).join(", ")}, how="${how}", at=${at}).after`]} />`}</div>`}
  </section>`;
}

function Row({ label, candidates, before, kind }) {
  const score = trace.value.outputs === 1 ? trace.value.answers : null; // one number, and no choice
  const was = (id) => before?.findIndex((one) => one.token_id === id) ?? -1;
  return html`<div class="says"><span class="says-label">${label}</span><ol class=${kind}>${candidates.slice(0, COUNT).map((one, i) => html`<li key=${one.token_id} data-id=${one.token_id} data-probability=${one.probability} class=${before && was(one.token_id) !== i ? "moved" : ""}>
    ${score ? html`<span class="num">${digits(score.mean + score.deviation * one.logit)}</span>` : html`<bdi class="name">${one.label}</bdi> <span class="num">${percent(one.probability)}</span><i style=${{ width: `${100 * one.probability}%` }}></i>`}</li>`)}</ol></div>`;
}
