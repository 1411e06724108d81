// The runs there are, lines of stages together: what each is, and how far it has come.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { digits, short } from "../lib/format.js";
import { number, t, when } from "../lib/i18n.js";
import { choose, list, state } from "./store.js";

export function List() {
  const { runs, folder, exists } = list.value, families = new Map(), box = useRef(null);
  useEffect(() => { // the chosen one is in sight, and nothing but this column moves for it
    const here = box.current?.querySelector(".here");
    if (here && (here.offsetTop < box.current.scrollTop || here.offsetTop + here.offsetHeight > box.current.scrollTop + box.current.clientHeight)) box.current.scrollTop = here.offsetTop - 40;
  }, [state.value.focus, runs.length]);
  for (const run of runs) {
    const parts = run.name.split("/"), family = parts.length > 1 ? parts.slice(0, -1).join("/") : run.stage === "demo" ? run.name : "";
    (families.get(family) ?? families.set(family, []).get(family)).push(run);
  }
  return html`<nav class="runs-list" ref=${box} aria-label=${t("runs.list")}>
    <p class="soft runs-folder">${t("runs.in")} <code>${folder}</code></p>
    ${!runs.length && html`<p>${t(exists ? "runs.none" : "runs.noFolder")} <code>limpid demo</code></p>`}
    ${[...families].map(([family, members]) => html`<section key=${family}>${family && html`<h2>${family}</h2>`}<ul>${members.sort(byStage).map((run) => html`<${Row} key=${run.name} run=${run} family=${family} />`)}</ul></section>`)}
  </nav>`;
}

const ORDER = ["tokenizer", "tokenize", "pretrain", "sft", "distill", "reward", "dpo", "grpo", "ppo", "classify", "seq2seq", "skipgram", "demo"];
const byStage = (a, b) => ORDER.indexOf(a.stage) - ORDER.indexOf(b.stage) || (a.name < b.name ? -1 : 1);

export function State({ run }) {
  return html`<span class=${`run-state ${run.state}`}>${t(`runs.state.${run.state}`)}</span>`;
}

function Row({ run, family }) {
  const { chosen, focus } = state.value, on = chosen.includes(run.name), short_ = family && run.name.startsWith(`${family}/`) ? run.name.slice(family.length + 1) : run.name;
  const measure = Object.entries(run.measures ?? {})[0], share = run.step !== null && run.steps ? Math.min(1, run.step / run.steps) : null;
  return html`<li class=${`${on ? "on" : ""} ${focus === run.name ? "here" : ""}`}>
    <input type="checkbox" checked=${on} disabled=${!run.names.length && !on} aria-label=${t("runs.overlay", { run: run.name })} title=${t("runs.overlay", { run: run.name })} style=${on ? { accentColor: `var(--run${chosen.indexOf(run.name) % 6})` } : {}} onChange=${() => choose(run.name, true)} />
    <button type="button" aria-current=${focus === run.name ? "true" : undefined} onClick=${() => choose(run.name)}>
      <span class="run-name"><bdi>${short_}</bdi><${State} run=${run} /></span>
      <small class="soft">${[run.stage, run.step !== null ? `${number(run.step)}${run.steps && run.steps !== run.step ? ` / ${number(run.steps)}` : ""}` : null, run.parameters ? short(run.parameters) : null, measure ? `${measure[0]} ${digits(measure[1].value)}` : null].filter(Boolean).join(" · ")}</small>
      <small class="soft">${when(run.changed)}</small>
      ${run.state !== "finished" && share !== null && html`<progress max="1" value=${share} aria-label=${t("runs.progress")}></progress>`}
    </button></li>`;
}
