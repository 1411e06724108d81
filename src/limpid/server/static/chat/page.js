// The chat page: conversations at the left, the one we are in, and at the right what is inside.
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { address, go, route } from "../lib/route.js";
import { readers, speakers, walkers } from "../lib/server.js";
import { IconButton } from "../parts/icons.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { History } from "./history.js";
import { Inspector } from "./inspector.js";
import { Settings } from "./settings.js";
import { chat, follow, keptAside, live, loadList, panel, panelOpen, pick, picked, trouble } from "./store.js";
import { spoken, stop } from "./talk.js";

export function ChatPage() {
  useEffect(() => { loadList(); }, []);
  useEffect(() => { follow(); }, [route.value.page, route.value.part]);
  useEffect(() => { addEventListener("keydown", shortcuts); return () => removeEventListener("keydown", shortcuts); }, []);
  if (!chat.value) return html`<main id="main" tabindex="-1"></main>`;
  if (!speakers().length) return html`<${Silent} />`;
  return html`<div class="chat-page">
    <${History} />
    <main id="main" class="talk" tabindex="-1" aria-label=${t("chat")}>
      <${Troubles} />
      <${Conversation} />
      <${Composer} />
    </main>
    <${Panel} />
    <${Spoken} />
  </div>`;
}

/** None of the models speaks: which they are, where they can be seen, and what to serve instead. */
function Silent() {
  const all = readers(), pages = all.length ? ["reading", "attention", ...(walkers().length ? ["steps"] : []), "embeddings"] : [];
  return html`<main id="main" class="wait" tabindex="-1">${all.map((one) => html`<p key=${one.name}>${t(`silent.${one.kind}`, { model: one.name })}</p>`)}
    ${pages.length > 0 && html`<p class="acts">${pages.map((name) => html`<a key=${name} class="plain" href=${address(name)}>${t(name)}</a>`)}</p>`}
    <p class=${all.length ? "soft" : ""}>${t(all.length ? "noSpeaker.serve" : "noSpeaker")}</p></main>`;
}

function shortcuts(event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.key === "/" && !typing) { event.preventDefault(); document.querySelector("#say")?.focus(); }
  if (event.altKey && event.code === "KeyN") { event.preventDefault(); go("chat"); document.querySelector("#say")?.focus(); }
  if (event.altKey && event.code === "KeyI") { event.preventDefault(); panelOpen.value = !panelOpen.value; }
  if (event.key !== "Escape") return;
  if (live.value) stop();
  else if (picked.value) { const { node } = picked.value; closePanel(); document.querySelector(`[data-node="${node.id}"] .living`)?.focus(); }
  else closePanel();
}

function closePanel() { panelOpen.value = false; pick(null); }

function Panel() {
  const tab = (name) => html`<button type="button" role="tab" id=${`tab-${name}`} aria-controls="panel-body" aria-selected=${panel.value === name} tabindex=${panel.value === name ? 0 : -1}
    onClick=${() => { panel.value = name; }} onKeyDown=${(event) => /^Arrow(Left|Right)$/.test(event.key) && (panel.value = name === "inspect" ? "settings" : "inspect", queueMicrotask(() => document.getElementById(`tab-${panel.value}`).focus()))}>${t(`panel.${name}`)}</button>`;
  return html`<aside class=${`panel ${panelOpen.value ? "open" : ""}`} aria-label=${t("panel")}>
    <header><div role="tablist" aria-label=${t("panel")}>${tab("inspect")}${tab("settings")}</div><${IconButton} name="close" class="narrow" label=${t("close")} onClick=${closePanel} /></header>
    <div id="panel-body" key=${panel.value} role="tabpanel" aria-labelledby=${`tab-${panel.value}`} tabindex="0">${panel.value === "inspect" ? html`<${Inspector} />` : html`<${Settings} />`}</div>
  </aside>`;
}

function Troubles() {
  const one = trouble.value, aside = keptAside.value;
  return html`<div class="troubles" role="alert">
    ${one && html`<div class="banner"><p>${one.key ? t(one.key, { text: one.text ?? "", ...one.values }) : one.text}</p>
      ${one.again && html`<button type="button" class="plain" onClick=${one.again}>${t("retry")}</button>`}
      <${IconButton} name="close" label=${t("close")} onClick=${() => { trouble.value = null; }} /></div>`}
    ${aside && html`<div class="banner"><p>${t("keptAside", { path: aside })}</p><${IconButton} name="close" label=${t("close")} onClick=${() => { keptAside.value = null; }} /></div>`}
  </div>`;
}

/** For who listens: that an answer has begun, and the whole of it when it is there; never token by token. */
function Spoken() {
  return html`<p class="hidden" aria-live="polite">${spoken.value === "begun" ? t("answering") : spoken.value}</p>`;
}

