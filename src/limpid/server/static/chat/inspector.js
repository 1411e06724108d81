// Inside one token: what it was, how sure the model was, and what else it could have said.
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { digits, hex, percent, shown } from "../lib/format.js";
import { model } from "../lib/server.js";
import { Icon, IconButton } from "../parts/icons.js";
import { Inside } from "./inside.js";
import { live, pick, picked, shownPath } from "./store.js";
import { fork } from "./talk.js";

export function Inspector() {
  const { node, at } = picked.value ?? {};
  const token = node?.tokens?.[at];
  if (!token) return html`<${Hint} />`;
  node.tick.value;
  const vocabulary = model(node.about.model)?.vocab_size ?? 0;
  const own = token.alternatives.find((one) => one.id === token.id);
  const p = Math.exp(token.logprob), text = token.special ? own?.text ?? `#${token.id}` : shown(token);
  const reach = Math.max(...token.alternatives.map((one) => Math.max(one.probability, one.chance)), p);
  const rest = 1 - token.alternatives.reduce((sum, one) => sum + one.probability, 0);
  return html`<section class="inspector" aria-label=${t("token")}>
    <div class="walk">
      <${IconButton} name="left" label=${t("before")} disabled=${at === 0} onClick=${() => pick(node, at - 1)} />
      <span>${t("place", { at: at + 1, n: node.tokens.length })}</span>
      <${IconButton} name="right" label=${t("after")} disabled=${at === node.tokens.length - 1} onClick=${() => pick(node, at + 1)} />
    </div>
    <p class=${`big ${token.special ? "control" : ""}`}><bdi>${text}</bdi></p>
    <p class="verdict" aria-live="polite"><span class="hidden">${text}: </span>${verdict(token, p, node.about.forked?.at === at)}</p>
    <dl class="numbers">
      <div><dt>${t("probability")}</dt><dd data-name="probability" data-value=${p}>${percent(p)}</dd></div>
      <div><dt>${t("rank")}</dt><dd data-name="rank">${token.rank ? t("rankOf", { rank: number(token.rank), n: vocabulary }) : "–"}</dd></div>
      <div><dt title=${t("entropy.what")}>${t("entropy")}</dt><dd data-name="entropy" data-value=${token.entropy}>${digits(token.entropy)} nat <small>${t("choices", { n: Math.exp(token.entropy).toFixed(Math.exp(token.entropy) < 10 ? 1 : 0) })}</small></dd></div>
      <div><dt>logprob</dt><dd data-name="logprob" data-value=${token.logprob}>${digits(token.logprob)}</dd></div>
      <div><dt>id</dt><dd data-name="id">${token.id}</dd></div>
      <div><dt>${t("bytes")}</dt><dd class="mono">${token.bytes ? hex(token.bytes) : t("controlToken")}</dd></div>
      ${token.part && html`<div class="row"><dt>${t("partOf")}</dt><dd><b>${node.tokens[token.part[1]].text || "…"}</b> ${t("partOf.what", { n: token.part[1] - token.part[0] + 1 })}</dd></div>`}
    </dl>
    <h3 class="split"><span>${t("alternatives")}</span><small>${t("reach", { reach: percent(reach) })}</small></h3>
    <p class="soft key"><i class="bar-key before"></i>${t("beforeSampling")} <i class="bar-key after"></i>${t("afterSampling")}</p>
    <ol class="alternatives" onKeyDown=${walk}>
      ${token.alternatives.map((one, place) => html`<${Row} key=${one.id} one=${one} place=${place} chosen=${one.id === token.id} node=${node} at=${at} reach=${reach} />`)}
      ${!own && html`<${Row} key="own" one=${{ id: token.id, text: token.special ? text : token.text, bytes: token.bytes, probability: p, chance: null, special: token.special }} place=${token.rank - 1} chosen node=${node} at=${at} reach=${reach} />`}
    </ol>
    <p class="soft rest">${t("rest", { share: percent(Math.max(0, rest)), n: Math.max(0, vocabulary - token.alternatives.length) })}</p>
    <${Inside} node=${node} at=${at} />
  </section>`;
}

function Row({ one, place, chosen, node, at, reach }) {
  const name = one.text === null || one.text === "" ? hex(one.bytes) : shown(one);
  const numbers = `${percent(one.probability)}, ${one.chance === null ? "–" : percent(one.chance)}`;
  const label = t(chosen ? "chosenWas" : "forkAt", { token: name, numbers });
  return html`<li class=${chosen ? "chosen" : ""}><button type="button" aria-label=${label} title=${label} aria-current=${chosen ? "true" : undefined} disabled=${live.value > 0 && !chosen}
      data-id=${one.id} data-probability=${one.probability} data-chance=${one.chance} onClick=${() => !chosen && fork(node, at, one)}>
    <span class="place">${place + 1}</span>
    <span class=${`name ${one.special ? "control" : one.text === null ? "mono" : ""}`}><bdi>${name}</bdi></span>
    <span class="bars" aria-hidden="true"><i class="before" style=${{ width: `${(100 * one.probability) / reach}%` }}></i><i class="after" style=${{ width: `${(100 * (one.chance ?? 0)) / reach}%` }}></i></span>
    <span class="share"><span>${percent(one.probability)}</span><span>${one.chance === null ? "–" : percent(one.chance)}</span></span>
    <span class="act" aria-hidden="true">${chosen ? "●" : html`<${Icon} name="fork" />`}</span>
  </button></li>`;
}

/** Up and down among the candidates. */
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = [...event.currentTarget.querySelectorAll("button:not(:disabled)")];
  all[Math.min(all.length - 1, Math.max(0, all.indexOf(document.activeElement) + step))]?.focus();
}

function verdict(token, p, yours) {
  const key = yours ? "yours" : token.rank === 1 ? (p > 0.9 ? "sure" : p > 0.5 ? "likely" : "torn") : p < 0.02 ? "rare" : "second";
  return t(`verdict.${key}`, { share: percent(p), rank: token.rank });
}

function Hint() {
  const answer = shownPath().findLast((one) => one.role === "assistant");
  answer?.tick.value; // drawn again when its tokens come
  return html`<div class="inspect-hint">
    <h2>${t("inspect.title")}</h2><p>${t("inspect.what")}</p>
    ${answer?.tokens?.length ? html`<button type="button" class="primary" onClick=${() => pick(answer, mostOpen(answer.tokens))}><${Icon} name="look" />${t("inspect.go")}</button>` : html`<p class="soft">${t(answer && !answer.live && !answer.kept ? "inspect.none" : "inspect.first")}</p>`}
  </div>`;
}

/** The place where the model hesitated most. */
const mostOpen = (tokens) => tokens.reduce((best, token, at) => (token.entropy > tokens[best].entropy ? at : best), 0);
