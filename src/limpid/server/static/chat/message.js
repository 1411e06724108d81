// One turn of a person, and one answer of a model.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { tint } from "../lib/preferences.js";
import { model } from "../lib/server.js";
import { Icon, IconButton } from "../parts/icons.js";
import { live, loadTokens, pick, picked, siblings, take } from "./store.js";
import { again, edit, resume, stop } from "./talk.js";
import { Template } from "./template.js";
import { LiveText } from "./text.js";

/** @param {{node: import("./store.js").Message}} props */
export function Turn({ node }) {
  const [editing, setEditing] = useState(false);
  if (editing) return html`<${Editor} node=${node} onClose=${() => setEditing(false)} />`;
  return html`<article class=${`turn ${node.role}`} data-node=${node.id} aria-label=${t(node.role === "text" ? "yourText" : "you")}>
    <div class="said"><bdi>${node.content}</bdi></div>
    <div class="tools">
      <${IconButton} name="edit" label=${t("edit")} disabled=${live.value > 0} onClick=${() => setEditing(true)} />
      <${Copy} text=${() => node.content} />
      <${Pager} node=${node} />
    </div>
  </article>`;
}

function Editor({ node, onClose }) {
  const box = useRef(null);
  useEffect(() => { box.current.focus(); box.current.setSelectionRange(node.content.length, node.content.length); }, []);
  const submit = () => { const text = box.current.value; onClose(); if (text.trim() && text !== node.content) edit(node, text); };
  const keys = (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); submit(); }
    if (event.key === "Escape") { event.stopPropagation(); onClose(); }
  };
  return html`<div class="turn editing"><textarea ref=${box} rows=${Math.min(8, node.content.split("\n").length + 1)} aria-label=${t("edit")} onKeyDown=${keys}>${node.content}</textarea>
    <div class="tools"><button type="button" class="primary" onClick=${submit}>${t("askAgain")}</button><button type="button" class="plain" onClick=${onClose}>${t("cancel")}</button></div></div>`;
}

/** @param {{node: import("./store.js").Message, last: boolean, rivals?: import("./store.js").Message[], here?: boolean}} props */
export function Answer({ node, last, rivals, here }) {
  node.tick.value;
  const [source, setSource] = useState(false), [template, setTemplate] = useState(false);
  const { about } = node, one = model(about.model), busy = live.value > 0;
  const cut = ["length", "stopped", "broken", "open"].includes(about.finish) && !node.live;
  return html`<article class=${`answer ${node.live ? "live" : ""} ${rivals && !here ? "aside" : ""}`} data-node=${node.id} aria-label=${t("answerOf", { model: about.model ?? "" })} aria-busy=${!!node.live}>
    <header><b><bdi>${about.model}</bdi></b>${one?.stage && html`<span class="stage">${t(`stage.${one.stage}`)}</span>`}
      ${about.forked && html`<span class="forked"><${Icon} name="fork" />${t("forked")}</span>`}
      <${Speed} node=${node} /></header>
    ${about.dropped > 0 && html`<p class="dropped">${t("dropped", { n: about.dropped, context: about.context })}</p>`}
    <${Living} node=${node} source=${source} vocabulary=${one?.vocab_size} />
    ${!node.live && !node.content && !node.tokens?.length && html`<p class="soft nothing">${t(about.finish === "broken" ? "noAnswer" : "saidNothing")}</p>`}
    ${about.finish === "broken" && !node.live && html`<p class="broken">${t("broken")}</p>`}
    <div class="tools">
      ${node.live ? html`<button type="button" class="plain stop" onClick=${() => stop(node)}><${Icon} name="stop" />${t("stop")}</button>` : html`
        ${cut && last && html`<button type="button" class="plain" disabled=${busy} onClick=${() => resume(node)}><${Icon} name="on" />${t("continue")}</button>`}
        <${IconButton} name="again" label=${t("again")} disabled=${busy} onClick=${() => again(node)} />
        <${Copy} text=${() => node.content} />
        <${IconButton} name="code" label=${t("source")} aria-pressed=${source} onClick=${() => setSource(!source)} />
        <${IconButton} name="page" label=${t("template")} onClick=${() => setTemplate(true)} />
        ${rivals ? html`<button type="button" class="plain keep" aria-pressed=${here} onClick=${() => take(node)}>${t(here ? "keptAnswer" : "keepAnswer")}</button>` : html`<${Pager} node=${node} />`}`}
    </div>
    ${template && html`<${Template} node=${node} onClose=${() => setTemplate(false)} />`}
  </article>`;
}

