// What is read: the model, and as many texts as its task has.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { readers } from "../lib/server.js";
import { busy, own, set, texts } from "./store.js";

/** The names of the fields by the task of a classifier. Choices are lines of one field. */
const FIELDS = { single: ["text"], pair: ["first", "second"], similarity: ["first", "second"], choice: ["context", "choices"] };

export function Form() {
  const one = own.value, all = readers(), names = FIELDS[one.task ?? "single"], form = useRef(null), given = texts.value;
  const values = one.task === "choice" ? [given[0], given.slice(1).join("\n")] : names.map((_, i) => given[i] ?? "");
  useEffect(() => { form.current.querySelectorAll("textarea").forEach((box, i) => { box.value = values[i]; }); }, [given]);
  const submit = (event) => {
    event?.preventDefault();
    const said = [...form.current.querySelectorAll("textarea")].map((box) => box.value);
    if (!said[0]) return;
    if (one.kind === "encoder") set({ text: said[0], hide: null, texts: null }, false);
    else set({ texts: (one.task === "choice" ? [said[0], ...said[1].split("\n").filter(Boolean)] : said).map((text) => text.replaceAll("\n", " ")).join("\n"), text: null, hide: null }, false);
  };
  const keys = (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229 && !event.target.matches("[name=choices]")) submit(event); };
  return html`<form class="reading-form" ref=${form} onSubmit=${submit}>
    <select aria-label=${t("model")} onChange=${(event) => set({ model: event.target.value, hide: null, text: null, texts: null }, false)}>${all.map((other) => html`<option key=${other.name} value=${other.name} selected=${other === one}>${other.name}</option>`)}</select>
    <div class="reading-fields">${names.map((name) => html`<label key=${name}><span class=${names.length === 1 ? "hidden" : "soft"}>${t(`reading.${name}`)}</span><textarea name=${name} rows=${name === "choices" ? 3 : 1} dir="auto" spellcheck=${false} placeholder=${t(`reading.${name}`)} onKeyDown=${keys}></textarea></label>`)}</div>
    <button type="submit" class="primary" disabled=${busy.value}>${t("open")}</button>
  </form>`;
}
