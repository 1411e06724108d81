"""`limpid data inspect`: what is shown is what is trained, token by token."""

import json
from pathlib import Path

import pytest
import tomli_w
from tests.stages.test_sft import talk, write

from limpid.cli.main import main
from limpid.core.recipe import parse
from limpid.stages.fine_tuning import chats_of, fine_tuning_batches, talks_of
from limpid.stages.recipe import Recipe
from limpid.text.tokenizer import Tokenizer, train


@pytest.fixture
def recipe(tmp_path: Path, tiny_table: dict, monkeypatch: pytest.MonkeyPatch) -> str:
    rows = [talk("cat on", "sat"), talk("it", "was good"), talk("a mat", "saw " * 9), talk("it was a " * 4, "on")]
    rows.append({"messages": [*talk("on", "a")["messages"], *talk("a", "mat")["messages"]]})
    section = {
        "path": write(tmp_path / "a.jsonl", rows),
        "too_long": "truncate",
        "tokens_per_step": 96,
        "text_share": 0,
    }
    (tmp_path / "tiny.toml").write_text(tomli_w.dumps(tiny_table | {"sft": section}))
    monkeypatch.setenv("LIMPID_RUNS_DIR", str(tmp_path / "runs"))
    return str(tmp_path / "tiny.toml")


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(["data", "inspect", *arguments])
    out = capsys.readouterr()
    assert exit_.value.code == code, out.err
    return out.out if code == 0 else out.err


def test_json_is_the_batch_of_the_step(recipe: str, tiny_table: dict, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(run(capsys, recipe, "--stage", "sft", "--step", "3", "--rows", "9", "--json"))
    loaded = parse(Recipe, tiny_table | {"sft": said_section(recipe)}, "x")
    text = Path(tiny_table["data"]["path"]).read_text()
    tokenizer: Tokenizer = train(loaded.tokenizer, [text])
    talks, _ = talks_of(loaded.sft, chats_of(loaded.sft, 0), tokenizer, 32)
    batch = fine_tuning_batches(loaded.sft, talks, None, 32, 0)[2]  # type: ignore[arg-type]
    assert len(said["rows"]) == len(batch.inputs) == 3
    for row, targets, weights in zip(said["rows"], batch.targets.tolist(), batch.weights.tolist(), strict=True):
        tokens = [token for document in row["documents"] for token in document["tokens"][1:]]
        assert [token["id"] for token in tokens] == targets[: 32 - row["padding"]]
        assert [token["state"] == "trained" for token in tokens] == [bool(w) for w in weights[: 32 - row["padding"]]]
        assert not any(weights[32 - row["padding"] :])
    assert said["step"] == 3
    counts = said["counts"]
    assert counts["trained"] + counts["masked"] + counts["padding"] == 32 * counts["rows"]
    assert [unfit["source"].rpartition(":")[2] for unfit in said["truncated"]] == ["3"]
    assert [unfit["source"].rpartition(":")[2] for unfit in said["dropped"]] == ["4"]


def said_section(recipe: str) -> dict:
    import tomllib

    return tomllib.loads(Path(recipe).read_text())["sft"]


def test_the_screen_shows_turns_borders_and_what_was_left_out(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, recipe, "sft.too_long=truncate", "--rows", "9")  # the override says which stage is meant
    assert said.startswith("sft, context 32, tokenizer learnt anew (char")
    assert "masked  <|endoftext|>|<|user|>|c|a|t| |o|n|<|end|>|<|assistant|>" in said
    assert "trained s|a|t|<|end|>" in said
    assert "document 2, which sees none of the others" in said
    flat = " ".join(said.split())
    assert "a.jsonl:3, 46 tokens: cut to 33 tokens" in flat
    assert "a.jsonl:4" in flat
    assert "no token to learn from within the context" in flat


def test_pretraining_and_colours(recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    said = run(capsys, recipe)
    assert said.startswith("pretrain")
    assert "document 1: 33 tokens, 32 trained" in said
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[1;32ms\x1b[0m" in run(capsys, recipe, "--stage", "sft", "--rows", "9")


@pytest.mark.parametrize("stage", ["reward", "dpo"])
def test_pairs_of_answers(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str) -> None:
    pairs = [{"prompt": "cat", "chosen": "it sat", "rejected": "it saw"} for _ in range(1)]
    pairs += [
        {"prompt": word, "chosen": "on", "rejected": "a"} for word in "the cat sat on a mat and saw that it was".split()
    ]
    path = write(tmp_path / "pairs.jsonl", pairs)
    said = json.loads(run(capsys, recipe, f"{stage}.path={path}", "--rows", "99", "--json"))
    assert said["stage"] == stage
    rows = said["rows"]
    assert len(rows) == said["counts"]["training pairs"]
    for row in rows:
        assert [document["label"] for document in row["documents"]] == ["chosen", "rejected"]
        for document in row["documents"]:
            states = [token["state"] for token in document["tokens"]]
            texts = [token["text"] for token in document["tokens"]]
            begin = texts.index("<|assistant|>") + 1 if stage == "dpo" else len(texts) - 1
            assert states == ["masked"] * begin + ["trained"] * (len(texts) - begin)
            assert texts[-1] == "<|end|>"


@pytest.mark.parametrize("stage", ["grpo", "ppo"])
def test_prompts_of_rollouts(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str) -> None:
    path = write(
        tmp_path / "q.jsonl", [{"question": f"{a} {b}", "answer": "on"} for a in ("cat", "mat") for b in ("a", "sat")]
    )
    said = json.loads(run(capsys, recipe, f"{stage}.path={path}", f"{stage}.max_tokens=8", "--json"))
    (document,) = said["rows"][0]["documents"]
    assert document["label"] == "a prompt; expected: on"
    assert document["tokens"][-1]["text"] == "<|assistant|>"
    assert {token["state"] for token in document["tokens"]} == {"masked"}
    assert any("at most 8 tokens" in note for note in said["notes"])


def test_mistakes(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'sft'?" in run(capsys, recipe, "--stage", "sftt", code=1)
    (tmp_path / "b.jsonl").write_text('{"messages": 3}\n')
    assert "b.jsonl:1 must be a list" in run(capsys, recipe, f"sft.path={tmp_path}/b.jsonl", code=1)
