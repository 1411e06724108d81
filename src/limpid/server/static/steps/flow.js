// Which vector a step ends with: what the rail draws, and what is worked where no cell was chosen.

/**
 * @param {import("./state.js").Step} step
 * @param {{at: number, head: number, group: number}} where
 * @returns {{name: string, index: number[]} | null}
 */
export function outOf(step, { at, head }) {
  const kind = step.key.split(".").at(-1), { shows } = step;
  switch (kind) {
    case "heads": return { name: shows.q, index: [at, head] };
    case "qk_norm": case "turn": return { name: shows.to_q, index: [at, head] };
    case "raw": case "scaled": case "masked": case "pattern": return { name: shows.out, index: [head, at] };
    case "mixed": return { name: shows.out, index: [at, head] };
    case "up": return { name: shows.pre, index: [at] };
    default: return shows.out ? { name: shows.out, index: [at] } : null;
  }
}

/** The cell with the largest finite magnitude. */
export function largest(values) {
  let best = 0, most = -1;
  for (let i = 0; i < values.length; i++) { const size = Math.abs(values[i]); if (Number.isFinite(size) && size > most) { most = size; best = i; } }
  return best;
}

/** The cell with the largest number. */
export function highest(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
