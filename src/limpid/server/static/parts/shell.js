// What is around every page: its name, the pages there are, language and theme, and what stands in the way.
import { useEffect, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { keyWanted, useKey } from "../lib/api.js";
import { language, setLanguage, setTheme, theme } from "../lib/preferences.js";
import { address, route } from "../lib/route.js";
import { loadServer, server, unreachable } from "../lib/server.js";
import { ChatPage } from "../chat/page.js";
import { Dialog } from "./dialog.js";
import { IconButton } from "./icons.js";

/** The pages, by the name in the address. A page is a component; `menu` tells the shell of a column it has at the left. */
export const PAGES = { chat: { title: "chat", view: ChatPage, menu: true } };
/** Whether the left column of the page is open, where it does not fit beside it. */
export const menuOpen = signal(false);
const helpOpen = signal(false);
const THEMES = { auto: "light", light: "dark", dark: "auto" };

export function Shell() {
  const page = PAGES[route.value.page] ?? PAGES.chat;
  useEffect(() => { document.title = `${t(page.title)} · limpid`; }, [page, language.value]);
  useEffect(() => {
    const help = (event) => {
      if (event.key === "?" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) { event.preventDefault(); helpOpen.value = true; }
    };
    addEventListener("keydown", help);
    return () => removeEventListener("keydown", help);
  }, []);
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector("#say, #main").focus(); }}>${t("skip")}</a>
    <header class="bar">
      ${page.menu && html`<${IconButton} name="menu" class="menu" label=${t("conversations")} aria-expanded=${menuOpen.value} onClick=${() => { menuOpen.value = !menuOpen.value; }} />`}
      <a class="brand" href=${address("chat")}>limpid</a>
      <nav aria-label=${t("pages")}>${Object.entries(PAGES).map(([name, one]) => html`<a href=${address(name)} aria-current=${one === page ? "page" : undefined}>${t(one.title)}</a>`)}</nav>
      <span class="grow"></span>
      <button type="button" class="ib word" lang=${language.value === "zh" ? "en" : "zh-Hans"} onClick=${() => setLanguage(language.value === "zh" ? "en" : "zh")}>${language.value === "zh" ? "English" : "中文"}</button>
      <${IconButton} name=${{ auto: "auto", light: "sun", dark: "moon" }[theme.value]} label=${t(`theme.${theme.value}`)} onClick=${() => setTheme(THEMES[theme.value])} />
      <${IconButton} name="keys" label=${t("shortcuts")} keys="?" class="keys" onClick=${() => { helpOpen.value = true; }} />
    </header>
    ${keyWanted.value ? html`<${KeyForm} />` : server.value ? html`<${page.view} />` : html`<${Waiting} />`}
    ${helpOpen.value && html`<${Shortcuts} />`}`;
}

function Waiting() {
  const [late, setLate] = useState(false);
  useEffect(() => { const timer = setTimeout(() => setLate(true), 400); return () => clearTimeout(timer); }, []);
  if (!late) return html`<main id="main" tabindex="-1"></main>`;
  const why = unreachable.value;
  return html`<main id="main" class="wait" tabindex="-1"><p role="status">${!why ? t("loading") : why.status === 0 ? t("noServer") : why.message}</p>
    ${why && html`<button type="button" class="plain" onClick=${loadServer}>${t("retry")}</button>`}</main>`;
}

function KeyForm() {
  const [text, setText] = useState("");
  const submit = (event) => { event.preventDefault(); useKey(text.trim()); server.value = null; loadServer(); };
  return html`<main id="main" class="wait" tabindex="-1"><form onSubmit=${submit}>
    <h1>${t("key.title")}</h1><p>${t("key.why")}</p>
    <label>${t("key.label")}<input type="password" autocomplete="off" value=${text} onInput=${(event) => setText(event.target.value)} required autofocus /></label>
    <button type="submit" class="primary">${t("key.go")}</button>
  </form></main>`;
}

const KEYS = [["/", "keys.say"], ["Enter", "keys.send"], ["Shift+Enter", "keys.line"], ["Esc", "keys.stop"], ["Alt+N", "keys.new"], ["← →", "keys.token"], ["↑ ↓", "keys.alternative"], ["Enter", "keys.fork"], ["Alt+I", "keys.panel"], ["?", "keys.help"]];
function Shortcuts() {
  return html`<${Dialog} title=${t("shortcuts")} onClose=${() => { helpOpen.value = false; }}>
    <dl class="keylist">${KEYS.map(([key, text]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${t(text)}</dd></div>`)}</dl>
    <p class="soft">${t("about", { version: server.value?.version ?? "" })} <a href="/docs">API</a></p>
  <//>`;
}
