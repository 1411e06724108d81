// One decision: three reasons, their weights, a threshold; and all eight cases.
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { lineColor, fieldColors } from "../lib/field.js";
import { CASES, decide, decision, MOST, REASONS, START, total } from "./store.js";

export function Decide() {
  const { weights, threshold, today } = decision.value, sum = total(weights, today), go = sum > threshold;
  const set = (i, value) => decide({ weights: weights.map((old, n) => (n === i ? value : old)) });
  return html`<section class="percept-decide" aria-labelledby="percept-decide">
    <h2 id="percept-decide">${t("percept.decide")}</h2><p class="lead">${t("percept.decide.what")}</p>
    <div class="percept-two">
      <div class="percept-dials">
        ${REASONS.map((name, i) => html`<div class="percept-dial" key=${name}><label class="tick"><input type="checkbox" checked=${today[i] === 1} onChange=${(event) => decide({ today: today.map((old, n) => (n === i ? Number(event.target.checked) : old)) })} />${t(`percept.${name}`)}</label>
          <${Number_} label=${t("percept.weightOf", { name: t(`percept.${name}`) })} name=${name} value=${weights[i]} low=${-4} high=${MOST} set=${(value) => set(i, value)} /></div>`)}
        <div class="percept-dial threshold"><span>${t("percept.threshold")}</span><${Number_} label=${t("percept.threshold")} name="threshold" value=${threshold} low=${-4} high=${MOST} set=${(value) => decide({ threshold: value })} /></div>
        <button type="button" class="plain" onClick=${() => decide({ ...START, today: [1, 0, 1] })}>${t("play.reset")}</button>
      </div>
      <${Drawing} weights=${weights} today=${today} sum=${sum} threshold=${threshold} go=${go} />
    </div>
    <${Cases} weights=${weights} threshold=${threshold} today=${today} />
  </section>`;
}

function Number_({ label, name, value, low, high, set }) {
  const change = (event) => { const found = Number(event.target.value); if (event.target.value !== "" && Number.isFinite(found)) set(Math.max(-MOST, Math.min(2 * MOST, found))); };
  return html`<input type="range" min=${low} max=${high} step="0.5" value=${value} aria-label=${label} name=${name} onInput=${change} /><input type="number" min=${-MOST} max=${2 * MOST} step="0.5" value=${value} aria-label=${t("percept.exactly", { label })} onChange=${change} />`;
}

/** The neuron: reasons at the left, lines as wide as their weights, the sum against the threshold. */
function Drawing({ weights, today, sum, threshold, go }) {
  fieldColors.value;
  const y = [36, 100, 164];
  return html`<svg class="percept-neuron" viewBox="-24 8 484 184" role="img" aria-label=${t(go ? "percept.goes" : "percept.stays", { sum: number(sum, 2), threshold: number(threshold, 2) })}>
    ${y.map((at, i) => html`<path d=${`M112 ${at}C180 ${at} 170 100 232 100`} fill="none" stroke=${today[i] ? lineColor(weights[i] / 6) : "var(--rule)"} stroke-width=${1 + Math.abs(weights[i]) * 0.9} stroke-dasharray=${today[i] ? "" : "3 5"} />
      <circle cx="96" cy=${at} r="16" class=${today[i] ? "on" : ""} /><text x="96" y=${at + 5} text-anchor="middle" class=${today[i] ? "on" : ""}>${today[i]}</text><text x="72" y=${at + 5} text-anchor="end">${t(`percept.${REASONS[i]}.short`)}</text><text x="158" y=${at + [-6, -8, 18][i]} text-anchor="middle" class="weight">× ${number(weights[i], 2)}</text>`)}
    <circle cx="254" cy="100" r="27" class="sum" /><text x="254" y="106" text-anchor="middle" class="big">${number(sum, 2)}</text>
    <path d="M281 100h44" stroke="var(--line)" fill="none" /><text x="303" y="92" text-anchor="middle" class="weight">> ${number(threshold, 2)}?</text>
    <rect x="328" y="76" width="124" height="48" rx="10" class=${go ? "goes" : ""} /><text x="390" y="106" text-anchor="middle" class=${go ? "big goes" : "big"}>${t(go ? "percept.go" : "percept.stay")}</text>
  </svg>`;
}

function Cases({ weights, threshold, today }) {
  const sums = CASES.map((one) => total(weights, one)), low = Math.min(0, threshold, ...sums), reach = Math.max(16, threshold, ...sums) - low, at = (value) => `${(100 * (value - low)) / reach}%`;
  return html`<table class="percept-cases"><caption>${t("percept.cases")}</caption>
    <thead><tr>${REASONS.map((name) => html`<th scope="col">${t(`percept.${name}.short`)}</th>`)}<th scope="col" class="wide">${t("percept.sum")}</th><th scope="col">${t("percept.so")}</th></tr></thead>
    <tbody>${CASES.map((one, n) => { const go = sums[n] > threshold; return html`<tr key=${n} class=${one.join() === today.join() ? "now" : ""} data-case=${one.join("")} data-sum=${sums[n]} data-go=${go}>
      ${one.map((reason) => html`<td class=${reason ? "yes" : "no"}>${t(reason ? "percept.yes" : "percept.no")}</td>`)}
      <td class="wide"><div><span class="bar" aria-hidden="true"><i class=${go ? "goes" : ""} style=${{ left: at(Math.min(0, sums[n])), width: `${(100 * Math.abs(sums[n])) / reach}%` }}></i><b style=${{ left: at(threshold) }}></b></span><span class="value">${number(sums[n], 2)}${sums[n] === threshold ? html` <small>${t("percept.equal")}</small>` : ""}</span></div></td>
      <td class=${go ? "goes" : ""}>${t(go ? "percept.go" : "percept.stay")}</td></tr>`; })}</tbody></table>`;
}
