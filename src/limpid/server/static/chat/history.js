// The conversations there are: search, open, rename, delete, take out and bring in.
import { useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t, when } from "../lib/i18n.js";
import { address, go } from "../lib/route.js";
import { server } from "../lib/server.js";
import { Icon, IconButton } from "../parts/icons.js";
import { menuOpen } from "../parts/shell.js";
import { bringIn, chat, download, list, loadList, query, remove, rename, shape, trouble } from "./store.js";

export function History() {
  shape.value;
  const file = useRef(null);
  let timer = 0;
  const search = (event) => { query.value = event.target.value; clearTimeout(timer); timer = setTimeout(loadList, 150); };
  const take = async (event) => {
    const [one] = event.target.files;
    event.target.value = "";
    try { trouble.value = { key: "broughtIn", values: { n: await bringIn(one) } }; } catch (failure) { trouble.value = { key: "notBroughtIn", text: failure.message }; }
  };
  return html`<aside class=${`history ${menuOpen.value ? "open" : ""}`} aria-label=${t("conversations")}>
    <button type="button" class="new" aria-keyshortcuts="Alt+N" onClick=${() => { menuOpen.value = false; go("chat"); document.querySelector("#say")?.focus(); }}><${Icon} name="add" />${t("newChat")}</button>
    ${!server.value.history ? html`<p class="soft pad">${t("noHistory")}</p>` : html`
      <label class="search"><${Icon} name="search" /><input type="search" placeholder=${t("search")} aria-label=${t("search")} value=${query.value} onInput=${search} /></label>
      <ul class="chats">${list.value.map((one) => html`<${Entry} key=${one.id} one=${one} />`)}</ul>
      ${!list.value.length && html`<p class="soft pad">${t(query.value ? "nothingFound" : "noChats")}</p>`}
      <footer>
        <button type="button" class="plain" disabled=${!list.value.length} onClick=${() => download()}><${Icon} name="out" />${t("exportAll")}</button>
        <button type="button" class="plain" onClick=${() => file.current.click()}><${Icon} name="in" />${t("import")}</button>
        <input ref=${file} type="file" accept="application/json,.json" hidden onChange=${take} />
      </footer>`}
  </aside>`;
}

function Entry({ one }) {
  const [mode, setMode] = useState("");
  const here = one.id === chat.value.id;
  const done = (event) => {
    const title = event.target.value.trim();
    if (mode === "rename" && title && title !== one.title) rename(one.id, title);
    setMode("");
  };
  if (mode === "rename") return html`<li class="editing"><input value=${one.title} aria-label=${t("rename")} maxlength="200" ref=${(box) => box && !box.matches(":focus") && box.select()} onBlur=${done}
    onKeyDown=${(event) => { if (event.isComposing || event.keyCode === 229) return; if (event.key === "Enter") event.target.blur(); if (event.key === "Escape") { event.stopPropagation(); setMode(""); } }} /></li>`;
  if (mode === "delete") return html`<li class="editing sure"><span>${t("sure")}</span><button type="button" class="danger" autofocus onClick=${() => remove(one.id)}>${t("delete")}</button><button type="button" class="plain" onClick=${() => setMode("")}>${t("keep")}</button></li>`;
  return html`<li class=${here ? "here" : ""}>
    <a href=${address("chat", one.id)} aria-current=${here ? "true" : undefined} onClick=${() => { menuOpen.value = false; }}><span class="title"><bdi>${one.title || t("untitled")}</bdi></span><time>${when(one.updated)}</time></a>
    <span class="tools">
      <${IconButton} name="edit" label=${t("rename")} onClick=${() => setMode("rename")} />
      <${IconButton} name="out" label=${t("export")} onClick=${() => download(one.id)} />
      <${IconButton} name="trash" label=${t("delete")} onClick=${() => setMode("delete")} />
    </span></li>`;
}
