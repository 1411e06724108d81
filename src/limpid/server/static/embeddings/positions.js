// How the model knows places: what is added to the embedding, or how queries and keys are turned, as pictures.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { digits } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { theme } from "../lib/preferences.js";
import { matrix } from "../lib/api.js";
import { Heat } from "../parts/heat.js";
import { savePicture, saveTable } from "../lib/save.js";
import { largest } from "../lib/heat.js";
import { PositionsCode } from "./code.js";
import { facts, set, source, state } from "./store.js";

const PLACES = [16, 32, 64, 128, 256, 512, 1024, 2048];

/** What the server answers about positions, kept while the page shows them; undefined until it is there. */
function usePositions(view, stack, places) {
  const [found, setFound] = useState({});
  const from = source(), key = [from.run, from.model, view, stack, places].join(" ");
  useEffect(() => {
    if (!view || !places) return undefined;
    let wanted = true;
    matrix("/api/embeddings/positions", { ...from, stack, view, places }).then((value) => wanted && setFound({ key, ...value }), (failure) => wanted && setFound({ key, failure }));
    return () => { wanted = false; };
  }, [key]);
  return found.key === key ? found : undefined;
}

export function PositionsView() {
  const about = facts(), one = about.positions.find((p) => p.stack === state.value.stack) ?? about.positions[0];
  if (!one) return html`<section class="emb-positions emb-empty"><h2>${t("emb.positions.title")}</h2><p>${t("emb.positions.none")}</p></section>`;
  const rotary = one.kind === "rotary", shows = rotary ? ["angle", "cos", "sin", "cosines"] : ["values", "cosines"];
  const show = shows.includes(state.value.show) ? state.value.show : shows[0];
  const places = Math.max(1, Math.min(state.value.places, one.places)), place = Math.min(state.value.place ?? Math.floor(places / 4), places - 1);
  const options = [...new Set([...PLACES.filter((n) => n < one.places), one.places, places])].sort((a, b) => a - b);
  return html`<section class="emb-positions">
    <h2>${t(rotary ? "emb.rotary" : one.learned ? "emb.learned" : "emb.sinusoidal")}</h2>
    <p class="soft">${t(rotary ? "emb.rotary.what" : one.learned ? "emb.learned.what" : "emb.sinusoidal.what", { pairs: one.width, d: one.width })}</p>
    <div class="emb-tools">
      ${about.positions.length > 1 && html`<label><span>${t("emb.stack")}</span><select value=${one.stack} onChange=${(event) => set({ stack: event.target.value })}>${about.positions.map((p) => html`<option key=${p.stack} value=${p.stack}>${t(`emb.${p.stack}`)}</option>`)}</select></label>`}
      <div class="modes" role="group" aria-label=${t("emb.shows")}>${shows.map((name) => html`<button type="button" key=${name} aria-pressed=${show === name} onClick=${() => set({ show: name })}>${t(`emb.show.${name}`)}</button>`)}</div>
      <label><span>${t("emb.places")}</span><select value=${places} onChange=${(event) => set({ places: event.target.value, place: null })}>${options.map((n) => html`<option key=${n} value=${n}>${n}</option>`)}</select></label>
    </div>
    <${Picture} rotary=${rotary} one=${one} show=${show} places=${places} place=${place} />
  </section>`;
}

