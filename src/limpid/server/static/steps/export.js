// What the reader takes along from a step: its pictures, its numbers, and the Python that gives them.
import { html } from "../lib/html.js";
import { csv, save, savePicture } from "../lib/save.js";
import { Code } from "./code.js";
import { part } from "./data.js";
import { here, trace } from "./state.js";

const fileName = (ending) => `${trace.value.model}-${here.value.stack.name}-${here.value.layer}-${here.value.step.key}.${ending}`.replace(/[^\w.-]+/g, "_");

/** The arrays that the step's view shows, as they stand there. */
const shown = () => Array.from(document.querySelectorAll(".step-view [data-name]"), ({ dataset }) => ({ name: dataset.name, index: (dataset.index ?? dataset.head).split(",").filter(Boolean).map(Number) }));

async function saveNumbers() {
  const arrays = await Promise.all(shown().map(({ name, index }) => part(name, index)));
  save(fileName("csv"), csv([["name", "index", "value"], ...arrays.flatMap(({ values, shape, name, index }) => Array.from(values, (value, i) => [name, [...index, ...placeOf(i, shape)].join(" "), value]))]), "text/csv;charset=utf-8");
}

/** The i-th number's place in an array of a shape. */
function placeOf(i, shape) {
  const place = [];
  for (const size of shape.toReversed()) { place.unshift(i % size); i = Math.floor(i / size); }
  return place;
}

/** All canvases of the step, one below the other. */
function savePictures() {
  const all = [...document.querySelectorAll(".step-view canvas")], gap = 12, whole = document.createElement("canvas");
  whole.width = Math.max(...all.map((one) => one.width));
  whole.height = all.reduce((sum, one) => sum + one.height + gap, -gap);
  const pen = whole.getContext("2d");
  let top = 0;
  for (const one of all) { pen.drawImage(one, 0, top); top += one.height + gap; }
  return savePicture(fileName("png"), whole);
}

export function Exports() {
  const { step } = here.value, names = [...new Set(Object.values(step.shows))].filter((name) => name in trace.value.names);
  const lines = step.key === "lens" ? ["t.lens()"] : names.map((name) => `t["${name}"]`);
  if (!lines.length) return null;
  return html`<div class="step-exports">${names.length > 0 && html`<span><button type="button" class="ib word" onClick=${savePictures}>PNG</button><button type="button" class="ib word" onClick=${saveNumbers}>CSV</button></span>`}<${Code} prints=${lines} /></div>`;
}
