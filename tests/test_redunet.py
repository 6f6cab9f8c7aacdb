"""ReduNetTransformer and ReduNetClassifier: properties and errors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skredu import InvariantReduNetClassifier, ReduNetClassifier, ReduNetTransformer
from skredu.datasets import make_gaussians_on_sphere
from skredu.metrics import class_similarity
from skredu.rates import class_coding_rate, coding_rate, rate_reduction

ESTIMATORS = [ReduNetTransformer, ReduNetClassifier]
EPSILON = 0.1**0.5
PUBLISHED = {
    "epsilon": EPSILON,
    "eta": 0.5,
    "step": "published",
    "membership": "residual",
    "construction": "estimated",
    "fit_intercept": False,
}


@pytest.fixture(scope="module")
def wine():
    """Return a standardised table and classes."""
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def every_layer(estimator, **settings):
    """Return an estimator that keeps all of its layers."""
    if estimator is ReduNetClassifier:
        settings["n_iter_no_change"] = None
    return estimator(**settings)


# -- the published network ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("n_classes", "optimum"), [(2, 0.8756), (3, 1.8798)])
def test_gaussians_become_orthogonal_points(n_classes, optimum):
    # k / 2 log(1 + 1 / epsilon^2) - log(1 + k / epsilon^2) / 2 for epsilon^2 = 0.1
    X, y = make_gaussians_on_sphere(100, n_classes=n_classes, noise=0.1, random_state=0)
    net = ReduNetTransformer(1200, **PUBLISHED).fit(X, y)
    assert net.rates_["delta_R"][-1] == pytest.approx(optimum, abs=1e-3)
    assert np.all(np.diff(net.rates_["delta_R"]) > -1e-9)
    between = np.asarray(class_similarity(net.transform(X), y))
    assert between.shape == (n_classes, n_classes)
    assert np.max(np.abs(between - np.diag(np.diag(between)))) < 0.01


# -- what is recorded -----------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_rates_are_those_of_the_features_of_training_rows(estimator, wine):
    X, y = wine
    net = every_layer(estimator, n_layers=4, epsilon=0.5, construction="estimated")
    net.fit(X, y)
    assert net.n_iter_ == 4
    for i, Z in enumerate(net.staged_transform(X)):
        assert net.rates_["R"][i] == pytest.approx(coding_rate(Z, epsilon=0.5))
        rate = class_coding_rate(Z, y, epsilon=0.5)
        assert net.rates_["Rc"][i] == pytest.approx(rate)
        delta = rate_reduction(Z, y, epsilon=0.5)
        assert net.rates_["delta_R"][i] == pytest.approx(delta)
    assert i == 4
    assert_allclose(Z, net.transform(X))


# -- going on, stopping, watching -----------------------------------------------------


def test_warm_start_where_all_layers_were_dropped():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), np.arange(60) % 2  # noise: nothing to learn
    net = ReduNetClassifier(2, warm_start=True).fit(X, y)
    assert net.n_iter_ == 0
    before = net.predict_proba(X)
    net.set_params(n_layers=4).fit(X, y)
    assert net.n_iter_ == 0
    assert len(net.rates_["delta_R"]) == 1
    assert len(list(net.staged_predict(X))) == 1
    assert_array_equal(net.predict_proba(X), before)


def test_a_small_gain_ends_the_network(wine):
    X, y = wine
    net = ReduNetTransformer(30, 0.5, tol=0.05).fit(X, y)
    gains = np.diff(net.rates_["delta_R"])
    assert 1 <= net.n_iter_ < 30
    assert gains[-1] < 0.05
    assert np.all(gains[:-1] >= 0.05)


def test_layers_that_do_not_earn_their_place_are_dropped(wine):
    X, y = wine
    net = ReduNetClassifier(20).fit(X, y)
    assert net.n_iter_ < 20
    assert len(list(net.staged_predict(X))) == net.n_iter_ + 1
    assert len(net.rates_["R"]) == net.n_iter_ + 1
    kept = ReduNetClassifier(20, n_iter_no_change=None).fit(X, y)
    assert kept.n_iter_ == 20


# -- the decision ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ReduNetClassifier, InvariantReduNetClassifier])
def test_stages_end_in_the_prediction(kind, wine):
    X, y = wine
    net = kind(4, 0.5, n_iter_no_change=None).fit(X, y)
    assert len(list(net.staged_predict(X))) == 5
    *_, last = net.staged_predict(X)
    assert_array_equal(last, net.predict(X))
    *_, proba = net.staged_predict_proba(X)
    assert_allclose(proba, net.predict_proba(X), atol=1e-10)
    assert_array_equal(net.classes_[net.decision_function(X).argmax(axis=1)], last)


@pytest.mark.slow
def test_held_out_accuracy_at_defaults():
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), ReduNetClassifier())
    for load, least in ((load_breast_cancer, 0.97), (load_wine, 0.98)):
        X, y = load(return_X_y=True)
        assert cross_val_score(model, X, y, cv=folds).mean() >= least


@pytest.mark.slow
def test_small_classes_are_not_forgotten():
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    parts = [rng.permutation(np.flatnonzero(y == j)) for j in range(10)]
    train = np.concatenate([p[: 15 if j < 5 else 135] for j, p in enumerate(parts)])
    test = np.setdiff1d(np.arange(len(y)), train)
    net = ReduNetClassifier().fit(X[train] / 16, y[train])
    right = net.predict(X[test] / 16) == y[test]
    assert right[y[test] < 5].mean() >= 0.9


# -- the way back ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "settings"),
    [
        (200, {}),
        (60, {"epsilon": 0.5}),  # fewer samples than features: a basis
        (200, {"fit_intercept": False, "membership": "residual", "eta": 0.5}),
        (200, PUBLISHED | {"eta": 0.05}),
    ],
)
def test_samples_with_given_features(n, settings):
    """`transform` returns the features again, and samples are those they belong to."""
    X, y = load_digits(return_X_y=True)
    net = ReduNetTransformer(3, **settings).fit(X[:n], y[:n])
    Z = net.transform(X[500:520])
    back = net.inverse_transform(Z)
    assert net.n_iter_ == 3
    assert_allclose(net.transform(back), Z, atol=1e-12)
    expected = X[500:520]
    if not net.intercept_:
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    assert_allclose(back, expected, atol=1e-11 * np.abs(expected).max())
    again = net.inverse_transform(Z[:3].astype(np.float32))
    assert again.dtype == np.float32
    assert_allclose(again, expected[:3], atol=1e-3 * np.abs(expected).max())


def test_features_that_no_sample_has_and_steps_that_cannot_be_undone_are_named():
    X, y = load_wine(return_X_y=True)
    net = ReduNetTransformer(2, fit_intercept=True).fit(X, y)
    Z = net.transform(X[:2])
    with pytest.raises(ValueError, match="features that no sample has"):
        net.inverse_transform(-Z)
    with pytest.raises(ValueError, match="the 14 features that transform returns"):
        net.inverse_transform(X)
    assert hasattr(ReduNetClassifier(), "inverse_transform")
    assert not hasattr(ReduNetTransformer(step="momentum"), "inverse_transform")
    X, y = load_digits(return_X_y=True)
    net = ReduNetTransformer(3, **PUBLISHED).fit(X[:200], y[:200])
    with pytest.warns(UserWarning, match="A smaller eta helps"):
        net.inverse_transform(net.transform(X[500:520]))


def test_steps_that_overshoot_at_first_are_shortened():
    X, y = load_wine(return_X_y=True)
    X, settings = scale(X), {"membership": "relu", "eta": 0.9, "fit_intercept": False}
    net = ReduNetTransformer(1, **settings).fit(X, y)
    Z = np.random.default_rng(0).normal(size=(200, 13))
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    assert_allclose(net.transform(net.inverse_transform(Z)), Z, atol=1e-12)
