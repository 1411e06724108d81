// The conversation one is in, and the list of the others. Views read the signals; everything that changes is here.
import { batch, signal } from "@preact/signals";
import { api } from "../lib/api.js";
import { go, route } from "../lib/route.js";
import { server } from "../lib/server.js";
import { pack, unpack } from "../lib/packing.js";
import { assemble } from "../lib/bytes.js";
import { families, path, tip } from "../lib/tree.js";
import { held, hold, recovering } from "./unsaved.js";

/** @typedef {import("../lib/packing.js").Token} Token */
/** @typedef {{id: string, parent: string | null, role: "user" | "assistant" | "text", content: string, created: number, about: any, tokens: Token[] | null, kept: boolean, stored: boolean, tick: import("@preact/signals").Signal<number>, live: AbortController | null}} Message */
/** @typedef {{id: string, title: string, settings: any, current: string | null, nodes: Map<string, Message>, saved: boolean, gone?: boolean}} Chat saved: the server has it; gone: deleted */

export const DEFAULTS = {
  mode: "chat", model: null, rival: null, system: "", temperature: 0.8, top_k: 0, top_p: 1, min_p: 0,
  repetition_penalty: 1, frequency_penalty: 0, presence_penalty: 0, seed: null, max_tokens: null, stop: [],
};

export const list = signal([]);
export const query = signal("");
export const keptAside = signal(null);
/** @type {import("@preact/signals").Signal<Chat>} */
export const chat = signal(null);
/** Raised when messages were added or another branch was taken. */
export const shape = signal(0);
/** How many answers are under way. */
export const live = signal(0);
/** What went wrong and can be mended: {text, again?: () => void, code?}. */
export const trouble = signal(null);
/** The token one looks at: {node, at}. */
export const picked = signal(null);
/** What the panel shows: "inspect" or "settings"; and whether it is open where it covers the page. */
export const panel = signal("inspect");
export const panelOpen = signal(false);

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(9)), (b) => b.toString(36).padStart(2, "0")).join("");
const tabs = "BroadcastChannel" in globalThis ? new BroadcastChannel("limpid.chats") : null;
const remembered = () => { try { return JSON.parse(localStorage.getItem("limpid.settings") ?? "{}"); } catch { return {}; } };

/** @returns {Message} */
export function message(fields) {
  return { id: newId(), parent: null, content: "", created: Date.now() / 1000, about: {}, tokens: null, kept: false, stored: false, tick: signal(0), live: null, ...fields };
}

/** The messages one sees, from the first. @returns {Message[]} */
export function shownPath() {
  shape.value;
  return chat.value ? path(chat.value.nodes, chat.value.current) : [];
}

/** How the conversation is led. */
export const settings = () => { shape.value; return chat.value.settings; };

/** @param {Message} node @returns {Message[]} it and its alternatives */
export function siblings(node) {
  shape.value;
  return families(chat.value.nodes.values()).get(node.parent) ?? [node];
}

/** Add a message and go to it. @param {Message} node */
export function add(node) {
  chat.value.nodes.set(node.id, node);
  chat.value.current = node.id;
  shape.value += 1;
}

/** Take the branch of `node`, as far as it was last followed. */
export function take(node) {
  chat.value.current = tip(families(chat.value.nodes.values()), node.id);
  shape.value += 1;
  picked.value = null;
  saveChat();
}

// Drawing an answer under way takes at most this share of the time: where the model computes on the same few cores, they are the model's.
const SHARE = navigator.hardwareConcurrency > 4 ? 1 / 4 : 1 / 20, OFTEN = 50, SELDOM = 300; // milliseconds between two drawings

