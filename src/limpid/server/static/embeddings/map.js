// The map: points one can push around, labels that have room, and what is chosen marked on it.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { digits, percent, shown } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { theme } from "../lib/preferences.js";
import { IconButton } from "../parts/icons.js";
import { analogy, choose, making, map, near, set, state } from "./store.js";
import { drawMap, svgMap } from "./draw.js";
import { hit, toMap, toScreen, toward, whole } from "./plot.js";
import { save, savePicture, saveTable } from "../lib/save.js";
import { MapCode } from "./code.js";
import { MapTools } from "./tools.js";

export function MapView() {
  const value = map.value?.value, failure = map.value?.failure;
  return html`<section class="emb-map" aria-label=${t("emb.map")}>
    <${MapTools} />
    <div class="emb-stage">
      ${value && html`<${Plot} key=${map.value.key} points=${value} />`}
      ${making.value && html`<${Making} at=${making.value} />`}
      ${failure && html`<p class="emb-note" role="alert">${failure.code === "too_few_points" ? t("emb.tooFew") : failure.message}</p>`}
    </div>
    ${value && html`<${Foot} value=${value} />`}
  </section>`;
}

function Making({ at }) {
  const known = at.done > 0;
  return html`<div class="emb-making" role="status"><p>${t("emb.making", { method: t(`emb.${state.value.method}`), n: at.points })}</p>
    <progress max="1" value=${known ? at.done : undefined} aria-label=${t("emb.progress")}></progress>
    <p class="soft">${known ? percent(at.done) : t("emb.preparing")} · ${t("emb.seconds", { n: Math.round(at.seconds) })}</p></div>`;
}

function Foot({ value }) {
  const { method } = state.value, [first, second] = value.explained ?? [];
  return html`<p class="emb-foot soft">${t("emb.points", { n: value.tokens.length })} · ${value.explained ? t("emb.explained", { first: percent(first), second: percent(second) }) : t("emb.neighbourly", { method: t(`emb.${method}`) })}</p>
    <details class="as-table"><summary>${t("emb.asTable")}</summary>
      <div class="scrolls" tabindex="0" role="region" aria-label=${t("emb.asTable")}><table><thead><tr><th scope="col">${t("token")}</th><th scope="col">id</th><th scope="col">x</th><th scope="col">y</th></tr></thead>
      <tbody>${value.tokens.slice(0, 200).map((token, i) => html`<tr key=${token.id}><th scope="row"><button type="button" class="link" onClick=${() => choose({ id: token.id })}><bdi>${shown(token)}</bdi></button></th><td>${token.id}</td><td>${digits(value.x[i])}</td><td>${digits(value.y[i])}</td></tr>`)}</tbody></table></div>
      ${value.tokens.length > 200 && html`<p class="soft">${t("emb.restInCsv", { n: value.tokens.length - 200 })}</p>`}</details>`;
}

/** What is marked, by place in the list of points: the chosen, its neighbours, the pins, and the analogy's four. */
function marksOf(points) {
  const { chosen, pins, a, b, c } = state.value, at = new Map(points.tokens.map((token, i) => [token.id, i]));
  const place = (token) => at.get(token?.id) ?? -1;
  const own = chosen?.id !== undefined ? [chosen] : near.value?.value && near.value.value.of.length === 1 ? near.value.value.of : [];
  const found = analogy.value?.value && a && b && c ? analogy.value.value : null;
  const single = (tokens) => (tokens.length === 1 ? place(tokens[0]) : -1);
  return {
    chosen: own.length ? place(own[0]) : -1,
    near: chosen ? (near.value?.value?.near ?? []).slice(0, 12).map(place).filter((i) => i >= 0) : [],
    pins: pins.map((one) => (one.id !== undefined ? at.get(one.id) ?? -1 : -1)).filter((i) => i >= 0),
    analogy: found && [single(found.a), single(found.b), single(found.c), place(found.near[0])],
  };
}

