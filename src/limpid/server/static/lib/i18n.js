// Words in the reader's language. A text with a count may be a pair: [for one, for others].
import { language } from "./preferences.js";
import { en } from "../i18n/en.js";
import { zh } from "../i18n/zh.js";

const tables = { en: { ...en }, zh: { ...zh } };

/**
 * Bring in a page's own words, which stand in i18n/PAGE.js and come with the page.
 * @param {{en: Record<string, string | string[]>, zh: Record<string, string>}} words
 */
export function addWords(words) { for (const name in tables) Object.assign(tables[name], words[name]); }

/**
 * The text of `key`, its {names} filled in.
 * @param {string} key
 * @param {Record<string, string | number>} [values] `n` also decides between the forms of a pair
 */
export function t(key, values = {}) {
  const entry = tables[language.value][key] ?? key;
  const text = Array.isArray(entry) ? entry[values.n === 1 ? 0 : 1] : entry;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : values[name] ?? ""));
}

/** Whether the reader's language has a text of this key. */
export const has = (key) => key in tables[language.value];

/** A whole number, or one with few digits, as the language groups it. */
export function number(value, digits = 0) {
  const name = `${language.value}.${digits}`;
  formats[name] ??= new Intl.NumberFormat(language.value === "zh" ? "zh-CN" : "en-US", { maximumFractionDigits: digits });
  return formats[name].format(value);
}
/** Making one takes longer than using it a hundred times. */
const formats = {};

/** A date near enough to be useful: time today, day this year. */
export function when(seconds) {
  const date = new Date(seconds * 1000), now = new Date(), locale = language.value === "zh" ? "zh-CN" : "en-GB";
  if (date.toDateString() === now.toDateString()) return date.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  return date.toLocaleDateString(locale, date.getFullYear() === now.getFullYear() ? { day: "numeric", month: "short" } : { year: "numeric", month: "short", day: "numeric" });
}
