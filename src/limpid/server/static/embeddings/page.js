// The embeddings page: the table that gives each token its vector, as a map, as rows of numbers, and the places beside it.
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, number, t } from "../lib/i18n.js";
import { server } from "../lib/server.js";
import { words } from "../i18n/embeddings.js";
import { NoModel } from "../parts/no_model.js";
import { MapView } from "./map.js";
import { Side } from "./panel.js";
import { PositionsView } from "./positions.js";
import { VIEWS, about, facts, loadAbout, loadAnalogy, loadMap, loadNear, loadRows, map, set, state, table } from "./store.js";
import { VectorsView } from "./vectors.js";

addWords(words);

export function EmbeddingsPage() {
  const own = state.value, here = facts(), failure = (about.value?.body?.run ?? about.value?.body?.model) === (own.run ?? own.model) && about.value.failure;
  useEffect(() => { if (own.model || own.run) loadAbout(); }, [own.model, own.run]);
  useEffect(() => { if (own.view === "map") loadMap(); }, [here, own.view, own.table, own.method, own.count, own.search, own.unit, own.also.join()]);
  useEffect(() => { loadNear(); }, [here, own.table, JSON.stringify(own.chosen), own.among]);
  useEffect(() => { loadAnalogy(); }, [here, own.table, own.a, own.b, own.c]);
  useEffect(() => { loadRows(); }, [here, own.view, own.table, JSON.stringify([own.chosen, own.pins])]);
  if (!own.model && !own.run) return html`<${NoModel} />`;
  const busy = !failure && (!here || (own.view === "map" && !map.value));
  return html`<div class="emb-page">
    <main id="main" tabindex="-1" aria-label=${t("embeddings")} aria-busy=${busy}>
      <header class="emb-head"><${Choices} /><${Views} /></header>
      ${failure ? html`<p class="emb-note" role="alert">${failure.message}</p>` : !here ? html`<p class="emb-note soft" role="status">${t("emb.opening")}</p>`
        : own.view === "map" ? html`<${MapView} />` : own.view === "vectors" ? html`<${VectorsView} />` : html`<${PositionsView} />`}
    </main>
    ${here && own.view !== "positions" && html`<${Side} />`}
  </div>`;
}

function Choices() {
  const own = state.value, here = facts();
  return html`<div class="emb-choices"><label><span>${t("model")}</span><select value=${own.model ?? ""} onChange=${(event) => set({ m: event.target.value, run: null, table: null, t: null, pins: null, also: null, at: null, stack: null, show: null, places: null, place: null })}>${own.run && html`<option value="">${own.run}</option>`}${server.value.models.map((one) => html`<option key=${one.name} value=${one.name}>${one.name}</option>`)}</select></label>
    ${here?.tables.length > 1 && html`<label><span>${t("emb.table")}</span><select value=${table()} onChange=${(event) => set({ table: event.target.value === "input" ? null : "output", at: null })}>${here.tables.map((one) => html`<option key=${one} value=${one}>${t(`emb.table.${one}`)}</option>`)}</select></label>`}
    ${here && html`<span class="soft">${number(here.tokens)} × ${number(here.width)}${here.tables.length === 1 && here.positions.length ? ` · ${t("emb.tied")}` : ""}</span>`}</div>`;
}

function Views() {
  const { view } = state.value;
  return html`<nav class="emb-views" aria-label=${t("emb.views")}>${VIEWS.map((name) => html`<button type="button" key=${name} aria-current=${view === name ? "true" : undefined} onClick=${() => set({}, name)}>${t(`emb.view.${name}`)}</button>`)}</nav>`;
}
