"""Recorded decode steps against the steps themselves: on a CPU by a tape of kernels, on a GPU as CUDA graphs."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tests.models.variants import VARIANTS, random_decoder
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from limpid.inference.cuda_graphs import GraphForward, Work, recordable, torch_forward
from limpid.inference.engine import Engine, fastest_forward
from limpid.inference.forward import Piece, TorchForward
from limpid.inference.rows import CacheRows
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.nn.attention import AttentionKernel

WITH_EXPERTS = [name for name, shape in VARIANTS.items() if "n_expert" in shape]
RECORDABLE = [name for name in VARIANTS if name not in WITH_EXPERTS]
CPU = torch.device("cpu")
STEPS = 45


class Tape(TorchDispatchMode):
    """What a CUDA graph keeps of some work: its kernels, with the very tensors that they read and wrote.

    `replay` runs the kernels again, and nothing of the Python around them. Numbers cannot be looked at meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], list[Tensor]]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        made = func(*args, **(kwargs or {}))
        self.kernels.append((func, args, kwargs or {}, list(tensors_in(made))))
        return made

    @torch.inference_mode()
    def replay(self) -> None:
        for func, args, kwargs, written in self.kernels:
            for place, numbers in zip(written, tensors_in(func(*args, **kwargs)), strict=True):
                if place.data_ptr() != numbers.data_ptr():  # no view of what is there, nor written in place
                    place.copy_(numbers)


def tensors_in(made: object) -> Iterator[Tensor]:
    if isinstance(made, Tensor):
        yield made
    elif isinstance(made, tuple | list):
        for part in made:
            yield from tensors_in(part)


def tape(work: Work) -> Work:
    recorded = Tape()
    with recorded:
        work()
    return recorded.replay


class Counting:
    """A recorder that counts what is recorded and what is replayed."""

    def __init__(self, record: Callable[[Work], Work] = tape) -> None:
        self.record, self.recorded, self.replayed = record, 0, 0

    def __call__(self, work: Work) -> Work:
        self.recorded += 1
        again = self.record(work)

        def replay() -> None:
            self.replayed += 1
            again()

        return replay


def steps_of(forward: TorchForward, config: Any) -> Iterator[Tensor]:
    """The logits of many steps of one token a row, over rows that come and go and a cache that grows."""
    rng = random.Random(4)
    rows = CacheRows(config, 12, forward.dtype, forward.device)
    rows.reserve(3, 64)
    for row in range(3):
        rows.texts[row] = [1] * (40 + row)  # as if it had been read: keys and values of nothing
    for step in range(STEPS):
        count = 1 + (step // 5) % 5
        rows.reserve(count, 64 if step < 15 else 128)
        pieces = [Piece(row, [rng.randrange(config.vocab_size)], len(rows.texts[row]), 1) for row in range(count)]
        yield forward(rows, pieces).logits.clone().cpu()
        for piece in pieces:
            rows.texts[piece.row] += piece.ids


@pytest.mark.parametrize("fused", [False, True], ids=["explicit", "fused"])
@pytest.mark.parametrize("variant", RECORDABLE)
@torch.inference_mode()
def test_a_step_replayed_is_the_step_itself(variant, fused, monkeypatch):
    if fused:  # the attention that GPUs use
        monkeypatch.setattr(AttentionKernel, "forward", lambda self, *given: self.fused(*given))
    model = inference_copy(random_decoder(variant, context=128), torch.float32)
    record = Counting()
    replayed = steps_of(GraphForward(model, record), model.config)
    for ours, theirs in zip(replayed, steps_of(TorchForward(model), model.config), strict=True):
        assert torch.allclose(ours, theirs, atol=2e-5, rtol=0)
    assert record.replayed == STEPS + record.recorded  # the first replay of each is the test of it
    assert record.recorded <= 14


def ask(engine: Engine) -> list[list[int]]:
    """The answers to requests of all kinds, for which there are fewer rows than requests."""
    rng = random.Random(2)
    requests = []
    for row in range(14):
        prompt = [rng.randrange(97) for _ in range(rng.randrange(1, 20))]
        sampling = Sampling(temperature=rng.choice([0.0, 0.8]), seed=row, max_tokens=rng.randrange(5, 40))
        requests.append(engine.submit(prompt, sampling, stop_ids={7}, row=row))
        engine.step()
    while engine.busy:
        engine.step()
    return [request.said for request in requests]


def engine_with(make: Callable[[Decoder], TorchForward], *, seed: int = 0, device: torch.device = CPU) -> Engine:
    engine = Engine(inference_copy(random_decoder("qwen3", seed=seed).to(device), torch.float32), rows=9)
    engine.forward = make(engine.model)
    return engine


def test_an_engine_answers_as_ever_and_takes_over_new_weights():
    record = Counting()
    ours, theirs = engine_with(lambda model: GraphForward(model, record)), engine_with(TorchForward)
    answers = ask(ours)
    assert answers == ask(theirs)
    assert record.replayed > 2 * record.recorded
    other = random_decoder("qwen3", seed=9)
    ours.refresh(other)
    theirs.refresh(other)
    assert ask(ours) == ask(theirs) != answers


def test_a_text_that_is_read_leaves_the_recorded_steps_alone():
    """It has a row of its own, in a cache of its own, which goes when it is read."""
    record = Counting()
    engine = engine_with(lambda model: GraphForward(model, record))
    ask(engine)
    before, logits = record.recorded, engine.logits([5])
    assert torch.allclose(logits, engine_with(TorchForward).logits([5]), atol=2e-5, rtol=0)
    for _ in engine.generate([[3, 4, 5]], Sampling(max_tokens=4, temperature=0), stop_ids=()):
        pass
    assert record.recorded == before + 1  # of the text of one token, and none of the engine's rows again
    gc.collect()
    assert isinstance(engine.forward, GraphForward)
    assert list(engine.forward._recorded) == [engine.rows]


@pytest.mark.parametrize("variant", WITH_EXPERTS)
@torch.inference_mode()
def test_experts_are_not_recorded_since_their_shapes_follow_the_numbers(variant):
    model = inference_copy(random_decoder(variant), torch.float32)
    assert not recordable(model)
    replayed = steps_of(GraphForward(model, tape), model.config)
    steps = zip(replayed, steps_of(TorchForward(model), model.config), strict=True)
    assert not all(torch.allclose(ours, theirs, atol=1e-3) for ours, theirs in steps)


def refuses(work: Work) -> Work:
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nSome advice.")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (refuses, "CUDA error: operation not permitted"),
        (lambda work: lambda: None, "a recorded step's scores differ by"),
    ],
    ids=["refuses", "gives something else"],
)
def test_where_recording_fails_steps_are_computed_as_ever_and_that_is_said_once(record, reason, caplog):
    engine = engine_with(lambda model: GraphForward(model, record))
    assert ask(engine) == ask(engine_with(TorchForward))
    said = [r.getMessage() for r in caplog.records if r.name == "limpid"]
    assert len(said) == 1
    assert said[0].startswith(f"limpid: CUDA graphs are off, answers are slower: {reason}")


