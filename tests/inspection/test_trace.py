"""A trace against transformers, against an independent twin in NumPy, and against its own words."""

from __future__ import annotations

import gc
import re
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.inspection.twin_numpy import llama_inside
from tests.models.encoder_decoders import BART, MARIAN, random_transformer
from tests.models.encoder_decoders import twin as marian
from tests.models.references import reference
from tests.models.test_encoder import bert, random_encoder
from tests.models.variants import VARIANTS, random_decoder

from limpid.core.errors import LimpidError
from limpid.inspection.trace import Trace, trace
from limpid.models.lora import LoraSection, add_lora, merge_lora
from limpid.nn.attention import AttentionKernel
from limpid.text.tokenizer import Tokenizer

IDS = [3, 5, 9, 2, 7, 11, 3, 5, 40, 41, 2, 7]
TARGET = [4, 5, 6, 7, 4]


def near(mine: np.ndarray, theirs: Any, tolerance: float = 2e-5) -> None:
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    assert mine.shape == theirs.shape
    scale = max(1.0, float(np.abs(theirs[np.isfinite(theirs)]).max()))
    finite = np.isfinite(theirs)
    assert np.array_equal(np.isfinite(mine), finite)
    assert np.abs(mine[finite] - theirs[finite]).max() <= tolerance * scale


JUDGED = ["gpt1", "gpt2", "llama", "llama-yarn", "mistral", "qwen2", "qwen3", "mixtral", "qwen3-moe"]


@pytest.mark.parametrize("name", JUDGED)
def test_attention_and_stream_are_those_of_transformers(name: str) -> None:
    model = random_decoder(name, 1)
    mine = trace(model, IDS)
    with torch.no_grad():
        theirs = reference(model)(torch.tensor([IDS]), output_attentions=True, output_hidden_states=True)
    for layer in range(model.config.n_layer):
        near(mine[f"blocks.{layer}.attn.hook_pattern"], theirs.attentions[layer][0])
        near(mine[f"blocks.{layer}.hook_resid_pre"], theirs.hidden_states[layer][0])
    last = "blocks.2.hook_resid_post" if name == "gpt1" else "ln_final.hook_normalized"
    near(mine[last], theirs.hidden_states[-1][0])
    near(mine["logits"], theirs.logits[0])
    near(mine["probabilities"], theirs.logits[0].softmax(-1))


@pytest.mark.parametrize("config", [MARIAN, BART], ids=["marian", "bart"])
def test_encoder_decoder_and_cross_attention_are_those_of_transformers(config: dict[str, Any]) -> None:
    model = random_transformer(2, **config)
    mine = trace(model, IDS, target=TARGET)
    decoder_ids = torch.tensor([[model.config.start_token, *TARGET]])
    with torch.no_grad():
        theirs = marian(model)(
            input_ids=torch.tensor([IDS]), decoder_input_ids=decoder_ids, output_attentions=True,
            output_hidden_states=True,
        )  # fmt: skip
    assert mine.ids == decoder_ids[0].tolist()
    for layer in range(model.config.n_encoder_layer):
        near(mine[f"encoder.{layer}.attn.hook_pattern"], theirs.encoder_attentions[layer][0])
        near(mine[f"encoder.{layer}.hook_resid_pre"], theirs.encoder_hidden_states[layer][0])
    for layer in range(model.config.n_layer):
        near(mine[f"decoder.{layer}.attn.hook_pattern"], theirs.decoder_attentions[layer][0])
        near(mine[f"decoder.{layer}.cross_attn.hook_pattern"], theirs.cross_attentions[layer][0])
        near(mine[f"decoder.{layer}.hook_resid_pre"], theirs.decoder_hidden_states[layer][0])
    near(mine.pattern(1, 2, kind="cross_attn"), theirs.cross_attentions[1][0, 2])
    near(mine.pattern(1, 2, stack="encoder"), theirs.encoder_attentions[1][0, 2])
    near(mine["logits"], theirs.logits[0])


def test_encoder_is_that_of_transformers() -> None:
    model = random_encoder(3)
    mine = trace(model, IDS)
    with torch.no_grad():
        theirs = bert(model)(torch.tensor([IDS]), output_attentions=True, output_hidden_states=True)
    for layer in range(model.config.n_layer):
        near(mine[f"blocks.{layer}.attn.hook_pattern"], theirs.attentions[layer][0])
        near(mine[f"blocks.{layer}.hook_resid_pre"], theirs.hidden_states[layer][0])
    near(mine[f"blocks.{model.config.n_layer - 1}.hook_resid_post"], theirs.hidden_states[-1][0])
    near(mine["logits"], theirs.logits[0])
    read = mine.read()
    assert [token.token_id for token in read] == IDS
    near(np.array([token.probability for token in read]), theirs.logits[0].softmax(-1)[range(len(IDS)), IDS])


