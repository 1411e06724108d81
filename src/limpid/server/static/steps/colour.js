// Colours of numbers with a sign, as cells and as pixels: cold below 0, paper at 0, heat above.
import { css } from "../lib/colors.js";
import { palette } from "../lib/heat.js";

/** A value as a pixel of an ImageData, where `limit` has the full colour; what is not finite is hidden. */
export function shade(value, limit) {
  const { heat, cold, hidden } = palette.value;
  return Number.isFinite(value) ? (value < 0 ? cold : heat)[Math.round(255 * (limit > 0 ? Math.min(1, Math.abs(value) / limit) : 0))] : hidden;
}

/** The same for a pen. */
export function fill(value, limit) {
  const pixel = shade(value, limit);
  return css([pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255]);
}

/** The largest magnitude among finite numbers. */
export function reach(values) {
  let most = 0;
  for (const value of values) { const size = Math.abs(value); if (size > most && size !== Infinity) most = size; }
  return most;
}
