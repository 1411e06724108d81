"""Guessing ahead: answers are those of the engine alone, token for token, in fewer passes of the model."""

from __future__ import annotations

import random

import pytest
import torch
from tests.models.variants import random_decoder

from limpid.core.errors import LimpidError
from limpid.inference.engine import Engine, fastest_forward
from limpid.inference.forward import TorchForward
from limpid.inference.request import Request
from limpid.inference.sampler import Sampling
from limpid.inference.speculation import Drafter, DraftModel, PromptLookup
from limpid.inference.weights import inference_copy

SIZES: dict[str, object] = {"d_model": 64, "n_head": 4, "d_ff": 112, "head_dim": 16}
SAMPLINGS = [
    Sampling(temperature=0, max_tokens=30),
    Sampling(temperature=0.7, seed=3, max_tokens=30),
    Sampling(temperature=1.2, top_p=0.9, min_p=0.01, seed=4, max_tokens=17),
    Sampling(temperature=0.5, top_k=5, seed=5, repetition_penalty=1.3, frequency_penalty=0.4, max_tokens=25),
]


class Oracle:
    """Guesses wrongly now and then, and in lengths of all kinds; else what a list says."""

    def __init__(self, answers: dict[int, list[int]]) -> None:
        self.answers, self.rng = answers, random.Random(0)

    def propose(self, requests, rooms):
        guesses = []
        for request, room in zip(requests, rooms, strict=True):
            right = self.answers[request.row][len(request.said) :][: min(room, self.rng.randrange(8))]
            guesses.append([t if self.rng.random() < 0.8 else (t + 1) % 97 for t in right])
        return guesses


def engine(forward: str, drafter: Drafter | None = None) -> Engine:
    found = Engine(inference_copy(random_decoder("qwen3", **SIZES), torch.float32), rows=6)
    assert found.forward.name == "C kernels"
    if forward == "torch":
        found.forward = TorchForward(found.model)
    found.drafter = drafter
    return found


def ask(engine: Engine, samplings: list[Sampling] = SAMPLINGS) -> tuple[list[Request], int]:
    """Eight requests of all kinds, with room for six; and how often the model was computed."""
    rng = random.Random(2)
    requests = []
    for row in range(8):
        prompt = [rng.randrange(97) for _ in range(rng.randrange(1, 20))]
        requests.append(engine.submit(prompt, samplings[row % len(samplings)], stop_ids={7}, row=row))
    steps = 0
    while engine.busy:
        engine.step()
        steps += 1
    return requests, steps


@pytest.mark.parametrize("forward", ["torch", "C kernels"])
def test_answers_are_the_same_with_any_drafter(forward):
    plain, steps = ask(engine(forward))
    oracle = Oracle({request.row: request.said for request in plain})
    draft = inference_copy(random_decoder("qwen3", seed=9, n_layer=1, **SIZES), torch.float32)
    model = DraftModel(draft, fastest_forward(draft), 97)
    for drafter in (oracle, model, PromptLookup(), PromptLookup(words=[1], ahead=9)):
        guessed, fewer = ask(engine(forward, drafter))
        assert [r.said for r in guessed] == [r.said for r in plain]
        assert [[e.token_id for e in r.inbox] for r in guessed] == [r.said for r in plain]
        logprobs = [[e.logprob for r in asked for e in r.inbox] for asked in (guessed, plain)]
        assert logprobs[0] == pytest.approx(logprobs[1], abs=1e-4)
        if drafter is oracle:
            assert fewer < 0.6 * steps
        else:
            assert fewer <= steps


def test_a_model_that_drafts_for_itself_is_always_right():
    model = inference_copy(random_decoder("qwen3", **SIZES), torch.float32)
    plain, steps = ask(engine("C kernels"), SAMPLINGS[:2])
    guessed, fewer = ask(engine("C kernels", DraftModel(model, fastest_forward(model), 97, ahead=3)), SAMPLINGS[:2])
    assert [r.said for r in guessed] == [r.said for r in plain]
    assert fewer <= steps / 3  # four tokens a step, but for the first of each answer and what is left at its end


class Rising:
    """Only tokens larger than the last one: a mask that follows the answer, as grammars do."""

    def __init__(self) -> None:
        self.last = -1

    def allowed(self) -> torch.Tensor:
        return torch.arange(97) > self.last

    def take(self, token: int) -> None:
        self.last = token


def test_masks_hold_for_every_guess():
    def answer(drafter: Drafter | None) -> list[int]:
        found = engine("C kernels", drafter)
        request = found.submit([5, 6], Sampling(temperature=1, seed=1, max_tokens=8), stop_ids={96}, mask=Rising())
        while found.busy:
            found.step()
        return request.said

    plain = answer(None)
    assert plain == sorted(plain)
    assert len(plain) > 1
    assert answer(Oracle({0: plain})) == plain


def test_prompt_lookup_guesses_what_followed_before():
    def guess(prompt: list[int], said: list[int], room: int = 9) -> list[int]:
        request = Request(prompt, Sampling(max_tokens=50), (), 0, 200)
        lookup = PromptLookup(words=(3, 2), ahead=4)
        assert lookup.propose([request], [room]) is not None  # what was said comes later, piece by piece
        request.said += said
        return lookup.propose([request], [room])[0]

    assert guess([1, 2, 3, 4, 5, 6, 7, 8, 1, 2], [3]) == [4, 5, 6, 7]
    assert guess([1, 2, 3, 4, 5, 6, 7, 8, 1, 2], [3], room=2) == [4, 5]
    assert guess([1, 2, 3, 4, 9, 2, 3, 5, 2], [3]) == [5, 2, 3]  # the last time counts
    assert guess([8, 2, 3, 4, 9, 2, 3, 5, 8, 2], [3]) == [4, 9, 2, 3]  # but three tokens in a row count more
    assert guess([1, 2, 3], [4]) == []
    assert guess([5, 5], [5, 5]) == [5]


def test_a_drafting_model_must_share_the_vocabulary():
    draft = inference_copy(random_decoder("qwen3", vocab_size=80), torch.float32)
    with pytest.raises(LimpidError, match="80 tokens and the answering one 97: they must share a tokenizer"):
        DraftModel(draft, TorchForward(draft), 97)
