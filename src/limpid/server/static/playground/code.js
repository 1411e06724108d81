// The same net as a program that needs no limpid.
import { useEffect, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { save } from "../lib/save.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";
import { program, say } from "./store.js";

const SHOWN = 14_000;

export function Code({ onClose }) {
  const [kind, setKind] = useState("numpy"), [copied, setCopied] = useState(false), text = program.value[kind];
  useEffect(() => { setCopied(false); say({ do: "program", kind }); }, [kind]);
  const copy = async () => { await navigator.clipboard.writeText(text); setCopied(true); };
  return html`<${Dialog} title=${t("play.code")} onClose=${() => { program.value = {}; onClose(); }} class="wide">
    <p class="soft note">${t("play.code.what")}</p>
    <div class="play-tabs" role="group" aria-label=${t("play.code.library")}>${["numpy", "torch"].map((one) => html`<button type="button" class="plain" aria-pressed=${one === kind} onClick=${() => setKind(one)}>${one === "numpy" ? "NumPy" : "PyTorch"}</button>`)}<span class="grow"></span>
      <button type="button" class="plain" disabled=${!text} onClick=${copy}><${Icon} name="copy" />${t(copied ? "copied" : "copy")}</button><button type="button" class="plain" disabled=${!text} onClick=${() => save("net.py", text, "text/x-python")}><${Icon} name="out" />net.py</button></div>
    <pre class="play-program" tabindex="0" aria-label=${t("play.code")}><code>${text ? (text.length > SHOWN ? `${text.slice(0, SHOWN)}\n${t("play.code.more", { n: text.length - SHOWN })}` : text) : "…"}</code></pre>
  <//>`;
}