def test_without_a_gpu_there_are_no_graphs():
    assert type(torch_forward(inference_copy(random_decoder("qwen3"), torch.float32))) is TorchForward


# ------------------------------------------------------------------ on a GPU


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("variant", RECORDABLE)
@torch.inference_mode()
def test_cuda_graphs_give_what_the_steps_give(variant, dtype):
    model = inference_copy(random_decoder(variant, context=128).to("cuda"), dtype)
    ours = fastest_forward(model)
    assert isinstance(ours, GraphForward)
    for logits, expected in zip(steps_of(ours, model.config), steps_of(TorchForward(model), model.config), strict=True):
        assert torch.allclose(logits, expected, atol=2e-5 if dtype == torch.float32 else 0.05, rtol=0)
    assert ours.record is not None  # it was not given up


@pytest.mark.gpu
def test_an_engine_on_a_gpu_answers_as_without_graphs_and_as_on_the_cpu():
    device = torch.device("cuda")
    ours, theirs = engine_with(fastest_forward, device=device), engine_with(TorchForward, device=device)
    answers = ask(ours)
    assert answers == ask(theirs) == ask(engine_with(TorchForward))
    assert isinstance(ours.forward, GraphForward)
    assert ours.forward.record is not None
    other = random_decoder("qwen3", seed=9).to(device)
    ours.refresh(other)
    theirs.refresh(other)
    assert ask(ours) == ask(theirs) != answers


@pytest.mark.gpu
def test_two_models_may_be_recorded_in_two_threads():
    device = torch.device("cuda")
    expected = [ask(engine_with(TorchForward, seed=seed, device=device)) for seed in (0, 1)]
    engines = [engine_with(fastest_forward, seed=seed, device=device) for seed in (0, 1)]
    found: dict[int, list[list[int]]] = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: ask(engines[i])})) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[0], found[1]] == expected
    assert all(engine.forward.record is not None for engine in engines)


@pytest.mark.gpu
@pytest.mark.parametrize("variant", WITH_EXPERTS)
def test_experts_on_a_gpu_are_computed_as_ever(variant):
    model = inference_copy(random_decoder(variant).to("cuda"), torch.float32)
    assert type(fastest_forward(model)) is TorchForward
