"""Supervised fine-tuning: from a model that continues text to one that answers, by imitating right answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from limpid.checkpoint import store
from limpid.models.registry import with_dropout
from limpid.parallel.environment import World
from limpid.stages.corpus import stores_of_line
from limpid.stages.events import Event
from limpid.stages.fine_tuning import chats_of, fine_tuning_job, talks_of
from limpid.stages.recipe import Recipe
from limpid.stages.training_run import Job, train_stage
from limpid.training.objectives.next_token import NextToken


def sft(recipe: Recipe, source: Path, out: Path, world: World, *, resume: bool = False) -> Iterator[Event]:
    """Fine-tune the model at ``source`` on the recipe's conversations, in ``out``.

    The loss counts assistant tokens only, the end of each turn included. A share of pretraining text in every batch
    keeps what pretraining taught.
    """

    def prepare(folder: Path) -> Job:
        checkpoint = store.read(source)
        tokenizer = checkpoint.tokenizer
        chats = chats_of(recipe.sft, recipe.train.seed)
        talks, note = talks_of(recipe.sft, chats, tokenizer, checkpoint.config.context)
        return fine_tuning_job(
            recipe, recipe.sft, world,
            model=with_dropout(checkpoint.model, recipe.sft.dropout),
            tokenizer=tokenizer,
            stores=stores_of_line(recipe, tokenizer, folder / "tokens", checkpoint.path, world),
            talks=talks,
            objective=lambda dtype: NextToken(dtype, recipe.optim.z_loss),
            note=note,
        )  # fmt: skip

    yield from train_stage("sft", recipe, out, world, resume=resume, prepare=prepare)