function Plot({ points }) {
  const canvas = useRef(null), box = useRef(null), live = useRef({ sight: null, screen: null, labels: [], width: 0, height: 0, drag: null });
  const [over, setOver] = useState(null);
  const marks = marksOf(points), now = live.current;
  theme.value;

  const draw = () => {
    const { width, height } = now;
    if (!width) return;
    const [sx, sy, scale] = state.value.sight;
    now.sight ??= Number.isFinite(scale) ? { x: sx, y: sy, scale: scale * Math.min(width, height) } : whole(points.x, points.y, width, height);
    const screen = (now.screen = new Float64Array(2 * points.x.length));
    for (let i = 0; i < points.x.length; i++) [screen[2 * i], screen[2 * i + 1]] = toScreen(now.sight, width, height, points.x[i], points.y[i]);
    now.marks = marks;
    now.labels = drawMap(canvas.current, { width, height, screen, tokens: points.tokens, marks });
    canvas.current.dataset.sight = JSON.stringify(now.sight);
  };
  const later = () => { now.due ??= requestAnimationFrame(() => { now.due = null; draw(); }); };
  const keep = () => {
    clearTimeout(now.keeping);
    now.keeping = setTimeout(() => { const { x, y, scale } = now.sight; set({ at: [x, y, scale / Math.min(now.width, now.height)].map((one) => Number(one.toPrecision(6))).join(",") }); }, 300);
  };
  const zoom = (factor, px = now.width / 2, py = now.height / 2) => {
    const [mx, my] = toMap(now.sight, now.width, now.height, px, py);
    const scale = now.sight.scale * factor;
    now.sight = { scale, x: mx - (px - now.width / 2) / scale, y: my + (py - now.height / 2) / scale };
    later(); keep();
  };
  const all = () => { now.sight = null; clearTimeout(now.keeping); set({ at: null }); later(); };

  useLayoutEffect(() => {
    const measure = () => {
      const { clientWidth, clientHeight } = box.current;
      if (clientWidth === now.width && clientHeight === now.height) return;
      if (now.sight && now.width) now.sight.scale *= Math.min(clientWidth, clientHeight) / Math.min(now.width, now.height);
      now.width = clientWidth; now.height = clientHeight;
      draw();
    };
    const watch = new ResizeObserver(measure);
    watch.observe(box.current);
    measure();
    document.fonts?.ready.then(later);
    return () => { watch.disconnect(); cancelAnimationFrame(now.due); clearTimeout(now.keeping); };
  }, [points]);
  useEffect(() => { draw(); });
  useEffect(() => { // not passive: the page must not scroll
    const wheel = (event) => { event.preventDefault(); const r = canvas.current.getBoundingClientRect(); zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), event.clientX - r.left, event.clientY - r.top); };
    canvas.current.addEventListener("wheel", wheel, { passive: false });
    return () => canvas.current?.removeEventListener("wheel", wheel);
  }, [points]);

  const at = (event) => { const r = canvas.current.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
  const under = (x, y) => { const label = now.labels.find(({ box: b }) => x >= b[0] && x <= b[2] && y >= b[1] && y <= b[3]); return label ? label.at : hit(now.screen, x, y); };
  const fingers = (now.fingers ??= new Map());
  const down = (event) => { canvas.current.setPointerCapture(event.pointerId); fingers.set(event.pointerId, at(event)); now.drag = { from: at(event), moved: false, sight: now.sight, spread: spread() }; };
  const spread = () => { const [a, b] = [...fingers.values()]; return b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0; };
  const move = (event) => {
    const [x, y] = at(event);
    if (!now.drag || !fingers.has(event.pointerId)) { const i = under(x, y); setOver(i < 0 ? null : { i, x, y }); return; }
    const before = fingers.get(event.pointerId);
    if (fingers.size === 2) { const was = spread(); fingers.set(event.pointerId, [x, y]); now.drag.moved = true; if (was) zoom(spread() / was, x, y); return; }
    fingers.set(event.pointerId, [x, y]);
    if (!now.drag.moved && Math.hypot(x - now.drag.from[0], y - now.drag.from[1]) < 4) return;
    now.drag.moved = true;
    now.sight = { ...now.sight, x: now.sight.x - (x - before[0]) / now.sight.scale, y: now.sight.y + (y - before[1]) / now.sight.scale };
    setOver(null); later(); keep();
  };
  const up = (event) => {
    const drag = now.drag;
    fingers.delete(event.pointerId);
    if (fingers.size) return;
    now.drag = null;
    if (event.type !== "pointerup" || !drag || drag.moved) return;
    const i = under(...at(event));
    if (i >= 0) choose({ id: points.tokens[i].id });
  };
  const keys = (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step && event.shiftKey) { now.sight = { ...now.sight, x: now.sight.x + (40 * step[0]) / now.sight.scale, y: now.sight.y - (40 * step[1]) / now.sight.scale }; later(); keep(); }
    else if (step) { const from = marks.chosen >= 0 ? marks.chosen : Math.max(0, hit(now.screen, now.width / 2, now.height / 2, Infinity)); const to = marks.chosen >= 0 ? toward(now.screen, from, ...step) : from; if (to >= 0) choose({ id: points.tokens[to].id }); }
    else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "0") all();
    else if (event.key === "Escape") choose(null);
    else return;
    event.preventDefault();
  };
  const name = `limpid-map-${state.value.method}`;
  const token = over && points.tokens[over.i];
  return html`<div class="emb-plot"><div class="emb-canvas" ref=${box}>
    <canvas ref=${canvas} tabindex="0" role="application" aria-roledescription=${t("emb.map")} aria-label=${t("emb.mapLabel", { n: points.tokens.length })} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up} onPointerLeave=${() => setOver(null)} onKeyDown=${keys} onDblClick=${(event) => zoom(2, ...at(event))}></canvas>
    ${token && html`<p class="emb-tip" style=${{ left: `${Math.min(over.x + 12, now.width - 150)}px`, top: `${Math.max(4, over.y - 34)}px` }}><b><bdi>${shown(token)}</bdi></b> #${token.id}${token.count !== undefined ? ` · ${t("emb.times", { n: token.count })}` : ""} · (${digits(points.x[over.i])}, ${digits(points.y[over.i])})</p>`}
    <div class="emb-zoom"><${IconButton} name="add" label=${t("emb.zoomIn")} keys="+" onClick=${() => zoom(1.4)} /><${IconButton} name="minus" label=${t("emb.zoomOut")} keys="-" onClick=${() => zoom(1 / 1.4)} /><${IconButton} name="whole" label=${t("emb.whole")} keys="0" onClick=${all} /></div></div>
    <div class="emb-out"><button type="button" class="plain" onClick=${() => savePicture(`${name}.png`, canvas.current)}>PNG</button><button type="button" class="plain" onClick=${() => save(`${name}.svg`, svgMap({ width: now.width, height: now.height, screen: now.screen, tokens: points.tokens, marks, labels: now.labels }), "image/svg+xml")}>SVG</button><button type="button" class="plain" onClick=${() => saveTable(name, [["token", "bytes", "id", "x", "y"], ...points.tokens.map((one, i) => [one.text ?? "", one.bytes, one.id, points.x[i], points.y[i]])])}>CSV</button><${MapCode} points=${points} /></div>
    <p class="hidden" aria-live="polite">${marks.chosen >= 0 ? `${shown(points.tokens[marks.chosen])}, ${t("emb.neighboursOnMap", { n: marks.near.length })}` : ""}</p>
  </div>`;
}