/** The text with its tokens; arrow keys walk through them. */
function Living({ node, source, vocabulary }) {
  const box = useRef(null), drawer = useRef(null);
  const alive = tint.value !== "off", mine = picked.value?.node === node ? picked.value.at : -1;
  node.tick.value;
  useLayoutEffect(() => {
    drawer.current ??= new LiveText(box.current);
    drawer.current.update(node.content, node.tokens?.length ? node.tokens : null, { plain: source, vocabulary });
    if (mine >= 0) mark(box.current, mine);
  });
  useLayoutEffect(() => mark(box.current, mine), [mine]);
  useEffect(() => {
    if (node.tokens || !node.kept) return undefined;
    const near = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) { near.disconnect(); loadTokens(node); } }, { rootMargin: "400px" });
    near.observe(box.current);
    return () => near.disconnect();
  }, []);
  const click = (event) => {
    const token = event.target.closest("[data-at]");
    if (token && !event.target.closest("a") && getSelection().isCollapsed) pick(node, +token.dataset.at);
  };
  const keys = (event) => {
    const count = node.tokens?.length ?? 0;
    if (!count || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = { ArrowRight: mine + 1, ArrowLeft: mine - 1, Home: 0, End: count - 1 }[event.key];
    if (to === undefined) {
      if (/^Arrow(Up|Down)$/.test(event.key) && mine >= 0) { event.preventDefault(); document.querySelector(".alternatives button")?.focus(); }
      return;
    }
    event.preventDefault();
    pick(node, Math.min(count - 1, Math.max(0, to)));
  };
  return html`<div class=${`living ${alive ? "" : "off"}`} ref=${box} dir="auto" tabindex=${node.tokens?.length ? 0 : -1} role="group" aria-label=${t("tokensOf", { n: node.tokens?.length ?? 0 })} onClick=${click} onKeyDown=${keys}></div>`;
}

function mark(box, at) {
  for (const old of box.querySelectorAll(".picked")) old.classList.remove("picked");
  if (at < 0) return;
  const spans = box.querySelectorAll(`[data-at="${at}"]`);
  for (const span of spans) span.classList.add("picked");
  requestAnimationFrame(() => spans[0]?.scrollIntoView({ block: "nearest" })); // when the panel has its place
}

function Speed({ node }) {
  node.tick.value;
  const { about } = node, used = (about.prompt ?? 0) + (node.tokens?.length ?? 0);
  if (!about.context) return null;
  const pace = node.live ? about.pace : about.speed ?? about.pace;
  return html`<span class="speed" title=${t("contextUsed", { used, context: about.context })}>
    ${pace ? html`<span class="pace">${t("pace", { pace: number(pace, pace < 10 ? 1 : 0) })}</span>` : null}
    <meter min="0" max=${about.context} high=${0.9 * about.context} value=${used} aria-label=${t("contextUsed", { used, context: about.context })}></meter>
    <span>${used}/${about.context}</span></span>`;
}

function Pager({ node }) {
  const all = siblings(node), place = all.indexOf(node);
  if (all.length < 2) return null;
  return html`<span class="pager" role="group" aria-label=${t("branches")}>
    <${IconButton} name="left" label=${t("earlier")} disabled=${place === 0} onClick=${() => take(all[place - 1])} />
    <span>${place + 1}/${all.length}</span>
    <${IconButton} name="right" label=${t("later")} disabled=${place === all.length - 1} onClick=${() => take(all[place + 1])} /></span>`;
}

function Copy({ text }) {
  const [done, setDone] = useState(false);
  const copy = async () => { await navigator.clipboard?.writeText(text()); setDone(true); setTimeout(() => setDone(false), 1500); };
  return html`<${IconButton} name="copy" label=${t(done ? "copied" : "copy")} class=${done ? "done" : ""} onClick=${copy} />`;
}
