// The net: every neuron with its map, every weight a line: as wide as it is large, blue or orange by its sign.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { digits } from "../lib/format.js";
import { css } from "../lib/colors.js";
import { fieldColors, fieldOfBytes, fitted, lineColor, stretch } from "../lib/field.js";
import { savePicture } from "../lib/save.js";
import { useWidth } from "../lib/width.js";
import { IconButton } from "../parts/icons.js";
import { ACTIVATIONS } from "./controls.js";
import { before, change, edit, features, FEATURES, LABELS, look, looked, picked, picture, place, settings, shows, state, wanted } from "./store.js";

const BOX = 36, STEP = 46, TOP = 58, LEFT = 62, MOST_LAYERS = 8, MOST_NEURONS = 16;

/** Where everything stands, for a width. */
function layout(sizes, width) {
  const hidden = sizes.slice(1, -1), rows = Math.max(FEATURES.length, ...hidden), columns = hidden.length + 2;
  const gap = Math.max(84, (width - LEFT - BOX - 16) / (columns - 1)), height = TOP + rows * STEP + 8;
  const at = (column, row, count) => ({ x: LEFT + column * gap, y: TOP + (rows - count) * STEP / 2 + row * STEP });
  const inputs = FEATURES.map((_, row) => at(0, row, FEATURES.length));
  const layers = hidden.map((count, n) => Array.from({ length: count }, (_, row) => at(n + 1, row, count)));
  return { width: Math.max(width, LEFT + (columns - 1) * gap + BOX + 16), height, inputs, layers: [...layers, [at(columns - 1, 0, 1)]], gap };
}

/** Every weight as {layer, neuron, source} with the ends of its line. */
function links(plan, inputs) {
  const found = [], first = FEATURES.map((name, n) => [name, plan.inputs[n]]).filter(([name]) => inputs.includes(name)).map(([, one]) => one);
  plan.layers.forEach((nodes, layer) => nodes.forEach((to, neuron) => (layer ? plan.layers[layer - 1] : first).forEach((from, source) =>
    found.push({ layer, neuron, source, x1: from.x + BOX, y1: from.y + BOX / 2, x2: to.x, y2: to.y + BOX / 2 }))));
  return found;
}

