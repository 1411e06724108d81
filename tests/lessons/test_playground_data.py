"""Random numbers, data sets and own data: TensorFlow Playground's own, and readable when they are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from limpid.core.errors import LimpidError
from limpid.lessons.playground import Playground
from limpid.lessons.playground.own_data import MAX_POINTS, from_address, from_rows, read_csv, to_address
from limpid.lessons.playground.seeded import SeededRandom

SEED = "0.12345"
# Made by seedrandom.js 2.4.3 on Node and the formulas of TensorFlow Playground's dataset.ts, at 25% noise: the first
# and the last example after the shuffle, the sum of (i + 1) (x + 2 y + 3 label), and the first three weights.
ORIGINAL = {
    "gauss": ([0.8814984447655632, 1.2967235279399751, 1], [3.1142057925791535, 0.32922677462936756, 1],
              -2287.791134506425, [-0.10193142785952403, -0.31404468253527273, 0.4334518111161061]),
    "reg-plane": ([4.247773950612919, 1.4551190568711139, 0.525934030216705],
                  [1.9890181455002711, -2.7065142129785675, -0.13125972191156854],
                  52530.860807468576, [0.1894368518194004, 0.0728828933929726, 0.38152297143393954]),
    "reg-gauss": ([4.247773950612919, 1.4551190568711139, 0.48370491770984914],
                  [1.9890181455002711, -2.7065142129785675, 0],
                  8880.742007623054, [0.1894368518194004, 0.0728828933929726, 0.38152297143393954]),
    "spiral": ([3.002797128346523, -2.2576491310677334, 1], [1.863435779932199, 2.404274335256407, 1],
               15867.602413276025, [-0.35059290321591696, 0.39462996700075403, -0.45141007574104897]),
    "circle": ([4.618077316847547, -1.8354395887379444, -1], [0.3297448673290159, 2.1861566975604134, -1],
               -77730.0706344242, [0.15119012045435498, 0.3395422448435659, 0.3346419187784071]),
    "xor": ([5.096362367914215, -2.1979115662055433, -1], [4.143540271921045, -5.061737650472769, -1],
            -82560.00721263848, [0.15119012045435498, 0.3395422448435659, 0.3346419187784071]),
}  # fmt: skip


def on(name: str, **more: object) -> Playground:
    regression = name.startswith("reg-")
    problem = {"problem": "regression", "reg_dataset": name} if regression else {"dataset": name}
    return Playground(**problem, **more)  # type: ignore[arg-type]


def test_random_numbers_are_seedrandoms() -> None:
    # From the documentation of seedrandom.js.
    random = SeededRandom("hello.")
    assert [random.number(), random.number()] == [0.9282578795792454, 0.3752569768646784]
    assert SeededRandom("hello").number() == 0.5463663768140734
    values = SeededRandom("statistics").numbers(4000)
    assert 0 <= values.min() < values.max() < 1
    assert abs(values.mean() - 0.5) < 0.02
    twin = (random := SeededRandom("")).copy()
    assert random.number() == twin.number()
    assert sorted(random.order(9)) == list(range(9))


@pytest.mark.parametrize("name", ORIGINAL)
def test_a_seed_means_the_original_data_and_weights(name: str) -> None:
    first, last, total, weights = ORIGINAL[name]
    p = on(name, seed=SEED, noise=25)
    rows = np.column_stack((p.data.points, p.data.labels))
    np.testing.assert_allclose(rows[0], first, rtol=0, atol=1e-12)
    np.testing.assert_allclose(rows[-1], last, rtol=0, atol=1e-12)
    assert ((np.arange(len(rows)) + 1) * (rows @ [1, 2, 3])).sum() == pytest.approx(total, rel=1e-9)
    np.testing.assert_allclose(p.net.weights[0].ravel()[:3], weights, rtol=0, atol=1e-15)
    assert (p.net.biases[0] == 0.1).all()


@pytest.mark.parametrize(("name", "count"), [("circle", 500), ("spiral", 500), ("reg-plane", 1200)])
def test_counts_and_shares(name: str, count: int) -> None:
    for percent in (10, 50, 90):
        data = on(name, train_percent=percent).data
        assert (len(data.labels), data.train) == (count, count * percent // 100)


def test_statistics_of_the_generators() -> None:
    gauss = on("gauss", noise=50).data
    for sign in (1, -1):
        cloud = gauss.points[gauss.labels == sign]
        assert len(cloud) == 250
        np.testing.assert_allclose(cloud.mean(0), 2 * sign, atol=0.45)
        np.testing.assert_allclose(cloud.var(0), 4, atol=1.1)
    assert on("gauss").data.points[on("gauss").data.labels == 1].var(0).max() < 0.7
    circle = on("circle").data
    radius = np.hypot(*circle.points.T)
    assert (radius[circle.labels == 1] <= 2.5).all()
    assert ((radius[circle.labels == -1] >= 3.5) & (radius[circle.labels == -1] <= 5)).all()
    xor = on("xor").data
    assert (np.abs(xor.points) >= 0.3).all()
    assert (np.sign(xor.points.prod(1)) == xor.labels).all()
    assert np.abs(xor.points).max() <= 5.3
    spiral = on("spiral").data
    radius, angle = np.hypot(*spiral.points.T), np.arctan2(*spiral.points.T)
    turn = 3.5 * np.pi * radius / 5 + np.where(spiral.labels > 0, 0, np.pi)
    assert np.abs(np.exp(1j * angle) - np.exp(1j * turn))[radius > 0].max() < 1e-9
    plane = on("reg-plane").data
    np.testing.assert_allclose(plane.labels, plane.points.sum(1) / 10)
    assert np.abs(plane.points).max() <= 6
    hills = on("reg-gauss").data
    near = np.hypot(hills.points[:, 0], hills.points[:, 1] - 2.5)
    assert (hills.labels[near < 1] < 0).all()
    np.testing.assert_allclose(hills.labels[near < 1], -(1 - near[near < 1] / 2))
    for name in ("circle", "xor"):
        noisy, clean = on(name, noise=50).data.labels, on(name).data.labels
        assert 0.05 < (noisy != clean).mean() < 0.5


def test_csv_of_every_usual_kind() -> None:
    found = read_csv("x,y,label\n1,2,1\n-1.5,0,-1\n", "classification")
    assert found.rows.tolist() == [[1, 2, 1], [-1.5, 0, -1]]
    assert found.said == "2 points. '-1' is -1, '1' is +1."
    words = read_csv('\ufeff1;2;猫\r\n\r\n3;4;"狗"\r\n', "classification")
    assert words.rows[:, 2].tolist() == [1, -1]  # 狗 comes first in order
    assert read_csv("1\t2\t0\n3\t4\t1", "classification").rows[:, 2].tolist() == [-1, 1]
    numbers = read_csv("0,0,10\n1,1,20\n2,2,15", "regression", fit=True)
    assert numbers.rows.tolist() == [[-5, -5, -1], [0, 0, 1], [5, 5, 0]]
    p = Playground.from_csv("1,1,1\n-1,-1,0\n1,-1,0\n-1,1,0\n", train_percent=75)
    assert p.data.train == 3
    p.run(5)


@pytest.mark.parametrize(
    ("text", "problem", "said"),
    [
        ("1,2\n3,4\n", "classification", "CSV, line 1, column 3: it is missing; a line is x1, x2, label."),
        ("1,2,1\n3,4,-1,5\n", "classification", "CSV, line 2, column 4: it is one too many"),
        ("1,2,1\n3,four,-1\n", "classification", "CSV, line 2, column 2: 'four' is no number."),
        ("x,2,1\n3,4,-1\n", "classification", "CSV, line 1, column 1: 'x' is no number."),
        ("1,2,1\n3,nan,-1\n", "classification", "CSV, line 2, column 2: 'nan' is no number."),
        ("1,2,1\n7.5,0,-1\n", "classification", "CSV, line 2, column 1: 7.5 lies outside of the map, from -6 to 6"),
        ("1,2,a\n3,4,b\n3,5,c\n", "classification", "CSV, line 3, column 3: 'c' is a third class"),
        ("1,2,a\n3,4,a\n", "classification", "CSV, line 2, column 3: all labels are 'a'"),
        ("1,2,\n3,4,b\n", "classification", "CSV, line 1, column 3: the label is missing."),
        ("1,2,0.5\n3,4,cat\n", "regression", "CSV, line 2, column 3: 'cat' is no number, and regression needs one."),
        ("1,2,0.5\n3,4,3\n", "regression", "CSV, line 2, column 3: 3 is not from -1 to 1; choose 'fit to the map'"),
        ("1,2,1", "classification", "1 points are too few"),
        ("", "classification", "0 points are too few"),
        ("1,2,1\n" * (MAX_POINTS + 1), "classification", f"{MAX_POINTS + 1} points are too many"),
        ("1 2 3\n4 5 6", "classification", "CSV, line 1, column 2: it is missing"),
    ],
)
def test_csv_of_the_wrong_shape_is_told_by_line_and_column(text: str, problem: str, said: str) -> None:
    with pytest.raises(LimpidError) as told:
        read_csv(text, problem)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_drawn_points_travel_in_an_address() -> None:
    rows = np.random.default_rng(0).uniform(-6, 6, (400, 3))
    rows[:, 2] = np.sign(rows[:, 2])
    data = from_rows(rows.tolist(), "classification")
    text = to_address(data)
    assert len(text) < 8000
    assert (from_address(text, "classification").rows == data.rows).all()
    assert to_address(data._replace(rows=np.zeros((1001, 3)))) == ""
    for wrong in (text[:-9], "????", "AAAA", text + "AAAA"):
        with pytest.raises(LimpidError, match=r"^points"):
            from_address(wrong, "classification")
    for row, said in (
        ([1, 2], "is not x1, x2, label"), ([1, 7, 1], "outside of the map"), ([1, 1, 0.5], "neither -1 nor 1"),
        ([1, float("inf"), 1], "is not x1, x2, label"),
    ):  # fmt: skip
        with pytest.raises(LimpidError, match=said):
            from_rows([[0, 0, 1], row], "classification")
