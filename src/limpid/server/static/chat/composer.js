// Where one writes. Enter sends, unless an input method is composing a word with it.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { speakers } from "../lib/server.js";
import { Icon, IconButton } from "../parts/icons.js";
import { chat, live, panel, panelOpen, set, settings, shownPath } from "./store.js";
import { answering, resume, rival, send, stop } from "./talk.js";

export function Composer() {
  const box = useRef(null), [text, setText] = useState("");
  const raw = settings().mode === "text", busy = live.value > 0, last = shownPath().at(-1);
  useEffect(() => { if (matchMedia("(pointer: fine)").matches) box.current.focus({ preventScroll: true }); }, [chat.value.id]);
  useLayoutEffect(() => { box.current.style.height = "auto"; box.current.style.height = `${Math.min(box.current.scrollHeight + 2, innerHeight * 0.4)}px`; }, [text]);
  const submit = () => {
    if (busy) return;
    const said = box.current.value; // not `text`, which may not have heard of the last keys yet
    if (!said.trim()) { if (raw && last?.role === "assistant") resume(last); return; }
    setText("");
    send(said);
  };
  const keys = (event) => {
    if (event.isComposing || event.keyCode === 229) return; // this Enter chooses a word
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); submit(); }
    if (event.key === "ArrowUp" && !text) { const all = document.querySelectorAll(".living"); if (all.length) { event.preventDefault(); all[all.length - 1].focus(); } }
  };
  return html`<form class="composer" onSubmit=${(event) => { event.preventDefault(); submit(); }}>
    <div class="field">
      <textarea id="say" ref=${box} rows="1" dir="auto" value=${text} placeholder=${t(raw ? "sayText" : "say")} aria-label=${t(raw ? "sayText" : "say")} onInput=${(event) => setText(event.target.value)} onKeyDown=${keys}></textarea>
      ${busy ? html`<button type="button" class="go" aria-label=${t("stop")} title=${`${t("stop")} (Esc)`} onClick=${() => stop()}><${Icon} name="stop" /></button>`
        : html`<button type="submit" class="go" aria-label=${t("send")} title=${`${t("send")} (Enter)`} disabled=${!text.trim() && !(raw && last?.role === "assistant")}><${Icon} name="send" /></button>`}
    </div>
    <div class="under">
      <${Models} />
      <span class="grow"></span>
      <div class="modes" role="group" aria-label=${t("mode")}>${["chat", "text"].map((mode) => html`<button type="button" aria-pressed=${settings().mode === mode} disabled=${busy || (mode === "chat" && answering() && !answering().can_chat)} onClick=${() => set({ mode })}>${t(`mode.${mode}`)}</button>`)}</div>
      <${IconButton} name="tune" label=${t("panel.settings")} onClick=${() => { panel.value = "settings"; panelOpen.value = true; }} />
    </div>
  </form>`;
}

function Models() {
  const all = speakers(), own = answering(), other = rival();
  if (!own) return null;
  const choose = (name, none) => html`<select aria-label=${t(name === "model" ? "model" : "rival")} value=${(name === "model" ? own.name : other?.name) ?? ""} onChange=${(event) => set({ [name]: event.target.value || null })}>
    ${none && html`<option value="" selected=${!other}>${t("alone")}</option>`}
    ${all.filter((one) => name === "model" || one !== own).map((one) => html`<option value=${one.name} selected=${one === (name === "model" ? own : other)}>${name === "rival" ? t("beside", { model: one.name }) : one.name}</option>`)}</select>`;
  return html`<div class="models">${choose("model")}${all.length > 1 && choose("rival", true)}</div>`;
}
