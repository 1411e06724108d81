"""Word vectors from a text: each word learns to tell the words around it from words drawn at random."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from safetensors.torch import save
from torch import Tensor

from limpid.checkpoint import store
from limpid.checkpoint.shards import read_shards
from limpid.checkpoint.store import CheckpointSection
from limpid.core.errors import Interrupted, LimpidError
from limpid.core.logging import MetricsLog
from limpid.core.paths import RunLock, atomic_write_bytes, atomic_write_text, clean_leftovers, ensure_directory
from limpid.core.recipe import Section
from limpid.core.seeding import integer
from limpid.core.signals import StopRequest
from limpid.data import token_store
from limpid.data.word_batches import WordBatches, word_counts
from limpid.parallel.hardware import peak_rss_bytes
from limpid.stages.corpus import splits, tokenizer_for
from limpid.stages.events import Event, Finished, Saved, Started
from limpid.stages.recipe import DataSection, Recipe
from limpid.stages.sitting import Sitting
from limpid.stages.training_run import claim
from limpid.text.tokenizer import Tokenizer, TokenizerSection
from limpid.training.fit import StepReport
from limpid.training.objectives.skip_gram import skip_gram_loss

Count = Annotated[int, Field(ge=1)]
LOG_EVERY = 100
"""Steps whose mean loss makes one line of the metrics."""


class SkipgramSection(Section):
    """dim: width of the vectors. window: words looked at on each side, at most; as in word2vec nearer ones more often.

    negatives: noise words that count for a pair. shared: how many a batch draws and shares. epochs: passes over the
    text. subsample: the frequency above which a word is thinned out (Mikolov et al. 2013, 2.3; 0: never). words_a_step:
    centre words of a batch. lr: of plain gradient descent on each pair, falling to nothing at the end. seed: of the
    vectors, windows and noise.
    """

    dim: Count = 128
    window: Count = 5
    negatives: Count = 5
    shared: Count = 64
    epochs: Count = 10
    subsample: Annotated[float, Field(ge=0)] = 1e-4
    words_a_step: Count = 256
    lr: Annotated[float, Field(gt=0)] = 0.025
    seed: int = 0


class WordsRecipe(Section):
    """A recipe of word vectors: the text, the words, and how they are learnt."""

    data: DataSection = DataSection()
    tokenizer: TokenizerSection = TokenizerSection(kind="word", vocab_size=20_000)
    skipgram: SkipgramSection = SkipgramSection()
    checkpoint: CheckpointSection = CheckpointSection(every=5000)


def skipgram(recipe: WordsRecipe, out: Path, *, resume: bool = False) -> Iterator[Event]:
    """Learn a vector for every word into ``out``/vectors.safetensors, beside the tokenizer.

    A resumed run ends with the vectors of one that was never stopped: the batches are a function of the step, and
    plain gradient descent remembers nothing but the tables.

    Raises:
        Interrupted: SIGINT or SIGTERM came; everything up to the last finished step is saved.
        LimpidError: ``out`` holds a run and ``resume`` was not asked for, or the text is too short.
    """
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        ensure_directory(out)
        stack.enter_context(RunLock(out))
        clean_leftovers(out)
        clean_leftovers(out / "checkpoints")
        claim("skipgram", recipe, out, resume)
        sitting = stack.enter_context(Sitting(out))
        began = time.perf_counter()
        section = recipe.skipgram
        tokenizer, batches, share_unknown = _prepare(recipe, out)
        steps = section.epochs * batches.steps_an_epoch
        tables, done = _restore(out, tokenizer) if resume else ({}, {})
        if not tables:
            tables = _fresh(tokenizer.vocab_size, section)
        start, before = int(done.get("step", 0)), float(done.get("seconds", 0))
        parameters = sum(table.numel() for table in tables.values())
        sitting.note(steps=steps, parameters=parameters, device="cpu", dtype="float32")
        yield Started("skipgram", start, steps, parameters, "cpu", "float32", False)
        log = stack.enter_context(MetricsLog(out, step=start))
        loss_sum = pairs = 0.0
        recent = float(done.get("loss", 0))
        for step in range(start, steps):
            at = time.perf_counter()
            batch = batches[step]
            rate = section.lr * (1 - step / steps)
            loss, norm = descend(tables, batch.centres, batch.contexts, batch.pairs, batch.noise, section, rate)
            finished = step + 1
            loss_sum, pairs = loss_sum + loss, pairs + len(batch.pairs)
            if finished % LOG_EVERY == 0 or finished == steps:
                recent, loss_sum, pairs = loss_sum / max(1.0, pairs), 0.0, 0.0
                log.write(finished, {"loss": recent, "learning_rate": rate / section.lr})
            mean = loss / max(1, len(batch.pairs))
            seconds = time.perf_counter() - at
            yield StepReport(finished, mean, norm, rate / section.lr, len(batch.centres), seconds)
            stopped, every = stop.code is not None, recipe.checkpoint.every
            if finished == steps or stopped or (every and finished % every == 0):
                state = {"stage": "skipgram", "step": finished, "seconds": before + time.perf_counter() - began,
                         "loss": recent}  # fmt: skip
                path = store.write_tensors(store.checkpoint_path(out, finished), tables, tokenizer, state)
                store.prune(out, recipe.checkpoint.keep, None)
                yield Saved(finished, path)
            if stopped and finished < steps:
                raise Interrupted(
                    f"stopped at step {finished} of {steps}; --resume continues from there.", stop.code or 143
                )
        atomic_write_bytes(out / "vectors.safetensors", save({"embedding": tables["words"]}))
        summary: dict[str, Any] = {
            "stage": "skipgram",
            "steps": steps,
            "seconds": before + time.perf_counter() - began,
            "parameters": parameters,
            "words": tokenizer.vocab_size,
            "dim": section.dim,
            "loss": recent,
            "out_of_vocabulary": share_unknown,
            "measures": {"training nats a pair": {"value": recent}},
            "peak_rss_bytes": peak_rss_bytes(),
        }
        atomic_write_text(out / "summary.json", json.dumps(summary, indent=1))
    yield Finished("skipgram", summary)


def descend(
    tables: dict[str, Tensor],
    centres: Tensor,
    contexts: Tensor,
    pairs: Tensor,
    noise: Tensor,
    section: SkipgramSection,
    rate: float,
) -> tuple[float, float]:
    """One step of gradient descent on the rows that a batch touches; the summed loss in nats, and the gradient's norm.

    The loss is summed over pairs, not averaged: the rate is what one pair moves its vectors by, as in word2vec.
    """
    words, around = tables["words"], tables["around"]
    rows = [words[centres].requires_grad_(), around[contexts].requires_grad_(), around[noise].requires_grad_()]
    loss = skip_gram_loss(rows[0], rows[1], pairs, rows[2], section.negatives)
    gradients = torch.autograd.grad(loss, rows)
    for table, touched, gradient in zip((words, around, around), (centres, contexts, noise), gradients, strict=True):
        table.index_add_(0, touched, gradient, alpha=-rate)
    return float(loss.detach()), float(torch.nn.utils.get_total_norm(gradients))


def _prepare(recipe: WordsRecipe, out: Path) -> tuple[Tokenizer, WordBatches, float]:
    """The tokenizer, the batches, and the share of the text's words that are not in the vocabulary."""
    section = recipe.skipgram
    whole = Recipe(data=recipe.data, tokenizer=recipe.tokenizer)
    tokenizer = tokenizer_for(whole, out / "tokenizer.json")
    file = out / "tokens" / "train.bin"
    if token_store.exists(file, tokenizer):
        text = token_store.open_store(file, tokenizer)
    else:
        text = token_store.write(file, tokenizer, splits(whole)["train"])
    counts = word_counts(text.ids, tokenizer)
    if (counts > 0).sum() < 2:
        raise LimpidError("the text holds fewer than two different words; bring more text.")
    batches = WordBatches(
        text.ids, counts, window=section.window, words=section.words_a_step, noise=section.shared,
        subsample=section.subsample, seed=section.seed,
    )  # fmt: skip
    return tokenizer, batches, tokenizer.out_of_vocabulary(text.ids[:1_000_000].tolist())


def _fresh(words: int, section: SkipgramSection) -> dict[str, Tensor]:
    """Small random vectors of the words, and zeros for the words around, as word2vec begins."""
    draw = torch.Generator().manual_seed(integer(section.seed, "vectors"))
    small = torch.empty(words, section.dim).uniform_(-0.5, 0.5, generator=draw) / section.dim
    return {"words": small, "around": torch.zeros(words, section.dim)}


def _restore(out: Path, tokenizer: Tokenizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tables and the state of the newest checkpoint; both empty where there is none."""
    steps = store.steps_of(out)
    if not steps:
        return {}, {}
    folder = store.checkpoint_path(out, steps[-1])
    store.verify(folder)
    if Tokenizer.load(folder / "tokenizer.json").fingerprint != tokenizer.fingerprint:
        raise LimpidError(f"{folder} was trained with another tokenizer than {out / 'tokenizer.json'}.")
    return read_shards(folder, "model"), store.state_of(folder)
