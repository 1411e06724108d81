"""``limpid models``: published sizes, and memory that is added up by hand."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

from limpid.cli.main import main
from limpid.models.registry import FAMILIES, PRESETS


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["models", *args])
    out = capsys.readouterr()
    return int(caught.value.code or 0), out.out, out.err


def test_gpt2_is_counted_and_its_memory_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "gpt2", "--json")
    (plan,) = json.loads(out)
    assert code == 0
    assert plan["parameters"] == 124_439_808
    assert plan["weights_float32_bytes"] == 4 * 124_439_808
    ones = 12 * (4 * 768 + 3 * 768 + 768 + 4 * 768 + 768) + 2 * 768  # norms and biases stay float32
    assert plan["weights_bfloat16_bytes"] == 2 * 124_439_808 + 2 * ones
    assert plan["training_adamw_bytes"] == 16 * 124_439_808
    assert plan["training_muon_bytes"] == 16 * 124_439_808 - 4 * 12 * 12 * 768**2
    assert plan["cache_bfloat16_bytes"] == 2 * 12 * 1024 * 768 * 2
    assert plan["config"]["d_ff"] == 3072


def test_the_cache_follows_context_and_rows(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "llama3-8b", "--context", "1000", "--rows", "3", "--json")
    (plan,) = json.loads(out)
    assert plan["cache_bfloat16_bytes"] == 3 * 1000 * 2 * 32 * 8 * 128 * 2
    assert plan["parameters"] == 8_030_261_248


def test_the_table_fits_a_terminal_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(capsys, "llama3.1-405b", "qwen3-235b-a22b")
    lines = [line for line in out.splitlines() if "b " in line[:17]]
    assert "405,853,388,800" in lines[0]
    assert "22" in lines[1]
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_family_lists_its_presets(capsys: pytest.CaptureFixture[str], family: str) -> None:
    code, out, _ = run(capsys, family, "--json")
    assert code == 0
    assert {plan["preset"] for plan in json.loads(out)} == set(FAMILIES[family].presets)


def test_the_table_shows_what_json_says(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run(capsys, "gpt")
    assert code == 0
    for words in ("gpt2-xl", "1,557,611,200", "gpt3-175b", "12,288", "6.23"):
        assert words in out


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "gpt-2")
    assert code == 1
    assert out == ""
    assert "no preset and no family is called 'gpt-2'. Did you mean 'gpt2'?" in err


def test_all_are_planned_without_memory() -> None:
    """Everything that is listed, a model of 405 billion parameters among it, in less memory than torch takes twice."""
    program = "import sys; sys.argv = ['limpid', 'models', '--json']; from limpid.cli.main import main; main()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    plans = {plan["preset"]: plan for plan in json.loads(done.stdout)}
    assert plans.keys() == PRESETS.keys()
    assert plans["llama3.1-405b"]["weights_bfloat16_bytes"] > 8e11
    peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    assert peak < 1.5e6 or before > 1.5e6  # kilobytes; other tests' children count too
