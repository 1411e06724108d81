// A matrix as a picture on a canvas: a cell is a rectangle in its value's colour, and pointing at one says its value.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { digits } from "../lib/format.js";
import { largest, paint, palette } from "../lib/heat.js";
import { words } from "../i18n/parts.js";

addWords(words);

/**
 * @param {{values: Float32Array | number[], rows: number, columns: number, most?: number, label: string, rowName: (i: number) => string,
 *   columnName: (i: number) => string, onPoint?: (row: number, column: number) => void, height?: number, canvasRef?: any, at?: [number, number] | null}} props
 * most: where the scale ends; the largest size of a value. at: a cell marked from outside.
 */
export function Heat({ values, rows, columns, most = largest({ data: values }), label, rowName, columnName, onPoint, height = 260, canvasRef = null, at = null }) {
  const own = useRef(null), canvas = canvasRef ?? own, [cell, setCell] = useState(null);
  const colors = palette.value;
  useEffect(() => { // one pixel a cell; the style sheet stretches it without smoothing
    const picture = paint({ shape: [rows, columns], data: values, triangle: false }, { signed: true, scale: "linear", most });
    canvas.current.width = columns; canvas.current.height = rows;
    canvas.current.getContext("2d").drawImage(picture, 0, 0);
  }, [values, rows, columns, most, colors]);
  const point = (row, column) => { setCell([row, column]); onPoint?.(row, column); };
  const move = (event) => {
    const box = canvas.current.getBoundingClientRect(), clamp = (x, n) => Math.max(0, Math.min(n - 1, Math.floor(x * n)));
    point(clamp((event.clientY - box.top) / box.height, rows), clamp((event.clientX - box.left) / box.width, columns));
  };
  const keys = (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = cell ?? at ?? [0, 0], by = event.shiftKey ? 10 : 1;
    point(Math.max(0, Math.min(rows - 1, row + by * step[0])), Math.max(0, Math.min(columns - 1, column + by * step[1])));
  };
  const marked = cell ?? at;
  const mark = marked && { left: `${(100 * marked[1]) / columns}%`, top: `${(100 * marked[0]) / rows}%`, width: `${100 / columns}%`, height: `${100 / rows}%` };
  return html`<div class="heat"><div class="heat-box" style=${{ height: `${height}px` }}>
    <canvas ref=${canvas} tabindex="0" role="img" aria-label=${`${label}. ${t("heat.keys")}`} onPointerMove=${move} onPointerDown=${move} onKeyDown=${keys}></canvas>
    ${mark && html`<i class="heat-mark" style=${mark}></i>`}</div>
    <p class="heat-say soft" aria-live="polite">${marked ? html`${rowName(marked[0])}, ${columnName(marked[1])}: <b data-value=${values[marked[0] * columns + marked[1]]}>${digits(values[marked[0] * columns + marked[1]])}</b>` : t("heat.point")}
      <span class="heat-scale" aria-hidden="true">${digits(-most)}<i></i>${digits(most)}</span></p></div>`;
}
