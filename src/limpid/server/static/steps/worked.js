// One number, worked: the formula, the real numbers in it, and what comes out, which is the model's own.
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { digits } from "../lib/format.js";
import { katex } from "../lib/tex.js";
import { CURVES, RULES, formula, num } from "./rules.js";
import { find, useFound, why } from "./data.js";
import { goTo, here, trace, way } from "./state.js";
import { Strip } from "./strip.js";
import { labelOf } from "./tokens.js";
import { openWeights } from "./weights.js";
import { Code } from "./code.js";

const TERMS = 6;

/** @param {{cell: {name: string, index: number[]}}} props */
export function Worked({ cell }) {
  const path = `worked?name=${encodeURIComponent(cell.name)}&index=${cell.index.join(",")}`;
  const { value: found, failure, fresh } = useFound(path, () => find(path));
  if (failure) return html`<section class="worked" aria-label=${t("steps.worked")}><p class="soft">${why(failure)}</p></section>`;
  if (!found) return html`<section class="worked" aria-label=${t("steps.worked")} aria-busy="true"></section>`;
  const working = RULES[found.rule].work(found);
  return html`<section class="worked" aria-label=${t("steps.worked")} aria-busy=${!fresh} data-name=${found.name} data-index=${found.index.join(",")} data-rule=${found.rule}
      data-value=${found.value ?? "-Infinity"} data-result=${working.result}>
    <h3 class="split"><span>${t("steps.worked")}</span></h3>
    <p class="where mono"><bdi>${found.name}</bdi>[${found.index.join(", ")}]</p>
    <p class="value" aria-live="polite">${num(found.value)}</p>
    <${Tex} source=${formula(found)} />
    ${working.lines.length > 0 && working.lines.at(-1) !== num(working.result) && html`<p class="lines">${working.lines.map((line) => html`<span>= ${line}</span>`)}<span>= <b>${num(working.result === -Infinity ? null : working.result)}</b></span></p>`}
    ${working.curve && html`<${Curve} name=${working.curve} x=${working.x} />`}
    ${found.rule === "turn" && html`<${Turn} numbers=${found.numbers} />`}
    ${working.products && html`<${Products} found=${found} products=${working.products} total=${working.result} capped=${found.rule === "capped"} />`}
    ${working.exps && html`<${Exps} found=${found} exps=${working.exps} />`}
    ${found.rule === "sum" && html`<${Terms} found=${found} />`}
    ${found.rows.x && !working.exps && html`<${Strip} values=${found.rows.x} label="x" say="x" picked=${found.numbers.at} />`}
    <${Sources} sources=${found.sources} />
    <${Code} prints=${[`t["${found.name}"][${found.index.join(", ")}]`, `t.worked("${found.name}", ${found.index.join(", ")}).recipe`]} />
  </section>`;
}

/** A formula; its source until KaTeX is there. */
function Tex({ source }) {
  const box = useRef(null);
  useEffect(() => {
    let wanted = true;
    katex().then((library) => { if (wanted && box.current) library.render(source, box.current, { displayMode: true, throwOnError: false, trust: false, output: "htmlAndMathml" }); }, () => { if (box.current) box.current.textContent = source; });
    return () => { wanted = false; };
  }, [source]);
  return html`<div class="tex" ref=${box}></div>`;
}

/** What the i-th term of a sum belongs to: a token where it is summed over them, else a number. */
function termName(found) {
  const { keys } = here.value;
  return /hook_z$/.test(found.name) ? (i) => labelOf(keys[i]) ?? String(i) : String;
}

function Products({ found, products, total, capped }) {
  const { a, b } = found.rows, name = termName(found), bias = found.numbers.bias;
  const order = products.map((_, i) => i).sort((i, j) => Math.abs(products[j]) - Math.abs(products[i]));
  const shown = order.slice(0, TERMS), rest = order.slice(TERMS);
  return html`<div class="products">
    ${products.length > 2 && html`<${Strip} values=${a} label="a" say="a" slim /><${Strip} values=${b} label="b" say="b" slim /><${Strip} values=${products} label="a · b" say="a · b" slim />`}
    <table class="terms"><thead><tr><th scope="col"><i>i</i></th><th scope="col"><i>a</i></th><th scope="col"></th><th scope="col"><i>b</i></th><th scope="col">${t("steps.product")}</th></tr></thead>
      <tbody>${shown.map((i) => html`<tr key=${i} data-i=${i} data-a=${a[i]} data-b=${b[i]}><th scope="row"><bdi>${name(i)}</bdi></th><td>${num(a[i])}</td><td>·</td><td>${num(b[i])}</td><td>${num(products[i])}</td></tr>`)}
        ${rest.length > 0 && html`<tr><th scope="row" colspan="4">${t("steps.others", { n: rest.length })}</th><td>${num(rest.reduce((sum, i) => sum + products[i], 0))}</td></tr>`}
        ${bias !== undefined && html`<tr><th scope="row" colspan="4">${t("steps.bias")}</th><td>${num(bias)}</td></tr>`}
        ${!capped && html`<tr class="total"><th scope="row" colspan="4">${t("steps.together")}</th><td>${num(total)}</td></tr>`}</tbody></table></div>`;
}

