// From the bytes of tokens to characters: a character of several tokens comes with the last of them.

/**
 * Set each token's `text` to the characters that are complete with it, and `part` to [first, last] of the tokens that
 * make its character where they are several; `orphan`: its bytes never became a character. Nothing becomes U+FFFD.
 * @param {{bytes: string, text: string, special?: boolean, part?: [number, number], orphan?: boolean}[]} tokens
 */
export function assemble(tokens, from = 0) {
  while (from > 0 && tokens[from - 1].part) from -= 1;
  let open = [], first = from;
  for (let at = from; at < tokens.length; at++) {
    const token = tokens[at];
    delete token.part;
    delete token.orphan;
    if (token.special) { settle(); continue; }
    const raw = token.bytes.match(/../g)?.map((pair) => parseInt(pair, 16)) ?? [];
    if (!open.length) first = at;
    token.text = "";
    for (const byte of raw) {
      if (open.length && (byte & 0xc0) !== 0x80) { settle(at); first = at; }
      open.push(byte);
      const need = length(open[0]);
      if (need === 0) { token.orphan = true; open = []; first = at; continue; }
      if (open.length < need) continue;
      const text = decode(open);
      open = [];
      if (text === null) { for (let i = first; i <= at; i++) tokens[i].orphan = true; continue; }
      token.text += text;
      if (first < at) for (let i = first; i <= at; i++) tokens[i].part ??= [first, at];
      first = at;
    }
  }
  if (open.length) for (let i = first; i < tokens.length; i++) tokens[i].part ??= [first, tokens.length - 1];
  return tokens;

  function settle(end = Infinity) {
    if (open.length) for (let i = first; i < Math.min(end, tokens.length); i++) if (!tokens[i].text) tokens[i].orphan = true;
    open = [];
  }
}

const length = (byte) => (byte < 0x80 ? 1 : byte >= 0xc2 && byte < 0xe0 ? 2 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xf0 && byte < 0xf5 ? 4 : 0);

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
function decode(raw) {
  try { return decoder.decode(Uint8Array.from(raw)); } catch { return null; }
}