@pytest.mark.parametrize("window", [0, 5])
def test_every_name_of_a_llama_is_that_of_the_numpy_twin(window: int) -> None:
    model = random_decoder("qwen3", 4, window=window)
    mine, theirs = trace(model, IDS), llama_inside(model, IDS)
    left = mine.names().keys() - theirs.keys()
    assert left == {"hook_full_embed"} | {f"blocks.{n}.ln{m}.hook_scale" for n in range(3) for m in (1, 2)}
    for name, value in theirs.items():
        near(mine[name], value)


def test_speedrun_and_experts_by_hand() -> None:
    """The parts that only they have, from their definitions and the values around them."""
    model = random_decoder("speedrun", 5)
    mine = trace(model, IDS)
    block: Any = model.blocks[2]
    start, x = mine["blocks.0.hook_resid_pre"], mine["blocks.2.hook_resid_pre"]
    a, b = block.mix.tolist()
    near(mine["blocks.2.hook_resid_mixed"], a * x + b * start)
    table = block.value_embedding.weight.detach().numpy()[IDS].reshape(len(IDS), 2, 8) * block.value_scale.item()
    near(mine["blocks.2.attn.hook_v"], mine["blocks.2.attn.hook_v_proj"] + table)
    neurons = np.maximum(mine["blocks.2.mlp.hook_pre"], 0) ** 2
    near(mine["blocks.2.mlp.hook_post"], neurons)
    model = random_decoder("mixtral", 5)
    mine = trace(model, IDS)
    layer: Any = model.blocks[1].feed_forward
    normed = mine["blocks.1.ln2.hook_normalized"]
    router = np.exp(normed @ layer.router.weight.detach().numpy().T)
    chosen = np.argsort(-router, axis=1)[:, :2]
    assert np.array_equal(mine["blocks.1.mlp.hook_expert_indices"], chosen)
    shares = np.take_along_axis(router, chosen, 1)
    shares /= shares.sum(1, keepdims=True)
    near(mine["blocks.1.mlp.hook_expert_weights"], shares)
    down = layer.experts.down.detach().numpy()
    out = np.einsum("tn,tnf,tndf->td", shares, mine["blocks.1.mlp.hook_expert_post"], down[chosen])
    near(mine["blocks.1.hook_mlp_out"], out)


def every_trace() -> list[Any]:
    decoders = [pytest.param(lambda n=n: trace(random_decoder(n), IDS), id=n) for n in VARIANTS]
    others = {
        "marian": lambda: trace(random_transformer(**MARIAN), IDS, target=TARGET),
        "bart-pre": lambda: trace(random_transformer(**BART | {"norm": "pre"}), IDS, target=TARGET),
        "encoder": lambda: trace(random_encoder(), IDS),
        "encoder-pre": lambda: trace(random_encoder(norm="pre", n_segments=0), IDS),
    }
    return decoders + [pytest.param(make, id=name) for name, make in others.items()]


@pytest.mark.parametrize("make", every_trace())
def test_names_tell_the_shapes_and_the_stream_adds_up(make: Any) -> None:
    mine: Trace = make()
    for name, shape in mine.names().items():
        assert mine[name].shape == shape, name
    for stack in mine.stacks.values():
        for layer, points in enumerate(stack.points):
            at = f"{stack.name}.{layer}."
            total = mine[f"{at}hook_resid_mixed" if "hook_resid_mixed" in points else f"{at}hook_resid_pre"]
            steps = [("hook_attn_out", "hook_resid_mid"), ("hook_cross_attn_out", "hook_resid_mid_cross")]
            numbers = [n for n in (1, 2, 3) if f"ln{n}.hook_normalized" in points]
            outs = [out for out, _ in steps if out in points] + ["hook_mlp_out"]
            afters = [after for _, after in steps if after in points] + ["hook_resid_post"]
            for number, out, after in zip(numbers, outs, afters, strict=True):
                total = total + mine[at + out]
                if list(points).index(f"ln{number}.hook_normalized") > list(points).index(out):  # post-norm
                    total = mine[f"{at}ln{number}.hook_normalized"]
                near(mine[at + after], total)
            for kind in stack.kinds():
                pattern = mine[f"{at}{kind}.hook_pattern"]
                near(pattern.sum(-1), np.ones(pattern.shape[:2]))
                near(pattern[1], mine.pattern(layer, 1, kind=kind, stack=stack.name))


