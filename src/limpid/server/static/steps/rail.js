// The way from tokens to the drawn token, as a column: every step with the vector it ends with, at the chosen place.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { address, route } from "../lib/route.js";
import { IconButton } from "../parts/icons.js";
import { palette } from "../lib/heat.js";
import { reach, shade } from "./colour.js";
import { useFound, part } from "./data.js";
import { outOf } from "./flow.js";
import { asked, goTo, here, look, mainAt, toStep, trace } from "./state.js";
import { titleOf } from "./words.js";

export function Rail() {
  return html`<nav class="rail" aria-label=${t("steps.way")}>${trace.value.chapters.map((chapter) => html`<${Chapter} key=${`${chapter.kind} ${chapter.stack}`} chapter=${chapter} />`)}</nav>`;
}

function Chapter({ chapter }) {
  const { chapter: current } = here.value, layer = Math.min(asked.value.layer, chapter.layers.length - 1), steps = chapter.layers[layer];
  return html`<section class=${chapter === current ? "here" : ""}><header><h2>${chapterTitle(chapter)}</h2>${chapter.kind === "block" && html`<${Pager} chapter=${chapter} layer=${layer} />`}</header>
    <ol>${steps.map((step) => html`<${Item} key=${step.key} chapter=${chapter} step=${step} />`)}</ol></section>`;
}

export function chapterTitle(chapter) {
  const many = trace.value.stacks.length > 1;
  return t(`steps.chapter.${chapter.kind}${many ? `.${chapter.stack}` : ""}`);
}

/** From block to block. */
export function Pager({ chapter, layer }) {
  const last = chapter.layers.length - 1, go = (to) => look({ layer: to, cell: null }, true);
  return html`<span class="pager"><${IconButton} name="left" label=${t("steps.blockBefore")} disabled=${layer === 0} onClick=${() => go(layer - 1)} /><span class="num">${layer} / ${last}</span><${IconButton} name="right" label=${t("steps.blockAfter")} disabled=${layer === last} onClick=${() => go(layer + 1)} /></span>`;
}

function Item({ chapter, step }) {
  const { chapter: current, step: own, head } = here.value, active = chapter === current && step.key === own.key;
  const item = useRef(null), { source } = asked.value, main = chapter.stack === trace.value.main, stack = trace.value.stacks.find((one) => one.name === chapter.stack);
  const at = main ? mainAt() : source < 0 ? stack.tokens.length - 1 : Math.min(source, stack.tokens.length - 1);
  const out = outOf(step, { at, head: Math.min(head, (step.how.heads ?? 1) - 1) });
  useEffect(() => { if (active) item.current?.scrollIntoView({ block: "nearest" }); }, [active]);
  const href = address("steps", step.key, { ...route.value.query, ...toStep(chapter, step), step: null });
  return html`<li ref=${item}><a href=${href} aria-current=${active ? "step" : undefined} onClick=${(event) => { if (event.ctrlKey || event.metaKey || event.shiftKey) return; event.preventDefault(); goTo(chapter, step); }}><span>${titleOf(step)}</span>${out && out.name !== "logits" && html`<${Mini} ...${out} />`}</a></li>`;
}

/** A vector as one line of pixels. */
function Mini({ name, index }) {
  const canvas = useRef(null), { value } = useFound(`${name}@${index}`, () => part(name, index)), values = value?.values;
  useEffect(() => {
    if (!values?.length) return;
    canvas.current.width = values.length;
    canvas.current.height = 1;
    const image = new ImageData(values.length, 1), pixels = new Uint32Array(image.data.buffer), most = reach(values);
    for (let i = 0; i < values.length; i++) pixels[i] = shade(values[i], most);
    canvas.current.getContext("2d").putImageData(image, 0, 0);
  }, [values, palette.value]);
  return html`<canvas ref=${canvas} class="mini" aria-hidden="true"></canvas>`;
}
