"""A small model from text to an answer: what every stage rests on, tried in a few seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from limpid.checkpoint import store
from limpid.inference.engine import Engine
from limpid.inference.forward import TorchForward
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.models.llama import LlamaConfig
from limpid.models.registry import build
from limpid.parallel.environment import World
from limpid.text.tokenizer import Tokenizer, TokenizerSection, train

Told = Iterator[tuple[str, ...]]
TEXT = "床前明月光，疑是地上霜。举头望明月，低头思故乡。🙂 The cat sat on the mat.\n"
STEPS = 60


@cache
def _trained() -> tuple[Decoder, Tokenizer, list[float]]:
    """A model that has learnt `TEXT` by heart, and the losses on the way."""
    tokenizer = train(TokenizerSection(kind="bpe", vocab_size=320), [TEXT * 8])
    shape = {"d_model": 64, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "head_dim": 16, "d_ff": 128, "context": 128}
    model = build(LlamaConfig.model_validate({"vocab_size": tokenizer.vocab_size, **shape}), seed=0)
    optim = torch.optim.AdamW(model.parameters(), lr=5e-3)
    ids = torch.tensor([tokenizer.end_of_text, *tokenizer.encode(TEXT)])
    losses = []
    for _ in range(STEPS):
        logits = model.head(model(ids[None, :-1]))[0].float()
        loss = torch.nn.functional.cross_entropy(logits, ids[1:])
        optim.zero_grad()
        loss.backward()
        optim.step()
        losses.append(loss.item())
    return model.eval(), tokenizer, losses


def training() -> Told:
    """Whether a loss falls."""
    _, tokenizer, losses = _trained()
    if tokenizer.decode(tokenizer.encode(TEXT)) != TEXT:
        yield "bad", "the tokenizer does not give back the text it was given", "reinstall tokenizers"
    first, last = losses[0], losses[-1]
    if last < 0.2 * first:
        yield "good", f"a small model learns: its loss fell from {first:.2f} to {last:.2f} in {STEPS} steps"
    else:
        yield "bad", f"a small model does not learn: loss {first:.2f} at the start, {last:.2f} after {STEPS} steps"


def answering() -> Told:
    """Whether the engine says what was learnt, and computes what torch computes."""
    model, tokenizer, _ = _trained()
    engine = Engine(inference_copy(model, torch.float32))
    start = tokenizer.encode("床前明月光")
    told = [tokenizer.end_of_text, *start]
    sampling = Sampling(temperature=0, max_tokens=80)
    for events in engine.generate([[tokenizer.end_of_text, *start]], sampling, stop_ids={tokenizer.end_of_text}):
        told += [event.token_id for event in events]
    if TEXT.strip() in tokenizer.decode(told):
        yield "good", "it says what it has learnt, in Chinese, English and emoji"
    else:
        yield "bad", f"it says {tokenizer.decode(told)!r} instead of what it has learnt"
    ids = [tokenizer.end_of_text, *tokenizer.encode(TEXT)][:100]
    theirs = engine.logits(ids)
    engine.forward = TorchForward(engine.model)
    difference = (theirs - engine.logits(ids)).abs().max().item()
    if difference < 1e-3:
        yield "good", f"kernels and torch agree: scores differ by {difference:.0e} at most"
    else:
        yield (
            "bad",
            f"the C kernels compute something else than torch: scores differ by {difference:.2g}",
            "LIMPID_NATIVE=0",
        )


def checkpoints() -> Told:
    """Whether what is saved is what is read."""
    model, tokenizer, _ = _trained()
    world = World(0, 1, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        path = store.checkpoint_path(Path(folder) / "run", 1)
        store.write(path, model, tokenizer, {"stage": "pretrain", "step": 1}, world)
        again = store.read(path).model
    if all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True)):
        yield "good", "a checkpoint is written and read back to the bit"
    else:
        yield "bad", "a checkpoint that was written is not what is read back"
