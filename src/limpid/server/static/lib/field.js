// Values over the plane as pictures: from cold (-1) over the card's colour to heat (1), and points on them.
import { computed } from "@preact/signals";
import { css, mix, pixel } from "./colors.js";
import { palette } from "./heat.js";

/** How far the colours of a field go, so that points of the full colour stand out on it. */
const DEPTH = 0.62;
export const fieldColors = computed(() => {
  const { colors } = palette.value;
  const table = (depth) => Uint32Array.from({ length: 256 }, (_, i) => { const v = (i - 127.5) / 127.5; return pixel(mix(colors.card, v < 0 ? colors.cold : colors.heat, depth * Math.abs(v))); });
  return { colors, field: table(DEPTH), full: table(1), hole: pixel(colors.rule) };
});

/** The full colour of a value from -1 to 1, for lines and points. */
export function lineColor(value) {
  const { colors } = palette.value, v = Number.isFinite(value) ? Math.max(-1, Math.min(1, value)) : 0;
  return css(mix(colors.rule, v < 0 ? colors.cold : colors.heat, Math.abs(v)));
}

/** Pixels of numbers. What is no number is a hole. @param {Float32Array} values @param {boolean} signs only on which side of 0 */
export function fieldOf(values, side, signs) {
  const { field, hole } = fieldColors.value, image = new ImageData(side, side), pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    pixels[i] = v !== v ? hole : field[Math.max(0, Math.min(255, Math.round((signs ? (v >= 0 ? 1 : -1) : v) * 127.5 + 127.5)))];
  }
  return image;
}

/** Pixels of bytes (0: -1, 255: 1). @param {Uint8Array} bytes */
export function fieldOfBytes(bytes, side, signs) {
  const { field } = fieldColors.value, image = new ImageData(side, side), pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < bytes.length; i++) pixels[i] = field[signs ? (bytes[i] >= 128 ? 255 : 0) : bytes[i]];
  return image;
}

const scratch = document.createElement("canvas");
/** Draw an image of a field into a box, its cells as smooth as the browser makes them. */
export function stretch(context, image, x, y, width, height) {
  scratch.width = image.width; scratch.height = image.height;
  scratch.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(scratch, x, y, width, height);
}

/** A canvas's context in CSS pixels, its bitmap as fine as the screen. @param {HTMLCanvasElement} canvas */
export function fitted(canvas, width, height) {
  const fine = devicePixelRatio || 1, w = Math.round(width * fine), h = Math.round(height * fine);
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const context = canvas.getContext("2d");
  context.setTransform(fine, 0, 0, fine, 0, 0);
  return context;
}

/** Points of [x1, x2, label] on a square of -6 to 6. hollow: rings, for those that are only tested on. */
export function dots(context, rows, size, { hollow = false, radius = 3 } = {}) {
  const { colors } = palette.value;
  for (const [x, y, label] of rows) {
    context.beginPath();
    context.arc(((x + 6) / 12) * size, ((6 - y) / 12) * size, radius, 0, 7);
    context.fillStyle = hollow ? css(colors.card) : lineColor(label);
    context.strokeStyle = hollow ? lineColor(label) : css(colors.card);
    context.lineWidth = hollow ? 1.6 : 1;
    context.fill();
    context.stroke();
  }
}
