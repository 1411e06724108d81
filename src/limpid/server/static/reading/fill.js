// An encoder: the text, each of whose tokens can be hidden, and what it would put in every hidden place.
import { useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { percent } from "../lib/format.js";
import { address } from "../lib/route.js";
import { labelOf } from "../lib/trace.js";
import { CodeButton } from "../parts/code.js";
import { opening } from "../lib/opening.js";
import { toggle } from "./store.js";

/** The tokens in a row; left and right walk along it, and what is pressed is hidden. */
export function Tokens({ here }) {
  const { tokens } = here.trace.stack(), list = useRef(null), [at, setAt] = useState(here.hidden[0] ?? 0), now = Math.min(at, tokens.length - 1);
  const keys = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -tokens.length, End: tokens.length }[event.key];
    if (!by) return;
    event.preventDefault();
    const to = Math.min(tokens.length - 1, Math.max(0, now + by));
    setAt(to);
    list.current.querySelector(`[data-at="${to}"]`).focus();
  };
  return html`<section class="reading-tokens" aria-label=${t("reading.tokens")}><p class="soft">${t("reading.hint")}</p>
    <div class="reading-row" role="group" aria-label=${t("reading.tokens")} ref=${list} onKeyDown=${keys} dir="auto">${tokens.map((token, i) => {
      const hidden = here.hidden.includes(i);
      return html`<button key=${i} type="button" data-at=${i} class=${hidden ? "hidden-token" : ""} aria-pressed=${hidden} tabindex=${i === now ? 0 : -1} onClick=${() => { setAt(i); toggle(i); }} aria-label=${t(hidden ? "reading.isHidden" : "reading.isShown", { token: labelOf(token), at: String(i) })}><bdi>${hidden ? "▁" : labelOf(token)}</bdi></button>`;
    })}</div></section>`;
}

export function Filled({ here }) {
  if (!here.places.length) return html`<p class="soft" role="status">${t("reading.nothingHidden")}</p>`;
  const ids = here.open.stack().tokens.map((token) => token.id).join(","), first = here.places[0].at, model = here.model;
  return html`<div class="reading-places">${here.places.map((place) => html`<${Place} key=${place.at} place=${place} />`)}</div>
    <p class="acts"><a class="plain" href=${address("attention", "", { model, ids, row: first })}>${t("attention")}</a><a class="plain" href=${address("steps", "tokens", { model, ids, at: first })}>${t("steps")}</a>
      <${CodeButton} code=${() => [...opening(here.open.facts), ...here.hidden.map((at) => `print(t.next_tokens(8, at=${at}).candidates)`)].join("\n")} /></p>`;
}

function Place({ place }) {
  const { at, was, candidates, probability } = place, rank = candidates.findIndex((one) => one.token_id === was.id), most = candidates[0].probability;
  return html`<section class="reading-place" data-at=${at} data-probability=${probability}><h2><span>${t("reading.place", { at: String(at) })}</span><small>${t("reach", { reach: percent(most) })}</small></h2>
    <p class="soft">${rank === 0 ? t("reading.right", { token: labelOf(was), share: percent(probability) }) : t("reading.stood", { token: labelOf(was), share: percent(probability) })}</p>
    <ol>${candidates.map((one) => html`<li key=${one.token_id} data-id=${one.token_id} data-probability=${one.probability} class=${one.token_id === was.id ? "was" : ""}><bdi>${one.label}</bdi><span class="bar" aria-hidden="true"><i style=${{ width: `${(100 * one.probability) / most}%` }}></i></span><span class="num">${percent(one.probability)}</span></li>`)}</ol></section>`;
}
