// The address is the state: #/PAGE/PART?name=value. One of TensorFlow Playground, #name=value, is the playground's.
import { signal } from "@preact/signals";

function parse() {
  const hash = location.hash.replace(/^#\/?/, ""), at = hash.indexOf("?");
  const [path, text] = at >= 0 ? [hash.slice(0, at), hash.slice(at + 1)] : /^\w+=/.test(hash) ? ["playground", hash] : [hash, ""];
  const [page, part = ""] = path.split("/").map(readable);
  return { page: page || "chat", part, query: Object.fromEntries(new URLSearchParams(text)), text };
}

/** A piece of an address, decoded where it can be. */
function readable(piece) { try { return decodeURIComponent(piece); } catch { return piece; } }

/** page, part, the values of the query, and the query as it was written. */
export const route = signal(parse());
addEventListener("hashchange", () => { route.value = parse(); });

/** The address of a place. */
export function address(page, part = "", query = {}) {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value != null && value !== "")).toString();
  return `#/${page}${part ? `/${part}` : ""}${text ? `?${text}` : ""}`;
}

/** Go there; `quietly` without another entry in the browser's history. */
export function go(page, part, query, quietly = false) {
  const to = address(page, part, query);
  if (to === location.hash) return;
  if (quietly) { history.replaceState(null, "", to); route.value = parse(); } else location.hash = to;
}

/** Have another query on the page where one is, without an entry in the browser's history. */
export function restate(text) {
  const to = `#/${route.value.page}${text ? `?${text}` : ""}`;
  if (to === location.hash) return;
  history.replaceState(null, "", to);
  route.value = parse();
}
