// Numbers of either sign as colours: paper is zero, one tint is above and another below, full at the ends of the scale.

const SHADES = 127;
let made = { key: "", table: null };

/** 255 colours from -1 to 1, four bytes each: the browser mixes them in OKLab, as it does the tints of tokens. */
export function signedColours() {
  const style = getComputedStyle(document.documentElement);
  const [below, paper, above] = ["--tint-entropy", "--paper", "--tint-probability"].map((name) => style.getPropertyValue(name).trim());
  const key = below + paper + above;
  if (made.key === key) return made.table;
  const canvas = document.createElement("canvas");
  canvas.width = 2 * SHADES + 1; canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  for (let i = -SHADES; i <= SHADES; i++) {
    pen.fillStyle = `color-mix(in oklab, ${i < 0 ? below : above} ${(100 * Math.abs(i)) / SHADES}%, ${paper})`;
    pen.fillRect(i + SHADES, 0, 1, 1);
  }
  made = { key, table: pen.getImageData(0, 0, 2 * SHADES + 1, 1).data };
  return made.table;
}

/** The place of a value in that table, for a scale that ends at `most`. */
export const shade = (value, most) => Math.round(Math.min(1, Math.max(-1, most ? value / most : 0)) * SHADES) + SHADES;

/** @returns {[number, number, number]} */
export function colourOf(value, most) {
  const table = signedColours(), at = 4 * shade(value, most);
  return [table[at], table[at + 1], table[at + 2]];
}

/** The largest size of a value. */
export function largest(values) {
  let most = 0;
  for (const value of values) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  return most;
}
