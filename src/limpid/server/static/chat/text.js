// An answer's text with its tokens alive in it: markdown is drawn block by block, then every stretch of text is cut at
// the borders of tokens. Blocks that have not changed stay as they are, and one that only grew by some text gets the new tokens alone.
import { blocks, draw, drawFormulas, entity, grown, markup, unshown } from "../lib/markdown.js";
import { ofEntropy, ofProbability, ofRank } from "../lib/scale.js";
import { hex, percent, visible } from "../lib/format.js";

const UNSEEN = /^[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]+$/; // one must be able to point at it
const HOLDS_TEXT = /^(p|li|code|em|strong|del|a|h\d|td|th|div)$/; // elsewhere, blanks lie between elements
const FAR = 120; // a character of the page is looked for so far ahead in the source: marks of markdown lie between

/** The text as HTML can hold it, every character in its place: lines end with "\n", and NUL is a picture of itself. */
const readable = (text) => text.replace(/\r\n|[\r\0]/g, (found) => (found === "\0" ? "␀" : found === "\r" ? "\n" : " \n"));

/** Draws a message into `element`, again and again. */
export class LiveText {
  constructor(element) { this.element = element; this.drawn = []; }

  /**
   * @param {string} source
   * @param {import("../lib/packing.js").Token[] | null} tokens
   * @param {{plain: boolean, vocabulary: number}} how plain: the source itself, without markdown
   */
  update(source, tokens, { plain, vocabulary }) {
    const text = plain ? source : readable(source), list = plain ? [{ raw: text }] : blocks(text);
    const borders = tokens && bordersOf(tokens);
    const mode = `${plain}${!!tokens}${JSON.stringify(list[0]?.links ?? {})}`; // where a link leads may be said far below it
    if (mode !== this.mode) { this.element.replaceChildren(); this.drawn = []; this.mode = mode; }
    let start = 0;
    list.forEach((block, place) => {
      const last = place === list.length - 1, old = this.drawn[place];
      const key = last ? NaN : start; // the last one is looked at again: tokens without characters may have come
      if (!(old && old.raw === block.raw && old.key === key)) {
        const written = plain ? null : markup(block), now = { text, tokens, borders, hidden: plain ? [] : unshown(block, start) };
        if (!(last && old && extend(old, { start, raw: block.raw, written, now }))) {
          const box = document.createElement("div");
          let cutter = null;
          if (plain) { box.className = "source"; box.textContent = block.raw; } else box.append(draw(written));
          if (tokens) {
            const literal = plain || block.token.type === "html"; // where nothing stands for another character
            (cutter = new Cutter(now, { vocabulary, literal, start, stop: last ? Infinity : start + block.raw.length })).cut(box);
          }
          if (old) old.box.replaceWith(box); else this.element.append(box);
          this.drawn[place] = { raw: block.raw, key, box, start, written, cutter };
          drawFormulas(box);
        }
      }
      start += block.raw.length;
    });
    while (this.drawn.length > list.length) this.drawn.pop().box.remove();
    if (!list.length && tokens?.length) {
      const box = document.createElement("p");
      new Cutter({ text, tokens, borders, hidden: [] }, { vocabulary, literal: true, start: 0, stop: Infinity }).cut(box);
      this.element.append(box);
      this.drawn.push({ raw: "", key: NaN, box, start: 0, written: "", cutter: null });
    }
  }
}

/** Add to a block that was the last one what it grew by; false where it has to be drawn anew. */
function extend(old, { start, raw, written, now }) {
  const { cutter } = old;
  if (!cutter || cutter.stop !== Infinity || cutter.lost || old.start !== start || !raw.startsWith(old.raw)) return false;
  const found = written === null ? { text: raw.slice(old.raw.length), inside: [] } : grown(old.written, written);
  if (!found) return false;
  cutter.forgetTail();
  let place = old.box;
  for (const name of found.inside) {
    place = place.lastElementChild;
    if (place?.localName !== name) return false;
  }
  Object.assign(cutter, now);
  if (found.text && !cutter.extend(place, found.text)) return false;
  cutter.tail(old.box);
  Object.assign(old, { raw, written });
  return true;
}

/** Where in the text each token's characters end. */
function bordersOf(tokens) {
  const ends = new Array(tokens.length);
  let end = 0;
  for (let at = 0; at < tokens.length; at++) ends[at] = end += tokens[at].special ? 0 : tokens[at].text.length;
  return ends;
}

/** Cuts the text nodes of one block, whose source is text[start:stop], without what `hidden` says is not shown. */
class Cutter {
  constructor(now, { vocabulary, literal, start, stop }) {
    Object.assign(this, now, { vocabulary, literal, stop, cursor: start });
    this.lost = false; // whether a character of the page was not found in the source
    this.next = this.at = this.begins(start); // next: the first token that has not been shown
  }

  /** The first token of what begins at a place of the text; one that no character stands for begins where it stands. */
  begins(place) {
    let at = 0;
    while (at < this.borders.length && this.borders[at] <= place) at++;
    while (at > 0 && this.borders[at - 1] === place && this.borders[at - 1] === (this.borders[at - 2] ?? 0)) at--;
    return at;
  }

