"""Pretraining of a bidirectional encoder: tokens of a text are hidden, and the model learns to tell them."""

from __future__ import annotations

from typing import Any

import torch

from limpid.data.batches import TextBatches
from limpid.data.document import Split
from limpid.data.masked_batches import MaskedBatches
from limpid.data.token_store import TokenStore
from limpid.evaluation.masked import MaskedScore, score_masked
from limpid.models.bidirectional import Encoder
from limpid.models.count import matmul_parameters
from limpid.models.registry import build
from limpid.parallel.environment import World
from limpid.parallel.hardware import compute_dtype
from limpid.stages.corpus import test_split
from limpid.stages.recipe import Recipe
from limpid.stages.training_run import Job, prepare_model
from limpid.text.tokenizer import Tokenizer
from limpid.training.objectives.masked_token import MaskedToken
from limpid.training.optim import build_optimizers
from limpid.training.schedule import factor

BLANK = "▁"


def masked_job(recipe: Recipe, world: World, tokenizer: Tokenizer, stores: dict[Split, TokenStore]) -> Job:
    """What `pretrain` trains where the recipe's model is an encoder.

    Measured are the mean -log p of a masked token and the share told right, over masks that are the same every time.
    """
    config = recipe.model.config(tokenizer.vocab_size, Encoder)
    model: Encoder = build(config, seed=recipe.train.seed)
    rows = max(1, recipe.train.tokens_per_step // config.context)
    steps = recipe.train.steps or max(1, 20 * matmul_parameters(model) // (rows * config.context))
    model, _ = prepare_model(model, recipe, world, steps, fresh=True)
    dtype = compute_dtype(recipe.train.dtype, world.device)

    def masked(store: TokenStore, seed: int) -> MaskedBatches:
        windows = TextBatches(store, config.context, rows, seed)
        kept = tokenizer.special_ids
        return MaskedBatches(windows, seed, mask=config.mask_id, vocab_size=config.vocab_size, kept=kept)

    def score(store: TokenStore, tokens: int) -> MaskedScore:
        whole = max(1, len(store.ids) // (rows * config.context))
        count = min(whole, max(1, tokens // (rows * config.context))) if tokens else whole
        return score_masked(model, masked(store, seed=0), count, dtype)

    def measure() -> dict[str, float]:
        held_out = score(stores["validation"], recipe.eval.tokens)
        return {
            "validation_masked_nats": held_out.nats.value,
            "validation_masked_accuracy": held_out.accuracy.value,
        }

    def conclude() -> dict[str, Any]:
        name, test = test_split(stores)
        split = name.removesuffix(" bits per byte")
        held_out = score(test, 0)
        measures = {f"{split} masked nats": held_out.nats, f"{split} masked accuracy": held_out.accuracy}
        return {"measures": {key: interval._asdict() for key, interval in measures.items()}}

    return Job(
        model=model,
        tokenizer=tokenizer,
        objective=MaskedToken(dtype),
        batches=masked(stores["train"], recipe.train.seed),
        optimizers=build_optimizers(model, recipe.optim, config.d_model, dtype),
        steps=steps,
        schedule=factor(recipe.schedule, steps),
        micro_rows=max(1, recipe.train.micro_tokens // config.context),
        measure=measure,
        lower_is_better="validation_masked_nats",
        sample=lambda: fill_in(model, tokenizer, stores["validation"], dtype),
        extra=dict,
        conclude=conclude,
    )


@torch.no_grad()
def fill_in(model: Encoder, tokenizer: Tokenizer, store: TokenStore, dtype: torch.dtype) -> tuple[str, str]:
    """(a text with every fifth token hidden, the same with the tokens the model takes for most probable)."""
    ids = torch.from_numpy(store.ids[: min(40, model.config.context)].astype("int64"))
    places = torch.arange(2, len(ids), 5)
    hidden = ids.clone()
    hidden[places] = model.config.mask_id
    was_training = model.training
    model.eval()
    device = model.embedding.weight.device
    told = model.scores(model(hidden[None].to(device), dtype=dtype))[0, places, : tokenizer.vocab_size].argmax(-1)
    model.train(was_training)
    filled = ids.clone()
    filled[places] = told.cpu()
    blanked = "".join(BLANK if i in set(places.tolist()) else tokenizer.token_text(int(t)) for i, t in enumerate(ids))
    return blanked, tokenizer.decode(filled.tolist())
