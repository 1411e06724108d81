// One head as a matrix: a row for each token that looks, a column for each that is looked at.
import { useEffect, useRef, useState } from "preact/hooks";
import { css } from "../lib/colors.js";
import { largest, paint, palette } from "../lib/heat.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { cell } from "../lib/trace.js";
import { IconButton } from "../parts/icons.js";
import { reveal, Viewport } from "../parts/viewport.js";
import { matrices } from "./matrices.js";
import { chosen, choose, cursor, keyTokens, pointed, queryTokens, spoken } from "./store.js";
import { fonts, quoted, short, weight } from "./words.js";

const LABELLED = 10.5, MOST = 44; // pixels a cell: from where its tokens are written beside it; at most, unless zoomed
const ZOOM = [1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32];

/** How large a cell is, and where the first one begins. */
function layout(width, height, zoom) {
  const rows = queryTokens.value.length, columns = keyTokens.value.length;
  const size = (left, top) => Math.min(MOST, (width - left - 2) / columns, (height - top - 2) / rows) * zoom;
  const side = Math.min(112, width * 0.28), labelled = size(side, 84) >= LABELLED;
  const [left, top] = labelled ? [side, 84] : [34, 20], cells = size(left, top);
  return { left, top, size: cells, labelled, width: left + columns * cells + 2, height: top + rows * cells + 2, rows, columns };
}

/** What a matrix may take of the page: its box is as high as the matrix is, up to a share of the window. */
const room = (box) => [box.clientWidth, parseFloat(getComputedStyle(box).maxHeight)];

/** One number of a matrix, in words. */
export function tell(matrix, row, column, isWeight) {
  const from = queryTokens.value[row], to = keyTokens.value[column];
  return { from: `${quoted(from)} ${row}`, to: `${quoted(to)} ${column}`, value: weight(matrix.triangle && column > row ? (isWeight ? 0 : -Infinity) : cell(matrix, row, column)) };
}

/** @param {{numbers: import("../lib/trace.js").Numbers, title: string, signed: boolean, canvas?: any}} props signed: scores, not weights */
export function Matrix({ numbers, title, signed, most: given, canvas: outer }) {
  const c = chosen.value, own = useRef(null), canvas = outer ?? own, frame = useRef([0, 0]), [zoom, setZoom] = useState(0), scale = c.scale;
  const picture = useRef({}), colors = palette.value, factor = ZOOM[zoom];
  if (picture.current.numbers !== numbers || picture.current.colors !== colors || picture.current.scale !== scale || picture.current.most !== given) {
    const most = given ?? (signed ? largest(numbers) : 1);
    picture.current = { numbers, colors, scale, most: given, canvas: paint(numbers, { signed, most, scale: scale === "linear" || signed ? "linear" : "root", byRow: scale === "row" }) };
  }
  useEffect(() => { setZoom(0); }, [queryTokens.value]);
  const plan = () => layout(...frame.current, factor);
  const find = (x, y) => {
    const { left, top, size, rows, columns } = plan(), row = Math.floor((y - top) / size), column = Math.floor((x - left) / size);
    const box = canvas.current.closest(".viewport");
    const here = x - box.scrollLeft >= left && column < columns ? column : null, there = y - box.scrollTop >= top && row >= 0 && row < rows ? row : null;
    return row < rows && (there !== null || here !== null) ? { row: there, column: here } : null;
  };
  const show = (row, column) => {
    const { left, top, size } = plan(), box = canvas.current.closest(".viewport");
    reveal(box, top + row * size, top + (row + 1) * size, "top", top);
    if (column !== null) reveal(box, left + column * size, left + (column + 1) * size, "left", left);
  };
  const key = (event) => {
    const rows = queryTokens.value.length, columns = keyTokens.value.length, by = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1], PageDown: [10, 0], PageUp: [-10, 0], Home: [0, -columns], End: [0, columns] }[event.key];
    if (event.key === "+" || event.key === "-") { event.preventDefault(); setZoom(Math.max(0, Math.min(ZOOM.length - 1, zoom + (event.key === "+" ? 1 : -1)))); return; }
    if (event.key === "Escape" && c.row !== null) { event.preventDefault(); choose({ row: null, column: null }); document.querySelector(".grid canvas")?.focus(); return; }
    if (!by) return;
    event.preventDefault();
    const row = Math.max(0, Math.min(rows - 1, (c.row ?? rows - 1) + by[0])), column = Math.max(0, Math.min(columns - 1, (c.column ?? Math.min(row, columns - 1)) + by[1]));
    pointed.value = null;
    choose({ row, column });
    show(row, column);
    const words = tell(numbers, row, column, !signed);
    spoken.value = t("attention.cell", words);
  };
  const draw = ({ context, width, height, left, top, canvas: element }) => {
    frame.current = room(element.closest(".viewport"));
    const p = plan(), { colors: ink } = palette.value, { row, column } = cursor.value, x0 = p.left - left, y0 = p.top - top;
    element.dataset.drawn = matrices.peek()?.key;
    element.dataset.cells = JSON.stringify({ left: x0, top: y0, size: p.size });
    context.save();
    context.beginPath(); context.rect(p.left, p.top, width, height); context.clip();
    const firstColumn = Math.floor(Math.max(0, left / p.size)), lastColumn = Math.min(p.columns, Math.ceil((left + width - p.left) / p.size) + 1);
    const firstRow = Math.floor(Math.max(0, top / p.size)), lastRow = Math.min(p.rows, Math.ceil((top + height - p.top) / p.size) + 1);
    context.imageSmoothingEnabled = p.size * (devicePixelRatio || 1) < 1;
    context.drawImage(picture.current.canvas, firstColumn, firstRow, lastColumn - firstColumn, lastRow - firstRow, x0 + firstColumn * p.size, y0 + firstRow * p.size, (lastColumn - firstColumn) * p.size, (lastRow - firstRow) * p.size);
    context.strokeStyle = css(ink.rule); context.lineWidth = 1;
    context.strokeRect(x0 - 0.5, y0 - 0.5, p.columns * p.size + 1, p.rows * p.size + 1);
    context.strokeStyle = css(ink.accent);
    if (row !== null) context.strokeRect(x0 - 0.5, y0 + row * p.size - 0.5, p.columns * p.size + 1, p.size + 1);
    if (column !== null) context.strokeRect(x0 + column * p.size - 0.5, y0 - 0.5, p.size + 1, p.rows * p.size + 1);
    if (row !== null && column !== null) { context.lineWidth = 2; context.strokeStyle = css(ink.ink); context.strokeRect(x0 + column * p.size - 1, y0 + row * p.size - 1, p.size + 2, p.size + 2); }
    context.restore();
    labels(context, p, { x0, y0, width, height, row, column, ink, firstRow, lastRow, firstColumn, lastColumn });
  };
  return html`<figure class="matrix"><figcaption>${title}<span class="grow"></span>
      <${IconButton} name="minus" label=${t("attention.zoomOut")} keys="-" disabled=${zoom === 0} onClick=${() => setZoom(zoom - 1)} /><${IconButton} name="add" label=${t("attention.zoomIn")} keys="+" disabled=${zoom === ZOOM.length - 1} onClick=${() => setZoom(zoom + 1)} /></figcaption>
    <${Viewport} class="matrix-view" canvas=${canvas} label=${t("attention.matrixLabel", { title })} deps=${[numbers, factor, signed, scale, colors, given]}
      extent=${() => { frame.current = room(canvas.current.closest(".viewport")); const p = plan(); return [p.width, p.height]; }} draw=${draw}
      onPoint=${(x, y) => { const at = find(x, y), was = pointed.peek(); if (at?.row !== was?.row || at?.column !== was?.column) pointed.value = at; }}
      onLeave=${() => { pointed.value = null; }} onPick=${(x, y) => { const at = find(x, y); if (at) choose(at.row === c.row && at.column === c.column ? { row: null, column: null } : at); }} onKey=${key} />
  </figure>`;
}

