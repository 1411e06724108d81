// What the reader takes along: the picture, its lines, its numbers, and the Python that prints the same number.
import { html } from "../lib/html.js";
import { opening, python } from "../lib/opening.js";
import { csv, save, savePicture } from "../lib/save.js";
import { cell, labelOf } from "../lib/trace.js";
import { CodeButton } from "../parts/code.js";
import { linesSvg } from "./lines.js";
import { matrices } from "./matrices.js";
import { chosen, keyTokens, queryTokens, trace } from "./store.js";

const name = (ending) => {
  const { layer, head, rollout, stage } = chosen.value;
  return `attention-${trace.value.facts.model}-${rollout ? "rollout" : `${layer}.${head}`}${stage === "pattern" ? "" : `-${stage}`}.${ending}`.replace(/[^\w.-]+/g, "_");
};

/** The chosen head: a row for each token that looks. */
function rows() {
  const { main } = matrices.value, [height, width] = main.shape;
  return [["", ...keyTokens.value.map(labelOf)], ...queryTokens.value.map((token, i) => [labelOf(token), ...Array.from({ length: width }, (_, j) => (i < height ? cell(main, i, j) : 0))])];
}

/** Python that prints the number at the pinned cell, or the row of the last token. */
function code() {
  const { facts } = trace.value, { layer, head, rollout, stage, kind, stack, row, column } = chosen.value, two = facts.stacks.length === 2;
  const where = [...(two ? [`stack=${python(stack.name)}`] : []), ...(kind === "attn" ? [] : [`kind=${python(kind)}`]), ...(stage === "pattern" ? [] : [`stage=${python(stage)}`])];
  const matrix = rollout ? `t.rollout(${two ? `stack=${python(stack.name)}` : ""})` : `t.pattern(${[layer, head, ...where].join(", ")})`;
  const at = `[${row ?? Math.max(0, queryTokens.value.length - 1)}${column === null ? "" : `, ${column}`}]`;
  return [...opening(facts), `print(${matrix}${at})`, ""].join("\n");
}

export function Exports({ canvas }) {
  const { view } = chosen.value;
  if (!matrices.value) return null;
  return html`<span class="exports">
    ${view !== "neuron" && html`<button type="button" class="ib word" onClick=${() => savePicture(name("png"), canvas())}>PNG</button>`}
    ${view === "lines" && html`<button type="button" class="ib word" onClick=${() => save(name("svg"), linesSvg(), "image/svg+xml")}>SVG</button>`}
    <button type="button" class="ib word" onClick=${() => save(name("csv"), csv(rows()), "text/csv;charset=utf-8")}>CSV</button>
    <${CodeButton} code=${code} />
  </span>`;
}
