// The Python that prints the numbers a step shows.
import { html } from "../lib/html.js";
import { opening } from "../lib/opening.js";
import { CodeButton } from "../parts/code.js";
import { trace } from "./state.js";

/** @param {{prints: string[], lines?: string[]}} props expressions, and what must be said before them */
export const Code = ({ prints, lines = [] }) => html`<${CodeButton} code=${() => [...opening(trace.value), ...lines, ...prints.map((one) => `print(${one})`), ""].join("\n")} />`;
