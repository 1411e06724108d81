"""The state in an address: round trips, TensorFlow Playground's own addresses, nonsense."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.core.errors import LimpidError
from limpid.lessons.playground import Playground, Settings
from limpid.lessons.playground.activations import ACTIVATIONS
from limpid.lessons.playground.address import read, write
from limpid.lessons.playground.features import FEATURES
from limpid.lessons.playground.own_data import from_rows
from limpid.lessons.playground.settings import LEARNING_RATES, RATES

# As the page at playground.tensorflow.org writes it.
ORIGINAL = (
    "https://playground.tensorflow.org/#activation=relu&regularization=L1&batchSize=7&dataset=spiral&regDataset=reg-gauss"
    "&learningRate=0.003&regularizationRate=0.001&noise=35&networkShape=8,7,2&seed=0.06234&showTestData=true"
    "&discretize=true&percTrainData=70&x=true&y=false&xTimesY=true&xSquared=true&ySquared=false&cosX=false&sinX=true"
    "&cosY=false&sinY=false&collectStats=false&problem=classification&initZero=false&hideText=false"
    "&playButton_hide=false&learningRate_hide=true"
)


def test_an_address_of_tensorflow_playground() -> None:
    found = read(ORIGINAL)
    assert found.faults == []
    assert found.settings == Settings(
        activation="relu", regularization="L1", batch_size=7, dataset="spiral", reg_dataset="reg-gauss",
        learning_rate=0.003, regularization_rate=0.001, noise=35, layers=(8, 7, 2), seed="0.06234", show_test=True,
        discretize=True, train_percent=70, inputs=("x", "xSquared", "xTimesY", "sinX"), hidden=("learningRate",),
    )  # fmt: skip
    assert read("#problem=regression&networkShape=&hideText=true&initZero=true").settings == Settings(
        problem="regression", layers=(), hidden=("notes",), init_zero=True
    )
    assert read("#activation=&seed=&tutorial=dp").settings == Settings()
    assert Playground.from_address(ORIGINAL).data.train == 350


@given(
    st.builds(
        Settings,
        dataset=st.sampled_from(["circle", "xor", "gauss", "spiral"]),
        reg_dataset=st.sampled_from(["reg-plane", "reg-gauss"]),
        problem=st.sampled_from(["classification", "regression"]),
        noise=st.integers(0, 80) | st.floats(0, 80),
        train_percent=st.integers(1, 99),
        seed=st.text(min_size=1, max_size=20).filter(lambda text: text == text.strip()),
        weight_seed=st.text(max_size=20).filter(lambda text: text == text.strip()),
        inputs=st.lists(st.sampled_from(list(FEATURES)), min_size=1, unique=True).map(tuple),
        layers=st.lists(st.integers(1, 16), max_size=8).map(tuple),
        activation=st.sampled_from(list(ACTIVATIONS)),
        learning_rate=st.sampled_from(LEARNING_RATES) | st.floats(1e-9, 1000),
        regularization=st.sampled_from(["none", "L1", "L2"]),
        regularization_rate=st.sampled_from(RATES),
        batch_size=st.integers(1, 1000),
        optimizer=st.sampled_from(["sgd", "momentum", "adam"]),
        dropout=st.floats(0, 0.9),
        epochs_per_second=st.integers(0, 1000),
        show_test=st.booleans(),
        discretize=st.booleans(),
        init_zero=st.booleans(),
        hidden=st.lists(st.sampled_from(["noise", "learningRate", "notes"]), unique=True).map(tuple),
    )
)
@settings(max_examples=30, deadline=None)
def test_any_state_comes_back(made: Settings) -> None:
    text = write(made)
    assert text.isascii()
    assert read(text) == (made, None, [])
    assert read(f"http://127.0.0.1:8000/#/playground?{text}") == (made, None, [])


def test_own_points_and_layers_that_differ_come_back() -> None:
    own = from_rows([[1, 2, 1], [-3, 0.5, -1], [0, 0, 1]], "classification")
    made = Settings(dataset="own", activations=("relu", "gelu"), loss="crossEntropy")
    found = read(write(made, own))
    assert (found.settings, found.faults) == (made, [])
    assert found.own is not None
    assert (found.own.rows == own.rows).all()
    lost = read(write(made))
    assert lost.settings.dataset == "circle"
    assert lost.faults == ["the points of this data are not in the address: bring them again."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lerningRate=1", "Did you mean 'learningRate'?"),
        ("learningRate=fast", "learningRate=fast: this is no number."),
        ("learningRate=1e999", "a number from 0 to 1000."),
        ("learningRate=-1", "a number from 0 to 1000."),
        ("networkShape=4,two", "networkShape=two: this is no whole number."),
        ("networkShape=4,0", "A hidden layer has 1 to 16 neurons."),
        ("networkShape=" + ",".join("1" * 30), "30 hidden layers are too many"),
        ("activation=rleu", "Did you mean 'relu'?"),
        ("dataset=mnist", "There are: circle, gauss, own, spiral, xor."),
        ("percTrainData=1000", "a number from 1 to 99."),
        ("batchSize=1.5", "batchSize=1.5: this is no whole number."),
        ("noise=99", "a number from 0 to 80."),
        ("x=false&y=false", "the net needs at least one input."),
        ("problem=regression&loss=crossEntropy", "loss crossEntropy is of classes"),
        ("activations=relu", "activations names 1 layers"),
        ("dataset=own&points=AAAA", "points: this is not what limpid writes"),
        ("nonsense", "'nonsense' is not of the form name=value."),
        ("%ff=%00", "is no setting"),
        ("seed=" + "7" * 100, "at most 64 characters"),
        ("a" * 70_000, "the address is longer than"),
    ],
)
def test_nonsense_is_told_and_the_rest_is_used(text: str, said: str) -> None:
    found = read(f"{text}&discretize=true" if len(text) < 65_000 else text)
    assert any(said in fault for fault in found.faults), found.faults
    assert all("\n" not in fault and len(fault) < 500 for fault in found.faults)
    if len(text) < 65_000:
        assert found.settings.discretize
    with pytest.raises(LimpidError, match="address: "):
        Playground.from_address(text)


def test_of_many_faults_the_first_are_told_each_once() -> None:
    assert read("%%%&" * 9).faults == ["'%%%' is not of the form name=value."]
    faults = read("&".join(f"n{i}=1" for i in range(40))).faults
    assert len(faults) == 7
    assert faults[-1] == "34 more parts of the address were not understood."
