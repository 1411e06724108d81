"""Several models asked the same held-out questions: who wins, by a judge and by what can be checked; what is lost."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch

from limpid.checkpoint import store
from limpid.checkpoint.store import Checkpoint
from limpid.core.errors import LimpidError
from limpid.core.recipe import parse
from limpid.data import token_store
from limpid.data.conversations import Grade
from limpid.data.token_store import TokenStore
from limpid.evaluation.bits_per_byte import score_text
from limpid.evaluation.bootstrap import mean_interval
from limpid.evaluation.prompts import SCORES, Question, of_conversations, read_prompts
from limpid.inference.engine import Engine
from limpid.inference.reward_model import RewardScorer
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.parallel.environment import pick_device
from limpid.parallel.hardware import compute_dtype, keep_memory, release_memory
from limpid.stages.corpus import splits
from limpid.stages.questions import KINDS, dialogues
from limpid.stages.recipe import DataSection, Recipe
from limpid.text.chat import fitting_prompt
from limpid.text.tokenizer import Tokenizer

SHOWN = 12
"""Questions whose answers stand side by side in the result."""
ROWS = 64
"""Answers under way at once."""


class Plan(NamedTuple):
    """How to compare.

    judge: a reward model that none of the runs was trained by; None: only what can be checked. prompts: a file of the
    user's; None: ``questions`` held-out ones of python-docs, in equal parts of each kind, drawn by ``seed``.
    temperature, max_tokens: of the answers. text_tokens: how much of the pretraining test text is read (0: all).
    """

    judge: Path | None = None
    prompts: Path | None = None
    questions: int = 300
    seed: int = 0
    temperature: float = 0.0
    max_tokens: int = 64
    text_tokens: int = 32_768
    device: str = "auto"
    dtype: str = "auto"


class Answered(NamedTuple):
    """One run's answers. grades: None where nothing is expected. rewards: None without a judge."""

    name: str
    path: str
    stage: str
    parameters: int
    answers: list[str]
    grades: list[Grade | None]
    rewards: list[float] | None
    bits_per_byte: dict[str, float] | None


def compare(runs: Mapping[str, Path], plan: Plan) -> Iterator[str | dict[str, Any]]:
    """Yield a line about what is being done before each part of the work, and last the comparison (a dict).

    runs: name -> run, checkpoint or line of stages, the first the one that others are measured against.

    Raises:
        LimpidError: fewer than two runs, a run that is not there, or a judge that is no reward model.
    """
    if len(runs) < 2:
        raise LimpidError("a comparison needs two runs or more.")
    keep_memory()
    questions = _questions(plan)
    device = torch.device(pick_device(plan.device))
    dtype = compute_dtype(plan.dtype, device)
    checkpoints = {name: store.find(path) for name, path in runs.items()}  # all there, before the first is asked
    judge = None if plan.judge is None else RewardScorer.load(plan.judge, device=plan.device, dtype=plan.dtype)
    texts: dict[str, TokenStore | None] = {}
    found: list[Answered] = []
    with TemporaryDirectory() as scratch:
        for name, folder in checkpoints.items():
            yield f"{name} answers {len(questions)} questions"
            checkpoint = store.read(folder)
            checkpoint.model.to(device)
            engine = Engine(inference_copy(checkpoint.model, dtype), rows=ROWS)
            answers = answer_questions(engine, checkpoint, questions, plan)
            grades = [question.grade(answer) for question, answer in zip(questions, answers, strict=True)]
            rewards = None
            if judge is not None:
                yield f"the judge reads what {name} said"
                rewards = judge.score([(q.prompt, a) for q, a in zip(questions, answers, strict=True)])
            yield f"{name} reads the test text"
            text = _test_text(folder, checkpoint.tokenizer, texts, Path(scratch))
            bits = None
            if text is not None:
                score = score_text(checkpoint.model, text, dtype=dtype, tokens=plan.text_tokens, overlap=0.5)
                bits = score.bits_per_byte._asdict()
            stage = str(checkpoint.state.get("stage", ""))
            parameters = sum(p.numel() for p in checkpoint.model.parameters())
            found.append(Answered(name, str(runs[name]), stage, parameters, answers, grades, rewards, bits))
            del engine, checkpoint
            release_memory()
    yield _result(questions, found, plan)


