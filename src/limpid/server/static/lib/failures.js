// What a reader is told of what went wrong: the server speaks English; in Chinese its words have a translation, by their code.
import { has, t } from "./i18n.js";
import { language } from "./preferences.js";

/**
 * An error of the server's in the reader's language. Where its code has no translation, what kind it is stands before the
 * server's own words; so do they where the translation leaves out what they say (it ends in a colon).
 * @param {string | undefined} code the error's word for programs @param {number} status @param {string} words the server's
 */
export function translated(code, status, words) {
  if (language.value === "en" || !words) return words;
  const key = has(`failure.${code}`) ? `failure.${code}` : status >= 500 ? "failure.ours" : "failure.yours", text = t(key);
  return text.endsWith("：") ? text + words : text;
}

/** @param {import("./api.js").Failure} failure */
export const said = (failure) => failure.message || t("noServer");
