// The Reading page: what models tell that write nothing. An encoder fills hidden tokens in, a classifier names a class.
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { said } from "../lib/failures.js";
import { readers } from "../lib/server.js";
import { words } from "../i18n/reading.js";
import { Classes } from "./classes.js";
import { Filled, Tokens } from "./fill.js";
import { Form } from "./form.js";
import { busy, failure, follow, own, read } from "./store.js";

addWords(words);

export function ReadingPage() {
  useEffect(() => { addEventListener("keydown", shortcuts); return () => removeEventListener("keydown", shortcuts); }, []);
  useEffect(() => follow(), []);
  if (!readers().length) return html`<main id="main" class="wait" tabindex="-1"><p>${t("reading.none")}</p></main>`;
  const encodes = own.value.kind === "encoder", here = read.value?.model === own.value.name ? read.value : null;
  return html`<main id="main" class="reading-page" tabindex="-1" aria-label=${t("reading")} aria-busy=${busy.value && !failure.value}>
    <h1 class="hidden">${t("reading")}</h1>
    <${Form} key=${own.value.name} />
    ${failure.value && html`<p class="banner" role="alert">${said(failure.value)}</p>`}
    ${here && (encodes ? html`<${Tokens} here=${here} /><${Filled} here=${here} />` : html`<${Classes} here=${here} />`)}
  </main>`;
}

function shortcuts(event) {
  if (event.isComposing || document.querySelector("dialog[open]") || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  if (event.key === "/") { event.preventDefault(); document.querySelector(".reading-form textarea")?.focus(); }
}
