// What the map is of, and how it is made.
import { useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { Icon } from "../parts/icons.js";
import { COUNTS, METHODS, facts, set, state } from "./store.js";

export function MapTools() {
  const own = state.value, about = facts(), [typed, setTyped] = useState(own.search);
  const missing = about?.missing[own.method];
  const counts = COUNTS.filter((n, i) => i === 0 || COUNTS[i - 1] < (about?.tokens ?? 0)), most = Math.min(5000, about?.tokens ?? 5000);
  const only = (event) => { event.preventDefault(); set({ only: typed.trim() || null, at: null }); };
  return html`<div class="emb-tools">
    <div class="modes" role="group" aria-label=${t("emb.method")}>${METHODS.map((name) => html`<button type="button" key=${name} title=${t(`emb.${name}.what`)} aria-pressed=${own.method === name} onClick=${() => set({ method: name === "pca" ? null : name, at: null })}>${t(`emb.${name}`)}</button>`)}</div>
    <label><span>${t(about?.counted ? "emb.mostFrequent" : "emb.firstOnes")}</span><select value=${own.count} onChange=${(event) => set({ n: event.target.value, at: null })}>
      ${[...new Set([...counts, own.count])].sort((a, b) => a - b).map((n) => html`<option key=${n} value=${n}>${number(Math.min(n, most))}</option>`)}</select></label>
    <form class="search" role="search" onSubmit=${only}><${Icon} name="search" /><input type="search" value=${typed} aria-label=${t("emb.only")} placeholder=${t("emb.only")} onInput=${(event) => { setTyped(event.target.value); if (!event.target.value && own.search) set({ only: null, at: null }); }} onChange=${only} /></form>
    <label class="tick"><input type="checkbox" checked=${own.unit} onChange=${(event) => set({ unit: event.target.checked ? "1" : null, at: null })} /><span title=${t("emb.unit.what")}>${t("emb.unit")}</span></label>
    ${missing && html`<p class="soft">${t("emb.missing", { package: missing })} <code>pip install 'limpid[maps]'</code></p>`}
  </div>`;
}
