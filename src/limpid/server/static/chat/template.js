// The prompt of an answer exactly as the model reads it, token by token.
import { useEffect, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { api } from "../lib/api.js";
import { hex, visible } from "../lib/format.js";
import { Dialog } from "../parts/dialog.js";
import { promptOf } from "./talk.js";

export function Template({ node, onClose }) {
  const [found, setFound] = useState(null), [failure, setFailure] = useState(null);
  useEffect(() => { api("POST", "/api/prompt", promptOf(node)).then(setFound, setFailure); }, []);
  return html`<${Dialog} title=${t("template.title")} class="wide" onClose=${onClose}>
    ${failure && html`<p>${failure.message}</p>`}
    ${found && html`<p class="soft">${t("template.what", { n: found.count, context: found.context })} ${found.dropped ? t("dropped", { n: found.dropped, context: found.context }) : ""}</p>
      <p class="template" tabindex="0">${found.tokens.map((token) => html`<span class=${token.special ? "control" : ""} title=${`${token.id} · ${hex(token.bytes)}`}>${token.text === null ? hex(token.bytes) : visible(token.text)}</span>${token.text?.includes("\n") || /end\|>$/.test(token.text ?? "") ? html`<br />` : null}`)}</p>`}
  <//>`;
}
