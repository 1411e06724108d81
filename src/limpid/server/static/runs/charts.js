// All drawings of the chosen runs, and how they are drawn.
import { useMemo, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { percent } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { python } from "../lib/opening.js";
import { CodeButton } from "../parts/code.js";
import { savePicture, saveTable } from "../lib/save.js";
import { Chart, figure } from "./chart.js";
import { isHeldOut, lineName, panels } from "./panels.js";
import { AXES, curves, list, reading, run, set, state } from "./store.js";

const MANY = 8; // of more runs than these only the moving mean is drawn: their values would cover one another

export function Charts() {
  const { chosen } = state.value, names = new Set(chosen.flatMap((name) => Object.keys(curves.value[name]?.lines ?? {})));
  const found = panels(names), damaged = chosen.filter((name) => curves.value[name]?.damaged), gone = chosen.filter((name) => curves.value[name] === null);
  return html`<section class="charts" aria-label=${t("runs.curves")}>
    <${Tools} />
    ${reading.value && html`<p class="runs-reading soft" role="status"><label>${t("runs.reading", { share: percent(reading.value.done / reading.value.total) })} <progress max=${reading.value.total} value=${reading.value.done}></progress></label></p>`}
    ${gone.map((name) => html`<p key=${name} class="soft" role="status">${t("runs.gone", { run: name })}</p>`)}
    ${damaged.map((name) => html`<p key=${name} class="soft" role="status">${t("runs.damaged", { n: curves.value[name].damaged, run: name })}</p>`)}
    ${!found.length ? html`<p class="soft runs-none">${t(chosen.some((name) => curves.value[name] === undefined) ? "loading" : chosen.some((name) => run(name)?.state === "running") ? "runs.soon" : "runs.noCurves")}</p>` : html`<div class="chart-grid">${found.map((panel) => html`<${Panel} key=${panel.id} panel=${panel} />`)}</div>`}
  </section>`;
}

function Tools() {
  const own = state.value, zoomed = own.low !== null || own.high !== null;
  const end = (name) => (event) => set({ [name]: event.target.value.trim() || null });
  return html`<div class="runs-tools">
    <div class="modes" role="group" aria-label=${t("runs.axis")}>${AXES.map((name) => html`<button type="button" key=${name} aria-pressed=${own.x === name} title=${t(`runs.axis.${name}.what`)} onClick=${() => set({ x: name === "step" ? null : name, from: null, to: null })}>${t(`runs.axis.${name}`)}</button>`)}</div>
    <label class="tick"><input type="checkbox" checked=${own.logX} onChange=${(event) => set({ logx: event.target.checked ? "1" : null })} /><span>${t("runs.logX")}</span></label>
    <label class="runs-smooth"><span>${t("runs.smooth")}</span><input type="range" min="0" max="0.99" step="0.01" value=${own.smooth} title=${t("runs.smooth.what")} onInput=${(event) => set({ smooth: event.target.value })} /><output>${own.smooth.toFixed(2)}</output></label>
    <span class="runs-range"><label><span>${t("runs.from")}</span><input inputmode="decimal" value=${own.low === null ? "" : own.low} placeholder="0" onChange=${end("from")} /></label><label><span>${t("runs.to")}</span><input inputmode="decimal" value=${own.high === null ? "" : own.high} placeholder=${t("runs.end")} onChange=${end("to")} /></label>
      ${zoomed && html`<button type="button" class="plain" onClick=${() => set({ from: null, to: null })}>${t("runs.whole")}</button>`}</span>
  </div>`;
}

function Panel({ panel }) {
  const { chosen, x, logX, logY } = state.value, chart = useRef(null), log = logY.has(panel.id);
  const alone = chosen.filter((name) => panel.names.some((one) => curves.value[name]?.lines?.[one])).length === 1;
  const lines = useMemo(() => chosen.flatMap((name, place) => panel.names.flatMap((one) => {
    const line = curves.value[name]?.lines?.[one];
    if (!line?.x.length) return [];
    const label = [chosen.length > 1 ? name : "", panel.names.length > 1 ? (isHeldOut(one) ? (panel.id === "right" ? lineName(one) : t("runs.heldOut")) : t("runs.training")) : ""].filter(Boolean).join(", ") || t("runs.value");
    const many = panel.names.filter((other) => curves.value[name]?.lines?.[other]).length > 1 && (alone || chosen.length === 1);
    const colour = many ? panel.names.indexOf(one) : place;
    return line.smooth ? [...(chosen.length > MANY ? [] : [{ label, place: colour, faint: true, x: line.x, y: line.y }]), { label, place: colour, x: line.smooth.x, y: line.smooth.y }] : [{ label, place: colour, held: isHeldOut(one), x: line.x, y: line.y }];
  })), [curves.value, chosen.join("|"), panel.names.join("|")]);
  if (!lines.length) return null;
  const title = panel.own ? t(`runs.panel.${panel.id}`) : lineName(panel.names[0]), words = lines.filter((one) => !one.faint).map((one) => `${one.label}: ${figure(one.y[0], panel.id)} → ${figure(one.y.at(-1), panel.id)}`).join("; ");
  const toggle = () => { const next = new Set(logY); if (!next.delete(panel.id)) next.add(panel.id); set({ logy: [...next].join("|") || null }); };
  const name = `limpid-${panel.id.replace(/\W+/g, "-")}`;
  const csv = () => saveTable(name, [["run", "line", x, "value"], ...chosen.flatMap((one) => panel.names.flatMap((line) => (curves.value[one]?.lines?.[line]?.x ?? []).map((at, i) => [one, line, at, curves.value[one].lines[line].y[i]])))]);
  return html`<article class="panel-chart" data-panel=${panel.id}><header><h3>${title}</h3><span class="minis">
      <button type="button" class="mini" aria-pressed=${log} onClick=${toggle} aria-label=${t("runs.logOf", { title })}>log</button><button type="button" class="mini" aria-label=${`PNG: ${title}`} onClick=${() => savePicture(`${name}.png`, chart.current.ctx.canvas)}>PNG</button><button type="button" class="mini" aria-label=${`CSV: ${title}`} onClick=${csv}>CSV</button></span></header>
    ${panel.own && html`<p class="soft chart-what">${t(`runs.panel.${panel.id}.what`)}</p>`}
    <${Chart} lines=${lines} kind=${panel.id} axis=${x} logX=${logX} logY=${log} label=${`${title}. ${words}`} chartRef=${chart} onRange=${(low, high) => set({ from: Number(low.toPrecision(6)), to: Number(high.toPrecision(6)) })} /></article>`;
}

export const CurvesCode = () => html`<${CodeButton} code=${() => `from pathlib import Path
from limpid.core.logging import read_metrics

folder = Path(${python(list.value.folder)})
for name in ${JSON.stringify(state.value.chosen)}:
    for record in read_metrics(folder / name / "metrics.jsonl"):
        print(name, record)
`} />`;
