"""Every measure against scikit-learn or SciPy, on random and on lopsided predictions."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from limpid.evaluation.task_metrics import (
    accuracy,
    class_measures,
    confusion,
    f1_scores,
    matthews,
    pearson,
    ranks,
    score_measures,
    spearman,
)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_measures_of_classes_are_those_of_scikit_learn(classes, seed):
    draw = np.random.default_rng(seed)
    truth = draw.integers(classes, size=200)
    predicted = np.where(draw.random(200) < 0.6, truth, draw.integers(classes, size=200))
    counts = confusion(truth, predicted, classes)
    assert counts.tolist() == metrics.confusion_matrix(truth, predicted).tolist()
    assert accuracy(counts) == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert f1_scores(counts) == pytest.approx(metrics.f1_score(truth, predicted, average=None))
    assert matthews(counts) == pytest.approx(metrics.matthews_corrcoef(truth, predicted))
    measures = class_measures(truth, predicted, classes)
    assert measures["macro F1"].value == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    assert ("F1" in measures) == (classes == 2)
    for interval in measures.values():
        assert interval.low < interval.value < interval.high


def test_a_model_that_names_one_class_has_no_correlation():
    truth, predicted = np.array([0, 0, 1, 1]), np.zeros(4, dtype=int)
    assert matthews(confusion(truth, predicted, 2)) == metrics.matthews_corrcoef(truth, predicted) == 0
    assert f1_scores(confusion(truth, predicted, 2)).tolist() == pytest.approx([2 / 3, 0])


def test_correlations_are_those_of_scipy_ties_and_all():
    draw = np.random.default_rng(0)
    x = draw.integers(6, size=300) / 2.0
    y = x + draw.normal(size=300)
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert ranks(x) == pytest.approx(stats.rankdata(x))
    assert pearson(x, np.ones(300)) == 0
    measures = score_measures(x, y)
    assert measures["Pearson"].low < measures["Pearson"].value < measures["Pearson"].high


def test_the_interval_of_accuracy_is_near_the_normal_one():
    truth = np.zeros(1000, dtype=int)
    predicted = (np.arange(1000) % 5 == 0).astype(int)  # accuracy .8: 1.96 sqrt(.8 * .2 / 1000) = .0248
    interval = class_measures(truth, predicted, 2)["accuracy"]
    assert interval.value == 0.8
    assert interval.high - interval.low == pytest.approx(2 * 0.0248, rel=0.1)
