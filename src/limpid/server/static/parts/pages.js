// The pages that there are, in the order of the bar. A page's code, words and style come when it is first shown.
import { signal } from "@preact/signals";
import { readers } from "../lib/server.js";

/**
 * A page by the name in its address. title: a key of i18n/en.js. load: its component. sheets: of css/, beside those of
 * index.html. menu: it has a column at the left. listed: whether the bar names it here; it does where this is not said.
 * models: it shows one, and a server without any says so instead. keys: what they do there, [key, text's key].
 * @type {Record<string, {title: string, load: () => Promise<any>, sheets?: string[], menu?: boolean, listed?: () => boolean, models?: boolean, keys?: [string, string][]}>}
 */
export const PAGES = {
  chat: {
    title: "chat", load: () => import("../chat/page.js").then((m) => m.ChatPage), menu: true, models: true,
    keys: [["/", "keys.say"], ["Enter", "keys.send"], ["Shift+Enter", "keys.line"], ["Esc", "keys.stop"], ["Alt+N", "keys.new"], ["← →", "keys.token"], ["↑ ↓", "keys.alternative"], ["Enter", "keys.fork"], ["Alt+I", "keys.panel"]],
  },
  reading: {
    title: "reading", load: () => import("../reading/page.js").then((m) => m.ReadingPage), sheets: ["reading"], models: true, listed: () => readers().length > 0,
    keys: [["/", "reading.keys.text"], ["← →", "reading.keys.token"], ["Enter", "reading.keys.hide"]],
  },
  attention: {
    title: "attention", load: () => import("../attention/page.js").then((m) => m.AttentionPage), sheets: ["attention"], models: true,
    keys: [["/", "attention.keys.text"], ["← → ↑ ↓", "attention.keys.heads"], ["Enter", "attention.keys.enter"], ["← → ↑ ↓", "attention.keys.cell"], ["+ −", "attention.keys.zoom"], ["Esc", "attention.keys.back"]],
  },
  steps: {
    title: "steps", load: () => import("../steps/page.js").then((m) => m.StepsPage), sheets: ["steps"], models: true,
    keys: [["/", "steps.keys.text"], ["J", "steps.keys.on"], ["K", "steps.keys.back"], ["← →", "steps.keys.cells"], ["Enter", "steps.keys.work"]],
  },
  embeddings: { title: "embeddings", load: () => import("../embeddings/page.js").then((m) => m.EmbeddingsPage), sheets: ["embeddings"], keys: [["← → ↑ ↓", "emb.keys.next"], ["Shift+← →", "emb.keys.move"], ["+ −", "emb.keys.zoom"], ["0", "emb.whole"], ["Esc", "emb.keys.none"]] },
  runs: { title: "runs", load: () => import("../runs/page.js").then((m) => m.RunsPage), sheets: ["runs"] },
  playground: {
    title: "playground", load: () => import("../playground/page.js").then((m) => m.PlaygroundPage), sheets: ["playground"],
    keys: [["P", "play.keys.run"], ["S", "play.keys.step"], ["Enter", "play.keys.open"], ["Esc", "play.keys.back"]],
  },
  perceptron: { title: "perceptron", load: () => import("../perceptron/page.js").then((m) => m.PerceptronPage), sheets: ["playground", "perceptron"] },
  lessons: { title: "lessons", load: () => import("../lessons/page.js").then((m) => m.LessonsPage), sheets: ["lessons"] },
};

/** @type {import("@preact/signals").Signal<Record<string, any>>} what has come: components by name, or the failure */
const come = signal({});
const asked = new Set();

/** The component of a page; null while it comes; an Error where it could not. */
export function view(name) {
  if (!asked.has(name)) {
    asked.add(name);
    const { load, sheets = [] } = PAGES[name];
    Promise.all([load(), ...sheets.map(sheet)]).then(
      ([component]) => { come.value = { ...come.value, [name]: component }; },
      (error) => { come.value = { ...come.value, [name]: error instanceof Error ? error : new Error(String(error)) }; },
    );
  }
  return come.value[name] ?? null;
}

/** Ask again for what could not be had. A browser remembers a module that failed, so the whole page is asked for. */
export const again = () => location.reload();

function sheet(name) {
  const href = `/static/css/${name}.css`;
  if (document.querySelector(`link[href="${href}"]`)) return null;
  return new Promise((done, fail) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: done, onerror: () => { link.remove(); fail(new Error(href)); } });
    document.head.append(link);
  });
}
