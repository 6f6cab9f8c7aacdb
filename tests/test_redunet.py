"""ReduNetTransformer and ReduNetClassifier: properties and errors."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import ReduNetClassifier, ReduNetTransformer
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
@pytest.mark.parametrize(
    ("n_classes", "optimum"), [(2, 0.8756), (3, pytest.approx(1.8798, abs=1e-3))]
)
def test_gaussians_become_orthogonal_points(n_classes, optimum):
    # k / 2 log(1 + 1 / epsilon^2) - log(1 + k / epsilon^2) / 2 for epsilon^2 = 0.1
    X, y = make_gaussians_on_sphere(500, n_classes=n_classes, noise=0.1, random_state=0)
    net = ReduNetTransformer(2000, **PUBLISHED).fit(X, y)
    assert pytest.approx(net.rates_["delta_R"][-1], abs=1e-3) == optimum
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


def test_default_step_never_lowers_the_rate_reduction(wine):
    for epsilon, eta in itertools.product([0.05, 0.5, 2.0], [0.01, 0.3, 1.0]):
        X, y = wine
        net = every_layer(ReduNetTransformer, n_layers=30, epsilon=epsilon, eta=eta)
        net.fit(X, y)
        assert np.all(np.diff(net.rates_["delta_R"]) >= 0.0)
        assert np.all(np.isfinite(net.transform(X[:5] * 100)))


# -- weights, order, scale, few rows --------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_class(estimator):
    X = np.random.default_rng(0).normal(size=(10, 3))
    net = estimator(3).fit(X, np.zeros(10))
    assert np.all(np.isfinite(net.transform(X)))
    assert_allclose(net.rates_["delta_R"], 0.0, atol=1e-12)


def test_few_rows_of_many_features_make_no_square_matrix():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    X = rng.normal(size=(30, 20_000)).astype(np.float32) + y[:, None]
    net = ReduNetClassifier(3).fit(X, y)  # a square matrix would take 1.6 GB
    assert net.transform(X[:2]).shape[1] in {20_000, 20_001}
    assert net.score(X, y) == 1.0


# -- going on, stopping, watching -----------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_warm_start_adds_layers(estimator, wine):
    X, y = wine
    cold = every_layer(estimator, n_layers=6, epsilon=0.5).fit(X, y)
    warm = every_layer(estimator, n_layers=2, epsilon=0.5, warm_start=True).fit(X, y)
    warm.set_params(n_layers=6).fit(X, y)
    assert warm.n_iter_ == 6
    assert_allclose(warm.transform(X), cold.transform(X), atol=1e-10)
    assert_allclose(warm.rates_["delta_R"], cold.rates_["delta_R"])
    with pytest.raises(ValueError, match=r"n_layers=3 must be at least n_iter_=6"):
        warm.set_params(n_layers=3).fit(X, y)
    with pytest.raises(ValueError, match="must be those of the last call"):
        warm.set_params(n_layers=8).fit(X[:-1], y[:-1])


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


def test_callbacks_see_layers_and_may_stop(wine):
    pytest.importorskip("sklearn.callback")
    X, y = wine

    class Stop:
        def __init__(self):
            self.widths = []

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            if context.task_name == "layer":
                self.widths.append(fitted_estimator.transform(X).shape[1])
            return len(self.widths) == 3

        def teardown(self, estimator, context):
            pass

    stop = Stop()
    net = every_layer(ReduNetTransformer, n_layers=9, epsilon=0.5)
    net.set_callbacks(stop).fit(X, y)
    assert net.n_iter_ == len(stop.widths) == 3


# -- the decision ---------------------------------------------------------------------


def test_stages_end_in_the_prediction(wine):
    X, y = wine
    net = ReduNetClassifier(4, 0.5, n_iter_no_change=None).fit(X, y)
    *_, last = net.staged_predict(X)
    assert_array_equal(last, net.predict(X))
    *_, proba = net.staged_predict_proba(X)
    assert_allclose(proba, net.predict_proba(X), atol=1e-10)
    assert_allclose(proba.sum(axis=1), 1.0)
    assert_array_equal(net.classes_[net.decision_function(X).argmax(axis=1)], last)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "least"), [(load_breast_cancer, 0.97), (load_wine, 0.98)]
)
def test_held_out_accuracy_at_defaults(load, least):
    X, y = load(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), ReduNetClassifier())
    assert cross_val_score(model, X, y, cv=folds).mean() >= least


@pytest.mark.slow
def test_small_classes_are_not_forgotten():
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    train = np.concatenate(
        [
            rng.permutation(np.flatnonzero(y == j))[: 15 if j < 5 else 135]
            for j in range(10)
        ]
    )
    test = np.setdiff1d(np.arange(len(y)), train)
    net = ReduNetClassifier().fit(X[train] / 16, y[train])
    right = net.predict(X[test] / 16) == y[test]
    assert right[y[test] < 5].mean() >= 0.9


def test_grid_search_in_a_pipeline(wine):
    X, y = wine
    grid = {
        "redunetclassifier__epsilon": ["auto", 0.5],
        "redunetclassifier__eta": [0.1, 0.5],
    }
    net = ReduNetClassifier(3, n_iter_no_change=None)
    model = make_pipeline(StandardScaler(), net)
    search = GridSearchCV(model, grid, cv=3).fit(X, y)
    assert search.best_score_ > 0.95


# -- bad input, state -----------------------------------------------------------------
