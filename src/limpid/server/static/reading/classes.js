// A classifier: the class of a text, with the probability of each; or the score of two.
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { digits, percent } from "../lib/format.js";
import { address } from "../lib/route.js";
import { python } from "../lib/opening.js";
import { CodeButton } from "../parts/code.js";
import { own } from "./store.js";

export function Classes({ here }) {
  const { classes, label, score, sequences, texts, model } = here, best = classes.findIndex((one) => one.label === label), chooses = own.value.task === "choice";
  const named = (name) => (chooses ? texts[Number(name) + 1] : name);
  return html`<section class="reading-place reading-classes" role="status"><h2>${score === null ? named(label) : digits(score)}</h2>
    <p class="soft">${score === null ? t(chooses ? "reading.chosen" : "reading.class", { share: percent(classes[best].probability) }) : t("reading.score")}</p>
    ${score === null && html`<ol>${classes.map((one, i) => html`<li key=${one.label} data-label=${one.label} data-probability=${one.probability} class=${i === best ? "was" : ""}><bdi>${named(one.label)}</bdi><span class="bar" aria-hidden="true"><i style=${{ width: `${100 * one.probability}%` }}></i></span><span class="num">${percent(one.probability)}</span></li>`)}</ol>`}</section>
    <p class="acts">${sequences.map((ids, i) => html`<a key=${i} class="plain" href=${address("attention", "", { model, ids: ids.join(",") })}>${sequences.length > 1 ? t("reading.attentionOf", { n: String(i + 1) }) : t("attention")}</a>`)}
      ${own.value.task !== "similarity" && sequences.length === 1 && html`<a class="plain" href=${address("steps", "", { model, ids: sequences[0].join(",") })}>${t("steps")}</a>`}
      <${CodeButton} code=${() => `from pathlib import Path
from limpid.stages.classify import load_classifier

classifier = load_classifier(Path(${python(own.value.run)}), device=${python(own.value.device)}, dtype="float32")
print(classifier.predict([[${texts.map(python).join(", ")}]]))
`} /></p>`;
}
