"""The curl lines and the program of docs/serving.md do what they say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.conftest import Served, served

GUIDE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", GUIDE, flags=re.DOTALL)
CURLS = [
    line for _, text in BLOCKS for line in text.replace("\\\n", " ").splitlines() if line.startswith("curl ")
]  # fmt: skip


@pytest.fixture(scope="module")
def demo(run: Path) -> Iterator[Served]:
    with served([f"demo={run}"]) as server:
        yield server


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("line", CURLS, ids=[shlex.split(line)[1].rpartition("8000")[2] for line in CURLS])
def test_curl(demo: Served, line: str) -> None:
    command = shlex.split(line.replace("http://127.0.0.1:8000", demo.url))
    done = subprocess.run(
        [*command, "--silent", "--show-error"], capture_output=True, text=True, timeout=60, check=True
    )
    if '"stream": true' in line:
        assert done.stdout.startswith("data: {")
        assert done.stdout.endswith("data: [DONE]\n\n")
    else:
        assert "error" not in json.loads(done.stdout)


def test_the_program(demo: Served) -> None:
    (program,) = [text for language, text in BLOCKS if language == "python"]
    program = program.replace("http://127.0.0.1:8000", demo.url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout) > 100
    assert len(CURLS) >= 4
