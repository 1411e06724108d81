"""What the pages take for granted of their reader: texts, rows, recipes, and runs of a model that has hardly learnt."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable
from pathlib import Path

import sentencepiece
from tests.docs.reading import steps
from tests.docs.running import limpid, shell
from tests.docs.small import GRPO, REWARD, SFT, TRAIN, small
from tools.docs import pages
from tools.newcomer import provide

WORDS = "cat dog car king queen man woman mat moon sun river stone the a and sat ran looked on at".split()
CHINESE = "我 你 他 在 是 的 北京 上海 喜欢 机器 学习 今天 天气 很好 城市 朋友".split()
QUESTIONS = ["What does dedent do?", "Who are you?", "What is 17 + 25?", "你好"]


def texts(folder: Path) -> None:
    """Files that no run is needed for."""
    provide(folder)
    draw = random.Random(1)
    prose = "\n".join(" ".join(draw.choices(WORDS, k=12)) + "." for _ in range(900)) + "\n"
    chinese = "\n".join("".join(draw.choices(CHINESE, k=9)) + "。" for _ in range(600)) + "\n"
    for name, text in (("book.txt", prose), ("prose_zh.txt", chinese)):
        (folder / name).write_text(text, encoding="utf-8")
    turns = [{"messages": [_said("user", QUESTIONS[i % 4]), _said("assistant", f"It is {i}.")]} for i in range(60)]
    rows(folder / "chat.jsonl", turns)
    rows(folder / "mine.jsonl", turns)
    rows(folder / "more.jsonl", ({"text": line} for line in prose.splitlines()))
    rows(folder / "articles" / "a.jsonl", ({"body": line} for line in prose.splitlines()))
    rows(folder / "ask.jsonl", ({"prompt": f"{QUESTIONS[i % 4]} ({i})"} for i in range(40)))
    rows(folder / "pairs.jsonl", ({"prompt": f"Is {i} odd?", "chosen": f"{i}", "rejected": "No."} for i in range(80)))
    for name in ("train", "test"):
        sums = ({"question": f"What is {i} + 1?", "answer": f"{i} + 1 = {i + 1}\n#### {i + 1}"} for i in range(12))
        rows(folder / "gsm8k" / f"{name}.jsonl", sums)
    (reward,) = (step.text for step in steps((pages.ROOT / "docs/own-reward.md").read_text()) if step.kind == "python")
    (folder / "polite.py").write_text(reward)
    recipe = (
        '[data]\npath = "book.txt"\n[tokenizer]\nvocab_size = 300\n[model]\ndepth = 3\n[sft]\npath = "chat.jsonl"\n'
    )
    for name in ("my.toml", "my-chat.toml", "small.toml"):
        (folder / name).write_text(recipe)
    (folder / "llama").mkdir()
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "book.txt"), model_prefix=str(folder / "llama/tokenizer"), vocab_size=40, minloglevel=2
    )
    _catalogue(folder / "data", prose, draw)


def _catalogue(data: Path, prose: str, draw: random.Random) -> None:
    """Small files where the named data sets would lie."""
    poems = ["".join(draw.choices("春夏秋冬山水风月花鸟雨雪云天", k=24)) + "。" for _ in range(300)]
    for name in ("tang_train.tsv", "tang_val.tsv"):
        (data / "chinese_poetry").mkdir(parents=True, exist_ok=True)
        lines = ["title\tauthor\ttext", *(f"诗{i}\t人\t{poem}" for i, poem in enumerate(poems))]
        (data / "chinese_poetry" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows(data / "chinese_poetry/tang300.jsonl", ({"title": "诗", "author": "人", "text": poem} for poem in poems[:20]))
    (data / "tinyshakespeare").mkdir()
    (data / "tinyshakespeare/input.txt").write_text(prose)
    (data / "multi30k_en_de").mkdir()
    for split in ("train", "val", "test_2016_flickr"):
        for language, line in (("en", "the cat sat."), ("de", "die Katze saß.")):
            (data / "multi30k_en_de" / f"{split}.{language}").write_text(f"{line}\n" * 60, encoding="utf-8")
    (data / "word_analogy").mkdir()
    (data / "word_analogy/questions-words.txt").write_text(": family\nman king woman queen\ncat dog car mat\n")


def line(folder: Path) -> None:
    """The demo's line of runs, each stage of it real and short."""
    rewards = 'grpo.rewards=[{function="length",options={words=3}}]'
    limpid(f"pretrain demo data.path=book.txt {TRAIN} tokenizer.vocab_size=320", folder)
    limpid(f"sft demo sft.path=chat.jsonl {SFT}", folder)
    limpid(f"reward demo reward.path=pairs.jsonl {REWARD}", folder)
    limpid(f"grpo demo grpo.path=ask.jsonl {GRPO} grpo.demonstrations=0 '{rewards}'", folder)


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def rows(path: Path, values: Iterable[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8")


def runs(page: str, folder: Path) -> None:
    """The runs that a page speaks of and has not made itself, all of them copies of the demo's."""
    for name, source in RUNS.get(page, {}).items():
        shutil.copytree(folder / "runs/demo" / source, folder / name)
    if page in ("README.md", "docs/exporting.md"):
        limpid("export runs/demo models/Qwen3-0.6B --to hf", folder)
    if page == "docs/serving.md":
        shell(small("limpid seq2seq translate-en-de-tiny seq2seq.path=pairs.tsv --out runs/translate"), folder)


RUNS = {
    "docs/alignment.md": {"runs/judge": "reward"},
    "docs/comparison.md": {"SFT": "sft", "PRETRAINED": "pretrain", "REWARD": "reward"},
    "docs/exporting.md": {"runs/mine": "pretrain"},
    "docs/fine-tuning.md": {
        "runs/my-chat/pretrain": "pretrain", "runs/qwen": "pretrain", "runs/large": "sft", "runs/small/sft": "sft",
    },
    "docs/rl.md": {"runs/my/sft": "sft"},
}  # fmt: skip
"""Page -> where a run must lie -> the stage of the demo's line that stands for it."""