/** Draw a message again, soon; `now`: at once. @param {Message} node */
export function touch(node, now = false) {
  if (now) { clearTimeout(node.due); node.due = 0; node.tick.value += 1; return; }
  if (node.due) { node.waits = true; return; }
  const draw = () => {
    const began = performance.now(), frame = !node.tokens?.length; // drawn once, before the first word: nothing is to wait for it
    node.waits = false;
    node.tick.value += 1;
    setTimeout(() => { // the browser has laid it out and painted it
      const over = performance.now();
      node.due = 0;
      node.rest = over + Math.min(SELDOM, Math.max(OFTEN, frame ? 0 : (over - began) / SHARE));
      if (node.waits) touch(node);
    });
  };
  node.due = setTimeout(() => requestAnimationFrame(draw), Math.max(0, (node.rest ?? 0) - performance.now()));
}

// ------------------------------------------------------------------ opening

/** An empty conversation, led as the last one was. */
export function begin(settings = {}) {
  const { system: _, ...last } = remembered();
  batch(() => {
    chat.value = { id: newId(), title: "", settings: { ...DEFAULTS, ...last, ...settings }, current: null, nodes: new Map(), saved: false };
    shape.value += 1;
    picked.value = null;
    trouble.value = null;
  });
}

/** @param {string} id */
export async function open(id) {
  if (chat.value?.id === id) return;
  const own = held().find((one) => one.id === id) ?? await fetched(id);
  batch(() => {
    chat.value = own;
    shape.value += 1;
    picked.value = null;
    trouble.value = null;
  });
}

/** @param {string} id @returns {Promise<Chat>} */
async function fetched(id) {
  const found = await api("GET", `/api/chats/${encodeURIComponent(id)}`);
  const nodes = new Map(found.messages.map((one) => [one.id, message({ ...one, tokens: null, kept: one.tokens, stored: true })]));
  const current = nodes.has(found.current) ? found.current : found.messages.at(-1)?.id ?? null;
  return { id, title: found.title, settings: { ...DEFAULTS, ...found.settings }, current, nodes, saved: true };
}

/** What other tabs have added to this conversation meanwhile. */
async function catchUp() {
  const own = chat.value;
  if (!own?.saved) return;
  const found = await api("GET", `/api/chats/${own.id}`).catch(() => null);
  if (!found || chat.value !== own) return;
  for (const one of found.messages) if (!own.nodes.has(one.id)) own.nodes.set(one.id, message({ ...one, tokens: null, kept: one.tokens, stored: true }));
  shape.value += 1;
}

export async function loadList() {
  if (server.value && !server.value.history) return;
  await recovering();
  const found = await api("GET", `/api/chats${query.value ? `?q=${encodeURIComponent(query.value)}` : ""}`).catch(() => null);
  if (found) batch(() => { list.value = found.chats; keptAside.value = found.kept_aside; });
}
tabs?.addEventListener("message", (event) => { loadList(); if (event.data === chat.value?.id) catchUp(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) { loadList(); catchUp(); } });

const fetching = new Map();
/** Fetch the tokens of a kept answer, once. @param {Message} node */
export function loadTokens(node) {
  if (node.tokens || !node.kept || fetching.has(node.id)) return fetching.get(node.id);
  const work = api("GET", `/api/chats/${chat.value.id}/messages/${node.id}/tokens`).then(
    (found) => { node.tokens = assemble(unpack(found)); node.tick.value += 1; }, () => {},
  ).finally(() => fetching.delete(node.id));
  fetching.set(node.id, work);
  return work;
}

// ------------------------------------------------------------------ keeping

const PATIENCE = 1000;
/** Until no answer is under way, or so long: a small model's is over by then, and writing would take its time. */
const calm = (until) => new Promise((done) => {
  const timer = setTimeout(end, until - performance.now()), stop = live.subscribe((count) => { if (!count) end(); });
  function end() { clearTimeout(timer); queueMicrotask(() => stop()); done(undefined); }
});

let line = Promise.resolve();
/** One write after the other; one that fails is told, and the next tries again, or else the next page. */
function queue(own, node, work) {
  const until = performance.now() + PATIENCE, written = hold(own, node);
  line = line.then(() => calm(until)).then(work).then(written).catch((failure) => { if (!trouble.value?.again) trouble.value = { key: "notSaved", text: failure.message }; });
  return line;
}