export function Net() {
  const { sizes, activations } = state.value, own = settings.value, [box, width] = useWidth(0), canvas = useRef(null), [card, setCard] = useState(null);
  const plan = layout(sizes, Math.max(width, 280)), lines = links(plan, own.inputs);
  useEffect(() => { setCard(null); }, [sizes.join()]);
  const hit = (event) => {
    const edge = canvas.current.getBoundingClientRect(), x = event.clientX - edge.left, y = event.clientY - edge.top;
    const bias = plan.layers.flatMap((nodes, layer) => nodes.map((one, neuron) => ({ layer, neuron, source: null, x: one.x - 5, y: one.y + BOX - 3 }))).find((one) => Math.hypot(one.x - x, one.y - y) < 9);
    if (bias) return bias;
    let best = null, least = 7;
    for (const one of lines) {
      if (x < one.x1 || x > one.x2) continue;
      const away = Math.abs(y - height(one, (x - one.x1) / (one.x2 - one.x1)));
      if (away < least) { least = away; best = { ...one, x, y }; }
    }
    return best;
  };
  const name = (layer, neuron) => (layer === sizes.length - 2 ? t("play.output") : t("play.neuronName", { layer: layer + 1, neuron: neuron + 1 }));
  const set = (n, more) => change({ layers: wanted().layers.map((old, i) => (i === n ? Math.max(1, Math.min(MOST_NEURONS, old + more)) : old)) });
  return html`<section class="play-net" aria-labelledby="play-net">
    <header><h2 id="play-net">${t("play.net")}</h2>
      ${shows("numHiddenLayers") && html`<span class="play-count"><${IconButton} name="minus" label=${t("play.lessLayers")} disabled=${sizes.length === 2} onClick=${() => change(layered(-1))} /><output>${t("play.layers", { n: sizes.length - 2 })}</output><${IconButton} name="add" label=${t("play.moreLayers")} disabled=${sizes.length - 2 >= MOST_LAYERS} onClick=${() => change(layered(1))} /></span>`}
      <span class="grow"></span><${IconButton} name="out" label=${t("play.netPng")} onClick=${() => savePicture("net.png", canvas.current)} />
    </header>
    <div class="play-canvas" ref=${box} tabindex="0" role="group" aria-label=${t("play.netWhat")}><div style=${{ position: "relative", width: `${plan.width}px`, height: `${plan.height}px` }}>
      <canvas ref=${canvas} aria-hidden="true" style=${{ width: `${plan.width}px`, height: `${plan.height}px`, cursor: card && !card.open ? "pointer" : "" }}
        onPointerMove=${(event) => { if (!card?.open) setCard(hit(event)); }} onPointerLeave=${() => { if (!card?.open) setCard(null); }} onClick=${(event) => { const one = hit(event); setCard(one && { ...one, open: true }); }}></canvas>${width > 0 && html`<${Paint} canvas=${canvas} plan=${plan} lines=${lines} />`}
      ${FEATURES.map((one, n) => html`<button type="button" key=${one} class="play-node input" data-feature=${one} style=${at(plan.inputs[n])} aria-pressed=${own.inputs.includes(one)} aria-label=${t("play.input", { name: LABELS[one] })} title=${LABELS[one]}
        onClick=${() => toggleInput(one)} onPointerEnter=${() => look(-1, n)} onPointerLeave=${() => lookBack()} onFocus=${() => look(-1, n)} onBlur=${() => lookBack()}></button>
        <span class=${own.inputs.includes(one) ? "play-label" : "play-label off"} aria-hidden="true" style=${{ left: 0, width: `${LEFT - 8}px`, top: `${plan.inputs[n].y + 7}px` }}>${LABELS[one]}</span>`)}
      ${plan.layers.map((nodes, layer) => html`
        ${layer < sizes.length - 2 && html`<div class="play-layer" key=${`layer${layer}`} style=${{ left: `${nodes[0].x + BOX / 2}px` }}>
          <span><${IconButton} name="minus" label=${t("play.lessNeurons", { layer: layer + 1 })} disabled=${nodes.length === 1} onClick=${() => set(layer, -1)} /><b title=${t("play.neurons", { n: nodes.length })}>${nodes.length}</b><${IconButton} name="add" label=${t("play.moreNeurons", { layer: layer + 1 })} disabled=${nodes.length >= MOST_NEURONS} onClick=${() => set(layer, 1)} /></span>
          <select aria-label=${t("play.activationOf", { layer: layer + 1 })} value=${activations[layer]} onChange=${(event) => change({ activations: each(wanted()).map((old, i) => (i === layer ? event.target.value : old)) })}>${ACTIVATIONS.map((one) => html`<option value=${one} selected=${one === activations[layer]}>${t(`play.fn.${one}`)}</option>`)}</select></div>`}
        ${nodes.map((one, neuron) => html`<button type="button" key=${`${layer}.${neuron}`} class="play-node" data-neuron=${`${layer}.${neuron}`} style=${at(one)} aria-expanded=${same(picked.value, layer, neuron)} aria-label=${name(layer, neuron)} title=${name(layer, neuron)}
          onClick=${() => pickNeuron(layer, neuron)} onPointerEnter=${() => look(layer, neuron)} onPointerLeave=${() => lookBack()} onFocus=${() => look(layer, neuron)} onBlur=${() => lookBack()}></button>`)}`)}
      ${card && html`<${Card} card=${card} width=${plan.width} close=${() => setCard(null)} />`}
    </div></div>
    ${picked.value && html`<${Numbers} name=${name(picked.value.layer, picked.value.neuron)} />`}
  </section>`;
}

