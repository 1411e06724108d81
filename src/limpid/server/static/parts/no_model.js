// What stands where a page needs a model and the server has none: the pages that need none.
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { address } from "../lib/route.js";

export function NoModel() {
  return html`<main id="main" class="wait" tabindex="-1"><p>${t("noModel")}</p>
    <p class="acts">${["lessons", "playground", "perceptron", "runs"].map((name) => html`<a key=${name} class="plain" href=${address(name)}>${t(name)}</a>`)}</p>
    <p class="soft">${t("noModel.serve")}</p></main>`;
}
