// Where one line is not enough: exclusive or, by one neuron, by layers that cannot bend, by layers that can.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { percent } from "../lib/format.js";
import { dots, fieldColors, fieldOfBytes, fitted, stretch } from "../lib/field.js";
import { about, NETS, picture } from "./store.js";
import { Runs } from "./runs.js";

const SIZE = 240;
const OPEN = { line: "networkShape=&activation=linear", linear: "activation=linear", bent: "" };

export function Layers() {
  const now = picture.value;
  return html`<section class="percept-layers" aria-labelledby="percept-layers"><h2 id="percept-layers">${t("percept.layers")}</h2><p class="lead">${t("percept.layers.what")}</p>
    <div class="play-tabs"><${Runs} part="xor" running=${now?.running.xor} /><p data-epoch=${now?.epoch}>${t("percept.epoch", { n: now?.epoch ?? 0, last: about.value.last })}</p></div>
    <div class="percept-nets">${NETS.map((name, n) => html`<figure key=${name} data-net=${name} data-right=${now?.nets[n].right}><figcaption>${t(`percept.net.${name}`)}</figcaption><${Field} net=${now?.nets[n]} side=${now?.side} label=${t(`percept.net.${name}`)} />
      <p>${now ? t("percept.net.says", { right: percent(now.nets[n].right), loss: Number.isFinite(now.nets[n].loss) ? now.nets[n].loss.toFixed(3) : "–" }) : ""}</p><p class="soft note">${t(`percept.net.${name}.why`)}</p><a href=${`#/playground?dataset=xor&learningRate=0.1&${OPEN[name] ? `${OPEN[name]}&` : ""}seed=0.5`}>${t("percept.open")}</a></figure>`)}</div></section>`;
}

function Field({ net, side, label }) {
  const canvas = useRef(null);
  useEffect(() => {
    fieldColors.value;
    const context = fitted(canvas.current, SIZE, SIZE);
    context.clearRect(0, 0, SIZE, SIZE);
    if (net) stretch(context, fieldOfBytes(net.map, side, false), 0, 0, SIZE, SIZE);
    dots(context, about.value.points, SIZE, { radius: 2.4 });
  });
  return html`<canvas ref=${canvas} role="img" aria-label=${label} style=${{ width: `${SIZE}px`, height: `${SIZE}px` }}></canvas>`;
}
