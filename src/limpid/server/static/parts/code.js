// "Show code": the Python that prints what the page shows.
import { useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { words } from "../i18n/parts.js";

addWords(words);

/** A button that opens the code. `code`: what makes it, when it is wanted. */
export function CodeButton({ code, label = "" }) {
  const [open, setOpen] = useState(false), [copied, setCopied] = useState(false);
  const copy = async () => { await navigator.clipboard?.writeText(code()).catch(() => {}); setCopied(true); };
  return html`<button type="button" class="plain show-code" title=${t("code.what")} onClick=${() => { setCopied(false); setOpen(true); }}><${Icon} name="code" />${label || t("code.show")}</button>
    ${open && html`<${Dialog} title=${t("code.title")} class="wide" onClose=${() => setOpen(false)}>
      <p class="soft">${t("code.what")}</p>
      <pre class="code-block" tabindex="0">${code()}</pre>
      <p><button type="button" class="plain" onClick=${copy}><${Icon} name="copy" />${t(copied ? "copied" : "copy")}</button></p>
    <//>`}`;
}
