// One run beside its curves: what it was told, what it wrote, its checkpoints, and what can be done to it.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { digits } from "../lib/format.js";
import { number, t } from "../lib/i18n.js";
import { address, go } from "../lib/route.js";
import { modelsChanged, readers } from "../lib/server.js";
import { begin } from "../chat/store.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icons.js";
import { CurvesCode } from "./charts.js";
import { State } from "./list.js";
import { TABS, act, busy, detail, list, run, set, state } from "./store.js";
import { save } from "../lib/save.js";

export function Head() {
  const { focus, chosen } = state.value, one = run(focus), [asking, ask] = useState(null);
  if (!one) return null;
  const here = detail.value?.name === focus ? detail.value : null, stopping = busy.value.has(`stop ${focus}`);
  const failed = one.child?.code ? one.child.code : 0;
  const files = asking === "resume" ? here.resume.code : [];
  const sure = async () => { const what = asking; ask(null); await act(what, focus, files.length ? { agreed: files.map((one) => one.digest) } : {}); };
  return html`<header class="run-head"><div class="run-title"><h1><bdi>${focus}</bdi></h1><${State} run=${one} /></div>
    ${chosen.length > 1 && html`<label class="run-focus"><span>${t("runs.focus")}</span><select value=${focus} onChange=${(event) => set({ run: event.target.value })}>${chosen.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>`}
    <p class="acts">
      ${one.state === "running" && html`<button type="button" class="danger" disabled=${stopping} onClick=${() => ask("stop")}>${t(stopping ? "runs.stopping" : "runs.stop")}</button>`}
      ${(one.state === "interrupted" || one.state === "failed") && here && html`<button type="button" class="primary" disabled=${!here.resume.command || busy.value.has(`resume ${focus}`) || one.child?.code === null} title=${here.resume.why ?? ""} onClick=${() => ask("resume")}>${t(one.child?.code === null ? "runs.starting" : "runs.resume")}</button>`}
      ${one.checkpoints.length > 0 && html`<${Talk} name=${focus} step=${one.checkpoints.at(-1)} stage=${one.stage} main />`}
      ${(one.checkpoints.length > 0 || one.stage === "skipgram") && html`<a class="plain" href=${address("embeddings", "", { run: focus })}>${t("embeddings")}</a>`}
      ${one.report && html`<${Report} name=${focus} />`}<${CurvesCode} /></p>
    ${one.state === "failed" && html`<p class="run-why" role="status">${t("runs.why", { why: one.reason })}</p>`}
    ${failed !== 0 && one.state !== "running" && one.state !== "finished" && html`<p class="run-why" role="status">${failed === 143 || failed === 130 ? t("runs.saved") : t("runs.ended", { code: failed })}</p>`}
    ${(one.state === "interrupted" || one.state === "failed") && here?.resume.why && html`<p class="soft">${here.resume.why}</p>`}
    ${asking && html`<${Dialog} title=${t(`runs.${asking}.sure`)} onClose=${() => ask(null)}><p>${t(`runs.${asking}.what`, { run: focus })}</p>
      ${asking === "resume" && html`<pre class="code-block" tabindex="0">limpid ${here.resume.command.map((part) => (/^[\w./=:@,-]+$/.test(part) ? part : `'${part}'`)).join(" ")}</pre>`}
      <${Sure} key=${asking} what=${asking} files=${files} onSure=${sure} onClose=${() => ask(null)} /><//>`}
  </header>`;
}

/** The last word: where other people's code would run, only after it is said to be known. */
function Sure({ what, files, onSure, onClose }) {
  const [known, know] = useState(false), foreign = files.length > 0;
  return html`${foreign && html`<div class="run-code"><p><strong>${t("runs.code", { n: files.length })}</strong></p>
      ${files.map((one) => html`<details key=${one.path}><summary><bdi>${one.path}</bdi></summary>${one.text ? html`<pre class="code-block" tabindex="0">${one.text}</pre>` : html`<p class="soft">${t("runs.code.unread")}</p>`}</details>`)}
      <label class="check"><input type="checkbox" checked=${known} onChange=${(event) => know(event.target.checked)} /><span>${t("runs.code.known", { n: files.length })}</span></label></div>`}
    <p class="acts"><button type="button" class=${what === "stop" ? "danger" : "primary"} disabled=${foreign && !known} onClick=${onSure}>${t(`runs.${what}`)}</button><button type="button" class="plain" onClick=${onClose}>${t("cancel")}</button></p>`;
}

/** The report has an origin of its own; where a key is asked for, a link cannot show it, so it is saved as a file. */
function Report({ name }) {
  const path = `/api/runs/report?run=${encodeURIComponent(name)}`, key = sessionStorage.getItem("limpid.key");
  if (!key) return html`<a class="plain" href=${path} target="_blank" rel="noopener"><${Icon} name="page" />${t("runs.report")}</a>`;
  const fetchIt = async () => { const answer = await fetch(path, { headers: { authorization: `Bearer ${key}` } }); if (answer.ok) save("report.html", await answer.blob()); };
  return html`<button type="button" class="plain" onClick=${fetchIt}><${Icon} name="out" />${t("runs.report")}</button>`;
}

const TALKS = ["pretrain", "sft", "distill", "dpo", "grpo", "ppo", "import", "classify"];
/** Chat with a checkpoint: it is loaded beside the others, unless it is there already. */
function Talk({ name, step, stage, main = false }) {
  const served = run(name)?.served?.[step], loading = busy.value.has(`load ${name} ${step}`);
  if (stage && !TALKS.includes(stage)) return main ? null : html`<span class="soft">${t("runs.noTalk")}</span>`;
  const talk = async () => {
    const answer = await act("load", name, { step });
    if (!answer) return;
    await modelsChanged();
    if (readers().some((one) => one.name === answer.model)) { go("reading", "", { model: answer.model }); return; }
    begin({ model: answer.model, rival: null, mode: stage === "pretrain" ? "text" : "chat" });
    go("chat");
  };
  return html`<button type="button" class="plain" disabled=${loading} onClick=${talk}>${loading ? t("runs.loading") : t(main ? "runs.talk" : served ? "runs.talkHere" : "runs.talkLoad")}</button>`;
}

/** Take a checkpoint that was loaded here out of the server again. Asks once: its answers end. */
function Unload({ model }) {
  const [asking, ask] = useState(false), busyNow = busy.value.has(`unload ${model}`);
  const sure = async () => { ask(false); if (await act("unload", model)) modelsChanged(); };
  return html`<button type="button" class="plain" disabled=${busyNow} onClick=${() => ask(true)}>${t(busyNow ? "runs.unloading" : "runs.unload")}</button>
    ${asking && html`<${Dialog} title=${t("runs.unload.sure")} onClose=${() => ask(false)}><p>${t("runs.unload.what", { model })}</p><p class="acts"><button type="button" class="danger" onClick=${sure}>${t("runs.unload")}</button></p><//>`}`;
}

export function Detail() {
  const { focus, tab, chosen } = state.value, here = detail.value?.name === focus ? detail.value : null, one = run(focus);
  if (!one) return null;
  const step = { ArrowLeft: -1, ArrowRight: 1 };
  const keys = (event) => { const by = step[event.key]; if (!by) return; const next = TABS[(TABS.indexOf(tab) + by + TABS.length) % TABS.length]; set({ tab: next }); queueMicrotask(() => document.getElementById(`runs-tab-${next}`)?.focus()); };
  return html`<section class="run-detail"><div role="tablist" class="run-tabs" aria-label=${t("runs.detail")}>${TABS.map((name) => html`<button type="button" role="tab" key=${name} id=${`runs-tab-${name}`} aria-selected=${tab === name} aria-controls="runs-tabpanel" tabindex=${tab === name ? 0 : -1} onClick=${() => set({ tab: name === "recipe" ? null : name })} onKeyDown=${keys}>${t(name === "recipe" && chosen.length === 2 ? "runs.tab.diff" : `runs.tab.${name}`)}</button>`)}</div>
    <div id="runs-tabpanel" role="tabpanel" tabindex="0" aria-labelledby=${`runs-tab-${tab}`}>
      ${here?.failure ? html`<p role="alert">${here.failure.message}</p>` : !here ? html`<p class="soft">${t("loading")}</p>` : tab === "recipe" ? html`<${Recipe} here=${here} />` : tab === "texts" ? html`<${Texts} texts=${here.texts} />` : tab === "checkpoints" ? html`<${Checkpoints} one=${one} />` : html`<${Log} here=${here} />`}</div></section>`;
}

function Recipe({ here }) {
  const { chosen, focus } = state.value, [other, setOther] = useState(null), name = chosen.length === 2 ? chosen.find((one) => one !== focus) : null;
  useEffect(() => { let wanted = true; setOther(null); if (name) import("../lib/api.js").then(({ api }) => api("GET", `/api/runs/one?run=${encodeURIComponent(name)}`)).then((found) => wanted && setOther(found), () => {}); return () => { wanted = false; }; }, [name]);
  if (!here.recipe) return html`<p class="soft">${t("runs.noRecipe")}</p>`;
  if (!name) return html`<pre class="code-block" tabindex="0">${here.recipe}</pre>`;
  if (!other) return html`<p class="soft">${t("loading")}</p>`;
  const keys = [...new Set([...Object.keys(here.keys), ...Object.keys(other.keys)])].filter((key) => here.keys[key] !== other.keys[key]), alike = Object.keys(here.keys).filter((key) => here.keys[key] === other.keys[key]).length;
  return html`<p class="soft">${keys.length ? t("runs.differ", { n: keys.length, alike }) : t("runs.alike", { n: alike })}</p>
    ${keys.length > 0 && html`<div class="wide-table" tabindex="0" role="region" aria-label=${t("runs.tab.diff")}><table class="diff"><thead><tr><th scope="col">${t("runs.key")}</th><th scope="col"><bdi>${focus}</bdi></th><th scope="col"><bdi>${name}</bdi></th></tr></thead><tbody>${keys.map((key) => html`<tr key=${key}><th scope="row">${key}</th><td>${here.keys[key] ?? "–"}</td><td>${other.keys[key] ?? "–"}</td></tr>`)}</tbody></table></div>`}`;
}

function Texts({ texts }) {
  if (!texts.length) return html`<p class="soft">${t("runs.noTexts")}</p>`;
  const steps = [...new Set(texts.map((one) => one.step))].reverse();
  return html`${steps.slice(0, 40).map((step) => html`<section key=${step} class="run-texts"><h3>${step === null ? "" : t("runs.afterStep", { step: number(step) })}</h3>${texts.filter((one) => one.step === step).map((one, i) => html`<blockquote key=${i}><p><span class="asked">${one.prompt}</span>${one.expected !== undefined ? html`<br />` : " "}<span class="wrote">${one.text || t("runs.nothingWritten")}</span></p>
    ${(one.reward ?? one.grade) !== undefined && (one.reward ?? one.grade) !== null && html`<footer class="soft">${typeof one.reward === "number" ? t("runs.reward", { reward: digits(one.reward) }) : one.grade}${one.expected ? ` · ${t("runs.expected")} ${one.expected}` : ""}</footer>`}</blockquote>`)}</section>`)}`;
}

function Checkpoints({ one }) {
  if (!one.checkpoints.length) return html`<p class="soft">${t("runs.noCheckpoints")}</p>`;
  return html`<ul class="checkpoints">${[...one.checkpoints].reverse().map((step) => html`<li key=${step}><span>${t("runs.afterStep", { step: number(step) })}</span>${one.served[step] && html`<span class="soft">${t("runs.servedAs", { model: one.served[step] })}</span>`}<span class="acts"><${Talk} name=${one.name} step=${step} stage=${one.stage} />${list.value.loaded.includes(one.served[step]) && html`<${Unload} model=${one.served[step]} />`}</span></li>`)}</ul>`;
}

function Log({ here }) {
  const end = useRef(null);
  useEffect(() => { if (end.current) end.current.scrollTop = end.current.scrollHeight; }, [here.log]);
  return here.log ? html`<pre ref=${end} class="code-block" tabindex="0">${here.log}</pre>` : html`<p class="soft">${t("runs.noLog")}</p>`;
}
