// What the reader takes along: the picture, its lines, its numbers, and the Python that prints the same number.
import { useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { csv, save, savePicture } from "../lib/save.js";
import { cell, labelOf } from "../lib/trace.js";
import { Dialog } from "../parts/dialog.js";
import { IconButton } from "../parts/icons.js";
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
export function code() {
  const { facts, what } = trace.value, { layer, head, rollout, stage, kind, stack, row, column } = chosen.value, two = facts.stacks.length === 2;
  const python = (value) => JSON.stringify(value), load = two ? "load_translator" : "limpid.load";
  const text = what.ids ? `[${what.ids.join(", ")}]` : python(what.text), target = two ? `, [${facts.stacks.at(-1).tokens.slice(1).map((token) => token.id).join(", ")}]` : "";
  const where = [...(two ? [`stack=${python(stack.name)}`] : []), ...(kind === "attn" ? [] : [`kind=${python(kind)}`]), ...(stage === "pattern" ? [] : [`stage=${python(stage)}`])];
  const matrix = rollout ? `trace.rollout(${two ? `stack=${python(stack.name)}` : ""})` : `trace.pattern(${[layer, head, ...where].join(", ")})`;
  const at = `[${row ?? Math.max(0, queryTokens.value.length - 1)}${column === null ? "" : `, ${column}`}]`;
  return `${two ? "from limpid.stages.seq2seq import load_translator" : "import limpid"}\n\nmodel = ${load}(${python(facts.run)}, device=${python(facts.device)}, dtype="float32")\ntrace = model.trace(${text}${target})\nprint(${matrix}${at})\n`;
}

export function Exports({ canvas }) {
  const [open, setOpen] = useState(false), [copied, setCopied] = useState(false), { view } = chosen.value;
  if (!matrices.value) return null;
  const source = open ? code() : "";
  return html`<span class="exports">
    ${view !== "neuron" && html`<button type="button" class="ib word" onClick=${() => savePicture(name("png"), canvas())}>PNG</button>`}
    ${view === "lines" && html`<button type="button" class="ib word" onClick=${() => save(name("svg"), linesSvg(), "image/svg+xml")}>SVG</button>`}
    <button type="button" class="ib word" onClick=${() => save(name("csv"), csv(rows()), "text/csv;charset=utf-8")}>CSV</button>
    <${IconButton} name="code" label=${t("attention.code")} onClick=${() => { setCopied(false); setOpen(true); }} />
    ${open && html`<${Dialog} title=${t("attention.code")} class="wide" onClose=${() => setOpen(false)}>
      <p class="soft">${t("attention.codeWhat")}</p><pre class="code" tabindex="0"><code>${source}</code></pre>
      <p><button type="button" class="plain" onClick=${() => navigator.clipboard.writeText(source).then(() => setCopied(true))}>${t(copied ? "copied" : "copy")}</button></p><//>`}
  </span>`;
}
