// What this server offers, and whether it can be reached.
import { signal } from "@preact/signals";
import { api, Failure, keyWanted } from "./api.js";

/** @typedef {{name: string, kind: string, context: number, vocab_size: number, can_chat: boolean, fingerprint: string, parameters?: number, stage?: string, layers?: number, heads?: number, d_model?: number, dtype?: string, device?: string, run?: string, mask_token?: number, task?: string}} Model mask_token: of an encoder; task: of a classifier */
/** @type {import("@preact/signals").Signal<{version: string, models: Model[], history: boolean} | null>} */
export const server = signal(null);
/** @type {import("@preact/signals").Signal<Failure | null>} why the server could not be asked */
export const unreachable = signal(null);

/** @param {string | undefined} name */
export const model = (name) => server.value?.models.find((one) => one.name === name);
/** Models that answer token by token. */
export const speakers = () => server.value?.models.filter((one) => one.kind === "decoder") ?? [];
/** Models that read and write nothing. */
export const readers = () => server.value?.models.filter((one) => one.kind === "encoder" || one.kind === "classifier") ?? [];
/** Models that one can walk through to what they say: all but those whose answer two readings make together. */
export const walkers = () => server.value?.models.filter((one) => one.task !== "similarity") ?? [];

/** Tells this browser's other tabs that a model came or went. */
const others = "BroadcastChannel" in globalThis ? new BroadcastChannel("limpid.models") : null;
others?.addEventListener("message", () => loadServer());
document.addEventListener("visibilitychange", () => { if (!document.hidden && server.value) loadServer(); });
/** A model came or went by what was done here. */
export async function modelsChanged() { await loadServer(); others?.postMessage(0); }

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
