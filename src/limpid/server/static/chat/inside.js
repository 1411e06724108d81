// Inside the model at one token of an answer: what each layer would have said, and where it looked. It takes one more pass over exactly the
// tokens that were read and said, asked for when the reader wants it; generating is never slowed.
import { useEffect, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { api } from "../lib/api.js";
import { percent } from "../lib/format.js";
import { address } from "../lib/route.js";
import { labelOf, openTrace } from "../lib/trace.js";
import { Icon } from "../parts/icons.js";
import { PAGES } from "../parts/pages.js";
import { promptOf } from "./talk.js";

/** Once opened, it stays open from token to token. */
const wanted = signal(false);
const LOOKS = 6;

/** The trace of an answer with what it answers; taken again when the answer has grown. */
function traceOf(node) {
  if (node.inside?.count !== node.tokens.length) {
    const answer = node.tokens.map((one) => one.id), count = answer.length;
    const promise = api("POST", "/api/prompt", promptOf(node)).then(async ({ tokens }) => {
      const prompt = tokens.map((one) => one.id);
      return { prompt: prompt.length, ids: [...prompt, ...answer], open: await openTrace({ model: node.about.model, ids: [...prompt, ...answer] }) };
    });
    node.inside = { count, promise };
    promise.catch(() => { if (node.inside?.promise === promise) node.inside = null; });
  }
  return node.inside.promise;
}

/** @param {{node: import("./store.js").Message, at: number}} props */
export function Inside({ node, at }) {
  if (!wanted.value) return html`<button type="button" class="plain inside-open" onClick=${() => { wanted.value = true; }}><${Icon} name="look" />${t("inside.open")}</button>`;
  if (node.live) return html`<p class="soft rest">${t("inside.later")}</p>`;
  return html`<${Found} key=${`${node.id} ${node.tokens.length}`} node=${node} at=${at} />`;
}

function Found({ node, at }) {
  const [found, setFound] = useState(null), [failure, setFailure] = useState(null), token = node.tokens[at];
  useEffect(() => {
    let here = true;
    setFailure(null);
    (async () => {
      const { open, prompt, ids } = await traceOf(node), place = prompt + at - 1;
      const [lens, { looks }] = await Promise.all([open.json(`follow?at=${place}&token=${token.id}&count=1`), open.json(`gaze?at=${place}&count=${LOOKS}`)]);
      if (here) setFound({ at, place, lens, looks, ids, tokens: open.stack().tokens });
    })().catch((one) => here && setFailure(one));
    return () => { here = false; };
  }, [at]);
  if (failure) return html`<p class="soft rest">${failure.message || t("noServer")}</p>`;
  if (!found) return html`<p class="soft rest" role="status">${t("inside.computing")}</p>`;
  const what = { model: node.about.model, ids: found.ids.join(",") }, query = { ...what, at: found.place };
  return html`<div class="inside" aria-busy=${found.at !== at} data-place=${found.place}>
    <h3>${t("inside.lens")}</h3><p class="soft key">${t("inside.lens.what")}</p>
    <${Lens} lens=${found.lens} />
    <h3>${t("inside.looks")}</h3><p class="soft key">${t("inside.looks.what")}</p>
    ${found.looks.length ? html`<ul class="looks">${found.looks.map((look) => html`<${Look} key=${`${look.layer}.${look.head}`} look=${look} tokens=${found.tokens} query=${query} />`)}</ul>` : html`<p class="soft">${t("inside.looks.none")}</p>`}
    <p class="inside-links"><a href=${address("steps", "lens", query)}>${t("inside.steps")}</a>${PAGES.attention && html`<a href=${address("attention", "", { ...what, row: found.place })}>${t("inside.attention")}</a>`}</p>
  </div>`;
}

/** By depth: the layer's own first choice, and how probable this token was to it. */
function Lens({ lens }) {
  return html`<table class="lens-table"><thead><tr><th scope="col">${t("inside.after")}</th><th scope="col">${t("inside.first")}</th><th scope="col" class="num">${t("rank")}</th><th scope="col" class="num">${t("probability")}</th></tr></thead>
    <tbody>${lens.depths.map(([[best]], depth) => html`<tr key=${depth} data-rank=${lens.ranks[depth][0]} data-chance=${lens.chances[depth][0]} data-first=${best.token_id}>
      <th scope="row">${depth ? t("inside.block", { n: depth - 1 }) : t("inside.embedding")}</th><td><bdi class="name">${best.label}</bdi> <small class="soft">${percent(best.probability)}</small></td>
      <td class="num">${lens.ranks[depth][0]}</td><td class="num"><span class="chance" style=${{ "--share": lens.chances[depth][0] }}>${percent(lens.chances[depth][0])}</span></td></tr>`)}</tbody></table>`;
}

function Look({ look, tokens, query }) {
  const where = t("inside.head", { layer: look.layer, head: look.head });
  return html`<li data-layer=${look.layer} data-head=${look.head}><a href=${address("steps", "attn.pattern", { ...query, layer: look.layer, head: look.head })}>${where}</a>
    <span class="looked">${look.places.map((place, i) => html`<span key=${place} class="looked-at" style=${{ "--share": look.weights[i] }} data-place=${place} data-weight=${look.weights[i]}><bdi class="name">${labelOf(tokens[place])}</bdi> <small>${percent(look.weights[i])}</small></span>`)}</span></li>`;
}
