// Colours of numbers with a sign: paper is 0, blue below, orange above, mixed in OKLab so that lightness falls evenly.
import { effect, signal } from "@preact/signals";
import { theme } from "../lib/preferences.js";

/** Raised when the theme changes: canvases are drawn again. */
export const painted = signal(0);
const dark = matchMedia("(prefers-color-scheme: dark)");
effect(() => { theme.value; painted.value = painted.peek() + 1; });
dark.addEventListener("change", () => { painted.value += 1; });

const STEPS = 255;
let table = { key: "", colours: null };

/** 2 x 255 + 1 colours, from -1 to 1, as bytes r, g, b. @returns {Uint8ClampedArray} */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const [paper, below, above] = ["--card", "--below", "--above"].map((name) => style.getPropertyValue(name).trim());
  const key = paper + below + above;
  if (table.key === key) return table.colours;
  const found = new Uint8ClampedArray(3 * (2 * STEPS + 1)), [zero, low, high] = [paper, below, above].map(toLab);
  for (let i = -STEPS; i <= STEPS; i++) {
    const end = i < 0 ? low : high, share = Math.abs(i) / STEPS;
    found.set(toBytes(zero.map((from, k) => from + (end[k] - from) * share)), 3 * (i + STEPS));
  }
  table = { key, colours: found };
  return found;
}

/** The index into `colours` of a value, where `limit` has the full colour. */
export const shade = (value, limit) => 3 * (STEPS + Math.round(STEPS * Math.max(-1, Math.min(1, limit > 0 ? value / limit : 0))));

/** The largest magnitude among finite numbers. */
export function reach(values) {
  let most = 0;
  for (const value of values) { const size = Math.abs(value); if (size > most && size !== Infinity) most = size; }
  return most;
}

/** Pixels of values, one each, in rows; what is not finite is hatched by the caller, and transparent here. */
export function pixels(values, width, height, limit) {
  const table = colours(), image = new ImageData(width, height);
  for (let i = 0; i < values.length; i++) {
    const at = shade(values[i], limit);
    image.data.set([table[at], table[at + 1], table[at + 2], Number.isFinite(values[i]) ? 255 : 0], 4 * i);
  }
  return image;
}

// Björn Ottosson's OKLab (2020).
function toLab(hex) {
  const [r, g, b] = hex.replace("#", "").match(/../g).map((pair) => { const c = parseInt(pair, 16) / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
  const [l, m, s] = [0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b, 0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b, 0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b].map(Math.cbrt);
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}
function toBytes([light, a, b]) {
  const [l, m, s] = [light + 0.3963377774 * a + 0.2158037573 * b, light - 0.1055613458 * a - 0.0638541728 * b, light - 0.0894841775 * a - 1.291485548 * b].map((x) => x ** 3);
  const linear = [4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s, -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s, -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s];
  return linear.map((c) => Math.round(255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * Math.max(c, 0) ** (1 / 2.4) - 0.055)));
}
