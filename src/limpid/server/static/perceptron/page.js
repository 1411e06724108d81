// The perceptron: a decision by hand, the same learned, and where one neuron is not enough.
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { words as playground } from "../i18n/playground.js";
import { words } from "../i18n/perceptron.js";
import { Decide } from "./decide.js";
import { Layers } from "./layers.js";
import { Learn } from "./learn.js";
import { about, decision, enter, fault, leave, lesson, picture } from "./store.js";

addWords(playground);
addWords(words);

/** What prints the numbers of this page. */
function Code() {
  const { weights, threshold } = decision.value, noise = about.value?.noise ?? 1;
  const text = `from limpid.lessons.perceptron import Decision, GradientDescent, PerceptronRule, people
from limpid.lessons.perceptron.learning import scaled
from limpid.lessons.perceptron.xor import nets

for case in Decision((${weights.map((one) => `${one}.0`.replace(/(\.\d+)\.0$/, "$1")).join(", ")}), ${threshold}).cases():
    print(case)

habits = people(noise=${noise})
for learner in (PerceptronRule(), GradientDescent()):
    learner.learn(habits)  # all 10,000 of them once
    print(type(learner).__name__, scaled(learner.decision()), habits.right(learner.decision()))

for name, net in nets().items():
    print(name, net.run(150).history[-1], net.accuracies())
`;
  return html`<section class="percept-code"><details><summary>${t("percept.python")}</summary><pre class="play-program" tabindex="0" aria-label=${t("percept.python")}><code>${text}</code></pre></details></section>`;
}

export function PerceptronPage() {
  useEffect(() => { enter(); return leave; }, []);
  const status = lesson.value?.status.value ?? "opening";
  return html`<main id="main" class="play percept" tabindex="-1" aria-busy=${!picture.value} aria-label=${t("perceptron")}>
    <div class="troubles" role="alert">${status !== "open" && status !== "opening" && html`<div class="banner"><p>${t("play.lost", { why: status })}</p><button type="button" class="plain" onClick=${() => lesson.value.open()}>${t("retry")}</button></div>`}
      ${fault.value && html`<div class="banner fault"><p>${fault.value}</p></div>`}</div>
    <div class="percept-body"><header><h1>${t("percept.title")}</h1><p class="lead">${t("percept.what")}</p></header>
      <${Decide} />${about.value && html`<${Learn} /><${Layers} />`}<${Code} /></div>
  </main>`;
}
