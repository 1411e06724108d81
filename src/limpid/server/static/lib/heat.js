// Matrices as pictures: weights from paper to heat, scores from cold over paper to heat; what the mask forbids is faint.
import { computed, signal } from "@preact/signals";
import { pageColor, pixel, ramp } from "./colors.js";
import { theme } from "./preferences.js";

const dark = matchMedia("(prefers-color-scheme: dark)"), system = signal(dark.matches);
dark.addEventListener("change", () => { system.value = dark.matches; });
export const isDark = computed(() => (theme.value === "auto" ? system.value : theme.value === "dark"));

/** The page's palette: pixels, and colours for lines. It changes with the theme. */
export const palette = computed(() => {
  const night = isDark.value;
  document.documentElement.offsetWidth; // the theme's attribute may have just been set: let its colours count
  const names = ["card", "heat", "cold", "faint", "ink", "soft", "rule", "accent", "paper", "line"];
  const colors = Object.fromEntries(names.map((name) => [name, pageColor(`--${name}`)]));
  return { night, colors, heat: ramp(colors.card, colors.heat), cold: ramp(colors.card, colors.cold), hidden: pixel(colors.faint) };
});

/** How weights become shades, 0 to 1. root: small weights can be told apart; linear: twice the weight, twice the shade. */
export const SCALES = { root: Math.sqrt, linear: (w) => w };

/**
 * A matrix as a canvas of one pixel a cell.
 * @param {import("./trace.js").Numbers} matrix
 * @param {{signed?: boolean, most?: number, scale?: "root" | "linear", byRow?: boolean, height?: number}} how signed: scores, whose colour goes from -most over 0 to most
 */
export function paint({ shape, data, triangle }, { signed = false, most = 1, scale = "root", byRow = false } = {}) {
  const [rows, columns] = shape, colors = palette.value, canvas = document.createElement("canvas");
  canvas.width = columns; canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows), pixels = new Uint32Array(image.data.buffer);
  const shade = SCALES[scale], bytes = data instanceof Uint8Array, table = bytes && Uint32Array.from({ length: 256 }, (_, b) => colors.heat[Math.round(255 * shade(b / 255))]);
  for (let row = 0, at = 0; row < rows; row++) {
    const end = triangle ? row + 1 : columns;
    let top = most;
    if (byRow) { top = 1e-30; for (let i = 0; i < end; i++) if (Number.isFinite(data[at + i])) top = Math.max(top, Math.abs(data[at + i])); }
    for (let column = 0; column < columns; column++) {
      const place = row * columns + column;
      if (column >= end) { pixels[place] = colors.hidden; continue; }
      const value = data[at++];
      if (bytes) pixels[place] = table[value];
      else if (!Number.isFinite(value)) pixels[place] = colors.hidden;
      else pixels[place] = color(colors, value, top, shade, signed);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function color(colors, value, most, shade, signed) {
  const share = Math.round(255 * Math.min(1, shade(Math.min(1, Math.abs(value) / most))));
  return signed && value < 0 ? colors.cold[share] : colors.heat[share];
}

/** The largest amount among the numbers that are finite; 1 where there is none. */
export function largest({ data }) {
  let most = 0;
  for (const value of data) if (Number.isFinite(value) && Math.abs(value) > most) most = Math.abs(value);
  return most || 1;
}
