// Heads as lines from the tokens that look to those that are looked at: the more weight, the stronger the line.
import { useEffect, useRef } from "preact/hooks";
import { css, hue } from "../lib/colors.js";
import { palette } from "../lib/heat.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { cell } from "../lib/trace.js";
import { reveal, Viewport } from "../parts/viewport.js";
import { matrices } from "./matrices.js";
import { tell } from "./matrix.js";
import { chosen, choose, keyTokens, pointed, queryTokens, spoken } from "./store.js";
import { fonts, short } from "./words.js";

const DOWN = 22, LEAST = 0.01; // pixels a token; lines below this weight are not drawn

/** The colour of a head in lines and chips. */
export const headColor = (head) => hue(head, palette.value.night);

/** Which lines are shown: of one row or column where a cell is pointed at or pinned, else of all rows. */
function focus() {
  const over = pointed.value, { row, column } = chosen.value;
  return over ?? (row !== null ? { row, column: null } : column !== null ? { row: null, column } : { row: null, column: null });
}

/** @returns {Generator<{head: number, row: number, column: number, weight: number}>} the lines from rows first..last */
export function* lines(several, { row, column }, first, last, columns) {
  const from = row ?? first, to = row === null ? last : row + 1;
  for (const [head, numbers] of several) {
    for (let i = from; i < to; i++) {
      const end = numbers.triangle ? Math.min(i + 1, columns) : columns;
      for (let j = column ?? 0; j < (column === null ? end : Math.min(column + 1, end)); j++) {
        const value = cell(numbers, i, j);
        if (value >= LEAST) yield { head, row: i, column: j, weight: value };
      }
    }
  }
}

const reach = (width) => [Math.min(190, width * 0.34), width - Math.min(190, width * 0.34)];

export function Lines() {
  const c = chosen.value, canvas = useRef(null), found = matrices.value, wide = useRef(0);
  const pinned = c.row ?? c.column;
  useEffect(() => { // what is pinned elsewhere is seen here
    const box = canvas.current?.closest(".viewport");
    if (box && pinned !== null) reveal(box, Math.max(0, pinned - 4) * DOWN, (pinned + 5) * DOWN + 8);
  }, [pinned, found === null]);
  if (!found?.several.length) return html`<div class="viewport lines"></div>`;
  const count = () => Math.max(queryTokens.value.length, keyTokens.value.length);
  const find = (x, y) => {
    const place = Math.floor((y - 4) / DOWN), [left, right] = reach(wide.current);
    if (place < 0 || (x > left && x < right)) return null;
    if (x <= left) return place < queryTokens.value.length ? { row: place, column: null } : null;
    return place < keyTokens.value.length ? { row: null, column: place } : null;
  };
  const key = (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape" && (c.row ?? c.column) !== null) { event.preventDefault(); choose({ row: null, column: null }); return; }
    if (by === undefined) return;
    event.preventDefault();
    const row = Math.max(0, Math.min(queryTokens.value.length - 1, c.row === null ? (by < 0 ? queryTokens.value.length - 1 : 0) : c.row + by));
    pointed.value = null;
    choose({ row, column: null });
    reveal(canvas.current.closest(".viewport"), row * DOWN, row * DOWN + DOWN + 8);
    spoken.value = strongest(found.several[0][1], row);
  };
  return html`<${Viewport} class="lines" canvas=${canvas} label=${t("attention.linesLabel")} deps=${[found, c.heads.join()]} onKey=${key}
    extent=${(width) => { wide.current = width; return [width, count() * DOWN + 8]; }} draw=${draw} onLeave=${() => { pointed.value = null; }}
    onPoint=${(x, y) => { const at = find(x, y), was = pointed.peek(); canvas.current.style.cursor = at ? "pointer" : ""; if (at?.row !== was?.row || at?.column !== was?.column) pointed.value = at; }}
    onPick=${(x, y) => { const at = find(x, y); if (at) choose(at.row === c.row && at.column === c.column ? { row: null, column: null } : at); }} />`;
}

