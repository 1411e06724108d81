// Asking the model: sending, asking again, editing, continuing, forking, stopping.
import { Failure, records } from "../lib/api.js";
import { assemble } from "../lib/bytes.js";
import { Token } from "../lib/packing.js";
import { go } from "../lib/route.js";
import { loadServer, model, server, speakers } from "../lib/server.js";
import { path } from "../lib/tree.js";
import { add, chat, live, loadTokens, message, newId, picked, saveChat, saveMessage, shape, touch, trouble } from "./store.js";
import { held, hold } from "./unsaved.js";
import { effect, signal } from "@preact/signals";

/** For who listens instead of looking: said when an answer begins and when it ends. */
export const spoken = signal("");

const seen = new Set();
/** The models of this chat that answered since the page was opened and are gone: said once, when they go. */
effect(() => {
  const there = new Set(speakers().map((one) => one.name)), own = chat.value?.settings;
  for (const name of there) seen.add(name);
  const left = own ? [own.model, own.rival].find((name) => seen.has(name) && !there.has(name)) : null;
  if (left) { seen.delete(left); trouble.value = { key: "modelGone", values: { model: left } }; }
});
const speaker = (name) => speakers().find((one) => one.name === name);
/** The model that answers: the one chosen, while it is there. */
export const answering = () => speaker(chat.value.settings.model) ?? (chat.value.settings.mode === "chat" ? speakers().find((one) => one.can_chat && one.stage !== "pretrain") ?? speakers().find((one) => one.can_chat) : null) ?? speakers()[0];
export const rival = () => { const one = speaker(chat.value.settings.rival); return one && one.name !== answering()?.name ? one : null; };

/** Say something: a turn of the conversation, or more of the text. */
export function send(text) {
  const raw = chat.value.settings.mode === "text";
  const node = message({ role: raw ? "text" : "user", content: text, parent: chat.value.current });
  add(node);
  chat.value.title ||= text.trim().replace(/\s+/g, " ").slice(0, 80);
  saveChat();
  saveMessage(node);
  if (server.value.history) go("chat", chat.value.id, {}, true);
  return ask(node);
}

/** Let the model, and its rival if there is one, answer `parent`. */
export function ask(parent) {
  const models = [answering(), rival()].filter(Boolean);
  const pair = models.length > 1 ? newId() : undefined;
  const nodes = models.map((one, place) => message({ role: "assistant", parent: parent.id, tokens: [], created: Date.now() / 1000 + place / 1000, about: { model: one.name, pair } }));
  for (const node of nodes) chat.value.nodes.set(node.id, node);
  chat.value.current = nodes[0]?.id ?? parent.id;
  shape.value += 1;
  picked.value = null;
  return Promise.all(nodes.map(run));
}

/** Another answer to the same. */
export const again = (node) => ask(chat.value.nodes.get(node.parent));

/** The same turn in other words: a branch beside it. */
export function edit(node, text) {
  const twin = message({ role: node.role, content: text, parent: node.parent });
  add(twin);
  saveMessage(twin);
  return ask(twin);
}

/** Go on with an answer that was cut off, from exactly the tokens it has. */
export async function resume(node) {
  await loadTokens(node);
  if (node.tokens?.at(-1)?.special) node.tokens.pop();
  return run(node);
}

/** A branch that keeps the tokens before `at` and goes on with another candidate for that place. */
export function fork(node, at, alternative) {
  const chosen = node.tokens[at], own = chosen.alternatives.find((one) => one.id === chosen.id);
  // Some vocabularies write no space before the first word: what was taken off the chosen one comes off this one too.
  const bare = own && own.bytes.startsWith("20") && own.bytes.slice(2) === chosen.bytes && alternative.bytes.startsWith("20");
  const rank = 1 + chosen.alternatives.findIndex((one) => one.id === alternative.id);
  const token = chosen.with({
    id: alternative.id, special: alternative.special, rank, logprob: Math.log(alternative.probability),
    bytes: alternative.special ? "" : bare ? alternative.bytes.slice(2) : alternative.bytes, text: "",
  });
  const tokens = assemble([...node.tokens.slice(0, at).map((one) => one.with({})), token]);
  const twin = message({ role: "assistant", parent: node.parent, tokens, about: { model: node.about.model, forked: { from: node.id, at }, seed: node.about.seed } });
  twin.content = textOf(tokens);
  add(twin);
  picked.value = { node: twin, at };
  if (alternative.special) { twin.about.finish = "stop"; saveMessage(twin); saveChat(); return Promise.resolve(); }
  return run(twin, node.about.seed);
}

