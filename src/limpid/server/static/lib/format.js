// Numbers as the pages write them.

/** A probability with as many digits as mean something: 42.1%, 0.31%, 2.4e-4%. */
export function percent(p) {
  const share = 100 * p;
  if (p >= 0.9995 && p < 1) return `${Math.min(share, 99.999).toFixed(share >= 99.995 ? 3 : 2)}%`;
  if (share >= 10) return `${share.toFixed(1)}%`;
  if (share >= 0.1) return `${share.toFixed(2)}%`;
  if (share >= 0.001) return `${share.toFixed(3)}%`;
  return p === 0 ? "0%" : `${share.toExponential(1)}%`;
}

/** A number with three digits that mean something, whatever its size: 1.234, 0.0123, 1.4e-5. */
export function digits(value) {
  if (value === 0) return "0";
  return Math.abs(value) >= 0.001 ? String(Number(value.toPrecision(4))) : value.toExponential(1);
}

/** A count of parameters: 6.1M. */
export function short(count) {
  for (const [size, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "k"]]) if (count >= size) return `${(count / size).toPrecision(3).replace(/\.0+$/, "")}${unit}`;
  return String(count);
}

/** Hexadecimal bytes in pairs: "e5 ba 8a". */
export const hex = (bytes) => bytes.replace(/(..)(?=.)/g, "$1 ");

/** A token's text with what cannot be seen made visible. */
export function visible(text) {
  return text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/\r/g, "␍")
    .replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]/g, (c) => `‹${c.codePointAt(0).toString(16).padStart(2, "0")}›`);
}

/** How a token is shown by itself: its characters, or its bytes where it is no whole character. */
export const shown = (token) => (token.text ? visible(token.text) : token.bytes ? hex(token.bytes) : "∅");
