"""Whatever a page tells its reader to run does run, from top to bottom, on runs of a model that has hardly learnt."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.docs import provisions
from tests.docs.reading import Step, steps, texts
from tests.docs.running import Served, limpid, python, settle, shell
from tests.docs.small import small, small_program

LEFT_OUT = {
    "make demo": "tools/newcomer.py follows it, and tests/stages/test_demo.py runs that line of stages",
    "make install": "tools/newcomer.py follows it",
    "make test": "this is make test",
    "open runs/demo/report.html": "opens a window; only macOS has it",
    "limpid import Qwen/Qwen3-0.6B runs/qwen": "asks the hub: a folder is imported in its stead",
    "pip install 'limpid[gguf]'": "asks a package index",
    'llama-cli -m out/mine/mine-q8_0.gguf -p "Once upon"': "llama.cpp's program",
    "vllm serve out/demo --served-model-name demo": "needs a GPU and vLLM",
}
"""Lines that are not run here, and why."""
PATTERN = re.compile(r"\b(RECIPE|SOURCE|VERB)\b")
"""What a line that shows a form, not a command, has in it."""
STANDS_FOR = {"/models/": "models/"}
"""What pages say of a reader's machine -> what that is here."""
EXPECTED = (
    (r"limpid pretrain ", "The run is in"),
    (r"limpid skipgram ", "The vectors are in"),
    (r"limpid (sft|reward|dpo|grpo|ppo|distill) ", "The run is in"),
    (r"limpid seq2seq ", "sacrebleu signature"),
    (r"limpid classify train ", "test accuracy"),
    (r"limpid classify predict ", "\t"),
    (r"limpid generate .*--show-probabilities", "%"),
    (r"limpid translate .*--show-probabilities", "%"),
    (r"limpid export ", "parity passed"),
    (r"limpid import ", "came in as"),
    (r"limpid inspect .*--attribution", "shares sum to"),
    (r"limpid inspect .*--ablate head:0.0", "without head:0.0"),
    (r"limpid models$", "gpt2-xl"),
    (r"limpid data fetch ", "there is nothing to fetch"),
    (r"limpid doctor", "Nothing is wrong."),
    (r"limpid decompress ", "the same as went in"),
)
"""What some lines must say for their having run to mean something."""
PAGES = texts()
SLOW = {"docs/alignment.md", "docs/comparison.md", "docs/rl.md", "docs/start.md"}
"""Read the whole documentation inside Python, several times."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, and the demo's line of runs: trained once, copied for every page."""
    folder = tmp_path_factory.mktemp("reader")
    settle(folder)
    provisions.texts(folder)
    provisions.line(folder)
    return folder


@pytest.fixture
def workplace(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "reader"))


@pytest.mark.timeout(1200)  # of a whole page
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in PAGES])
def test_what_a_page_tells_to_run_runs(name: str, workplace: Path) -> None:
    provisions.runs(name, workplace)
    server: Served | None = None
    try:
        for step in steps(PAGES[name]):
            if step.text in LEFT_OUT or PATTERN.search(step.text):
                continue
            asked = small(step.text) if step.kind == "shell" else step.text
            for said, stands in STANDS_FOR.items():
                asked = asked.replace(said, stands)
            if re.search(r"\blimpid serve\b", asked):
                if server is not None:
                    server.end()
                server = Served(asked, workplace)
                continue
            if server is not None:
                asked = asked.replace("http://127.0.0.1:8000", server.url)
            check(step, run(step, asked, workplace))
    finally:
        if server is not None:
            server.end()


def run(step: Step, asked: str, workplace: Path) -> str:
    if step.kind == "python":
        return python(small_program(asked), workplace)
    return shell(asked.replace("curl ", "curl --fail-with-body -sS "), workplace, said="Hello\n你好\n")


def check(step: Step, printed: str) -> None:
    for line, wanted in EXPECTED:
        if re.search(line, step.text) and "--help" not in step.text:
            assert wanted in printed, f"{step.text}\n{printed}"


def test_what_is_left_out_is_still_written() -> None:
    written = {step.text for text in PAGES.values() for step in steps(text)}
    assert set(LEFT_OUT) <= written


def test_a_line_that_fails_is_seen(workplace: Path) -> None:
    with pytest.raises(AssertionError, match="there is no run at runs/nowhere"):
        limpid("generate runs/nowhere", workplace)
    with pytest.raises(AssertionError, match="no such thing"):
        shell("limpid models | grep 'no such thing' || { echo no such thing; exit 1; }", workplace)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        python("1 / 0", workplace)
