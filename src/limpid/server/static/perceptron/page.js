// The perceptron: a decision by hand, the same learned, and where one neuron is not enough.
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { words as playground } from "../i18n/playground.js";
import { words } from "../i18n/perceptron.js";
import { Decide } from "./decide.js";
import { Layers } from "./layers.js";
import { Learn } from "./learn.js";
import { about, enter, fault, leave, lesson, picture } from "./store.js";

addWords(playground);
addWords(words);

export function PerceptronPage() {
  useEffect(() => { enter(); return leave; }, []);
  const status = lesson.value?.status.value ?? "opening";
  return html`<main id="main" class="play percept" tabindex="-1" aria-busy=${!picture.value} aria-label=${t("perceptron")}>
    <div class="troubles" role="alert">${status !== "open" && status !== "opening" && html`<div class="banner"><p>${t("play.lost", { why: status })}</p><button type="button" class="plain" onClick=${() => lesson.value.open()}>${t("retry")}</button></div>`}
      ${fault.value && html`<div class="banner fault"><p>${fault.value}</p></div>`}</div>
    <div class="percept-body"><header><h1>${t("percept.title")}</h1><p class="lead">${t("percept.what")}</p></header>
      <${Decide} />${about.value && html`<${Learn} /><${Layers} />`}</div>
  </main>`;
}
