// A box over the page, closed by Escape, its button, or a click beside it. The browser keeps the focus within.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { IconButton } from "./icons.js";

export function Dialog({ title, onClose, children, class: more = "" }) {
  const box = useRef(null);
  useEffect(() => { box.current.showModal(); }, []);
  return html`<dialog ref=${box} class=${`dialog ${more}`} aria-label=${title} onClose=${onClose} onClick=${(event) => event.target === box.current && box.current.close()}>
    <div class="dialog-body">
      <header><h2>${title}</h2><${IconButton} name="close" label=${t("close")} onClick=${() => box.current.close()} /></header>
      ${children}
    </div>
  </dialog>`;
}
