"""The n-gram baseline finds the optimum that scikit-learn finds, and learns what n-grams can tell."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from limpid.evaluation.ngram_baseline import (
    Design,
    TfIdf,
    answers,
    features,
    fit_baseline,
    fit_linear,
    ngrams,
    predicted_classes,
)

WORDS = "a the film was good bad not very dull bright and , . it's".split()


def texts(count, seed):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, size=draw.integers(3, 12))) for _ in range(count)]


def test_words_pairs_and_chinese_characters():
    assert ngrams("Good, good") == {"good": 2, ",": 1, "good ,": 1, ", good": 1}
    assert set(ngrams("床前")) == {"床", "前", "床 前"}


@pytest.fixture
def matrices():
    train, test = texts(120, 0), texts(40, 1)
    counts = [features("single", (t,))[0] for t in train]
    tfidf = TfIdf(counts)
    theirs = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"[^\W\u3400-\u9fff]+|[^\w\s]+").fit(train)
    design = Design(tfidf(counts), [1] * len(train))
    asked = Design(tfidf([features("single", (t,))[0] for t in test]), [1] * len(test))
    return design, asked, theirs.transform(train), theirs.transform(test), list(theirs.get_feature_names_out())


def test_tf_idf_is_that_of_scikit_learn(matrices):
    design, asked, theirs, theirs_asked, names = matrices
    counts = [features("single", (t,))[0] for t in texts(120, 0)]
    index = TfIdf(counts).index
    order = [index[name] for name in names]
    assert len(order) == len(index)
    np.testing.assert_allclose(design.matrix.to_dense().numpy()[:, order], theirs.toarray(), atol=1e-12)
    np.testing.assert_allclose(asked.matrix.to_dense().numpy()[:, order], theirs_asked.toarray(), atol=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("c", [0.5, 20.0])
def test_logistic_regression_is_that_of_scikit_learn(matrices, classes, c):
    design, asked, theirs, theirs_asked, _ = matrices
    labels = np.random.default_rng(2).integers(classes, size=120)
    weights = fit_linear("single", classes, design, torch.tensor(labels, dtype=torch.float64), c)
    mine = answers("single", weights, asked)
    judge = LogisticRegression(C=c, tol=1e-10, max_iter=5000).fit(theirs, labels)
    expected = judge.predict_proba(theirs_asked)
    found = torch.sigmoid(mine[:, 0]) if classes == 2 else torch.softmax(mine, 1)
    np.testing.assert_allclose(found.numpy(), expected[:, 1] if classes == 2 else expected, atol=2e-4)


def test_ridge_regression_is_that_of_scikit_learn(matrices):
    design, asked, theirs, theirs_asked, _ = matrices
    scores = np.random.default_rng(3).normal(2.0, 1.5, size=120)
    weights = fit_linear("single", 1, design, torch.tensor(scores), 2.0)
    judge = Ridge(alpha=1 / 2.0, solver="lsqr", tol=1e-12).fit(theirs, scores)  # |w|^2 + C |error|^2, both halved
    np.testing.assert_allclose(answers("single", weights, asked)[:, 0].numpy(), judge.predict(theirs_asked), atol=1e-4)


def test_choices_are_told_by_what_they_share_with_the_context():
    draw = np.random.default_rng(0)
    words = [f"w{i}" for i in range(12)]
    examples, labels = [], []
    for _ in range(300):
        context = draw.choice(words, size=4, replace=False)
        others = [w for w in words if w not in context]
        choices = [str(draw.choice(others)) for _ in range(int(draw.integers(2, 5)))]
        right = int(draw.integers(len(choices)))
        choices[right] = str(context[0])
        examples.append((" ".join(context), *choices))
        labels.append(float(right))
    fitted = fit_baseline(
        "choice", 1, (examples[:200], labels[:200]), (examples[200:250], labels[200:250]), examples[250:]
    )
    assert np.mean(predicted_classes("choice", fitted.answers) == labels[250:]) > 0.95


def test_similarity_does_not_depend_on_the_order_of_a_pair():
    first, second = texts(60, 4), texts(60, 5)
    there, back = list(zip(first, second, strict=True)), list(zip(second, first, strict=True))
    labels = np.linspace(0, 5, 60)
    fitted = [fit_baseline("similarity", 1, (there, labels), (there, labels), asked).answers for asked in (there, back)]
    np.testing.assert_allclose(fitted[0], fitted[1], atol=1e-9)
