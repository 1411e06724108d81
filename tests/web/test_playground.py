"""The playground and the perceptron in a real browser: every number is the engine's, and every state is an address."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect
from tests.server.conftest import served
from tests.web.conftest import Visit
from tests.web.test_chat import wait_until
from tests.web.test_pages import serious

from limpid.lessons.perceptron import Decision
from limpid.lessons.playground import Playground

ORIGINAL = (
    "#activation=relu&batchSize=10&dataset=xor&regDataset=reg-plane&learningRate=0.03&regularizationRate=0&noise=20"
    "&networkShape=3&seed=0.12345&showTestData=true&discretize=false&percTrainData=60&x=true&y=true&xTimesY=true"
    "&xSquared=false&ySquared=false&cosX=false&sinX=false&cosY=false&sinY=false&collectStats=false"
    "&problem=classification&initZero=false&hideText=false"
)


def opened(one: Visit, address: str) -> Any:
    page = one.page
    page.goto(f"{one.url}/{address}")
    one.wait(f"#/{'perceptron' if 'perceptron' in address else 'playground'}")
    return page


def epoch(page: Any) -> int:
    return int(page.locator(".play-epoch output").get_attribute("data-epoch"))


def loss(page: Any, of: str = "train") -> float:
    return float(page.locator(f"[data-loss={of}]").get_attribute("data-value"))


def at_epoch(page: Any, number: int) -> None:
    expect(page.locator(".play-epoch output")).to_have_attribute("data-epoch", str(number))


def past(page: Any, number: int) -> None:
    """Wait until it has trained so many epochs."""
    wait_until(lambda: epoch(page) > number)


def loss_is(page: Any, twin: Playground) -> None:
    wait_until(lambda: abs(loss(page) - twin.history[-1].train) < 1e-6)


def state(page: Any) -> str:
    return str(page.evaluate("location.hash.split('?')[1]"))


def test_run_pause_step_reset(visit: Callable[..., Visit]) -> None:
    page = opened(visit(), "#/playground?seed=0.3")
    twin = Playground(seed="0.3")
    assert loss(page) == pytest.approx(twin.history[0].train, rel=1e-6)
    for _ in range(3):
        page.get_by_role("button", name="One epoch").click()
    at_epoch(page, 3)
    twin.run(3)
    expect(page.locator("[data-loss=train]")).to_have_text(f"{twin.history[3].train:.3f}")
    assert loss(page) == pytest.approx(twin.history[3].train, rel=1e-6)
    assert loss(page, "test") == pytest.approx(twin.history[3].test, rel=1e-6)
    page.get_by_role("button", name="Run", exact=True).click()
    past(page, 12)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()
    stopped = epoch(page)
    twin.run(stopped - 3)
    assert loss(page) == pytest.approx(twin.history[stopped].train, rel=1e-6)
    page.get_by_role("button", name="Reset").click()
    at_epoch(page, 0)
    assert loss(page) == pytest.approx(twin.history[0].train, rel=1e-6)


def test_every_dial_is_in_the_address_and_comes_back(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = opened(one, "#/playground?seed=0.3")
    page.locator("[data-set=spiral]").click()
    page.locator("select[name=learningRate]").select_option("0.1")
    page.locator("select[name=optimizer]").select_option("adam")
    page.locator("select[name=activation]").select_option("gelu")
    page.locator("[data-feature=sinX]").click()
    page.get_by_role("button", name="Add a hidden layer").click()
    page.get_by_role("button", name="One neuron more in layer 1").click()
    page.get_by_label("Activation of layer 2").select_option("relu")
    page.get_by_label("Show test points").check()
    wait_until(lambda: "showTestData" in state(page))
    text = state(page)
    made = Playground.from_address(text).settings
    assert made == Playground(
        dataset="spiral", learning_rate=0.1, optimizer="adam", activation="gelu", inputs=("x", "y", "sinX"),
        layers=(5, 2, 2), activations=("gelu", "relu", "gelu"), show_test=True, seed="0.3",
    ).settings  # fmt: skip
    page.reload()
    one.wait("#/playground")
    assert state(page) == text
    expect(page.locator(".play-node[data-neuron]")).to_have_count(10)
    expect(page.locator("[data-set=spiral]")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Activation of layer 2")).to_have_value("relu")


def test_an_address_of_tensorflow_playground_and_nonsense(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = opened(one, ORIGINAL)
    twin = Playground.from_address(ORIGINAL)
    assert loss(page) == pytest.approx(twin.history[0].train, rel=1e-6)
    expect(page.locator(".play-data")).to_contain_text("300 points to learn from, 200 only to test")
    page = opened(one, "#/playground?lerningRate=1&networkShape=4,x&batchSize=5&seed=%ff")
    expect(page.locator(".banner.fault")).to_have_count(2)
    expect(page.locator(".troubles")).to_contain_text("Did you mean 'learningRate'?")
    expect(page.locator(".troubles")).to_contain_text("networkShape=x: this is no whole number.")
    assert "batchSize=5" in state(page)
    page.locator(".banner.fault").first.get_by_role("button", name="Close").click()
    expect(page.locator(".banner.fault")).to_have_count(1)


def test_a_neuron_opens_and_a_weight_is_edited(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = opened(one, "#/playground?seed=0.3")
    twin = Playground(seed="0.3")
    page.locator("[data-neuron='2.0']").hover()
    expect(page.locator("[data-shown]")).to_have_attribute("data-shown", "2.0")
    page.locator("[data-neuron='0.1']").click()
    expect(page.locator("[data-shown]")).to_have_text("Layer 1, neuron 2")
    field = page.locator("input[name='0.1.0']")
    assert float(field.input_value()) == pytest.approx(twin.net.weights[0][1, 0], abs=1e-4)
    field.fill("2.5")
    field.press("Enter")
    twin.edit(0, 1, 0, 2.5)
    loss_is(page, twin)
    page.locator("[data-neuron='2.0']").click()  # the output's bias, which TensorFlow Playground does not show
    page.locator("input[name='2.0.bias']").fill("-1")
    page.locator("input[name='2.0.bias']").press("Enter")
    twin.edit(2, 0, None, -1)
    loss_is(page, twin)
    one.picture("playground-neuron")
    page.locator(".play-numbers").get_by_role("button", name="Close").click()
    # A click on a line: its value becomes a field.
    box = page.locator("[data-neuron='1.0']").bounding_box()
    output = page.locator("[data-neuron='2.0']").bounding_box()
    page.mouse.move(box["x"] + box["width"] + 6, box["y"] + box["height"] / 2)
    expect(page.locator(".play-card b")).to_have_text(str(float(f"{twin.net.weights[2][0, 0]:.4g}")))
    page.mouse.down()
    page.mouse.up()
    page.locator(".play-card input").fill("0.25")
    page.locator(".play-card input").press("Enter")
    twin.edit(2, 0, 0, 0.25)
    loss_is(page, twin)
    assert output["x"] > box["x"]


def test_own_points_from_a_file_drawn_and_wrong(visit: Callable[..., Visit], tmp_path: Path) -> None:
    one = visit()
    page = opened(one, "#/playground")
    page.locator("[data-set=own]").click()
    page.get_by_role("button", name="CSV", exact=True).click()
    page.locator("textarea").fill("x,y,label\n1,2,cat\n3,oops,dog\n")
    page.get_by_role("button", name="Learn from these").click()
    expect(page.locator("dialog .play-fault")).to_have_text("CSV, line 3, column 2: 'oops' is no number.")
    assert serious(page) == []
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(f"{x},{y},{'cat' if x * y > 0 else 'dog'}" for x in (-4, -2, 2, 4) for y in (-3, 3)))
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Learn from these").click()
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator(".play-data")).to_contain_text("'cat' is -1, 'dog' is +1.")
    expect(page.locator(".play-data")).to_contain_text("4 points to learn from, 4 only to test")
    assert "points=" in state(page)
    page.reload()
    one.wait("#/playground")
    expect(page.locator(".play-data")).to_contain_text("4 points to learn from")
    page.locator("[data-set=own]").click()
    page.get_by_role("button", name="Clear").click()
    box = page.locator(".play-draw canvas").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 240, box["y"] + 60, steps=20)
    page.mouse.up()
    page.get_by_role("button", name="−1").click()
    page.get_by_label("x₁", exact=True).fill("-2")
    page.get_by_label("x₂", exact=True).fill("-2.5")
    page.keyboard.press("Enter")
    drawn = int(page.locator(".play-draw [role=status]").inner_text().split()[0])
    assert drawn > 8
    one.picture("playground-draw")
    before = page.evaluate("location.hash")
    page.get_by_role("button", name="Learn from these").click()
    expect(page.locator("dialog")).to_have_count(0)
    page.wait_for_function("before => location.hash !== before", arg=before)
    own = Playground.from_address(state(page))
    assert len(own.data.labels) == drawn
    assert [-2.0, -2.5, -1.0] in own.own.rows.tolist()  # type: ignore[union-attr]


def test_an_explosion_is_told_and_undone(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = opened(one, "#/playground?problem=regression&activation=linear&learningRate=10&seed=0.3")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".banner.fault")).to_contain_text(
        "have exploded in epoch 1: reset it, and learn with a lower rate"
    )
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    assert serious(page) == []
    one.picture("playground-explosion")
    page.locator("select[name=learningRate]").select_option("0.01")
    page.locator(".play-run").get_by_role("button", name="Reset").click()
    page.get_by_role("button", name="One epoch").click()
    at_epoch(page, 1)


def test_the_program_is_shown(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = opened(one, "#/playground?seed=0.3")
    page.get_by_role("button", name="Show code").click()
    expect(page.locator(".play-program")).to_contain_text("import numpy as np")
    assert serious(page) == []
    page.get_by_role("button", name="PyTorch").click()
    expect(page.locator(".play-program")).to_contain_text("torch.optim.SGD")
    with page.expect_download() as saved:
        page.get_by_role("button", name="net.py").click()
    expected = Playground(seed="0.3").torch_program()
    assert saved.value.path().read_text() == expected


def test_the_keys(visit: Callable[..., Visit]) -> None:
    page = opened(visit(), "#/playground")
    page.keyboard.press("s")
    at_epoch(page, 1)
    page.keyboard.press("p")
    past(page, 3)
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()
    page.locator("[data-neuron='1.1']").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".play-numbers h3")).to_contain_text("Layer 2, neuron 2")
    page.locator(".play-numbers input").first.focus()
    page.keyboard.press("s")  # writes, and steps nothing
    page.keyboard.press("Escape")


def test_a_lost_lesson_can_be_had_again(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = opened(one, "#/playground?dataset=gauss&seed=0.3")
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it is being ended already
            if "limpid.lessons.worker" in process.cmdline():
                process.kill()
    expect(page.locator(".banner")).to_contain_text("The lesson has stopped")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".banner")).to_have_count(0)
    expect(page.locator("[data-set=gauss]")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="One epoch").click()
    at_epoch(page, 1)


def test_behind_a_key(visit: Callable[..., Visit], talker_run: Path) -> None:
    with served([talker_run], key="schlüssel 7") as own:
        one = visit(own.url)
        page = one.page
        page.goto(f"{own.url}/#/playground?seed=0.3")
        page.get_by_label("API key").fill("schlüssel 7")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="One epoch").click()
        at_epoch(page, 1)
        one.errors = [error for error in one.errors if "401" not in error]


@pytest.mark.parametrize(("language", "theme"), [("zh-CN", "dark"), ("en-US", "light")])
def test_the_playground_on_a_phone_at_work(visit: Callable[..., Visit], language: str, theme: str) -> None:
    one = visit(language=language, theme=theme, width=390, height=844, has_touch=True)
    page = opened(one, "#/playground?dataset=spiral&networkShape=8,8,8,8&sinX=true&showTestData=true&seed=1")
    page.locator(".play-go").click()
    past(page, 5)
    page.locator(".play-go").click()
    page.locator("[data-neuron='0.0']").click()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    one.picture(f"playground-390-{language[:2]}-{theme}-work")


def test_the_eight_cases_and_what_dragging_changes(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = opened(one, "#/perceptron")

    def cases() -> list[tuple[str, float, bool]]:
        found = page.locator("[data-case]").evaluate_all(
            "all => all.map(x => [x.dataset.case, Number(x.dataset.sum), x.dataset.go])"
        )
        return [(name, total, go == "true") for name, total, go in found]

    def expected(decision: Decision) -> list[tuple[str, float, bool]]:
        return [("".join(map(str, case.reasons)), case.total, case.go) for case in decision.cases()]

    assert cases() == expected(Decision())
    page.locator("input[type=range][name=price]").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.locator("input[type=range][name=threshold]").fill("5.5")
    wait_until(lambda: "threshold=5.5" in state(page))
    assert cases() == expected(Decision((8, 2, 4), 5.5))
    handle = page.locator("input[type=range][name=weather]").bounding_box()
    page.mouse.move(handle["x"] + handle["width"] * (12 / 20), handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(handle["x"] + 1, handle["y"] + handle["height"] / 2, steps=4)
    page.mouse.up()
    wait_until(lambda: "weights=-4" in state(page))
    page.reload()
    one.wait("#/perceptron")
    assert cases() == expected(Decision((-4, 2, 4), 5.5))


def test_habits_are_learned_and_layers_solve_what_a_line_cannot(visit: Callable[..., Visit]) -> None:
    one = visit(height=2400)
    page = opened(one, "#/perceptron")

    def right_of(name: str) -> float:
        return float(page.locator(f"[data-net={name}]").get_attribute("data-right"))

    page.locator("[data-part=habits] .play-go").click()
    page.locator("[data-part=xor] .play-go").click()
    wait_until(lambda: int(page.locator("[data-seen]").get_attribute("data-seen")) > 2500)
    page.locator("[data-part=habits] .play-go").click()
    right = page.locator("[data-learner] td:last-child").all_inner_texts()
    assert all(float(text.rstrip("%")) > 70 for text in right)
    wait_until(lambda: right_of("bent") == 1)
    for name in ("line", "linear"):
        assert right_of(name) < 0.75
    assert serious(page) == []
    one.picture("perceptron-learned")
    page.locator("[data-net=bent] a").click()
    one.wait("#/playground")
    expect(page.locator("[data-set=xor]")).to_have_attribute("aria-pressed", "true")
