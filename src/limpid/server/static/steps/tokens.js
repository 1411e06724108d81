// Tokens as the page shows them: text, or bytes with the character they are of.
import { html } from "../lib/html.js";
import { hex } from "../lib/format.js";

/** @typedef {{id: number, bytes: string, label: string, character: string, completes: boolean, special: boolean}} Token */

/** What to call a token in a sentence. @param {Token | undefined} token */
export const labelOf = (token) => token && (token.completes ? `${token.character}` : token.character ? `${hex(token.bytes)} (${token.character})` : token.label);

/** A token as one sees it: its text; as bytes where it is a part of a character, which stands over the last of them. */
export function TokenText({ token }) {
  if (token.special) return html`<span class="control mono"><bdi>${token.label}</bdi></span>`;
  if (token.character) return html`<span class="piece"><bdi>${token.completes ? token.character : "·"}</bdi><small class="mono">${hex(token.bytes)}</small></span>`;
  if (/^<0x/.test(token.label)) return html`<span class="mono"><bdi>${hex(token.bytes)}</bdi></span>`;
  return html`<bdi>${token.label}</bdi>`;
}