def test_little_room_changes_nothing_but_what_is_kept() -> None:
    model = random_decoder("qwen3", 6)
    roomy, tight = trace(model, IDS), trace(model, IDS, budget=1)
    for name in reversed(roomy.names()):
        assert np.array_equal(roomy[name], tight[name], equal_nan=True), name
    assert roomy.kept_bytes > 2 * tight.kept_bytes > 0


def test_large_scores_are_made_by_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_decoder("qwen3", 6)
    whole = trace(model, IDS)
    monkeypatch.setattr("limpid.inspection.twin.AT_ONCE", 10)
    near(trace(model, IDS)["logits"], whole["logits"])


# Nothing is paid, nothing is left -----------------------------------------------------------------------------------


def untouched(model: torch.nn.Module) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    kernels = [m for m in model.modules() if "Kernel" in type(m).__name__ and hasattr(m, "fused")]
    attentions = [m for m in model.modules() if hasattr(m, "kernel")]
    return (
        not any(getattr(m, name) for m in model.modules() for name in hooks)
        and all(type(m.kernel) is AttentionKernel for m in attentions)
        and len(kernels) == len(attentions) > 0
    )


@pytest.mark.parametrize("name", ["gpt1", "qwen3", "mixtral", "speedrun"])
def test_the_model_is_left_as_it_was(name: str) -> None:
    model = random_decoder(name)
    ids = torch.tensor([IDS])
    before = model.head(model(ids))
    mine = trace(model, IDS)
    mine.thumbnails()
    mine.ablate("head:1.2", "mlp:0")
    assert untouched(model)
    assert torch.equal(model.head(model(ids)), before)
    assert torch.equal(torch.from_numpy(mine["logits"]), before[0].detach())


def test_nothing_is_left_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_decoder("qwen3")
    before = model.head(model(torch.tensor([IDS])))
    mine = trace(model, IDS)

    def fail(*_: object) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patched:
        patched.setattr("limpid.inspection.twin.ExplicitKernel.forward", fail)
        with pytest.raises(RuntimeError, match="no"):
            trace(model, IDS)
        with pytest.raises(RuntimeError, match="no"):
            mine.ablate("head:1.2")
    assert untouched(model)
    assert torch.equal(model.head(model(torch.tensor([IDS]))), before)
    assert not any(watch.edits or watch.notes for watch in mine.main.watches)
    assert np.array_equal(mine.logits(), trace(model, IDS).logits())


def test_training_mode_and_gradients_are_the_models_own() -> None:
    model = random_decoder("gpt2", dropout=0.5).train()
    mine = trace(model, IDS)
    assert model.training
    assert np.array_equal(mine["logits"], trace(model, IDS)["logits"])
    assert all(p.grad is None for p in model.parameters())


def test_a_trace_tells_when_the_weights_have_changed() -> None:
    model = random_decoder("qwen3")
    mine = trace(model, IDS)
    with torch.no_grad():
        model.blocks[1].attention.qkv.weight.add_(0.1)  # type: ignore[union-attr, operator]
    for ask in (lambda: mine["logits"], lambda: mine.pattern(0, 0), lambda: mine.lens(), lambda: mine.ablate("mlp:0")):
        with pytest.raises(LimpidError, match="have changed since"):
            ask()


def test_memory_goes_with_the_trace() -> None:
    mine = trace(random_decoder("qwen3"), IDS)
    held = weakref.ref(mine.main.watches[1])
    tensors = weakref.ref(mine.main.inside(1).notes["hook_mlp_out"])
    gc.disable()
    try:
        del mine
        assert tensors() is None
    finally:
        gc.enable()
    gc.collect()
    assert held() is None


def test_many_threads_may_look_at_once() -> None:
    model = random_decoder("qwen3", 7)
    wanted = trace(model, IDS)
    mine = trace(model, IDS, budget=1)
    expected = {(layer, head): wanted.pattern(layer, head) for layer in range(3) for head in range(4)}
    after = wanted.ablate("head:1.2").logits_after
    wrong: list[object] = []

    def look(turn: int) -> None:
        for n in range(40):
            layer, head = divmod((n + turn * 5) % 12, 4)
            if not np.array_equal(mine.pattern(layer, head), expected[layer, head]):
                wrong.append((layer, head))
            if n % 8 == turn and not np.array_equal(mine.ablate("head:1.2").logits_after, after):
                wrong.append("ablation")

    threads = [threading.Thread(target=look, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# What is no text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        ("a" * 10_000, r"tokens and this model reads at most 64: it is [\d,]+ tokens too long"),
        ("\ud800", r"not UTF-8 \(at character 0\)"),
        ([], "there are no token ids"),
        ([3] * 70, "the text has 70 tokens and this model reads at most 64: it is 6 tokens too long; shorten it."),
        ([3, 320], r"token id 320 is outside 0\.\.319"),
        ([-1], r"token id -1 is outside"),
    ],
)
def test_what_cannot_be_traced(llama: Any, tokenizer: Tokenizer, text: Any, message: str) -> None:
    with pytest.raises(LimpidError, match=message):
        trace(llama, text, tokenizer)


