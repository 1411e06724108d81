import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
import typer

from limpid.cli import main as cli
from limpid.core.errors import Interrupted, LimpidError


def limpid(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limpid", *args]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "100", **environment}
    )


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module in the place of the verb `generate`; a test gives it its function."""
    module = ModuleType("limpid.cli.generate")
    monkeypatch.setitem(sys.modules, "limpid.cli.generate", module)
    monkeypatch.delenv("LIMPID_DEBUG", raising=False)
    return module


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(args)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_help_is_quick_and_lists_every_verb() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = limpid("--help")
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
        assert all(name in done.stdout for name in cli.VERBS)
    print(f"limpid --help: {min(seconds):.3f} s")
    assert min(seconds) < 1.0  # 0.3 s is the aim; this bears a loaded machine


def test_help_imports_no_heavy_library() -> None:
    program = (
        "import sys\nfrom limpid.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    print(sorted({'torch', 'numpy', 'pydantic', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_model_is_loaded_and_asked_without_what_only_training_needs(saved_run: Path) -> None:
    """torch's compiler, its symbols and its sharded tensors: a second and more of processor time at every start."""
    program = (
        "import sys, limpid\nlm = limpid.load(sys.argv[1])\nlm.generate('The cat', max_tokens=2)\n"
        "import limpid.stages.demo\n"
        "print(sorted({'torch._dynamo', 'torch._inductor', 'torch.distributed.tensor', 'sympy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(saved_run)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_unknown_verb_names_the_nearest_on_one_line() -> None:
    done = limpid("pretrian")
    assert done.returncode == 2
    assert done.stderr == "limpid: limpid has no verb 'pretrian'. Did you mean 'pretrain'? See limpid --help.\n"
    assert done.stdout == ""


def test_version() -> None:
    done = limpid("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("limpid")


def test_verb_is_a_plain_function(verb: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def generate(
        run: Annotated[str, typer.Argument(help="The run.")],
        overrides: Annotated[list[str] | None, typer.Argument()] = None,
        max_tokens: Annotated[int, typer.Option(help="How many.")] = 5,
    ) -> None:
        """Continue a text."""
        print(run, overrides, max_tokens)

    verb.generate = generate  # type: ignore[attr-defined]
    assert run("generate", "runs/demo", "optim.lr=1", "--max-tokens", "7") == 0
    assert capsys.readouterr().out == "runs/demo ['optim.lr=1'] 7\n"
    assert run("generate", "--help") == 0
    shown = capsys.readouterr().out
    assert "Continue a text." in shown
    assert "--max-tokens" in shown
    assert run("generate") == 2
    assert run("generate", "x", "--nonsense") == 2


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (LimpidError("No recipe 'x'."), 1, "limpid: No recipe 'x'."),
        (Interrupted("Saved; stopped.", 143), 143, "limpid: Saved; stopped."),
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left on device", "/full"), 1, "limpid: The disk (or your quota) is full at /full"),
        (ValueError("odd\nthing"), 1, "limpid: Unexpected ValueError: odd thing (a bug in limpid"),
    ],
)
def test_errors_are_one_line_and_have_their_codes(
    verb: ModuleType, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    def generate() -> None:
        raise error

    verb.generate = generate  # type: ignore[attr-defined]
    assert run("generate") == code
    shown = capsys.readouterr().err
    assert shown.startswith(line)
    assert shown.count("\n") == bool(line)


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_the_traceback(
    verb: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def generate() -> None:
        raise LimpidError("wrong")

    verb.generate = generate  # type: ignore[attr-defined]
    monkeypatch.setenv("LIMPID_DEBUG", "1" if how == "variable" else "0")
    assert run(*(["--debug"] if how == "option" else []), "generate") == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.endswith("limpid: wrong\n")


def test_ctrl_c_exits_130(tmp_path: Path) -> None:
    program = (
        "import sys, time, types\nmodule = types.ModuleType('limpid.cli.chat')\n"
        "def chat():\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "module.chat = chat\nsys.modules[module.__name__] = module\n"
        "from limpid.cli.main import main\nmain(['chat'])"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


def test_data_lists_the_catalogue(tmp_path: Path) -> None:
    place = {"LIMPID_CACHE_DIR": str(tmp_path), "LIMPID_DATA_DIR": ""}
    table = limpid("data", **place)
    assert table.returncode == 0, table.stderr
    assert "tinyshakespeare" in table.stdout
    entries = {entry["name"]: entry for entry in json.loads(limpid("data", "--json", **place).stdout)}
    shakespeare = entries["tinyshakespeare"]
    assert shakespeare["here"] == "no"
    assert shakespeare["files"][0]["sha256"].startswith("86c4e6aa")
    assert entries["python-docs"]["here"] == "built in"


def test_data_fetch_of_the_unknown_and_the_built_in(tmp_path: Path) -> None:
    unknown = limpid("data", "fetch", "tinyshakespear", LIMPID_CACHE_DIR=str(tmp_path))
    assert unknown.returncode == 1
    assert "Did you mean 'tinyshakespeare'?" in unknown.stderr
    assert unknown.stderr.count("\n") == 1
    built_in = limpid("data", "fetch", "python-docs", LIMPID_CACHE_DIR=str(tmp_path))
    assert built_in.returncode == 0
    assert "built in" in built_in.stdout


NOBODY = {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
"""A proxy where nobody listens: no request leaves the machine."""


def test_data_fetch_leaves_what_the_data_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "data/tinyshakespeare").mkdir(parents=True)
    (tmp_path / "data/tinyshakespeare/input.txt").write_text("To be.")
    place = {"LIMPID_CACHE_DIR": str(tmp_path / "cache"), "LIMPID_DATA_DIR": str(tmp_path / "data")}
    done = limpid("data", "fetch", "tinyshakespeare", **place, **NOBODY)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tinyshakespeare is in LIMPID_DATA_DIR: there is nothing to fetch.\n"


def test_data_fetch_offline_says_what_to_do(tmp_path: Path) -> None:
    place = {"LIMPID_CACHE_DIR": str(tmp_path), "LIMPID_DATA_DIR": ""}
    done = limpid("data", "fetch", "tinyshakespeare", **place, **NOBODY)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Cannot reach https://" in done.stderr
    assert f"put it at {tmp_path}/data/tinyshakespeare/input.txt" in done.stderr