def answer_questions(
    engine: Engine, checkpoint: Checkpoint[Decoder], questions: Sequence[Question], plan: Plan
) -> list[str]:
    """Each question's answer, in order. A model that was only pretrained continues the bare question instead."""
    tokenizer = checkpoint.tokenizer
    room = checkpoint.config.context - max(1, min(plan.max_tokens, checkpoint.config.context // 4))
    if checkpoint.state.get("stage") == "pretrain":
        stops: set[int] = {tokenizer.end_of_text}
        ids = [[tokenizer.end_of_text, *tokenizer.encode(q.prompt[-1]["content"] + "\n")][:room] for q in questions]
    else:
        stops = set(tokenizer.chat_stops)
        ids = [fitting_prompt(tokenizer, q.prompt, room) for q in questions]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # alike lengths are read together with least waste
    said: list[list[int]] = [[] for _ in ids]
    sampling = Sampling(temperature=plan.temperature, max_tokens=plan.max_tokens, seed=plan.seed)
    for events in engine.generate([ids[i] for i in order], sampling, stop_ids=stops):
        for event in events:
            if event.token_id not in stops:
                said[order[event.row]].append(event.token_id)
    return [tokenizer.decode(tokens).strip() for tokens in said]


def _questions(plan: Plan) -> list[Question]:
    if plan.prompts is not None:
        return read_prompts(plan.prompts)
    stream = dialogues(plan.seed)
    each = max(1, round(plan.questions / len(KINDS)))
    return [q for kind in KINDS for q in of_conversations(stream.evaluation(kind, each))]


def _test_text(
    checkpoint: Path, tokenizer: Tokenizer, made: dict[str, TokenStore | None], scratch: Path
) -> TokenStore | None:
    """The test split (or validation) of the text that the run was pretrained on, encoded once a tokenizer; None where
    the run does not say which text that was, or it is not here any more."""
    run = checkpoint.parent.parent
    try:
        table = tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8")).get("data", {})
    except (OSError, tomllib.TOMLDecodeError):
        return None
    key = f"{table} {tokenizer.fingerprint}"
    if key not in made:
        recipe = Recipe(data=parse(DataSection, table, str(run / "recipe.toml")))
        made[key] = _encoded_test(recipe, tokenizer, run / "tokens", scratch / str(len(made)))
    return made[key]


def _encoded_test(recipe: Recipe, tokenizer: Tokenizer, folder: Path, scratch: Path) -> TokenStore | None:
    try:
        documents = splits(recipe)
    except LimpidError:
        return None
    for split in ("test", "validation"):
        path = folder / f"{split}.bin"
        if token_store.exists(path, tokenizer):
            found = token_store.open_store(path, tokenizer)
        else:
            made = scratch / f"{tokenizer.fingerprint}-{split}.bin"
            found = token_store.write(made, tokenizer, documents.get(split, ()))
        if len(found.ids) > 1:
            return found
    return None


def _result(questions: Sequence[Question], found: Sequence[Answered], plan: Plan) -> dict[str, Any]:
    """What the comparison found, ready for JSON; see docs/alignment.md for each number."""
    kinds = list(dict.fromkeys(q.kind for q in questions))
    base = next((run.bits_per_byte for run in found if run.bits_per_byte), None)
    rows = []
    for run in found:
        measures: dict[str, Any] = {"words": mean_interval([float(len(a.split())) for a in run.answers])._asdict()}
        if run.rewards is not None:
            measures["reward"] = mean_interval(run.rewards)._asdict()
        graded = [g for g in run.grades if g is not None]
        for name in SCORES if graded else ():
            measures[name] = mean_interval([g == name for g in graded])._asdict()
        by_kind = {}
        for kind in kinds if graded else ():
            of_kind = [g for q, g in zip(questions, run.grades, strict=True) if q.kind == kind and g is not None]
            if of_kind:
                by_kind[kind] = {name: mean_interval([g == name for g in of_kind])._asdict() for name in SCORES}
        if run.bits_per_byte is not None:
            measures["bits per byte"] = run.bits_per_byte
        change = run.bits_per_byte["value"] / base["value"] - 1 if run.bits_per_byte and base else None
        rows.append(
            {
                "name": run.name, "path": run.path, "stage": run.stage, "parameters": run.parameters,
                "measures": measures, "by_kind": by_kind, "bits_per_byte_change": change,
            }
        )  # fmt: skip
    return {
        "questions": len(questions),
        "prompts": str(plan.prompts) if plan.prompts else "python-docs, held out",
        "judge": str(plan.judge) if plan.judge else None,
        "temperature": plan.temperature,
        "runs": rows,
        "wins": _wins(found),
        "samples": _samples(questions, found),
    }


def _wins(found: Sequence[Answered]) -> list[dict[str, Any]]:
    """For every two runs, the share of questions that the first one answers better, a tie counting half.

    The interval is paired: questions are drawn again and again, each with both answers.
    """
    pairs = [(a, b) for i, a in enumerate(found) for b in found[:i]]
    wins = []
    for a, b in pairs:
        scores = {"judge": (a.rewards, b.rewards), "checked": (_scores(a), _scores(b))}
        row: dict[str, Any] = {"run": a.name, "against": b.name}
        for by, (ours, theirs) in scores.items():
            if ours is not None and theirs is not None and len(ours):
                better = np.sign(np.asarray(ours) - np.asarray(theirs)) / 2 + 0.5
                row[by] = mean_interval(better)._asdict()
        wins.append(row)
    return wins


def _scores(run: Answered) -> list[float] | None:
    graded = [SCORES[g] for g in run.grades if g is not None]
    return graded or None


def _samples(questions: Sequence[Question], found: Sequence[Answered]) -> list[dict[str, Any]]:
    """Some questions with every run's answer, spread over the kinds, those first on which the runs differ."""
    places: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        places.setdefault(question.kind, []).append(place)
    each = -(-SHOWN // len(places))
    chosen: list[int] = []
    for group in places.values():
        chosen += sorted(group, key=lambda place: -len({run.answers[place] for run in found}))[:each]
    return [
        {
            "prompt": questions[place].prompt[-1]["content"],
            "kind": questions[place].kind,
            "expected": questions[place].expected,
            "answers": {
                run.name: {
                    "text": run.answers[place],
                    "grade": run.grades[place],
                    "reward": None if run.rewards is None else run.rewards[place],
                }
                for run in found
            },
        }
        for place in sorted(chosen)
    ]
