// How this page writes numbers and tokens, in the page and on its canvases.
import { labelOf } from "../lib/trace.js";

/** A number to within 5e-6: five decimals, or as a power of ten where it is small. */
export function weight(value) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞";
  const text = Math.abs(value) < 0.001 ? Math.abs(value).toExponential(2) : Math.abs(value).toFixed(5);
  return value < 0 ? `−${text}` : text;
}

/** A token's label, cut where it would be longer than `most` characters. */
export function short(token, most = 14) {
  const text = labelOf(token), all = [...text];
  return all.length > most ? `${all.slice(0, most - 1).join("")}…` : text;
}

/** ‹label› as a token stands in a sentence, whose direction it does not turn. */
export const quoted = (token) => `\u2068‹${short(token, 24)}›\u2069`;

const family = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
/** Font families, for canvases. */
export const fonts = { sans: () => getComputedStyle(document.body).fontFamily, serif: () => family("--serif") };
