// Every head at a glance: layers down, heads across, or in the order of a score; choosing one opens it.
import { useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { css } from "../lib/colors.js";
import { paint, palette } from "../lib/heat.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { reveal, Viewport } from "../parts/viewport.js";
import { glances, scores } from "./matrices.js";
import { chosen, choose, spoken } from "./store.js";
import { fonts, weight } from "./words.js";

const SIDE = 22, HEAD = 18;
const over = signal(null); // the head under the pointer, as a place in the order

/** The score of a head, or null. */
function scoreOf(layer, head) {
  const table = chosen.value.score && chosen.value.kind === "attn" ? scores.value[chosen.value.score] : null;
  return table?.[layer]?.[head] ?? null;
}

/** Heads in the order they are shown: [layer, head]. */
function order() {
  const { stack, sorted, score } = chosen.value, heads = [];
  for (let layer = 0; layer < (stack?.n_layer ?? 0); layer++) for (let head = 0; head < stack.n_head; head++) heads.push([layer, head]);
  if (sorted && score) heads.sort((a, b) => (scoreOf(...b) ?? 0) - (scoreOf(...a) ?? 0));
  return heads;
}

/** Where the place-th head stands. */
function layout(width) {
  const { stack, sorted, score } = chosen.value, flow = sorted && score, columns = stack?.n_head ?? 1, count = (stack?.n_layer ?? 0) * columns;
  const side = flow ? 0 : SIDE, top = flow ? 2 : HEAD, below = (score ? 6 : 0) + (flow ? 14 : 0);
  const gap = columns > 8 ? 2 : 5, size = Math.max(16, Math.min(104, Math.floor((width - side - 2) / columns) - gap)), step = size + gap, down = step + below;
  const across = flow ? Math.max(1, Math.floor(width / step)) : columns;
  return {
    size, across, side, top, step, down, count, flow, width: side + across * step, height: top + Math.ceil(count / across) * down,
    at: (place) => [side + (place % across) * step + 1, top + Math.floor(place / across) * down + 1],
  };
}

export function Grid() {
  const c = chosen.value, wide = useRef(0), canvas = useRef(null), { stack } = c;
  if (!stack) return null;
  const heads = order(), now = heads.findIndex(([layer, head]) => layer === c.layer && head === c.head);
  const find = (x, y) => {
    const plan = layout(wide.current), column = Math.floor((x - plan.side) / plan.step), row = Math.floor((y - plan.top) / plan.down), place = row * plan.across + column;
    return column >= 0 && column < plan.across && row >= 0 && place < heads.length ? place : null;
  };
  const pick = (place, quietly) => {
    const [layer, head] = heads[place];
    choose({ layer, head, heads: null, layer2: null, head2: null }, quietly);
  };
  const key = (event) => {
    const plan = layout(wide.current), by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: plan.across, ArrowUp: -plan.across }[event.key];
    if (event.key === "Enter") { event.preventDefault(); document.querySelector(".looker canvas")?.focus(); return; }
    const next = event.key === "Home" ? 0 : event.key === "End" ? heads.length - 1 : by === undefined ? -1 : now < 0 ? 0 : now + by;
    if (by === undefined && event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    if (next < 0 || next >= heads.length) return;
    pick(next, true);
    spoken.value = name(heads[next]);
    const [, y] = plan.at(next);
    reveal(canvas.current.closest(".viewport"), y, y + plan.down, "top", plan.top);
  };
  return html`<${Viewport} class="grid" canvas=${canvas} label=${t("attention.grid", { layers: stack.n_layer, heads: stack.n_head })} deps=${[stack, c.sorted, c.score]}
    extent=${(width) => { wide.current = width; const plan = layout(width); return [plan.width, plan.height]; }} draw=${draw}
    onPoint=${(x, y) => { const place = find(x, y); if (over.peek() !== place) over.value = place; canvas.current.style.cursor = place === null ? "" : "pointer"; canvas.current.title = place === null ? "" : name(heads[place]); }}
    onLeave=${() => { over.value = null; }} onPick=${(x, y) => { const place = find(x, y); if (place !== null) pick(place, false); }} onKey=${key} />`;
}

/** "Layer 2, head 3: induction 0.81" */
export function name([layer, head]) {
  const score = scoreOf(layer, head);
  return t("attention.headName", { layer: String(layer), head: String(head) }) + (score === null ? "" : t("attention.headScore", { score: t(`attention.score.${chosen.value.score}`), value: weight(score) }));
}

const painted = new WeakMap();
/** The pictures of a layer's heads; painted again where the palette or the scale is another. */
function pictures(numbers, scale) {
  const known = painted.get(numbers);
  if (known?.colors === palette.value && known.scale === scale) return known.made;
  const [heads, height, width] = numbers.shape, size = height * width;
  const made = Array.from({ length: heads }, (_, head) => paint({ shape: [height, width], data: numbers.data.subarray(head * size, (head + 1) * size), triangle: false }, { scale }));
  painted.set(numbers, { colors: palette.value, scale, made });
  return made;
}

function draw({ context, width, height, top, left, box, canvas }) {
  canvas.dataset.drawn = `${glances.value.layers.length} ${glances.value.key}`;
  const c = chosen.value, { colors } = palette.value, { layers } = glances.value, heads = order(), plan = layout(box.clientWidth);
  context.translate(-left, -top);
  context.font = `11px ${fonts.sans()}`;
  context.textBaseline = "middle";
  for (let place = 0; place < heads.length; place++) {
    const [layer, head] = heads[place], [x, y] = plan.at(place);
    if (y > top + height || y + plan.down < top) continue;
    const picture = layers[layer] && pictures(layers[layer], c.scale === "linear" ? "linear" : "root")[head];
    context.fillStyle = css(colors.faint);
    context.fillRect(x, y, plan.size, plan.size);
    if (picture) {
      const fit = plan.size / Math.max(picture.width, picture.height), w = picture.width * fit, h = picture.height * fit;
      context.imageSmoothingEnabled = fit < 1;
      context.drawImage(picture, x, y, w, h);
    }
    const isChosen = layer === c.layer && head === c.head, isOther = layer === c.otherLayer && head === c.otherHead;
    context.strokeStyle = css(isChosen ? colors.accent : over.value === place ? colors.ink : isOther || c.heads.includes(head) && layer === c.layer ? colors.line : colors.rule);
    context.lineWidth = isChosen ? 2.5 : 1;
    context.strokeRect(x - 0.5, y - 0.5, plan.size + 1, plan.size + 1);
    const score = scoreOf(layer, head);
    if (score !== null) {
      context.fillStyle = css(colors.rule);
      context.fillRect(x, y + plan.size + 2, plan.size, 4);
      context.fillStyle = css(colors.accent);
      context.fillRect(x, y + plan.size + 2, plan.size * Math.min(1, Math.max(0, score)), 4);
    }
    if (plan.flow) {
      context.fillStyle = css(isChosen ? colors.accent : colors.soft);
      context.textAlign = "left";
      context.fillText(`${layer}.${head}`, x, y + plan.size + 14);
    }
  }
  if (!plan.flow) {
    context.textAlign = "center";
    for (let layer = 0; layer < c.stack.n_layer; layer++) {
      context.fillStyle = css(layer === c.layer ? colors.accent : colors.soft);
      context.fillText(String(layer), SIDE / 2 - 2, plan.at(layer * plan.across)[1] + plan.size / 2);
    }
    context.fillStyle = css(colors.paper);
    context.fillRect(left, top, width, HEAD - 2);
    for (let head = 0; head < c.stack.n_head; head++) {
      context.fillStyle = css(head === c.head ? colors.accent : colors.soft);
      context.fillText(String(head), plan.at(head)[0] + plan.size / 2, top + HEAD / 2 - 1);
    }
  }
}
