// The page of runs: at the left what there is, and of the chosen ones the curves, the words and what can be done.
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { words } from "../i18n/runs.js";
import { IconButton } from "../parts/icons.js";
import { Charts } from "./charts.js";
import { Detail, Head } from "./detail.js";
import { List } from "./list.js";
import { curves, list, loadCurves, loadDetail, state, trouble, watch } from "./store.js";

addWords(words);

export function RunsPage() {
  const own = state.value, there = list.value !== null;
  useEffect(watch, []);
  useEffect(() => { if (there) loadCurves(); }, [there, own.chosen.join("|"), own.x, own.smooth, own.logX, own.low, own.high]);
  useEffect(() => { if (there) loadDetail(); }, [there, own.focus]);
  const busy = !trouble.value && (!there || (own.chosen.length > 0 && own.chosen.every((name) => curves.value[name] === undefined)));
  return html`<div class="runs-page">
    ${there ? html`<${List} />` : html`<nav class="runs-list" aria-label=${t("runs.list")}></nav>`}
    <main id="main" tabindex="-1" aria-label=${t("runs")} aria-busy=${busy}>
      ${trouble.value && html`<div class="banner" role="alert"><p>${trouble.value.text ?? t("noServer")}</p><${IconButton} name="close" label=${t("close")} onClick=${() => { trouble.value = null; }} /></div>`}
      ${there && (own.focus ? html`<${Head} /><${Charts} /><${Detail} />` : html`<div class="emb-empty"><h1>${t("runs.title")}</h1><p class="soft">${t("runs.what")}</p></div>`)}
    </main></div>`;
}
