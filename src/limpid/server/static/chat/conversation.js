// The messages one sees. The view follows the newest words unless the reader has scrolled up.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { setTint, tint } from "../lib/preferences.js";
import { IconButton } from "../parts/icons.js";
import { Answer, Turn } from "./message.js";
import { chat, settings, shape, shownPath, siblings } from "./store.js";
import { answering } from "./talk.js";

const NEAR = 48; // so near to its end, the reader is at the end
const PAGE = 60; // so many messages are drawn at first, and so many more each time the reader comes to the first of them

export function Conversation() {
  const view = useRef(null), inner = useRef(null), at = useRef({ end: true, top: 0 });
  const [away, setAway] = useState(false);
  const whole = shownPath();
  const start = useRef({ chat: "", from: 0 }), [, redraw] = useState(0);
  if (start.current.chat !== chat.value.id) start.current = { chat: chat.value.id, from: Math.max(0, whole.length - PAGE) };
  const from = Math.min(start.current.from, Math.max(0, whole.length - 1));
  const messages = whole.slice(from);
  const earlier = useRef(null), held = useRef(null);
  const more = () => {
    const first = inner.current.querySelector("[data-node]");
    held.current = { first, top: first.getBoundingClientRect().top };
    start.current.from = Math.max(0, from - PAGE);
    redraw(start.current.from);
  };
  useLayoutEffect(() => { // what the reader looks at stays where it is
    if (!held.current) return;
    const { first, top } = held.current;
    held.current = null;
    view.current.scrollTop += first.getBoundingClientRect().top - top;
  }, [from]);
  useEffect(() => {
    if (!earlier.current) return undefined;
    const near = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) more(); }, { root: view.current, rootMargin: "200px" });
    near.observe(earlier.current);
    return () => near.disconnect();
  }, [from, chat.value.id]);
  const toEnd = () => { const box = view.current; if (!box) return; /* the page was left */ box.scrollTop = box.scrollHeight; at.current = { end: true, top: box.scrollTop }; setAway(false); };
  const scrolled = () => {
    const box = view.current;
    if (!box) return;
    const end = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    if (box.scrollTop < at.current.top - 2 && !end) at.current.end = false;
    else if (end) at.current.end = true;
    at.current.top = box.scrollTop;
    setAway(!end);
  };
  useLayoutEffect(toEnd, [chat.value.id]);
  useEffect(() => {
    const grown = new ResizeObserver(() => { if (at.current.end) toEnd(); });
    grown.observe(inner.current);
    return () => grown.disconnect();
  }, []);
  useLayoutEffect(() => { if (messages.at(-1)?.live) toEnd(); }, [messages.length, messages.at(-1)?.id]);
  return html`<div class="stage">
    ${messages.some((one) => one.role === "assistant") && html`<${Legend} />`}
    <div class="scroller" ref=${view} onScroll=${scrolled} tabindex="0" role="region" aria-label=${t("messages")} data-tint=${tint.value}>
      <div class="messages" ref=${inner}>
        ${from > 0 && html`<button type="button" class="plain earlier" ref=${earlier} onClick=${more}>${t("earlierMessages", { n: from })}</button>`}
        ${messages.length ? messages.map((one, place) => html`<${One} key=${one.id} one=${one} last=${place === messages.length - 1} />`) : html`<${Welcome} />`}
      </div>
    </div>
    ${away && html`<${IconButton} name="down" class="to-end" label=${t("toEnd")} onClick=${toEnd} />`}
  </div>`;
}

function One({ one, last }) {
  if (one.role !== "assistant") return html`<${Turn} node=${one} />`;
  const twins = one.about.pair ? siblings(one).filter((other) => other.about.pair === one.about.pair) : [one];
  if (twins.length < 2) return html`<${Answer} node=${one} last=${last} />`;
  return html`<div class="pair">${twins.map((twin) => html`<${Answer} key=${twin.id} node=${twin} last=${last} rivals=${twins} here=${twin === one} />`)}</div>`;
}

const TINTS = ["probability", "entropy", "rank", "off"];
export function Legend() {
  return html`<div class="legend">
    <label><span>${t("tint")}</span><select value=${tint.value} onChange=${(event) => setTint(event.target.value)}>${TINTS.map((name) => html`<option value=${name} selected=${tint.value === name}>${t(`tint.${name}`)}</option>`)}</select></label>
    ${tint.value !== "off" && html`<span class="scale" data-tint=${tint.value}><span>${t(`scale.${tint.value}.low`)}</span><i aria-hidden="true"></i><span>${t(`scale.${tint.value}.high`)}</span></span>`}
    <span class="hint">${t("hint")}</span>
  </div>`;
}

function Welcome() {
  shape.value;
  const one = answering(), raw = settings().mode === "text";
  if (!one) return null;
  const say = (text) => { const box = document.querySelector("#say"); box.value = text; box.dispatchEvent(new Event("input", { bubbles: true })); box.focus(); };
  const tries = raw ? ["try.text1", "try.text2"] : ["try.chat1", "try.chat2", "try.chat3"];
  return html`<div class="welcome">
    <h1>${t(raw ? "welcome.text" : "welcome")}</h1>
    <p>${t(raw ? "welcome.textWhat" : "welcome.what")}</p>
    <ul class="tries">${tries.map((key) => html`<li><button type="button" onClick=${() => say(t(key))}>${t(key)}</button></li>`)}</ul>
  </div>`;
}
