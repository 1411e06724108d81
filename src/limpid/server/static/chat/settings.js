// How the next answer is drawn, each setting with what it does.
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { short } from "../lib/format.js";
import { chat, DEFAULTS, set, settings } from "./store.js";
import { answering } from "./talk.js";

const DIALS = [["temperature", 0, 2, 0.05], ["top_k", 0, 200, 1], ["top_p", 0.01, 1, 0.01], ["min_p", 0, 1, 0.01], ["repetition_penalty", 0.5, 2, 0.01], ["frequency_penalty", -2, 2, 0.05], ["presence_penalty", -2, 2, 0.05]];

export function Settings() {
  const own = settings(), one = answering();
  const whole = (name) => (event) => { const text = event.target.value.trim(); set({ [name]: /^\d+$/.test(text) ? Number(text) : null }); };
  return html`<form class="settings" onSubmit=${(event) => event.preventDefault()} key=${chat.value.id}>
    ${one && html`<dl class="facts">
      <div><dt>${t("model")}</dt><dd><bdi>${one.name}</bdi></dd></div>
      ${one.parameters && html`<div><dt>${t("parameters")}</dt><dd>${short(one.parameters)}</dd></div>`}
      ${one.layers && html`<div><dt>${t("layersHeads")}</dt><dd>${one.layers} × ${one.heads}</dd></div>`}
      <div><dt>${t("context")}</dt><dd>${t("tokens", { n: one.context })}</dd></div>
      <div><dt>${t("vocabulary")}</dt><dd>${t("tokens", { n: one.vocab_size })}</dd></div></dl>`}
    ${own.mode === "chat" && html`<label class="block"><span>${t("system")}</span><textarea rows="3" dir="auto" value=${own.system} placeholder=${t("systemNone")} onInput=${(event) => set({ system: event.target.value })}></textarea></label>`}
    <fieldset><legend>${t("drawing")}</legend>
      ${DIALS.map(([name, low, high, step]) => html`<${Dial} key=${name} name=${name} low=${low} high=${high} step=${step} value=${own[name]} />`)}</fieldset>
    <div class="two">
      <label class="block"><span>${t("seed")}</span><input inputmode="numeric" value=${own.seed ?? ""} placeholder=${t("random")} onChange=${whole("seed")} /></label>
      <label class="block"><span>${t("maxTokens")}</span><input inputmode="numeric" value=${own.max_tokens ?? ""} placeholder=${t("untilEnd")} onChange=${whole("max_tokens")} /></label>
    </div>
    <label class="block"><span>${t("stops")}</span><textarea rows="2" value=${own.stop.join("\n")} placeholder=${t("stopsNone")} onChange=${(event) => set({ stop: event.target.value.split("\n").filter(Boolean).slice(0, 4) })}></textarea></label>
    <button type="button" class="plain" onClick=${() => { const { mode, model, rival, system } = own; set({ ...DEFAULTS, mode, model, rival, system }); }}>${t("reset")}</button>
  </form>`;
}

function Dial({ name, low, high, step, value }) {
  const change = (event) => { const number = Number(event.target.value); if (event.target.value !== "" && Number.isFinite(number)) set({ [name]: Math.min(high, Math.max(low, number)) }); };
  const id = `dial-${name}`;
  return html`<div class=${`dial ${value !== DEFAULTS[name] ? "changed" : ""}`}>
    <label for=${id}>${t(`dial.${name}`)}</label><output class="off">${value === OFF[name] ? t("offWord") : ""}</output>
    <input type="number" min=${low} max=${high} step=${step} value=${value} aria-label=${t(`dial.${name}`)} onChange=${change} />
    <input id=${id} type="range" min=${low} max=${high} step=${step} value=${value} aria-describedby=${`${id}-what`} onInput=${change} />
    <p id=${`${id}-what`}>${t(`dial.${name}.what`)}</p></div>`;
}
const OFF = { top_k: 0, top_p: 1, min_p: 0, repetition_penalty: 1, frequency_penalty: 0, presence_penalty: 0 };
