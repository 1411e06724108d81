"""Text drawn while it streams is the text drawn at once: random markdown in random pieces, every step against a full
drawing; and every word on the page belongs to the tokens that wrote it."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from tests.server.conftest import Served

PAYLOADS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<b onclick='x()'>bold</b>", "<div>\nblock\n</div>",
    '<a href="javascript:alert(1)">x</a>', "[x](javascript:alert(1))", "<svg/onload=alert(1)>", "<!-- unseen -->",
    "<iframe src='//evil.example'></iframe>", "&lt;b&gt; &amp; &copy; &#65; &#x4e2d; &NotEqualTilde; &unknown; &",
    "<style>*{display:none}</style>", "![alt](http://a.example/x.png)", "![](x.png)", "<details><summary>s</summary>",
    "</div></p>",
]  # fmt: skip
MARKS = [
    "**",
    "*",
    "_",
    "`",
    "~~",
    "[",
    "](",
    "\\",
    "$",
    "|",
    "<",
    "&",
    "#",
    "```",
    "- ",
    "\\(",
    "$$",
    "![",
    "> ",
    "~~~",
]
ODD = ["\r\n", "\r", "\t", "\0", "\x07", "\u200b", "\u202e", "\ufeff", "\u2028", "  \n", "é́", "שלום", "\u00a0"]
CHARACTERS = ["床前明月光，疑是地上霜。", "🙂", "👩‍👩‍👧", "𝔸", "ﬁ", "日本語", "한국", "🇨🇭"]


def markdown(some: random.Random) -> tuple[str, list[str]]:
    """A text, and those of its words that no other place of it spells."""
    words: list[str] = []

    def word() -> str:
        words.append("".join(some.choices("abcde", k=some.randint(4, 6))))
        return words[-1]

    def line(n: int = 4) -> str:
        return " ".join(word() for _ in range(some.randint(1, n)))

    def url() -> str:
        host, place = ("".join(some.choices("abcde", k=k)) for k in (9, some.choice((3, 200))))
        return f"https://{host}.example/{place}"

    def cells(n: int) -> str:
        return "| " + " | ".join(line(2) for _ in range(n)) + " |\n"

    def snippet() -> str:
        fence, name = some.choice(("```", "~~~", "````")), some.choice(("", "py", "c++ x"))
        inner = "\n".join(some.choice(("", "    ", "- ", "# ")) + line() for _ in range(some.randint(0, 4)))
        return some.choice((
            lambda: line(8), lambda: line() + "\n" + line(), lambda: "**" + line() + "** " + line(),
            lambda: f"*{line()}* _{word()}_ ~~{word()}~~ `{line()}` ***{word()}*** `` `{word()}` ``",
            lambda: f"{fence}{name}\n{inner}\n{fence}\n", lambda: f"    {word()}\n    {word()}\n",
            lambda: "".join(f"- {line()}\n" for _ in range(some.randint(1, 4))),
            lambda: f"1. {line()}\n   {line()}\n2. {line()}\n   - {line()}\n     - {line()}\n\n   {line()}\n",
            lambda: f"- [x] {line()}\n- [ ] {line()}\n\n  {fence}\n  {word()}\n  {fence}\n",
            lambda: cells(3) + "|---|:-:|--:|\n" + "".join(cells(some.randint(1, 4)) for _ in range(3)),
            lambda: f"[{line()}]({url()}){word()} {word()}", lambda: f"[{word()}][far] {word()} [far]",
            lambda: f"[far]: {url()} \"{word()}\"\n", lambda: f"{url()} {word()} <{url()}> {word()} www.abc.example.",
            lambda: f"> {line()}\n> {line()}\n>\n> - {line()}\n> - [{word()}]({url()}) {word()}\n",
            lambda: "#" * some.randint(1, 6) + " " + line() + "\n", lambda: f"{line()}\n===\n", lambda: "\n---\n",
            lambda: f"${word()}_{{2}}^3$ {word()} $$\\frac{{1}}{{2}}$$ \\({word()}\\) {word()} $5 and $6",
            lambda: "\\[\n\\sum_i x_i\n\\]\n" + word(), lambda: "".join(some.choices(CHARACTERS, k=3)) + word(),
            lambda: some.choice(PAYLOADS) + word(), lambda: "".join(some.choices(MARKS, k=3)) + word(),
            lambda: "\\*" + word() + "\\_ \\` \\[" + word(), lambda: "".join(some.choices(ODD, k=2)) + word(),
            lambda: f"[![{word()}]({url()})]({url()}) {word()}", lambda: "\n" * some.randint(1, 4) + word(),
        ))()  # fmt: skip

    parts = []
    for _ in range(some.randint(2, 7)):
        part = snippet()
        if some.random() < 0.15:
            part = part[: some.randrange(len(part) + 1)]
        parts.append(part + some.choice(("", " ", "\n", "\n\n", "\n\n", "\n\n")))
    text = "".join(parts)
    return text, [one for one in words if len(re.findall(rf"(?<![a-e]){one}(?![a-e])", text)) == 1]


def tokens(text: str, some: random.Random) -> list[dict[str, Any]]:
    """Its bytes cut anywhere, characters included; now and then bytes of no character, and control tokens."""
    raw, found = text.encode(), list[dict[str, Any]]()
    while raw:
        size = some.choice((1, 1, 2, 3, 4, 5, 8))
        found.append({"bytes": raw[:size].hex()})
        raw = raw[size:]
        if some.random() < 0.02:
            found.append(
                {"bytes": some.choice(("ff", "e5ba", "c0", ""))} | some.choice(({}, {"special": True, "bytes": ""}))
            )
    for at, token in enumerate(found):
        token |= {"logprob": -some.random() * 9, "entropy": some.random(), "rank": some.randint(1, 99), "id": at % 7}
    return found


DRAW = r"""async ({ cases, plain }) => {
  const { LiveText } = await import("/static/chat/text.js");
  const { assemble } = await import("/static/lib/bytes.js");
  const { Token } = await import("/static/lib/packing.js");
  await (await import("/static/lib/tex.js")).katex();
  const ids = [...Array(7).keys()], spellings = Object.fromEntries(ids.map((id) => [id, ["", `<|${id}|>`, 1]]));
  const made = ({ id, bytes, special, logprob, entropy, rank }) =>
    new Token([id, bytes, "", special, logprob, entropy, rank, [id, 0.5, 0.5]], spellings);
  const textOf = (some) => some.map((token) => (token.special ? "" : token.text)).join("");
  const element = () => document.body.appendChild(document.createElement("div"));
  const how = { plain, vocabulary: 300 };
  const written = (box) => { // formulas are drawn when their library is there: what they were made of is compared
    const copy = box.cloneNode(true);
    for (const one of copy.querySelectorAll("code.formula")) {
      one.replaceChildren(one.title || one.textContent);
      one.removeAttribute("title");
      one.removeAttribute("data-drawn");
    }
    return copy.innerHTML;
  };
  let steps = 0, checked = 0, grew = 0;
  for (const { rows, sizes, words, name } of cases) {
    const box = element(), live = new LiveText(box), own = [];
    let content = "", last;
    for (const size of sizes) {
      const from = own.length;
      own.push(...rows.slice(from, from + size).map(made));
      assemble(own, from);
      content += textOf(own.slice(from));
      const open = live.drawn.at(-1)?.box, before = open?.textContent;
      live.update(content, own, how);
      if (open?.isConnected && open.textContent !== before) grew += 1;
      const whole = rows.slice(0, own.length).map(made), beside = element();
      assemble(whole);
      const text = textOf(whole);
      new LiveText(beside).update(text, whole, how);
      steps += 1;
      const [got, wanted] = [written(box), written(beside)];
      if (content !== text || got !== wanted) return { name, steps, text, got, wanted, content };
      if (steps % 3 === 0) await new Promise((done) => setTimeout(done)); // formulas are drawn now
      if (from + size < rows.length) beside.remove(); else last = { beside, whole, text };
    }
    const { beside, whole, text } = last;
    const ends = [];
    for (const token of whole) ends.push((ends.at(-1) ?? 0) + (token.special ? 0 : token.text.length));
    const walker = document.createTreeWalker(beside, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    const owners = [], letters = [];
    while (walker.nextNode()) {
      const one = walker.currentNode, text = one.nodeType === Node.TEXT_NODE;
      if (!text && /^(code|span|a|em|strong|del)$/.test(one.localName)) continue;
      for (const letter of text ? one.data : "\n") {
        letters.push(letter);
        owners.push(text ? one.parentNode.closest("[data-at]")?.dataset.at : null);
      }
    }
    const formulas = Array.from(beside.querySelectorAll(".formula"), (one) => one.title + one.textContent).join(" ");
    for (const word of words) {
      const around = letters.join("").split(new RegExp(`(?<![a-e])${word}(?![a-e])`));
      if (around.length !== 2 || formulas.includes(word)) continue; // not shown, or drawn as a formula
      const at = [...around[0]].length, place = text.search(new RegExp(`(?<![a-e])${word}(?![a-e])`));
      const wanted = Array.from(word, (_, i) => String(ends.findIndex((end) => end > place + i)));
      const got = owners.slice(at, at + word.length);
      checked += 1;
      if (String(got) !== String(wanted)) return { name, steps, text, word, got, wanted };
    }
    box.remove();
    beside.remove();
  }
  return { steps, checked, grew };
}"""


@pytest.mark.parametrize("plain", [False, True])
def test_what_streams_is_drawn_as_at_once(browser: Any, server: Served, plain: bool) -> None:
    page = browser.new_page()
    errors: list[Any] = []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("request", lambda request: request.url.startswith(server.url) or errors.append(request.url))
    page.goto(server.url)
    cases = []
    for seed in range(20 if plain else 80):
        some = random.Random(seed)
        text, words = markdown(some)
        rows = tokens(text, some)
        sizes, left = [], len(rows)
        while left > 0:
            sizes.append(min(left, some.choice((1, 1, 2, 3, 5, 9))))
            left -= sizes[-1]
        cases.append({"name": seed, "rows": rows, "sizes": sizes, "words": words})
    found = page.evaluate(DRAW, {"cases": cases, "plain": plain})
    page.close()
    assert "text" not in found, found
    assert errors == []
    assert found["grew"] > found["steps"] / 5  # else everything was drawn anew, which is not what is tested
    assert plain or found["checked"] > 100
