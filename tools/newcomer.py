"""Follow a README as somebody who has just come: a clean copy, an empty home, each command as it is written.

    python tools/newcomer.py                       # README.md, whole: installs, trains the demo, and more
    python tools/newcomer.py README.zh.md --quick  # two steps of small models wherever something is trained
    python tools/newcomer.py --quick --venv .venv  # with an installation that is there

What the README leaves to its reader (a book, poems, labelled rows, pairs, a model from elsewhere) is made here; data
sets are those of $LIMPID_DATA_DIR, or fetched as the README says. The exit code is 1 if a command failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEPT = (
    *("PATH", "SHELL", "LANG", "LC_ALL", "TERM", "LIMPID_DATA_DIR"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"),
)
SMALL = (
    "model.depth=1 model.d_model=32 model.head_dim=16 model.context=256 train.steps=2 train.tokens_per_step=512 "
    "train.compile=false eval.tokens=256 checkpoint.every=0 tokenizer.kind=char"
)
DEMO = "model.depth=1 train.steps=2 sft.steps=2 sft.conversations=300 reward.pairs=20 reward.sampled=0 grpo.steps=1"
TRAINING = r"limpid (?:pretrain|seq2seq) \S+"


def commands(readme: Path) -> list[str]:
    """The lines of the blocks that name no language, without the remarks behind them."""
    text = readme.read_text(encoding="utf-8")
    blocks = [
        code
        for language, code in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
        if not language
    ]
    lines = [re.split(r"\s+# ", line)[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def provide(folder: Path) -> None:
    """What the README takes for granted of its reader."""
    draw = random.Random(0)
    words = "once upon a time there was a cat that sat on the mat and looked at the moon".split()
    (folder / "my_book.txt").write_text("\n".join(" ".join(draw.choices(words, k=9)) for _ in range(4000)))
    (folder / "诗").mkdir()
    poems = ["".join(draw.choices("春夏秋冬山水风月花鸟雨雪云天", k=24)) + "。" for _ in range(2000)]
    lines = [json.dumps({"text": poem}, ensure_ascii=False) for poem in poems]
    (folder / "诗" / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    rows = [f"a {'good' if i % 2 else 'bad'} film {i},{i % 2}" for i in range(200)]
    (folder / "my_labels.csv").write_text("\n".join(["review,stars", *rows]) + "\n")
    pairs = ["the cat sat.\tdie Katze saß.", "a mat was there.\tdort lag eine Matte."] * 60
    (folder / "pairs.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")


def as_quick(line: str) -> str:
    """The same command on the smallest models."""
    if line == "make demo":
        return f'make demo ARGS="--no-browser {DEMO}"'
    if "limpid classify train" in line:
        return line.replace("--from", "classify.epochs=1 --from")
    return re.sub(TRAINING, lambda match: f"{match[0]} {SMALL}", line)


def follow(line: str, folder: Path, environment: dict[str, str]) -> int:
    """Run one command; its exit code."""
    if line.startswith("open "):  # macOS's; what it opens must be there
        return 0 if (folder / line.split()[1]).exists() else 1
    if "limpid import models/" in line:
        source = line.split()[2]
        export = f".venv/bin/limpid export runs/demo {source} --to hf"
        subprocess.run(export, cwd=folder, env=environment, shell=True, check=True)
    done = subprocess.run(line, cwd=folder, env=environment, shell=True, input="Hello\n", text=True)
    return done.returncode


def serve(line: str, ask: str, folder: Path, environment: dict[str, str]) -> int:
    """Start the server, wait for its address, ask it as the README does, and end it."""
    server = subprocess.Popen(
        f"exec {line} --no-browser", cwd=folder, env=environment, shell=True, text=True, stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        server.stdout.readline()
        return subprocess.run(f"{ask} --fail", cwd=folder, env=environment, shell=True).returncode
    finally:
        server.terminate()
        server.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("readme", nargs="?", default="README.md")
    parser.add_argument("--quick", action="store_true", help="two steps of small models")
    parser.add_argument("--venv", type=Path, help="an installation to use instead of making one")
    chosen = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory(prefix="limpid-newcomer-") as place:
        folder, home = Path(place, "limpid"), Path(place, "home")
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"HOME": str(home)}
        if chosen.venv:
            (folder / ".venv").symlink_to(chosen.venv.resolve())
            environment["PYTHONPATH"] = str(folder / "src")
        provide(folder)
        lines = commands(folder / chosen.readme)
        for place_of, line in enumerate(lines):
            if line == "make test" or line.startswith("curl "):  # CI's matter; asked while the server is there
                continue
            written = as_quick(line) if chosen.quick else line
            if chosen.venv and line == "make demo":
                written = f".venv/bin/limpid demo --no-browser {DEMO if chosen.quick else ''}"
            print(f"\n$ {written}", flush=True)
            begun = time.monotonic()
            if "limpid serve" in line:
                code = serve(written, lines[place_of + 1], folder, environment)
            else:
                code = follow(written, folder, environment)
            print(f"[exit code {code}, {time.monotonic() - begun:.0f} s]", flush=True)
            failed += [line] if code else []
    print(f"\n{len(failed)} of {len(lines)} commands failed", *failed, sep="\n  ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
