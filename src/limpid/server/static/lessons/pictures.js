// A lesson's pictures: bars, matrices, curves. Their numbers can be read, and taken along.
import { useLayoutEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { paint } from "../lib/heat.js";
import { route } from "../lib/route.js";
import { csv, save, savePicture } from "../lib/save.js";

const KINDS = { bars: Bars, matrix: Matrix, curves: Curves };
const MOST_CELLS = 16;

export function Drawing({ picture, says }) {
  const Kind = KINDS[picture.kind];
  const figure = useRef(null), name = route.value.part;
  const take = () => (picture.svg ? save(`${name}.svg`, picture.svg, "image/svg+xml") : savePicture(`${name}.png`, figure.current.querySelector("canvas")));
  return html`<figure ref=${figure} class=${`lesson-picture ${picture.kind}`}><figcaption><span>${picture.title}</span><button type="button" class="ib word" aria-label=${t("lessons.picture")} title=${t("lessons.picture")} onClick=${take}>${picture.svg ? "SVG" : "PNG"}</button><button type="button" class="ib word" aria-label=${t("lessons.csv")} title=${t("lessons.csv")} onClick=${() => save(`${name}.csv`, csv(table(picture)), "text/csv")}>CSV</button></figcaption>
    <${Kind} picture=${picture} says=${says} /></figure>`;
}

function table({ kind, rows, names, columns }) {
  const cell = (value) => value ?? "";
  if (kind === "matrix") return [...(columns.length ? [["", ...columns]] : []), ...rows.map((row, i) => [names[i] ?? "", ...row.map(cell)])];
  return [["", ...names], ...columns.map((x, i) => [x, ...rows.map((row) => cell(row[i]))])];
}

/** Three digits that mean something; what is only rounding is 0. */
export function short(value) {
  if (value === null) return "−∞";
  if (Math.abs(value) < 1e-9) return "0";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "−");
  const text = Math.abs(value) >= 1 ? value.toFixed(2) : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}

function Bars({ picture }) {
  const [values] = picture.rows, most = Math.max(...values.map(Math.abs), 1e-30), below = values.some((one) => one < 0);
  return html`<dl class="lesson-bars" data-below=${below}>${values.map((value, i) => html`<dt>${picture.columns[i]}</dt><dd><i class=${value < 0 ? "minus" : ""} style=${{ width: `${(100 * Math.abs(value)) / most / (below ? 2 : 1)}%` }}></i><span>${short(value)}</span></dd>`)}</dl>`;
}

function Matrix({ picture, says }) {
  const { rows, names, columns } = picture;
  if (rows.length > MOST_CELLS || rows[0].length > MOST_CELLS) return html`<${Large} rows=${rows} says=${says} />`;
  const most = Math.max(...rows.flat().map((one) => Math.abs(one ?? 0)), 1e-30);
  return html`<div class="lesson-table" tabindex="0" role="group" aria-label=${says}><table><tbody>
    ${columns.length > 0 && html`<tr>${names.length > 0 && html`<td></td>`}${columns.map((one) => html`<th scope="col">${one}</th>`)}</tr>`}
    ${rows.map((row, y) => html`<tr>${names.length > 0 && html`<th scope="row">${names[y]}</th>`}${row.map((value) => html`<td class=${value === null ? "none" : value < 0 ? "minus" : "plus"} style=${{ "--t": Math.min(1, Math.abs(value ?? 0) / most) }}>${short(value)}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** More cells than one reads: a pixel each. */
function Large({ rows, says }) {
  const place = useRef(null);
  useLayoutEffect(() => {
    const data = Float32Array.from(rows.flat(), (one) => one ?? -Infinity), signed = data.some((one) => one < 0);
    const drawn = paint({ shape: [rows.length, rows[0].length], data }, { signed, most: Math.max(...data.map(Math.abs).filter(Number.isFinite)), scale: "linear" });
    const canvas = place.current;
    canvas.width = drawn.width; canvas.height = drawn.height;
    canvas.getContext("2d").drawImage(drawn, 0, 0);
  });
  return html`<canvas ref=${place} class="lesson-large" role="img" aria-label=${`${says}: ${rows.length} × ${rows[0].length}`}></canvas>`;
}

const WIDE = 520, HIGH = 200;
function Curves({ picture, says }) {
  const { rows, names, columns: x } = picture, values = rows.flat(), low = Math.min(...values), top = Math.max(...values), span = top - low || 1;
  const points = (row) => row.map((value, i) => `${((WIDE * (x[i] - x[0])) / (x.at(-1) - x[0] || 1)).toFixed(1)},${(HIGH - (HIGH * (value - low)) / span).toFixed(1)}`).join(" ");
  return html`<div class="lesson-curves"><div class="plot"><span class="top">${short(top)}</span><span class="low">${short(low)}</span>
    <svg viewBox=${`-1 -2 ${WIDE + 2} ${HIGH + 4}`} preserveAspectRatio="none" role="img" aria-label=${t("lessons.chart", { title: says, names: names.join(", ") })}>${rows.map((row, i) => html`<polyline class=${`line${i % 6}`} points=${points(row)} vector-effect="non-scaling-stroke" />`)}</svg>
    <span class="from">${short(x[0])}</span><span class="to">${short(x.at(-1))}</span></div>
    <ul>${names.map((name, i) => html`<li class=${`line${i % 6}`}>${name}</li>`)}</ul></div>`;
}
