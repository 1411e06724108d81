// An answer's text with its tokens alive in it: markdown is drawn block by block, then every stretch of text is cut at
// the borders of tokens. Blocks that have not changed stay as they are, and one that only grew by some text gets the new tokens alone.
import { blocks, draw, drawFormulas, grown, markup } from "../lib/markdown.js";
import { ofEntropy, ofProbability, ofRank } from "../lib/scale.js";
import { hex, percent, visible } from "../lib/format.js";

const UNSEEN = /^[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]+$/; // one must be able to point at it
const HOLDS_TEXT = /^(p|li|code|em|strong|del|a|h\d|td|th|div)$/; // elsewhere, blanks lie between elements
const FAR = 120; // a character of the page is looked for so far ahead in the source: marks of markdown lie between

/** Draws a message into `element`, again and again. */
export class LiveText {
  constructor(element) { this.element = element; this.drawn = []; }

  /**
   * @param {string} text
   * @param {import("../lib/packing.js").Token[] | null} tokens
   * @param {{plain: boolean, vocabulary: number}} how plain: the source itself, without markdown
   */
  update(text, tokens, { plain, vocabulary }) {
    const list = plain ? [{ raw: text }] : blocks(text);
    const borders = tokens && bordersOf(tokens);
    const mode = `${plain}${!!tokens}`;
    if (mode !== this.mode) { this.element.replaceChildren(); this.drawn = []; this.mode = mode; }
    let start = 0;
    list.forEach((block, place) => {
      const last = place === list.length - 1, old = this.drawn[place];
      const key = last ? NaN : start; // the last one is looked at again: tokens without characters may have come
      if (!(old && old.raw === block.raw && old.key === key)) {
        const written = plain ? null : markup(block);
        if (!(last && old && extend(old, { start, raw: block.raw, written, text, tokens, borders }))) {
          const box = document.createElement("div");
          let cutter = null;
          if (plain) { box.className = "source"; box.textContent = block.raw; } else box.append(draw(written));
          if (tokens) (cutter = new Cutter(text, tokens, borders, vocabulary, start, last ? Infinity : start + block.raw.length)).cut(box);
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
      new Cutter(text, tokens, borders, vocabulary, 0, Infinity).cut(box);
      this.element.append(box);
      this.drawn.push({ raw: "", key: NaN, box, start: 0, written: "", cutter: null });
    }
  }
}

/** Add to a block that was the last one what it grew by; false where it has to be drawn anew. */
function extend(old, { start, raw, written, text, tokens, borders }) {
  if (!old.cutter || old.cutter.stop !== Infinity || old.start !== start || !raw.startsWith(old.raw)) return false;
  const found = written === null ? { text: raw.slice(old.raw.length), inside: [] } : grown(old.written, written);
  if (!found) return false;
  old.cutter.forgetTail();
  let place = old.box;
  for (const name of found.inside) {
    place = place.lastElementChild;
    if (place?.localName !== name) return false;
  }
  if (found.text && !old.cutter.extend(place, found.text, { text, tokens, borders })) return false;
  Object.assign(old.cutter, { text, tokens, borders }).tail(old.box);
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

/** Cuts the text nodes of one block, whose source is text[start:stop]. */
class Cutter {
  constructor(text, tokens, borders, vocabulary, start, stop) {
    Object.assign(this, { text, tokens, borders, vocabulary, cursor: start, stop });
    this.at = 0;
    while (this.at < borders.length && borders[this.at] <= start && !(start === 0 && borders[this.at] === 0)) this.at++;
    this.next = this.at; // the first token that has not been shown
  }

  cut(box) {
    const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT), nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    for (const node of nodes) {
      if (!node.data.trim() && !HOLDS_TEXT.test(node.parentNode.localName)) continue;
      const parts = document.createDocumentFragment();
      this.pieces(node.data, parts);
      node.replaceWith(parts);
    }
    if (this.stop === Infinity) this.tail(box);
  }

  /** More text at the end of `place`; false where the token it begins with is shown there already and cannot grow. */
  extend(place, data, now) {
    Object.assign(this, now);
    if (!HOLDS_TEXT.test(place.localName)) return false;
    const begun = place.lastChild, parts = document.createDocumentFragment();
    this.pieces(data, parts);
    const first = parts.firstChild;
    if (begun?.dataset?.at !== undefined && begun.dataset.at === first.dataset?.at) {
      if (begun.className !== "tok" || first.className !== "tok") return false;
      begun.append(first.textContent);
      first.remove();
    }
    place.append(parts);
    return true;
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

  /** Text as spans, one for each token. */
  pieces(data, parts) {
    let run = "", owner = -1;
    const flush = () => {
      if (!run) return;
      parts.append(owner < 0 ? run : this.span(owner, run));
      run = "";
    };
    for (const character of data) {
      const found = this.locate(character);
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

  /** Where in the source a character of the page stands; -1 where it does not. */
  locate(character) {
    let place = this.cursor;
    if (!this.text.startsWith(character, place)) {
      place = this.text.indexOf(character, place);
      if (place < 0 || place >= this.stop || place - this.cursor > FAR) return -1;
    }
    this.cursor = place + character.length;
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
