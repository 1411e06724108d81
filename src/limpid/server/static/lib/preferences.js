// Language and theme: the browser's own, unless the reader chose; kept in this browser.
import { effect, signal } from "@preact/signals";

const kept = (name) => { try { return localStorage.getItem(`limpid.${name}`); } catch { return null; } };
const keep = (name, value) => { try { value === null ? localStorage.removeItem(`limpid.${name}`) : localStorage.setItem(`limpid.${name}`, value); } catch { /* private mode: it lasts as long as the page */ } };

/** @type {import("@preact/signals").Signal<"en" | "zh">} */
export const language = signal(kept("language") ?? (navigator.languages?.some((l) => /^zh/i.test(l)) && !/^en/i.test(navigator.language) ? "zh" : "en"));
/** @type {import("@preact/signals").Signal<"auto" | "light" | "dark">} */
export const theme = signal(kept("theme") ?? "auto");
/** How tokens are tinted: "probability", "entropy", "rank" or "off". */
export const tint = signal(kept("tint") ?? "probability");

export function setLanguage(value) { language.value = value; keep("language", value); }
export function setTheme(value) { theme.value = value; keep("theme", value === "auto" ? null : value); }
export function setTint(value) { tint.value = value; keep("tint", value); }

/** Keep the document's attributes equal to the preferences. */
export function watchPreferences() {
  effect(() => { document.documentElement.lang = language.value === "zh" ? "zh-Hans" : "en"; });
  effect(() => {
    if (theme.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
  });
}
