"""The page of runs in a browser: curves grow while a training goes on, a stop saves, a resume goes on."""

from __future__ import annotations

import csv
import io
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.server.conftest import Served
from tests.server.test_runs import begin
from tests.web.conftest import Visit
from tests.web.test_pages import serious

from limpid.server import run_curves, run_pages
from limpid.server.errors import ApiError
from limpid.server.run_folder import RunFolder
from limpid.server.run_shelf import Reading

LINE = "#/runs?sel=line/pretrain"


def points(page: Any, panel: str) -> list[dict[str, str]]:
    """What a panel draws, from its own CSV."""
    with page.expect_download() as caught:
        page.get_by_role("button", name=f"CSV: {panel}", exact=True).click()
    return list(csv.DictReader(io.StringIO(Path(caught.value.path()).read_text(encoding="utf-8-sig"))))


def test_a_training_is_watched_stopped_and_gone_on_with(
    visit: Callable[..., Visit], server: Served, runs_root: Path
) -> None:
    process = begin(runs_root, "live")
    try:
        page = visit().open("#/runs")
        row = page.locator(".runs-list li", has_text="live")
        row.locator("button").click(timeout=90_000)
        expect(page.locator(".run-head .run-state")).to_have_text("running", timeout=60_000)
        page.wait_for_selector("[data-panel=loss] canvas", timeout=60_000)
        first = len(points(page, "Loss"))
        page.wait_for_function("() => document.querySelectorAll('.run-head .danger').length === 1")
        deadline = page.evaluate("performance.now()") + 60_000
        while len(points(page, "Loss")) <= first:  # the curve grows while it trains
            assert page.evaluate("performance.now()") < deadline
            page.wait_for_timeout(500)
        page.get_by_role("button", name="Stop and save").click()
        page.locator("dialog").get_by_role("button", name="Stop and save").click()
        expect(page.locator(".run-head .run-state")).to_have_text("interrupted", timeout=60_000)
        assert process.wait(60) == 143
        stopped = max(int(float(one["step"])) for one in points(page, "Loss"))
        assert [p.name for p in (runs_root / "live" / "checkpoints").iterdir()] == [f"step-{stopped:08d}"]
        page.get_by_role("button", name="Resume").click()
        expect(page.locator("dialog .code-block")).to_contain_text("limpid pretrain")
        page.locator("dialog").get_by_role("button", name="Resume").click()
        expect(page.locator(".run-head .run-state")).to_have_text("running", timeout=90_000)
        page.wait_for_function(
            "async (n) => { const r = await (await fetch('/api/runs')).json(); "
            "return r.runs.find((x) => x.name === 'live').step > n; }",
            arg=stopped,
            timeout=90_000,
        )
        page.get_by_role("tab", name="Log").click()
        expect(page.locator("#runs-tabpanel pre")).to_contain_text("--resume")
        page.get_by_role("button", name="Stop and save").click()
        page.locator("dialog").get_by_role("button", name="Stop and save").click()
        expect(page.locator(".run-head .run-state")).to_have_text("interrupted", timeout=60_000)
    finally:
        process.kill()
        process.wait()


def test_a_strangers_code_is_shown_before_it_may_run(visit: Callable[..., Visit], runs_root: Path) -> None:
    run = runs_root / "given" / "grpo"
    run.mkdir(parents=True)
    (run / "rewards.py").write_text("def kind(prompt, answer, row):\n    return 1.0\n")
    (run / "recipe.toml").write_text('# limpid grpo\n[[grpo.rewards]]\nfunction = "rewards.py:kind"\n')
    (run / "sitting.json").write_text(
        json.dumps({"command": ["grpo", str(run / "recipe.toml")], "directory": str(run)})
    )
    try:
        one = visit(language="zh-CN", theme="dark", width=390, height=844, has_touch=True)
        page = one.open("#/runs?sel=given/grpo")
        page.get_by_role("button", name="继续训练").click()
        dialog = page.locator("dialog")
        go = dialog.get_by_role("button", name="继续训练")
        expect(go).to_be_disabled()
        dialog.locator("summary").click()
        expect(dialog.locator("details pre")).to_contain_text("def kind")
        assert serious(page) == []
        one.picture("runs-code-390-zh-dark")
        dialog.get_by_role("checkbox").check()
        expect(go).to_be_enabled()
        dialog.get_by_role("button", name="取消").click()
        expect(dialog).to_have_count(0)
    finally:
        shutil.rmtree(run.parent)
        shutil.rmtree(runs_root / "live", ignore_errors=True)


