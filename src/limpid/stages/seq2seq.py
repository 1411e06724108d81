"""Translation: an encoder-decoder learns from sentence pairs, and is measured by BLEU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limpid.checkpoint import store
from limpid.checkpoint.shards import read_shards
from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_write_text
from limpid.data.pair_batches import EncodedPairs, PairBatches, encode_pairs, in_order
from limpid.data.pairs import Pair, pair_splits
from limpid.evaluation.translation import bleu, mean_nats
from limpid.inference.translator import Translator
from limpid.inference.weights import inference_copy
from limpid.models.count import matmul_parameters
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.registry import build
from limpid.parallel.environment import World, pick_device
from limpid.parallel.hardware import compute_dtype, keep_memory, release_memory
from limpid.stages.events import Event
from limpid.stages.load import BEST
from limpid.stages.recipe import Recipe
from limpid.stages.training_run import Job, prepare_model, train_stage
from limpid.text.tokenizer import Tokenizer, train
from limpid.training.objectives.translation import Translation
from limpid.training.optim import build_optimizers
from limpid.training.schedule import factor


def seq2seq(recipe: Recipe, out: Path, world: World, *, resume: bool = False) -> Iterator[Event]:
    """Train the recipe's encoder-decoder on its sentence pairs in ``out``, yielding what happens.

    One vocabulary is learnt from both sides. At the end the last weights, those of the best validation likelihood and
    the mean of the last ``seq2seq.average`` checkpoints are compared by validation BLEU; the winner is written to
    ``out``/best and translates the test pairs.
    """
    settings = recipe.seq2seq

    def prepare(folder: Path) -> Job:
        splits = pair_splits(
            settings.path, settings.validation, settings.test,
            source_key=settings.source_key, target_key=settings.target_key,
        )  # fmt: skip
        if world.leads:  # one process makes the file, the others open it
            _tokenizer(recipe, folder / "tokenizer.json", splits)
        world.wait()
        tokenizer = _tokenizer(recipe, folder / "tokenizer.json", splits)
        config = recipe.model.config(tokenizer.vocab_size, EncoderDecoder)
        end = tokenizer.end_of_text
        pairs = encode_pairs(splits["train"](), tokenizer, end, config.context)
        held_out = encode_pairs(splits["validation"](), tokenizer, end, config.context)
        if not held_out.source.size:
            raise LimpidError("no validation pair fits model.context; give seq2seq.validation= or a larger context.")
        batches = PairBatches(pairs, recipe.train.tokens_per_step, recipe.train.seed, end, end, world.size)
        model = build(config, seed=recipe.train.seed)
        steps = recipe.train.steps or _steps(model, pairs, batches)
        model, _ = prepare_model(model, recipe, world, steps, dynamic=True, fresh=True)
        dtype = compute_dtype(recipe.train.dtype, world.device)
        shown = next(splits["validation"]())

        def measure() -> dict[str, float]:
            return {"validation_nats": mean_nats(model, in_order(held_out, 4096, end, end), dtype)}

        def sample() -> tuple[str, str]:
            copy = inference_copy(model, torch.float32)
            return shown.source, Translator(copy, tokenizer).translate([shown.source], beam=1)[0].text

        def conclude() -> dict[str, Any]:
            release_memory()
            validation, test = list(splits["validation"]()), list(splits["test"]())
            return _conclude(recipe, folder, model, tokenizer, world, validation, test)

        return Job(
            model=model,
            tokenizer=tokenizer,
            objective=Translation(dtype, settings.label_smoothing),
            batches=batches,
            optimizers=build_optimizers(model, recipe.optim, config.d_model, dtype),
            steps=steps,
            schedule=factor(recipe.schedule, steps),
            micro_rows=lambda batch: max(1, recipe.train.micro_tokens // batch.inputs.shape[1]),
            measure=measure,
            lower_is_better="validation_nats",
            sample=sample,
            extra=dict,
            conclude=conclude,
            note=_note(pairs, config.context),
            length=max(1, len(pairs.target.ids) // pairs.target.size),
        )

    yield from train_stage("seq2seq", recipe, out, world, resume=resume, prepare=prepare)


def load_translator(path: str | PathLike[str], *, device: str = "auto", dtype: str = "auto") -> Translator:
    """The translator of a run (its ``best`` folder, else its newest checkpoint) or of a checkpoint.

    Raises:
        LimpidError: nothing there, damaged, or a model that is no encoder-decoder.
    """
    keep_memory()
    where = torch.device(pick_device(device))
    run = Path(path) / "seq2seq" if (Path(path) / "seq2seq").is_dir() else Path(path)
    checkpoint = store.read(run / BEST if (run / BEST / "checksums.json").is_file() else run, EncoderDecoder)
    model = inference_copy(checkpoint.model.to(where), compute_dtype(dtype, where))
    return Translator(model, checkpoint.tokenizer)


def _tokenizer(recipe: Recipe, path: Path, splits: Any) -> Tokenizer:
    if path.exists():
        return Tokenizer.load(path)
    sides = (text for pair in splits["train"]() for text in (pair.source, pair.target))
    tokenizer = train(recipe.tokenizer, sides)
    atomic_write_text(path, tokenizer.to_json())
    return tokenizer


def _steps(model: EncoderDecoder, pairs: EncodedPairs, batches: PairBatches) -> int:
    """Enough for 20 tokens a parameter that multiplies, but at most 50 epochs."""
    wanted = 20 * matmul_parameters(model) / max(1, len(pairs.target.ids)) * batches.steps_per_epoch
    return max(1, min(round(wanted), 50 * batches.steps_per_epoch))


def _note(pairs: EncodedPairs, context: int) -> str:
    whole = pairs.source.size + pairs.left_out
    return f"{pairs.left_out} of {whole} pairs are longer than model.context = {context}: left out" * bool(
        pairs.left_out
    )


def _conclude(
    recipe: Recipe,
    folder: Path,
    model: EncoderDecoder,
    tokenizer: Tokenizer,
    world: World,
    validation: Sequence[Pair],
    test: Sequence[Pair],
) -> dict[str, Any]:
    """Choose the weights by validation BLEU, save them as ``best``, translate the test pairs with them."""
    settings = recipe.seq2seq
    dtype = compute_dtype(recipe.train.dtype, world.device)
    copy = inference_copy(model, torch.float32)
    scores: dict[str, float] = {}
    chosen: dict[str, Tensor] = {}
    for name, weights in _candidates(folder, settings.average):
        store.load_tensors(copy, weights, name)
        translator = Translator(inference_copy(copy, dtype), tokenizer)
        lines = translator.translate([pair.source for pair in validation], beam=1)
        scores[name] = bleu([line.text for line in lines], [pair.target for pair in validation]).score.value
        if scores[name] == max(scores.values()):
            chosen = weights
    store.load_tensors(copy, chosen, BEST)
    state = {"stage": "seq2seq", "step": store.steps_of(folder)[-1], "validation_bleu": scores}
    if world.leads:
        store.write(folder / BEST, copy, tokenizer, state, World(0, 1, world.device))
    translator = Translator(inference_copy(copy, dtype), tokenizer)
    lines = translator.translate(
        [pair.source for pair in test], beam=settings.beam, length_penalty=settings.length_penalty
    )
    scored = bleu([line.text for line in lines], [pair.target for pair in test])
    greedy = translator.translate([pair.source for pair in test], beam=1)
    measures = {
        "test BLEU": scored.score._asdict(),
        "test BLEU, greedy": bleu([line.text for line in greedy], [pair.target for pair in test]).score._asdict(),
    }
    answers = [
        {"prompt": pair.source, "answer": line.text, "expected": pair.target}
        for pair, line in islice(zip(test, lines, strict=True), 5)
    ]
    return {
        "measures": measures,
        "signature": scored.signature,
        "validation_bleu": scores,
        "answers": answers,
    }


def _candidates(folder: Path, average: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """(name, weights): the last ones, the best by validation likelihood, and the mean of the last ``average``."""
    steps = store.steps_of(folder)
    newest = store.checkpoint_path(folder, steps[-1])
    yield "last", read_shards(newest, "model")
    best = store.state_of(newest).get("best", {}).get("step")
    if best in steps[:-1]:
        yield "best validation likelihood", read_shards(store.checkpoint_path(folder, best), "model")
    recent = steps[-average:]
    if len(recent) > 1:
        yield f"mean of the last {len(recent)}", _mean(folder, recent)


def _mean(folder: Path, steps: Sequence[int]) -> dict[str, Tensor]:
    """The mean of several checkpoints' weights, tensor by tensor."""
    total: dict[str, Tensor] = {}
    for step in steps:
        for name, tensor in read_shards(store.checkpoint_path(folder, step), "model").items():
            total[name] = total[name] + tensor.float() if name in total else tensor.float()
    return {name: tensor / len(steps) for name, tensor in total.items()}
