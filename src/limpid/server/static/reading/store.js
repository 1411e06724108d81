// What the Reading page knows. The address: #/reading?model=M&text=T&hide=PLACES of an encoder; &texts=T|T of a classifier.
import { batch, computed, effect, signal } from "@preact/signals";
import { api, Failure } from "../lib/api.js";
import { language } from "../lib/preferences.js";
import { go, route } from "../lib/route.js";
import { readers, server } from "../lib/server.js";
import { openTrace } from "../lib/trace.js";

const TEXT = { en: "To be, or not to be, that is the question.", zh: "床前明月光，疑是地上霜。" };
const EXAMPLES = {
  en: { single: ["A warm and funny film."], pair: ["A cat sits on the mat.", "An animal is on the mat."], similarity: ["A cat sits on the mat.", "On the mat there is a cat."], choice: ["The cat saw the mouse.", "It ran after it.", "It read the paper."] },
  zh: { single: ["这部电影温暖又有趣。"], pair: ["一只猫坐在垫子上。", "垫子上有一只动物。"], similarity: ["一只猫坐在垫子上。", "垫子上有一只猫。"], choice: ["猫看见了老鼠。", "它追了上去。", "它读起报来。"] },
};
const SHOWN = 8; // candidates of a place

/** The model that reads. */
export const own = computed(() => { server.value; return readers().find((one) => one.name === route.value.query.model) ?? readers()[0]; });
/** The texts that the address names, or an example of what this model reads. */
export const texts = computed(() => {
  const { text, texts: many } = route.value.query, model = own.value;
  if (model?.kind !== "classifier") return [text ?? TEXT[language.value]];
  return many !== undefined ? many.split("\n") : text !== undefined ? [text] : EXAMPLES[language.value][model.task];
});

export const busy = signal(true);
/** Why it could not be read: a Failure. */
export const failure = signal(null);
/**
 * What came of it: {model, trace, hidden, places} of an encoder, `trace` of the text itself, `open` of the text with its
 * hidden tokens; {model, classes, label, score, sequences} of a classifier.
 */
export const read = signal(null);

/** Change the address. */
export const set = (changes, quietly = true) => go("reading", "", { ...route.value.query, ...changes }, quietly);

/** The places that are hidden: those of the address, or one in the middle. */
function hiddenIn(tokens) {
  const { hide } = route.value.query;
  if (hide === undefined) { const words = tokens.map((token, i) => (!token.special && /\p{L}/u.test(token.label) ? i : -1)).filter((i) => i >= 0); return words.length ? [words[Math.floor(words.length / 2)]] : []; }
  return [...new Set(hide.split(",").filter((one) => /^\d{1,6}$/.test(one)).map(Number))].filter((i) => i < tokens.length).sort((a, b) => a - b);
}

/** Hide a token, or show it again. */
export function toggle(place) {
  const { hidden } = read.value, next = hidden.includes(place) ? hidden.filter((one) => one !== place) : [...hidden, place].sort((a, b) => a - b);
  set({ hide: next.length ? next.join(",") : "none" });
}

async function filled(model, text) {
  const trace = await openTrace({ model: model.name, text }), { tokens } = trace.stack(), hidden = hiddenIn(tokens);
  if (!hidden.length) return { model: model.name, trace, open: trace, hidden, places: [] };
  const ids = tokens.map((token, i) => (hidden.includes(i) ? model.mask_token : token.id)), open = await openTrace({ model: model.name, ids });
  const places = await Promise.all(hidden.map(async (at) => {
    const [{ candidates, entropy }, { data }] = await Promise.all([open.next(at, SHOWN), open.array("probabilities", `${at},${tokens[at].id}`)]);
    return { at, candidates, entropy, was: tokens[at], probability: data[0] };
  }));
  return { model: model.name, trace, open, hidden, places };
}

const sorted = async (model, given) => ({ model: model.name, texts: given, ...(await api("POST", "/api/classes", { model: model.name, texts: given })) });

let latest = "";
async function look() {
  const model = own.value, given = texts.value, { query, page } = route.value;
  if (page !== "reading" || !model) return;
  const key = JSON.stringify([model.name, model.fingerprint, given, query.hide]);
  if (key === latest) return;
  latest = key;
  busy.value = true;
  try {
    const found = model.kind === "encoder" ? await filled(model, given[0]) : await sorted(model, given);
    if (key === latest) batch(() => { read.value = found; failure.value = null; });
  } catch (one) {
    if (key !== latest) return;
    latest = "";
    if (!(one instanceof Failure)) throw one;
    failure.value = one;
  } finally {
    if (key === latest || latest === "") busy.value = false;
  }
}

/** Read what the address names, and whatever it comes to name; ends with what it returns. */
export const follow = () => effect(() => { look(); });