def test_overlay_axes_and_the_recipes_that_differ(visit: Callable[..., Visit], runs_root: Path) -> None:
    one = visit()
    page = one.open(LINE)
    page.get_by_label("Draw line/sft with the others").check()
    expect(page.locator("[data-panel=loss] .chart-say .key")).to_have_count(2)
    expect(page.locator(".diff tbody tr")).to_have_count(2)
    assert page.locator(".diff tbody tr").evaluate_all(
        "all => all.map(x => [...x.children].map(y => y.textContent))"
    ) == [
        ["optim.lr", "0.001", "0.0003"],
        ["train.steps", "400", "90"],
    ]
    page.get_by_role("button", name="tokens", exact=True).click()
    page.wait_for_function("() => location.hash.includes('x=tokens')")
    expect(page.locator("[data-panel=bits] canvas").first).to_be_visible()
    page.wait_for_timeout(300)
    table = points(page, "Loss")
    records = [json.loads(line) for line in (runs_root / "line/sft/metrics.jsonl").read_text().splitlines()]
    wanted = {64 * r["step"]: r["loss"] for r in records if "loss" in r}
    shown = [row for row in table if row["run"] == "line/sft"]
    assert shown
    for row in shown:
        assert abs(wanted[int(float(row["tokens"]))] - float(row["value"])) < 1e-5
    page.get_by_label("from", exact=True).fill("640")
    page.get_by_label("from", exact=True).press("Enter")
    page.wait_for_function("() => location.hash.includes('from=640')")
    page.wait_for_timeout(500)
    assert min(float(row["tokens"]) for row in points(page, "Loss")) == 640
    page.get_by_role("button", name="Whole range").click()
    page.get_by_role("button", name="Logarithmic values: Loss").click()
    assert "logy=loss" in page.url
    one.picture("runs-overlay")


def test_samples_and_chat_with_a_checkpoint(visit: Callable[..., Visit]) -> None:
    page = visit().open("#/runs?sel=line/sft")
    page.get_by_role("tab", name="Samples").click()
    expect(page.locator(".run-texts")).to_contain_text("床前 明月光")
    page.get_by_role("tab", name="Checkpoints").click()
    page.get_by_role("button", name="Load and chat").click()
    page.wait_for_selector("#say")
    assert page.locator(".models select").first.input_value() == "line-sft-1"
    page.go_back()
    page.get_by_role("tab", name="Checkpoints").click()
    expect(page.locator(".checkpoints")).to_contain_text("answers as line-sft-1")


def test_a_checkpoint_is_unloaded_and_the_chat_is_told(visit: Callable[..., Visit], server: Served) -> None:
    one = visit()
    page = one.open("#/runs?sel=line/sft&tab=checkpoints")
    page.locator(".checkpoints button").first.click()  # load it, or where it is loaded already, chat
    page.wait_for_selector("#say")
    name = page.locator(".models select").first.input_value()
    other = one.tab()
    other.goto(f"{one.url}/#/runs?sel=line/sft&tab=checkpoints")
    other.get_by_role("button", name="Unload", exact=True).click()
    expect(other.locator("dialog")).to_contain_text(f"{name} answers no longer")
    other.locator("dialog").get_by_role("button", name="Unload", exact=True).click()
    expect(other.get_by_role("button", name="Unload", exact=True)).to_have_count(0)
    expect(page.locator(".troubles")).to_contain_text(f"{name} was unloaded")  # the other tab heard of it
    assert name not in page.locator(".models select").first.locator("option").all_inner_texts()
    with pytest.raises(ApiError, match="does not exist here"):
        server.model(name)


def test_a_first_reading_shows_how_far_it_is(
    visit: Callable[..., Visit], server: Served, runs_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = threading.Event()

    def little() -> Reading:
        return Reading(500 if not left.is_set() else 10**9)

    monkeypatch.setattr(run_curves, "_PART", 500)
    monkeypatch.setattr(run_pages, "Reading", little)
    monkeypatch.setattr(server.state, "runs", RunFolder(runs_root))  # one that has read nothing yet
    page = visit().open(LINE)
    expect(page.locator(".runs-reading")).to_contain_text("Reading long metrics for the first time")
    assert float(page.locator(".runs-reading progress").get_attribute("max") or 0) > 1000
    left.set()
    expect(page.locator(".runs-reading")).to_have_count(0)
    expect(page.locator("[data-panel=loss] canvas")).to_be_visible()


def test_dragging_looks_closer(visit: Callable[..., Visit]) -> None:
    page = visit().open(LINE)
    box = page.locator("[data-panel=loss] .u-over").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 55, steps=5)
    page.mouse.up()
    page.wait_for_function("() => /from=.*to=/.test(location.hash)")


def test_a_run_that_is_deleted_is_told(visit: Callable[..., Visit], runs_root: Path) -> None:
    shutil.copytree(runs_root / "line" / "pretrain", runs_root / "passing")
    page = visit().open("#/runs?sel=passing")
    page.wait_for_selector("[data-panel=loss] canvas")
    with (runs_root / "passing" / "metrics.jsonl").open("a") as file:
        file.write("no JSON\n")
    expect(page.locator(".charts")).to_contain_text("1 line of passing's metrics cannot be read", timeout=20_000)
    shutil.rmtree(runs_root / "passing")
    expect(page.locator(".runs-list")).not_to_contain_text("passing", timeout=20_000)