/** @param {Chat} [own] */
export function saveChat(own = chat.value) {
  try { localStorage.setItem("limpid.settings", JSON.stringify(own.settings)); } catch { /* private mode */ }
  if (!server.value?.history || !own.nodes.size || own.gone) return;
  queue(own, null, async () => {
    await writeChat(own);
    tabs?.postMessage(own.id);
    loadList();
  });
}

/** Keep a message, and those before it that are not kept yet. @param {Message} node @param {boolean} [whole] its tokens too @param {Chat} [own] where it stands */
export function saveMessage(node, whole = true, own = chat.value) {
  if (!server.value?.history) return;
  if (!own.nodes.has(node.id) || own.gone) return;
  queue(own, node, async () => {
    if (!own.saved) await writeChat(own);
    for (const one of path(own.nodes, node.parent)) if (!one.stored) await writeMessage(own, one, true);
    await writeMessage(own, node, whole);
    tabs?.postMessage(own.id);
  });
}

/** @param {Chat} own */
async function writeChat(own) {
  const { title, settings, current } = own;
  await api("PUT", `/api/chats/${own.id}`, { title, settings, current });
  own.saved = true;
}

/** @param {Chat} own @param {Message} node */
async function writeMessage(own, node, whole) {
  const { parent, role, content, about } = node;
  const tokens = whole && node.tokens?.length ? pack(node.tokens) : null;
  await api("PUT", `/api/chats/${own.id}/messages/${node.id}`, { parent, role, content, about, tokens });
  node.stored = true;
  node.kept ||= !!tokens;
}

/** Change how the conversation is led. */
export function set(changes) {
  chat.value.settings = { ...chat.value.settings, ...changes };
  shape.value += 1;
  clearTimeout(set.timer);
  set.timer = setTimeout(saveChat, 400);
}

export async function rename(id, title) {
  const found = id === chat.value.id ? chat.value : await api("GET", `/api/chats/${id}`);
  await api("PUT", `/api/chats/${id}`, { title: title.slice(0, 200), settings: found.settings, current: found.current });
  if (id === chat.value.id) chat.value.title = title;
  shape.value += 1;
  tabs?.postMessage(id);
  await loadList();
}

export async function remove(id) {
  for (const own of new Set([chat.value, ...held()])) {
    if (own?.id !== id) continue;
    own.gone = true;
    for (const one of own.nodes.values()) one.live?.abort();
  }
  await api("DELETE", `/api/chats/${id}`);
  tabs?.postMessage(id);
  if (id === chat.value.id) { begin(); go("chat"); }
  await loadList();
}

/** Save an export as a file. @param {string} [id] one conversation only */
export async function download(id) {
  const table = await api("GET", `/api/export${id ? `?chat=${id}` : ""}`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(table)], { type: "application/json" }));
  link.download = id ? `limpid-chat-${id}.json` : "limpid-chats.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** @param {File} file */
export async function bringIn(file) {
  const { chats } = await api("POST", "/api/import", JSON.parse(await file.text()));
  await loadList();
  return chats;
}

/** Keep the address and the conversation together. */
export async function follow() {
  const { page, part, query: { n, t } } = route.value;
  if (page !== "chat") return;
  if (!part || !server.value.history) { if (!chat.value || chat.value.saved) begin(); return; }
  if (part !== chat.value?.id) {
    try { await recovering(); await open(part); } catch (failure) {
      begin();
      trouble.value = { key: failure.status === 404 ? "chatGone" : "notOpened", text: failure.message };
      return;
    }
  }
  const node = chat.value.nodes.get(n);
  if (node && t !== undefined && picked.value?.node !== node) {
    await loadTokens(node);
    if (node.tokens?.[+t]) pick(node, +t);
  }
}

/** Look at a token; null: at none. */
export function pick(node, at) {
  picked.value = node ? { node, at } : null;
  if (node) { panel.value = "inspect"; panelOpen.value = true; }
  go("chat", server.value.history && chat.value.nodes.size ? chat.value.id : "", node ? { n: node.id, t: at } : {}, true);
}
