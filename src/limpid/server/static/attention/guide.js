// Where to begin: of each kind of head that is known, the one that is most of that kind.
import { useEffect, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { glances } from "./matrices.js";
import { asking, chosen, choose, SCORES, trace } from "./store.js";
import { weight } from "./words.js";

export function Guide() {
  const own = trace.value, [found, setFound] = useState(null), { kind, stack } = chosen.value, rated = kind === "attn" && stack.name === own.facts.main && glances.value.layers.length === stack.n_layer; // pictures first
  useEffect(() => {
    let live = true;
    const ask = async () => { const scores = await asking(() => own.scores(), ask); if (live && scores) setFound(scores); };
    setFound(null);
    if (rated) ask();
    return () => { live = false; };
  }, [own, rated]);
  return html`<section class="guide"><h2>${t("attention.begin")}</h2><p class="soft">${t("attention.what")}</p>
    ${found && html`<ul>${SCORES.map((score) => {
      const [value, layer, head] = best(found[score]);
      return html`<li key=${score}><button type="button" onClick=${() => choose({ layer, head, score }, false)}><b>${t(`attention.guide.${score}`)}</b><span class="soft">${t("attention.headName", { layer: String(layer), head: String(head) })} · ${weight(value)}</span><small>${t(`attention.score.${score}.what`)}</small></button></li>`;
    })}</ul>`}
  </section>`;
}

/** The largest of a table: [value, layer, head]. */
const best = (table) => table.flatMap((row, layer) => row.map((value, head) => [value, layer, head])).reduce((a, b) => (b[0] > a[0] ? b : a));