  cut(box) {
    const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT), nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    for (const node of nodes) {
      if (!node.data.trim() && !HOLDS_TEXT.test(node.parentNode.localName)) continue;
      const parts = document.createDocumentFragment();
      this.pieces(node.data, parts, node.parentNode);
      node.replaceWith(parts);
    }
    if (this.stop === Infinity) this.tail(box); else this.loose(this.begins(this.stop), (chip) => box.append(chip));
  }

  /** More text at the end of `place`; false where the token it begins with is shown there already and cannot grow. */
  extend(place, data) {
    if (!HOLDS_TEXT.test(place.localName)) return false;
    const begun = place.lastChild, parts = document.createDocumentFragment();
    this.pieces(data, parts, place);
    const first = parts.firstChild;
    if (begun && begun.nodeType !== Node.ELEMENT_NODE) return false; // blanks between elements, which are cut with what follows
    if (begun?.dataset.at !== undefined && begun.dataset.at === first.dataset?.at) {
      if (begun.className !== "tok" || first.className !== "tok") return false;
      begun.append(first.textContent);
      first.remove();
    } else if (begun?.className === "whole" && begun.firstChild.dataset.at === (first.dataset?.at ?? first.firstChild?.dataset?.at)) return false;
    place.append(parts);
    return !this.lost;
  }

  /** The tokens after the last character, as long as they are the last. */
  tail(box) {
    const place = box.querySelector("p:last-of-type, li:last-child, pre code") ?? box.lastElementChild ?? box;
    this.ended = { next: this.next, chips: [] };
    this.loose(this.tokens.length, (chip) => { (place.closest?.("pre") ?? place).append(chip); this.ended.chips.push(chip); });
  }

  forgetTail() {
    for (const chip of this.ended.chips) chip.remove();
    this.next = this.ended.next;
  }

  /** Text of `place` as spans, one for each token. */
  pieces(data, parts, place) {
    const literal = this.literal || !!place.closest("code");
    let run = "", owner = -1;
    const flush = () => {
      if (!run) return;
      parts.append(owner < 0 ? run : this.span(owner, run));
      run = "";
    };
    for (const character of data) {
      const found = this.locate(character, literal);
      const own = found < 0 ? owner : this.ownerOf(found);
      if (own !== owner) {
        flush();
        this.loose(own, (chip) => parts.append(chip));
        owner = own;
        if (own >= this.next) this.next = own + 1;
      }
      run += character;
    }
    flush();
  }

  /** Where in the source a character of the page stands; -1 where it does not. literal: nothing stands for another character. */
  locate(character, literal) {
    const from = this.shown(this.cursor);
    const named = !literal && this.text[from] === "&" && entity(this.text, from);
    if (named && named.means.startsWith(character)) {
      this.cursor = from + named.length;
      return from;
    }
    let place = from;
    while (!this.text.startsWith(character, place)) {
      const found = this.text.indexOf(character, place);
      place = found < 0 ? found : this.shown(found);
      if (place < 0 || place >= this.stop || place - from > FAR) { this.lost = true; return -1; }
    }
    this.cursor = place + character.length;
    return place;
  }

  /** A place of the text, or the end of what is not shown there. */
  shown(place) {
    for (const [from, to] of this.hidden) if (from <= place && place < to) place = to;
    return place;
  }

  ownerOf(place) {
    while (this.at < this.borders.length - 1 && this.borders[this.at] <= place) this.at++;
    return this.at;
  }

  /** Tokens before `end` that no character stands for: control tokens, and bytes that never became one. */
  loose(end, put) {
    for (let at = this.next; at < end; at++) {
      const token = this.tokens[at];
      if (token.special || token.orphan || (token.part && !token.text && token.part[1] === this.tokens.length - 1 && !this.tokens.at(-1).text)) put(this.chip(at));
    }
    this.next = Math.max(this.next, end);
  }

  chip(at) {
    const token = this.tokens[at], chip = this.colour(document.createElement("span"), at);
    chip.className = token.special ? "tok chip control" : "tok chip";
    chip.dataset.hex = token.special ? token.alternatives.find((one) => one.id === token.id)?.text ?? `#${token.id}` : hex(token.bytes);
    return chip;
  }

  span(at, text) {
    const token = this.tokens[at], span = this.colour(document.createElement("span"), at);
    span.className = "tok";
    span.textContent = text;
    if (UNSEEN.test(text)) { span.className = "tok chip ghost"; span.dataset.hex = visible(text); }
    const [first, last] = token.part ?? [at, at];
    if (first === last || last !== at) return span;
    const whole = document.createElement("span"), row = document.createElement("span");
    whole.className = "whole";
    row.className = "bytes";
    row.setAttribute("aria-hidden", "true");
    for (let i = first; i <= last; i++) {
      const part = this.colour(document.createElement("span"), i);
      part.className = "tok byte";
      part.dataset.hex = this.tokens[i].bytes;
      row.append(part);
    }
    whole.append(span, row);
    return whole;
  }

  colour(span, at) {
    const token = this.tokens[at];
    span.dataset.at = at;
    span.dataset.p = percent(Math.exp(token.logprob));
    span.style.setProperty("--p", ofProbability(token.logprob).toFixed(4));
    span.style.setProperty("--e", ofEntropy(token.entropy, this.vocabulary).toFixed(4));
    span.style.setProperty("--r", ofRank(token.rank).toFixed(4));
    return span;
  }
}
