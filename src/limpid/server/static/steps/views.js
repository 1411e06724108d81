// What each step shows. A step is drawn from the names that the server lists for it, so every model shows its own parts.
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { digits, percent } from "../lib/format.js";
import { address } from "../lib/route.js";
import { useFound, useParts, find, why } from "./data.js";
import { Matrix } from "./matrix.js";
import { asked, here, look, pick, trace, worked } from "./state.js";
import { labelOf, TokenText } from "./tokens.js";
import { Vec, named } from "./vec.js";
import { openWeights } from "./weights.js";
import { Without } from "./without.js";

const own = () => here.value.stack.tokens[here.value.at];

export function Tokens() {
  const { stack, at, main } = here.value, around = 100;
  const first = Math.max(0, Math.min(at - around, stack.tokens.length - 2 * around)), some = stack.tokens.slice(first, first + 2 * around);
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${t("steps.tokens")}><table class="token-table"><thead><tr><th scope="col">${t("steps.place")}</th><th scope="col">${t("token")}</th><th scope="col">id</th><th scope="col">${t("bytes")}</th></tr></thead>
    <tbody>${some.map((token, i) => html`<tr key=${first + i} class=${first + i === at ? "chosen" : ""} onClick=${() => look({ [main ? "at" : "source"]: first + i, cell: null })}>
      <td>${first + i}</td><td class="name"><${TokenText} token=${token} /></td><td>${token.id}</td><td class="mono">${token.special ? t("controlToken") : token.bytes.replace(/(..)(?=.)/g, "$1 ")}</td></tr>`)}</tbody></table></div>`;
}

export function Embed() {
  const { step, at } = here.value, token = own(), shape = [trace.value.vocab_size, trace.value.d_model];
  return html`<p class="op"><span class="pill"><${TokenText} token=${token} /></span> <span class="soft">id ${token.id}</span> → <button type="button" class="link" onClick=${() => openWeights(step.weights.table, `${token.id}, 0`)}>${t("steps.table", { rows: number(shape[0]), columns: number(shape[1]) })}</button></p>
    <${Vec} name=${step.shows.out} index=${[at]} label=${t("steps.out.embed")} />`;
}

export function Position() {
  const { step, at } = here.value;
  return html`${step.weights.table && html`<p class="op"><span class="soft">${t("steps.placeIs", { at })}</span> → <button type="button" class="link" onClick=${() => openWeights(step.weights.table, `${at}, 0`)}>${t("steps.openTable")}</button></p>`}
    <${Vec} name=${step.shows.out} index=${[at]} label=${t("steps.out.position")} />`;
}

/** Terms and their sum: what enters the first block, and every residual connection. */
export function Sum() {
  const { step, at } = here.value, terms = Object.entries(step.shows).filter(([role]) => role.startsWith("term"));
  const label = (name) => (/resid_/.test(name) ? t("steps.stream") : /mlp_out/.test(name) ? t("steps.fromMlp") : /cross_attn_out/.test(name) ? t("steps.fromCross") : /attn_out/.test(name) ? t("steps.fromAttention") : /pos_embed/.test(name) ? t("steps.out.position") : /token_type/.test(name) ? t("steps.out.segment") : t("steps.out.embed"));
  return html`${terms.map(([role, name], i) => html`<${Vec} key=${role} name=${name} index=${[at]} label=${label(name)} sign=${i ? "+" : ""} />`)}
    <${Vec} name=${step.shows.out} index=${[at]} label=${step.how.norm ? t("steps.normed", { norm: t(`steps.norm.${step.how.norm}`) }) : t("steps.out.stream")} sign="=" />`;
}

export function Mix() {
  const { step, at } = here.value;
  return html`<${Vec} name=${step.shows.in} index=${[at]} label=${t("steps.stream")} sign="a ·" /><${Vec} name=${step.shows.start} index=${[at]} label=${t("steps.start")} sign="+ b ·" />
    <${Vec} name=${step.shows.out} index=${[at]} label=${t("steps.out.stream")} sign="=" />`;
}

export function Norm() {
  const { step, at } = here.value;
  const { value } = useParts({ x: [step.shows.in, [at]] }), x = value?.x.values;
  const mean = x && x.reduce((sum, one) => sum + one, 0) / x.length, square = x && x.reduce((sum, one) => sum + one * one, 0) / x.length;
  return html`<${Vec} name=${step.shows.in} index=${[at]} label=${t("steps.stream")} />
    ${x && html`<p class="op facts-line">${step.how.norm === "layer" && html`<span>μ = ${digits(mean)}</span><span>σ = ${digits(Math.sqrt(Math.max(0, square - mean * mean) + step.how.eps))}</span>`}${step.how.norm === "rms" && html`<span>rms = ${digits(Math.sqrt(square + step.how.eps))}</span>`}<span class="soft">ε = ${digits(step.how.eps)}</span><button type="button" class="link" onClick=${() => openWeights(step.weights.weight, "0")}>${t("steps.gains")}</button></p>`}
    <${Vec} name=${step.shows.out} index=${[at]} label=${t("steps.out.norm")} sign="=" />`;
}

export function Heads() {
  const { step, at, head, group, keys, key } = here.value, { shows, weights, how } = step;
  const matrix = (role, index) => html`<button type="button" class="link" onClick=${() => openWeights(weights[role], index)}>W<sub>${role === "qkv" ? "QKV" : role.toUpperCase()}</sub></button>`;
  const first = head * how.head_dim;
  return html`<${Vec} name=${shows.in} index=${[at]} label=${html`${t("steps.in")} <span class="pill small"><${TokenText} token=${own()} /></span>`} />
    <p class="op">${Object.keys(weights).map((role) => html`× ${matrix(role, `${first}, 0`)} `)}${how.kv_heads < how.heads && html`<span class="soft">${t("steps.grouped", { kv: how.kv_heads, n: how.heads, head, group })}</span>`}</p>
    <${Vec} name=${shows.q} index=${[at, head]} label=${t("steps.q")} sign="q =" />
    ${how.branch === "cross_attn" && html`<${Vec} name=${shows.source} index=${[key]} label=${html`${t("steps.sourceOf")} <span class="pill small"><${TokenText} token=${keys[key]} /></span>`} />`}
    <${Vec} name=${shows.k} index=${[key, group]} label=${t("steps.k")} sign="k =" />
    ${shows.v_proj && html`<${Vec} name=${shows.v_proj} index=${[key, group]} label=${t("steps.vProj")} />`}
    <${Vec} name=${shows.v} index=${[key, group]} label=${t("steps.v")} sign="v =" />`;
}

/** Before and after, for the query and for the key: QK-norm, and the turn of rotary positions. */
export function Both() {
  const { step, at, head, group, key } = here.value, { shows } = step, after = step.key.endsWith("turn") ? "steps.afterTurn" : "steps.out.norm";
  return html`<${Vec} name=${shows.q} index=${[at, head]} label=${t("steps.q")} sign="q" /><${Vec} name=${shows.to_q} index=${[at, head]} label=${t(after)} sign="→" />
    <${Vec} name=${shows.k} index=${[key, group]} label=${t("steps.k")} sign="k" /><${Vec} name=${shows.to_k} index=${[key, group]} label=${t(after)} sign="→" />`;
}

export function Scores() {
  const { step, at, head, group, keys, stack, layer } = here.value, { shows } = step, name = shows.out, cell = worked.value;
  const { value, fresh, failure } = useParts({ m: [name, [head]] });
  const raw = step.key.endsWith("raw"), ours = cell?.name === name && cell.index[0] === head, column = ours && cell.index[1] === at ? cell.index[2] : undefined;
  if (failure) return html`<p class="soft">${why(failure)}</p>`;
  const { model, text, ids, target } = asked.value, kind = step.how.branch;
  return html`${raw && html`<${Vec} name=${shows.q} index=${[at, head]} label=${t("steps.qOf", { token: labelOf(own()) })} sign="q" slim />${column !== undefined && html`<${Vec} name=${shows.k} index=${[column, group]} label=${t("steps.kOf", { token: labelOf(keys[column]) })} sign="k" slim />`}`}
    <${Vec} name=${name} index=${[head, at]} label=${t("steps.rowOf", { token: labelOf(own()) })} names=${named(keys)} />
    ${value && html`<div class="figure" data-name=${name} data-head=${head} aria-busy=${!fresh}><${Matrix} values=${value.m.values} shape=${value.m.shape} row=${at} picked=${ours ? cell.index.slice(1) : undefined}
      say=${t("steps.matrix", { rows: value.m.shape[0], columns: value.m.shape[1] })} rowName=${named(stack.tokens)} columnName=${named(keys)} onPick=${(r, c) => pick(name, [head, r, c])} /></div>`}
    <p class="op"><a href=${address("attention", "", { model, text, ids, target, stack: stack.name, kind, layer, head, row: at })}>${t("steps.inAttention")}</a></p>`;
}

export function Mixed() {
  const { step, at, head, group, keys } = here.value, { shows } = step, cell = worked.value;
  const { value } = useParts({ v: [shows.v, []] });
  if (!value) return html`<${Vec} name=${shows.pattern} index=${[head, at]} label=${t("steps.weightsOf")} names=${named(keys)} />`;
  const [places, groups, width] = value.v.shape, rows = new Float32Array(places * width);
  for (let s = 0; s < places; s++) rows.set(value.v.values.subarray((s * groups + group) * width, (s * groups + group + 1) * width), s * width);
  return html`<${Vec} name=${shows.pattern} index=${[head, at]} label=${t("steps.weightsOf")} names=${named(keys)} />
    <div class="figure" data-name=${shows.v} data-index=""><${Matrix} values=${rows} shape=${[places, width]} square=${false} say=${t("steps.values", { rows: places, columns: width })} rowName=${named(keys)} columnName=${String}
      picked=${cell?.name === shows.v && cell.index[1] === group ? [cell.index[0], cell.index[2]] : undefined} onPick=${(s, c) => pick(shows.v, [s, group, c])} /></div>
    <${Vec} name=${shows.out} index=${[at, head]} label=${t("steps.z")} sign="z =" />`;
}

export function Join() {
  const { step, at, head, stack, layer, main, heads, chapter } = here.value, { shows, how, weights } = step;
  const { value } = useParts({ each: [shows.each, [at]] });
  const each = value && Array.from({ length: heads }, (_, h) => Math.hypot(...value.each.values.subarray(h * trace.value.d_model, (h + 1) * trace.value.d_model)));
  const most = each && Math.max(...each, 1e-12), kind = how.branch === "cross_attn" ? "cross_head" : "head", prefix = main ? "" : `${chapter.stack}/`;
  return html`<div class="joined" role="group" aria-label=${t("steps.joined")}>${Array.from({ length: heads }, (_, h) => html`<div key=${h} class=${h === head ? "here" : ""}>
      <button type="button" class="link" aria-pressed=${h === head} onClick=${() => look({ head: h, cell: null }, true)}>${t("steps.headN", { n: h })}</button>
      <${Vec} name=${shows.z} index=${[at, h]} label="" slim />
      <span class="size" title=${t("steps.length")}><i style=${{ width: each ? `${(100 * each[h]) / most}%` : 0 }}></i></span><span class="soft num">${each ? digits(each[h]) : ""}</span>
      <${Without} part=${`${prefix}${kind}:${layer}.${h}`} /></div>`)}</div>
    <p class="op">× <button type="button" class="link" onClick=${() => openWeights(weights.output, `0, ${head * how.head_dim}`)}>W<sub>O</sub></button></p>
    <${Vec} name=${shows.each} index=${[at, head]} label=${t("steps.writes", { n: head })} />
    <${Vec} name=${shows.out} index=${[at]} label=${t("steps.allWrite", { n: heads })} sign="Σ" />
    <p class="op"><${Without} part=${`${prefix}${how.branch}:${layer}`} label=${t("steps.without.attention")} /></p>`;
}

export function Up() {
  const { step, at } = here.value, { shows, weights } = step;
  return html`<${Vec} name=${shows.in} index=${[at]} label=${t("steps.in")} /><p class="op">× <button type="button" class="link" onClick=${() => openWeights(weights.up, "0, 0")}>${t("steps.openMatrix")}</button></p>
    <${Vec} name=${shows.pre} index=${[at]} label=${t(shows.linear ? "steps.gate" : "steps.pre")} />${shows.linear && html`<${Vec} name=${shows.linear} index=${[at]} label=${t("steps.linear")} />`}`;
}

export function Neurons() {
  const { step, at, layer, main, chapter } = here.value, { shows } = step;
  const { value } = useParts({ post: [shows.out, [at]] });
  const best = value ? Array.from(value.post.values.keys()).sort((a, b) => Math.abs(value.post.values[b]) - Math.abs(value.post.values[a])).slice(0, 6) : [];
  return html`<${Vec} name=${shows.pre} index=${[at]} label=${t(shows.linear ? "steps.gate" : "steps.pre")} />${shows.linear && html`<${Vec} name=${shows.linear} index=${[at]} label=${t("steps.linear")} sign="·" />`}
    <${Vec} name=${shows.out} index=${[at]} label=${t("steps.neurons")} sign="=" />
    <table class="terms"><caption>${t("steps.strongest")}</caption><thead><tr><th scope="col">${t("steps.neuron")}</th><th scope="col">${t("steps.number")}</th><th scope="col"></th></tr></thead>
      <tbody>${best.map((i) => html`<tr key=${i}><th scope="row"><button type="button" class="link" onClick=${() => pick(shows.out, [at, i])}>${i}</button></th><td>${digits(value.post.values[i])}</td><td><${Without} part=${`${main ? "" : `${chapter.stack}/`}neuron:${layer}.${i}`} /></td></tr>`)}</tbody></table>`;
}

export function Down() {
  const { step, at, layer, main, chapter } = here.value, { shows, weights } = step;
  return html`<${Vec} name=${shows.in} index=${[at]} label=${t("steps.neurons")} /><p class="op">× <button type="button" class="link" onClick=${() => openWeights(weights.down, "0, 0")}>${t("steps.openMatrix")}</button></p>
    <${Vec} name=${shows.out} index=${[at]} label=${t("steps.fromMlp")} sign="=" />
    <p class="op"><${Without} part=${`${main ? "" : `${chapter.stack}/`}mlp:${layer}`} label=${t("steps.without.mlp")} /></p>`;
}

export function Router() {
  const { step, at } = here.value, { shows } = step;
  const { value } = useParts({ scores: [shows.out, [at]], chosen: [shows.indices, [at]], shares: [shows.shares, [at]] });
  return html`<${Vec} name=${shows.in} index=${[at]} label=${t("steps.in")} /><${Vec} name=${shows.out} index=${[at]} label=${t("steps.routerScores")} names=${(i) => t("steps.expertN", { n: i })} />
    ${value && html`<table class="terms"><caption>${t("steps.chosen")}</caption><thead><tr><th scope="col">${t("steps.expert")}</th><th scope="col">${t("steps.score")}</th><th scope="col">${t("steps.share")}</th></tr></thead><tbody>${Array.from(value.chosen.values, (expert, n) => html`<tr key=${n}>
      <th scope="row"><button type="button" class="link" onClick=${() => pick(shows.indices, [at, n])}>${expert}</button></th><td>${digits(value.scores.values[expert])}</td><td><button type="button" class="link" onClick=${() => pick(shows.shares, [at, n])}>${percent(value.shares.values[n])}</button></td></tr>`)}</tbody></table>`}`;
}

export function Experts() {
  const { step, at, layer } = here.value, { shows } = step;
  const { value } = useParts({ chosen: [shows.indices, [at]], shares: [shows.shares, [at]] });
  return html`${value && Array.from(value.chosen.values, (expert, n) => html`<${Vec} key=${n} name=${shows.neurons} index=${[at, n]} label=${t("steps.expertShare", { n: expert, share: percent(value.shares.values[n]) })} />`)}
    <${Vec} name=${shows.out} index=${[at]} label=${t("steps.fromMlp")} sign="=" /><p class="op"><${Without} part=${`mlp:${layer}`} label=${t("steps.without.mlp")} /></p>`;
}

/** The logit lens: what would be said if each layer were the last. */
export function Lens() {
  const { at } = here.value, { value, failure } = useFound(`lens ${at}`, () => find(`lens?count=3&places=${at}`));
  if (failure) return html`<p class="soft">${why(failure)}</p>`;
  if (!value) return null;
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${t("steps.lens")}><table class="lens"><thead><tr><th scope="col">${t("steps.after")}</th><th scope="col" colspan="3">${t("steps.wouldSay")}</th><th scope="col">${t("steps.finalRank")}</th></tr></thead>
    <tbody>${value.depths.map(([said], depth) => html`<tr key=${depth}><th scope="row">${depth ? html`<button type="button" class="link" onClick=${() => look({ layer: depth - 1, step: here.value.chapter && firstStep(), cell: null })}>${t("steps.layerN", { n: depth - 1 })}</button>` : t("steps.out.embed")}</th>
      ${said.map((one) => html`<td key=${one.token_id} style=${{ "--share": one.probability }}><bdi class="name">${one.label}</bdi> <span class="soft num">${percent(one.probability)}</span></td>`)}
      <td class="num" data-rank=${value.ranks[depth][0]} data-chance=${value.chances[depth][0]}>${value.ranks[depth][0]} <span class="soft">${percent(value.chances[depth][0])}</span></td></tr>`)}</tbody></table></div>`;
}
const firstStep = () => trace.value.chapters.find((one) => one.kind === "block" && one.stack === trace.value.main).layers[0][0].key;

