// Token records as the server streams them and as the history keeps them: rows of numbers, each candidate's spelling once.

/** @typedef {{id: number, bytes: string, text: string | null, special?: boolean, probability: number, chance: number}} Alternative */
/** @typedef {Record<number, [string, string | null, number]>} Spellings of candidates: bytes in hex, text, 1 for control tokens */

/** One token of an answer. Its candidates are made into objects when somebody looks at them, which for most nobody does. */
export class Token {
  /** @param {any[]} row @param {Spellings} spellings those of the whole answer; what the row needs is there, or comes with it */
  constructor([id, bytes, text, special, logprob, entropy, rank, candidates], spellings) {
    Object.assign(this, { id, bytes, text, special: !!special, logprob, entropy, rank, candidates, spellings });
  }

  /** The same token with some fields changed. */
  with(changes) { return Object.assign(Object.create(Token.prototype), this, changes); }

  /** Best first. @returns {Alternative[]} */
  get alternatives() {
    return triples(this.candidates).map(([id, probability, chance]) => {
      const [bytes, text, special] = this.spellings[id];
      return { id, bytes, text, special: !!special, probability, chance };
    });
  }
}

/** The candidates of a row, (id, probability, chance) each: one flat list of numbers, or base64 of n ids, n probabilities, n chances. */
function triples(candidates) {
  if (typeof candidates !== "string") return Array.from({ length: candidates.length / 3 }, (_, i) => candidates.slice(3 * i, 3 * i + 3));
  const raw = new DataView(Uint8Array.from(atob(candidates), (c) => c.charCodeAt(0)).buffer), n = raw.byteLength / 12, digits = (at) => +raw.getFloat32(at, true).toPrecision(7);
  return Array.from({ length: n }, (_, i) => [raw.getInt32(4 * i, true), digits(4 * (n + i)), digits(4 * (2 * n + i))]);
}

/** @param {Token[]} tokens */
export function pack(tokens) {
  const spellings = {};
  const rows = tokens.map((token) => {
    const found = triples(token.candidates);
    for (const [id] of found) spellings[id] ??= token.spellings[id];
    return [token.id, token.bytes, token.text, token.special ? 1 : 0, token.logprob, token.entropy, token.rank, found.flat()];
  });
  return { version: 1, spellings, rows };
}

/** @returns {Token[]} */
export const unpack = ({ spellings, rows }) => rows.map((row) => new Token(row, spellings));
