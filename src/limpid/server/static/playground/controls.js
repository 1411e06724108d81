// Running, and the dials of learning.
import { html } from "../lib/html.js";
import { number, t } from "../lib/i18n.js";
import { Icon } from "../parts/icons.js";
import { change, keepWeights, picture, say, seed, settings, shows, state } from "./store.js";

const RATES = [0.00001, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const PULLS = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
export const ACTIVATIONS = ["relu", "tanh", "sigmoid", "linear", "gelu"];

export function Controls() {
  const { running, exploded } = state.value;
  return html`<section class="play-bar" aria-label=${t("play.running")}>
    <div class="play-run">
      ${shows("resetButton") && html`<button type="button" class="ib" aria-label=${t("play.reset")} title=${t("play.reset")} onClick=${() => say({ do: "reset", keep: keepWeights.value })}><${Icon} name="again" /></button>`}
      ${shows("playButton") && html`<button type="button" class="play-go" aria-label=${t(running ? "play.pause" : "play.run")} title=${t(running ? "play.pause" : "play.run")} aria-keyshortcuts="P" disabled=${exploded !== null} onClick=${toggle}><svg viewBox="0 0 20 20" aria-hidden="true"><path d=${running ? "M6 5h3v10H6zM11 5h3v10h-3z" : "M7 4.500v11l8.500-5.500z"} /></svg></button>`}
      ${shows("stepButton") && html`<button type="button" class="ib" aria-label=${t("play.step")} title=${t("play.step")} aria-keyshortcuts="S" disabled=${exploded !== null} onClick=${() => say({ do: "step" })}><svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><path d="M6 5v10l7-5zM15 5v10" /></svg></button>`}
      <${Epoch} />
    </div>
    <${Choice} name="learningRate" field="learning_rate" options=${RATES} />
    <${Choice} name="activation" options=${ACTIVATIONS} words="play.fn" also=${{ activations: [] }} />
    <${Choice} name="regularization" options=${["none", "L1", "L2"]} words="play.reg" />
    <${Choice} name="regularizationRate" field="regularization_rate" options=${PULLS} />
    <${Choice} name="problem" options=${["classification", "regression"]} words="play.problem" also=${{ loss: "square" }} />
    <${Choice} name="optimizer" options=${["sgd", "momentum", "adam"]} words="play.opt" />
    <${Choice} name="loss" options=${settings.value.problem === "regression" ? ["square"] : ["square", "crossEntropy"]} words="play.loss" />
    <${Choice} name="dropout" options=${[0, 0.1, 0.2, 0.3, 0.5]} />
    <${Choice} name="speed" field="epochs_per_second" options=${[1, 10, 60, 100, 300, 0]} words="play.speed" />
    <div class="play-weights"><button type="button" class="plain" onClick=${() => change({ weight_seed: seed() })}>${t("play.newWeights")}</button>
      <label class="tick" title=${t("play.keep.what")}><input type="checkbox" checked=${keepWeights.value} onChange=${(event) => { keepWeights.value = event.target.checked; }} />${t("play.keep")}</label></div>
  </section>`;
}

function Epoch() {
  const epoch = picture.value?.epoch ?? state.value.epoch;
  return html`<p class="play-epoch"><small>${t("play.epoch")}</small><output data-epoch=${epoch}>${number(epoch)}</output></p>`;
}

export const toggle = () => say({ do: state.value.running ? "pause" : "run" });

/** A dial with few positions; a value of the address that is none of them is one more. */
function Choice({ name, field = name, options, words, also = {} }) {
  if (!shows(name)) return null;
  const value = settings.value[field], all = options.includes(value) ? options : [...options, value];
  const label = (one) => (words && !(typeof one === "number" && one > 0) ? t(`${words}.${one}`) : typeof one === "number" ? number(one, 6) : one);
  return html`<label class="play-dial"><small>${t(`play.${name}`)}</small><select name=${name} value=${String(value)} onChange=${(event) => change({ [field]: all[event.target.selectedIndex], ...also })}>
    ${all.map((one) => html`<option value=${String(one)} selected=${one === value}>${label(one)}</option>`)}</select></label>`;
}
