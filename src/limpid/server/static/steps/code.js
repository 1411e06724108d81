// "Show code": the Python that prints the numbers that are shown.
import { useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { IconButton } from "../parts/icons.js";
import { trace } from "./state.js";

/** A text as Python writes it. */
export const quoted = (text) => JSON.stringify(text).replace(/\\u([dD][89abAB][0-9a-f]{2})\\u([dD][c-fC-F][0-9a-f]{2})/g, (_, high, low) => String.fromCharCode(parseInt(high, 16), parseInt(low, 16)));

/** The lines that come first: the model, and what it read, as ids: those are exact. */
export function opening() {
  const { run, device, stacks } = trace.value, two = stacks.length > 1, ids = (tokens) => `[${tokens.map((token) => token.id).join(", ")}]`;
  const load = `lm = ${two ? "load_translator" : "limpid.load"}(${quoted(run)}, device=${quoted(device)}, dtype="float32")`;
  const read = two ? `${ids(stacks[0].tokens)}, ${ids(stacks[1].tokens.slice(1))}` : ids(stacks[0].tokens);
  return [two ? "from limpid.stages.seq2seq import load_translator" : "import limpid", "", load, `t = lm.trace(${read})`];
}

export function Code({ lines }) {
  const [open, setOpen] = useState(false), [done, setDone] = useState(false);
  const text = [...opening(), ...lines].join("\n");
  const copy = async () => { try { await navigator.clipboard.writeText(text); setDone(true); setTimeout(() => setDone(false), 1500); } catch { /* not allowed: it can be marked */ } };
  return html`<div class="code"><button type="button" class="link" aria-expanded=${open} onClick=${() => setOpen(!open)}>${t("steps.code")}</button>
    ${open && html`<div class="code-box"><pre tabindex="0"><code>${text}</code></pre><${IconButton} name="copy" label=${t(done ? "copied" : "copy")} onClick=${copy} /></div>`}</div>`;
}
