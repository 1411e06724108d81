// A vector as a strip of coloured cells, wrapped where it is long. The value under the pointer (or under the arrow keys) stands
// above it; choosing a cell shows how it came about.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { digits } from "../lib/format.js";
import { css } from "../lib/colors.js";
import { palette } from "../lib/heat.js";
import { fill, reach } from "./colour.js";

/** Cells a row and their width, so that a vector of n fills `width` in few rows of equal length where it can. */
export function layout(n, width) {
  const least = n > 1024 ? 4 : 7;
  for (let rows = 1; rows <= 64; rows *= 2) {
    const columns = Math.ceil(n / rows), cell = Math.min(40, Math.floor(width / columns));
    if (cell >= least || rows === 64) return { columns, cell: Math.max(cell, 2), rows: Math.ceil(n / columns), tall: rows > 8 ? 9 : 13 };
  }
}

/**
 * @param {{values: Float32Array | number[], label: any, say: string, limit?: number, picked?: number, onPick?: (i: number) => void, name?: (i: number) => string, sign?: string, slim?: boolean}} props
 *   limit: the value of the full colour. name: what cell i is called.
 */
export function Strip({ values, label, say, limit, picked, onPick, name = String, sign, slim, data }) {
  const box = useRef(null), canvas = useRef(null), [width, setWidth] = useState(0), [over, drawOver] = useState(-1);
  const cursor = useRef(-1), setOver = (to) => { cursor.current = to; drawOver(to); }; // keys may come faster than frames
  useLayoutEffect(() => {
    const seen = new ResizeObserver(() => setWidth(Math.floor(box.current?.clientWidth ?? 0)));
    seen.observe(box.current);
    setWidth(Math.floor(box.current.clientWidth));
    return () => seen.disconnect();
  }, []);
  const n = values.length, most = limit ?? reach(values);
  const { columns, cell, rows, tall: whole } = layout(Math.max(n, 1), Math.max(width - 2, 24)), tall = slim ? 9 : whole;
  useEffect(() => { if (width) draw(canvas.current, values, { columns, cell, rows, tall, most, picked }); }, [values, width, columns, cell, most, picked, palette.value]);
  const at = (event) => {
    const area = canvas.current.getBoundingClientRect();
    const i = Math.floor((event.clientY - area.top) / tall) * columns + Math.floor((event.clientX - area.left) / cell);
    return i >= 0 && i < n && event.clientX < area.left + columns * cell ? i : -1;
  };
  const shown = over >= 0 && over < n ? over : picked ?? -1;
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -n, End: n }[event.key];
    const from = Math.max(cursor.current >= 0 ? cursor.current : picked ?? 0, 0);
    if (event.key === "Enter" && onPick) { event.preventDefault(); onPick(from); }
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    setOver(Math.min(n - 1, Math.max(0, from + step)));
  };
  const value = shown >= 0 ? digits(values[shown]) : "";
  return html`<div class=${`strip ${slim ? "slim" : ""}`} ...${data}>
    <div class="strip-head"><span class="strip-label">${sign && html`<b class="sign">${sign}</b>`}${label}</span><output class="strip-value">${shown >= 0 ? html`<span class="soft">${name(shown)}</span> ${value}` : html`<span class="soft">±${digits(most)}</span>`}</output></div>
    <div class="strip-box" ref=${box}><canvas ref=${canvas} tabindex="0" role="slider" aria-label=${say} aria-valuemin="0" aria-valuemax=${Math.max(0, n - 1)} aria-valuenow=${Math.max(shown, 0)} aria-valuetext=${shown >= 0 ? `${name(shown)}: ${value}` : t("steps.cells", { n })}
      class=${onPick ? "can-pick" : ""} onPointerMove=${(event) => setOver(at(event))} onPointerLeave=${() => setOver(-1)} onBlur=${() => setOver(-1)} onKeyDown=${move}
      onClick=${(event) => { const i = at(event); if (i >= 0) onPick?.(i); }}></canvas></div>
  </div>`;
}

function draw(canvas, values, { columns, cell, rows, tall, most, picked }) {
  const ratio = Math.max(1, Math.round(devicePixelRatio || 1));
  canvas.width = columns * cell * ratio;
  canvas.height = rows * tall * ratio;
  Object.assign(canvas.style, { width: `${columns * cell}px`, height: `${rows * tall}px` });
  const pen = canvas.getContext("2d"), gap = cell > 4 ? 1 : 0;
  pen.scale(ratio, ratio);
  for (let i = 0; i < values.length; i++) {
    const x = (i % columns) * cell, y = Math.floor(i / columns) * tall;
    pen.fillStyle = fill(values[i], most);
    pen.fillRect(x, y, cell - gap, tall - 1);
  }
  if (picked >= 0 && picked < values.length) {
    pen.strokeStyle = css(palette.value.colors.ink);
    pen.lineWidth = 2;
    pen.strokeRect((picked % columns) * cell, Math.floor(picked / columns) * tall, Math.max(cell - gap, 3), tall - 1);
  }
}
