"""Mixes of kernels (``kernel="auto"``), and the transforms of features in them."""

import numpy as np
import oracle_micl
import oracle_mix
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime
from scipy.stats import yeojohnson_llf
from settings import limit
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.metrics import log_loss
from sklearn.metrics.pairwise import laplacian_kernel, manhattan_distances, rbf_kernel
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from skredu import MICLClassifier
from skredu.classification._kernel import mean_distance
from skredu.classification._mix import (
    choose_weights,
    fit_weights,
    mix_loss,
    most_for_kernels,
)
from skredu.classification._transforms import TRANSFORMS
from skredu.coding._rows import Rows
from skredu.metrics import label_quality


def predictions(m=3, n=60, k=4, seed=0):
    """Return log-probabilities of candidates of different quality, and labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    scores = rng.normal(size=(m, n, k))
    scores[:, np.arange(n), y] += np.linspace(0.2, 1.5, m)[:, None]
    logs = scores - np.log(np.exp(scores).sum(axis=2, keepdims=True))
    return logs, y, rng.uniform(0.5, 2.0, n)


def skewed(n=300, seed=0):
    """Return features of different scales and shapes, and two classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    X = rng.normal(size=(n, 4)) + 0.8 * y[:, None]
    X[:, 0] = np.exp(2 * X[:, 0])
    X[:, 1] = 1e4 * X[:, 1] ** 3
    X[:, 3] = X[:, 3] > 1.0
    return X, y


# -- the convex fit -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_loss_is_the_definition_and_weights_are_its_optimum(seed):
    L, y, weights = predictions(seed=seed)
    data = L, y, weights / weights.sum()
    theta = np.random.default_rng(seed).uniform(0.1, 1.0, 3 + 4)
    value, gradient = mix_loss(theta, *data, True)
    assert_allclose(value, oracle_mix.mix_loss(theta[:3], theta[3:], L, y, weights))
    steps = approx_fprime(theta, lambda t: mix_loss(t, *data, True)[0], 1e-7)
    assert_allclose(gradient, steps, atol=1e-6)
    fixed = mix_loss(theta, *data, False)[1]
    assert_array_equal(fixed[3:], 0.0)
    assert_array_equal(fixed[:3], gradient[:3])
    w, b, least = fit_weights(L, y, weights)
    assert (w >= 0.0).all()
    assert_allclose(least, oracle_mix.mix_loss(w, b, L, y, weights), rtol=1e-9)
    assert least <= oracle_mix.best_mix(L, y, weights) + 1e-7


def test_candidate_without_information_has_no_weight():
    L, y, weights = predictions(m=2, n=600)
    noise = 3.0 * np.random.default_rng(1).normal(size=L[:1].shape)
    wrong = noise - np.log(np.exp(noise).sum(axis=2, keepdims=True))
    against = np.roll(predictions(m=2, n=600, seed=9)[0][1:], 1, axis=2)
    for candidates in ([*L, *wrong], [*L, *wrong, *against]):
        found = choose_weights(np.array(candidates), y, weights, fit_labels=True)
        expected = fit_weights(L, y, weights)
        assert_allclose(found[0][:2], expected[0], rtol=1e-3)
        assert_allclose(found[1], expected[1], atol=1e-3)
        assert_array_equal(found[0][2:], 0.0)
    assert found[0][1] > found[0][0]


def test_samples_that_no_candidate_can_predict_are_dropped():
    L, y, weights = predictions()
    L[1, 5, y[5]] = -np.inf  # the class is empty without this sample
    keep = np.arange(len(y)) != 5
    expected = fit_weights(L[:, keep], y[keep], weights[keep])
    for found, value in zip(fit_weights(L, y, weights), expected, strict=True):
        assert_allclose(found, value)


def test_single_class_is_left_to_the_first_candidate():
    L, _, weights = predictions()
    w, b, _ = fit_weights(L, np.zeros(60, dtype=int), weights)
    assert_array_equal(w, [1.0, 0.0, 0.0])
    assert_array_equal(b, 0.0)


# -- transforms -----------------------------------------------------------------------


def fitted_to(kind, *rows):
    """Return a transform that was fitted to samples, classes and weights."""
    fit, apply = TRANSFORMS[kind]
    state = fit(Rows.of(*rows))
    return lambda X: apply(X, **state)


