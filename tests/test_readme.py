"""The commands and the program of the README run as they are written, on small models."""

import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from limpid.data.catalogue import find_entry

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
SMALL = [
    "model.depth=1", "model.d_model=32", "model.head_dim=16", "model.context=32", "train.steps=2",
    "train.tokens_per_step=64", "train.compile=false", "eval.tokens=256", "checkpoint.every=0",
]  # fmt: skip
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def commands(verb: str) -> list[list[str]]:
    """The README's command lines that call ``limpid VERB``, without the path before it and the remark behind."""
    lines = [line.split(" # ")[0].strip() for language, text in BLOCKS if not language for line in text.splitlines()]
    lines = [line for line in lines if "torchrun" not in line]  # in a test of its own
    found = [re.search(rf"(?:\.venv/bin/|-m )limpid ({verb}\b.*)", line) for line in lines]
    return [shlex.split(match[1]) for match in found if match]


def limpid(arguments: list[str], folder: Path, *, before: tuple[str, ...] = (), said: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", *before, *(["-m"] if before else []), "limpid", *arguments],
        cwd=folder, input=said, capture_output=True, text=True, env=ENVIRONMENT, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder with the texts the README speaks of and a small model where it expects the demo's."""
    folder = tmp_path_factory.mktemp("readme")
    draw = random.Random(0)
    words = "once upon a time there was a cat that sat on the mat".split()
    (folder / "my_book.txt").write_text("\n".join(" ".join(draw.choices(words, k=9)) for _ in range(900)))
    (folder / "诗").mkdir()
    lines = [{"text": "".join(draw.choices("春夏秋冬山水风月花鸟雨雪云天", k=24)) + "。"} for _ in range(200)]
    (folder / "诗" / "a.jsonl").write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    limpid(["pretrain", "shakespeare", "data.path=my_book.txt", "--out", "runs/demo", *SMALL], folder)
    return folder


@pytest.mark.parametrize("arguments", [c for c in commands("pretrain") if "data.path" in " ".join(c)], ids=" ".join)
def test_pretraining_on_own_text(workplace, arguments):
    extra = ["tokenizer.kind=char"] if "poems" in arguments else []
    before, after = (arguments[: arguments.index("--out")], arguments[arguments.index("--out") :]) \
        if "--out" in arguments else (arguments, [])  # fmt: skip
    assert "The run is in" in limpid([*before, *SMALL, *extra, *after], workplace)


@pytest.mark.parametrize("arguments", commands("generate"), ids=" ".join)
def test_generating(workplace, arguments):
    asked = ["runs/demo" if a == "runs/mine" else a for a in arguments]
    if "--show-probabilities" in asked:
        assert "%" in limpid([*asked, "--max-tokens", "3"], workplace)
    else:  # what an untrained model says may well be white space; that it said something is in the tokens
        assert json.loads(limpid([*asked, "--max-tokens", "3", "--json"], workplace))["tokens"]


@pytest.mark.parametrize("arguments", commands("chat"), ids=" ".join)
def test_chatting(workplace, arguments):
    assert limpid([*arguments, "--max-tokens", "3"], workplace, said="Hello\n你好\n") is not None


@pytest.mark.parametrize("arguments", commands("inspect"), ids=" ".join)
def test_inspecting(workplace, arguments):
    shown = limpid(arguments, workplace)
    if "--html" in arguments:
        assert "Logit lens" in (workplace / "inside.html").read_text(encoding="utf-8")
    else:
        assert ("shares sum to" if "--attribution" in arguments else "without head:0.0") in shown


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_serving(workplace):
    """The server starts, and the README's curl gets an answer from it."""
    (arguments,) = commands("serve")
    (curl,) = [line for _, text in BLOCKS for line in text.splitlines() if line.startswith("curl")]
    command = [sys.executable, "-m", "limpid", *arguments, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, cwd=workplace, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as server:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())[0]
            asked = shlex.split(curl.replace("http://127.0.0.1:8000", url))
            done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
            assert json.loads(done.stdout)["choices"][0]["message"]["role"] == "assistant"
        finally:
            server.terminate()
    assert server.returncode == 0


@pytest.mark.parametrize("arguments", commands("export"), ids=" ".join)
def test_exporting(workplace, arguments):
    assert "parity passed" in limpid(arguments, workplace)


@pytest.mark.parametrize("arguments", commands("import"), ids=" ".join)
def test_importing(workplace, arguments):
    limpid(["export", "runs/demo", arguments[1], "--to", "hf"], workplace)  # stands for a model from elsewhere
    assert "came in as a llama model" in limpid(arguments, workplace)


def test_classifying(workplace):
    train, predict = commands("classify")
    rows = [f"a {'good' if i % 2 else 'bad'} cat {i},{i % 2}" for i in range(40)]
    (workplace / "my_labels.csv").write_text("\n".join(["review,stars", *rows]) + "\n")
    asked = ["runs/demo" if a == "runs/mine" else a for a in train]
    options = asked.index("--from")
    small = ["classify.epochs=1", "classify.examples_per_step=16"]
    assert "test accuracy" in limpid([*asked[:options], *small, *asked[options:]], workplace)
    assert limpid(predict, workplace).split("\t")[0] in ("0", "1")


def test_several_processes(workplace):
    (line,) = [line for _, text in BLOCKS for line in text.splitlines() if "bin/torchrun" in line]
    words = shlex.split(line)
    arguments = words[words.index("limpid") + 1 :]
    before = ("torch.distributed.run", *words[1 : words.index("-m")])
    out = limpid([*arguments, *SMALL], workplace, before=before)
    assert "The run is in" in out


def test_the_python_program(workplace):
    (program,) = [text for language, text in BLOCKS if language == "python"]
    overrides = {key: value for key, _, value in (assignment.partition("=") for assignment in SMALL)}
    table = {key: json.loads(value) for key, value in overrides.items()}
    given = '{"data.path": "my_book.txt", "optim.lr": 0.01}'
    assert given in program
    program = program.replace(given, repr(json.loads(given) | table))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=workplace, capture_output=True, text=True, env=ENVIRONMENT, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "StepReport(step=2" in done.stdout


def test_every_command_of_the_readme_is_tried_here():
    verbs = (
        "pretrain",
        "generate",
        "chat",
        "serve",
        "inspect",
        "export",
        "import",
        "classify",
        "seq2seq",
        "translate",
        "models",
        "data",
    )
    tried = sum(len(commands(verb)) for verb in verbs)
    written = len(
        re.findall(r"(?:\.venv/bin/|-m )limpid \w", "".join(text for language, text in BLOCKS if not language))
    )
    assert tried + 1 == written >= 8  # that of torchrun is in a test of its own


def test_translation(workplace):
    """The commands one after the other; where the README means Multi30k, these pairs stand for it."""
    pairs = [("the cat sat.", "die Katze saß."), ("a mat was there.", "dort lag eine Matte.")] * 40
    (workplace / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")
    for arguments in commands("seq2seq"):
        at = arguments.index("--out") if "--out" in arguments else len(arguments)
        own = [*SMALL, "tokenizer.kind=char", "seq2seq.path=pairs.tsv"]
        assert "sacrebleu signature" in limpid([*arguments[:at], *own, *arguments[at:]], workplace)
    for arguments in commands("translate"):
        assert "%" in limpid(arguments, workplace)


@pytest.mark.parametrize("arguments", commands("data"), ids=" ".join)
def test_data_sets_are_told_of(workplace, arguments, monkeypatch):
    """Fetching itself is `tests.data.test_catalogue`'s: here the files are there."""
    (layout, *_) = find_entry(arguments[-1]).layouts
    for name in (name for names in layout.values() for name in names):
        (workplace / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (workplace / "data" / name).touch()
    monkeypatch.setitem(ENVIRONMENT, "LIMPID_DATA_DIR", str(workplace / "data"))
    assert "there is nothing to fetch" in limpid(arguments, workplace)


@pytest.mark.parametrize("arguments", commands("models"), ids=" ".join)
def test_models_are_listed(workplace, arguments):
    assert "gpt2-xl" in limpid(arguments, workplace)
