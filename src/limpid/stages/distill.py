"""Distillation: a student learns what a teacher, a finished run, makes of every token, or says to every prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_write_text
from limpid.data.chat_layouts import Chat
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.models.registry import build, with_dropout
from limpid.parallel.environment import World
from limpid.parallel.hardware import compute_dtype
from limpid.stages.corpus import stores_of_line
from limpid.stages.events import Event
from limpid.stages.fine_tuning import chats_of, fine_tuning_job, talks_of
from limpid.stages.recipe import DistillSection, Recipe
from limpid.stages.training_run import Job, train_stage
from limpid.text.chat import prompt
from limpid.text.tokenizer import Tokenizer
from limpid.training.objectives.distillation import Distillation
from limpid.training.objectives.next_token import NextToken

ANSWERS = "answers.json"
"""What the teacher said, in the run's folder, so that a resume need not ask again."""


class Student(NamedTuple):
    """Who learns. path: where it, or its teacher, was kept. fresh: it has learnt nothing yet."""

    model: Decoder
    tokenizer: Tokenizer
    path: Path
    fresh: bool


def distill(recipe: Recipe, source: Path | None, out: Path, world: World, *, resume: bool = False) -> Iterator[Event]:
    """Train a student in ``out``: the model at ``source``, or a fresh one of the recipe's shape.

    Raises:
        LimpidError: no teacher, one whose vocabulary or context does not fit, or as `sft`.
    """
    section = recipe.distill
    if not section.teacher:
        raise LimpidError("distill.teacher is not set: name the run that is to teach, for example --teacher runs/demo.")

    def prepare(folder: Path) -> Job:
        teacher = store.read(Path(section.teacher))
        dtype = compute_dtype(recipe.train.dtype, world.device)
        teaching = inference_copy(teacher.model.to(world.device), dtype)
        student = _student(recipe, source, teacher)
        context = student.model.config.context
        by_logits = section.method == "logits"
        if by_logits:
            _check_fit(teacher, student)
        talks, note = None, ""
        if section.text_share < 1 or not by_logits:
            chats = chats_of(section, recipe.train.seed)
            if not by_logits:
                chats["train"], note = _answered(chats["train"], teaching, teacher.tokenizer, section, folder, world)
            talks, more = talks_of(section, chats, student.tokenizer, context)
            note = "; ".join(part for part in (note, more) if part)
        objective = Distillation(dtype, teaching, section.temperature, section.share)
        return fine_tuning_job(
            recipe, section, world,
            model=student.model,
            tokenizer=student.tokenizer,
            stores=stores_of_line(recipe, student.tokenizer, folder / "tokens", student.path, world),
            talks=talks,
            objective=lambda dtype: objective if by_logits else NextToken(dtype, recipe.optim.z_loss),
            fresh=student.fresh,
            extra=(lambda: objective.measured) if by_logits else dict,
            note=note,
        )  # fmt: skip

    yield from train_stage("distill", recipe, out, world, resume=resume, prepare=prepare)


def _student(recipe: Recipe, source: Path | None, teacher: store.Checkpoint[Decoder]) -> Student:
    if source is not None:
        checkpoint = store.read(source)
        model = with_dropout(checkpoint.model, recipe.distill.dropout)
        return Student(model, checkpoint.tokenizer, checkpoint.path, False)
    config = recipe.model.config(teacher.tokenizer.vocab_size)
    model = build(config.model_copy(update={"dropout": recipe.distill.dropout}), seed=recipe.train.seed)
    return Student(model, teacher.tokenizer, teacher.path, True)


def _check_fit(teacher: store.Checkpoint[Decoder], student: Student) -> None:
    if teacher.tokenizer.fingerprint != student.tokenizer.fingerprint:
        raise LimpidError(
            f"{teacher.path} has another tokenizer than the student, so their distributions cannot be compared; "
            "set distill.method=answers, or begin with a fresh student (without --from)."
        )
    if teacher.config.context < student.model.config.context:
        raise LimpidError(
            f"the teacher reads {teacher.config.context} tokens and the student {student.model.config.context}: "
            "set model.context to the teacher's."
        )


def _answered(
    chats: Iterable[Chat], teacher: Decoder, tokenizer: Tokenizer, section: DistillSection, folder: Path, world: World
) -> tuple[list[Chat], str]:
    """Conversations whose last answer is the teacher's, the only one to be learnt; and what became of the others."""
    asked = list(islice(chats, section.prompts))
    path = folder / ANSWERS
    if world.leads and not (path.exists() and store.steps_of(folder)):  # else it may be another recipe's, cut short
        answers = teacher_answers(teacher, tokenizer, asked, section)
        atomic_write_text(path, json.dumps(answers, ensure_ascii=False, indent=0))
    world.wait()
    said = json.loads(path.read_text(encoding="utf-8"))
    kept = []
    for chat, answer in zip(asked, said, strict=True):
        if answer:
            before = [{**m, "weight": 0} if m["role"] == "assistant" else m for m in chat.messages[:-1]]
            kept.append(Chat([*before, {"role": "assistant", "content": answer}], chat.tools, chat.source))
    missing = len(asked) - len(kept)
    lost = (
        f"{missing} of {len(asked)} prompts are left out: the teacher gave no whole answer to them" if missing else ""
    )
    return kept, lost


def teacher_answers(
    teacher: Decoder, tokenizer: Tokenizer, chats: list[Chat], section: DistillSection
) -> list[str | None]:
    """What the teacher says in place of each conversation's last answer.

    None where its prompt leaves no room in the teacher's context, or it did not come to an end, or said nothing.
    """
    prompts = [prompt(tokenizer, chat.messages[:-1], chat.tools) for chat in chats]
    fitting = [place for place, ids in enumerate(prompts) if len(ids) < teacher.config.context]
    said: list[list[int]] = [[] for _ in chats]
    ended = [False] * len(chats)
    sampling = Sampling(temperature=section.answer_temperature, max_tokens=section.max_tokens, seed=0)
    stops = tokenizer.chat_stops
    if fitting:
        with torch.no_grad():
            for events in Engine(teacher).generate([prompts[place] for place in fitting], sampling, stop_ids=stops):
                for event in events:
                    place = fitting[event.row]
                    ended[place] = event.token_id in stops
                    if not ended[place]:
                        said[place].append(event.token_id)
    answers = [tokenizer.decode(tokens).strip() for tokens in said]
    return [answer if done and answer else None for answer, done in zip(answers, ended, strict=True)]
