// What this server offers, and whether it can be reached.
import { signal } from "@preact/signals";
import { api, Failure, keyWanted } from "./api.js";

/** @typedef {{name: string, kind: string, context: number, vocab_size: number, can_chat: boolean, fingerprint: string, parameters?: number, stage?: string, layers?: number, heads?: number, d_model?: number, dtype?: string, device?: string}} Model */
/** @type {import("@preact/signals").Signal<{version: string, models: Model[], history: boolean} | null>} */
export const server = signal(null);
/** @type {import("@preact/signals").Signal<Failure | null>} why the server could not be asked */
export const unreachable = signal(null);

/** @param {string | undefined} name */
export const model = (name) => server.value?.models.find((one) => one.name === name);
/** Models that answer token by token. */
export const speakers = () => server.value?.models.filter((one) => one.kind === "decoder") ?? [];

let timer = 0;
/** Ask what there is; while the models are being loaded, ask again. */
export async function loadServer() {
  clearTimeout(timer);
  try {
    server.value = await api("GET", "/api/app");
    unreachable.value = null;
  } catch (failure) {
    if (keyWanted.value) return;
    unreachable.value = failure;
    timer = setTimeout(loadServer, 2000);
  }
}
keyWanted.subscribe((wanted) => { if (!wanted && unreachable.value === null && !server.value) loadServer(); });
