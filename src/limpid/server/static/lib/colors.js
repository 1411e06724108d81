// From numbers to colours: mixes in OKLab (Ottosson 2020), so that equal steps of a number look like equal steps.

/** @typedef {[number, number, number]} Triple */

/** "#22649e", "rgb(34, 100, 158)" -> red, green, blue from 0 to 255. @returns {Triple} */
export function parseColor(text) {
  const hex = /^#(..)(..)(..)$/.exec(text.trim());
  if (hex) return /** @type {Triple} */ (hex.slice(1).map((pair) => parseInt(pair, 16)));
  return /** @type {Triple} */ (text.match(/[\d.]+/g).slice(0, 3).map(Number));
}

/** The colour that a custom property of the page has just now. @returns {Triple} */
export const pageColor = (name) => parseColor(getComputedStyle(document.documentElement).getPropertyValue(name));

const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const gamma = (c) => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055);

/** @param {Triple} rgb @returns {Triple} */
export function toLab(rgb) {
  const [r, g, b] = rgb.map((c) => linear(c / 255));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}

/** @param {Triple} lab @returns {Triple} */
export function fromLab([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3, m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3, s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return /** @type {Triple} */ ([4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s, -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s, -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s]
    .map((c) => Math.round(255 * Math.min(1, Math.max(0, gamma(Math.max(0, c)))))));
}

/** @param {Triple} from @param {Triple} to @param {number} share of `to`, 0 to 1 @returns {Triple} */
export function mix(from, to, share) {
  const a = toLab(from), b = toLab(to);
  return fromLab([0, 1, 2].map((i) => a[i] + (b[i] - a[i]) * share));
}

/** 256 colours from one to the other, each as the pixel of an ImageData. @returns {Uint32Array} */
export function ramp(from, to) {
  return Uint32Array.from({ length: 256 }, (_, i) => pixel(mix(from, to, i / 255)));
}

/** A colour as an ImageData has it, in a Uint32Array (little-endian). @param {Triple} rgb */
export const pixel = ([r, g, b], alpha = 255) => ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** The n-th of colours without end that differ in hue and are alike in lightness. @returns {Triple} */
export function hue(n, dark) {
  const angle = 4.4 + n * 2.399963; // the golden angle: neighbours are far apart, and none comes again
  const chroma = dark ? 0.12 : 0.14;
  return fromLab([dark ? 0.76 : 0.52, chroma * Math.cos(angle), chroma * Math.sin(angle)]);
}

export const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;
