// Token records as the history keeps them: each candidate's spelling once, rows of numbers.

/** @typedef {{id: number, bytes: string, text: string | null, special?: boolean, probability: number, chance: number}} Alternative */
/** @typedef {{id: number, bytes: string, text: string, special?: boolean, logprob: number, entropy: number, rank: number, alternatives: Alternative[]}} Token */

/** @param {Token[]} tokens */
export function pack(tokens) {
  const spellings = {};
  const rows = tokens.map((token) => [
    token.id, token.bytes, token.text, token.special ? 1 : 0, token.logprob, token.entropy, token.rank,
    token.alternatives.flatMap((one) => {
      spellings[one.id] ??= [one.bytes, one.text, one.special ? 1 : 0];
      return [one.id, one.probability, one.chance];
    }),
  ]);
  return { version: 1, spellings, rows };
}

/** @returns {Token[]} */
export function unpack({ spellings, rows }) {
  return rows.map(([id, bytes, text, special, logprob, entropy, rank, flat]) => {
    const alternatives = [];
    for (let i = 0; i < flat.length; i += 3) {
      const [raw, spelt, control] = spellings[flat[i]];
      alternatives.push({ id: flat[i], bytes: raw, text: spelt, special: !!control, probability: flat[i + 1], chance: flat[i + 2] });
    }
    return { id, bytes, text, special: !!special, logprob, entropy, rank, alternatives };
  });
}
