// One token as a one-hot row and as its row of numbers; and what that does to the cosines between tokens.
import { html } from "../lib/html.js";
import { digits, shown } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { Heat } from "../parts/heat.js";
import { saveTable } from "../lib/save.js";
import { largest } from "../lib/heat.js";
import { RowsCode } from "./code.js";
import { rows } from "./store.js";

export function VectorsView() {
  const { value, failure, body } = rows.value ?? {};
  if (failure) return html`<section class="emb-vectors"><p role="alert">${failure.message}</p></section>`;
  if (!value) return html`<section class="emb-vectors emb-empty"><h2>${t("emb.vectors.title")}</h2><p>${t("emb.vectors.none")}</p></section>`;
  const named = value.items.map((one, i) => ({ ...one, name: body.items[i].word ?? shown(one.tokens[0]) }));
  const all = Float32Array.from(named.flatMap((one) => one.row)), width = named[0].row.length, most = largest({ data: all });
  const csv = () => saveTable("limpid-rows", [["token", ...named[0].row.map((_, i) => i)], ...named.map((one) => [one.name, ...one.row])]);
  return html`<section class="emb-vectors">
    <h2>${t("emb.vectors.title")}</h2><p class="soft">${t("emb.vectors.what", { v: value.one_hot_width, d: width })}</p>
    ${named.map((one) => html`<article key=${one.name + one.tokens[0].id} class="emb-item"><h3><bdi>${one.name}</bdi></h3>
      <p class="soft">${one.tokens.length === 1 ? t("emb.oneAt", { id: String(one.tokens[0].id), rest: value.one_hot_width - 1 }) : t("emb.someAt", { share: digits(1 / one.tokens.length), ids: one.tokens.map((token) => token.id).join(", "), rest: value.one_hot_width - one.tokens.length })}</p>
      <div class="one-hot" role="img" aria-label=${t("emb.oneHot")}>${one.tokens.map((token) => html`<i key=${token.id} style=${{ left: `${(100 * token.id) / value.one_hot_width}%` }}></i>`)}</div>
      <${Heat} values=${one.row} rows=${1} columns=${width} most=${most} height=${34} label=${t("emb.denseOf", { token: one.name })} rowName=${() => one.name} columnName=${(i) => t("emb.dimension", { i: String(i) })} />
      <details class="as-table"><summary>${t("emb.numbers", { n: width })}</summary><p class="emb-figures mono" tabindex="0">${one.row.map((x) => digits(x)).join("  ")}</p></details></article>`)}
    ${named.length > 1 && html`<div class="emb-cosines"><${Cosines} title=${t("emb.cosines.oneHot")} named=${named} values=${value.one_hot} /><${Cosines} title=${t("emb.cosines.dense")} named=${named} values=${value.dense} /></div>`}
    <p class="acts"><button type="button" class="plain" onClick=${csv}>CSV</button><${RowsCode} items=${body.items} /></p>
  </section>`;
}

function Cosines({ title, named, values }) {
  return html`<div class="scrolls" tabindex="0" role="region" aria-label=${title}><table class="cosines"><caption>${title}</caption><thead><tr><td></td>${named.map((one, i) => html`<th key=${i} scope="col"><bdi>${one.name}</bdi></th>`)}</tr></thead>
    <tbody>${values.map((row, i) => html`<tr key=${i}><th scope="row"><bdi>${named[i].name}</bdi></th>${row.map((x, j) => html`<td key=${j} data-value=${x} style=${{ "--v": Math.abs(x).toFixed(3), "--hue": x < 0 ? "var(--tint-probability)" : "var(--tint-entropy)" }}>${x.toFixed(2)}</td>`)}</tr>`)}</tbody></table></div>`;
}
