// Drawing the map, on a canvas or as SVG, in the page's own colours.
import { shown } from "../lib/format.js";
import { escaped } from "../lib/save.js";
import { placeLabels } from "./plot.js";

const value = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const looks = () => ({ paper: value("--paper"), ink: value("--ink"), soft: value("--soft"), line: value("--line"), accent: value("--accent"), second: value("--tint-probability"), serif: value("--serif"), mono: value("--mono") });
const SIZE = 13;
const isBytes = (token) => !token.text;
const font = (token, look, bold) => `${bold ? "600 " : ""}${isBytes(token) ? `11px ${look.mono}` : `${SIZE}px ${look.serif}`}`;

/** How each point stands out: 3 chosen, 2 pin or of the analogy, 1 neighbour, 0. */
function ranks(n, marks) {
  const rank = new Uint8Array(n);
  for (const i of marks.near) rank[i] = 1;
  for (const i of [...marks.pins, ...(marks.analogy ?? [])]) if (i >= 0) rank[i] = 2;
  if (marks.chosen >= 0) rank[marks.chosen] = 3;
  return rank;
}

/** Draw; the labels that had room. */
export function drawMap(canvas, { width, height, screen, tokens, marks }) {
  const ratio = devicePixelRatio || 1, look = looks(), pen = canvas.getContext("2d");
  canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = look.paper;
  pen.fillRect(0, 0, width, height);
  const rank = ranks(tokens.length, marks);
  const widths = new Map();
  const widthOf = (i) => { pen.font = font(tokens[i], look, rank[i] > 1); return widths.get(i) ?? widths.set(i, pen.measureText(shown(tokens[i])).width).get(i); };
  const order = [...tokens.keys()].sort((a, b) => rank[b] - rank[a] || a - b);
  const labels = placeLabels(screen, order, widthOf, width, height, SIZE);
  const dot = (i, radius) => { pen.beginPath(); pen.arc(screen[2 * i], screen[2 * i + 1], radius, 0, 2 * Math.PI); };
  if (marks.chosen >= 0) {
    pen.strokeStyle = look.accent; pen.globalAlpha = 0.35; pen.lineWidth = 1;
    for (const i of marks.near) { pen.beginPath(); pen.moveTo(screen[2 * marks.chosen], screen[2 * marks.chosen + 1]); pen.lineTo(screen[2 * i], screen[2 * i + 1]); pen.stroke(); }
    pen.globalAlpha = 1;
  }
  for (const [from, to, dashed] of arrows(marks)) arrow(pen, screen, from, to, look.second, dashed);
  pen.fillStyle = look.line;
  pen.globalAlpha = tokens.length > 1500 ? 0.55 : 0.8;
  for (let i = 0; i < tokens.length; i++) if (!rank[i] && inside(screen, i, width, height)) { dot(i, 2); pen.fill(); }
  pen.globalAlpha = 1;
  for (let i = 0; i < tokens.length; i++) {
    if (!rank[i]) continue;
    dot(i, rank[i] === 3 ? 5 : rank[i] === 2 ? 4 : 3.5);
    pen.fillStyle = rank[i] === 2 && marks.analogy?.includes(i) ? look.second : rank[i] >= 2 ? look.accent : look.paper; pen.fill();
    pen.strokeStyle = look.accent; pen.lineWidth = 1.5; if (rank[i] === 1) pen.stroke();
  }
  pen.textBaseline = "alphabetic";
  for (const { at, x, y } of labels) {
    pen.font = font(tokens[at], look, rank[at] > 1);
    pen.lineWidth = 3; pen.strokeStyle = look.paper; pen.lineJoin = "round"; pen.strokeText(shown(tokens[at]), x, y);
    pen.fillStyle = rank[at] === 3 || rank[at] === 1 ? look.accent : rank[at] === 2 ? look.ink : isBytes(tokens[at]) ? look.soft : look.ink;
    pen.fillText(shown(tokens[at]), x, y);
  }
  return labels;
}

const inside = (screen, i, width, height) => screen[2 * i] > -5 && screen[2 * i + 1] > -5 && screen[2 * i] < width + 5 && screen[2 * i + 1] < height + 5;
/** The analogy: a to b, and alongside it c to what is found. */
function arrows(marks) {
  const [a, b, c, d] = marks.analogy ?? [-1, -1, -1, -1];
  return [[a, b, false], [c, d, true]].filter(([from, to]) => from >= 0 && to >= 0 && from !== to);
}
function arrow(pen, screen, from, to, colour, dashed) {
  const [x0, y0, x1, y1] = [screen[2 * from], screen[2 * from + 1], screen[2 * to], screen[2 * to + 1]], turn = Math.atan2(y1 - y0, x1 - x0);
  const [ex, ey] = [x1 - 6 * Math.cos(turn), y1 - 6 * Math.sin(turn)];
  pen.strokeStyle = pen.fillStyle = colour; pen.lineWidth = 2;
  pen.setLineDash(dashed ? [5, 4] : []);
  pen.beginPath(); pen.moveTo(x0, y0); pen.lineTo(ex, ey); pen.stroke();
  pen.setLineDash([]);
  pen.beginPath(); pen.moveTo(ex, ey); pen.lineTo(ex - 9 * Math.cos(turn - 0.4), ey - 9 * Math.sin(turn - 0.4)); pen.lineTo(ex - 9 * Math.cos(turn + 0.4), ey - 9 * Math.sin(turn + 0.4)); pen.fill();
}

/** The same as SVG. */
export function svgMap({ width, height, screen, tokens, marks, labels }) {
  const look = looks(), rank = ranks(tokens.length, marks), place = (i) => `cx="${screen[2 * i].toFixed(1)}" cy="${screen[2 * i + 1].toFixed(1)}"`;
  const dots = tokens.map((token, i) => (inside(screen, i, width, height) ? `<circle ${place(i)} r="${[2, 3.5, 4, 5][rank[i]]}" fill="${rank[i] > 1 ? look.accent : rank[i] ? look.paper : look.line}"${rank[i] === 1 ? ` stroke="${look.accent}"` : ""}><title>${escaped(shown(token))} #${token.id}</title></circle>` : ""));
  const lines = marks.chosen < 0 ? [] : marks.near.map((i) => `<path d="M${screen[2 * marks.chosen].toFixed(1)} ${screen[2 * marks.chosen + 1].toFixed(1)}L${screen[2 * i].toFixed(1)} ${screen[2 * i + 1].toFixed(1)}" stroke="${look.accent}" stroke-opacity="0.35"/>`);
  const drawn = arrows(marks).map(([from, to, dashed]) => `<path d="M${screen[2 * from].toFixed(1)} ${screen[2 * from + 1].toFixed(1)}L${screen[2 * to].toFixed(1)} ${screen[2 * to + 1].toFixed(1)}" stroke="${look.second}" stroke-width="2"${dashed ? ' stroke-dasharray="5 4"' : ""}/>`);
  const words = labels.map(({ at, x, y }) => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${rank[at] & 1 ? look.accent : look.ink}" font-size="${isBytes(tokens[at]) ? 11 : SIZE}" font-family="${isBytes(tokens[at]) ? "monospace" : "serif"}"${rank[at] > 1 ? ' font-weight="600"' : ""}>${escaped(shown(tokens[at]))}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><rect width="100%" height="100%" fill="${look.paper}"/>${[...lines, ...drawn, ...dots, ...words].join("")}</svg>`;
}
