"""Tiny tokenizers and models, made here: no test reads the network or a home folder."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from limpid.inference.language_model import LanguageModel
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.models.llama import LlamaConfig
from limpid.models.registry import build
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

torch.set_num_threads(1)

TEXTS = [
    "The cat sat on the mat. The dog sat on the log. What is a cat? A cat is an animal.",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "Smile 🙂 and wave 👋🏽, the family 👨‍👩‍👧 waves back. 12 + 30 = 42\n\n",
] * 4


def pytest_configure() -> None:
    """A shell that starts the tests in its background has Ctrl-C ignored, here and in every process begun here."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, four at most: a browser test is waiting half of its time."""
    return min(4, (os.cpu_count() or 1) + 1)


def settle() -> None:
    """What lives now will live on (modules, fixtures of the session): the collector need not walk it again.

    Stages collect whenever they give memory back, and with all tests imported each time took .2 s.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_finish() -> None:
    settle()


@pytest.fixture(scope="module", autouse=True)
def _settled() -> Iterator[None]:
    yield
    settle()


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Byte-level BPE, 320 tokens: most Chinese characters and emoji are split over several of them."""
    return train(TokenizerSection(kind="bpe", vocab_size=320), TEXTS)


@pytest.fixture(scope="session")
def char_tokenizer() -> Tokenizer:
    return train(TokenizerSection(kind="char"), TEXTS)


def random_llama(seed: int = 0, **changes: object) -> Decoder:
    """A small llama whose every matrix is random: fresh ones start with zeros, which would hide mistakes."""
    shape = {
        "vocab_size": 320, "context": 64, "d_model": 32, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "head_dim": 8,
        "d_ff": 48,
    }  # fmt: skip
    model = build(LlamaConfig.model_validate(shape | changes), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * 0.25 if parameter.dim() > 1 else 1 + 0.2 * noise)
    return model.eval()


@pytest.fixture
def llama() -> Decoder:
    return random_llama()


@pytest.fixture
def lm(tokenizer: Tokenizer) -> LanguageModel:
    return LanguageModel(inference_copy(random_llama(), torch.float32), tokenizer)


@pytest.fixture(scope="session")
def saved_run(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """A run folder with one checkpoint of the tiny model."""
    from limpid.checkpoint import store
    from limpid.parallel.environment import World

    run = tmp_path_factory.mktemp("runs") / "tiny"
    world = World(0, 1, torch.device("cpu"))
    store.write(store.checkpoint_path(run, 7), random_llama(), tokenizer, {"stage": "sft", "step": 7}, world)
    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU is here"))
