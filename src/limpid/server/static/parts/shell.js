// What is around every page: its name, the pages there are, language and theme, and what stands in the way.
import { useEffect, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { keyWanted, useKey } from "../lib/api.js";
import { language, setLanguage, setTheme, theme } from "../lib/preferences.js";
import { address, route } from "../lib/route.js";
import { loadServer, server, unreachable } from "../lib/server.js";
import { Dialog } from "./dialog.js";
import { Icon, IconButton } from "./icons.js";
import { NoModel } from "./no_model.js";
import { PAGES, again, view } from "./pages.js";

/** Whether the left column of the page is open, where it does not fit beside it. */
export const menuOpen = signal(false);
const helpOpen = signal(false);
const THEMES = { auto: "light", light: "dark", dark: "auto" };

export function Shell() {
  const name = PAGES[route.value.page] ? route.value.page : "chat", page = PAGES[name];
  useEffect(() => { document.title = `${t(page.title)} · limpid`; }, [page, language.value]);
  useEffect(() => {
    const help = (event) => {
      if (event.key === "?" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) { event.preventDefault(); helpOpen.value = true; }
    };
    addEventListener("keydown", help);
    return () => removeEventListener("keydown", help);
  }, []);
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); (document.querySelector("#say") ?? document.querySelector("#main")).focus(); }}>${t("skip")}</a>
    <header class="bar">
      ${page.menu && html`<${IconButton} name="menu" class="menu" label=${t("conversations")} aria-expanded=${menuOpen.value} onClick=${() => { menuOpen.value = !menuOpen.value; }} />`}
      <a class="brand" href=${address("chat")}>limpid</a>
      <${Pages} current=${name} />
      <span class="grow"></span>
      <button type="button" class="ib word" lang=${language.value === "zh" ? "en" : "zh-Hans"} onClick=${() => setLanguage(language.value === "zh" ? "en" : "zh")}>${language.value === "zh" ? "English" : "中文"}</button>
      <${IconButton} name=${{ auto: "auto", light: "sun", dark: "moon" }[theme.value]} label=${t(`theme.${theme.value}`)} onClick=${() => setTheme(THEMES[theme.value])} />
      <${IconButton} name="keys" label=${t("shortcuts")} keys="?" class="keys" onClick=${() => { helpOpen.value = true; }} />
    </header>
    ${keyWanted.value ? html`<${KeyForm} />` : server.value ? html`<${Shown} name=${name} key=${name} />` : html`<${Waiting} why=${unreachable.value} retry=${loadServer} />`}
    ${helpOpen.value && html`<${Shortcuts} keys=${page.keys} />`}`;
}

/** The pages side by side; where the bar is narrow, a list under the name of the current one. */
function Pages({ current }) {
  const [open, setOpen] = useState(false);
  const close = (event) => { if (event.type === "keydown" ? event.key === "Escape" : !event.currentTarget.contains(event.relatedTarget)) setOpen(false); };
  return html`<nav aria-label=${t("pages")} onKeyDown=${close} onFocusOut=${close}>
    <button type="button" class="pages-open" aria-expanded=${open} aria-controls="pages-list" onClick=${() => setOpen(!open)}>${t(PAGES[current].title)}<${Icon} name="more" /></button>
    <div id="pages-list" class=${open ? "open" : ""}>${Object.entries(PAGES).filter(([, one]) => one.listed?.() ?? true).map(([name, one]) =>
      html`<a href=${address(name)} aria-current=${name === current ? "page" : undefined} onClick=${() => setOpen(false)}>${t(one.title)}</a>`)}</div>
  </nav>`;
}

/** The page itself; `data-page` on the body says which one stands there. */
function Shown({ name }) {
  const Page = PAGES[name].models && !server.value.models.length ? NoModel : view(name), ready = Page !== null && !(Page instanceof Error);
  useEffect(() => { if (ready) document.body.dataset.page = name; return () => { delete document.body.dataset.page; }; }, [ready]);
  return ready ? html`<${Page} />` : html`<${Waiting} why=${Page} retry=${again} />`;
}

function Waiting({ why, retry }) {
  const [late, setLate] = useState(false);
  useEffect(() => { const timer = setTimeout(() => setLate(true), 400); return () => clearTimeout(timer); }, []);
  if (!late) return html`<main id="main" tabindex="-1"></main>`;
  return html`<main id="main" class="wait" tabindex="-1"><p role="status">${!why ? t("loading") : why.status ? why.message : t("noServer")}</p>
    ${why && html`<button type="button" class="plain" onClick=${retry}>${t("retry")}</button>`}</main>`;
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

function Shortcuts({ keys = [] }) {
  return html`<${Dialog} title=${t("shortcuts")} onClose=${() => { helpOpen.value = false; }}>
    <dl class="keylist">${[...keys, ["?", "keys.help"]].map(([key, text]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${t(text)}</dd></div>`)}</dl>
    <p class="soft">${t("about", { version: server.value?.version ?? "" })} <a href="/docs">API</a></p>
  <//>`;
}
