// Files out of a page: a picture, a table, a drawing. Nothing is sent anywhere.

/** Hand a file to the browser. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** @param {HTMLCanvasElement} canvas */
export const savePicture = (canvas, name) => canvas.toBlob((blob) => blob && save(blob, `${name}.png`));

/** Rows of cells as CSV (RFC 4180). @param {(string | number | null | undefined)[][]} rows */
export function csv(rows) {
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return rows.map((row) => row.map((value) => cell(String(value ?? ""))).join(",")).join("\r\n") + "\r\n";
}
export const saveTable = (rows, name) => save(new Blob(["\ufeff", csv(rows)], { type: "text/csv" }), `${name}.csv`);

/** @param {string} markup */
export const saveDrawing = (markup, name) => save(new Blob([markup], { type: "image/svg+xml" }), `${name}.svg`);

/** Text within markup. */
export const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
