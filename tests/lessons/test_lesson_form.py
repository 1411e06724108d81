"""The form of all lessons: read, given values, run, shown on a terminal, in a notebook and in the documentation."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import nbclient
import nbformat
import pytest
from tests.lessons.conftest import numbers_in, ran
from tools.lessons import FOLDER, contents, pages

from limpid.core.errors import LimpidError
from limpid.lessons import draw
from limpid.lessons.book import NAMES, find
from limpid.lessons.lesson import SCRIPTS
from limpid.lessons.notebook import notebook
from limpid.lessons.running import Outcome, run


def test_every_script_is_in_the_book() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_are_whole(name: str) -> None:
    lesson = find(name)
    for text in (lesson.title, lesson.summary, *(s.title for s in lesson.steps), *(s.prose for s in lesson.steps)):
        assert text.en, text
        assert text.zh, text
        assert not re.search(r"[\u3400-\u9fff]", re.sub(r"`[^`]*`|\"[^\"]*\"|“[^”]*”", "", text.en)), text.en
    chinese = "".join(s.prose.zh for s in lesson.steps)
    assert sum(unicodedata.name(c, "").startswith("CJK") for c in chinese) > 100
    assert all(one.en and one.zh for one in lesson.inputs.values())
    assert "# in:" not in lesson.program()


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_in_ten_seconds(name: str) -> None:
    done, seconds = ran(name)
    assert len(done) == len(find(name).steps)
    assert not any(outcome.fault for outcome in done)
    assert seconds <= 10


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_is_what_the_lesson_is(name: str, outcomes: Callable[[str], list[Outcome]]) -> None:
    """Prose and code to the letter. Numbers that another processor rounds otherwise may differ in their last digits."""
    for path, wanted in pages(find(name), outcomes(name)).items():
        found = (FOLDER / path).read_text(encoding="utf-8")
        if path.endswith(".svg"):
            continue  # the same numbers as a picture
        assert _words(found) == _words(wanted), f"python tools/lessons.py {name}"
        assert numbers_in(found) == pytest.approx(numbers_in(wanted), abs=0.03, rel=0.03)


def _words(text: str) -> str:
    return re.sub(r"[-−]?\d[\d,.]*(e[+-]?\d+)?| +", "", text)


@pytest.mark.parametrize("path", [f"{name}{mark}.md" for name in NAMES for mark in ("", ".zh")])
def test_the_lines_of_its_pages_run_this_very_lesson(path: str) -> None:
    """So that running them once more would tell nothing: the values that a page gives are those of the script."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", (FOLDER / path).read_text(encoding="utf-8"), flags=re.M | re.S)
    for line in block.splitlines():
        program, verb, name, *rest = shlex.split(line, comments=True)
        assert (program, verb, f"{name}.md") == ("limpid", "lesson", path.replace(".zh", ""))
        assert rest[:2] == (["--lang", "zh"] if ".zh" in path else rest[:2])
        values = dict(word.split("=", 1) for word in rest if "=" in word)
        programs = (find(name).given(values).program(), find(name).program())
        assert len({ast.dump(ast.parse(program)) for program in programs}) == 1


@pytest.mark.parametrize(("path", "language"), [("index.md", "en"), ("index.zh.md", "zh")])
def test_the_contents_are_written(path: str, language: str) -> None:
    assert (FOLDER / path).read_text(encoding="utf-8") == contents(language)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_valid_notebook(name: str) -> None:
    for language in ("en", "zh"):
        book = nbformat.reads(notebook(find(name), language), as_version=4)
        nbformat.validate(book)
        assert book.cells[0].source.startswith(f"# {find(name).title.of(language)}")
        assert "\n\n".join(c.source for c in book.cells if c.cell_type == "code") + "\n" == find(name).program()


def test_a_notebook_prints_what_the_lesson_prints(outcomes: Callable[[str], list[Outcome]]) -> None:
    book = nbformat.reads(notebook(find("softmax"), "en"), as_version=4)
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    cells = [c for c in book.cells if c.cell_type == "code"]
    for cell, outcome in zip(cells, outcomes("softmax"), strict=True):
        assert "".join(out.text for out in cell.outputs if out.output_type == "stream") == outcome.output
        svgs = [out.data["image/svg+xml"] for out in cell.outputs if out.output_type == "display_data"]
        assert len(svgs) == len(outcome.pictures)
        assert all("<svg" in one for one in svgs)


def test_a_copied_program_runs_as_it_stands(tmp_path: Path, outcomes: Callable[[str], list[Outcome]]) -> None:
    (tmp_path / "copied.py").write_text(find("softmax").program(until=1), encoding="utf-8")
    done = subprocess.run([sys.executable, "copied.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    for outcome in outcomes("softmax")[:2]:
        assert outcome.output in done.stdout
    assert "█" in done.stdout  # the picture


def test_own_values_stand_in_the_code() -> None:
    lesson = find("softmax").given({"logits": "[1, 1]", "temperature": 2})
    assert "logits = [1.0, 1.0]\n" in lesson.program()
    assert "temperature = 2.0\n" in lesson.program()
    first = next(run(find("softmax"), {"logits": [1, 1]}))
    assert numbers_in(first.output) == [0.5, 0.5, 1.0]


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("softmax", {"logit": "1"}, "Did you mean 'logits'?"),
        ("softmax", {"logits": "[1]"}, "'logits' has 2 to 12 numbers, not 1."),
        ("softmax", {"logits": "[1, 2"}, "is a list of numbers"),
        ("softmax", {"logits": [1, "a"]}, "is a list of numbers"),
        ("softmax", {"logits": [1, True]}, "is a list of numbers"),
        ("softmax", {"logits": [1, float("nan")]}, "is a list of numbers"),
        ("softmax", {"logits": [1, 1e9]}, "lies between -1000 and 1000"),
        ("softmax", {"temperature": "__import__('os')"}, "is a number"),
        ("softmax", {"temperature": 0}, "lies between 0.05 and 10"),
        ("attention", {"X": [[1, 2, 3]]}, "'X' has 3 rows, not 1."),
        ("attention", {"X": [[1, 2], [1, 2], [1, 2]]}, "has rows of 4 numbers"),
    ],
)
def test_values_that_are_none_are_refused(name: str, values: dict[str, object], says: str) -> None:
    with pytest.raises(LimpidError, match=re.escape(says)):
        find(name).given(values)


def test_an_unknown_lesson_names_the_nearest() -> None:
    with pytest.raises(LimpidError, match="Did you mean 'softmax'"):
        find("sofmax")
    with pytest.raises(LimpidError):
        find("../softmax")


@pytest.mark.parametrize("values", [[0.5, -1.0], [float("-inf"), 2.0], [0.0, 0.0]])
def test_pictures_of_any_numbers(values: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with draw.keeping() as kept:
        draw.matrix([values], ["<a>"], ["x", "y"])
        if values[0] > -9:
            draw.bars(["<a>", "b"], values)
            draw.curves([1, 2], {"<a>": values})
    assert all("&lt;a&gt;" in one._repr_svg_() for one in kept)
    assert all(json.dumps(one._asdict()) for one in kept)
    draw.matrix([values])
    assert capsys.readouterr().out


def test_a_value_that_is_nested_too_deep_is_told() -> None:
    with pytest.raises(LimpidError, match="'scores' is a list of numbers"):
        find("cross-entropy").given({"scores": "[" * 20_000})
