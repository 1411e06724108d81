// What the matrix says where one points, and the pinned row or column as a table.
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { cell } from "../lib/trace.js";
import { matrices } from "./matrices.js";
import { tell } from "./matrix.js";
import { chosen, choose, cursor, keyTokens, queryTokens } from "./store.js";
import { quoted, weight } from "./words.js";

const ROWS = 12;

/** The cell under the pointer, or the pinned one, in words. */
export function Readout() {
  const found = matrices.value, { row, column } = cursor.value, { stage } = chosen.value;
  if (!found || row === null || column === null || row >= found.main.shape[0] || column >= found.main.shape[1]) return html`<p class="readout soft">${t("attention.pointAt")}</p>`;
  const isWeight = stage === "pattern" || chosen.value.rollout, told = tell(found.main, row, column, isWeight), other = found.other && sameShape(found) ? tell(found.other, row, column, isWeight).value : null;
  return html`<p class="readout">${t(isWeight ? "attention.looks" : "attention.scoresAt", { from: told.from, to: told.to })} <output data-cell=${`${row},${column}`}>${told.value}</output>${other !== null && html` <span class="soft">${t("attention.beside")}</span> <output class="other">${other}</output>`}</p>`;
}

export const sameShape = ({ main, other }) => other && main.shape[0] === other.shape[0] && main.shape[1] === other.shape[1];

/** Where the token looks, or who looks at it, the most first. */
export function RowTable() {
  const found = matrices.value, { row, column } = chosen.value, last = queryTokens.value.length - 1;
  if (!found) return null;
  const byColumn = row === null && column !== null, at = byColumn ? column : row ?? last, weights = found.weights;
  const tokens = byColumn ? queryTokens.value : keyTokens.value, own = byColumn ? keyTokens.value[at] : queryTokens.value[at];
  if (!own || tokens.length !== weights.shape[byColumn ? 0 : 1] || at >= weights.shape[byColumn ? 1 : 0]) return null;
  const values = tokens.map((_, i) => (byColumn ? cell(weights, i, at) : cell(weights, at, i)));
  const order = [...values.keys()].filter((i) => values[i] > 0).sort((a, b) => values[b] - values[a]), shown = order.slice(0, ROWS);
  const rest = order.slice(ROWS).reduce((sum, i) => sum + values[i], 0), most = Math.max(...shown.map((i) => values[i]), 1e-30);
  const pin = (i) => choose(byColumn ? { row: i, column: at } : { row: at, column: i });
  return html`<section class="rowtable"><table><caption>${t(byColumn ? "attention.whoLooks" : "attention.where", { token: `${quoted(own)} ${at}` })}</caption>
    <thead class="hidden"><tr><th scope="col">${t("attention.key")}</th><th scope="col">${t("attention.weight")}</th></tr></thead>
    <tbody>${shown.map((i) => html`<tr key=${i}><th scope="row"><button type="button" class="token" onClick=${() => pin(i)}>${quoted(tokens[i])} <small>${i}</small></button></th>
      <td><span class="amount" style=${{ "--w": values[i] / most }}></span><span data-weight=${`${byColumn ? i : at},${byColumn ? at : i}`}>${weight(values[i])}</span></td></tr>`)}</tbody></table>
    ${order.length > ROWS && html`<p class="soft">${t("attention.rest", { n: order.length - ROWS, sum: weight(rest) })}</p>`}
  </section>`;
}