/** The tokens beside rows and columns; where cells are small, their numbers now and then. */
function labels(context, p, { x0, y0, width, height, row, column, ink, firstRow, lastRow, firstColumn, lastColumn }) {
  const rows = queryTokens.value, columns = keyTokens.value, step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((n) => n * p.size >= 26) ?? 2000;
  context.textBaseline = "middle";
  context.save();
  context.beginPath(); context.rect(0, p.top - 7, p.left, height); context.clip();
  context.textAlign = "right";
  for (let i = firstRow; i < lastRow; i++) {
    if (!p.labelled && i % step && i !== row) continue;
    label(context, p.labelled ? short(rows[i], 12) : String(i), p.left - 6, y0 + (i + 0.5) * p.size, i === row, p, ink);
  }
  context.restore();
  context.save();
  context.beginPath(); context.rect(p.left - 12, 0, width, p.top); context.clip();
  for (let j = firstColumn; j < lastColumn; j++) {
    if (!p.labelled && j % step && j !== column) continue;
    const x = x0 + (j + 0.5) * p.size;
    if (!p.labelled) { context.textAlign = "center"; label(context, String(j), x, p.top - 9, j === column, p, ink); continue; }
    context.save();
    context.translate(x, p.top - 5); context.rotate(-Math.PI / 2); context.textAlign = "left";
    label(context, short(columns[j], 9), 0, 0, j === column, p, ink);
    context.restore();
  }
  context.restore();
}

function label(context, text, x, y, strong, p, ink) {
  context.font = `${strong ? "600 " : ""}${p.labelled ? `${Math.min(14, Math.max(11, p.size))}px ${fonts.serif()}` : `11px ${fonts.sans()}`}`;
  if (strong && !p.labelled) { // over its neighbours
    const wide = context.measureText(text).width + 4, from = context.textAlign === "right" ? x - wide + 2 : x - wide / 2;
    context.fillStyle = css(ink.paper); context.fillRect(from, y - 8, wide, 16);
  }
  context.fillStyle = css(strong ? ink.accent : ink.soft);
  context.fillText(text, x, y);
}
