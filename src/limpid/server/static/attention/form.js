// What is looked at: a model, a text of the reader's own, and of a translator what it is to say.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { assemble } from "../lib/bytes.js";
import { busy, chosen, look, models, trace } from "./store.js";

/** The text of a trace as it was given: control tokens aside. */
function textOf(stack) {
  return assemble(stack.tokens.map((token) => ({ ...token, special: false }))).map((token) => token.text).join("");
}

export function Form() {
  const own = trace.value, { model, ids, text: given, target: said } = chosen.value, facts = own?.facts, translates = facts?.stacks.length === 2;
  const [text, setText] = useState(given ?? ""), [target, setTarget] = useState(said ?? ""), box = useRef(null);
  useEffect(() => {
    if (!facts) return;
    setText(given ?? (own.what.text ?? textOf(own.stack(facts.stacks[0].name))));
    if (translates) setTarget(said ?? textOf(own.stack()));
  }, [facts, given, said]);
  useLayoutEffect(() => { box.current.style.height = "auto"; box.current.style.height = `${Math.min(box.current.scrollHeight + 2, innerHeight * 0.25)}px`; }, [text]);
  const submit = (event) => {
    event?.preventDefault();
    const now = box.current.value;
    if (!now) return;
    const changed = translates && target !== textOf(own.stack()) ? target : "";
    look({ text: now, ids: null, target: changed || null });
  };
  const keys = (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) submit(event);
  };
  const tokens = facts ? own.stack(facts.stacks[0].name).tokens.length : 0;
  return html`<form class="look" onSubmit=${submit}>
    <select aria-label=${t("model")} onChange=${(event) => look({ model: event.target.value, target: null, beside: null })}>${models().map((one) => html`<option value=${one.name} selected=${one.name === (model ?? facts?.model)}>${one.name}</option>`)}</select>
    <textarea id="look-text" ref=${box} rows="1" dir="auto" value=${text} spellcheck=${false} aria-label=${t("attention.yourText")} placeholder=${t("attention.yourText")} onInput=${(event) => setText(event.target.value)} onKeyDown=${keys}></textarea>
    <button type="submit" class="primary" disabled=${!text || busy.value}>${t("open")}</button>
    ${translates && html`<input type="text" class="target" dir="auto" aria-label=${t("attention.says")} placeholder=${t("attention.says")} value=${target} onInput=${(event) => setTarget(event.target.value)} onKeyDown=${keys} />`}
    ${facts && html`<p class="soft count" role="status">${busy.value ? t("attention.busy") : `${t("attention.tokensOf", { n: tokens, context: facts.context })}${ids ? ` ${t("attention.asRead")}` : ""}`}</p>`}
  </form>`;
}
