// Lessons: the contents, or one of them with its steps.
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { ask } from "../lib/api.js";
import { language } from "../lib/preferences.js";
import { address, route } from "../lib/route.js";
import { save } from "../lib/save.js";
import { words } from "../i18n/lessons.js";
import { PAGES } from "../parts/pages.js";
import { Icon } from "../parts/icons.js";
import { all, chapters, changed, current, enter, failure, leave, line, loadBook, outcomes, refused, reset, running, start } from "./store.js";
import { Step } from "./step.js";

addWords(words);

/** The pages of the app where one sees a lesson's idea at work. */
const SEE = { perceptron: "perceptron", playground: "playground", attention: "attention", heads: "attention", masks: "attention", "next-token": "chat", embeddings: "embeddings", block: "steps", transformer: "steps" };

export function LessonsPage() {
  useEffect(() => { if (!chapters.value) loadBook(); }, []);
  const lesson = current.value;
  if (failure.value) return html`<main id="main" class="wait" tabindex="-1"><p role="status">${failure.value.message || t("noServer")}</p><button type="button" class="plain" onClick=${loadBook}>${t("retry")}</button></main>`;
  if (!chapters.value) return html`<main id="main" class="lessons" tabindex="-1" aria-busy="true"></main>`;
  return lesson ? html`<${One} lesson=${lesson} key=${lesson.name} />` : html`<${Contents} />`;
}

function Contents() {
  const say = language.value;
  return html`<main id="main" class="lessons contents" tabindex="-1" aria-label=${t("lessons")}><div class="lessons-book">
    <h1>${t("lessons")}</h1><p class="lessons-what">${t("lessons.what")}</p>
    ${chapters.value.map((chapter) => html`<section><h2>${chapter.title[say]}</h2><ul>${chapter.lessons.map((one) =>
      html`<li><a href=${address("lessons", one.name)}><b>${one.title[say]}</b><span>${one.summary[say]}</span></a></li>`)}</ul></section>`)}
  </div></main>`;
}

function List({ name }) {
  const say = language.value;
  return html`<nav class="lessons-list" aria-label=${t("lessons.list")}>${chapters.value.map((chapter) => html`<h2>${chapter.title[say]}</h2><ul>${chapter.lessons.map((one) =>
    html`<li><a href=${address("lessons", one.name)} aria-current=${one.name === name ? "page" : undefined}>${one.title[say]}</a></li>`)}</ul>`)}</nav>`;
}

function One({ lesson }) {
  const say = language.value, at = all.value.indexOf(lesson), [before, next] = [all.value[at - 1], all.value[at + 1]];
  useEffect(() => { enter(lesson.name); return leave; }, []);
  useEffect(() => { document.querySelector("#main").scrollTop = 0; }, []);
  const text = route.value.text;
  useEffect(() => { if (line.value?.status.value === "open") start(route.value.query); }, [text]);
  const status = line.value?.status.value ?? "opening", own = Object.keys(route.value.query).length > 0, see = SEE[lesson.name];
  return html`<main id="main" class="lessons one" tabindex="-1" aria-label=${lesson.title[say]} aria-busy=${running.value || (!changed.value && !refused.value && /^open/.test(status))}>
    <${List} name=${lesson.name} />
    <article class="lesson">
      <a class="lessons-up" href=${address("lessons")}><${Icon} name="left" />${t("lessons.all")}</a>
      <h1>${lesson.title[say]}</h1><p class="lessons-what">${lesson.summary[say]}</p>
      <div role="alert">${status !== "open" && status !== "opening" && html`<div class="banner"><p>${t("lessons.lost", { why: status })}</p><button type="button" class="plain" onClick=${() => line.value.open()}>${t("retry")}</button></div>`}
        ${refused.value && html`<div class="banner"><p>${refused.value}</p><button type="button" class="plain" onClick=${reset}>${t("lessons.reset")}</button></div>`}</div>
      ${lesson.steps.map((step, i) => html`<${Step} key=${i} number=${i + 1} step=${{ ...step, ...changed.value?.[i] }} outcome=${outcomes.value[i]} program=${() => program(lesson, i)} />`)}
      <footer>
        ${own && html`<button type="button" class="plain" onClick=${reset}><${Icon} name="again" />${t("lessons.reset")}</button>`}
        <button type="button" class="plain" onClick=${() => notebook(lesson.name)}><${Icon} name="out" />${t("lessons.notebook")}</button>
        <button type="button" class="plain" onClick=${() => save(`${lesson.name}.py`, program(lesson, lesson.steps.length - 1), "text/x-python")}><${Icon} name="out" />${t("lessons.program")}</button>
        <p class="soft note">${t("lessons.terminal")}: <code>${command(lesson.name)}</code></p>
        ${PAGES[see] && html`<p class="note">${t("lessons.see")}: <a href=${address(see)}>${t(`lessons.see.${see}`)}</a></p>`}
      </footer>
      <nav class="lessons-turn" aria-label=${`${t("lessons.before")}, ${t("lessons.next")}`}>
        ${before && html`<a href=${address("lessons", before.name)}><small>${t("lessons.before")}</small>${before.title[say]}</a>`}<span class="grow"></span>
        ${next && html`<a class="next" href=${address("lessons", next.name)}><small>${t("lessons.next")}</small>${next.title[say]}</a>`}
      </nav>
    </article>
  </main>`;
}

/** The code to a step, with the reader's values: it runs as it stands. */
const program = (lesson, until) => `${lesson.steps.slice(0, until + 1).map((step, i) => changed.value?.[i]?.code ?? step.code).filter(Boolean).join("\n\n")}\n`;

function command(name) {
  const values = Object.entries(route.value.query).map(([key, value]) => ` '${key}=${value.replace(/'/g, "'\\''")}'`).join("");
  return `limpid lesson ${name}${values}${language.value === "zh" ? " --lang zh" : ""}`;
}

async function notebook(name) {
  const query = new URLSearchParams({ ...route.value.query, lang: language.value });
  try { save(`${name}.ipynb`, await (await ask("GET", `/api/lessons/${name}.ipynb?${query}`)).blob()); } catch (error) { refused.value = error.message || t("noServer"); }
}
