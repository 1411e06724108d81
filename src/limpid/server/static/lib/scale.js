// From a token's numbers to a tint from 0 (nothing) to 1 (the scale's end). All three are logarithmic or bounded, so
// that lightness falls evenly, and one can tell them apart without seeing hues.

const LEAST = Math.log(1000); // a chance of one in a thousand has the full tint

/** Certain: 0. One in a thousand, or less: 1. */
export const ofProbability = (logprob) => clamp(-logprob / LEAST);
/** One choice: 0. All tokens of the vocabulary alike: 1. */
export const ofEntropy = (nats, vocabulary) => clamp(nats / Math.log(vocabulary || 1000));
/** The first choice: 0. The thousandth: 1. */
export const ofRank = (rank) => clamp(Math.log(Math.max(rank, 1)) / LEAST);

const clamp = (value) => Math.min(1, Math.max(0, value));