/** The mean of the final states up to the place. */
export function Pool() {
  const { step, at } = here.value;
  return html`<${Vec} name=${step.shows.in} index=${[at]} label=${t("steps.poolLast", { n: at + 1 })} /><${Vec} name=${step.shows.out} index=${[at]} label=${t("steps.poolMean", { n: at + 1 })} sign="=" />`;
}

/** A classifier's scores as probabilities. */
export function Classes() {
  const { at } = here.value, cell = worked.value, { value } = useFound(`next ${at}`, () => find(`next?at=${at}&count=20`));
  return html`<${Vec} name="logits" index=${[at]} label=${t("steps.title.logits")} names=${(i) => trace.value.answers.labels[i]} />
    ${value && html`<ol class="bars-list">${value.candidates.map((one) => html`<li key=${one.token_id}><button type="button" aria-pressed=${cell?.name === "probabilities" && cell.index[1] === one.token_id} onClick=${() => pick("probabilities", [at, one.token_id])} data-id=${one.token_id} data-probability=${one.probability}>
      <bdi class="name">${one.label}</bdi><span class="bar"><i style=${{ width: `${100 * one.probability}%` }}></i></span><span class="num">${percent(one.probability)}</span></button></li>`)}</ol>`}`;
}

export function Logits() {
  const { step, at } = here.value, cell = worked.value, { value } = useFound(`next ${at}`, () => find(`next?at=${at}&count=20`));
  const reach = value && Math.max(...value.candidates.map((one) => Math.abs(one.logit)), 1e-9);
  return html`<${Vec} name=${step.shows.in} index=${[at]} label=${t("steps.finalState")} />
    ${step.weights.head && html`<p class="op">× <button type="button" class="link" onClick=${() => openWeights(step.weights.head, `${cell?.name === "logits" ? cell.index[1] : 0}, 0`)}>${t("steps.headMatrix", { rows: number(trace.value.outputs), columns: number(trace.value.d_model) })}</button>${step.how.tied ? html` <span class="soft">${t("steps.tied")}</span>` : ""}</p>`}
    ${value && html`<ol class="bars-list">${value.candidates.map((one) => html`<li key=${one.token_id}><button type="button" disabled=${!step.weights.head} aria-pressed=${cell?.name === "logits" && cell.index[1] === one.token_id} onClick=${() => pick("logits", [at, one.token_id])} data-id=${one.token_id} data-logit=${one.logit}>
      <bdi class="name">${one.label}</bdi><span class="bar"><i class=${one.logit < 0 ? "below" : ""} style=${{ width: `${(100 * Math.abs(one.logit)) / reach}%` }}></i></span><span class="num">${digits(one.logit)}</span></button></li>`)}</ol>`}`;
}

