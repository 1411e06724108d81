// Line drawings on a 20-unit square, in the colour of the text around them.
import { html } from "../lib/html.js";

const PATHS = {
  send: "M10 16V4m0 0L5 9m5-5 5 5", stop: "M6 6h8v8H6z", again: "M15.5 7A6.2 6.2 0 1 0 16.2 11M16 3.5V7h-3.5",
  edit: "M4 16h3l8.5-8.5-3-3L4 13zM11 6l3 3", on: "M5 4.5v11l5-5.5zm6 0v11l5-5.5z", copy: "M7 7V4h9v9h-3M4 7h9v9H4z",
  left: "M12 5l-5 5 5 5", right: "M8 5l5 5-5 5", down: "M10 4v12m0 0 5-5m-5 5-5-5", more: "M6 8l4 4 4-4", close: "M5 5l10 10M15 5 5 15",
  add: "M10 4v12M4 10h12", minus: "M4 10h12", menu: "M3 6h14M3 10h14M3 14h14", tune: "M3 6h8m4 0h2M3 14h2m4 0h8M11 4v4M5 12v4", trash: "M4 6h12M8 6V4h4v2M6 6l.7 10h6.6L14 6",
  search: "M9 14.5a5.5 5.5 0 1 1 0-11 5.5 5.5 0 0 1 0 11zm4-1.5 4 4", look: "M2.5 10S5.5 5 10 5s7.500 5 7.500 5-3 5-7.500 5-7.500-5-7.500-5zM10 12a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  fork: "M6 4v12M6 10c5 0 8-1 8-6m-3 2.500L14 3.500l3 3", code: "M7 6l-4 4 4 4M13 6l4 4-4 4", page: "M5 3h7l3 3v11H5zM8 9h4M8 12h4",
  minus: "M4 10h12", whole: "M4 8V4h4m4 0h4v4m0 4v4h-4m-4 0H4v-4", pin: "M10 17v-5M6 12h8l-1.500-2.500V4.500h-5v5z",
  out: "M10 3v9m0-9L6.500 6.500M10 3l3.500 3.500M4 13v4h12v-4", in: "M10 12V3m0 9 3.500-3.500M10 12 6.500 8.500M4 13v4h12v-4",
  sun: "M10 13.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM10 2v2m0 12v2M2 10h2m12 0h2M4.300 4.300l1.400 1.400m8.600 8.600 1.400 1.400m0-11.400-1.400 1.400m-8.600 8.600-1.400 1.400",
  moon: "M15.500 12.500A6.500 6.500 0 0 1 7.500 4.500a6.500 6.500 0 1 0 8 8z", auto: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14", keys: "M2.500 6h15v8h-15zM5 9h1m2.500 0h1m2.500 0h1M6 11.500h8",
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

/** A button that is an icon; its label is what it does. */
export const IconButton = ({ name, label, keys, class: more = "", ...rest }) =>
  html`<button type="button" class=${`ib ${more}`} aria-label=${label} title=${keys ? `${label} (${keys})` : label} aria-keyshortcuts=${keys} ...${rest}><${Icon} name=${name} /></button>`;
