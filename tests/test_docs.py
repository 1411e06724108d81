"""What the documentation says is there: pages, anchors, verbs, options, keys, code; and both READMEs say the same."""

import ast
import functools
import os
import re
import shlex
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tools.docs import navigation, pages, recipes
from tools.docs.__main__ import outside_requests, stage

from limpid.cli.main import VERBS, load_verb
from limpid.cli.recipe_keys import recipe_keys
from limpid.core.recipe import Section, shipped
from limpid.models.registry import FAMILIES
from limpid.stages.recipe import Recipe
from limpid.stages.skipgram import WordsRecipe

ROOT = Path(__file__).parents[1]
TEXTS = {f"docs/{name}": text for name, text in pages.written().items()}
TEXTS |= {name: (ROOT / name).read_text(encoding="utf-8") for name in pages.READMES}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
RECIPE_VERBS = {"pretrain", "seq2seq", "sft", "distill", "reward", "dpo", "grpo", "ppo", "skipgram", "demo", "classify"}


def anchors(text: str) -> set[str]:
    """The anchors that a code host gives the headings of a page."""
    prose = FENCE.sub("", text)
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose, flags=re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        names.add(f"{plain}-{found[plain]}" if plain in found else plain)
        found[plain] = found.get(plain, 0) + 1
    return names | set(re.findall(r'<a (?:name|id)="([^"]+)"', prose))


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    """On a code host; in the site the strict build follows them, as the next test does."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", TEXTS[name])):
        if re.match(r"[a-z]+:", target):
            continue
        address, _, anchor = target.partition("#")
        place = os.path.normpath(Path(name).parent / address) if address else name
        if place.startswith("docs/reference/"):  # made from the code
            assert place.removeprefix("docs/") in SITE(), f"{name}: {target}"
            continue
        assert (ROOT / place).exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(TEXTS[place]), f"{name}: {target}"


@functools.cache
def SITE() -> dict[str, str]:
    return pages.of_site()


def test_every_page_has_one_place_in_the_navigation() -> None:
    sections = navigation.read(ROOT / "docs/navigation.toml", SITE())
    placed = [page for _, names in sections for page in names]
    assert sorted(placed) == sorted(SITE())


def test_a_page_without_a_place_and_one_with_two_are_refused(tmp_path: Path) -> None:
    order = tmp_path / "navigation.toml"
    order.write_text('[[section]]\ntitle = "A"\npages = ["a.md", "x/*.md"]\n')
    with pytest.raises(ValueError, match=r"in no section: b\.md"):
        navigation.read(order, {"a.md": "# A", "b.md": "# B"})
    assert navigation.read(order, {"a.md": "# A", "x/q.md": "# Z", "x/r.md": "# B"}) == [
        ("A", ["a.md", "x/r.md", "x/q.md"])
    ]
    in_order = {"a.md": "# A", "x/index.md": "# I\n\n[Z](q.md) [B](r.md)", "x/q.md": "# Z", "x/r.md": "# B"}
    assert navigation.read(order, in_order) == [("A", ["a.md", "x/q.md", "x/r.md", "x/index.md"])]
    order.write_text('[[section]]\ntitle = "A"\npages = ["a.md", "a.md"]\n')
    with pytest.raises(ValueError, match=r"in two sections: a\.md"):
        navigation.read(order, {"a.md": "# A"})


def test_the_site_builds_without_a_warning_and_asks_no_other_machine(tmp_path: Path) -> None:
    config = stage(tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(config)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    built = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    assert {name.removesuffix(".md") + ".html" for name in SITE()} <= built
    assert outside_requests(tmp_path / "site") == []


def test_a_request_to_elsewhere_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="https://a.org">fine</a><script src="https://b.org/x.js"></script>')
    assert outside_requests(tmp_path) == ['a.html: <script src="https://b.org/x.js']


CODE = [(name, code) for name, text in TEXTS.items() for language, code in FENCE.findall(text) if language == "python"]


@pytest.mark.parametrize(("name", "code"), CODE, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CODE)])
def test_python_in_pages_compiles(name: str, code: str) -> None:
    """Those of pages run in tests/docs, those of lessons in tests/lessons."""
    ast.parse(code)


def commands(text: str) -> Iterator[str]:
    """The calls of limpid on a page: in blocks, set in by four spaces, and in the prose; lines that go on joined."""
    blocks = [code for language, code in FENCE.findall(text) if language in ("", "sh", "bash", "console")]
    blocks += re.findall(r"^ {4}(limpid .*)$", FENCE.sub("", text), flags=re.MULTILINE)
    blocks += re.findall(r"`(limpid [a-z][^`]*)`", FENCE.sub("", text))
    for line in "\n".join(blocks).replace("\\\n", " ").replace("·", "\n").splitlines():
        found = re.search(r"(?:^|/|-m |\$ |\| )limpid ([a-z].*)$", line.strip())
        if found:
            yield re.split(r" {2,}#| # ", found[1])[0]


COMMANDS = [(name, line) for name, text in TEXTS.items() for line in commands(text)]


@pytest.mark.parametrize(("name", "line"), COMMANDS, ids=[f"{name}: {line}" for name, line in COMMANDS])
def test_commands_name_verbs_options_and_keys_that_exist(name: str, line: str) -> None:
    words = shlex.split(line.split(" | ")[0].split(" > ")[0].split(" && ")[0].rstrip("&"))
    verb, rest = words[0], words[1:]
    if verb.isupper() or verb == "...":  # a pattern: limpid VERB
        return
    assert verb in VERBS, f"{name}: limpid {line}"
    command: Any = load_verb(verb)
    while below := getattr(command, "commands", None):
        if not rest or rest[0] not in below:
            break
        command, rest = below[rest[0]], rest[1:]
    spelled = {"--help": None} | {s: p for p in command.params for s in (*p.opts, *p.secondary_opts)}
    for word in rest:
        option, key = word.partition("=")[0], re.match(r"([a-z0-9_]+\.[a-z0-9_]+)=", word)
        if word.startswith("--"):
            assert option in spelled, f"{name}: limpid {verb} has no {option}: {line}"
        elif key and verb in RECIPE_VERBS | {"data", "tokenize"}:
            assert key[1] in recipe_keys(verb), f"{name}: no recipe has the key {key[1]}: {line}"
    if verb in RECIPE_VERBS - {"demo", "classify"} and rest and re.fullmatch(r"[a-z][a-z0-9-]*", rest[0]):
        assert rest[0] in shipped(), f"{name}: no recipe is called {rest[0]}"


def test_the_commands_of_pages_are_found() -> None:
    assert len(COMMANDS) > 100
    assert list(commands("```\n.venv/bin/limpid chat runs/demo   # talk\n```\n")) == ["chat runs/demo"]


def blocks(text: str) -> list[str]:
    """Code blocks without their remarks."""
    return [
        re.sub(r"[ \t]+# .*$", "", code, flags=re.MULTILINE) if language != "text" else code
        for language, code in FENCE.findall(text)
    ]


TRANSLATED = sorted(name for name in TEXTS if name.endswith(".zh.md") and "/lessons/" not in name)


@pytest.mark.parametrize("name", TRANSLATED)
def test_both_languages_have_the_same_code_links_and_figures(name: str) -> None:
    english, chinese = TEXTS[name.replace(".zh.md", ".md")], TEXTS[name]
    assert blocks(english) == blocks(chinese)
    inline = [sorted(set(re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))) for text in (english, chinese)]
    assert inline[0] == inline[1]
    assert figures(english) == figures(chinese)
    own = {Path(name).name, Path(name).name.replace(".zh.md", ".md")}
    folder = (ROOT / name).parent
    assert linked(chinese) - own == {in_chinese(link, folder) for link in linked(english)} - own


def test_the_pages_that_are_compared_are_found() -> None:
    assert len(blocks(TEXTS["README.md"])) > 10
    assert {"README.zh.md", "docs/start.zh.md", "docs/own-text.zh.md", "docs/chinese.zh.md"} <= set(TRANSLATED)


def linked(text: str) -> set[str]:
    """The pages of ours that a page leads to, anchors left out."""
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#\s]+\.md)", FENCE.sub("", text))
    return {link for link in links if "README" not in link}


def in_chinese(link: str, folder: Path) -> str:
    """The Chinese page that a link stands for, where there is one."""
    twin = link.replace(".md", ".zh.md")
    return twin if (folder / twin).exists() else link


def figures(text: str) -> list[str]:
    """The numbers of the prose, code and the marks of lists left out; the commit's name and 2017 among them."""
    prose = re.sub(r"`[^`]*`|\([^)\s]*\)|^\d+\. ", "", FENCE.sub("", text), flags=re.MULTILINE)
    return sorted(found.rstrip(".,") for found in re.findall(r"(?<![\w.-])[+-]?\d[\d,.]*%?", prose, flags=re.ASCII))


