"""What cannot come in is refused by name, and nothing is half-loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.checkpoint.conftest import Saved, edit_json
from tests.checkpoint.hugging_face.test_import import MODELS

from limpid.checkpoint.hugging_face.folder import TensorFolder
from limpid.core.errors import LimpidError
from limpid.stages.import_model import import_model


def refused(folder: Path, out: Path) -> str:
    """The complaint about importing ``folder``; nothing may have been written."""
    with pytest.raises(LimpidError) as caught:
        import_model(str(folder), out)
    assert not out.exists()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_tensors_missing_left_over_and_misshapen_are_all_named(save: Saved, tmp_path: Path) -> None:
    folder, _ = save(MODELS["qwen3"]())
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"], tensors["model.norm.weight"]
    tensors["model.layers.0.self_attn.k_proj.weight"] = torch.zeros(16, 31)
    tensors["model.layers.7.mlp.up_proj.weight"] = torch.zeros(2)
    tensors["model.layers.0.self_attn.q_proj.bias"] = torch.zeros(32)
    save_file(tensors, folder / "model.safetensors")
    message = refused(folder, tmp_path / "run")
    for fault in (
        "model.layers.1.mlp.up_proj.weight is missing",
        "model.norm.weight is missing",
        "model.layers.0.self_attn.k_proj.weight is [16, 31], not [16, 32]",
        "model.layers.7.mlp.up_proj.weight is not the model's",
        "model.layers.0.self_attn.q_proj.bias is not the model's",
    ):
        assert fault in message


def test_a_head_that_is_not_the_embedding_it_is_said_to_be(save: Saved, tmp_path: Path) -> None:
    folder, _ = save(MODELS["gpt2"]())
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, folder / "model.safetensors")
    import_model(str(folder), tmp_path / "tied")
    tensors["lm_head.weight"][3, 3] += 1
    save_file(tensors, folder / "model.safetensors")
    assert "lm_head.weight is not the model's" in refused(folder, tmp_path / "run")


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("llama", {"hidden_act": "gelu"}, "'hidden_act' is 'gelu'"),
        ("llama", {"model_type": "mamba2"}, "model_type 'mamba2'"),
        ("llama", {"quantization_config": {"quant_method": "awq"}}, "'quantization_config'"),
        ("llama", {"surprise_gate": 2}, "does not know: 'surprise_gate' = 2"),
        ("llama", {"num_hidden_layers": None}, "lacks the field 'num_hidden_layers'"),
        ("llama", {"num_key_value_heads": 3}, "n_head 4 must be a multiple of n_kv_head 3"),
        ("llama", {"attention_bias": True}, "'attention_bias' is True"),
        ("llama", {"rope_parameters": {"rope_type": "longrope", "factor": 2.0}}, "'rope_parameters' is"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale": 0.7}}, "does not know mscale"),
        ("qwen3", {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}, "'layer_types' is"),
        ("qwen3-moe", {"mlp_only_layers": [1]}, "'mlp_only_layers' is"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "'scale_attn_by_inverse_layer_idx' is True"),
        ("gpt2", {"activation_function": "tanh"}, "'activation_function' is 'tanh'"),
    ],
)
def test_unsupported_configs_say_which_field(
    model: str, changes: dict[str, Any], message: str, save: Saved, tmp_path: Path
) -> None:
    folder, _ = save(MODELS[model]())
    edit_json(folder / "config.json", **changes)
    assert message in refused(folder, tmp_path / "run")


def test_an_unknown_field_may_be_waved_through(save: Saved, tmp_path: Path) -> None:
    folder, _ = save(MODELS["llama"]())
    edit_json(folder / "config.json", surprise_gate=2)
    import_model(str(folder), tmp_path / "run", ignored_fields=("surprise_gate",))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt"])
def test_pickles_are_refused_unopened(name: str, save: Saved, tmp_path: Path) -> None:
    folder, _ = save(MODELS["llama"]())
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    for source in (folder, folder / name):
        message = refused(source, tmp_path / "run")
        assert f"{name} is a pickle" in message
        assert "save_pretrained" in message


def test_broken_shards(save: Saved, tmp_path: Path) -> None:
    folder, _ = save(MODELS["llama"](), max_shard_size="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    index = folder / "model.safetensors.index.json"
    whole, listed = shards[1].read_bytes(), index.read_text()
    shards[1].unlink()
    assert f"{shards[1].name} does not exist" in refused(folder, tmp_path / "run")
    shards[1].write_bytes(whole[: len(whole) // 2])
    assert f"{shards[1].name} is damaged" in refused(folder, tmp_path / "run")
    shards[1].write_bytes(whole)
    table = json.loads(listed)
    table["weight_map"]["model.norm.weight"] = shards[0].name
    index.write_text(json.dumps(table))
    assert "model.norm.weight" in refused(folder, tmp_path / "run")
    for outside in ("../theirs/model-00001.safetensors", "/etc/passwd", "weights.bin"):
        table["weight_map"]["model.norm.weight"] = outside
        index.write_text(json.dumps(table))
        assert "no safetensors file beside it" in refused(folder, tmp_path / "run")
    index.write_text("{")
    assert "cannot be read" in refused(folder, tmp_path / "run")


def test_weights_that_are_no_floats(save: Saved, tmp_path: Path) -> None:
    folder, _ = save(MODELS["llama"]())
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.int8)
    save_file(tensors, folder / "model.safetensors")
    assert "model.norm.weight is I8" in refused(folder, tmp_path / "run")


def test_a_tokenizer_of_more_tokens_than_the_model(save: Saved, tmp_path: Path) -> None:
    from tests.checkpoint.hugging_face.test_import import SHAPE

    folder, _ = save(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE | {"vocab_size": 300})))
    assert "the tokenizer has 320 tokens and the model 300" in refused(folder, tmp_path / "run")


def test_places_that_hold_no_model(save: Saved, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no tokenizer" in refused(tmp_path / "empty", tmp_path / "run")
    assert "there is no folder" in refused(tmp_path / "no such folder", tmp_path / "run")
    folder, _ = save(MODELS["llama"]())
    (folder / "config.json").unlink()
    assert "config.json does not exist" in refused(folder, tmp_path / "run")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    with pytest.raises(LimpidError, match="is there already"):
        import_model(str(folder), tmp_path / "there")
    with pytest.raises(LimpidError, match="neither model.safetensors nor"):
        TensorFolder(tmp_path / "empty")