def test_exponents_have_maximum_likelihood():
    X, y = skewed()
    exponents = TRANSFORMS["Yeo-Johnson"][0](Rows.of(X[:, :3], y, None))["exponents"]
    fitted = fitted_to("Yeo-Johnson", X[:, :3], y, None)
    for j in range(3):
        x = (X[:, j] - X[:, j].mean()) / X[:, j].std()
        best = max(yeojohnson_llf(e, x) for e in np.linspace(-4.0, 6.0, 201))
        assert yeojohnson_llf(exponents[j], x) > best - 0.02
        expected = oracle_mix.normal_column(X[:, j], np.ones(300), exponents[j])
        assert_allclose(fitted(X[:, :3])[:, j], expected, atol=1e-9)


def test_ranks_are_shares_of_samples_below():
    X = np.array([[3.0, 7.0], [1.0, 7.0], [1.0, 7.0], [2.0, 7.0]])
    fitted = fitted_to("ranks", X, np.zeros(4), None)
    assert_allclose(fitted(X), [[0.875, 0.5], [0.25, 0.5], [0.25, 0.5], [0.625, 0.5]])
    new = np.array([[-9.0, 7.0], [1.5, 0.0], [9.0, 8.0]])
    assert_allclose(fitted(new)[:, 0], [0.25, 0.4375, 0.875])
    assert_allclose(fitted(new)[:, 1], 0.5)


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_transforms_take_weights_as_copies_and_any_unit(kind):
    X, y = skewed()
    weights = np.random.default_rng(3).integers(1, 4, len(y)).astype(float)
    index = np.repeat(np.arange(len(y)), weights.astype(int))
    expected = fitted_to(kind, X, y, weights)(X)
    copied = fitted_to(kind, X[index], y[index], None)(X)
    assert_allclose(copied, expected, atol=1e-12 if kind == "ranks" else 1e-3)
    units, origins = np.array([1e-8, 1e8, 3.0, 7.0]), np.array([1.0, 2.0, 3.0, 4.0])
    moved = fitted_to(kind, units * (X + origins), y, weights)
    assert_allclose(moved(units * (X + origins)), expected, atol=1e-6)


def test_transforms_of_hard_features_are_finite():
    X = np.array([[0.0, 5.0, 1e150, 0.0], [0.0, 5.0, -1e150, 1.0]] * 3)
    for kind in TRANSFORMS:
        fitted = fitted_to(kind, X, np.zeros(6), None)
        assert np.isfinite(fitted(X)).all()
        assert np.isfinite(fitted(1e10 * X - 1.0)).all()


# -- the classifier -------------------------------------------------------------------


def test_probabilities_are_the_mix_of_those_of_the_candidates():
    X, y = load_iris(return_X_y=True)
    model = MICLClassifier(kernel="auto").fit(X[::2], y[::2])
    logs = np.tile(model._mix["label_terms"], (75, 1))
    used = {k: c for k, c in model.candidates_.items() if c["weight"] > 0.0}
    assert [c["weight"] for c in used.values()] == model._mix["weights"].tolist()
    assert used
    for name, about in used.items():
        kernel, _, transform = name.partition(", ")
        train, new = X[::2], X[1::2]
        if transform:
            fitted = fitted_to(transform, train, y[::2], None)
            train, new = fitted(train), fitted(new)
        gamma = about.get("gamma")
        alone = MICLClassifier(kernel=kernel, gamma=gamma).fit(train, y[::2])
        assert_allclose(alone.epsilon_, about["epsilon"])
        assert_allclose(alone.temperature_, about["temperature"])
        logs += about["weight"] * np.maximum(alone.predict_log_proba(new), -30.0)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    assert_allclose(model.predict_log_proba(X[1::2]), logs, atol=1e-9)
    scores = model.decision_function(X[1::2])
    assert_allclose(scores * np.log(2), logs, atol=1e-9)
    assert_array_equal(model.predict(X[1::2]), logs.argmax(axis=1))


def test_mix_is_better_than_its_linear_candidate():
    X, y = load_breast_cancer(return_X_y=True)  # features of very different scales
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    losses = {}
    for kernel in ("linear", "auto"):
        model = MICLClassifier(kernel=kernel)
        P = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
        losses[kernel] = log_loss(y, P)
    assert losses["auto"] < 0.9 * losses["linear"]


