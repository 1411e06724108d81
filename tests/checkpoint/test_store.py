"""Checkpoints survive a kill, refuse damage, and name what does not fit."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.models.llama import LlamaConfig
from limpid.models.registry import build
from limpid.parallel.environment import World
from limpid.text.tokenizer import TokenizerSection, train

ALONE = World(0, 1, torch.device("cpu"))
TOKENIZER = train(TokenizerSection(kind="char"), ["abcdefgh 中文"])
CONFIG = LlamaConfig(
    vocab_size=TOKENIZER.vocab_size, context=16, d_model=32, n_layer=2, n_head=2, n_kv_head=1, head_dim=16, d_ff=64
)


def save(run, step, seed=0):
    path = store.checkpoint_path(run, step)
    store.write(path, build(CONFIG, seed=seed), TOKENIZER, {"step": step}, ALONE)
    return path


def test_what_was_written_is_read(tmp_path):
    path = save(tmp_path, 3, seed=7)
    checkpoint = store.read(path)
    assert checkpoint.config == CONFIG
    assert checkpoint.state["step"] == 3
    assert checkpoint.tokenizer.fingerprint == TOKENIZER.fingerprint
    for p, q in zip(checkpoint.model.parameters(), build(CONFIG, seed=7).parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_run_means_its_newest_checkpoint_and_a_line_its_last_finished_stage(tmp_path):
    save(tmp_path / "pretrain", 1)
    newest = save(tmp_path / "pretrain", 2)
    unfinished = save(tmp_path / "sft", 5)
    assert store.find(tmp_path / "pretrain") == newest
    assert store.find(tmp_path) == unfinished
    (tmp_path / "pretrain" / "summary.json").write_text("{}")
    assert store.find(tmp_path) == newest


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_one_changed_byte_is_noticed(tmp_path, name):
    path = save(tmp_path, 1)
    raw = bytearray((path / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (path / name).write_bytes(bytes(raw))
    with pytest.raises(LimpidError, match=rf"{name} is damaged"):
        store.read(path)


def test_tensors_that_do_not_fit_are_all_named_and_none_is_loaded(tmp_path):
    model = build(CONFIG, seed=0)
    before = model.norm.weight.detach().clone()
    tensors = {name: torch.ones_like(p) * 5 for name, p in model.named_parameters()}
    del tensors["head.weight"]
    tensors["blocks.0.attention.qkv.weight"] = torch.ones(2, 2)
    tensors["stranger"] = torch.ones(1)
    with pytest.raises(LimpidError) as caught:
        store.load_tensors(model, tensors, "here")
    message = str(caught.value)
    assert "head.weight is missing" in message
    assert "stranger is not the model's" in message
    assert "blocks.0.attention.qkv.weight is (2, 2), not (64, 32)" in message
    assert torch.equal(model.norm.weight, before)


def test_a_tokenizer_of_another_size_is_refused(tmp_path):
    path = save(tmp_path, 1)
    (path / "tokenizer.json").write_text(train(TokenizerSection(kind="char"), ["other letters"]).to_json())
    sums = json.loads((path / "checksums.json").read_text())
    sums["tokenizer.json"] = store._sha256(path / "tokenizer.json")
    (path / "checksums.json").write_text(json.dumps(sums))
    with pytest.raises(LimpidError, match="do not belong together"):
        store.read(path)


def test_the_newest_and_the_best_are_kept(tmp_path):
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
    store.prune(tmp_path, keep=2, best=1)
    assert store.steps_of(tmp_path) == [1, 3, 4]


def test_nothing_is_deleted_while_the_newest_is_damaged(tmp_path):
    for step in (1, 2):
        path = save(tmp_path, step)
    (path / "model.safetensors").write_bytes(b"")
    with pytest.raises(LimpidError, match="damaged"):
        store.prune(tmp_path, keep=1, best=None)
    assert store.steps_of(tmp_path) == [1, 2]


def test_a_folder_without_a_run_says_what_there_is(tmp_path):
    save(tmp_path / "mine", 1)
    with pytest.raises(LimpidError, match="there is no run at .*other.* there are: mine"):
        store.find(tmp_path / "other")


def test_killed_at_any_moment_of_a_save_a_whole_checkpoint_remains(tmp_path):
    """A process that saves without end is killed at many moments; the newest checkpoint always verifies."""
    script = tmp_path / "save.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from test_store import save, store\n"
        "run = Path(sys.argv[1])\n"
        "for step in range(1, 100000):\n"
        "    save(run, step, seed=step)\n"
        "    store.prune(run, 1, None)\n"
        "    print(step, flush=True)\n"
    )
    run = tmp_path / "run"
    for attempt in range(8):
        with subprocess.Popen(
            [sys.executable, str(script), str(run), os.path.dirname(__file__)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.007 * attempt + 0.02)
            process.send_signal(signal.SIGKILL)
        steps = store.steps_of(run)
        assert steps
        assert store.read(run).state["step"] == steps[-1]
        for step in steps:
            store.verify(store.checkpoint_path(run, step))


def test_a_disk_that_fills_up_in_a_save_is_one_clear_line_and_loses_nothing(tmp_path):
    """On a real file system of 600 kB; only root can mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        step = 0
        with pytest.raises(LimpidError, match=r"The disk \(or your quota\) is full") as caught:
            for step in range(1, 50):
                save(disk / "run", step)
        assert "\n" not in str(caught.value)
        assert store.steps_of(disk / "run") == list(range(1, step))
        store.verify(store.checkpoint_path(disk / "run", step - 1))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_copy_that_somebody_made_beside_is_no_step(tmp_path):
    run = tmp_path / "run"
    for name in ("step-00000200", "step-00000200.before", "step-copy"):
        (run / "checkpoints" / name).mkdir(parents=True)
        (run / "checkpoints" / name / "checksums.json").write_text("{}")
    assert store.steps_of(run) == [200]
