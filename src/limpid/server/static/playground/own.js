// One's own points: a CSV file, or drawn by hand.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { css } from "../lib/colors.js";
import { dots, fieldColors, fitted } from "../lib/field.js";
import { Dialog } from "../parts/dialog.js";
import { faults, points, said, say, settings } from "./store.js";

const SIZE = 300, MOST = 2000, APART = 0.28;

export function Own({ onClose }) {
  const [way, setWay] = useState("draw"), close = () => document.querySelector("dialog[open]")?.close();
  useEffect(() => { faults.value = []; said.value = ""; return said.subscribe((text) => text && close()); }, []);
  return html`<${Dialog} title=${t("play.own")} onClose=${onClose} class="wide">
    <div class="play-tabs" role="group" aria-label=${t("play.own.way")}>${["draw", "csv"].map((one) => html`<button type="button" class="plain" aria-pressed=${one === way} onClick=${() => { faults.value = []; setWay(one); }}>${t(`play.own.${one}`)}</button>`)}</div>
    ${way === "csv" ? html`<${Csv} />` : html`<${Draw} />`}
    ${faults.value.map((fault) => html`<p class="play-fault" role="alert">${fault}</p>`)}
  <//>`;
}

function Csv() {
  const [text, setText] = useState(""), [fit, setFit] = useState(false), regression = settings.value.problem === "regression";
  const take = async (event) => { const file = event.target.files[0]; if (file) setText(await file.text()); };
  return html`<form class="play-csv" onSubmit=${(event) => { event.preventDefault(); say({ do: "csv", text, fit }); }}>
    <p class="soft note">${t(regression ? "play.csv.regression" : "play.csv.classes")}</p>
    <label class="file"><span>${t("play.csv.file")}</span><input type="file" accept=".csv,.tsv,.txt,text/csv" onChange=${take} /></label>
    <label><span>${t("play.csv.text")}</span><textarea rows="8" spellcheck="false" class="mono" value=${text} placeholder=${"x1,x2,label\n1.5,-2,1\n-0.5,3,-1"} onInput=${(event) => setText(event.target.value)}></textarea></label>
    <label class="tick"><input type="checkbox" checked=${fit} onChange=${(event) => setFit(event.target.checked)} />${t("play.csv.fit")}</label>
    <button type="submit" class="primary" disabled=${!text.trim()}>${t("play.own.use")}</button>
  </form>`;
}

function Draw() {
  const regression = settings.value.problem === "regression", canvas = useRef(null), down = useRef(false);
  const [rows, setRows] = useState(settings.value[regression ? "reg_dataset" : "dataset"] === "own" ? points.value.rows : []), [brush, setBrush] = useState(1), [place, setPlace] = useState(["", ""]);
  useEffect(() => {
    const { colors } = fieldColors.value, context = fitted(canvas.current, SIZE, SIZE);
    context.clearRect(0, 0, SIZE, SIZE);
    context.strokeStyle = css(colors.rule);
    context.beginPath(); context.moveTo(SIZE / 2, 0); context.lineTo(SIZE / 2, SIZE); context.moveTo(0, SIZE / 2); context.lineTo(SIZE, SIZE / 2); context.stroke();
    dots(context, rows, SIZE, { radius: 4 });
  });
  const put = (event) => {
    if (!down.current) return;
    const edge = canvas.current.getBoundingClientRect(), x = Math.max(-6, Math.min(6, ((event.clientX - edge.left) / edge.width) * 12 - 6)), y = Math.max(-6, Math.min(6, 6 - ((event.clientY - edge.top) / edge.height) * 12));
    setRows((old) => {
      if (brush === null) return old.filter(([a, b]) => Math.hypot(a - x, b - y) > 0.45);
      return old.length >= MOST || old.some(([a, b]) => Math.hypot(a - x, b - y) < APART) ? old : [...old, [round(x), round(y), brush]];
    });
  };
  const add = () => { const [x, y] = place.map(Number); if (place.every((one) => one.trim()) && Math.abs(x) <= 6 && Math.abs(y) <= 6 && brush !== null) { setRows((old) => [...old, [round(x), round(y), brush]]); setPlace(["", ""]); } };
  const brushes = regression ? [-1, -0.5, 0, 0.5, 1] : [1, -1];
  return html`<div class="play-draw">
    <canvas ref=${canvas} role="img" aria-label=${t("play.draw.canvas", { n: rows.length })} style=${{ width: `${SIZE}px`, height: `${SIZE}px` }} onPointerDown=${(event) => { down.current = true; canvas.current.setPointerCapture(event.pointerId); put(event); }} onPointerMove=${put} onPointerUp=${() => { down.current = false; }} onPointerCancel=${() => { down.current = false; }}></canvas>
    <div><p class="soft note">${t("play.draw.what")}</p>
      <div class="play-brushes" role="group" aria-label=${t("play.draw.brush")}>${brushes.map((one) => html`<button type="button" class="plain" key=${one} aria-pressed=${brush === one} onClick=${() => setBrush(one)}><i class=${one < 0 ? "minus" : one > 0 ? "plus" : ""}></i>${one > 0 ? `+${one}` : `−${-one}`.replace("−0", one === 0 ? "0" : "−0")}</button>`)}<button type="button" class="plain" aria-pressed=${brush === null} onClick=${() => setBrush(null)}>${t("play.draw.erase")}</button></div>
      <form class="play-place" onSubmit=${(event) => { event.preventDefault(); add(); }}>${["x₁", "x₂"].map((name, i) => html`<label key=${name}><span>${name}</span><input inputmode="decimal" value=${place[i]} onInput=${(event) => setPlace(place.map((old, n) => (n === i ? event.target.value : old)))} /></label>`)}<button type="submit" class="plain">${t("play.draw.add")}</button></form>
      <p class="note" role="status">${t("play.draw.count", { n: rows.length })}</p>
      <div class="play-tabs"><button type="button" class="primary" disabled=${rows.length < 2} onClick=${() => say({ do: "points", rows })}>${t("play.own.use")}</button><button type="button" class="plain" disabled=${!rows.length} onClick=${() => setRows([])}>${t("play.draw.clear")}</button></div>
    </div></div>`;
}

const round = (value) => Math.round(value * 1000) / 1000;
