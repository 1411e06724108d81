from __future__ import annotations

import json
import math
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

import limpid
from limpid.cli.answering import harmless, visible
from limpid.cli.main import main

ARGS = ["--temperature", "0.9", "--seed", "3", "--max-tokens", "12", "--device", "cpu", "--dtype", "float32"]


def run(capfd: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["generate", *args])
    out, err = capfd.readouterr()
    return int(caught.value.code or 0), out, err


def expected(saved_run: Path, prompt: str, **changes: object) -> str:
    settings = {"temperature": 0.9, "seed": 3, "max_tokens": 12} | changes
    return limpid.load(saved_run, device="cpu", dtype="float32").generate(prompt, **settings)


def test_a_pipe_gets_the_continuation_alone(saved_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, str(saved_run), "--prompt", "The cat", *ARGS)
    assert code == 0
    assert out == expected(saved_run, "The cat") + "\n"


def test_json(saved_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, str(saved_run), "--prompt", "床前", "--json", "--alternatives", "3", *ARGS)
    assert code == 0
    shown = json.loads(out)
    assert shown["prompt"] == "床前"
    assert shown["text"] == expected(saved_run, "床前")
    assert shown["finish"] in ("length", "stop")
    assert len(shown["tokens"]) == 12
    lm = limpid.load(saved_run, device="cpu", dtype="float32")
    ids = lm.tokenizer.encode("床前")
    for token in shown["tokens"]:
        scores = lm.logits(ids)[-1].astype(float)
        total = sum(math.exp(score) for score in scores)
        assert token["logprob"] == pytest.approx(scores[token["token_id"]] - math.log(total), abs=1e-3)
        assert [set(a) for a in token["alternatives"]] == [{"text", "token_id", "probability", "chance"}] * 3
        assert token["text"] == lm.tokenizer.token_text(token["token_id"])
        ids.append(token["token_id"])


@pytest.mark.parametrize("prompt", ["The cat sat on the", "床前明月"])
def test_the_picture(saved_run: Path, capfd: pytest.CaptureFixture[str], prompt: str) -> None:
    code, out, _ = run(capfd, str(saved_run), "--prompt", prompt, "--show-probabilities", *ARGS)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{prompt} …"
    bars = lines[2:8]  # five candidates and the others
    percentages = [float(line.split()[-1].rstrip("%")) for line in bars]
    assert sum(percentages) == pytest.approx(100, abs=0.5)
    assert percentages[:5] == sorted(percentages[:5], reverse=True)
    assert len({cell_len(line) for line in bars}) == 1  # Chinese, two cells wide, is aligned too
    lengths = [line.count("█") for line in bars]
    assert lengths == sorted(lengths, reverse=True)
    lm = limpid.load(saved_run, device="cpu", dtype="float32")
    best = lm.logits(lm.tokenizer.encode(prompt))[-1].argsort()[::-1][:5]
    for line, token_id in zip(bars, best, strict=False):
        assert line.strip().startswith(visible(lm.tokenizer.token_text(int(token_id))))
    tokens = [line for line in lines if re.match(r"^  .{1,20} +\d+\.\d%   \S", line)]
    assert len(tokens) == 12
    assert len({cell_len(line[: line.index("%")]) for line in tokens}) == 1
    assert "".join(out.split("\n\n")[-1]).startswith(prompt)


def test_prompt_from_standard_input(saved_run: Path) -> None:
    command = [sys.executable, "-m", "limpid", "generate", str(saved_run), "--prompt", "-", *ARGS]
    done = subprocess.run(command, input="低头思\n".encode(), capture_output=True, check=True)
    assert done.stdout.decode() == expected(saved_run, "低头思") + "\n"
    bad = subprocess.run(command, input=b"abc\xff", capture_output=True, check=False)
    assert bad.returncode == 1
    assert bad.stderr.decode() == "limpid: the prompt is not UTF-8 (at byte 3); convert it first.\n"


def test_on_a_terminal_the_prompt_is_shown(saved_run: Path) -> None:
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "limpid", "generate", str(saved_run), "--prompt", "The cat", *ARGS]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=terminal, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(terminal)
        out = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            if not piece:
                break
            out += piece
        os.close(master)
    assert process.returncode == 0
    shown = out.decode().replace("\r\n", "\n")
    assert shown == f"\x1b[2mThe cat\x1b[0m{harmless(expected(saved_run, 'The cat'))}\n"


def test_stop_strings(saved_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = expected(saved_run, "The cat", max_tokens=40)
    first, second = whole[5:7], whole[9:11]
    _, out, _ = run(
        capfd, str(saved_run), "--prompt", "The cat", *ARGS, "--max-tokens", "40", "--stop", first, "--stop", second
    )
    cut = min(whole.index(stop) + len(stop) for stop in (first, second))
    assert out in {whole[: cut - 2] + "\n"}


def test_a_run_by_its_name(saved_run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LIMPID_RUNS_DIR", str(saved_run.parent))
    code, out, _ = run(capfd, "tiny", "--prompt", "The cat", *ARGS)
    assert code == 0
    assert out == expected(saved_run, "The cat") + "\n"


def test_mistakes_are_one_line(saved_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for args, message in [
        ([str(tmp_path / "none")], "there is no run at"),
        ([str(tmp_path)], "no finished checkpoint"),
        ([str(saved_run), "--top-p", "2"], "top_p"),
        ([str(saved_run), "--seed", "-4"], "seed"),
    ]:
        code, out, err = run(capfd, *args, "--device", "cpu")
        assert code == 1
        assert out == ""
        assert message in err
        assert err.count("\n") == 1


def test_readable_tokens() -> None:
    assert visible(" the") == "␣the"
    assert visible("   ") == "␣␣␣"
    assert visible("a b\n\n") == "a b⏎⏎"
    assert visible("\t床 ") == "⇥床␣"
    assert visible("\x1b[2J\x7f\x9b") == "␛[2J␡<0x9B>"
    assert harmless("ok\n\t\x1b]0;x\x07\r") == "ok\n\t␛]0;x␇␍"


def test_guessing_ahead_changes_nothing(saved_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for draft in ("lookup", str(saved_run)):
        code, out, _ = run(capfd, str(saved_run), "--prompt", "The cat", "--draft", draft, *ARGS)
        assert code == 0
        assert out == expected(saved_run, "The cat") + "\n"


def test_what_cannot_draft_or_has_no_eight_bits_is_said(
    saved_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capfd, str(saved_run), "--draft", str(tmp_path / "nothing"))
    assert code == 1
    assert "nothing" in err
    code, _, err = run(capfd, str(saved_run), "--dtype", "int8")
    assert code == 1
    assert err.strip() == "limpid: int8 weights need the C kernels: head_dim 8, which is no multiple of 16."
