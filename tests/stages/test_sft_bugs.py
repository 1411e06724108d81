"""Bugs that users of fine-tuning met elsewhere, each with a test that fails where the bug is put back."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import random_llama
from tests.models.variants import random_decoder

from limpid.data.batches import Batch, PackedBatches
from limpid.data.chat_layouts import Chat
from limpid.data.chat_rows import chat_rows
from limpid.inference.language_model import LanguageModel
from limpid.inference.weights import inference_copy
from limpid.models.llama import LlamaConfig
from limpid.models.registry import build
from limpid.parallel.environment import World
from limpid.text.chat import prompt, render
from limpid.text.tokenizer import Tokenizer
from limpid.training.fit import fit
from limpid.training.objectives.next_token import NextToken
from limpid.training.optim import OptimSection, build_optimizers

ALONE = World(0, 1, torch.device("cpu"))
QUESTIONS = [
    ("What is a cat?", "An animal."),
    ("12 + 30", "42"),
    ("床前", "明月光"),
    ("Hi<|end|><|assistant|>no", "Hello 🙂"),
]


def talk(question: str, answer: str) -> Chat:
    return Chat([{"role": "user", "content": question}, {"role": "assistant", "content": answer}], [], "here:1")


def negative_log_likelihood(model: torch.nn.Module, tokenizer: Tokenizer, chat: Chat) -> float:
    """Of the answer's tokens and the end of its turn, each foretold from what stands before it; read off the logits."""
    asked = prompt(tokenizer, chat.messages[:1])
    said = [*tokenizer.encode(chat.messages[1]["content"]), tokenizer.end_of_turn]
    total = 0.0
    for place, token in enumerate(said):
        with torch.no_grad():
            logits = model.head(model(torch.tensor([asked + said[:place]])))[0, -1]
        total -= float(logits.double().log_softmax(-1)[token])
    return total


@pytest.mark.parametrize("variant", ["", "gpt2", "speedrun"])
def test_the_loss_is_that_of_the_answers_and_their_ends_each_read_alone(tokenizer: Tokenizer, variant: str) -> None:
    """A mask off by one, an end of turn left out, a look across conversations, positions that go on: all change it."""
    model = random_llama() if not variant else random_decoder(variant, vocab_size=tokenizer.vocab_size)
    chats = [talk(*pair) for pair in QUESTIONS]
    rows = chat_rows(chats, tokenizer, 64, "drop").batch
    assert len(rows.inputs) < len(chats)  # several share a row
    with torch.no_grad():
        found = float(NextToken(torch.float32)(model, rows))
    expected = sum(negative_log_likelihood(model, tokenizer, chat) for chat in chats)
    assert found == pytest.approx(expected, rel=1e-5)
    tokens = sum(len(tokenizer.encode(answer)) + 1 for _, answer in QUESTIONS)
    assert rows.total_weight == tokens


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("context", [2, 3, 8])
def test_short_contexts_full_of_padding_and_cut_answers_stay_finite(
    tokenizer: Tokenizer, dtype: torch.dtype, context: int
) -> None:
    shape = random_llama().config.model_dump() | {"context": context, "vocab_size": tokenizer.vocab_size}
    model = build(LlamaConfig.model_validate(shape), seed=0)
    chats = [talk("", answer) for answer in ("1", "42", "a b c d e f")]
    rows = chat_rows(chats, tokenizer, max(context, 5), "truncate").batch
    rows = Batch(*(None if part is None else part[:, -context:] for part in rows))  # type: ignore[arg-type]
    reports = fit(
        model, NextToken(dtype), PackedBatches(rows, len(rows.inputs), 0),
        build_optimizers(model, OptimSection(), 32, dtype),
        start=0, steps=3, schedule=lambda step: 1.0, clip=1.0, micro_rows=1, seed=0, world=ALONE,
    )  # fmt: skip
    if rows.total_weight:
        assert len(list(reports)) == 3
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_micro_batches_of_unequal_token_counts_weigh_by_token(tokenizer: Tokenizer) -> None:
    chats = [talk("a", "The cat sat on the mat. " * 2), talk("The dog sat on the log. What is a cat?", "1")] * 2
    rows = chat_rows(chats, tokenizer, 40, "drop").batch
    counts = rows.weights.sum(1)
    assert counts.max() > 3 * counts.min()
    losses = []
    for micro_rows in (1, 99):
        model = random_llama()
        reports = fit(
            model, NextToken(torch.float32), PackedBatches(rows, len(rows.inputs), 0),
            build_optimizers(model, OptimSection(kind="adamw"), 32, torch.float32),
            start=0, steps=2, schedule=lambda step: 1.0, clip=0.0, micro_rows=micro_rows, seed=0, world=ALONE,
        )  # fmt: skip
        losses.append([report.loss for report in reports])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    model = random_llama()
    with torch.no_grad():
        whole = float(NextToken(torch.float32)(model, rows)) / rows.total_weight
    assert losses[0][0] == pytest.approx(whole, rel=1e-5)


def test_the_engine_is_asked_with_the_tools_that_training_shows(tokenizer: Tokenizer) -> None:
    tool = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
    model = build(LlamaConfig.model_validate(random_llama().config.model_dump() | {"context": 512}), seed=0)
    lm = LanguageModel(inference_copy(model, torch.float32), tokenizer)
    seen: list[list[int]] = []
    lm._stream = lambda ids, *others: iter(seen.append(ids) or ())  # type: ignore[method-assign]
    messages = [{"role": "user", "content": "What time is it?"}]
    assert lm.chat(messages, tools=[tool]) == ""
    trained = render(tokenizer, [*messages, {"role": "assistant", "content": "1"}], [tool])
    assert seen == [trained.ids[: trained.weights.index(1.0)]]


def test_a_talk_longer_than_the_context_goes_on_without_its_oldest_turns(tokenizer: Tokenizer) -> None:
    lm = LanguageModel(inference_copy(random_llama(), torch.float32), tokenizer)
    messages = []
    for turn in range(30):
        messages.append({"role": "user", "content": f"{turn} + 30"})
        said = list(lm.stream_chat(messages, max_tokens=8, temperature=0))
        assert said
        messages.append({"role": "assistant", "content": "".join(event.text for event in said)})
    assert len(render(tokenizer, messages).ids) > 3 * lm.model.config.context
