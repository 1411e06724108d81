// KaTeX, brought in with the first formula.

let library = null;

/** The library; it is asked for again where it could not be had. */
export function katex() {
  library ??= load().catch((failure) => { library = null; throw failure; });
  return library;
}

async function load() {
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = "/static/vendor/katex/katex.min.css";
  document.head.append(sheet);
  await import("/static/vendor/katex/katex.min.js");
  return globalThis.katex;
}
