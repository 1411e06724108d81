// A lesson that the server computes while one watches: a WebSocket, JSON and pictures in, JSON out.
import { signal } from "@preact/signals";
import { key } from "./api.js";

/** A key as a subprotocol's name: base64url, for a page cannot send headers with a WebSocket. */
const coded = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

export class Lesson {
  /**
   * @param {string} name
   * @param {{opened: () => void, told: (message: any) => void, draw: (view: DataView) => void}} does
   *   draw: called in an animation frame, with the newest picture; older ones that were not drawn are left out
   */
  constructor(name, does) {
    this.name = name; this.does = does;
    /** "opening", "open", or why it is closed */
    this.status = signal("opening");
    this.newest = null;
    this.open();
  }

  open() {
    this.status.value = "opening";
    const protocols = ["limpid"];
    if (key()) protocols.push(`limpid.key.${coded(key())}`);
    const socket = this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/lessons/${this.name}`, protocols);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { this.status.value = "open"; this.does.opened(); };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.does.told(JSON.parse(data)) : this.take(new DataView(data)));
    socket.onclose = ({ reason, code }) => { if (socket === this.socket) this.status.value = reason || `closed ${code}`; };
  }

  say(message) { if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message)); }

  /** Draw when the browser draws; what has been drawn is told, and only then does the next picture come. */
  take(view) {
    const waiting = this.newest !== null;
    this.newest = view;
    if (!waiting) requestAnimationFrame(() => {
      const one = this.newest;
      this.newest = null;
      this.does.draw(one);
      this.say({ do: "drawn", number: one.getUint32(4, true) });
    });
  }

  close() { const { socket } = this; this.socket = { readyState: 3 }; socket.close(); }
}

const HALVES = new Float32Array(65536);
for (let n = 0; n < 65536; n++) {
  const exponent = (n >> 10) & 31, fraction = n & 1023;
  const size = exponent === 31 ? (fraction ? NaN : Infinity) : exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024);
  HALVES[n] = n >> 15 ? -size : size;
}
/** float16 numbers as float32. @param {ArrayBuffer} buffer */
export function halves(buffer, from, count) {
  const raw = new Uint16Array(buffer, from, count), found = new Float32Array(count);
  for (let i = 0; i < count; i++) found[i] = HALVES[raw[i]];
  return found;
}
