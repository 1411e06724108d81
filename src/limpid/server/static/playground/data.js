// The data: which, how noisy, how much of it is learned from, and one's own.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { dots, fieldColors, fitted } from "../lib/field.js";
import { Icon } from "../parts/icons.js";
import { change, points, said, seed, settings, shows, thumbnails } from "./store.js";

const SETS = { classification: ["circle", "xor", "gauss", "spiral"], regression: ["reg-plane", "reg-gauss"] };

export function Data({ onOwn }) {
  const { problem } = settings.value, field = problem === "regression" ? "reg_dataset" : "dataset", now = settings.value[field];
  const { rows, train } = points.value;
  return html`<section class="play-data" aria-labelledby="play-data">
    <h2 id="play-data">${t("play.data")}</h2>
    ${shows("dataset") && html`<div class="play-sets" role="group" aria-label=${t("play.dataset")}>
      ${SETS[problem].map((name) => html`<button type="button" key=${name} aria-pressed=${name === now} title=${t(`play.set.${name}`)} data-set=${name} onClick=${() => change({ [field]: name })}>
        <${Thumbnail} rows=${thumbnails.value[name] ?? []} /><small>${t(`play.set.${name}`)}</small></button>`)}
      <button type="button" key="own" aria-pressed=${now === "own"} data-set="own" onClick=${onOwn}>
        ${now === "own" ? html`<${Thumbnail} rows=${rows} />` : html`<span class="blank"><${Icon} name="edit" /></span>`}<small>${t("play.set.own")}</small></button>
    </div>`}
    ${said.value && html`<p class="soft note" role="status">${said.value}</p>`}
    <p class="soft note">${t("play.counts", { train, test: rows.length - train })}</p>
    <${Slide} name="percTrainData" field="train_percent" low=${10} high=${90} step=${10} unit="%" />
    ${now !== "own" && html`<${Slide} name="noise" low=${0} high=${50} step=${5} unit="" />`}
    <${Slide} name="batchSize" field="batch_size" low=${1} high=${30} step=${1} unit="" />
    <button type="button" class="plain" onClick=${() => change({ seed: seed() })}>${t(now === "own" ? "play.reshuffle" : "play.regenerate")}</button>
  </section>`;
}

function Thumbnail({ rows }) {
  const canvas = useRef(null);
  useEffect(() => {
    fieldColors.value;
    const context = fitted(canvas.current, 56, 56);
    context.clearRect(0, 0, 56, 56);
    dots(context, rows, 56, { radius: 1.7 });
  }, [rows, fieldColors.value]);
  return html`<canvas ref=${canvas} aria-hidden="true"></canvas>`;
}

function Slide({ name, field = name, low, high, step, unit }) {
  if (!shows(name)) return null;
  const value = settings.value[field];
  return html`<label class="play-slide"><span>${t(`play.${name}`)} <output>${number(value, 1)}${unit}</output></span>
    <input type="range" name=${name} min=${Math.min(low, value)} max=${Math.max(high, value)} step=${step} value=${value} onChange=${(event) => change({ [field]: Number(event.target.value) })} /></label>`;
}
