"""TAB: what is offered, by which line; that it is quick; and the scripts in the shells themselves."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from limpid.cli import completion
from limpid.cli.candidates import candidates
from limpid.cli.main import VERBS
from limpid.cli.recipe_keys import recipe_keys
from limpid.core.errors import LimpidError
from limpid.core.recipe import Section, shipped
from limpid.models.registry import FAMILIES
from limpid.stages.recipe import Recipe
from limpid.stages.skipgram import WordsRecipe


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs, a home of its own, and ``limpid`` on the path."""
    for name in ("demo/sft", "mine"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "recipe.toml").touch()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "limpid"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m limpid "$@"\n')
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIMPID_RUNS_DIR", raising=False)
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def offered(line: str) -> list[str]:
    return [found.value for found in candidates(line)]


@pytest.mark.parametrize(("verb", "recipe"), [("pretrain", Recipe), ("skipgram", WordsRecipe)])
def test_the_keys_read_from_the_source_are_those_of_pydantic(verb: str, recipe: type[Section]) -> None:
    sections = {name: field.annotation for name, field in recipe.model_fields.items()}
    known = {f"{name}.{key}" for name, section in sections.items() for key in section.model_fields}
    if "model" in sections:
        known |= {f"model.{key}" for family in FAMILIES.values() for key in family.config.model_fields}
    assert set(recipe_keys(verb)) == known - {"model.vocab_size"}


def test_the_words_of_a_key_are_those_that_its_section_allows() -> None:
    keys = recipe_keys("pretrain")
    assert set(keys["tokenizer.kind"]) == set(get_args(Recipe().tokenizer.__class__.model_fields["kind"].annotation))
    assert keys["classify.pooling"] == get_args(Recipe().classify.__class__.model_fields["pooling"].annotation)
    assert set(keys["model.family"]) == set(FAMILIES)
    assert keys["lora.rank"] == ()


def test_what_is_offered(workplace: Path) -> None:
    assert set(VERBS) <= set(offered("limpid "))
    assert offered("limpid pretr") == ["pretrain"]
    assert offered("limpid pretrain ") == sorted(shipped())
    assert "--resume" in offered("limpid pretrain demo --")
    assert offered("limpid pretrain demo opt") == ["optim."]
    assert offered("limpid pretrain demo optim.lr") == ["optim.lr="]
    assert offered("limpid pretrain demo tokenizer.kind=w") == ["tokenizer.kind=word", "tokenizer.kind=wordpiece"]
    assert offered("limpid data ") == ["fetch", "inspect"]
    assert offered("limpid data inspect demo sft.too_long=") == ["sft.too_long=drop", "sft.too_long=truncate"]
    assert offered("limpid chat ") == ["demo", "demo/sft", "mine", "runs/demo", "runs/demo/sft", "runs/mine"]
    assert offered("limpid sft demo --from runs/m") == ["runs/mine"]
    assert offered("limpid completion ") == ["bash", "fish", "zsh"]


def test_what_the_page_shows_is_offered(workplace: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/completion.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\$ (limpid .*)<TAB> +(.+)$", page, flags=re.MULTILINE)
    assert len(shown) == 4
    for line, words in shown:
        assert [found.rpartition("=")[2] for found in offered(line)] == words.split()


def test_where_nothing_of_limpid_can_stand_files_may(workplace: Path) -> None:
    for line in (
        "limpid compress demo ",
        "limpid pretrain demo --out ",
        "limpid nonsense ",
        "limpid runs demo --json x ",
    ):
        assert offered(line) == []
    assert offered("limpid generate demo --prompt 'half a ") == []


def test_a_tab_loads_no_torch(workplace: Path) -> None:
    program = (
        "import sys; from limpid.cli.completion import answer; answer('limpid pretrain demo model.'); "
        "print(sorted({'torch', 'numpy', 'pydantic'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "model.depth=" in done.stdout
    assert done.stderr.strip() == "[]"


def shell(name: str, program: str) -> list[str]:
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    done = subprocess.run([name, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("limpid pretr", ["pretrain"]),
        ("limpid lesson sof", ["softmax"]),
        ("limpid pretrain demo tokenizer.kind=c", ["char"]),
        ("limpid chat m", ["mine"]),
    ],
)
def test_bash(workplace: Path, line: str, words: list[str]) -> None:
    program = (
        f"compopt() {{ :; }}; {completion.BASH}\n"
        f"COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=(limpid)\n"
        "_limpid; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    assert shell("bash", program) == words


def test_zsh(workplace: Path) -> None:
    """The function as zsh calls it, its builtins replaced by ones that tell."""
    script = completion.ZSH.partition("(( $+functions")[0]
    tell = 'compadd() { print -l "${@:4}" }; _describe() { print -l "${(@)whole}" }; _files() { print files }; '
    tell += "compset() { :; }\n"
    call = 'words=(limpid); LBUFFER="{}"; _limpid\n'
    lines = shell("zsh", tell + script + call.format("limpid pretr") + call.format("limpid pretrain demo optim.lr"))
    assert lines == [f"pretrain:{VERBS['pretrain']}", "optim.lr="]
    assert shell("zsh", tell + script + call.format("limpid compress demo ")) == ["files"]


def test_fish(workplace: Path) -> None:
    program = f"{completion.FISH}\ncomplete -C 'limpid pretr'\ncomplete -C 'limpid pretrain demo optim.lr'"
    (workplace / "my_book.txt").touch()
    for line in ("limpid pretrain demo data.path=my_b", "limpid compress demo my_b"):
        program += f"\ncomplete -C '{line}'"
    found = [line.split("\t")[0] for line in shell("fish", program)]
    assert found == ["pretrain", "optim.lr=", "data.path=my_book.txt", "my_book.txt"]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_installing_twice_is_installing_once(workplace: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", f"/usr/bin/{name}")
    start = workplace / f".{name}rc"
    if name != "fish":
        start.write_text("alias l=ls")
    completion.completion(install=True)
    once = start.read_text() if name != "fish" else ""
    completion.completion(install=True)
    (script,) = [
        path for path in workplace.rglob("*") if path.is_file() and path.parent.name in ("limpid", "completions")
    ]
    assert script.read_text() == completion.SCRIPTS[name]
    if name != "fish":
        assert start.read_text() == once == f'alias l=ls\n[ -f "{script}" ] && . "{script}"\n'


def test_an_unknown_shell_is_refused_with_the_names_of_the_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    with pytest.raises(LimpidError, match=r"'tcsh'.*bash\|zsh\|fish"):
        completion.completion()