function strongest(numbers, row) {
  let best = 0;
  for (let j = 1; j < keyTokens.value.length; j++) if (cell(numbers, row, j) > cell(numbers, row, best)) best = j;
  return t("attention.cell", tell(numbers, row, best, true));
}

function draw({ context, width, height, top, canvas }) {
  const { colors } = palette.value, several = matrices.value?.several ?? [], at = focus(), [left, right] = reach(width);
  const rows = queryTokens.value, columns = keyTokens.value, middle = (place) => 4 + place * DOWN + DOWN / 2 - top;
  const first = Math.max(0, Math.floor((top - 4) / DOWN)), last = Math.min(rows.length, Math.ceil((top + height) / DOWN)), lastKey = Math.min(columns.length, Math.ceil((top + height) / DOWN));
  canvas.dataset.rows = JSON.stringify({ left, right, down: DOWN });
  const looked = new Map(); // how much is looked at a token, in the row or column that is in focus
  for (const line of lines(several, at, first, last, columns.length)) {
    context.strokeStyle = css(headColor(line.head), Math.max(0.06, line.weight));
    context.lineWidth = 0.75 + 2.25 * line.weight;
    context.beginPath();
    const [y1, y2] = [middle(line.row), middle(line.column)], bend = (right - left) * 0.4;
    context.moveTo(left, y1); context.bezierCurveTo(left + bend, y1, right - bend, y2, right, y2);
    context.stroke();
    const far = at.column === null ? line.column : line.row;
    if (at.row !== null || at.column !== null) looked.set(far, [...(looked.get(far) ?? []), line]);
  }
  for (const [place, all] of looked) {
    const wide = Math.min(14, 60 / several.length), x = at.column === null ? width - wide * all.length - 2 : 2;
    all.forEach((line, i) => { context.fillStyle = css(headColor(line.head), line.weight); context.fillRect(x + i * wide, middle(place) - DOWN / 2 + 1, wide - 1, DOWN - 2); });
  }
  context.textBaseline = "middle";
  for (const [tokens, from, to, side] of [[rows, first, last, "row"], [columns, first, lastKey, "column"]]) {
    context.textAlign = side === "row" ? "right" : "left";
    for (let place = from; place < to; place++) {
      const strong = at[side] === place;
      context.font = `${strong ? "600 " : ""}15px ${fonts.serif()}`;
      context.fillStyle = css(strong ? colors.accent : at.row === null && at.column === null || looked.has(place) && (at.column === null) === (side === "column") ? colors.ink : colors.soft);
      context.fillText(short(tokens[place], 14), side === "row" ? left - 8 : right + 8, middle(place));
    }
  }
}

/** The lines as SVG: of what is pinned, else of all. */
export function linesSvg(width = 640) {
  const { colors } = palette.value, several = matrices.value.several, at = focus(), [left, right] = reach(width), rows = queryTokens.value, columns = keyTokens.value;
  const y = (place) => 4 + place * DOWN + DOWN / 2, escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`), bend = (right - left) * 0.4;
  const out = [`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${Math.max(rows.length, columns.length) * DOWN + 8}" font-family="serif" font-size="15"><rect width="100%" height="100%" fill="${css(colors.paper)}"/>`];
  for (const line of lines(several, at, 0, rows.length, columns.length)) {
    out.push(`<path d="M${left} ${y(line.row)}C${left + bend} ${y(line.row)} ${right - bend} ${y(line.column)} ${right} ${y(line.column)}" fill="none" stroke="${css(headColor(line.head))}" stroke-opacity="${line.weight.toFixed(5)}" stroke-width="${(0.75 + 2.25 * line.weight).toFixed(2)}"><title>${line.head}: ${line.row} → ${line.column}: ${line.weight}</title></path>`);
  }
  for (const [tokens, x, anchor] of [[rows, left - 8, "end"], [columns, right + 8, "start"]]) {
    tokens.forEach((token, place) => out.push(`<text x="${x}" y="${y(place) + 5}" text-anchor="${anchor}" fill="${css(colors.ink)}">${escape(short(token, 14))}</text>`));
  }
  return `${out.join("\n")}\n</svg>\n`;
}
