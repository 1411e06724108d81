// The Python that opens what a page looks into: it ends with `t`, the trace of exactly the ids that were read.

/** A Python string. */
export const python = (text) => JSON.stringify(String(text)).replace(/[\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
const ids = (stack) => `[${stack.tokens.map((token) => token.id).join(", ")}]`;

/** @param {any} facts what POST /api/trace told @returns {string[]} lines */
export function opening({ kind, run, device, stacks, answers }) {
  const where = `${python(run)}, device=${python(device)}`, path = `Path(${python(run)}), device=${python(device)}`;
  if (kind === "encoder-decoder") return ["from limpid.stages.seq2seq import load_translator", "", `lm = load_translator(${where}, dtype="float32")`, `t = lm.trace(${ids(stacks[0])}, [${stacks[1].tokens.slice(1).map((token) => token.id).join(", ")}])`];
  if (kind === "encoder") return ["from pathlib import Path", "from limpid.inspection.trace import trace", "from limpid.stages.load import load_subject", "", `model, tokenizer = load_subject(${path})`, `t = trace(model, ${ids(stacks[0])}, tokenizer)`];
  if (kind === "classifier") return ["from pathlib import Path", "from limpid.inspection.trace import trace", "from limpid.stages.classify import load_classifier", "", `classifier = load_classifier(${path}, dtype="float32")`, `t = trace(classifier.model${answers ? "" : ".backbone"}, ${ids(stacks[0])}, classifier.tokenizer)`];
  return ["import limpid", "", `lm = limpid.load(${where}, dtype="float32")`, `t = lm.trace(${ids(stacks[0])})`];
}
