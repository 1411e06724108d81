// A vector of the trace as a strip whose cells can be chosen.
import { html } from "../lib/html.js";
import { labelOf } from "./tokens.js";
import { useParts, why } from "./data.js";
import { pick, worked } from "./state.js";
import { Strip } from "./strip.js";

/**
 * @param {{name: string, index: number[], label: any, sign?: string, names?: (i: number) => string, slim?: boolean}} props
 *   name, index: trace[name][index] is the vector. sign: what stands before it, in a sum.
 */
export function Vec({ name, index, label, sign, names, slim }) {
  const { value, fresh, failure } = useParts({ v: [name, index] });
  const cell = worked.value;
  if (failure) return html`<p class="soft">${why(failure)}</p>`;
  const values = value?.v.values ?? [], ours = fresh && cell?.name === name && cell.index.length === index.length + 1 && index.every((one, i) => one === cell.index[i]);
  return html`<${Strip} values=${values} label=${label} say=${typeof label === "string" ? `${label}: ${name}` : name} sign=${sign} name=${names} slim=${slim} picked=${ours ? cell.index.at(-1) : undefined}
    onPick=${(i) => pick(name, [...index, i])} data=${{ "data-name": name, "data-index": index.join(","), "aria-busy": fresh ? undefined : "true" }} />`;
}

/** What a cell along a sequence is called: its token. */
export const named = (tokens) => (i) => labelOf(tokens[i]) ?? String(i);
