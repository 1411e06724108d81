"""LoRA adapters out to peft and in from it: peft itself computes what they do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.models.test_lora import ALONE
from tests.models.variants import VARIANTS

from limpid.checkpoint import store
from limpid.checkpoint.hugging_face.export import write_model
from limpid.core.errors import LimpidError
from limpid.models.lora import LoraSection, add_lora
from limpid.models.registry import build, config_from_table
from limpid.stages.export_model import export_model
from limpid.stages.import_model import import_model
from limpid.text.tokenizer import Tokenizer

pytest.importorskip("peft")


def random_weights(model: torch.nn.Module, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * 0.2 if parameter.dim() > 1 else 1 + 0.2 * noise)
    return model.eval()


def some_model(variant: str, tokenizer: Tokenizer):
    config = config_from_table(VARIANTS[variant] | {"vocab_size": tokenizer.vocab_size}, "here")
    return random_weights(build(config))


def adapted_run(path: Path, variant: str, tokenizer: Tokenizer, **section: object) -> Path:
    model = some_model(variant, tokenizer)
    add_lora(model, LoraSection.model_validate({"rank": 3, "alpha": 5.0} | section), seed=0)
    store.write(store.checkpoint_path(path, 1), random_weights(model, 1), tokenizer, {"stage": "sft", "step": 1}, ALONE)
    return path


def logits(path: Path, merge: bool = True) -> torch.Tensor:
    model = store.read(path, merge=merge).model.eval()
    with torch.no_grad():
        return model.head(model(torch.arange(3, 23)[None]))


@pytest.mark.parametrize(
    ("variant", "section"),
    [("qwen2", {}), ("gpt2", {}), ("gpt2", {"targets": ("query", "value", "down")}), ("mixtral", {})],
)
def test_an_exported_adapter_is_the_same_to_peft_and_comes_back(tmp_path, tokenizer, variant, section):
    run = adapted_run(tmp_path / "run", variant, tokenizer, **section)
    results = list(export_model(run, tmp_path / "out", "peft"))
    assert [result.reader for result in results] == ["limpid import", "peft"]
    assert all(result.passed for result in results), results
    imported = import_model(str(tmp_path / "out"), tmp_path / "back")
    assert "LoRA adapter of rank" in imported.architecture
    torch.testing.assert_close(logits(tmp_path / "back"), logits(run), atol=1e-4, rtol=1e-4)
    kept = store.read(tmp_path / "back", merge=False).model.lora
    assert kept is not None
    assert kept.scale == pytest.approx(5 / 3)


_PEFT = """
import sys, torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
base, out, answer = sys.argv[1:]
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
config = LoraConfig({settings}, init_lora_weights=False, task_type="CAUSAL_LM")
model = get_peft_model(model, config).eval()
model.save_pretrained(out)
with torch.no_grad():
    torch.save(model(torch.arange(3, 23)[None]).logits, answer)
"""
SETTINGS = {
    "qwen2": "r=4, lora_alpha=7, target_modules=['q_proj', 'v_proj'], use_rslora=True, rank_pattern={'v_proj': 2}, "
    "alpha_pattern={'layers.1.self_attn.q_proj': 3}",
    "gpt2": "r=2, lora_alpha=3, target_modules=['c_attn', 'mlp.c_proj']",
    "llama": "r=2, target_modules='all-linear'",
}


@pytest.mark.parametrize("variant", SETTINGS)
def test_an_adapter_that_peft_made_comes_in(tmp_path, tokenizer, variant):
    base = tmp_path / "base"
    base.mkdir()
    model = some_model(variant, tokenizer)
    write_model(base, model, tokenizer, torch.float32, 1 << 30)
    program = _PEFT.replace("{settings}", SETTINGS[variant])
    done = subprocess.run(
        [sys.executable, "-c", program, str(base), str(tmp_path / "adapter"), str(tmp_path / "said.pt")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = torch.load(tmp_path / "said.pt", weights_only=True)
    import_model(str(tmp_path / "adapter"), tmp_path / "run")  # its base is named in its config
    torch.testing.assert_close(logits(tmp_path / "run"), said, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(logits(tmp_path / "run", merge=False), said, atol=2e-4, rtol=1e-4)
    store.write(store.checkpoint_path(tmp_path / "ours", 0), model, tokenizer, {"stage": "sft", "step": 0}, ALONE)
    import_model(str(tmp_path / "adapter"), tmp_path / "other", base=str(tmp_path / "ours"))
    assert torch.equal(logits(tmp_path / "other"), logits(tmp_path / "run"))


def test_what_is_no_plain_adapter_is_refused_by_its_field(tmp_path, tokenizer):
    run = adapted_run(tmp_path / "run", "qwen2", tokenizer)
    list(export_model(run, tmp_path / "out", "peft"))
    path = tmp_path / "out" / "adapter_config.json"
    config = json.loads(path.read_text())
    for change, message in (
        ({"use_dora": True}, "the field 'use_dora' = True"),
        ({"peft_type": "IA3"}, "limpid reads LORA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ):
        path.write_text(json.dumps(config | change))
        with pytest.raises(LimpidError, match=message):
            import_model(str(tmp_path / "out"), tmp_path / "new")
    path.write_text(json.dumps(config | {"base_model_name_or_path": None}))
    with pytest.raises(LimpidError, match="name it with --base"):
        import_model(str(tmp_path / "out"), tmp_path / "new")
    other = adapted_run(tmp_path / "other", "gpt2", tokenizer)
    with pytest.raises(LimpidError, match=r"model.layers.0.*is not the model's"):
        import_model(str(tmp_path / "out"), tmp_path / "new", base=str(other))
    assert not (tmp_path / "new").exists()


def test_a_run_without_adapters_has_none_to_export(tmp_path, saved_run):
    with pytest.raises(LimpidError, match=r"no LoRA adapters to export"):
        list(export_model(saved_run, tmp_path / "out", "peft"))
    assert not (tmp_path / "out").exists()


def test_a_half_precision_adapter_file_is_what_it_says(tmp_path, tokenizer):
    run = adapted_run(tmp_path / "run", "qwen2", tokenizer)
    assert all(result.passed for result in export_model(run, tmp_path / "out", "peft", dtype="bfloat16"))
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