@pytest.mark.parametrize("name", sorted(name for name in TEXTS if name.endswith(".zh.md")))
def test_pages_of_two_languages_lead_to_each_other(name: str) -> None:
    twin = name.replace(".zh.md", ".md")
    assert f"({Path(twin).name})" in TEXTS[name]
    assert f"({Path(name).name})" in TEXTS[twin]


def test_the_reference_names_every_verb_and_section() -> None:
    reference = pages.generated()
    assert all(f"## limpid {verb}\n" in reference["reference/cli.md"] for verb in VERBS)
    assert "`--no-browser`" in reference["reference/cli.md"]
    assert "| `optim.lr` |" in reference["reference/keys.md"]
    assert "### LanguageModel.trace" in reference["reference/python.md"]
    assert all(f"## {name}\n" in reference["reference/recipes.md"] for name in shipped())


KEYS = recipes.sections_of_the_page()


@pytest.mark.parametrize(("name", "section"), KEYS.items(), ids=KEYS)
def test_every_key_of_a_recipe_is_described(name: str, section: type[Section]) -> None:
    _, said = recipes.described(section)
    assert [key for key in section.model_fields if key not in recipes.OF_NO_FAMILY | said.keys()] == []


def test_every_section_that_a_recipe_may_have_is_on_the_page_of_keys() -> None:
    """Those of both kinds of recipe, and whatever tables stand inside their keys."""
    reached, left = set[type[Section]](), [Recipe, WordsRecipe, *(family.config for family in FAMILIES.values())]
    while left:
        section = left.pop()
        inner = {part for field in section.model_fields.values() for part in sections_in(field.annotation)}
        left += inner - reached
        reached |= inner
    families = {family.config for family in FAMILIES.values()}
    assert reached | families == set(KEYS.values())
    page = recipes.keys_page()
    assert all(f"`{key}`" in page for key in recipe_keys("pretrain") | recipe_keys("skipgram"))


def sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in typing.get_args(annotation):
        yield from sections_in(part)


def test_a_key_without_a_description_would_be_seen() -> None:
    class Made(Section):
        """told: what it is. also: this."""

        told: int = 0
        also: int = 0
        untold: int = 0

    assert recipes.described(Made)[1] == {"told": "what it is.", "also": "this."}
