"""The runs page's API: what it tells of a folder of runs, what it does to them, and what it keeps away from."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from tests.server.conftest import SMALL, Served, served

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.core.paths import RunLock
from limpid.core.user_code import agreement, digest
from limpid.rollout.rewards.user import UserFunction
from limpid.server.errors import ApiError
from limpid.server.loading import Loader, place_of
from limpid.server.run_control import RunControl, lock_owner
from limpid.server.run_folder import RunFolder

TINY: dict[str, Any] = {
    "tokenizer": {"kind": "char"},
    "model": {"family": "llama", "depth": 1, "d_model": 32, "n_head": 2, "n_kv_head": 1, "head_dim": 16, "d_ff": 32,
              "context": 16, "n_layer": 1},
    "train": {"steps": 20_000, "tokens_per_step": 32, "dtype": "float32", "compile": False, "device": "cpu"},
    "eval": {"every": 10},
    "checkpoint": {"every": 0, "keep": 2},
}  # fmt: skip
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folder") / "runs"


@pytest.fixture(scope="module")
def own(root: Path, run: Path) -> Iterator[Served]:
    shutil.copytree(run, root / "line" / "sft", ignore=shutil.ignore_patterns("tokens"))
    with served([root / "line" / "sft"]) as running:
        running.state.runs = RunFolder(root)
        running.state.loader = Loader(SMALL, place_of("cpu", "float32"), running.state.metrics)
        yield running


@pytest.fixture
def http(own: Served) -> Iterator[httpx.Client]:
    with own.http() as client:
        yield client


def listed(http: httpx.Client) -> dict[str, dict[str, Any]]:
    return {run["name"]: run for run in http.get("/api/runs").json()["runs"]}


def until(seen: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def begin(root: Path, name: str, file: str = "text.txt") -> subprocess.Popen[bytes]:
    """A training of twenty thousand tiny steps, in a process of its own."""
    text = root.parent / "text.txt"
    text.write_text("The cat sat on the mat. The dog sat on the log. " * 60)
    recipe = root.parent / f"{name}.toml"
    recipe.write_text(tomli_w.dumps(TINY | {"data": {"path": str(root.parent / file)}}))
    return subprocess.Popen(
        [sys.executable, "-m", "limpid", "pretrain", str(recipe), "--out", str(root / name)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT,
    )  # fmt: skip


def test_a_run_is_stopped_and_gone_on_with_and_stopped_again(http: httpx.Client, root: Path) -> None:
    process = begin(root, "live")
    try:
        until(lambda: (listed(http).get("live", {}).get("step") or 0) > 12)
        run = listed(http)["live"]
        assert (run["state"], run["stage"], run["steps"]) == ("running", "pretrain", 20_000)
        assert run["flops_per_token"] > 0
        assert {"loss", "grad_norm", "learning_rate", "tokens_per_second", "memory_bytes", "utilisation"} <= {
            *run["names"]
        }
        assert http.post("/api/runs/stop", json={"run": "live"}).json()["pid"] == process.pid
        assert process.wait(60) == 143
        run = listed(http)["live"]
        stopped = run["step"]
        assert (run["state"], run["checkpoints"]) == ("interrupted", [stopped])
        again = http.post("/api/runs/stop", json={"run": "live"})
        assert (again.status_code, "nothing is running" in again.json()["error"]["message"]) == (400, True)
        detail = http.get("/api/runs/one", params={"run": "live"}).json()
        assert detail["resume"]["command"][-1] == "--resume"
        assert detail["keys"]["train.steps"] == "20000"
        assert detail["texts"][0]["step"] == 10
        told = http.post("/api/runs/resume", json={"run": "live"}).json()["command"]
        assert told == detail["resume"]["command"]
        twice = http.post("/api/runs/resume", json={"run": "live"})
        assert "is running already" in twice.json()["error"]["message"]
        until(lambda: listed(http)["live"]["step"] > stopped + 3)
        child = listed(http)["live"]["child"]
        assert child["code"] is None
        assert http.post("/api/runs/stop", json={"run": "live"}).json()["pid"] == child["pid"]
        until(lambda: listed(http)["live"]["child"]["code"] == 143)
        steps = [json.loads(line)["step"] for line in (root / "live" / "metrics.jsonl").read_text().splitlines()]
        assert sorted(set(steps)) == list(range(1, max(steps) + 1))  # no step twice and none left out
        assert "$ limpid pretrain" in http.get("/api/runs/one", params={"run": "live"}).json()["log"]
    finally:
        process.kill()


def test_why_a_run_failed_is_told(http: httpx.Client, root: Path) -> None:
    with begin(root, "bad", file="no such text.txt") as process:
        assert process.wait(120) == 1
    run = listed(http)["bad"]
    assert run["state"] == "failed"
    assert "no such text.txt" in run["reason"]


def test_curves(http: httpx.Client, root: Path) -> None:
    run = root / "curves"
    run.mkdir()
    lines = [json.dumps({"step": i, "loss": 1 / i, "tokens": 8, "seconds": 0.1}) for i in range(1, 5001)]
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    body: dict[str, Any] = {"runs": ["curves", "nothing"], "most": 100, "smooth": 0.9}
    found = http.post("/api/runs/curves", json=body).json()["runs"]
    assert found["nothing"] is None
    loss = found["curves"]["lines"]["loss"]
    assert len(loss["x"]) <= 100
    assert loss["y"][0] == 1
    assert all(y == pytest.approx(1 / x, rel=1e-6) for x, y in zip(loss["x"], loss["y"], strict=True))
    assert len(loss["smooth"]["x"]) <= 100
    known = {"curves": found["curves"]["revision"]}
    assert "curves" not in http.post("/api/runs/curves", json=body | {"known": known}).json()["runs"]
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 5001, "loss": 0.5, "tokens": 8, "seconds": 0.1}) + "\n")
    assert (
        http.post("/api/runs/curves", json=body | {"known": known}).json()["runs"]["curves"]["lines"]["loss"]["y"][-1]
        == 0.5
    )
    shutil.rmtree(run)
    assert http.post("/api/runs/curves", json=body).json()["runs"]["curves"] is None


@pytest.mark.parametrize(
    "name",
    ["..", "../runs", "line/../../secret", "/etc", "line//sft", "./line", "", "link", "link/deep", "line/inner", "a\0b",
     "%2e%2e", "line/sft/checkpoints/../..", "no"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["one", "report", "stop", "resume", "load"])
def test_nothing_outside_is_a_run(http: httpx.Client, root: Path, name: str, path: str) -> None:
    secret = root.parent / "secret"
    if not secret.exists():
        (secret / "deep").mkdir(parents=True)
        for folder in (secret, secret / "deep"):
            (folder / "recipe.toml").write_text("# limpid pretrain\n")
            (folder / "report.html").write_text("secret")
        (root / "link").symlink_to(secret)
        inner = root / "line" / "inner"
        inner.mkdir()
        (inner / "metrics.jsonl").symlink_to(secret / "recipe.toml")
    if path in ("one", "report"):
        response = http.get(f"/api/runs/{path}", params={"run": name})
    else:
        response = http.post(f"/api/runs/{path}", json={"run": name})
    assert response.status_code in (400, 404)
    assert "secret" not in response.text.replace("line/../../secret", "")
    assert not {"link", "link/deep", "line/inner"} & listed(http).keys()


def test_files_that_lead_out_of_a_run_are_not_read(http: httpx.Client, root: Path, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("hidden words")
    run = root / "leaky"
    run.mkdir()
    (run / "recipe.toml").write_text("# limpid pretrain\n")
    for name in ("report.html", "texts.jsonl", "limpid.log"):
        (run / name).symlink_to(tmp_path / "passwd")
    detail = http.get("/api/runs/one", params={"run": "leaky"})
    assert detail.status_code == 200
    assert "hidden" not in detail.text
    assert http.get("/api/runs/report", params={"run": "leaky"}).status_code == 404
    assert listed(http)["leaky"]["report"] is False
    shutil.rmtree(run)


def test_reports_can_ask_nobody(http: httpx.Client, root: Path) -> None:
    (root / "line" / "recipe.toml").write_text("# limpid demo\n")
    (root / "line" / "report.html").write_text("<script>fetch('/api/chats')</script>")
    report = http.get("/api/runs/report", params={"run": "line"})
    policy = report.headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy


def test_damaged_files_are_no_trouble(http: httpx.Client, root: Path) -> None:
    run = root / "broken"
    (run / "checkpoints" / "step-x").mkdir(parents=True)
    for name in ("recipe.toml", "summary.json", "sitting.json", "metrics.jsonl", "texts.jsonl", "report.json"):
        (run / name).write_bytes(b"\xff{\n[1]\n")
    assert listed(http)["broken"]["damaged"] == 2
    detail = http.get("/api/runs/one", params={"run": "broken"}).json()
    assert detail["keys"] == {}
    assert detail["resume"]["why"]
    shutil.rmtree(run)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:1", "null"])
def test_other_pages_change_nothing(own: Served, origin: str) -> None:
    with own.http(origin=origin) as client:
        for path in ("stop", "resume", "load"):
            assert client.post(f"/api/runs/{path}", json={"run": "line/sft"}).status_code == 403


def test_a_page_that_may_ask_for_answers_may_still_stop_nothing(root: Path, run: Path) -> None:
    with served([run], origins=["https://chat.example"]) as friendly:
        friendly.state.runs = RunFolder(root)
        with friendly.http(origin="https://chat.example") as client:
            assert client.get("/v1/models").status_code == 200
            answer = client.post("/api/runs/stop", json={"run": "line/sft"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
        with friendly.http(origin=friendly.url) as client:
            assert client.post("/api/runs/stop", json={"run": "line/sft"}).status_code == 400


def test_a_lock_that_is_another_programs_is_left_alone(http: httpx.Client, root: Path) -> None:
    code = f"import fcntl, time; f = open({str(root / 'line/sft/.lock')!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"  # noqa: E501
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            (root / "line" / "sft" / ".lock").write_text(f"{os.getpid()}\n")  # the file lies; the kernel does not
            answer = http.post("/api/runs/stop", json={"run": "line/sft"})
            assert answer.status_code == 400
            assert other.poll() is None
            (root / "line" / "sft" / ".lock").write_text(f"{other.pid}\n")
            answer = http.post("/api/runs/stop", json={"run": "line/sft"})
            assert "no limpid process" in answer.json()["error"]["message"]
            assert other.poll() is None
        finally:
            other.send_signal(signal.SIGKILL)


def test_a_lock_of_this_very_process(http: httpx.Client, root: Path) -> None:
    with RunLock(root / "line" / "sft"):
        assert lock_owner(root / "line" / "sft") == os.getpid()
        answer = http.post("/api/runs/stop", json={"run": "line/sft"})
        assert "this very server" in answer.json()["error"]["message"]
    assert lock_owner(root / "line" / "sft") is None


def test_a_checkpoint_answers_beside_the_others(http: httpx.Client, own: Served, root: Path) -> None:
    here = http.post("/api/runs/load", json={"run": "line/sft"}).json()["model"]
    assert here == "sft"  # it is served already
    shutil.copytree(root / "line" / "sft", root / "other")
    name = http.post("/api/runs/load", json={"run": "other", "step": 1}).json()["model"]
    assert name == "other-1"
    assert [m["id"] for m in http.get("/v1/models").json()["data"]] == ["sft", "other-1"]
    answer = http.post("/v1/completions", json={"model": name, "prompt": "The", "max_tokens": 3}).json()
    assert answer["usage"]["completion_tokens"] == 3
    assert http.post("/api/runs/load", json={"run": "other"}).json()["model"] == name
    assert listed(http)["other"]["served"] == {"1": name}
    assert http.get("/api/runs").json()["loaded"] == [name]
    shutil.copytree(root / "line" / "sft", root / "lr=0.1 \\x")
    assert http.post("/api/runs/load", json={"run": "lr=0.1 \\x"}).json() == {"model": "lr-0.1-x-1"}
    absent = http.post("/api/runs/load", json={"run": "other", "step": 9})
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, "checkpoint_not_found")
    (store.checkpoint_path(root / "other", 1) / "model.safetensors").write_bytes(b"damaged")


def cut_short(own: Served, http: httpx.Client, name: str, monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Any]]:
    """Unload a model in the middle of an answer; weak references to all that it was."""
    model = own.model(name)
    engine = model.runner.engine  # type: ignore[attr-defined]
    subject = own.state.insides._models[name].model
    step, began = engine.step, threading.Event()

    def slowed() -> Any:
        began.set()
        time.sleep(0.01)  # of 900 tokens: long enough that the answer is under way whatever else runs
        return step()

    monkeypatch.setattr(engine, "step", slowed)
    body = {"model": name, "prompt": "The", "max_tokens": 900, "stream": True}
    with own.http() as other, http.stream("POST", "/v1/completions", json=body) as answer:
        assert answer.status_code == 200
        assert began.wait(30)
        told = other.post("/api/runs/unload", json={"model": name}).json()
        assert told == {"model": name, "ended": 1}
        *_, last = [line for line in answer.iter_lines() if line]
    monkeypatch.undo()
    error = json.loads(last.removeprefix("data: "))["error"]
    assert (error["code"], error["message"]) == ("model_unloaded", f"The model '{name}' was unloaded.")
    with pytest.raises(ApiError, match="was unloaded"):  # who found it before it went hears the same
        model.runner.submit([])
    with pytest.raises(ApiError, match="was unloaded"):
        own.state.insides.subject(model)
    return [weakref.ref(one) for one in (model, model.runner, engine, engine.forward, engine.model, subject)]


def test_a_loaded_checkpoint_is_unloaded_and_its_memory_given_back(
    http: httpx.Client, own: Served, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "line" / "sft", root / "passing")
    before = http.get("/api/runs").json()["loaded"]
    name = http.post("/api/runs/load", json={"run": "passing"}).json()["model"]
    assert http.get("/api/runs").json()["loaded"] == sorted([*before, name])
    http.post("/api/trace", json={"model": name, "text": "The cat"})  # looked into, so a copy of it is kept
    left = cut_short(own, http, name, monkeypatch)
    until(lambda: gc.collect() >= 0 and not [one for one in left if one() is not None])
    assert name not in [m["id"] for m in http.get("/v1/models").json()["data"]]
    assert http.get("/api/runs").json()["loaded"] == before
    refused = http.post("/v1/completions", json={"model": name, "prompt": "The"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert f'limpid_cache_rows{{model="{name}"}}' not in http.get("/metrics").text
    assert http.post("/api/runs/load", json={"run": "passing"}).json()["model"] == name  # and back again
    assert http.post("/v1/completions", json={"model": name, "prompt": "The", "max_tokens": 3}).status_code == 200
    assert f'limpid_cache_rows{{model="{name}"}}' in http.get("/metrics").text
    assert http.post("/api/runs/unload", json={"model": name}).json()["ended"] == 0


def test_what_cannot_be_unloaded(http: httpx.Client) -> None:
    for model, status, code in (("sft", 409, "model_stays"), ("nobody", 404, "model_not_found")):
        refused = http.post("/api/runs/unload", json={"model": model})
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    refused = http.post("/api/runs/unload", json={"model": "sft"}, headers={"origin": "http://evil.example"})
    assert refused.status_code == 403


def test_without_a_folder(run: Path, tmp_path: Path) -> None:
    with served([run]) as plain, plain.http() as client:
        assert client.get("/api/runs").json()["error"]["code"] == "runs_off"
        plain.state.runs = RunFolder(tmp_path / "nowhere")
        assert client.get("/api/runs").json() == {
            "folder": str(tmp_path / "nowhere"), "exists": False, "runs": [], "loaded": [], "reading": None,
        }  # fmt: skip


def test_how_a_run_is_gone_on_with(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for stage in ("pretrain", "sft", "reward"):
        (root / "line" / stage / "checkpoints").mkdir(parents=True)
        (root / "line" / stage / "recipe.toml").write_text(f"# limpid {stage}\n")
    control, sft = RunControl(RunFolder(root)), root / "line" / "sft"
    assert control.command(sft) == [
        "sft", str(sft / "recipe.toml"), "--out", str(sft), "--resume", "--from", str(root / "line" / "pretrain"),
    ]  # fmt: skip
    for noted, wanted in (
        (["demo", "--out", "runs/line"], ["demo", "--out", "runs/line", "--no-browser"]),
        (["sft", "demo", "--out", "runs/line/sft"], ["sft", "demo", "--out", "runs/line/sft", "--resume"]),
        (["sft", "demo", "--resume"], ["sft", "demo", "--resume", "--out", str(sft)]),
        (
            ["sft", "demo", "--out=/elsewhere", "optim.lr=1"],
            ["sft", "demo", "optim.lr=1", "--out", str(sft), "--resume"],
        ),
        (["demo", "--out", "/elsewhere"], ["demo", "--out", str(sft.parent), "--no-browser"]),
    ):
        (sft / "sitting.json").write_text(json.dumps({"command": noted, "directory": str(tmp_path)}))
        assert control.command(sft) == wanted
    for facts, words in (
        ({"command": ["serve", "x"]}, "not begun by a training verb"),
        ({"command": ["sft", "demo"], "processes": 2}, "by torchrun"),
    ):
        (sft / "sitting.json").write_text(json.dumps(facts))
        with pytest.raises(LimpidError, match=words):
            control.command(sft)
    shutil.rmtree(root / "line" / "pretrain")
    (sft / "sitting.json").unlink()
    with pytest.raises(LimpidError, match="what it was begun from"):
        control.command(sft)


def test_code_that_is_not_limpids_runs_only_when_agreed_to(http: httpx.Client, root: Path, tmp_path: Path) -> None:
    """A folder of a stranger's that names reward files, and modules beside it that stand in for Python's own."""
    ran = tmp_path / "ran"
    for name in ("rewards", "torch", "limpid", "json"):
        (tmp_path / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write('{name}')\ndef f(*a): return 1.0\n")
    run = root / "stranger" / "grpo"
    run.mkdir(parents=True)
    recipe = '[[grpo.rewards]]\nfunction = "rewards.py:f"\n'
    (run / "recipe.toml").write_text(f"# limpid grpo\n{recipe}")
    told = {
        "command": ["grpo", str(run / "recipe.toml"), "--from", str(root / "line" / "sft")],
        "directory": str(tmp_path),
    }
    (run / "sitting.json").write_text(json.dumps(told))
    (code,) = http.get("/api/runs/one", params={"run": "stranger/grpo"}).json()["resume"]["code"]
    assert code["path"] == str(tmp_path / "rewards.py")
    assert "def f" in code["text"]
    refused = http.post("/api/runs/resume", json={"run": "stranger/grpo"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "code_not_agreed")
    (tmp_path / "rewards.py").write_text("changed since it was read")
    again = http.post("/api/runs/resume", json={"run": "stranger/grpo", "agreed": [code["digest"]]})
    assert again.json()["error"]["code"] == "code_not_agreed"
    # A file that the page does not find is refused by the process that would run it.
    (run / "recipe.toml").write_text("# limpid grpo\n" + recipe.replace("rewards.py:f", "rewards\\u002epy:f"))
    assert http.get("/api/runs/one", params={"run": "stranger/grpo"}).json()["resume"]["code"] == []
    assert http.post("/api/runs/resume", json={"run": "stranger/grpo"}).status_code == 200
    until(lambda: (listed(http)["stranger/grpo"]["child"] or {}).get("code") is not None)
    assert not ran.exists()
    shutil.rmtree(root / "stranger")


def test_a_process_of_a_page_runs_no_code_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "own.py"
    file.write_text("def f(prompt, answer, row):\n    return 1.0\n")
    UserFunction(f"{file}:f", {}, 5.0).close()
    for name, value in agreement([]).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LimpidError, match="nobody has agreed"):
        UserFunction(f"{file}:f", {}, 5.0)
    for name, value in agreement([digest(file)]).items():
        monkeypatch.setenv(name, value)
    UserFunction(f"{file}:f", {}, 5.0).close()


def test_numbers_that_are_none_are_no_trouble(http: httpx.Client, root: Path) -> None:
    """NaN is what an answer without a reward has in samples.jsonl; JSON has no word for it."""
    run = root / "numberless"
    run.mkdir()
    (run / "recipe.toml").write_text("# limpid grpo\n")
    (run / "samples.jsonl").write_text(
        '{"step": 1, "prompt": "a", "answer": "b", "reward": NaN}\n{"step": Infinity, "prompt": "a", "answer": "b"}\n'
    )
    (run / "summary.json").write_text(
        '{"stage": "grpo", "steps": 3, "validation_bits_per_byte": NaN, "measures": {"x": {"value": NaN, "low": 1.0}}}'
    )
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": NaN}\n{"step": 2, "loss": 1.0}\n')
    try:
        found = listed(http)["numberless"]
        assert (found["step"], found["validation_bits_per_byte"]) == (3, None)
        detail = http.get("/api/runs/one", params={"run": "numberless"}).json()
        assert [(text["text"], text["reward"]) for text in detail["texts"]] == [("b", None)]
        assert detail["measures"] == {"x": {"value": None, "low": 1.0}}
    finally:
        shutil.rmtree(run)
