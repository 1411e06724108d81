"""Pretraining: from raw text to a model that continues it, by maximum likelihood of the next token.

(An encoder, which sees the whole text, learns to tell masked tokens instead: `pretrain_encoder`.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from limpid.core.paths import run_folder
from limpid.core.recipe import load
from limpid.data.batches import TextBatches
from limpid.data.token_store import TokenStore
from limpid.evaluation.bits_per_byte import score_text
from limpid.inference.engine import Engine
from limpid.inference.language_model import LanguageModel
from limpid.inference.weights import inference_copy
from limpid.models.bidirectional import Encoder
from limpid.models.count import matmul_parameters
from limpid.models.decoder import Decoder
from limpid.models.registry import FAMILIES, build
from limpid.parallel.environment import World, enter
from limpid.parallel.hardware import compute_dtype
from limpid.stages.corpus import stores_for, test_split, tokenizer_for
from limpid.stages.events import Event
from limpid.stages.pretrain_encoder import masked_job
from limpid.stages.questions import five_continuations
from limpid.stages.recipe import Recipe
from limpid.stages.training_run import Job, prepare_model, train_stage
from limpid.text.tokenizer import Tokenizer
from limpid.training.objectives.next_token import NextToken
from limpid.training.optim import build_optimizers
from limpid.training.schedule import factor


def train(recipe: str, overrides: Mapping[str, Any], *, out: str | None = None) -> Iterator[Event]:
    """See `limpid.train`."""
    world = enter()
    folder = Path(out) if out else run_folder(recipe, "pretrain")
    yield from pretrain(load(Recipe, recipe, overrides), folder, world)


def pretrain(
    recipe: Recipe, out: Path, world: World, *, resume: bool = False, tokenizer_path: Path | None = None
) -> Iterator[Event]:
    """Train the recipe's model in ``out``, yielding what happens.

    tokenizer_path: a tokenizer made earlier; None learns one into ``out``.
    """

    def prepare(folder: Path) -> Job:
        if world.leads:  # one process makes the files, the others open them
            tokenizer = tokenizer_for(recipe, tokenizer_path or folder / "tokenizer.json")
        world.wait()
        tokenizer = tokenizer_for(recipe, tokenizer_path or folder / "tokenizer.json")
        stores = stores_for(recipe, tokenizer, folder / "tokens", world)
        if issubclass(FAMILIES[recipe.model.family_name].kind, Encoder):
            return masked_job(recipe, world, tokenizer, stores)
        config = recipe.model.config(tokenizer.vocab_size)
        model = build(config, seed=recipe.train.seed)
        rows = max(1, recipe.train.tokens_per_step // config.context)
        steps = recipe.train.steps or max(1, 20 * matmul_parameters(model) // (rows * config.context))
        model, _ = prepare_model(model, recipe, world, steps, fresh=True)
        dtype = compute_dtype(recipe.train.dtype, world.device)

        def conclude() -> dict[str, Any]:
            name, test = test_split(stores)
            score = score_text(model, test, dtype=dtype, overlap=recipe.eval.overlap)
            conclusion: dict[str, Any] = {"measures": {name: score.bits_per_byte._asdict()}, "nats": score.nats}
            if recipe.data.path == "python-docs":
                engine = Engine(inference_copy(model, dtype))
                conclusion["answers"] = five_continuations(engine, tokenizer, recipe.train.seed)
            return conclusion

        return Job(
            model=model,
            tokenizer=tokenizer,
            objective=NextToken(dtype, recipe.optim.z_loss),
            batches=TextBatches(stores["train"], config.context, rows, recipe.train.seed),
            optimizers=build_optimizers(model, recipe.optim, config.d_model, dtype),
            steps=steps,
            schedule=factor(recipe.schedule, steps),
            micro_rows=max(1, recipe.train.micro_tokens // config.context),
            measure=lambda: validation_scores(model, stores["validation"], recipe, world),
            lower_is_better="validation_bits_per_byte",
            sample=lambda: sample_text(model, tokenizer, recipe, stores["validation"]),
            extra=dict,
            conclude=conclude,
        )

    yield from train_stage("pretrain", recipe, out, world, resume=resume, prepare=prepare)


def validation_scores(model: Decoder, store: TokenStore, recipe: Recipe, world: World) -> dict[str, float]:
    """Bits per byte and nats a token of the validation text, as ``eval`` says."""
    dtype = compute_dtype(recipe.train.dtype, world.device)
    score = score_text(model, store, dtype=dtype, tokens=recipe.eval.tokens)
    return {"validation_bits_per_byte": score.bits_per_byte.value, "validation_nats": score.nats}


def sample_text(model: Decoder, tokenizer: Tokenizer, recipe: Recipe, store: TokenStore) -> tuple[str, str]:
    """(prompt, continuation) to show how far the model has come."""
    prompt = recipe.train.sample_prompt or tokenizer.decode(store.ids[:12].tolist())
    writer = LanguageModel(inference_copy(model, torch.float32), tokenizer)
    return prompt, writer.generate(prompt, max_tokens=48, temperature=0.7, seed=0)
