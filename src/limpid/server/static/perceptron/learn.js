// Learned from 10,000 people: what they did, and two rules that look for the line between going and staying.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { css } from "../lib/colors.js";
import { percent } from "../lib/format.js";
import { fieldColors, fitted, lineColor } from "../lib/field.js";
import { useWidth } from "../lib/width.js";
import { about, people, picture, REASONS, say, START } from "./store.js";
import { Runs } from "./runs.js";

const NOISES = [0, 0.5, 1, 2, 4];

export function Learn() {
  const now = picture.value, seen = now?.learners[0].seen ?? 0;
  return html`<section class="percept-learn" aria-labelledby="percept-learn"><h2 id="percept-learn">${t("percept.learn")}</h2><p class="lead">${t("percept.learn.what")}</p>
    <div class="play-tabs"><${Runs} part="habits" running=${now?.running.habits} /><p data-seen=${seen}>${t("percept.seen", { n: seen })}</p><span class="grow"></span>
      <label class="play-dial"><small>${t("percept.noise")}</small><select name="noise" value=${String(about.value.noise)} onChange=${(event) => say({ do: "noise", value: Number(event.target.value) })}>${NOISES.map((one) => html`<option value=${String(one)} selected=${one === about.value.noise}>${number(one, 1)}</option>`)}</select></label></div>
    <div class="percept-planes">${[0, 1].map((companion) => html`<${Plane} key=${companion} companion=${companion} />`)}</div>
    <div class="scroll" tabindex="0" role="group" aria-label=${t("percept.found")}><table class="percept-found"><caption>${t("percept.found")}</caption><thead><tr><th></th>${REASONS.map((name) => html`<th scope="col">${t(`percept.${name}.short`)}</th>`)}<th scope="col">${t("percept.threshold")}</th><th scope="col">${t("percept.right")}</th></tr></thead>
      <tbody>${now && now.learners.map((one) => { const times = one.threshold > 1e-9 ? 8 / one.threshold : null; return html`<tr key=${one.name} data-learner=${one.name}><th scope="row" class=${one.name}>${t(`percept.${one.name}`)}</th>${one.weights.map((weight) => html`<td>${times ? number(weight * times, 2) : "–"}</td>`)}<td>${times ? "8" : "–"}</td><td>${one.seen ? percent(one.right) : "–"}</td></tr>`; })}
        <tr><th scope="row" class="truth">${t("percept.truth")}</th>${START.weights.map((weight) => html`<td>${weight}</td>`)}<td>8</td><td>${percent(about.value.best)}</td></tr></tbody></table></div>
    <p class="soft note">${t("percept.learn.note")}</p></section>`;
}

/** People without a companion, or with one, by weather and price; lines where each rule changes its mind. */
function Plane({ companion }) {
  const canvas = useRef(null), dots = useRef(null), [box, width] = useWidth(300), size = Math.min(380, width - 20), list = people.value, now = picture.value, seen = now?.learners[0].seen ?? 0;
  useEffect(() => {
    fieldColors.value;
    const context = fitted(dots.current, size, size);
    context.clearRect(0, 0, size, size);
    const colors = [lineColor(-0.75), lineColor(0.75)];
    context.globalAlpha = 0.55;
    for (let i = 0; i < list.length; i += 3) {
      if (list[i + 2] >> 1 !== companion) continue;
      context.fillStyle = colors[list[i + 2] & 1];
      context.fillRect((list[i] / 255) * (size - 2), (1 - list[i + 1] / 255) * (size - 2), 2, 2);
    }
  }, [list, size, fieldColors.value]);
  useEffect(() => {
    const { colors } = fieldColors.value, context = fitted(canvas.current, size, size);
    context.clearRect(0, 0, size, size);
    const line = ({ weights: [a, b, c], threshold }, color, dash, width) => {
      const rest = threshold - c * companion;
      if (Math.abs(a) + Math.abs(b) < 1e-12) return;
      context.beginPath();
      if (Math.abs(b) >= Math.abs(a)) { context.moveTo(-size, size - (size * (rest + a)) / b); context.lineTo(2 * size, size - (size * (rest - 2 * a)) / b); }
      else { context.moveTo((size * (rest + b)) / a, 2 * size); context.lineTo((size * (rest - 2 * b)) / a, -size); }
      context.setLineDash([]); context.strokeStyle = css(colors.paper, 0.85); context.lineWidth = width + 3; context.stroke();
      context.setLineDash(dash); context.strokeStyle = color; context.lineWidth = width; context.stroke();
      context.setLineDash([]);
    };
    line(START, css(colors.ink), [2, 5], 2);
    if (now && seen) { line(now.learners[0], css(colors.cold), [9, 4], 2.5); line(now.learners[1], css(colors.accent), [], 2.5); }
  });
  return html`<figure ref=${box}><figcaption>${t(companion ? "percept.with" : "percept.alone")}</figcaption><div style=${{ width: `${size}px`, height: `${size}px` }} role="img" aria-label=${t("percept.planeWhat", { who: t(companion ? "percept.with" : "percept.alone") })}><canvas ref=${dots} aria-hidden="true"></canvas><canvas ref=${canvas} aria-hidden="true"></canvas></div><p class="soft axis"><span>${t("percept.axisX")}</span><span>${t("percept.axisY")}</span></p></figure>`;
}
