// Asking the server: JSON, and streams of records.
import { signal } from "@preact/signals";
import { translated } from "./failures.js";

/** Whether the server wants a key that we lack: the shell asks for it. */
export const keyWanted = signal(false);

/** What went wrong. message: in the reader's language; words: the server's own; status 0: it could not be reached. */
export class Failure extends Error {
  constructor(status, words, code) { super(); this.status = status; this.words = words; this.code = code; }
  get message() { return translated(this.code, this.status, this.words); }
}

/** The key that this tab knows, or null. */
export const key = () => sessionStorage.getItem("limpid.key");
/** Remember the key for as long as this tab lives. */
export function useKey(text) { sessionStorage.setItem("limpid.key", text); keyWanted.value = false; }

/**
 * The response; an answer that is an error is thrown as a Failure.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 */
export async function ask(method, path, body, signal) {
  const headers = {};
  if (key()) headers.authorization = `Bearer ${key()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, "");
  }
  if (response.ok) return response;
  const error = (await response.json().catch(() => ({}))).error ?? {};
  if (response.status === 401) keyWanted.value = true;
  throw new Failure(response.status, error.message ?? response.statusText, error.code);
}

/** The JSON that the server answers. Throws Failure. */
export async function api(method, path, body) {
  const response = await ask(method, path, body);
  try { return await response.json(); } catch { throw new Failure(0, ""); }
}

/** A matrix of the server's, as it is in memory. @returns {Promise<{shape: number[], data: Float32Array}>} */
export async function matrix(path, body) {
  const response = await ask("POST", path, body);
  const data = new Float32Array(await response.arrayBuffer());
  return { shape: response.headers.get("limpid-shape").split(",").map(Number), data };
}

/**
 * The records of a stream, as they come. Throws Failure; one of status 0 where the stream broke off.
 * @param {AbortSignal} signal aborting it hangs up, and the server computes no further token
 */
export async function* records(path, body, signal) {
  const response = await ask("POST", path, body, signal);
  const reader = response.body.getReader(), decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += decoder.decode(value, { stream: !done });
      let end;
      const batch = [];
      while ((end = rest.indexOf("\n\n")) >= 0) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 2);
        if (line === "data: [DONE]") { if (batch.length) yield batch; return; }
        const record = JSON.parse(line.slice(6));
        if (record.error) { if (batch.length) yield batch; throw new Failure(500, record.error.message, record.error.code); }
        batch.push(record);
      }
      if (batch.length) yield batch;
      if (done) throw new Failure(0, "");
    }
  } catch (error) {
    if (signal.aborted || error instanceof Failure) throw error;
    throw new Failure(0, "");
  } finally {
    reader.cancel().catch(() => {});
  }
}
