"""Word vectors from a text: each word learns to tell the words around it from words drawn at random."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from safetensors.numpy import save
from torch import nn

from limpid.core.errors import LimpidError
from limpid.core.paths import RunLock, atomic_write_bytes, atomic_write_text, ensure_directory
from limpid.core.recipe import Section, dumps
from limpid.core.seeding import generator
from limpid.data import token_store
from limpid.parallel.hardware import peak_rss_bytes
from limpid.stages.corpus import splits, tokenizer_for
from limpid.stages.events import Event, Finished, Started
from limpid.stages.recipe import DataSection, Recipe
from limpid.text.tokenizer import Tokenizer, TokenizerSection
from limpid.training.fit import StepReport
from limpid.training.objectives.skip_gram import skip_gram_loss

Ids = npt.NDArray[np.int64]
Count = Annotated[int, Field(ge=1)]


class SkipgramSection(Section):
    """dim: width of the vectors. window: words looked at on each side, at most; as in word2vec nearer ones more often.

    negatives: noise words that count for a pair; shared: how many a batch draws and shares. subsample: the frequency
    above which a word is thinned out (Mikolov et al. 2013, 2.3; 0: never). words_a_step: centre words of a batch.
    """

    dim: Count = 128
    window: Count = 5
    negatives: Count = 5
    shared: Count = 256
    epochs: Count = 10
    subsample: Annotated[float, Field(ge=0)] = 1e-4
    words_a_step: Count = 2048
    lr: Annotated[float, Field(gt=0)] = 5e-3
    seed: int = 0


class WordsRecipe(Section):
    """A recipe of word vectors: the text, the words, and how they are learnt."""

    data: DataSection = DataSection()
    tokenizer: TokenizerSection = TokenizerSection(kind="word", vocab_size=20_000)
    skipgram: SkipgramSection = SkipgramSection()


class Neighbourhood(NamedTuple):
    """A batch: centres (W,) ids; contexts (P,) ids; pairs (P,) for each context the place of its centre."""

    centres: Ids
    contexts: Ids
    pairs: Ids


def skipgram(recipe: WordsRecipe, out: Path) -> Iterator[Event]:
    """Learn a vector for every word into ``out``/vectors.safetensors, beside the tokenizer.

    Raises:
        LimpidError: ``out`` holds vectors already, or the text is too short.
    """
    if (out / "vectors.safetensors").exists():
        raise LimpidError(f"{out} already holds word vectors: give another --out, or delete that folder.")
    began = time.perf_counter()
    section = recipe.skipgram
    ensure_directory(out)
    with RunLock(out):
        atomic_write_text(out / "recipe.toml", f"# limpid skipgram\n{dumps(recipe)}")
        whole = Recipe(data=recipe.data, tokenizer=recipe.tokenizer)
        tokenizer = tokenizer_for(whole, out / "tokenizer.json")
        store = token_store.write(out / "tokens" / "train.bin", tokenizer, splits(whole)["train"])
        counts = word_counts(store.ids, tokenizer)
        if (counts > 0).sum() < 2:
            raise LimpidError("the text holds fewer than two different words; bring more text.")
        kept = np.minimum(1, _thinning(counts, section.subsample))
        steps = section.epochs * max(1, round(float((counts * kept).sum()) / section.words_a_step))
        noise = counts**0.75 / (counts**0.75).sum()  # the exponent that word2vec found best
        torch.manual_seed(section.seed)
        words = nn.Embedding(len(counts), section.dim)
        around = nn.Embedding(len(counts), section.dim)
        nn.init.uniform_(words.weight, -0.5 / section.dim, 0.5 / section.dim)
        nn.init.zeros_(around.weight)
        tables = [words.weight, around.weight]
        adam = torch.optim.Adam(tables, lr=section.lr, betas=(0.9, 0.99), fused=True)
        parameters = sum(table.numel() for table in tables)
        yield Started("skipgram", 0, steps, parameters, "cpu", "float32", False)
        step = 0
        loss_sum = pair_sum = 0.0
        for epoch in range(section.epochs):
            text = thinned(store.ids, kept, section.seed, epoch)
            for batch in neighbourhoods(text, section, epoch):
                if step == steps:
                    break
                started = time.perf_counter()
                draw = generator(section.seed, "noise", step)
                drawn = torch.from_numpy(draw.choice(len(noise), size=section.shared, p=noise))
                for group in adam.param_groups:
                    group["lr"] = section.lr * max(0.02, 1 - step / steps)
                loss = skip_gram_loss(
                    words(torch.from_numpy(batch.centres)), around(torch.from_numpy(batch.contexts)),
                    torch.from_numpy(batch.pairs), around(drawn), section.negatives,
                )  # fmt: skip
                adam.zero_grad()
                (loss / len(batch.pairs)).backward()
                norm = float(torch.nn.utils.get_total_norm([t.grad for t in tables if t.grad is not None]))
                adam.step()
                step += 1
                value = float(loss.detach()) / len(batch.pairs)
                loss_sum, pair_sum = loss_sum + value, pair_sum + 1
                seconds = time.perf_counter() - started
                yield StepReport(step, value, norm, 1 - step / steps, len(batch.centres), seconds)
        atomic_write_bytes(out / "vectors.safetensors", save({"embedding": words.weight.detach().numpy()}))
        summary: dict[str, Any] = {
            "stage": "skipgram",
            "steps": step,
            "seconds": time.perf_counter() - began,
            "words": len(counts),
            "dim": section.dim,
            "loss": loss_sum / max(1.0, pair_sum),
            "out_of_vocabulary": tokenizer.out_of_vocabulary(store.ids[:1_000_000].tolist()),
            "measures": {},
            "peak_rss_bytes": peak_rss_bytes(),
        }
        atomic_write_text(out / "summary.json", json.dumps(summary, indent=1))
    yield Finished("skipgram", summary)


def word_counts(ids: npt.NDArray[np.unsignedinteger], tokenizer: Tokenizer) -> npt.NDArray[np.float64]:
    """(V,) how often each word stands in the text; control tokens and the unknown word count as absent."""
    counts = np.bincount(ids, minlength=tokenizer.vocab_size).astype(np.float64)
    counts[list(tokenizer.special_ids)] = 0
    if tokenizer.unknown is not None:
        counts[tokenizer.unknown] = 0
    return counts


def thinned(ids: npt.NDArray[np.unsignedinteger], kept: npt.NDArray[np.float64], seed: int, epoch: int) -> Ids:
    """The text of an epoch: each word stays with its probability, drawn from (seed, epoch)."""
    draw = generator(seed, "thinning", epoch)
    return np.asarray(ids[draw.random(len(ids), dtype=np.float32) < kept[ids]], dtype=np.int64)


def neighbourhoods(text: Ids, section: SkipgramSection, epoch: int) -> Iterator[Neighbourhood]:
    """An epoch's batches, in a random order; a centre word looks at 1 to ``window`` words on each side, at random."""
    begins = np.arange(0, len(text), section.words_a_step)
    for begin in generator(section.seed, "order", epoch).permutation(begins):
        centres = np.arange(begin, min(begin + section.words_a_step, len(text)))
        reach = generator(section.seed, "reach", epoch, int(begin)).integers(1, section.window + 1, size=len(centres))
        pairs, places = [], []
        for offset in [*range(-section.window, 0), *range(1, section.window + 1)]:
            place = centres + offset
            chosen = (abs(offset) <= reach) & (place >= 0) & (place < len(text))
            pairs.append(np.flatnonzero(chosen))
            places.append(place[chosen])
        if sum(map(len, pairs)):
            yield Neighbourhood(text[centres], text[np.concatenate(places)], np.concatenate(pairs))


def _thinning(counts: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.float64]:
    """The probability with which a word stays, sqrt(t / frequency); absent words have none."""
    share = counts / counts.sum()
    stays = np.sqrt(threshold / np.maximum(share, 1e-30)) if threshold else np.ones_like(share)
    return np.where(counts > 0, stays, 0.0)
