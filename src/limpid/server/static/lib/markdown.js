// Markdown as safe HTML. What a model writes is a stranger's text: everything is sanitised, and the page's policy is a
// second wall. Formulas are drawn by KaTeX, which is loaded when the first one is seen.
import DOMPurify from "dompurify";
import { Marked } from "marked";
import { katex } from "./tex.js";

const FORMULA = /^(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\]|\\\(([\s\S]+?)\\\)|\$(?![\s\d])([^$\n]*[^\s$])\$(?!\d))/;
const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const formula = {
  name: "formula",
  level: "inline",
  start: (src) => { const at = src.search(/\$|\\[([]/); return at < 0 ? undefined : at; },
  tokenizer(src) {
    const found = FORMULA.exec(src);
    if (!found) return undefined;
    return { type: "formula", raw: found[0], text: found[1] ?? found[2] ?? found[3] ?? found[4], display: found[1] !== undefined || found[2] !== undefined };
  },
  renderer: (token) => `<code class="formula${token.display ? " display" : ""}">${escape(token.text)}</code>`,
};
const marked = new Marked({ gfm: true, breaks: true, async: false });
/** As marked writes code, but with no line end of its own: so a block that is being written grows by its new text alone. */
const code = ({ text, lang }) => `<pre><code${lang?.trim() ? ` class="language-${escape(lang.trim().split(/\s/)[0])}"` : ""}>${escape(text)}</code></pre>\n`;
marked.use({ extensions: [formula], renderer: { code, image: ({ text, raw }) => escape(text || raw), html: ({ text }) => escape(text) } });

const POLICY = {
  ALLOWED_TAGS: ["p", "br", "em", "strong", "del", "code", "pre", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "a", "table", "thead", "tbody", "tr", "th", "td", "input"],
  ALLOWED_ATTR: ["href", "class", "start", "align", "type", "checked", "disabled"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};
DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") { node.setAttribute("rel", "noreferrer noopener"); node.setAttribute("target", "_blank"); }
  if (node.tagName === "INPUT" && node.getAttribute("type") !== "checkbox") node.remove();
  if (node.hasAttribute("class") && !/^(?:formula(?: display)?|language-[\w+#-]+)$/.test(node.className)) node.removeAttribute("class");
});

/** The top-level blocks of a text, each with its source; together they are the text. */
export function blocks(text) {
  const list = marked.lexer(text);
  return list.map((token) => ({ raw: token.raw, token, links: list.links }));
}

/** One block as HTML, which is a stranger's: for `draw`, and to be compared. @returns {string} */
export const markup = (block) => marked.parser(Object.assign([block.token], { links: block.links }));

/** HTML as sanitised nodes. @param {string} markup @returns {DocumentFragment} */
export function draw(markup) {
  const nodes = DOMPurify.sanitize(markup, POLICY);
  for (const node of [...nodes.childNodes]) if (node.nodeType === Node.TEXT_NODE && !node.data.trim()) node.remove();
  return nodes;
}

/** What marked and `escape` write for the five characters that mean something in HTML; others a model wrote so itself. */
const MARKS = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#38;": "&", "&#60;": "<", "&#62;": ">", "&#34;": '"', "&#39;": "'" };

/**
 * Where markup only grew by some text before its last closing tags: that text, and the names of the elements it stands in, outermost
 * first; else null.
 * @param {string} before @param {string} now @returns {{text: string, inside: string[]} | null}
 */
export function grown(before, now) {
  const closing = /(?:<\/\w+>\s*)*$/.exec(before)[0].match(/<\/\w+>\s*/g) ?? [];
  for (let skip = 0; skip <= closing.length; skip++) { // the innermost element first
    const end = closing.slice(skip).join(""), start = before.slice(0, before.length - end.length);
    if (!now.startsWith(start) || !now.slice(start.length).endsWith(end)) continue;
    const added = now.slice(start.length, now.length - end.length);
    if (/<|&(?!(?:amp|lt|gt|quot|#(?:3[489]|6[02]));)/.test(added)) continue;
    const text = added.replace(/&[^;]+;/g, (mark) => MARKS[mark]);
    return { text, inside: closing.slice(skip).map((tag) => tag.trim().slice(2, -1)).reverse() };
  }
  return null;
}

/**
 * The parts of a block's source that never stand on the page: where links lead, the words behind a fence, definitions.
 * @param {{raw: string, token: any}} block @param {number} start of the block @returns {[number, number][]} from, to
 */
export function unshown({ raw, token }, start) {
  const found = [], hide = (from, to) => { if (from < to) found.push([start + from, start + to]); };
  /** Goes through the parts in order; what it returns is where the last of them that was found ends. */
  const walk = (tokens, from) => {
    for (const one of tokens) {
      const at = raw.indexOf(one.raw, from), end = at + one.raw.length; // in a quote or a list the marks at the beginning of lines are gone
      if (at >= 0) {
        const open = { link: 1, image: 2 }[one.type];
        if (open && one.text && one.raw[open - 1] === "[" && one.raw.startsWith(one.text, open)) hide(at + open + one.text.length, end);
        if (one.type === "code" && /^ *(?:```|~~~)/.test(one.raw)) hide(at, at + (one.raw.indexOf("\n") + 1 || one.raw.length));
        if (one.type === "def") hide(at, end);
        if (one.type === "table") table(one, at); else walk(one.tokens ?? one.items ?? [], at);
        from = end;
      } else walk(one.tokens ?? one.items ?? [], from);
    }
    return from;
  };
  /** A line of dashes is not shown, nor are cells for which there is no column. */
  const table = ({ header, rows, raw }, at) => {
    for (const [place, line] of raw.split("\n").entries()) {
      const cells = place === 0 ? header : rows[place - 2];
      hide(cells ? walk(cells.flatMap((cell) => cell.tokens), at) : at, at + line.length);
      at += line.length + 1;
    }
  };
  if (/[\]|]|```|~~~/.test(raw)) walk([token], 0);
  return found.sort((a, b) => a[0] - b[0]);
}

const meanings = new Map(), reader = document.createElement("textarea");
/** What stands for another character at `place`: what it means, and how long it is; null where nothing does. */
export function entity(text, place) {
  const found = /^&(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z]\w{1,31});/i.exec(text.slice(place, place + 40))?.[0];
  if (!found) return null;
  if (!meanings.has(found)) { reader.innerHTML = found; meanings.set(found, reader.value); }
  const means = meanings.get(found);
  return means === found ? null : { means, length: found.length };
}

/** Draw the formulas within `element`; one that KaTeX does not understand stays as it was written. */
export async function drawFormulas(element) {
  const found = [...element.querySelectorAll("code.formula:not([data-drawn])")];
  if (!found.length) return;
  let library;
  try { library = await katex(); } catch { return; }
  for (const code of found) {
    if (!code.isConnected || code.dataset.drawn) continue;
    const source = code.textContent, place = document.createElement("span");
    code.dataset.drawn = "1";
    try {
      library.render(source, place, { displayMode: code.classList.contains("display"), throwOnError: true, trust: false, strict: "ignore", maxExpand: 200, maxSize: 20 });
      code.replaceChildren(...place.childNodes);
      code.title = source;
    } catch { /* it stays */ }
  }
}
