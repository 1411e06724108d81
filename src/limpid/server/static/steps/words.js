// What a step is called and what is said of it, from what the model's own part is.
import { number, t } from "../lib/i18n.js";
import { digits } from "../lib/format.js";
import { here, trace } from "./state.js";

const kindOf = (step) => step.key.split(".").at(-1);
const branchOf = (step) => (step.key.includes(".") ? step.key.split(".")[0] : "");

/** @param {import("./state.js").Step} step */
export function titleOf(step) {
  const kind = kindOf(step), { how } = step;
  switch (kind) {
    case "norm": return t(`steps.norm.${how.norm}`);
    case "final_norm": return t("steps.title.final_norm", { norm: t(`steps.norm.${how.norm}`) });
    case "neurons": return t(how.activation === "swiglu" ? "steps.title.swiglu" : "steps.title.activation", { name: NAMES[how.activation] ?? how.activation });
    case "position": return t(`steps.title.position.${how.kind}`);
    case "residual": return t(how.norm ? "steps.title.residual_norm" : "steps.title.residual");
    case "heads": return t(branchOf(step) === "cross_attn" ? "steps.title.cross_heads" : "steps.title.heads");
    default: return t(`steps.title.${kind}`);
  }
}
const NAMES = { relu: "ReLU", relu2: "ReLU²", gelu: "GELU", gelu_tanh: "GELU", silu: "SiLU" };

/** A sentence or two, with the model's own sizes. @param {import("./state.js").Step} step */
export function explain(step) {
  const kind = kindOf(step), branch = branchOf(step), { how } = step, { stack, at, head, heads, group, keys, main } = here.value, { vocab_size, d_model, n_layer } = trace.value;
  const d = number(d_model), token = stack.tokens[at];
  switch (kind) {
    case "tokens": return t("steps.what.tokens", { n: stack.tokens.length, v: number(vocab_size) });
    case "embed": return t("steps.what.embed", { id: token.id, d }) + (how.scale !== 1 ? t("steps.what.embedScaled", { scale: digits(how.scale) }) : "");
    case "position": return t(`steps.what.position.${how.kind}`, { at, d });
    case "enter": return t("steps.what.enter") + (how.norm ? t("steps.what.enterNorm", { norm: t(`steps.norm.${how.norm}`) }) : "");
    case "norm": return t(`steps.what.norm.${how.norm}`, { d });
    case "heads": return t(branch === "cross_attn" ? "steps.what.cross_heads" : "steps.what.heads", { d, c: how.head_dim, h: heads });
    case "qk_norm": return t("steps.what.qk_norm", { c: how.head_dim });
    case "turn": return t("steps.what.turn", { at, base: number(how.base), pairs: how.head_dim / 2 });
    case "raw": return t("steps.what.raw", { n: keys.length });
    case "scaled": return t("steps.what.scaled", { c: how.head_dim, root: digits(Math.sqrt(how.head_dim)) });
    case "masked": return t(how.causal ? "steps.what.masked" : branch === "cross_attn" ? "steps.what.unmasked_source" : "steps.what.unmasked");
    case "pattern": return t("steps.what.pattern");
    case "mixed": return t("steps.what.mixed", { c: how.head_dim });
    case "join": return t("steps.what.join", { h: heads, c: how.head_dim, all: heads * how.head_dim, d });
    case "residual": return t(branch === "mlp" ? "steps.what.residual_mlp" : "steps.what.residual") + (how.norm ? t("steps.what.enterNorm", { norm: t(`steps.norm.${how.norm}`) }) : "");
    case "up": return t(how.activation === "swiglu" ? "steps.what.up_gated" : "steps.what.up");
    case "neurons": return t(how.activation === "swiglu" ? "steps.what.swiglu" : "steps.what.activation", { name: NAMES[how.activation] ?? how.activation });
    case "router": return t("steps.what.router", { n: how.experts, k: how.chosen });
    case "experts": return t("steps.what.experts", { k: how.chosen });
    case "lens": return t(trace.value.answers ? "steps.what.lens_classes" : "steps.what.lens", { n: n_layer });
    case "final_norm": return t(main ? "steps.what.final_norm" : "steps.what.memory");
    case "logits": if (trace.value.answers) return t(trace.value.outputs > 1 ? "steps.what.logits_classes" : "steps.what.logits_score", { n: trace.value.outputs, d }); return trace.value.kind === "encoder" ? t("steps.what.logits_encoder", { v: number(vocab_size) }) : t("steps.what.logits", { v: number(vocab_size), d }) + (how.cap ? t("steps.what.capped", { cap: digits(how.cap) }) : "");
    default: return t(`steps.what.${kind}`, { head, group, d });
  }
}
