// What is not in the history yet when the page is left: it is put aside in this browser, and kept when a page is opened next.
// Writing while an answer streams would take the stream's time; so what has just been said is written a moment later.
import { Failure, api, key } from "../lib/api.js";
import { pack } from "../lib/packing.js";
import { server } from "../lib/server.js";
import { path } from "../lib/tree.js";

/** @typedef {import("./store.js").Chat} Chat @typedef {import("./store.js").Message} Message */

const PREFIX = "limpid.unsaved.", MINE = PREFIX + crypto.getRandomValues(new Uint32Array(2)).join("");
const ENOUGH = 60_000; // bytes that a browser still sends from a page that is gone

/** @type {Set<{chat: Chat, node: Message | null}>} */
const waiting = new Set();

/** Something of a conversation waits to be written; what is returned says that it has been. @param {Chat} chat @param {Message | null} node */
export function hold(chat, node) {
  const one = { chat, node };
  waiting.add(one);
  return () => { waiting.delete(one); if (!waiting.size) storage((all) => all.removeItem(MINE)); };
}

/** The conversations of which something waits, or that have an answer under way: they are newer here than in the history. @returns {Chat[]} */
export const held = () => [...new Set(Array.from(waiting, (one) => one.chat))];

/** What waits, as it is written: {id, title, settings, current, messages}, one a conversation. */
function all(whole) {
  return Array.from(Map.groupBy([...waiting].filter((one) => !one.chat.gone), (one) => one.chat), ([{ id, title, settings, current, nodes }, some]) => {
    const open = new Set(some.filter((one) => one.node).flatMap(({ node }) => [...path(nodes, node.parent).filter((one) => !one.stored), node]));
    const messages = Array.from(open, ({ id, parent, role, content, about, tokens }) => ({ id, parent, role, content, about, tokens: whole && tokens?.length ? pack(tokens) : null }));
    return { id, title, settings, current, messages };
  });
}

/** Put it aside; at the page's end also send it, as far as that is still possible. */
function putAside(last) {
  if (!waiting.size || !server.value?.history) return;
  const kept = storage((store) => { store.setItem(MINE, JSON.stringify(all(true))); return true; });
  if (!last) return;
  for (const { id, ...chat } of all(!kept)) {
    let body = JSON.stringify(chat);
    if (body.length > ENOUGH / 3) body = JSON.stringify({ ...chat, messages: chat.messages.map((one) => ({ ...one, tokens: null })) });
    const headers = { "content-type": "application/json", ...(key() && { authorization: `Bearer ${key()}` }) };
    fetch(`/api/chats/${id}`, { method: "PUT", keepalive: body.length < ENOUGH / 3, headers, body }).catch(() => {});
  }
}
addEventListener("pagehide", () => putAside(true));
document.addEventListener("visibilitychange", () => { if (document.hidden) putAside(false); });

/** Keep what earlier pages put aside, of which some may be open still: the server takes no message that is shorter than its own. */
async function recover() {
  for (const name of storage(Object.keys) ?? []) {
    if (!name.startsWith(PREFIX) || name === MINE) continue;
    try {
      for (const { id, ...chat } of JSON.parse(localStorage.getItem(name))) await api("PUT", `/api/chats/${id}`, chat);
    } catch (failure) {
      const passing = failure instanceof Failure && (failure.status < 400 || failure.status >= 500 || [401, 408, 429].includes(failure.status));
      if (passing) continue;
    }
    localStorage.removeItem(name);
  }
}

let recovered = null;
/** Once a page: when it is over, the history is whole. */
export const recovering = () => (recovered ??= recover());

/** What `use` makes of the browser's storage; undefined where there is none or it is full. */
function storage(use) {
  try { return use(localStorage); } catch { return undefined; }
}
