// A matrix of weights, opened: a window of the real numbers, which can be moved over all of it.
import { useEffect, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { Dialog } from "../parts/dialog.js";
import { IconButton } from "../parts/icons.js";
import { Code } from "./code.js";
import { why } from "./data.js";
import { Matrix } from "./matrix.js";
import { trace } from "./state.js";

const WINDOW = 48;
/** What is open: {name, index}, an index as numpy writes it. */
const opened = signal(null);
export const openWeights = (name, index = "") => { opened.value = { name, index }; };

export function Weights() {
  return opened.value && html`<${Window} key=${`${opened.value.name}[${opened.value.index}]`} ...${opened.value} />`;
}

function Window({ name, index }) {
  const given = index.split(",").map((one) => parseInt(one, 10) || 0);
  const [found, setFound] = useState(null), [failure, setFailure] = useState(null), [at, setAt] = useState(null);
  useEffect(() => { // its shape first: one number of it
    ask(name, "0").then(({ whole: shape }) => {
      const lead = shape.length > 2 ? given[0] : null, places = shape.length > 2 ? given.slice(1) : given;
      setAt({ shape, lead, row: window0(places[0] ?? 0, shape.at(-2) ?? 1), column: window0(places[1] ?? 0, shape.at(-1)), mark: [places[0] ?? 0, places[1]] });
    }, setFailure);
  }, []);
  useEffect(() => {
    if (!at) return undefined;
    let wanted = true;
    const rows = at.shape.length > 1 ? `${at.row}:${at.row + WINDOW},` : "";
    ask(name, `${at.lead === null ? "" : `${at.lead},`}${rows}${at.column}:${at.column + WINDOW}`).then((one) => wanted && setFound({ ...one, at }), setFailure);
    return () => { wanted = false; };
  }, [at]);
  const move = (key, step) => setAt({ ...at, [key]: Math.max(0, Math.min((key === "row" ? at.shape.at(-2) : at.shape.at(-1)) - 1, at[key] + step)) });
  const code = found && `t.subject.model.get_parameter("${name}")[${found.at.lead === null ? "" : `${found.at.lead}, `}${found.at.shape.length > 1 ? `${found.at.row}:${found.at.row + WINDOW}, ` : ""}${found.at.column}:${found.at.column + WINDOW}]`;
  const shape = found && (found.shape.length > 1 ? found.shape : [1, found.shape[0]]);
  return html`<${Dialog} title=${t("steps.weights")} class="wide" onClose=${() => { opened.value = null; }}>
    <p class="mono where"><bdi>${name}</bdi></p>
    ${failure && html`<p>${why(failure)}</p>`}
    ${found && html`<p class="soft">${t("steps.weights.what", { rows: number(found.at.shape.at(-2) ?? 1), columns: number(found.at.shape.at(-1)), from: found.at.row, to: found.at.row + shape[0] - 1, left: found.at.column, right: found.at.column + shape[1] - 1 })}</p>
      <div class="weights-move"><${IconButton} name="left" label=${t("steps.weights.left")} disabled=${!at.column} onClick=${() => move("column", -WINDOW)} /><${IconButton} name="right" label=${t("steps.weights.right")} disabled=${at.column + WINDOW >= at.shape.at(-1)} onClick=${() => move("column", WINDOW)} />
        ${at.shape.length > 1 && html`<${IconButton} name="up" label=${t("steps.weights.up")} disabled=${!at.row} onClick=${() => move("row", -WINDOW)} /><${IconButton} name="down" label=${t("steps.weights.down")} disabled=${at.row + WINDOW >= at.shape.at(-2)} onClick=${() => move("row", WINDOW)} />`}</div>
      <${Matrix} values=${found.values} shape=${shape} row=${mark(found.at, shape)} say=${name} rowName=${(i) => String(found.at.row + i)} columnName=${(i) => String(found.at.column + i)} />
      <${Code} prints=${[code]} />`}
  <//>`;
}

/** Part of a parameter: its values and shape, and the whole's shape. */
async function ask(name, index) {
  const response = await trace.value.open.fetch(`weights?name=${encodeURIComponent(name)}&index=${index}`), numbers = (header) => response.headers.get(header).split(",").filter(Boolean).map(Number);
  return { values: new Float32Array(await response.arrayBuffer()), shape: numbers("limpid-shape"), whole: numbers("limpid-whole") };
}

/** The window that holds a place, on the grid of windows. */
const window0 = (place, size) => Math.max(0, Math.min(place - (place % WINDOW), size - 1));
const mark = (at, shape) => { const row = at.mark[0] - at.row; return at.shape.length > 1 && row >= 0 && row < shape[0] ? row : undefined; };
