// Python in colours: keywords, strings, numbers and comments; the rest is left as it is.
import { html } from "./html.js";

const KEYWORDS = "and as assert async await break class continue def del elif else except False finally for from global if import in is lambda None nonlocal not or pass raise return True try while with yield";
const PART = new RegExp(`(?<comment>#.*)|(?<string>[rbfu]*("""[\\s\\S]*?"""|'''[\\s\\S]*?'''|"(?:\\\\.|[^"\\\\\\n])*"|'(?:\\\\.|[^'\\\\\\n])*'))|(?<keyword>\\b(?:${KEYWORDS.replaceAll(" ", "|")})\\b)|(?<number>\\b\\d[\\d_]*(?:\\.\\d*)?(?:e[+-]?\\d+)?\\b)`, "g");

/** The text as nodes. @param {string} text */
export function python(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(PART)) {
    if (match.index > at) nodes.push(text.slice(at, match.index));
    const kind = Object.entries(match.groups).find(([, found]) => found !== undefined)[0];
    nodes.push(html`<i class=${`py-${kind}`}>${match[0]}</i>`);
    at = match.index + match[0].length;
  }
  nodes.push(text.slice(at));
  return nodes;
}
