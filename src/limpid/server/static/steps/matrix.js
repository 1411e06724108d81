// A matrix of numbers on a canvas: one square a cell; where it is large, a window of it around the chosen row and column.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { digits } from "../lib/format.js";
import { css } from "../lib/colors.js";
import { palette } from "../lib/heat.js";
import { fill, reach, shade } from "./colour.js";

const MOST = 40, NAMED = 15; // pixels of a cell: at most; from which on rows and columns are named beside it
const LEFT = 92, TOP = 64, LEAN = 28; // the last name leans over the edge

/**
 * @param {{values: Float32Array, shape: [number, number], picked?: [number, number], row?: number, onPick?: (row: number, column: number) => void, say: string, rowName: (i: number) => string, columnName: (i: number) => string}} props
 *   row: the one that is marked. The readout names row and column.
 */
export function Matrix({ values, shape, picked, row, onPick, say, rowName, columnName, square = true }) {
  const box = useRef(null), canvas = useRef(null), [width, setWidth] = useState(0), [over, drawOver] = useState(null);
  const cursor = useRef(null), setOver = (to) => { cursor.current = to; drawOver(to); }; // keys may come faster than frames
  useLayoutEffect(() => {
    const seen = new ResizeObserver(() => setWidth(Math.floor(box.current?.clientWidth ?? 0)));
    seen.observe(box.current);
    setWidth(Math.floor(box.current.clientWidth));
    return () => seen.disconnect();
  }, []);
  const [rows, columns] = shape, most = reach(values);
  const room = Math.max(120, Math.min(width, square ? 620 : width));
  const axes = square && room - LEFT - LEAN >= NAMED * columns, left = axes ? LEFT : 0, top = axes ? TOP : 0;
  const cell = Math.max(columns > 300 ? 1 : 2, Math.min(MOST, Math.floor((room - left - (axes ? LEAN : 0)) / columns))), tall = square ? cell : Math.max(4, Math.min(16, Math.floor(480 / rows)));
  useEffect(() => { if (width) draw(canvas.current, values, { rows, columns, cell, tall, most, picked, row, left, top, rowName, columnName }); }, [values, width, cell, tall, left, most, row, picked?.[0], picked?.[1], palette.value]);
  const at = (event) => {
    const area = canvas.current.getBoundingClientRect(), found = [Math.floor((event.clientY - area.top - top) / tall), Math.floor((event.clientX - area.left - left) / cell)];
    return found[0] >= 0 && found[0] < rows && found[1] >= 0 && found[1] < columns ? found : null;
  };
  const shown = over ?? picked ?? null;
  const move = (event) => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key], from = cursor.current ?? picked ?? [row ?? 0, 0];
    if (event.key === "Enter" && onPick) { event.preventDefault(); onPick(...from); }
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    setOver([Math.min(rows - 1, Math.max(0, from[0] + step[0])), Math.min(columns - 1, Math.max(0, from[1] + step[1]))]);
  };
  const value = shown ? values[shown[0] * columns + shown[1]] : NaN;
  const text = shown ? `${rowName(shown[0])} → ${columnName(shown[1])}: ${value === -Infinity ? "−∞" : digits(value)}` : "";
  return html`<div class="matrix"><p class="readout"><bdi>${text || say}</bdi></p>
    <div class="matrix-box" ref=${box} tabindex="-1"><canvas ref=${canvas} tabindex="0" role="slider" aria-label=${say} aria-valuemin="0" aria-valuemax=${rows * columns - 1} aria-valuenow=${shown ? shown[0] * columns + shown[1] : 0} aria-valuetext=${text}
      class=${onPick ? "can-pick" : ""} onPointerMove=${(event) => setOver(at(event))} onPointerLeave=${() => setOver(null)} onBlur=${() => setOver(null)} onKeyDown=${move}
      onClick=${(event) => { const found = at(event); if (found) onPick?.(...found); }}></canvas></div></div>`;
}

function draw(canvas, values, { rows, columns, cell, tall, most, picked, row, left, top, rowName, columnName }) {
  const ratio = Math.max(1, Math.round(devicePixelRatio || 1)), { ink, line } = palette.value.colors;
  const width = left + columns * cell + (left ? LEAN : 0), height = top + rows * tall;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const pen = canvas.getContext("2d"), gap = cell > 6 ? 1 : 0;
  pen.scale(ratio, ratio);
  if (left) names(pen, { rows, columns, cell, tall, row, left, top, rowName, columnName });
  pen.translate(left, top);
  if (cell > 4) {
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
      pen.fillStyle = fill(values[r * columns + c], most);
      pen.fillRect(c * cell, r * tall, cell - gap, tall - (tall > 6 ? 1 : 0));
    }
  } else { // a million rectangles would take a second: as pixels, made larger
    const image = new ImageData(columns, rows), pixels = new Uint32Array(image.data.buffer), small = new OffscreenCanvas(columns, rows);
    for (let i = 0; i < pixels.length; i++) pixels[i] = shade(values[i], most);
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, 0, 0, columns * cell, rows * tall);
  }
  pen.lineWidth = 1;
  if (row !== undefined) { pen.strokeStyle = css(line); pen.strokeRect(0.5, row * tall + 0.5, columns * cell - 1 - gap, Math.max(tall - 1 - gap, 1)); }
  if (picked) { pen.lineWidth = 2; pen.strokeStyle = css(ink); pen.strokeRect(picked[1] * cell, picked[0] * tall, Math.max(cell - gap, 3), Math.max(tall - gap, 3)); }
}

function names(pen, { rows, columns, cell, tall, row, left, top, rowName, columnName }) {
  const short = (text) => { const all = [...text]; return all.length > 9 ? `${all.slice(0, 8).join("")}…` : text; };
  const { ink, soft } = palette.value.colors;
  pen.font = `12px ${getComputedStyle(document.documentElement).getPropertyValue("--serif")}`;
  pen.textBaseline = "middle";
  for (let r = 0; r < rows; r++) {
    pen.fillStyle = css(r === row ? ink : soft);
    pen.textAlign = "right";
    pen.fillText(short(rowName(r)), left - 8, top + (r + 0.5) * tall);
  }
  pen.fillStyle = css(soft);
  pen.textAlign = "left";
  for (let c = 0; c < columns; c++) {
    pen.save();
    pen.translate(left + (c + 0.5) * cell, top - 6);
    pen.rotate(-Math.PI / 3);
    pen.fillText(short(columnName(c)), 0, 0);
    pen.restore();
  }
}