function Picture({ rotary, one, show, places, place }) {
  const canvas = useRef(null);
  const cos = usePositions(rotary ? "cos" : null, one.stack, places), sin = usePositions(rotary ? "sin" : null, one.stack, places);
  const cosines = usePositions("cosines", one.stack, places), table = usePositions(rotary ? null : "values", one.stack, places);
  const failure = [cos, sin, cosines, table].find((part) => part?.failure)?.failure;
  if (failure) return html`<p role="alert">${failure.message}</p>`;
  if (!cosines || (rotary ? !cos || !sin : !table)) return html`<p class="soft" role="status">${t("loading")}</p>`;
  const angles = rotary && Float32Array.from(cos.data, (x, i) => Math.atan2(sin.data[i], x));
  const shown = show === "cosines" ? cosines : { angle: { data: angles, shape: cos?.shape }, cos, sin, values: table }[show];
  const [n, columns] = shown.shape, name = `limpid-positions-${show}`;
  const column = (i) => (show === "cosines" ? t("emb.place", { i: String(i) }) : t(rotary ? "emb.pair" : "emb.dimension", { i: String(i) }));
  const csv = () => saveTable(name, [["position", ...Array.from({ length: columns }, (_, i) => i)], ...Array.from({ length: n }, (_, row) => [row, ...shown.data.subarray(row * columns, (row + 1) * columns)])]);
  return html`
    <${Heat} key=${show} canvasRef=${canvas} values=${shown.data} rows=${n} columns=${columns} most=${show === "angle" ? Math.PI : show === "values" ? largest(shown) : 1} height=${show === "cosines" ? 380 : Math.max(180, Math.min(420, 6 * n))} label=${t(`emb.show.${show}`)} rowName=${(i) => t("emb.place", { i: String(i) })} columnName=${column} at=${[place, 0]} onPoint=${(row) => { if (row !== place) set({ place: row }); }} />
    <p class="emb-axes soft">${t("emb.axes", { columns: t(show === "cosines" ? "emb.places" : rotary ? "emb.pairs" : "emb.dimensions") })}</p>
    <label class="emb-place"><span>${t("emb.atPlace")}</span><input type="range" min="0" max=${n - 1} value=${place} onInput=${(event) => set({ place: event.target.value })} /><output>${place}</output></label>
    ${rotary && html`<${Hands} angles=${angles.subarray(place * cos.shape[1], (place + 1) * cos.shape[1])} place=${place} />`}
    <${Distance} row=${cosines.data.subarray(place * n, (place + 1) * n)} place=${place} />
    <p class="acts"><button type="button" class="plain" onClick=${() => savePicture(`${name}.png`, canvas.current)}>PNG</button><button type="button" class="plain" onClick=${csv}>CSV</button><${PositionsCode} kind=${one.kind} stack=${one.stack} show=${show} places=${places} /></p>`;
}

/** Each pair as a hand of a clock, turned as far as it is at this place. */
function Hands({ angles, place }) {
  return html`<h3>${t("emb.hands", { place: String(place) })}</h3><p class="soft">${t("emb.hands.what")}</p>
    <ol class="hands" start="0">${Array.from(angles, (angle, i) => html`<li key=${i} title=${`${t("emb.pair", { i: String(i) })}: ${digits(angle)} rad`}>
      <svg viewBox="-12 -12 24 24" role="img" aria-label=${`${t("emb.pair", { i: String(i) })}: ${digits(angle)} rad`} data-angle=${angle}><circle r="10.500" /><path d=${`M0 0L${(9 * Math.cos(angle)).toFixed(2)} ${(-9 * Math.sin(angle)).toFixed(2)}`} /></svg><small>${i}</small></li>`)}</ol>`;
}

/** How alike the other places are to this one. */
function Distance({ row, place }) {
  const [over, setOver] = useState(null), W = 600, H = 150, low = Math.min(0, ...row), x = (i) => (row.length > 1 ? (i / (row.length - 1)) * (W - 50) + 42 : W / 2), y = (v) => 8 + ((1 - v) / (1 - low)) * (H - 30);
  theme.value;
  const at = over ?? place;
  const move = (event) => { const box = event.currentTarget.getBoundingClientRect(), px = ((event.clientX - box.left) / box.width) * W; setOver(Math.max(0, Math.min(row.length - 1, Math.round(((px - 42) / (W - 50)) * (row.length - 1))))); };
  return html`<h3>${t("emb.distance", { place: String(place) })}</h3>
    <svg class="emb-distance" viewBox=${`0 0 ${W} ${H}`} role="img" aria-label=${t("emb.distance", { place: String(place) })} onPointerMove=${move} onPointerLeave=${() => setOver(null)}>
      ${[1, 0.5, 0, ...(low < -0.3 ? [-0.5] : [])].map((v) => html`<g key=${v}><path class="grid" d=${`M42 ${y(v)}H${W - 8}`} /><text x="36" y=${y(v) + 4} text-anchor="end">${v}</text></g>`)}
      <path class="line" d=${"M" + Array.from(row, (v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join("L")} />
      <path class="at" d=${`M${x(place)} 8V${H - 22}`} /><circle cx=${x(at)} cy=${y(row[at])} r="4" />
      <text x="42" y=${H - 6}>0</text><text x=${W - 8} y=${H - 6} text-anchor="end">${row.length - 1}</text></svg>
    <p class="soft heat-say">${t("emb.placeAway", { i: String(at), away: String(at - place) })}: <b>${digits(row[at])}</b></p>`;
}
