// The playground: data, a net and what it makes of the plane, while it learns.
import { useEffect, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { addWords, t } from "../lib/i18n.js";
import { route } from "../lib/route.js";
import { words } from "../i18n/playground.js";
import { Dialog } from "../parts/dialog.js";
import { IconButton } from "../parts/icons.js";
import { Code } from "./code.js";
import { Controls, toggle } from "./controls.js";
import { Data } from "./data.js";
import { closeNeuron, Net } from "./net.js";
import { Notes } from "./notes.js";
import { Output } from "./output.js";
import { Own } from "./own.js";
import { empty, enter, faults, follow, leave, lesson, say, state } from "./store.js";

addWords(words);

export function PlaygroundPage() {
  const [box, setBox] = useState(null);
  useEffect(() => { enter(); addEventListener("keydown", shortcuts); return () => { removeEventListener("keydown", shortcuts); leave(); }; }, []);
  useEffect(follow, [route.value.text]);
  const status = lesson.value?.status.value ?? "opening", close = () => setBox(null);
  return html`<main id="main" class="play" tabindex="-1" aria-label=${t("playground")} aria-busy=${empty.value}>
    <h1 class="hidden">${t("playground")}</h1>
    <div class="troubles" role="alert">
      ${status !== "open" && status !== "opening" && html`<div class="banner"><p>${t("play.lost", { why: status })}</p><button type="button" class="plain" onClick=${() => lesson.value.open()}>${t("retry")}</button></div>`}
      ${box === null && faults.value.map((fault) => html`<div class="banner fault" key=${fault}><p>${fault}</p>${state.value?.exploded != null && html`<button type="button" class="plain" onClick=${() => { faults.value = []; say({ do: "reset" }); }}>${t("play.reset")}</button>`}<${IconButton} name="close" label=${t("close")} onClick=${() => { faults.value = faults.value.filter((one) => one !== fault); }} /></div>`)}
    </div>
    ${state.value && html`<${Controls} /><div class="play-stage"><${Data} onOwn=${() => setBox("own")} /><${Net} /><${Output} /></div><${Notes} onCode=${() => setBox("code")} onPaste=${() => setBox("paste")} />`}
    ${box === "own" && html`<${Own} onClose=${close} />`}
    ${box === "code" && html`<${Code} onClose=${close} />`}
    ${box === "paste" && html`<${Paste} onClose=${close} />`}
  </main>`;
}

function shortcuts(event) {
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || !state.value) return;
  if (event.key.toLowerCase() === "p") { event.preventDefault(); toggle(); }
  if (event.key === "Escape") closeNeuron();
  if (event.key.toLowerCase() === "s") { event.preventDefault(); say({ do: "step" }); }
}

/** An address of TensorFlow Playground, or of another limpid. */
function Paste({ onClose }) {
  const [text, setText] = useState("");
  const go = (event) => {
    event.preventDefault();
    const query = text.trim().replace(/^[^#]*#/, "").replace(/^[^?]*\?/, "");
    document.querySelector("dialog[open]")?.close();
    location.hash = `#/playground?${query}`;
  };
  return html`<${Dialog} title=${t("play.paste")} onClose=${onClose}><form class="play-csv" onSubmit=${go}><p class="soft note">${t("play.paste.what")}</p>
    <label><span>${t("play.paste.label")}</span><textarea rows="4" class="mono" spellcheck="false" value=${text} placeholder="https://playground.tensorflow.org/#activation=tanh&batchSize=10&…" onInput=${(event) => setText(event.target.value)}></textarea></label>
    <button type="submit" class="primary" disabled=${!text.includes("=")}>${t("play.paste.go")}</button></form><//>`;
}
