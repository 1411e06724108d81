// One drawing of lines: uPlot on a canvas, in the page's colours; pointing says the values, dragging looks closer.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "../vendor/uplot/uplot.js";
import { html } from "../lib/html.js";
import { digits, percent, short } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { theme } from "../lib/preferences.js";

const value = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const look = () => ({ ink: value("--ink"), soft: value("--soft"), rule: value("--rule"), sans: value("--sans"), runs: [0, 1, 2, 3, 4, 5].map((i) => value(`--run${i}`)) });
const SYNC = "limpid.runs";

if (!document.querySelector('link[href="/static/vendor/uplot/uplot.css"]')) document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/static/vendor/uplot/uplot.css" }));

/** A value as an axis says it. */
export function figure(v, kind) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  if (kind === "utilisation" || kind === "right" || kind === "wrong" || kind === "accuracy") return percent(v);
  if (kind === "memory_bytes") return `${digits(v / 1e9)} GB`;
  if (kind === "seconds") return v >= 5400 ? `${digits(v / 3600)} h` : v >= 90 ? `${digits(v / 60)} min` : `${digits(v)} s`;
  if (Math.abs(v) >= 1e12) return v.toExponential(1);
  return Math.abs(v) >= 10_000 ? short(v) : digits(v);
}

/**
 * @param {{lines: {label: string, place: number, faint?: boolean, held?: boolean, x: number[], y: number[]}[], kind: string, axis: string, logX: boolean,
 *   logY: boolean, label: string, onRange: (low: number, high: number) => void, chartRef: any}} props
 * place: of the run among those that are chosen, which gives its colour.
 */
export function Chart({ lines, kind, axis, logX, logY, label, onRange, chartRef }) {
  const box = useRef(null), plot = useRef(null), [at, setAt] = useState(null);
  const scheme = theme.value, shape = JSON.stringify([lines.map((one) => [one.label, one.place, one.faint, one.held]), kind, axis, logX, logY, scheme]);
  const usable = (one) => (logX || logY ? { x: one.x.filter((x, i) => (!logX || x > 0) && (!logY || one.y[i] > 0)), y: one.y.filter((y, i) => (!logX || one.x[i] > 0) && (!logY || y > 0)) } : one);
  const data = () => uPlot.join(lines.map((one) => { const { x, y } = usable(one); return [x, y]; }));
  useEffect(() => {
    const room = box.current;
    if (!room) return undefined; // it was taken away before it was drawn
    const make = () => {
      const own = look(), font = `11px ${own.sans}`;
      plot.current?.destroy();
      const grid = { stroke: own.rule, width: 1 }, small = room.clientWidth < 300;
      plot.current = chartRef.current = new uPlot({
        width: Math.max(120, room.clientWidth), height: 190, legend: { show: false }, padding: [8, 18, 0, 0],
        scales: { x: { time: false, distr: logX ? 3 : 1, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) }, y: { distr: logY ? 3 : 1 } },
        axes: [
          { stroke: own.soft, font, grid: { show: false }, ticks: { show: false }, size: 24, gap: 4, space: small ? 60 : 70, values: (_, all) => all.map((v) => (v === null ? "" : figure(v, axis === "seconds" ? "seconds" : ""))) },
          { stroke: own.soft, font, grid, ticks: { show: false }, size: 52, gap: 4, space: 34, values: (_, all) => all.map((v) => (v === null ? "" : figure(v, kind))) },
        ],
        series: [{}, ...lines.map((one) => ({ stroke: own.runs[one.place % 6], width: one.faint ? 1 : 1.75, alpha: one.faint ? 0.28 : 1, spanGaps: true, dash: one.place >= 6 ? [6, 3] : undefined, points: { show: Boolean(one.held) && one.x.length < 60, size: 5, fill: own.runs[one.place % 6] } }))],
        cursor: { sync: { key: SYNC, setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
        select: { show: true },
        hooks: {
          setCursor: [(u) => setAt(u.cursor.idx ?? null)],
          setSelect: [(u) => { const { left, width } = u.select; if (width < 6) return; onRange(u.posToVal(left, "x"), u.posToVal(left + width, "x")); u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false); }],
        },
      }, data(), room);
    };
    make();
    const dark = matchMedia("(prefers-color-scheme: dark)"), watch = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(120, room.clientWidth), height: 190 }));
    dark.addEventListener("change", make);
    watch.observe(room);
    return () => { dark.removeEventListener("change", make); watch.disconnect(); plot.current?.destroy(); plot.current = null; };
  }, [shape]);
  useEffect(() => { plot.current?.setData(data()); }, [lines]);
  const shown = lines.map((one, i) => ({ one, v: valueAt(plot.current?.data, i + 1, at) })).filter(({ one }) => !one.faint || !lines.some((other) => other.label === one.label && !other.faint));
  const x = at !== null ? plot.current?.data?.[0]?.[at] : null;
  return html`<div class="chart" role="img" aria-label=${label}><div ref=${box} class="chart-box"></div></div>
    <p class="chart-say">${x !== null && x !== undefined ? html`<span class="soft">${t(`runs.at.${axis}`, { x: figure(x, axis === "seconds" ? "seconds" : "") })}</span>` : ""}
      ${shown.slice(0, 8).map(({ one, v }) => html`<span key=${one.label} class="key"><i style=${{ background: `var(--run${one.place % 6})` }}></i><bdi>${one.label}</bdi> <b>${figure(v ?? one.y.at(-1), kind)}</b></span>`)}${shown.length > 8 ? html`<span class="soft">+${shown.length - 8}</span>` : ""}</p>`;
}

/** The value of a line there, or the nearest one before. */
function valueAt(data, line, at) {
  if (!data || at === null) return undefined;
  for (let i = at; i >= 0; i--) if (data[line]?.[i] !== null && data[line]?.[i] !== undefined) return data[line][i];
  return undefined;
}