const at = ({ x, y }) => ({ left: `${x}px`, top: `${y}px`, width: `${BOX}px`, height: `${BOX}px` });
const same = (one, layer, neuron) => one?.layer === layer && one.neuron === neuron;
function lookBack() { if (picked.value) look(picked.value.layer, picked.value.neuron); else look(null); }
function pickNeuron(layer, neuron) { picked.value = same(picked.value, layer, neuron) ? null : { layer, neuron }; lookBack(); }
const toggleInput = (one) => { const { inputs } = wanted(); change({ inputs: inputs.includes(one) ? inputs.filter((other) => other !== one) : [...inputs, one] }); };
/** The activation of each hidden layer. */
const each = ({ layers, activations, activation }) => (activations.length ? activations : layers.map(() => activation));
/** One layer more, or one less. */
function layered(more) {
  const { layers, activations } = wanted(), resize = (list, fresh) => (more > 0 ? [...list, fresh] : list.slice(0, -1));
  return { layers: resize(layers, 2).slice(0, MOST_LAYERS), ...(activations.length ? { activations: resize(activations, activations.at(-1)).slice(0, MOST_LAYERS) } : {}) };
}

/** The height of a link's line (a Bézier curve that leaves and comes in level) at a share of its way. */
function height({ y1, y2 }, share) {
  let low = 0, high = 1;
  for (let i = 0; i < 12; i++) { const s = (low + high) / 2, x = 1.5 * s * (1 - s) * (1 - s) + 1.5 * s * s * (1 - s) + s * s * s; if (x < share) low = s; else high = s; }
  const s = (low + high) / 2;
  return y1 + (y2 - y1) * (3 * s * s * (1 - s) + s * s * s);
}

/** Paints every picture that comes; the rest of the net is not touched for it. */
function Paint({ canvas, plan, lines }) {
  const now = picture.value, own = settings.value, small = features.value, colors = fieldColors.value, chosen = [picked.value, looked.value], { sizes } = state.value;
  useEffect(() => { paint(canvas.current, plan, lines, now, sizes, small, own); }, [plan, now, small, own, colors, ...chosen]);
  return null;
}

function paint(canvas, plan, lines, now, sizes, small, own) {
  const { colors } = fieldColors.value, context = fitted(canvas, plan.width, plan.height);
  context.clearRect(0, 0, plan.width, plan.height);
  if (!now || now.parameters.length !== place(sizes, sizes.length - 2, 0, null) + 1) return;
  context.lineCap = "round";
  for (const one of lines) {
    const weight = now.parameters[place(sizes, one.layer, one.neuron, one.source)], middle = (one.x1 + one.x2) / 2;
    context.beginPath();
    context.moveTo(one.x1, one.y1);
    context.bezierCurveTo(middle, one.y1, middle, one.y2, one.x2, one.y2);
    context.lineWidth = 0.75 + 8 * Math.min(1, Math.abs(weight) / 5 || 0);
    context.strokeStyle = lineColor(weight);
    context.stroke();
  }
  const side = now.thumb, cells = side * side;
  const node = (one, bytes, edge, wide) => {
    stretch(context, fieldOfBytes(bytes, side, own.discretize), one.x, one.y, BOX, BOX);
    context.lineWidth = wide; context.strokeStyle = css(edge);
    context.strokeRect(one.x + 0.5, one.y + 0.5, BOX - 1, BOX - 1);
  };
  FEATURES.forEach((name, n) => {
    context.globalAlpha = own.inputs.includes(name) ? 1 : 0.32;
    if (small) node(plan.inputs[n], small.subarray(n * cells, (n + 1) * cells), colors.line, 1);
    context.globalAlpha = 1;
  });
  plan.layers.forEach((nodes, layer) => nodes.forEach((one, neuron) => {
    const chosen = same(picked.value, layer, neuron) || same(looked.value, layer, neuron), n = before(sizes, layer) + neuron;
    node(one, now.small.subarray(n * cells, (n + 1) * cells), chosen ? colors.accent : colors.line, chosen ? 2.5 : 1);
    const bias = now.parameters[place(sizes, layer, neuron, null)];
    context.fillStyle = lineColor(bias); context.strokeStyle = css(colors.card); context.lineWidth = 1.5;
    context.fillRect(one.x - 8, one.y + BOX - 6, 7, 7);
  }));
}

