"""What limpid exports, transformers loads unmodified: the same logits, tokens, ids and conversations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tests.checkpoint.conftest import STRINGS, Saved, randomise
from tests.checkpoint.hugging_face.test_import import MODELS
from tests.conftest import random_llama

from limpid.checkpoint import store
from limpid.checkpoint.hugging_face.families import TABLES, layout_of
from limpid.checkpoint.hugging_face.folder import INDEX, plan, write_tensors
from limpid.checkpoint.hugging_face.model import read_model, their_shapes
from limpid.core.errors import LimpidError
from limpid.inference.language_model import LanguageModel
from limpid.inference.weights import inference_copy
from limpid.models.decoder import Decoder
from limpid.models.llama import LlamaConfig
from limpid.models.registry import build
from limpid.parallel.environment import World
from limpid.stages import export_model as stage
from limpid.stages.export_model import export_model
from limpid.stages.import_model import import_model
from limpid.text.chat import prompt
from limpid.text.tokenizer import SPECIAL_TOKENS, Tokenizer

WORLD = World(0, 1, torch.device("cpu"))
TALK = [
    {"role": "system", "content": "You are 🙂."},
    {"role": "user", "content": " 床?\n"},
    {"role": "assistant", "content": "Bed."},
    {"role": "user", "content": "12?"},
]


def random_gpt(**changes: object) -> Decoder:
    from limpid.models.gpt import GptConfig

    shape = {"vocab_size": 320, "context": 64, "d_model": 32, "n_layer": 2, "n_head": 4, "d_ff": 128}
    return randomise(build(GptConfig.model_validate(shape | changes)))


FAMILIES = {
    "qwen3": lambda: random_llama(),
    "llama": lambda: random_llama(qk_norm=False, tie_embeddings=True, rope_base=700.0),
    "mistral": lambda: random_llama(qk_norm=False, window=9),
    "qwen2": lambda: random_llama(qk_norm=False, qkv_bias=True),
    "qwen3-window": lambda: random_llama(window=9),
    "mixtral": lambda: random_llama(qk_norm=False, n_expert=4),
    "qwen3-moe": lambda: random_llama(n_expert=5, experts_per_token=3, normalise_experts=False),
    "llama-3.1": lambda: random_llama(
        qk_norm=False, rope_scaling={"kind": "llama3", "factor": 8.0, "original_context": 16}
    ),
    "qwen3-yarn": lambda: random_llama(rope_scaling={"kind": "yarn", "factor": 4.0, "original_context": 16}),
    "gpt2": lambda: random_gpt(),
    "gpt1": lambda: random_gpt(norm="post"),
}


def save_run(run: Path, model: Decoder, tokenizer: Tokenizer) -> Path:
    store.write(store.checkpoint_path(run, 1), model, tokenizer, {"stage": "sft", "step": 1}, WORLD)
    return run


@pytest.mark.parametrize("name", FAMILIES)
def test_transformers_computes_and_says_the_same(
    name: str, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.witness, "is_here", lambda: False)  # it is asked below, in this process
    model = FAMILIES[name]()
    run = save_run(tmp_path / "run", model, tokenizer)
    results = list(export_model(run, tmp_path / "out", "hf"))
    assert [(r.reader, r.passed) for r in results] == [("limpid import", True)]

    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    ids = torch.randint(320, (1, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(ids).logits
        assert float((model.head(model(ids)) - expected).abs().max()) <= 1e-5 * float(expected.std().clamp(min=1))
    lm = LanguageModel(inference_copy(model, torch.float32), tokenizer)
    spoken = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    start = spoken("The cat", return_tensors="pt", return_token_type_ids=False)
    stops = {tokenizer.end_of_text, tokenizer.end_of_turn}
    made = theirs.generate(**start, max_new_tokens=20, do_sample=False)[0, start["input_ids"].shape[1] :].tolist()
    said = [event.token_id for event in lm.stream("The cat", max_tokens=20, temperature=0)]
    cut = next((place + 1 for place, token in enumerate(said) if token in stops), len(said))
    assert made == said[:cut]


def test_tokens_and_conversations_are_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", random_llama(), tokenizer)
    assert all(r.passed for r in export_model(run, tmp_path / "out", "hf"))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in STRINGS:
        assert theirs(text)["input_ids"] == tokenizer.encode(text), text
        assert theirs.decode(tokenizer.encode(text)) == text
    spelt = b"".join(map(tokenizer.token_bytes, prompt(tokenizer, TALK[:1]))).decode()
    assert theirs.apply_chat_template(TALK[:1], tokenize=False, add_generation_prompt=True) == spelt
    ids = theirs.apply_chat_template(TALK, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert ids == prompt(tokenizer, TALK)
    assert theirs.eos_token == "<|endoftext|>"
    assert set(theirs.all_special_tokens) <= set(SPECIAL_TOKENS)


def test_control_tokens_that_a_user_types(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """transformers takes their spelling for the tokens unless told otherwise; the guide says so, and how to tell it."""
    run = save_run(tmp_path / "run", random_llama(), tokenizer)
    assert all(r.passed for r in export_model(run, tmp_path / "out", "hf"))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    typed = "a <|end|> b"
    assert tokenizer.end_of_turn in theirs(typed)["input_ids"]
    assert theirs(typed, split_special_tokens=True)["input_ids"] == tokenizer.encode(typed)
    assert not set(tokenizer.encode(typed)) & tokenizer.special_ids


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_shards_of_another_dtype(dtype: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", random_llama(), tokenizer)
    results = list(export_model(run, tmp_path / "out", "hf", dtype=dtype, shard_bytes=20_000))
    assert [(r.reader, r.passed) for r in results] == [("limpid import", True), ("transformers", True)]
    index = json.loads((tmp_path / "out" / INDEX).read_text())
    files = {path.name for path in (tmp_path / "out").glob("*.safetensors")}
    assert set(index["weight_map"].values()) == files
    assert len(files) > 2
    assert max((tmp_path / "out" / file).stat().st_size for file in files) < 25_000
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["dtype"], config["architectures"]) == (dtype, ["Qwen3ForCausalLM"])
    generation = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert set(generation["eos_token_id"]) == {tokenizer.end_of_text, tokenizer.end_of_turn}


def test_what_went_out_comes_in_again(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = random_llama()
    run = save_run(tmp_path / "run", model, tokenizer)
    list(export_model(run, tmp_path / "out", "hf"))
    import_model(str(tmp_path / "out"), tmp_path / "again")
    again = store.read(tmp_path / "again")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.model.parameters(), strict=True))
    assert again.tokenizer.fingerprint == tokenizer.fingerprint
    assert again.model.config == model.config


def test_an_imported_model_goes_out_with_its_own_template(save: Saved, tmp_path: Path) -> None:
    folder, _ = save(randomise(MODELS["llama"]()))
    import_model(str(folder), tmp_path / "run")
    results = list(export_model(tmp_path / "run", tmp_path / "out", "hf"))
    assert [r.passed for r in results] == [True, True]
    first, last = (transformers.AutoTokenizer.from_pretrained(place) for place in (folder, tmp_path / "out"))
    assert last.chat_template == first.chat_template
    assert (last.bos_token, last.eos_token) == (first.bos_token, first.eos_token)


def test_a_wrong_table_does_not_pass(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The check is not blind: two matrices exchanged in what is written, and it says so."""
    from limpid.checkpoint.hugging_face import export
    from limpid.cli.main import main

    def exchanged(config: LlamaConfig) -> object:
        layout = layout_of(config)
        rows = [
            row._replace(theirs=(row.theirs[1], row.theirs[0])) if "gate_up" in row.ours else row for row in layout.rows
        ]
        return layout._replace(rows=rows)

    monkeypatch.setattr(export, "layout_of", exchanged)
    run = save_run(tmp_path / "run", random_llama(), tokenizer)
    with pytest.raises(SystemExit) as end:
        main(["export", str(run), str(tmp_path / "out"), "--to", "hf"])
    out, err = capfd.readouterr()
    assert end.value.code == 1
    assert out.count("FAILED") == 2
    assert "is not the same model" in err


