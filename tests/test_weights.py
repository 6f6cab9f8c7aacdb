"""Sample weights are numbers of copies; equal copies of all rows are no evidence."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.ensemble import AdaBoostClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

from skredu import (
    InvariantReduNetClassifier,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
)

pytestmark = pytest.mark.slow

CLASSIFIERS = {
    "linear": MICLClassifier(),
    "centred": MICLClassifier(assume_centered=True),
    "given epsilon": MICLClassifier(1.0),
    "rbf": MICLClassifier(kernel="rbf"),
    "local": MICLClassifier(n_neighbors=8),
    "net": ReduNetClassifier(3, n_iter_no_change=None),
    "net for signals": InvariantReduNetClassifier(2, n_iter_no_change=None),
}
LITTLE = "ignore:The weights:UserWarning"


def digits():
    X, y = load_digits(n_class=5, return_X_y=True)
    return (X[:200] / 16, y[:200]), (X[200:] / 16, y[200:])


def overlapping(n=90, d=6, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return rng.normal(size=(n, d)) * (1.0 + y[:, None]) + np.eye(3, d)[y], y


# -- copies ---------------------------------------------------------------------------


@pytest.mark.filterwarnings(LITTLE)
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_copies_do_not_know_more_and_any_unit_of_weights_gives_a_right_answer(kind):
    train, test = digits()
    model = CLASSIFIERS[kind]
    plain = model.fit(*train).score(*test)
    loss = -np.log(model.predict_proba(test[0]).max(axis=1)).mean()
    for weight in (2.0, 10.0, 1e-45, 1e14, 1e45):
        assert model.fit(*train, np.full(200, weight)).score(*test) > plain - 0.02
        if weight < 11.0:
            heavy = -np.log(model.predict_proba(test[0]).max(axis=1)).mean()
            assert heavy == pytest.approx(loss, rel=0.5, abs=0.02)
    repeated = np.repeat(np.arange(200), 3)
    assert model.fit(train[0][repeated], train[1][repeated]).score(*test) > plain - 0.02
    wide = 10.0 ** np.random.default_rng(0).uniform(-12, 12, 200)
    proba = model.fit(*train, wide).predict_proba(test[0])
    assert np.isfinite(proba).all()
    assert_allclose(proba.sum(axis=1), 1.0)
    assert model.score(*test) > 0.5


def test_equal_rows_of_different_classes_stay_apart():
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 2, axis=0)
    model = MICLClassifier(1.0).fit(X, [0, 1, 0, 0, 1, 1, 0, 1])
    assert_allclose(model.predict_proba(X)[0], 0.5, atol=0.2)


# -- weights that are no numbers of copies --------------------------------------------


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_weights_that_sum_to_one_are_multiplied_with_a_warning(kind):
    train, test = digits()
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.5, 1.5, 200) * (rng.random(200) < 0.9)
    model, n = CLASSIFIERS[kind], np.count_nonzero(weights)
    expected = model.fit(*train, weights * n / weights.sum()).predict_proba(test[0])
    said = r"sample_weight \* n / sample_weight\.sum"
    with pytest.warns(UserWarning, match=said) as w:
        model.fit(*train, weights / weights.sum())
    assert [found.filename for found in w] == [__file__]
    assert_allclose(model.predict_proba(test[0]), expected, atol=1e-6)


def test_subspaces_see_no_unit_of_weights():
    (X, y), (new, _) = digits()
    plain = NearestSubspaceClassifier().fit(X, y).decision_function(new)
    for scale in (1e-45, 1e-3, 1e15, 1e45):
        model = NearestSubspaceClassifier().fit(X, y, np.full(200, scale))
        assert_allclose(model.decision_function(new), plain, atol=1e-9)


def test_more_copies_than_count_change_nothing_and_streams_refuse_them():
    (X, y), (new, _) = digits()
    many, more = (
        MICLClassifier(1.0, priors=None).fit(X, y, np.full(200, c)).predict_proba(new)
        for c in (1e6, 1e12)
    )
    assert_allclose(more, many, atol=1e-4)
    for scale in (1e-40, 1e12):
        with pytest.raises(ValueError, match=r"sample_weight must be 0 or from 1e-30 "):
            MICLClassifier().partial_fit(X, y, range(5), np.full(200, scale))


@pytest.mark.filterwarnings(LITTLE)
@pytest.mark.parametrize("load", [load_wine, load_digits])
def test_boosting_is_no_worse_than_of_naive_bayes(load):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    scores = []
    for model in (MICLClassifier(), MICLClassifier(1.0), GaussianNB()):
        boosted = AdaBoostClassifier(model, n_estimators=5, random_state=0)
        scores.append(boosted.fit(X[::3], y[::3]).score(X[1::3], y[1::3]))
    one_row = 1.0 / len(X[1::3])
    assert min(scores[:2]) >= scores[2] - 1.1 * one_row


@pytest.mark.parametrize(
    "model", [MICLClassifier(), ReduNetClassifier(1), InvariantReduNetClassifier(1)]
)
def test_weights_that_all_differ_cost_no_loop_over_rows(model):
    X, y = overlapping(1000, 8)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, len(y))

    def seconds(weights):
        times = []
        for _ in range(3):
            start = time.process_time()
            model.fit(X, y, weights)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(weights) < 4.5 * seconds(np.ones(len(y)))


@pytest.mark.parametrize(
    "model",
    [
        MICLClassifier(),
        ReduNetClassifier(1, n_iter_no_change=None),
        InvariantReduNetClassifier(1, signal_shape=6, n_iter_no_change=None),
    ],
)
def test_weights_live_beside_the_rows(model, xp):
    X, y = overlapping()
    weights = np.random.default_rng(3).uniform(1.2, 2.8, len(y))
    expected = clone(model).fit(X, y, weights).predict_proba(X)
    rows = xp.asarray(X)
    model = clone(model).fit(rows, xp.asarray(y), xp.asarray(weights))
    assert_allclose(xp.to_numpy(model.predict_proba(rows)), expected, atol=1e-8)


@pytest.mark.parametrize(
    "model",
    [
        MICLClassifier(),
        MICLClassifier(symmetry="flip"),
        ReduNetClassifier(1, n_iter_no_change=None),
        ReduNetClassifier(1, n_iter_no_change=None, symmetry="flip"),
        InvariantReduNetClassifier(1, n_iter_no_change=None),
    ],
)
def test_copies_in_every_namespace_and_precision_are_merged(model, xp, dtype):
    X, y = overlapping()
    both, labels = np.vstack([X, X[:9]]), np.r_[y, y[:9]]
    expected = clone(model).fit(both, labels).predict_proba(X)
    model = clone(model).fit(xp.asarray(both, dtype=dtype), xp.asarray(labels))
    found = xp.to_numpy(model.predict_proba(xp.asarray(X, dtype=dtype)))
    assert_allclose(found, expected, atol=1e-8 if dtype == "float64" else 1e-3)
