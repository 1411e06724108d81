// Files that the reader takes along.

/** @param {string} name @param {Blob | string} content @param {string} [kind] */
export function save(name, content, kind = "text/plain;charset=utf-8") {
  const blob = content instanceof Blob ? content : new Blob([content], { type: kind });
  const link = document.createElement("a"), url = URL.createObjectURL(blob);
  link.href = url; link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** @param {string} name @param {HTMLCanvasElement} canvas */
export const savePicture = (name, canvas) => new Promise((done) => canvas.toBlob((blob) => { save(name, blob); done(); }, "image/png"));

/** Rows as CSV, after RFC 4180. @param {(string | number)[][]} rows */
export const csv = (rows) => `${rows.map((row) => row.map((one) => (typeof one === "number" ? String(one) : /[",\r\n]/.test(one) ? `"${one.replace(/"/g, '""')}"` : one)).join(",")).join("\r\n")}\r\n`;

/** @param {string} name @param {(string | number)[][]} rows */
export const saveTable = (name, rows) => save(`${name}.csv`, `\ufeff${csv(rows)}`, "text/csv;charset=utf-8");

/** Text within markup. */
export const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
