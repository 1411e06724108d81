"""A tiny recipe on a tiny text, for tests of whole stages."""

import random
from pathlib import Path

import pytest

from limpid.core.recipe import parse
from limpid.stages.recipe import Recipe

WORDS = "the cat sat on a mat and saw that it was good 猫 坐 在 垫子 上 😀".split()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    draw = random.Random(0)
    lines = [" ".join(draw.choices(WORDS, k=12)) + "." for _ in range(600)]
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def tiny_table(corpus: Path) -> dict:
    return {
        "data": {"path": str(corpus)},
        "tokenizer": {"kind": "char"},
        "model": {"depth": 1, "d_model": 32, "head_dim": 16, "context": 32, "dropout": 0.1},
        "train": {"steps": 8, "tokens_per_step": 256, "micro_tokens": 128, "dtype": "float32", "compile": False},
        "eval": {"every": 4, "tokens": 512},
        "checkpoint": {"every": 2, "keep": 10},
    }


@pytest.fixture
def tiny_recipe(tiny_table: dict) -> Recipe:
    return parse(Recipe, tiny_table, "tiny")
