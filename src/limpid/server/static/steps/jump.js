// Where there is no room for the column of steps: a list to choose from.
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { chapterTitle } from "./rail.js";
import { goTo, trace } from "./state.js";
import { titleOf } from "./words.js";

export function Chapters({ all, place }) {
  return html`<label class="jump"><span class="hidden">${t("steps.way")}</span><select value=${place} onChange=${(event) => { const { chapter, step } = all[event.target.value]; goTo(chapter, step); }}>
    ${trace.value.chapters.map((chapter) => html`<optgroup label=${chapterTitle(chapter)}>${all.map((one, i) => one.chapter === chapter && html`<option value=${i} selected=${i === place}>${i + 1}. ${titleOf(one.step)}</option>`)}</optgroup>`)}</select></label>`;
}
