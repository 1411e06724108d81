"""Models saved by transformers come in, and compute and say the same here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.checkpoint.conftest import END, STRINGS, Saved, edit_json, randomise

import limpid
from limpid.stages.import_model import import_model

SHAPE = {
    "vocab_size": 320, "hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": [2, 0],
    "pad_token_id": 0, "attn_implementation": "eager",
}  # fmt: skip
GPT = {
    "vocab_size": 320, "n_positions": 64, "n_embd": 32, "n_layer": 3, "n_head": 4, "bos_token_id": 0,
    "eos_token_id": [2, 0], "pad_token_id": 0, "attn_implementation": "eager",
}  # fmt: skip


def rope(**others: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0, **others}}


MODELS = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT)),
    "gpt2-untied": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**GPT, tie_word_embeddings=False, n_inner=40, activation_function="relu")
    ),
    "gpt1": lambda: transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig(**GPT)),
    "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE, **rope())),
    "llama-tied-wide-heads": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SHAPE, **rope(), tie_word_embeddings=True, head_dim=16, rms_norm_eps=1e-5)
    ),
    "mistral": lambda: transformers.MistralForCausalLM(
        transformers.MistralConfig(**SHAPE, **rope(), sliding_window=None)
    ),
    "mistral-window": lambda: transformers.MistralForCausalLM(
        transformers.MistralConfig(**SHAPE, **rope(), sliding_window=7)
    ),
    "llama-linear": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SHAPE, **rope(rope_type="linear", factor=2.0))
    ),
    "llama-3.1": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            **SHAPE,
            **rope(
                rope_type="llama3",
                factor=8.0,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
                original_max_position_embeddings=16,
            ),
        )
    ),
    "qwen2": lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**SHAPE, **rope())),
    "qwen2-yarn": lambda: transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(**SHAPE, **rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=16))
    ),
    "qwen3-window": lambda: transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            **SHAPE, **rope(), head_dim=8, use_sliding_window=True, sliding_window=9, max_window_layers=0
        )
    ),
    "mixtral": lambda: transformers.MixtralForCausalLM(
        transformers.MixtralConfig(**SHAPE, **rope(), num_local_experts=4, sliding_window=None)
    ),
    "qwen3-moe": lambda: transformers.Qwen3MoeForCausalLM(
        transformers.Qwen3MoeConfig(
            **SHAPE,
            **rope(),
            head_dim=8,
            num_experts=6,
            num_experts_per_tok=3,
            moe_intermediate_size=24,
            norm_topk_prob=False,
        )
    ),
    "qwen3-moe-normalised": lambda: transformers.Qwen3MoeForCausalLM(
        transformers.Qwen3MoeConfig(
            **SHAPE,
            **rope(),
            head_dim=8,
            num_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=24,
            norm_topk_prob=True,
        )
    ),
    "qwen3": lambda: transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**SHAPE, **rope(), head_dim=8)),
}
TIGHT = ("gpt2", "llama")


@pytest.mark.parametrize("name", MODELS)
def test_logits_and_greedy_tokens_are_those_of_transformers(name: str, save: Saved, tmp_path: Path) -> None:
    theirs = randomise(MODELS[name]())
    with torch.no_grad():
        theirs.get_output_embeddings().weight.mul_(0.5)
    folder, _ = save(theirs)
    import_model(str(folder), tmp_path / "run")
    lm = limpid.load(tmp_path / "run", dtype="float32")
    ids = torch.randint(320, (1, 48), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(ids).logits[0].numpy()
    found = lm.logits(ids[0].tolist())
    assert expected.std() > 0.3
    assert np.abs(found - expected).max() <= (1e-5 if name.startswith(TIGHT) else 1e-4)

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer("The cat", return_tensors="pt")
    generated = theirs.generate(**prompt, max_new_tokens=24, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    said = [event.token_id for event in lm.stream("The cat", max_tokens=24, temperature=0)]
    assert said == generated.tolist()


def test_the_tokenizer_comes_along(save: Saved, tmp_path: Path) -> None:
    folder, _ = save(MODELS["qwen3"]())
    import_model(str(folder), tmp_path / "run")
    lm = limpid.load(tmp_path / "run")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in STRINGS:
        assert lm.tokenizer.encode(text) == theirs(text, split_special_tokens=True)["input_ids"], text
        assert lm.tokenizer.decode(lm.tokenizer.encode(text)) == text
    assert lm.tokenizer.token_text(lm.tokenizer.end_of_turn) == "<|im_end|>"
    assert {lm.tokenizer.token_text(i) for i in lm.tokenizer.chat_stops} == {"<|im_end|>", END}


def test_a_chat_goes_through_the_template_that_came_along(save: Saved, tmp_path: Path) -> None:
    from limpid.text.chat import prompt

    theirs = randomise(MODELS["llama"](), seed=3)
    folder, _ = save(theirs)
    import_model(str(folder), tmp_path / "run")
    lm = limpid.load(tmp_path / "run", dtype="float32")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    talk = [{"role": "system", "content": "You are 🙂."}, {"role": "user", "content": "床?"}]
    ids = tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert prompt(lm.tokenizer, talk) == ids["input_ids"][0].tolist()
    made = theirs.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert lm.chat(talk, max_tokens=12, temperature=0) == tokenizer.decode(made, skip_special_tokens=True)


def test_without_a_template_conversations_are_plain(save: Saved, tmp_path: Path) -> None:
    from limpid.text.chat import prompt

    folder, _ = save(MODELS["gpt2"](), template=None)
    assert not import_model(str(folder), tmp_path / "run").own_template
    lm = limpid.load(tmp_path / "run")
    ids = prompt(lm.tokenizer, [{"role": "user", "content": "Hi <|im_end|>"}])
    assert b"".join(map(lm.tokenizer.token_bytes, ids)) == b"User:\nHi <|im_end|>\nAssistant:\n"
    assert not set(ids) & lm.tokenizer.special_ids
    assert lm.chat([{"role": "user", "content": "Hi"}], max_tokens=3) is not None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sources_are_kept_exactly(dtype: torch.dtype, save: Saved, tmp_path: Path) -> None:
    folder, theirs = save(randomise(MODELS["llama"]()).to(dtype))
    import_model(str(folder), tmp_path / "run")
    lm = limpid.load(tmp_path / "run", dtype="float32")
    ids = list(range(40))
    with torch.no_grad():
        whole = type(theirs).from_pretrained(folder, dtype=torch.float32)
        expected = whole(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(lm.logits(ids) - expected).max() <= 1e-5


def test_shards_with_an_index(save: Saved, tmp_path: Path) -> None:
    folder, theirs = save(randomise(MODELS["qwen3"]()), max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 3
    import_model(str(folder), tmp_path / "run")
    ids = list(range(40))
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(limpid.load(tmp_path / "run", dtype="float32").logits(ids) - expected).max() <= 1e-5


def test_a_bare_gpt2_as_it_was_first_published(save: Saved, tmp_path: Path) -> None:
    """No "transformer." before the names, causal masks among the weights, old names of settings, no tokenizer.json."""
    from safetensors.torch import load_file, save_file

    folder, theirs = save(randomise(MODELS["gpt2"]()))
    tensors = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("transformer."): value for name, value in tensors.items() if name != "lm_head.weight"}
    bare |= {f"h.{i}.attn.bias": torch.ones(1, 1, 64, 64).tril() for i in range(3)}
    save_file(bare, folder / "model.safetensors", metadata={"format": "pt"})
    edit_json(folder / "config.json", n_ctx=64, dtype=None, tie_word_embeddings=None)
    import_model(str(folder), tmp_path / "run")
    ids = list(range(40))
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(limpid.load(tmp_path / "run", dtype="float32").logits(ids) - expected).max() <= 1e-5


def test_rows_that_no_token_has_are_left_out(save: Saved, tmp_path: Path) -> None:
    config = transformers.LlamaConfig(**SHAPE | {"vocab_size": 384})
    folder, theirs = save(randomise(transformers.LlamaForCausalLM(config)))
    import_model(str(folder), tmp_path / "run")
    lm = limpid.load(tmp_path / "run", dtype="float32")
    ids = list(range(40))
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0, :, :320].numpy()
    assert lm.logits(ids).shape == (40, 320)
    assert np.abs(lm.logits(ids) - expected).max() <= 1e-5


def test_llama2s_tokenizer(tmp_path: Path) -> None:
    """SentencePiece's BPE as transformers keeps it in tokenizer.json: ▁ for spaces, bytes as <0xE5>, <s> in front."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

    folder = tmp_path / "theirs"
    characters = ["▁", *"abcdehlnort"]
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("c", "a"), ("▁", "ca")]
    vocabulary = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *characters, *map("".join, merges)]
    backend = Tokenizer(
        models.BPE(
            {t: i for i, t in enumerate(vocabulary)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A $B", [("<s>", 1)])
    backend.add_special_tokens([AddedToken(t, normalized=False) for t in ("<unk>", "<s>", "</s>")])
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    model = randomise(MODELS["llama"]())
    model.resize_token_embeddings(len(vocabulary))
    model.generation_config.eos_token_id = model.config.eos_token_id = 2
    model.generation_config.bos_token_id = 1
    model.save_pretrained(folder)
    theirs.save_pretrained(folder)
    import_model(str(folder), tmp_path / "run")
    lm = limpid.load(tmp_path / "run", dtype="float32")
    for text in ["the cat", " the  cat\n", "床 🙂", "<s>the</s>"]:
        ids = lm.tokenizer.encode(text)
        assert [1, *ids] == theirs(text, split_special_tokens=True)["input_ids"]
        assert lm.tokenizer.decode([1, *ids]) == text
    prompt = theirs("the cat", return_tensors="pt", return_token_type_ids=False)
    generated = model.generate(**prompt, max_new_tokens=16, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert [e.token_id for e in lm.stream("the cat", max_tokens=16, temperature=0)] == generated.tolist()


def test_an_imported_model_is_fine_tuned_and_remembers_its_template(save: Saved, tmp_path: Path) -> None:
    import json

    from limpid.core.recipe import parse
    from limpid.parallel.environment import World
    from limpid.stages.recipe import Recipe
    from limpid.stages.sft import sft

    folder, _ = save(MODELS["qwen3"]())
    import_model(str(folder), tmp_path / "run")
    talk = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
    (tmp_path / "talk.jsonl").write_text("\n".join([json.dumps(talk)] * 8))
    (tmp_path / "text.txt").write_text("The cat sat on the mat. " * 200)
    table = {
        "data": {"path": str(tmp_path / "text.txt")},
        "train": {"tokens_per_step": 256, "micro_tokens": 256, "dtype": "float32", "compile": False},
        "eval": {"every": 2, "tokens": 512},
        "sft": {"path": str(tmp_path / "talk.jsonl"), "steps": 2, "tokens_per_step": 256},
    }
    world = World(0, 1, torch.device("cpu"))
    list(sft(parse(Recipe, table, "tiny"), tmp_path / "run", tmp_path / "tuned", world))
    lm = limpid.load(tmp_path / "tuned")
    assert lm.tokenizer.conventions is not None
    assert "im_start" in lm.tokenizer.conventions.chat_template
