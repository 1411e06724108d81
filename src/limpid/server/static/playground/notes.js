// What there is to learn here, each idea with something to try.
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { address } from "../lib/route.js";
import { Icon } from "../parts/icons.js";
import { shows, state } from "./store.js";

/** An idea, and the state that shows it. */
const IDEAS = [
  ["see", "dataset=circle"],
  ["line", "dataset=circle&networkShape=&activation=linear"],
  ["features", "dataset=circle&networkShape=&x=false&y=false&xSquared=true&ySquared=true&loss=crossEntropy"],
  ["layers", "dataset=xor&networkShape=4,2&activation=relu"],
  ["rate", "dataset=circle&learningRate=3"],
  ["overfit", "dataset=gauss&noise=50&percTrainData=10&networkShape=8,8&learningRate=0.1&batchSize=5&showTestData=true"],
  ["pull", "dataset=gauss&noise=50&percTrainData=10&networkShape=8,8&learningRate=0.1&batchSize=5&showTestData=true&regularization=L2&regularizationRate=0.03"],
  ["spiral", "dataset=spiral&networkShape=8,8&optimizer=adam&loss=crossEntropy&learningRate=0.01&sinX=true&sinY=true"],
  ["explode", "problem=regression&activation=linear&learningRate=10"],
];

export function Notes({ onCode, onPaste }) {
  return html`<section class="play-notes" aria-labelledby="play-notes">
    <header><h2 id="play-notes">${t("play.notes")}</h2><button type="button" class="plain" onClick=${onCode}><${Icon} name="code" />${t("play.showCode")}</button><button type="button" class="plain" onClick=${onPaste}><${Icon} name="in" />${t("play.paste")}</button></header>
    ${shows("notes") && html`<div>${IDEAS.map(([name, query]) => html`<article key=${name}><h3>${t(`play.idea.${name}`)}</h3><p>${t(`play.idea.${name}.what`)}</p><a href=${`#/playground?${query}&seed=${state.value.settings.seed}`}>${t("play.try")}</a></article>`)}
      <article><h3>${t("play.idea.perceptron")}</h3><p>${t("play.idea.perceptron.what")}</p><a href=${address("perceptron")}>${t("perceptron")}</a></article></div>`}
  </section>`;
}