def test_given_priors_and_weights_of_classes_reach_the_mix():
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.06).astype(int)
    X = rng.normal(size=(400, 4)) + 1.2 * y[:, None]
    new_y = np.arange(1000) % 2
    new = rng.normal(size=(1000, 4)) + 1.2 * new_y[:, None]
    found = {}
    for name, options in {
        "plain": {},
        "priors": {"priors": "balanced"},
        "weights": {"class_weight": "balanced"},
    }.items():
        model = MICLClassifier(kernel="auto", **options).fit(X, y)
        found[name] = model.predict(new)[new_y == 1].mean()
        assert_allclose(model.priors_.sum(), 1.0)
    assert found["priors"] > found["plain"] + 0.2
    assert found["weights"] > found["plain"] + 0.2


def test_class_of_no_prior_no_calibration_and_a_given_distortion():
    X, y = load_iris(return_X_y=True)
    model = MICLClassifier(kernel="auto", priors=[0.5, 0.0, 0.5]).fit(X, y)
    assert set(model.predict(X)) == {0, 2}
    assert_array_equal(model.predict_log_proba(X)[:, 1], -np.inf)
    model = MICLClassifier(kernel="auto", calibrate=False).fit(X, y)
    assert_array_equal(model._mix["label_terms"], 0.0)
    assert {c["temperature"] for c in model.candidates_.values()} == {1.0}
    given, linear = MICLClassifier(0.3, kernel="auto"), MICLClassifier(0.3).fit(X, y)
    with pytest.warns(UserWarning, match=r"epsilon=0\.3 .* kernel='auto' is 'linear'"):
        given.fit(X, y)
    assert_array_equal(given.predict_proba(X), linear.predict_proba(X))
    assert not hasattr(given, "candidates_")
    given.partial_fit(X, y)


def test_parts_fit_the_linear_candidate_and_replace_a_mix():
    X, y = load_iris(return_X_y=True)
    stream = MICLClassifier(kernel="auto").partial_fit(X, y, classes=[0, 1, 2])
    linear = MICLClassifier().partial_fit(X, y, classes=[0, 1, 2])
    assert_array_equal(stream.predict_proba(X), linear.predict_proba(X))
    mix = MICLClassifier(kernel="auto").fit(X, y)
    before = mix.predict_proba(X)
    with pytest.raises(ValueError, match="classes"):
        mix.partial_fit(X, y, classes=[5, 6])
    assert_array_equal(mix.predict_proba(X), before)
    with pytest.warns(UserWarning, match="linear candidate"):
        mix.partial_fit(X + 0.01, y)
    expected = MICLClassifier().fit(X, y).partial_fit(X + 0.01, y)
    assert_allclose(mix.predict_proba(X), expected.predict_proba(X))
    assert not hasattr(mix, "candidates_")


