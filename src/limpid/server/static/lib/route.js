// The address is the state: #/PAGE/PART?name=value.
import { signal } from "@preact/signals";

function parse() {
  const [path, ...query] = location.hash.replace(/^#\/?/, "").split("?");
  const [page = "chat", part = ""] = path.split("/").map(decoded);
  return { page: page || "chat", part, query: Object.fromEntries(new URLSearchParams(query.join("?"))) };
}

const decoded = (text) => { try { return decodeURIComponent(text); } catch { return text; } };

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