function Exps({ found, exps }) {
  const { keys } = here.value, tokens = /hook_pattern$/.test(found.name);
  const chosen = found.rule === "softmax" ? [found.numbers.at] : found.rule === "share" ? found.rows.chosen : [];
  const total = exps.reduce((sum, x) => sum + x, 0);
  const order = exps.map((_, i) => i).sort((i, j) => exps[j] - exps[i]).slice(0, TERMS);
  for (const i of chosen) if (!order.includes(i)) order.push(i);
  return html`<table class="terms"><thead><tr><th scope="col">${t(tokens ? "token" : "steps.expert")}</th><th scope="col"><i>x</i></th><th scope="col">e<sup>x−max</sup></th><th scope="col">${t("steps.share")}</th></tr></thead>
    <tbody>${order.map((i) => html`<tr key=${i} class=${chosen.includes(i) ? "chosen" : ""}><th scope="row"><bdi>${tokens ? labelOf(keys[i]) : i}</bdi></th><td>${num(found.rows.x[i])}</td><td>${num(exps[i])}</td><td>${num(exps[i] / total)}</td></tr>`)}
      <tr class="total"><th scope="row" colspan="2">${t("steps.together")}</th><td>${num(total)}</td><td>1</td></tr></tbody></table>`;
}

function Terms({ found }) {
  return html`<table class="terms"><tbody>${found.rows.terms.map((x, i) => html`<tr key=${i}><th scope="row" class="mono">${found.sources[`terms[${i}]`]}</th><td>${num(x)}</td></tr>`)}</tbody></table>`;
}

/** An activation as a curve, with the point where we are. */
function Curve({ name, x }) {
  const f = CURVES[name];
  const reach = Math.max(3, Math.ceil(Math.abs(x))), top = Math.max(f(reach), 1), low = Math.min(...Array.from({ length: 41 }, (_, i) => f(-reach + (i * reach) / 20)), -0.2);
  const px = (v) => 4 + (192 * (v + reach)) / (2 * reach), py = (v) => 76 - (72 * (v - low)) / (top - low);
  const path = Array.from({ length: 97 }, (_, i) => { const v = -reach + (i * reach) / 48; return `${i ? "L" : "M"}${px(v).toFixed(1)} ${py(f(v)).toFixed(1)}`; }).join("");
  return html`<svg class="curve" viewBox="0 0 200 80" role="img" aria-label=${`${name}(${digits(x)}) = ${digits(f(x))}`}>
    <path class="axis" d=${`M4 ${py(0)}H196M${px(0)} 4V76`} /><path class="line" d=${path} /><circle cx=${px(x)} cy=${py(f(x))} r="4" /></svg>`;
}

/** A pair before and after its turn. */
function Turn({ numbers: { own, other, cos, sin, sign, place, pair } }) {
  const [x, y] = sign < 0 ? [own, other] : [other, own], to = [x * cos - y * sin, x * sin + y * cos];
  const size = Math.hypot(x, y) || 1, px = (v) => 60 + (48 * v) / size, py = (v) => 60 - (48 * v) / size;
  const angle = Math.atan2(sin, cos);
  return html`<div class="turn"><svg viewBox="0 0 120 120" role="img" aria-label=${t("steps.turned", { angle: digits(angle) })}>
      <circle class="axis" cx="60" cy="60" r="48" /><path class="axis" d="M4 60H116M60 4V116" />
      <path class="before" d=${`M60 60L${px(x)} ${py(y)}`} /><circle class="before" cx=${px(x)} cy=${py(y)} r="3.5" /><path class="after" d=${`M60 60L${px(to[0])} ${py(to[1])}`} /><circle class="after" cx=${px(to[0])} cy=${py(to[1])} r="3.5" /></svg>
    <p class="soft">${t("steps.turn.what", { pair, place, angle: digits(angle) })}</p></div>`;
}

/** Where the numbers come from: a step of this page, or a matrix of weights that can be opened. */
function Sources({ sources }) {
  const entries = Object.entries(sources).filter(([symbol]) => !symbol.startsWith("terms"));
  if (!entries.length) return null;
  return html`<dl class="sources">${entries.map(([symbol, where]) => html`<div key=${symbol}><dt><i>${symbol}</i></dt><dd><${Source} where=${where} /></dd></div>`)}</dl>`;
}

function Source({ where }) {
  const [, name, index] = /^([\w.]+)\[([^\]]*)\]/.exec(where) ?? [];
  const weights = name && !(name in trace.value.names) && !/ with /.test(where);
  const [, expert] = /^([\w.]+\.(?:gate_up|down))\[/.exec(where) ?? [];
  if (weights || expert) return html`<button type="button" class="link mono" onClick=${() => openWeights(expert ?? name, index)}>${where}</button>`;
  const target = name && stepOf(name);
  if (!target) return html`<span class="mono">${where}</span>`;
  return html`<button type="button" class="link mono" onClick=${() => goTo(target.chapter, target.step)}>${where}</button>`;
}

/** The step that makes a name. */
function stepOf(name) {
  const makes = (step) => Object.entries(step.shows).some(([role, one]) => one === name && !["in", "source", "start"].includes(role) && !role.startsWith("term"));
  return way().find(({ step }) => makes(step));
}
