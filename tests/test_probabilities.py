"""Probabilities are calibrated with every kernel and in both networks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import peak_of
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler

from skredu import InvariantReduNetClassifier, MICLClassifier, ReduNetClassifier
from skredu.datasets import make_subspaces

pytestmark = pytest.mark.slow

CLASSIFIERS = {
    "linear": MICLClassifier(),
    "given epsilon": MICLClassifier(1.0),
    "rbf": MICLClassifier(kernel="rbf"),
    "laplacian": MICLClassifier(kernel="laplacian"),
    "auto": MICLClassifier(kernel="auto"),
    "poly": MICLClassifier(kernel="poly"),
    "cosine": MICLClassifier(kernel="cosine"),
    "local": MICLClassifier(n_neighbors=10),
    "net": ReduNetClassifier(3),
    "net for signals": InvariantReduNetClassifier(3),
}


def skewed(n=1500, share=0.05, seed=0):
    """Return two skewed columns with slightly larger values in a rare class."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    return np.exp(rng.normal(size=(n, 2))) + y[:, None], y


def standardised(load):
    X, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))[:500]
    return StandardScaler().fit_transform(X[order]), y[order]


SETS = {
    "skewed": skewed,
    "subspaces": lambda: make_subspaces([90, 60, 150], noise=0.3, random_state=0),
    "iris": lambda: standardised(load_iris),
    "wine": lambda: standardised(load_wine),
    "breast cancer": lambda: standardised(load_breast_cancer),
    "digits": lambda: standardised(load_digits),
}


def halves(name):
    X, y = SETS[name]()
    order = np.random.default_rng(1).permutation(len(y))
    return (X[order[::2]], y[order[::2]]), (X[order[1::2]], y[order[1::2]])


def frequencies(y):
    return np.bincount(y) / len(y)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_probabilities_beat_the_class_frequencies_and_have_their_mean(kind, name):
    (X, y), (new, new_y) = halves(name)
    model = CLASSIFIERS[kind].fit(X, y)
    for rows, labels in ((X, y), (new, new_y)):
        loss = log_loss(labels, model.predict_proba(rows), labels=model.classes_)
        # two hundredths for what the halves differ by, where rows say nothing
        assert loss <= -1.02 * np.log(frequencies(y)[labels]).mean()
    # the means are so exactly, but for a small penalty, over the rows left out; rows
    # that the model knows are a little surer of their own class
    assert_allclose(model.predict_proba(X).mean(axis=0), frequencies(y), atol=0.02)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("kind", ["linear", "net"])
def test_rare_classes_keep_their_frequency_where_rows_say_little(kind, share):
    X, y = skewed(2000, share)
    model = CLASSIFIERS[kind].fit(X, y)
    mean = model.predict_proba(skewed(2000, share, seed=1)[0])[:, 1].mean()
    assert mean == pytest.approx(y.mean(), abs=0.01)


def test_bits_that_are_not_sure_enough_are_multiplied():
    # with a large distortion bits fall short of the likelihood ratio
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    X = rng.normal(size=(400, 2)) + 3.0 * y[:, None]
    model = MICLClassifier(30.0).fit(X, y)
    assert model.temperature_ < 0.5
    assert log_loss(y, model.predict_proba(X)) < 0.1


def test_rows_told_apart_without_an_error_do_not_make_certain():
    (X, y), (new, new_y) = halves("wine")
    for kind in ("linear", "given epsilon", "rbf", "net"):
        model = CLASSIFIERS[kind].fit(X, y)
        assert model.score(X, y) == 1.0
        assert model.score(new, new_y) < 1.0
        assert log_loss(new_y, model.predict_proba(new)) < 0.15


def test_many_classes_take_little_memory():
    # all left-out samples in all classes at all distortions would take 180 MiB
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(630), 3)
    X = 3.0 * rng.normal(size=(630, 10))[y] + rng.normal(size=(1890, 10))
    model = MICLClassifier()
    assert peak_of(model.fit, X, y) < 160 * 2**20
    assert model.score(X, y) > 0.9
    assert log_loss(y, model.predict_proba(X)) < 1.0


# -- calibrate ------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", ["auto", 0.7])
@pytest.mark.parametrize("settings", [{}, {"kernel": "rbf"}, {"n_neighbors": 10}])
def test_without_calibration_frequencies_are_the_label_code(settings, epsilon):
    X, y = SETS["wine"]()
    model = MICLClassifier(epsilon, calibrate=False, **settings).fit(X, y)
    assert model.temperature_ == 1.0
    assert_allclose(model.priors_, frequencies(y))


# -- decision_function ----------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_decisions_are_bits_relative_to_all_classes(kind):
    X, y = SETS["iris"]()
    model = CLASSIFIERS[kind].fit(X, y)
    bits = model.decision_function(X)
    logs = model.predict_log_proba(X) / np.log(2)
    assert_allclose(bits, model.temperature_ * logs, rtol=1e-9, atol=1e-9)
    assert_array_equal(bits.argmax(axis=1), model.predict(X))


def test_columns_of_decisions_can_be_calibrated():
    X, y = load_iris(return_X_y=True)
    for kind, method in (("linear", "isotonic"), ("net", "sigmoid")):
        model = CalibratedClassifierCV(CLASSIFIERS[kind], method=method, ensemble=False)
        assert cross_val_score(model, X, y, cv=3).mean() >= 0.95


@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_noise_costs_no_more_than_the_class_frequencies(kernel, n):
    costs = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(n, 3)), rng.integers(2, size=n)
        new, truth = rng.normal(size=(1000, 3)), rng.integers(2, size=1000)
        P = MICLClassifier(kernel=kernel).fit(X, y).predict_proba(new)
        shares = np.bincount(y) / n
        costs.append(log_loss(truth, P) + np.log(shares[truth]).mean())
    assert np.median(costs) < 0.005