def test_adapters_are_merged_first() -> None:
    model = random_decoder("qwen3")
    add_lora(model, LoraSection(rank=2), seed=0)
    with pytest.raises(LimpidError, match="wears adapters"):
        trace(model, IDS)
    merge_lora(model)
    assert len(trace(model, IDS)) == len(IDS)


def test_what_cannot_be_asked(llama: Any, tokenizer: Tokenizer) -> None:
    with pytest.raises(LimpidError, match="needs a tokenizer"):
        trace(llama, "text")
    with pytest.raises(LimpidError, match="a target is for an encoder-decoder"):
        trace(llama, IDS, target=[3])
    mine = trace(llama, "The cat", tokenizer)
    with pytest.raises(LimpidError, match=r"nothing called 'blocks\.0\.attn\.hook_patern'\. Did you mean 'blocks\.0"):
        mine["blocks.0.attn.hook_patern"]
    with pytest.raises(LimpidError, match="no layer 2; this model has layers 0 to 1"):
        mine.pattern(2, 0)
    with pytest.raises(LimpidError, match="no head 4; this model has heads 0 to 3"):
        mine.pattern(0, 4)
    with pytest.raises(LimpidError, match="have no 'cross_attn'"):
        mine.thumbnails(kind="cross_attn")
    with pytest.raises(LimpidError, match="no stack 'encoder'"):
        mine.pattern(0, 0, stack="encoder")
    with pytest.raises(LimpidError, match=r"place 99 is outside the text, which has \d+ tokens"):
        mine.next_tokens(at=99)
    with pytest.raises(LimpidError, match="is not one token but"):
        mine.attribution("the cat sat on a mat")
    with pytest.raises(LimpidError, match="token id 400 is outside the vocabulary"):
        mine.attribution(400)


# The table -----------------------------------------------------------------------------------------------------------


def test_next_tokens_and_what_was_read(llama: Any, tokenizer: Tokenizer) -> None:
    mine = trace(llama, "The cat sat on the", tokenizer)
    with torch.no_grad():
        logits = llama.head(llama(torch.tensor([tokenizer.encode("The cat sat on the")])))[0].double().numpy()
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    found = mine.next_tokens(7)
    best = np.argsort(-shares[-1])[:7]
    assert [c.token_id for c in found.candidates] == best.tolist()
    near(np.array([c.probability for c in found.candidates]), shares[-1][best], 1e-6)
    near(np.array([c.logit for c in found.candidates]), logits[-1][best])
    assert found.entropy == pytest.approx(-(shares[-1] * np.log2(shares[-1])).sum(), abs=1e-4)
    assert found.rest == pytest.approx(1 - shares[-1][best].sum(), abs=1e-6)
    for place, token in enumerate(mine.read()):
        if place == 0:
            assert token.probability is None
            continue
        own = shares[place - 1]
        assert token.probability == pytest.approx(own[token.token_id], abs=1e-6)
        assert token.rank == 1 + (own > own[token.token_id]).sum()


def test_the_guide_lists_every_name() -> None:
    """docs/inspecting.md's table of names is that of the code, shapes included."""
    guide = (Path(__file__).parents[2] / "docs" / "inspecting.md").read_text(encoding="utf-8")
    rows = {
        name: letters.replace(", ", "")
        for names, letters in re.findall(r"^\| ((?:`[\w.]+`(?:, )?)+) \| \(([A-Z, ]+)\)", guide, flags=re.MULTILINE)
        for name in re.findall(r"`([\w.]+)`", names)
    }
    traces = [trace(random_decoder(n), IDS) for n in ("gpt2", "qwen3", "mixtral", "speedrun")]
    traces += [trace(random_encoder(), IDS), trace(random_transformer(**MARIAN), IDS, target=TARGET)]
    found: dict[str, str] = {"logits": "TV", "probabilities": "TV", "ln_final.hook_scale": "T"}
    found |= {"ln_final.hook_normalized": "TD", "hook_pooled": "TD"}
    for one in traces:
        for stack in one.stacks.values():
            found |= dict.fromkeys(one.embedded(stack), "TD")
            for points in stack.points:
                found |= {name: point.letters for name, point in points.items()}
    short = {name.removeprefix("cross_attn.").removeprefix("attn."): letters for name, letters in found.items()}
    short = {re.sub(r"^ln[123]\.", "ln1.", name): letters for name, letters in short.items()}
    assert rows == short