def test_the_result_as_json(tokenizer: Tokenizer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from limpid.cli.main import main

    run = save_run(tmp_path / "run", random_llama(), tokenizer)
    with pytest.raises(SystemExit) as end:
        main(["export", str(run), str(tmp_path / "out"), "--to", "two-files", "--json"])
    said = json.loads(capfd.readouterr().out)
    assert end.value.code == 0
    assert said["files"] == ["model.safetensors", "run.py"]
    assert [comparison["passed"] for comparison in said["parity"]] == [True]
    with pytest.raises(SystemExit):
        main(["export", str(run), str(tmp_path / "other"), "--to", "hf", "--shard-size", "lots"])
    assert "--shard-size lots is no size" in capfd.readouterr().err


def test_a_model_of_70_billion_parameters_is_planned_without_memory() -> None:
    import resource

    config = LlamaConfig(
        vocab_size=128_256, context=8192, d_model=8192, n_layer=80, n_head=64, n_kv_head=8, head_dim=128, d_ff=28_672,
        qk_norm=False,
    )  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    planned = plan(their_shapes(config, layout_of(config)), torch.bfloat16, 5 * 10**9)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert planned.total_bytes == 141_107_412_992  # what Llama-3-70B's published index says
    assert len(planned.contents["weight_map"]) == 723  # and how many tensors it lists
    assert planned.files[0][0] == f"model-00001-of-{len(planned.files):05d}.safetensors"
    assert 29 <= len(planned.files) <= 31
    assert after - before < 200_000  # kB


def test_every_tensor_is_in_exactly_one_file(tmp_path: Path) -> None:
    tensors = {f"t{i}": torch.full((i + 1, 10), float(i)) for i in range(9)}
    planned = plan(tensors, torch.float32, 500)
    assert [name for _, names in planned.files for name in names] == list(tensors)
    write_tensors(tmp_path, tensors, torch.float32, 500)
    from limpid.checkpoint.hugging_face.folder import TensorFolder

    read = TensorFolder(tmp_path)
    assert all(torch.equal(read.tensor(name), tensor) for name, tensor in tensors.items())


def test_every_table_is_its_own_inverse(tmp_path: Path) -> None:
    for make in FAMILIES.values():
        model = make()
        layout = layout_of(model.config)
        from limpid.checkpoint.hugging_face.rows import to_theirs

        folder = tmp_path / layout.config["architectures"][0]
        folder.mkdir(exist_ok=True)
        write_tensors(folder, to_theirs(layout.rows, dict(model.named_parameters())), torch.float32, 10**9)
        (folder / "config.json").write_text(json.dumps(layout.config))
        again = read_model(folder)
        assert again.config == model.config
        for (name, a), b in zip(model.named_parameters(), again.parameters(), strict=True):
            np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy(), err_msg=name)
    assert set(TABLES) >= {"llama", "gpt"}


def test_mistakes(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", random_gpt(positions="sinusoidal"), tokenizer)
    for to, dtype, message in [
        ("onnx", "float32", "no form 'onnx'"),
        ("hf", "int8", "no dtype is called 'int8'"),
        ("hf", "float32", "model.positions = sinusoidal"),
    ]:
        with pytest.raises(LimpidError, match=message):
            list(export_model(run, tmp_path / "out", to, dtype=dtype))
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", ["hf", "gguf", "two-files"])
def test_a_speedrun_model_has_no_such_form(to: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    from limpid.models.registry import FAMILIES

    family = FAMILIES["speedrun"]
    keys = family.dial(1, {"d_model": 64}) | {"d_model": 64, "vocab_size": 320, "context": 64}
    run = save_run(tmp_path / "run", build(family.config.model_validate(keys), seed=0), tokenizer)
    with pytest.raises(LimpidError, match="speedrun") as caught:
        list(export_model(run, tmp_path / "out", to))
    assert "\n" not in str(caught.value)
