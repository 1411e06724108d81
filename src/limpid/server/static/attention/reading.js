// The text itself: pointing at a token shows where it looks, pinning keeps it; what is looked at is tinted.
import { useEffect, useMemo, useRef } from "preact/hooks";
import { effect } from "@preact/signals";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { hex, visible } from "../lib/format.js";
import { cell, row as rowOf } from "../lib/trace.js";
import { matrices } from "./matrices.js";
import { chosen, choose, cursor, keyTokens, pointed, queryTokens, spoken, trace } from "./store.js";
import { quoted, weight } from "./words.js";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const raw = (token) => Uint8Array.from(token.bytes.match(/../g) ?? [], (pair) => parseInt(pair, 16));
/** A token as it is read: its characters, what cannot be seen made visible; a chip where it is none. */
function Piece({ token, place }) {
  let text = "";
  if (!token.special) try { text = decoder.decode(raw(token)); } catch { /* bytes that are no character */ }
  if (!text) return html`<span data-at=${place} class="piece chip">${token.label}</span>`;
  return html`<span data-at=${place} class="piece">${visible(text).replace(/␣/g, " ").replace(/⏎/g, "⏎\n")}</span>`;
}

/** The text; under a character that several tokens make stand their bytes. */
function pieces(tokens) {
  const nodes = [];
  for (let at = 0; at < tokens.length; at++) {
    let end = at;
    if (tokens[at].character) while (end < tokens.length && tokens[end].character === tokens[at].character && !tokens[end].completes) end++;
    if (end === at || !tokens[end]?.completes) { nodes.push(html`<${Piece} key=${at} token=${tokens[at]} place=${at} />`); continue; }
    const parts = tokens.slice(at, end + 1), first = at;
    nodes.push(html`<span key=${at} class="whole"><span>${visible(tokens[at].character)}</span><span class="bytes">${parts.map((token, i) => html`<span data-at=${first + i} data-hex=${hex(token.bytes)} class="piece byte"></span>`)}</span></span>`);
    at = end;
  }
  return nodes;
}

/** One side of the attention as running text. side: "row" (who looks), "column" (what is looked at), or "both". */
function Side({ tokens, side, title }) {
  const box = useRef(null), { row, column } = chosen.value, now = side === "column" ? column : row, last = tokens.length - 1;
  useEffect(() => effect(() => tint(box.current, side)), [tokens, side]);
  const at = (event) => { const token = event.target.closest("[data-at]"); return token ? Number(token.dataset.at) : null; };
  const where = (place) => (side === "column" ? { row: null, column: place } : { row: place, column: null });
  const pin = (place) => {
    choose(place === now ? { row: null, column: null } : where(place));
    const weights = matrices.peek()?.weights;
    if (weights && side !== "column") spoken.value = best(weights, place);
  };
  const key = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const place = Math.max(0, Math.min(last, (now ?? (by > 0 ? -1 : last + 1)) + by));
    pointed.value = null;
    choose(where(place));
    box.current.querySelector(`[data-at="${place}"]`)?.scrollIntoView({ block: "nearest" });
    const weights = matrices.peek()?.weights;
    spoken.value = weights && side !== "column" ? best(weights, place) : quoted(tokens[place]);
  };
  return html`<div class="reading" ref=${box} tabindex="0" role="group" aria-label=${title} dir="auto"
    onPointerMove=${(event) => { const place = at(event), was = pointed.peek(); if (place !== null && (was?.row !== where(place).row || was?.column !== where(place).column)) pointed.value = where(place); }}
    onPointerLeave=${() => { pointed.value = null; }} onClick=${(event) => { const place = at(event); if (place !== null) pin(place); }} onKeyDown=${key}>
    ${useMemo(() => pieces(tokens), [tokens])}
  </div>`;
}

const best = (weights, row) => {
  const values = rowOf(weights, row);
  let most = 0;
  for (let j = 1; j < values.length; j++) if (values[j] > values[most]) most = j;
  return t("attention.cell", { from: `${quoted(queryTokens.peek()[row])} ${row}`, to: `${quoted(keyTokens.peek()[most])} ${most}`, value: weight(values[most]) });
};

/** Tint by the row (or column) that is looked at, on the elements themselves: it follows the pointer. */
function tint(box, side) {
  const { row, column } = cursor.value, weights = matrices.value?.weights, { row: pinned, column: pinnedColumn } = chosen.value;
  const spans = box.querySelectorAll("[data-at]"), byColumn = row === null && column !== null;
  const shown = weights && (side === "both" || (side === "column") === !byColumn);
  for (let i = 0; i < spans.length; i++) {
    const value = !shown ? 0 : byColumn ? (i < weights.shape[0] ? cell(weights, i, column) : 0) : row !== null && i < weights.shape[1] ? cell(weights, row, i) : 0;
    const text = value > 0.0005 ? String(Math.sqrt(value)) : "";
    if (spans[i].style.getPropertyValue("--t") !== text) { if (text) spans[i].style.setProperty("--t", text); else spans[i].style.removeProperty("--t"); }
    const here = (side !== "column" && i === row) || (side !== "row" && byColumn && i === column), fixed = (side !== "column" && i === pinned) || (side !== "row" && i === pinnedColumn && pinned === null);
    spans[i].classList.toggle("here", here);
    spans[i].classList.toggle("pinned", fixed);
  }
}

export function Reading() {
  const { stack, kind } = chosen.value;
  if (!trace.value || !stack) return null;
  if (kind !== "cross_attn") return html`<section class="texts"><${Side} tokens=${queryTokens.value} side="both" title=${t("attention.text")} /></section>`;
  return html`<section class="texts two">
    <div><h3>${t("attention.source")}</h3><${Side} tokens=${keyTokens.value} side="column" title=${t("attention.source")} /></div>
    <div><h3>${t("attention.target")}</h3><${Side} tokens=${queryTokens.value} side="row" title=${t("attention.target")} /></div>
  </section>`;
}
