"""The C kernels against the model itself in torch, and what they promise beyond it: answers equal to the bit."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.models.variants import VARIANTS, random_decoder

from limpid.inference import engine as engine_module
from limpid.inference.engine import Engine
from limpid.inference.forward import Forward, Piece, TorchForward
from limpid.inference.native import library as library_module
from limpid.inference.native.forward import NativeForward
from limpid.inference.native.library import UnknownPart, Unsupported
from limpid.inference.reading import embed
from limpid.inference.rows import CacheRows
from limpid.inference.sampler import Sampling
from limpid.inference.weights import inference_copy, refresh
from limpid.models.decoder import Decoder

SIZES: dict[str, object] = {"d_model": 64, "n_head": 4, "d_ff": 112}
KNOWN = [
    "gpt1", "gpt2", "gpt-sinusoidal", "llama", "llama-linear", "llama-llama3", "llama-yarn", "mistral", "qwen2-tied",
    "qwen3",
]  # fmt: skip
SHAPES: list[dict[str, object]] = [
    {},
    {"qk_norm": True},
    {"head_dim": 64, "n_head": 5, "n_kv_head": 1},
    {"head_dim": 96, "n_head": 6, "n_kv_head": 2},
    {"head_dim": 32, "n_head": 3, "n_kv_head": 3},
]
"""Heads of 16 numbers and of whole pairs of registers, which are computed in another way; groups of one to five."""
TEXT = [int(i) for i in torch.randint(0, 97, (40,), generator=torch.Generator().manual_seed(3))]


def wide(variant: str, **changes: object) -> Decoder:
    """The variant with heads and layers of whole vector registers."""
    heads = {} if VARIANTS[variant]["family"] == "gpt" else {"head_dim": 16}
    return random_decoder(variant, **(SIZES | heads | changes))


def scores(forward: Forward, model: Decoder, dtype: torch.dtype, parts: list[list[int]]) -> torch.Tensor:
    """The scores after each part of one text, (parts, V)."""
    rows = CacheRows(model.config, 4, dtype, torch.device("cpu"))
    rows.reserve(1, model.config.context)
    out, at = [], 0
    for part in parts:
        found = forward(rows, [Piece(0, part, at, 1)])
        assert found.best.tolist() == found.logits.argmax(-1).tolist()
        assert torch.allclose(found.log_total, found.logits.logsumexp(-1), atol=1e-5)
        out.append(found.logits[0])
        at += len(part)
    return torch.stack(out)


@pytest.mark.parametrize("variant", KNOWN)
@torch.inference_mode()
def test_float32_scores_equal_those_of_torch(variant):
    model = inference_copy(wide(variant), torch.float32)
    parts = [TEXT[:13], *([token] for token in TEXT[13:])]
    whole = model.head(model(torch.tensor([TEXT])))[0, 12:]
    assert torch.allclose(scores(NativeForward(model), model, torch.float32, parts), whole, atol=2e-5, rtol=0)


@pytest.mark.parametrize("activation", ["gelu", "relu", "gelu_tanh"])
@torch.inference_mode()
def test_every_activation(activation):
    model = inference_copy(wide("gpt2", activation=activation), torch.float32)
    whole = model.head(model(torch.tensor([TEXT])))[0, -1:]
    assert torch.allclose(scores(NativeForward(model), model, torch.float32, [TEXT]), whole, atol=2e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@torch.inference_mode()
def test_bfloat16_is_no_further_from_float32_than_torch_is(shape):
    model = wide("mistral", **shape)
    low = inference_copy(model, torch.bfloat16)
    for parameter, rounded in zip(model.parameters(), low.parameters(), strict=True):
        parameter.copy_(rounded)  # the same weights, so that only the arithmetic differs
    exact = model.head(model(torch.tensor([TEXT])))[0, -1:]
    ours = (scores(NativeForward(low), low, torch.bfloat16, [TEXT]) - exact).abs().mean()
    theirs = (scores(TorchForward(low), low, torch.bfloat16, [TEXT]) - exact).abs().mean()
    assert 0 < ours <= 1.2 * theirs


@torch.inference_mode()
def test_int8_differs_by_its_rounding_and_no_more():
    model = inference_copy(wide("qwen3"), torch.float32)
    ours = scores(NativeForward(model, int8=True), model, torch.float32, [TEXT])
    exact = model.head(model(torch.tensor([TEXT])))[0, -1:]
    for name, parameter in model.named_parameters():  # round the weights by hand, and compute as ever
        if parameter.dim() > 1 and "embedding" not in name:
            scale = parameter.abs().amax(1, keepdim=True) / 127
            parameter.copy_((parameter / scale).round() * scale)
    rounded = model.head(model(torch.tensor([TEXT])))[0, -1:]
    assert torch.allclose(ours, rounded, atol=2e-5, rtol=0)
    assert (ours - exact).abs().max() > 1e-3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_scores_are_the_same_to_the_bit_whoever_else_is_there_and_however_a_prompt_is_cut(dtype, shape):
    model = inference_copy(wide("mistral", context=128, **shape), dtype)
    forward = NativeForward(model)
    alone = scores(forward, model, dtype, [TEXT])[0]
    cut = scores(forward, model, dtype, [TEXT[:7], TEXT[7:8], TEXT[8:]])[-1]
    assert torch.equal(alone, cut)
    for others in (1, 2, 5, 6, 11, 60):
        rows = CacheRows(model.config, 100, dtype, torch.device("cpu"))
        rows.reserve(others + 1, 128)
        crowd = [Piece(row, TEXT[row % 9 : 20 + row % 7], 0, int(row % 3 == 0)) for row in range(others)]
        assert torch.equal(forward(rows, [*crowd, Piece(others, TEXT, 0, 1)]).logits[-1], alone)


@pytest.mark.parametrize("window", [0, 150])
@torch.inference_mode()
def test_texts_longer_than_the_keys_that_are_looked_at_together(window):
    model = inference_copy(wide("mistral", context=512, head_dim=32, window=window), torch.float32)
    text = [(7 * i + i // 9) % 97 for i in range(390)]
    parts = [text[:130], text[130:131], text[131:257], text[257:]]
    whole = model.head(model(torch.tensor([text])))[0, [129, 130, 256, 389]]
    assert torch.allclose(scores(NativeForward(model), model, torch.float32, parts), whole, atol=2e-5, rtol=0)
    low = inference_copy(model, torch.bfloat16)
    cut = scores(NativeForward(low), low, torch.bfloat16, parts)
    assert torch.equal(cut[-1], scores(NativeForward(low), low, torch.bfloat16, [text])[0])
    assert (cut - whole).abs().max() < 0.1


def test_threads_do_not_change_a_bit():
    """In processes of their own: a process keeps the number of threads it began with."""
    program = (
        "import sys, torch; from tests.inference.test_native import *; torch.set_num_threads(int(sys.argv[1]));"
        "model = inference_copy(wide('qwen3'), torch.bfloat16);"
        "print(scores(NativeForward(model), model, torch.bfloat16, [TEXT]).tolist())"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program, str(threads)], check=True, capture_output=True, text=True, cwd=Path.cwd()
        ).stdout
        for threads in (1, 3)
    ]
    assert said[0] == said[1]
    assert said[0].startswith("[[")


@pytest.mark.parametrize(("variant", "part"), [("mixtral", "a ExpertsBlock"), ("speedrun", "a SpeedrunBlock")])
def test_what_the_kernels_do_not_know_torch_computes_and_that_is_said_once(variant, part, caplog):
    engine_module._say_once.cache_clear()
    model = inference_copy(wide(variant), torch.float32)
    with pytest.raises(UnknownPart, match="Block"):
        NativeForward(model)
    for _ in range(2):
        assert Engine(model).forward.name == "torch"
    assert [r.getMessage() for r in caplog.records if r.name == "limpid"] == [
        f"limpid: torch computes this model, more slowly: the C kernels do not know {part}"
    ]


def test_narrow_models_are_left_to_torch():
    with pytest.raises(UnknownPart, match="head_dim 8, which is no multiple of 16"):
        NativeForward(inference_copy(random_decoder("qwen3", d_model=64, d_ff=112), torch.float32))


def test_who_switches_the_kernels_off_is_not_told_that_they_are_off(monkeypatch, caplog):
    monkeypatch.setenv("LIMPID_NATIVE", "0")
    assert Engine(inference_copy(wide("llama"), torch.float32)).forward.name == "torch"
    assert not caplog.records


def test_an_engine_alone_with_its_model_frees_what_it_has_packed():
    model = wide("qwen2-tied")
    whole, alone = (inference_copy(model, torch.float32) for _ in range(2))
    engine, twin = Engine(alone, alone=True), Engine(whole)
    assert sum(parameter.numel() for parameter in alone.parameters()) == 0
    assert sum(parameter.numel() for parameter in whole.parameters()) > 0
    greedy = Sampling(temperature=0, max_tokens=20)

    def said(engine: Engine) -> list[int]:
        return [event.token_id for events in engine.generate([TEXT[:9]], greedy, stop_ids=()) for event in events]

    assert said(engine) == said(twin)
    assert torch.equal(engine.logits(TEXT), twin.logits(TEXT))
    assert embed(engine, TEXT) == embed(twin, TEXT)


def test_an_engine_that_torch_computes_keeps_its_model(monkeypatch):
    monkeypatch.setenv("LIMPID_NATIVE", "0")
    model = inference_copy(wide("llama"), torch.float32)
    assert Engine(model, alone=True).logits(TEXT).shape == (len(TEXT), 97)


def test_an_engine_answers_as_with_torch_and_takes_over_new_weights():
    model, other = wide("qwen2-tied"), wide("qwen2-tied", seed=7)
    engine = Engine(inference_copy(model, torch.float32))
    assert engine.forward.name == "C kernels"
    greedy = Sampling(temperature=0, max_tokens=20)

    def answers(engine: Engine) -> list[int]:
        prompts = [TEXT[:9], TEXT[:30], TEXT[5:6]]
        steps = engine.generate(prompts, greedy, stop_ids=())
        return [event.token_id for events in steps for event in sorted(events, key=lambda e: e.row)]

    twin = Engine(inference_copy(model, torch.float32))
    twin.forward = TorchForward(twin.model)
    assert answers(engine) == answers(twin)
    engine.refresh(other)
    refresh(twin.model, other)
    twin.rows.forget()
    assert answers(engine) == answers(twin)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("processor", ["native", "x86-64-v3"])
def test_compilers_find_nothing_to_complain_about(compiler, processor, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not here")
    if processor != "native" and platform.machine() != "x86_64":
        pytest.skip("these are processors of another kind")
    source = Path(library_module.__file__).with_name("kernels.c")
    flags = [flag for flag in library_module.FLAGS if flag != "-w"]
    strict = ["-O1", "-Wall", "-Wextra", "-Werror", f"-march={processor}"]
    command = [compiler, *flags, *strict, str(source), "-o", str(tmp_path / "kernels.so"), "-lm"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_without_a_compiler_torch_computes_and_that_is_said_once(monkeypatch, caplog):
    library_module.made.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(Unsupported, match="no C compiler"):
        library_module.library()
    assert Engine(inference_copy(wide("llama"), torch.float32)).forward.name == "torch"
    assert [r.getMessage() for r in caplog.records if r.name == "limpid"] == [
        "limpid: torch computes, more slowly: no C compiler is here (cc, gcc, clang)"
    ]
    library_module.made.cache_clear()


def test_a_compiler_that_fails_is_quoted(monkeypatch, tmp_path):
    library_module.made.cache_clear()
    monkeypatch.setenv("LIMPID_CACHE_DIR", str(tmp_path))
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho kernels.c: no such luck >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(Unsupported, match="no such luck"):
        library_module.library()
    assert not list((tmp_path / "native").iterdir())
    library_module.made.cache_clear()
