// JSX without a build step: html`<p>${x}</p>` makes Preact's nodes.
import { h } from "preact";
import htm from "htm";
import "@preact/signals"; // components that read a signal's value are drawn again when it changes

export const html = htm.bind(h);
