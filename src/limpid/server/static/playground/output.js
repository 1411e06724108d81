// What comes out: losses and their curve, and the output over the plane with the points on it.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { css } from "../lib/colors.js";
import { digits, percent } from "../lib/format.js";
import { dots, fieldColors, fieldOf, fitted, stretch } from "../lib/field.js";
import { csv, save, savePicture } from "../lib/save.js";
import { useWidth } from "../lib/width.js";
import { IconButton } from "../parts/icons.js";
import { drawCurves } from "./chart.js";
import { change, FEATURES, LABELS, looked, losses, picture, points, settings, shows, state } from "./store.js";

export function Output() {
  const own = settings.value;
  return html`<section class="play-output" aria-labelledby="play-output">
    <header><h2 id="play-output">${t("play.out")}</h2></header>
    <${Losses} />
    <${Curve} />
    <${Map} />
    <div class="play-shown">
      ${shows("showTestData") && html`<label class="tick"><input type="checkbox" checked=${own.show_test} onChange=${(event) => change({ show_test: event.target.checked })} />${t("play.showTest")}</label>`}
      ${shows("discretize") && html`<label class="tick"><input type="checkbox" checked=${own.discretize} onChange=${(event) => change({ discretize: event.target.checked })} />${t("play.discretize")}</label>`}
    </div>
  </section>`;
}

function Losses() {
  const now = picture.value, last = losses.value.at(-1);
  return html`<dl class="play-losses">
      <div class="train"><dt>${t("play.trainLoss")}</dt><dd data-loss="train" data-value=${last?.[1]}>${last ? loss(last[1]) : ""}</dd></div>
      <div class="test"><dt>${t("play.testLoss")}</dt><dd data-loss="test" data-value=${last?.[2]}>${last ? loss(last[2]) : ""}</dd></div>
      ${now && now.right[0] >= 0 && html`<div><dt>${t("play.right")}</dt><dd>${percent(now.right[0])} · ${Number.isNaN(now.right[1]) ? "–" : percent(now.right[1])}</dd></div>`}
    </dl>`;
}

const loss = (value) => (Number.isFinite(value) ? value.toFixed(value < 10 ? 3 : 1) : "–");

function Curve() {
  const canvas = useRef(null), [box, width] = useWidth(300), last = losses.value.at(-1);
  useEffect(() => { drawCurves(canvas.current, losses.value, width, 116, fieldColors.value.colors); });
  const label = last ? t("play.curveSays", { epoch: last[0], train: loss(last[1]), test: loss(last[2]) }) : t("play.curve");
  return html`<figure class="play-curve" ref=${box}><canvas ref=${canvas} role="img" aria-label=${label} style=${{ width: `${width}px`, height: "116px" }}></canvas>
    <figcaption><span class="train">${t("play.train")}</span><span class="test">${t("play.test")}</span><span class="grow"></span>
      <${IconButton} name="out" label=${t("play.csv")} onClick=${() => save("losses.csv", csv([["epoch", "training loss", "test loss"], ...losses.value]), "text/csv")} /></figcaption></figure>`;
}

function Map() {
  const canvas = useRef(null), above = useRef(null), [box, width] = useWidth(326), size = Math.min(width - 26, 360), [at, setAt] = useState(null);
  const now = picture.value, own = settings.value, { rows, train } = points.value, one = looked.value;
  useEffect(() => {
    const context = fitted(canvas.current, size, size);
    context.clearRect(0, 0, size, size);
    if (now) stretch(context, fieldOf(now.map, now.side, own.discretize), 0, 0, size, size);
  }, [now, size, own.discretize, fieldColors.value]);
  useEffect(() => {
    const { colors } = fieldColors.value, context = fitted(above.current, size, size);
    context.clearRect(0, 0, size, size);
    context.strokeStyle = css(colors.line, 0.5); context.lineWidth = 1;
    context.beginPath(); context.moveTo(size / 2, 0); context.lineTo(size / 2, size); context.moveTo(0, size / 2); context.lineTo(size, size / 2); context.stroke();
    if (own.show_test) dots(context, rows.slice(train), size, { hollow: true });
    dots(context, rows.slice(0, train), size);
  }, [rows, train, size, own.show_test, fieldColors.value]);
  const both = () => { const whole = document.createElement("canvas"); Object.assign(whole, { width: canvas.current.width, height: canvas.current.height }); for (const one of [canvas, above]) whole.getContext("2d").drawImage(one.current, 0, 0); return whole; };
  const name = !one ? t("play.output") : one.layer < 0 ? LABELS[FEATURES[one.neuron]] : one.layer === state.value.sizes.length - 2 ? t("play.output") : t("play.neuronName", { layer: one.layer + 1, neuron: one.neuron + 1 });
  const point = (event) => { const edge = above.current.getBoundingClientRect(); setAt([(event.clientX - edge.left) / edge.width, (event.clientY - edge.top) / edge.height]); };
  const cell = at && now && now.map[Math.min(now.side - 1, Math.floor(at[1] * now.side)) * now.side + Math.min(now.side - 1, Math.floor(at[0] * now.side))];
  return html`<figure class="play-map" ref=${box}>
    <figcaption><b data-shown=${one ? `${one.layer}.${one.neuron}` : "output"}>${name}</b><span class="soft">${at && now ? `x₁ ${(12 * at[0] - 6).toFixed(1)}, x₂ ${(6 - 12 * at[1]).toFixed(1)}: ${digits(cell)}` : ""}</span><${IconButton} name="out" label=${t("play.mapPng")} onClick=${() => savePicture("map.png", both())} /></figcaption>
    <div class="plane" style=${{ "--size": `${size}px` }}><span class="y">6</span><span class="y low">−6</span><canvas ref=${canvas} role="img" aria-label=${t("play.mapWhat", { name, n: number(train) })} style=${{ width: `${size}px`, height: `${size}px` }}></canvas><canvas ref=${above} aria-hidden="true" style=${{ width: `${size}px`, height: `${size}px` }} onPointerMove=${point} onPointerLeave=${() => setAt(null)}></canvas><span class="x">−6</span><span class="x mid">x₁</span><span class="x high">6</span><span class="y mid">x₂</span></div>
    <p class="play-scale" aria-hidden="true"><span>−1</span><i></i><span>0</span><i class="high"></i><span>1</span></p>
  </figure>`;
}
