// Beside the map: finding a token or a word, what is near it, what is pinned, and analogies.
import { useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { digits, hex, shown } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { Icon, IconButton } from "../parts/icons.js";
import { analogy, ask, choose, found, forget, map, near, pin, rows, same, set, source, state, table, tokenOf } from "./store.js";
import { AnalogyCode, NearCode } from "./code.js";
import { saveTable } from "../lib/save.js";

export function Side() {
  return html`<aside class="emb-side" aria-label=${t("emb.side")}>
    <${Find} /><${Chosen} /><${Pins} /><${Analogy} />
  </aside>`;
}

function Find() {
  const [text, setText] = useState("");
  const look = (value) => { setText(value); if (value) ask(found, "search", { ...source(), table: table(), search: value, count: 30 }); else forget(found); };
  const take = (one) => { choose(one); look(""); };
  const here = found.value?.body?.search === text ? found.value.value : null;
  const submit = (event) => { event.preventDefault(); if (here?.tokens.length && here.word?.length !== 1) take(here.word ? { word: text } : { id: here.tokens[0].id }); else if (here?.word) take({ id: here.word[0].id }); };
  return html`<section class="emb-find"><form class="search" role="search" onSubmit=${submit}><${Icon} name="search" /><input id="emb-find" type="search" value=${text} aria-label=${t("emb.find")} placeholder=${t("emb.find")} aria-describedby="emb-find-how" onInput=${(event) => look(event.target.value)} /></form>
    ${!text && html`<p id="emb-find-how" class="soft">${t("emb.findHow")}</p>`}
    ${text && here && html`<ul class="emb-found">
      ${here.word?.length > 1 && html`<li><button type="button" onClick=${() => take({ word: text })}><b><bdi>${text}</bdi></b><small>${t("emb.meanOf", { parts: here.word.map(shown).join(" · ") })}</small></button></li>`}
      ${here.tokens.map((one) => html`<li key=${one.id}><button type="button" onClick=${() => take({ id: one.id })}><${Name} token=${one} /><small>#${one.id}${one.count !== undefined ? ` · ${t("emb.times", { n: one.count })}` : ""}</small></button></li>`)}
      ${!here.tokens.length && !(here.word?.length > 1) && html`<li class="soft">${t("emb.nothing")}</li>`}</ul>`}
  </section>`;
}

export const Name = ({ token }) => html`<span class=${`name ${token.special ? "control" : token.text ? "" : "mono"}`}><bdi>${shown(token)}</bdi></span>`;
const spelling = (tokens) => tokens.map(shown).join(" · ");

function Chosen() {
  const { chosen, pins, among, also } = state.value;
  if (!chosen) return html`<section class="inspect-hint"><h2>${t("emb.title")}</h2><p>${t("emb.what")}</p></section>`;
  const { value, failure } = near.value && same(near.value.body.of, chosen) ? near.value : {}; // not of another, while this one's comes
  if (failure) return html`<section><p role="alert">${failure.message}</p></section>`;
  if (!value) return html`<section class="emb-wait"></section>`;
  const { of } = value, own = of.length === 1 ? of[0] : null, points = map.value?.value?.tokens;
  const pinned = pins.some((one) => same(one, chosen));
  const onMap = !points || !own || points.some((one) => one.id === own.id);
  const csv = () => saveTable(`limpid-near-${own ? own.id : chosen.word}`, [["token", "bytes", "id", "cosine", "inner product"], ...value.near.map((one) => [one.text ?? "", one.bytes, one.id, one.cosine, one.product])]);
  return html`<section aria-label=${t("emb.chosen")}>
    <p class=${`big ${own?.special ? "control" : ""}`}><bdi>${chosen.word ?? shown(own)}</bdi></p>
    <p class="emb-of soft">${own ? html`#${own.id}${own.bytes ? ` · ${hex(own.bytes)}` : ""}${own.count !== undefined ? ` · ${t("emb.times", { n: own.count })}` : ""}` : t("emb.meanOf", { parts: spelling(of) })} · ${t("emb.norm", { norm: digits(value.norm) })}</p>
    <p class="acts"><button type="button" class="plain" aria-pressed=${pinned} onClick=${() => pin(chosen)}><${Icon} name="pin" />${t(pinned ? "emb.unpin" : "emb.pin")}</button>
      ${!onMap && html`<button type="button" class="plain" onClick=${() => set({ also: [...also, own.id].slice(-32).join(",") })}><${Icon} name="add" />${t("emb.putOn")}</button>`}</p>
    <div class="split"><h3>${t("emb.near")}</h3><div class="modes" role="group" aria-label=${t("emb.among")}>${["tokens", "words"].map((name) => html`<button type="button" key=${name} aria-pressed=${among === name} onClick=${() => set({ among: name === "tokens" ? null : name })}>${t(`emb.among.${name}`)}</button>`)}</div></div>
    <${NearTable} rows=${value.near} />
    <p class="acts"><button type="button" class="plain" onClick=${csv}>CSV</button><${NearCode} /></p>
  </section>`;
}

function NearTable({ rows, word = false }) {
  const top = Math.max(...rows.map((one) => Math.abs(one.cosine)), 1e-9);
  return html`<table class="emb-near"><thead class="hidden"><tr><th scope="col">${t("token")}</th><th scope="col">${t("emb.cosine")}</th></tr></thead><tbody>${rows.map((one) =>
    html`<tr key=${one.id}><th scope="row"><button type="button" class="link" title=${`#${one.id}`} data-id=${one.id} onClick=${() => choose({ id: one.id })}>${word ? html`<span class="name"><bdi>${one.word}</bdi></span>` : html`<${Name} token=${one} />`}</button></th>
      <td class="reach" aria-hidden="true"><i style=${{ width: `${(100 * Math.max(0, one.cosine)) / top}%` }}></i></td><td data-cosine=${one.cosine}>${one.cosine.toFixed(3)}</td></tr>`)}</tbody></table>`;
}

function Pins() {
  const { pins, chosen } = state.value;
  [map.value, near.value, rows.value]; // each may bring a name
  if (!pins.length) return null;
  const label = (one) => one.word ?? (tokenOf(one.id) ? shown(tokenOf(one.id)) : `#${one.id}`);
  return html`<section class="emb-pins"><h3>${t("emb.pins")}</h3><ul>${pins.map((one) => html`<li key=${one.word ?? one.id} class=${chosen && same(one, chosen) ? "here" : ""}><button type="button" class="link" onClick=${() => choose(one)}><bdi>${label(one)}</bdi></button><${IconButton} name="close" label=${t("emb.unpinOne", { token: label(one) })} onClick=${() => pin(one)} /></li>`)}</ul>
    <p class="acts"><button type="button" class="plain" onClick=${() => set({}, "vectors")}>${t("emb.compare")}</button><button type="button" class="plain" onClick=${() => set({ pins: null })}>${t("emb.unpinAll")}</button></p></section>`;
}

function Analogy() {
  const { a, b, c } = state.value, { value, failure } = analogy.value ?? {};
  const word = (name) => html`<label><span>${name.toUpperCase()}</span><input key=${name} type="text" value=${state.value[name]} autocapitalize="off" spellcheck="false" onChange=${(event) => set({ [name]: event.target.value.trim() || null })} /></label>`;
  return html`<section class="emb-analogy"><h3>${t("emb.analogy")}</h3><p class="soft">${t("emb.analogy.what")}</p>
    <form onSubmit=${(event) => event.preventDefault()}>${word("a")}<span aria-hidden="true">:</span>${word("b")}<span aria-hidden="true">=</span>${word("c")}<span aria-hidden="true">: ?</span></form>
    ${failure && html`<p role="alert">${failure.message}</p>`}
    ${value && a && b && c && html`${["a", "b", "c"].some((name) => value[name].length > 1) && html`<p class="soft">${["a", "b", "c"].filter((name) => value[name].length > 1).map((name) => `${state.value[name]} = ${spelling(value[name])}`).join("; ")}</p>`}
      <${NearTable} rows=${value.near} word /><p class="acts"><${AnalogyCode} /></p>`}</section>`;
}