/** The value of what the pointer is at; a click makes it a field. */
function Card({ card, width, close }) {
  const value = picture.value?.parameters[place(state.value.sizes, card.layer, card.neuron, card.source)];
  const field = useRef(null), [typed, setTyped] = useState(null); // what is being written stands still while pictures come
  useEffect(() => { if (card.open) field.current?.select(); }, [card.open]);
  const label = t(card.source === null ? "play.bias" : "play.weight");
  const done = (event) => { const number = Number(event.target.value); if (event.target.value.trim() && Number.isFinite(number)) edit(card.layer, card.neuron, card.source, number); close(); };
  return html`<div class="play-card" style=${{ left: `${Math.min(Math.max(card.x, 70), width - 70)}px`, top: `${card.y - 12}px` }}><small>${label}</small>
    ${card.open ? html`<input ref=${field} aria-label=${label} inputmode="decimal" value=${typed ?? digits(value ?? 0)} onInput=${(event) => setTyped(event.target.value)} onKeyDown=${(event) => { if (event.key === "Enter") done(event); if (event.key === "Escape") { event.stopPropagation(); close(); } }} onBlur=${close} />` : html`<b>${digits(value ?? 0)}</b><small class="soft">${t("play.clickToEdit")}</small>`}</div>`;
}

/** Close the neuron that is open; the focus goes back to it. */
export function closeNeuron() {
  if (!picked.value) return;
  const { layer, neuron } = picked.value;
  picked.value = null;
  look(null);
  document.querySelector(`[data-neuron="${layer}.${neuron}"]`)?.focus();
}

/** All numbers that come into one neuron. */
function Numbers({ name }) {
  const { layer, neuron } = picked.value, { sizes, activations } = state.value, values = picture.value?.parameters, own = settings.value;
  if (!values) return null;
  const from = (source) => (layer === 0 ? LABELS[FEATURES.filter((one) => own.inputs.includes(one))[source]] : t("play.neuronName", { layer, neuron: source + 1 }));
  const row = (source) => html`<label key=${String(source)}><span>${source === null ? t("play.bias") : from(source)}</span><${Field} name=${`${layer}.${neuron}.${source ?? "bias"}`} value=${values[place(sizes, layer, neuron, source)]} set=${(number) => edit(layer, neuron, source, number)} /></label>`;
  return html`<div class="play-numbers" role="group" aria-label=${name}><header><h3>${name} <small class="soft">${t(`play.fn.${activations[layer]}`)}</small></h3><${IconButton} name="close" label=${t("close")} onClick=${closeNeuron} /></header>
    <p class="soft note">${t("play.numbers.what")}</p><div>${row(null)}${Array.from({ length: sizes[layer] }, (_, source) => row(source))}</div></div>`;
}

/** A number that moves by itself until one writes in it. */
function Field({ name, value, set }) {
  const [text, setText] = useState(null);
  const done = (event) => { const number = Number(event.target.value); if (text !== null && event.target.value.trim() && Number.isFinite(number)) set(number); setText(null); };
  return html`<input inputmode="decimal" name=${name} value=${text ?? digits(value)} onInput=${(event) => setText(event.target.value)} onBlur=${done} onKeyDown=${(event) => { if (event.key === "Enter") done(event); if (event.key === "Escape") { event.stopPropagation(); setText(null); } }} />`;
}