@pytest.mark.filterwarnings(r"ignore:All samples of the classes \[4\]")
def test_every_class_is_coded_by_a_sample_if_there_are_many_classes(monkeypatch):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(30), 3)
    X = 0.1 * rng.normal(size=(90, 2)) + np.stack([y % 6, y // 6], axis=1)
    weights = np.where(y == 4, 0.0, 1.0)
    whole = MICLClassifier(kernel="auto").fit(X, y, weights)
    # 40 samples are left out, and kernels factor 34
    limit(monkeypatch, MOST_FACTORING=15_000, MAX_ROWS=40)
    model = MICLClassifier(kernel="auto").fit(X, y, weights)
    assert_array_equal(model.classes_, whole.classes_)
    assert np.isfinite(model.predict_proba(X)).all()
    assert model.score(X[y != 4], y[y != 4]) > 0.95
    quality = label_quality(X, y, estimator=model, sample_weight=weights)
    assert_array_equal(np.isnan(quality), y == 4)


def test_kernels_code_the_classes_by_some_of_many_samples(monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 900)
    X = rng.normal(size=(900, 2))
    X[y == 1] *= 0.3
    whole = MICLClassifier(kernel="auto").fit(X, y)
    limit(monkeypatch, MOST_FACTORING=2e7)  # 200 samples of two equal classes
    model = MICLClassifier(kernel="auto").fit(X, y)
    weights = [c["weight"] for c in model.candidates_.values()]
    assert sum(weights[1:]) > 0.0
    assert len(model._mix["members"]) == np.count_nonzero(weights)
    coded = [m["_model"] for m in model._mix["members"] if "products" in m["_model"]]
    for state in coded:
        assert 190 <= sum(group["n"] for group in state["groups"]) <= 202
    assert np.isfinite(model.label_quality_).all()
    assert abs(model.label_quality_ - whole.label_quality_).mean() < 0.05
    assert abs(model.score(X, y) - whole.score(X, y)) < 0.03


def test_kernels_factor_as_many_samples_as_their_time_allows(monkeypatch):
    limit(monkeypatch, MOST_FACTORING=2e7)
    for sizes in ([9, 9], [40, 4, 4], [5] * 30):
        n = most_for_kernels(sizes)
        # a third of a cube for all samples, and nine cubes for each class
        shares = np.array(sizes) / sum(sizes)
        costs = [m**3 / 3 + 9 * ((m * shares) ** 3).sum() for m in (n, n + 1)]
        assert costs[0] <= 2e7 < costs[1]


# -- quality of labels ----------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_quality_is_the_probability_after_a_fit_without_the_sample(kernel):
    X, y = load_iris(return_X_y=True)
    X, y = X[::5] + np.random.default_rng(0).normal(0, 1e-3, (30, 4)), y[::5]
    options = {"kernel": kernel, "calibrate": False}
    if kernel == "rbf":
        options["gamma"] = 0.3
    model = MICLClassifier(**options).fit(X, y)
    given = MICLClassifier(model.epsilon_, **options)
    for i in range(0, 30, 3):
        rest = np.arange(30) != i
        if kernel == "linear":
            P = given.fit(X[rest], y[rest]).predict_proba(X[[i]])
        else:  # the dimension is that of all samples
            K = rbf_kernel(X, gamma=0.3)
            Z, d = oracle_micl.features_of(K), oracle_micl.rank_of(K)
            scores = oracle_micl.scores(
                Z[rest], y[rest], np.ones(29), Z[[i]], model.epsilon_, d=d
            )
            P = oracle_micl.probabilities(scores)
        assert_allclose(model.label_quality_[i], P[0, y[i]], rtol=1e-5)


# -- the laplacian kernel -------------------------------------------------------------


def test_mean_distance_is_that_of_all_pairs():
    X, y = skewed(40)
    weights = np.random.default_rng(5).uniform(0.1, 3.0, 40)
    rows = Rows.of(X, y, weights)
    shares = rows.weights_at(...) / weights.sum()
    expected = shares @ manhattan_distances(rows.X) @ shares
    assert_allclose(mean_distance(rows), expected)
    same = Rows.of(np.ones((5, 2)), np.zeros(5), None)
    assert mean_distance(same) == 1.0


def test_laplacian_kernel_is_that_of_scikit_learn_with_one_of_two_coefficients():
    X, y = load_iris(return_X_y=True)
    named = MICLClassifier(kernel="laplacian", gamma=0.4).fit(X[::2], y[::2])
    called = MICLClassifier(kernel=laplacian_kernel, kernel_params={"gamma": 0.4})
    expected = called.fit(X[::2], y[::2]).predict_log_proba(X[1::2])
    assert_allclose(named.predict_log_proba(X[1::2]), expected, rtol=1e-6, atol=1e-6)
    assert named.gamma_ == 0.4
    default = 1.0 / mean_distance(Rows.of(X, y, None))
    found = MICLClassifier(kernel="laplacian").fit(X, y).gamma_
    assert np.isclose([default, 0.3 * default], found).any()
    given = MICLClassifier(0.5, kernel="laplacian").fit(X, y)
    assert_allclose(given.gamma_, default)


@pytest.mark.parametrize(("kernel", "size"), [("laplacian", 1e-310), ("rbf", 1e200)])
def test_a_coefficient_that_no_float_can_hold_is_the_nearest(kernel, size):
    X, y = load_iris(return_X_y=True)
    model = MICLClassifier(kernel=kernel).fit(size * X, y)
    assert 0.0 < model.gamma_ < np.inf
    assert model.score(size * X, y) > 0.95


def test_features_that_differ_less_than_any_normal_number_are_ranked():
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[:, 1] = 2e-313 * np.arange(60)
    y = np.arange(60) // 15 % 2
    model = MICLClassifier(kernel="auto").fit(X, y)
    assert model.candidates_["laplacian, ranks"]["weight"] > 0.0
    X[:, 1] += 1e-313
    assert model.score(X, y) > 0.9
