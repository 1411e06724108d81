"""Check 8 of the web app: whatever is dialled, the weights are those of a net that is trained by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.lessons import by_hand

from limpid.core.errors import LimpidError
from limpid.lessons.playground import Playground
from limpid.lessons.playground.optimizers import OPTIMIZERS

EPOCHS = 100
DATA = ["circle", "xor", "gauss", "spiral", "reg-plane", "reg-gauss"]


def on(name: str, **more: Any) -> Playground:
    """A playground on a data set of either problem."""
    regression = name.startswith("reg-")
    return Playground(
        **{
            "problem": "regression" if regression else "classification",
            "reg_dataset" if regression else "dataset": name,
        },
        **more,
    )


def layers_of(p: Playground) -> list[by_hand.Layer]:
    return [
        [[*row, bias] for row, bias in zip(weights.tolist(), biases.tolist(), strict=True)]
        for weights, biases in zip(p.net.weights, p.net.biases, strict=True)
    ]


def compare(p: Playground, epochs: int = EPOCHS, **more: Any) -> None:
    """Train both and compare every weight, and the loss."""
    s = p.settings
    examples = [(tuple(x), t) for x, t in zip(p.inputs[: p.data.train].tolist(), p.data.labels.tolist(), strict=False)]
    expected, loss = by_hand.train(
        layers_of(p), s.all_activations, examples, epochs=epochs, batch=s.batch_size, rate=s.learning_rate,
        penalty=s.regularization, strength=s.regularization_rate, **more,
    )  # fmt: skip
    p.run(epochs)
    for ours, theirs in zip(layers_of(p), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert abs(p.history[-1].train - loss) <= 1e-6


@pytest.mark.parametrize("regularization", ["none", "L1", "L2"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "linear", "gelu"])
@pytest.mark.parametrize("name", DATA)
def test_every_data_set_activation_and_regularizer(name: str, activation: str, regularization: str) -> None:
    compare(
        on(name, activation=activation, regularization=regularization, regularization_rate=0.01, noise=10,
           train_percent=5, seed="0.123")
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("regularization", ["none", "L1", "L2"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "linear"])
@pytest.mark.parametrize("name", DATA)
def test_all_of_them_at_the_usual_train_share(name: str, activation: str, regularization: str) -> None:
    compare(on(name, activation=activation, regularization=regularization, regularization_rate=0.003))


@pytest.mark.parametrize("layers", [(), (3,), (8, 8, 8, 8, 8, 8)])
def test_any_depth_any_inputs_an_uneven_batch(layers: tuple[int, ...]) -> None:
    inputs = ("x", "y", "xSquared", "ySquared", "xTimesY", "sinX", "sinY", "cosX", "cosY")
    p = on("spiral", layers=layers, inputs=inputs, batch_size=7, train_percent=10)
    x, y = p.data.points[0]
    assert p.inputs[0].tolist() == [x, y, x * x, y * y, x * y, math.sin(x), math.sin(y), math.cos(x), math.cos(y)]
    compare(p, epochs=20)


def test_cross_entropy_and_layers_of_different_activations() -> None:
    p = on("xor", loss="crossEntropy", activations=("relu", "gelu"), train_percent=10)
    compare(p, epochs=30, entropy=True)


def test_l1_kills_weights_that_cross_zero() -> None:
    p = on("circle", regularization="L1", regularization_rate=0.1).run(30)
    weights = p.net.parameters[p.net.is_weight]
    assert p.dead.any()
    assert not p.dead[~p.net.is_weight].any()
    assert (p.net.parameters[p.dead] == 0).all()
    assert np.count_nonzero(weights == 0) == p.dead.sum()
    dead = np.flatnonzero(p.dead)[0]
    p.run(5)
    assert p.net.parameters[dead] == 0
    p.reset()
    assert not p.dead.any()


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_optimizers_step_as_torchs_do(name: str) -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(size=7), None
    theirs = torch.tensor(ours, requires_grad=True)
    optim = {
        "sgd": lambda: torch.optim.SGD([theirs], lr=0.05),
        "momentum": lambda: torch.optim.SGD([theirs], lr=0.05, momentum=0.9),
        "adam": lambda: torch.optim.Adam([theirs], lr=0.05),
    }[name]()
    own = OPTIMIZERS[name](7)
    for _ in range(50):
        gradient = random.normal(size=7)
        theirs.grad = torch.tensor(gradient)
        optim.step()
        ours = ours - own.step(gradient, 0.05)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-12)


def test_dropout_leaves_out_its_share_and_keeps_the_mean() -> None:
    p = on("circle", dropout=0.3, layers=(16, 16))
    masks = p._masks(4000)
    assert masks is not None
    for mask in masks:
        assert set(np.unique(mask).round(9)) == {0, round(1 / 0.7, 9)}
        assert abs((mask == 0).mean() - 0.3) < 0.01
        assert abs(mask.mean() - 1) < 0.015
    before = p.predict(p.data.points)
    assert (before == p.predict(p.data.points)).all()  # only training leaves anything out
    assert on("circle", dropout=0.3).run(3).history == on("circle", dropout=0.3).run(3).history


def test_losses_are_what_they_say() -> None:
    p = on("gauss").run(2)
    at = p.data.train
    outputs, labels = p.predict(p.data.points), p.data.labels
    assert p.history[-1].train == pytest.approx(np.mean((outputs - labels)[:at] ** 2) / 2)
    assert p.history[-1].test == pytest.approx(np.mean((outputs - labels)[at:] ** 2) / 2)
    assert p.accuracies()[1] == np.mean(np.sign(outputs[at:]) == labels[at:])
    p.change(loss="crossEntropy")
    right = (1 + outputs * labels) / 2
    assert p.history[-1].train == pytest.approx(-np.log(right[:at]).mean())


def test_maps_are_the_nets_output_at_their_places() -> None:
    p = on("xor").run(5)
    values = p.maps(100)
    line = np.linspace(-6, 6, 100)
    for row, column in ((0, 0), (0, 99), (99, 0), (37, 81)):
        expected = p.predict([(line[column], line[99 - row])])[0]
        assert values[-1][0, row, column] == pytest.approx(expected, abs=1e-4)
    assert [value.shape for value in values] == [(4, 100, 100), (2, 100, 100), (1, 100, 100)]


def test_an_explosion_is_told_and_can_be_undone() -> None:
    p = on("reg-plane", activation="linear", learning_rate=10, layers=(4, 4))
    with pytest.raises(LimpidError, match="have exploded in epoch 1: reset it, and learn with a lower rate"):
        p.run(5)
    assert p.exploded == 1
    with pytest.raises(LimpidError, match="exploded in epoch 1"):
        p.step()
    p.change(learning_rate=0.01)
    p.reset()
    assert p.exploded is None
    p.run(3)
    assert p.history[-1].train < 0.1


def test_reset_goes_back_to_the_same_weights_or_keeps_them() -> None:
    p = on("circle")
    first = p.net.parameters.copy()
    p.run(5)
    once = p.history[:]
    p.reset()
    assert (p.epoch, len(p.history)) == (0, 1)
    assert (p.net.parameters == first).all()
    assert p.run(5).history == once
    learned = p.net.parameters.copy()
    p.reset(keep_weights=True)
    assert p.epoch == 0
    assert (p.net.parameters == learned).all()
    p.new_weights("another")
    assert not (p.net.parameters == first).any() or p.net.biases[0][0] == 0.1
    assert (p.net.weights[0] != first[:8].reshape(4, 2)).all()


def test_kept_weights_move_with_their_neurons_and_inputs() -> None:
    p = on("circle", inputs=("x", "y")).run(3)
    weights = [w.copy() for w in p.net.weights]
    p.change(keep_weights=True, layers=(5, 2), inputs=("x", "xSquared", "y"))
    assert p.settings.inputs == ("x", "y", "xSquared")
    assert (p.net.weights[0][:4, :2] == weights[0]).all()
    assert (p.net.weights[1][:, :4] == weights[1]).all()
    assert (p.net.weights[2] == weights[2]).all()
    p.change(keep_weights=True, inputs=("y",))
    assert (p.net.weights[0][:4, 0] == weights[0][:, 1]).all()
    p.change(keep_weights=True, layers=())
    p.change(keep_weights=True, dataset="xor")
    assert p.net.sizes == (1, 1)


def test_dials_that_change_no_shape_act_at_once() -> None:
    p = on("circle").run(3)
    p.change(learning_rate=0.1, batch_size=20, activation="relu", optimizer="adam", dropout=0.1, regularization="L2")
    assert p.epoch == 3
    assert p.altered
    p.run(1)
    p.change(noise=20)
    assert p.epoch == 0
    assert not p.altered


def test_editing_a_weight_or_a_bias() -> None:
    p = on("circle")
    p.edit(2, 0, None, 0.75)  # the output's bias
    p.edit(0, 3, 1, -2.0)
    assert p.net.biases[2][0] == 0.75
    assert p.net.weights[0][3, 1] == -2.0
    p.run(2)
    p.reset()
    assert p.net.biases[2][0] == 0.75  # an edit before the first epoch is where it begins
    p.run(1)
    p.edit(1, 1, 2, 5)
    assert p.altered
    assert p.net.weights[1][1, 2] == 5
    for wrong in ((3, 0, 0), (0, 4, 0), (0, 0, 2), (-1, 0, None)):
        with pytest.raises(LimpidError, match="there is no weight"):
            p.edit(*wrong, 1.0)
    with pytest.raises(LimpidError, match="a weight cannot be nan"):
        p.edit(0, 0, 0, math.nan)


def test_a_change_that_is_refused_changes_nothing() -> None:
    p = on("circle").run(2)
    before = p.settings, p.epoch, p.net.parameters.copy()
    for change, said in (
        ({"dataset": "own"}, "no points of your own yet"),
        ({"layers": (4,) * 9}, "9 hidden layers are too many"),
        ({"layers": (17,)}, "1 to 16 neurons"),
        ({"learning_rate": 0}, "more than 0"),
        ({"layers": ("a",)}, "layers cannot be .* They are whole numbers"),
        ({"inputs": 5}, "They are names"),
        ({"learning_rate": 10**400}, "a number from 0 to 1000"),
        ({"learning_rat": 1}, "Did you mean 'learning_rate'"),
        ({"activation": "rleu"}, "Did you mean 'relu'"),
        ({"inputs": ()}, "at least one input"),
        ({"problem": "regression", "loss": "crossEntropy"}, "loss crossEntropy is of classes"),
        ({"activations": ("tanh",)}, "names 1 layers, and there are 2"),
        ({"batch_size": 0.5}, "a number from 1 to 1000"),
        ({"noise": math.nan}, "It is a number from 0 to 80"),
    ):
        with pytest.raises(LimpidError, match=said):
            p.change(**change)  # type: ignore[arg-type]
    assert (p.settings, p.epoch) == before[:2]
    assert (p.net.parameters == before[2]).all()


def test_a_notebook_shows_one_svg() -> None:
    text = on("circle")._repr_html_()
    assert text.startswith("<svg")
    assert "epoch 0: loss 0." in text
    assert "script" not in text