/** End what is under way; the text stays. */
export function stop(node) {
  for (const one of node ? [node] : [chat.value, ...held()].flatMap((own) => [...own.nodes.values()])) one.live?.abort();
}

export const textOf = (tokens) => tokens.map((token) => (token.special ? "" : token.text)).join("");

// ------------------------------------------------------------------ one answer

function question(node) {
  const { mode, system, temperature, top_k, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty, max_tokens, stop: stops } = chat.value.settings;
  const before = path(chat.value.nodes, node.parent);
  const asked = mode === "text" || before.some((one) => one.role === "text")
    ? { prompt: before.map((one) => one.content).join("") }
    : { messages: [...(system.trim() ? [{ role: "system", content: system }] : []), ...before.map(({ role, content }) => ({ role, content }))] };
  const body = { ...asked, model: node.about.model, temperature, top_k, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty };
  if (max_tokens) body.max_tokens = max_tokens;
  if (stops.some(Boolean)) body.stop = stops.filter(Boolean).slice(0, 4);
  return body;
}

/** What `node`'s prompt would be, for whoever wants to see it. */
export const promptOf = question;

async function run(node, seed = chat.value.settings.seed) {
  const own = chat.value, body = { ...question(node), packed: true }, hang = new AbortController(), spellings = {};
  if (node.tokens.length) body.prefix = node.tokens.map((token) => token.id);
  if (seed ?? node.about.seed) body.seed = seed ?? node.about.seed;
  node.live = hang;
  live.value += 1;
  spoken.value = "begun";
  Object.assign(node.about, { finish: "open", error: undefined });
  let first = 0, counted = 0, saved = performance.now();
  const over = hold(own, node); // an answer under way is not lost with the page
  touch(node);
  try {
    for await (const batch of records("/api/talk", body, hang.signal)) {
      const now = performance.now(), from = node.tokens.length;
      for (const record of batch) {
        if (record.type === "tokens") {
          Object.assign(spellings, record.spellings);
          for (const row of record.rows) node.tokens.push(new Token(row, spellings));
        }
        else if (record.type === "prompt") heed(node, record);
        else Object.assign(node.about, { finish: record.finish, speed: record.tokens_per_second, usage: record.usage });
      }
      if (node.tokens.length > from) {
        assemble(node.tokens, from);
        node.content += textOf(node.tokens.slice(from));
        if (!first) { first = now; counted = node.tokens.length; } // how long those took that came first, nobody here has seen
        else if (now > first) node.about.pace = (node.tokens.length - counted) / ((now - first) / 1000);
        touch(node);
        if (now - saved > 4000) { saved = now; saveMessage(node, false, own); }
      }
    }
  } catch (failure) {
    if (hang.signal.aborted) node.about.finish = "stopped";
    else complain(node, failure);
  } finally {
    node.live = null;
    live.value -= 1;
    spoken.value = node.content;
    touch(node, true);
    saveMessage(node, true, own);
    saveChat(own);
    over();
  }
}

/** The first record: what the model read, and whether it is still the model that we knew. */
function heed(node, record) {
  const known = model(record.model);
  if (known && known.fingerprint !== record.fingerprint) {
    trouble.value = { key: "replaced", values: { model: record.model } };
    loadServer();
  }
  Object.assign(node.about, { seed: record.seed, fingerprint: record.fingerprint, dropped: record.dropped, context: record.context, prompt: record.tokens });
}

function complain(node, failure) {
  if (!(failure instanceof Failure)) console.error(failure);
  node.about.finish = "broken";
  node.about.error = failure.message || null;
  const empty = !node.tokens.length;
  if (failure.code === "model_not_found" || failure.code === "model_unloaded") loadServer();
  const key = failure.status === 0 ? (empty ? "noServer" : "brokeOff") : null;
  const mended = failure.status === 0 || failure.status === 429 || failure.status >= 500; // else asking again changes nothing
  trouble.value = { key, text: failure.message, again: mended ? () => { trouble.value = null; resume(node); } : undefined };
}
