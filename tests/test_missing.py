"""Samples with missing features: coded on what they have, in training and after."""

import re

import numpy as np
import oracle_missing as oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from skredu import CompressionOutlierDetector, MICLClassifier, ReduNetClassifier
from skredu.coding._missing import GaussianWithGaps, expected_scatters, observed_moments
from skredu.coding._rows import Rows

NAN = np.nan


def problem(n=60, d=5, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    maps = rng.normal(size=(k, d, d))
    X = 2.0 * rng.normal(size=(k, d))[y]
    return X + np.einsum("nij,nj->ni", maps[y], rng.normal(size=(n, d))), y


def with_gaps(X, share=0.3, seed=1):
    gaps = np.random.default_rng(seed).random(X.shape) < share
    return np.where(gaps, NAN, X)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("epsilon", [0.01, 0.7, 30.0])
@pytest.mark.parametrize("n", [9, 60])  # fewer and more samples than features
def test_predictions_are_those_of_the_definition(n, epsilon, assume_centered):
    X, y = problem(n)
    new = with_gaps(problem(20, seed=2)[0], 0.5)
    new[0], new[1, 1:] = NAN, NAN
    options = {"assume_centered": assume_centered}
    model = MICLClassifier(epsilon, calibrate=False, priors=[0.2, 0.3, 0.5], **options)
    expected = [
        [
            np.log2(prior)
            - oracle.extra_bits(X[y == j], np.ones(n // 3), x, epsilon, **options)
            for j, prior in enumerate([0.2, 0.3, 0.5])
        ]
        for x in new
    ]
    model.fit(X, y)
    found = model._checked_scores(new, "predict")
    assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
    assert_array_equal(model.predict(new), np.argmax(expected, axis=1))
    assert_allclose(model.predict_proba(new[:1]), [[0.2, 0.3, 0.5]])


def test_samples_without_gaps_are_coded_as_they_are_alone(monkeypatch):
    X, y = problem()
    model, mixed = MICLClassifier().fit(X, y), with_gaps(X)
    mixed[::2] = X[::2]
    assert_array_equal(
        model.decision_function(mixed)[::2], model.decision_function(X)[::2]
    )
    expected = model.decision_function(mixed)
    limit(monkeypatch, BLOCK=30)
    assert_allclose(model.decision_function(mixed), expected, rtol=1e-10)
    for i in (1, 3):  # nor do samples with gaps need company
        one = model.decision_function(mixed[i : i + 1])
        assert_allclose(one, model.decision_function(mixed)[i : i + 1], rtol=1e-10)


@pytest.mark.parametrize("centered", [False, True])
def test_steps_are_those_of_the_definition_and_never_lower_the_likelihood(centered):
    X = with_gaps(problem(40, 5, 1)[0] + 3.0)
    X[3], weights = NAN, np.random.default_rng(0).choice([0.5, 1.0, 2.0], 40)
    prior, moments = (
        np.diag(np.arange(1.0, 6.0)),
        observed_moments(X, weights, centered),
    )
    model = GaussianWithGaps(X, weights, 0.05, centered, moments)
    mean, K, values = model.origin + model.mean, model.K, []
    for _ in range(25):
        given = X, weights, mean, K, 0.05, prior, 2.0, centered
        mean, K, S, value = oracle.step(*given)
        values.append(model.step(prior, 2.0))
        assert_allclose(values[-1], value, rtol=1e-10)
        assert_allclose(model.origin + model.mean, mean, rtol=1e-9, atol=1e-9)
        assert_allclose(model.K, K, rtol=1e-9, atol=1e-9)
        assert_allclose(model.S, S, rtol=1e-9, atol=1e-9)
    assert (np.diff(values) > -1e-9 * np.abs(values[0])).all()
    assert np.linalg.eigvalsh(model.S)[0] > -1e-9 * np.trace(model.S)


def test_expected_scatters_of_samples_without_gaps_are_theirs():
    X, y = problem()
    X[y > 0] = with_gaps(X[y > 0])
    rows = Rows.of(X, y, None)
    found = expected_scatters(rows, False)
    own = X[y == 0] - X[y == 0].mean(axis=0)
    assert_allclose(found[0].dense(), own.T @ own, rtol=1e-12, atol=1e-12)
    whole = expected_scatters(Rows.of(np.nan_to_num(X), y, None), False)
    own = np.nan_to_num(X[y == 1])
    own -= own.mean(axis=0)
    assert_allclose(whole[1].dense(), own.T @ own, rtol=1e-12, atol=1e-12)


def test_a_class_without_gaps_keeps_its_digits_beside_one_with_gaps():
    rng = np.random.default_rng(0)
    own = rng.normal(size=(60, 6)) * 10.0 ** -np.arange(0, 12, 2)
    X, y = np.vstack([own, rng.normal(size=(60, 6)) + 3.0]), np.repeat([0, 1], 60)
    model = MICLClassifier(1e-9, calibrate=False)
    expected = model.fit(X, y).class_coding_length_[0]
    X[100, 2] = np.nan
    assert_allclose(model.fit(X, y).class_coding_length_[0], expected, rtol=1e-13)


def test_weights_are_copies():
    X, y = problem(45)
    X, weights = with_gaps(X), np.random.default_rng(0).integers(1, 4, 45)
    weighted = MICLClassifier().fit(X, y, sample_weight=weights)
    copies = MICLClassifier().fit(np.repeat(X, weights, 0), np.repeat(y, weights))
    assert_allclose(copies.epsilon_, weighted.epsilon_)
    new = with_gaps(X, 0.2, 5)
    expected = weighted.decision_function(new)
    assert_allclose(copies.decision_function(new), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("calibrate", [False, True])
def test_orders_of_samples_and_features_change_no_model(calibrate):
    X, y = problem()
    X = with_gaps(X)
    rng = np.random.default_rng(3)
    rows, columns = rng.permutation(len(X)), rng.permutation(X.shape[1])
    other = MICLClassifier(calibrate=calibrate).fit(X[rows][:, columns], y[rows])
    model = MICLClassifier(calibrate=calibrate).fit(X, y)
    assert_allclose(other.epsilon_, model.epsilon_)
    assert_allclose(other.decision_function(X[:, columns]), model.decision_function(X))


def test_gaps_of_absent_samples_change_nothing():
    X, y = problem()
    weights, absent = np.ones(len(X)), X.copy()
    absent[::7, 2], weights[::7] = NAN, 0.0
    model = MICLClassifier().fit(absent, y, sample_weight=weights)
    present = weights > 0.0
    other = MICLClassifier().fit(X[present], y[present])
    assert model.epsilon_ == other.epsilon_
    found, expected = model.predict_proba(X), other.predict_proba(X)
    assert_allclose(found, expected, rtol=1e-10)


def test_units_and_offsets_change_no_prediction():
    X, y = problem()
    X = with_gaps(X)
    expected = MICLClassifier(assume_centered=True).fit(X, y).predict_proba(X)
    for unit in (1e-160, 1e-3, 1e160):
        model = MICLClassifier(assume_centered=True).fit(unit * X, y)
        assert_allclose(model.predict_proba(unit * X), expected, rtol=1e-6)
    single = MICLClassifier(assume_centered=True).fit(X.astype(np.float32), y)
    assert_allclose(single.predict_proba(X.astype(np.float32)), expected, atol=1e-3)


def test_gaps_cost_little_accuracy():
    X, y = load_wine(return_X_y=True)
    X = with_gaps(scale(X), 0.4)
    A, B, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    model = MICLClassifier().fit(A, y_train)
    assert model.score(B, y_test) > 0.9
    assert model.label_quality_.shape == y_train.shape
    assert model.label_quality_.mean() > 0.8


def test_extreme_gaps_give_finite_answers():
    X, y = problem(30)
    X[:, 2] = NAN  # never observed
    X[y == 0, 0] = NAN  # never observed in one class
    X[:3], X[3] = NAN, [1.0, NAN, NAN, NAN, 2.0]
    X, y = np.vstack([X, [[1.0, NAN, NAN, 2.0, 3.0]]]), np.append(y, 7)  # alone
    for options in ({}, {"epsilon": 0.1}, {"calibrate": False}):
        assert np.isfinite(MICLClassifier(**options).fit(X, y).predict_proba(X)).all()
    everywhere = np.full((6, 2), NAN)
    model = MICLClassifier().fit(everywhere, [0, 0, 0, 0, 1, 1])
    assert set(model.predict(everywhere)) == {0}


def test_partial_fit_adds_whole_samples_to_a_fit_with_gaps():
    X, y = problem()
    model = MICLClassifier().fit(with_gaps(X), y)
    before = model.class_coding_length_
    assert (model.partial_fit(X, y).class_coding_length_ > before).all()
    with pytest.raises(ValueError, match="X contains NaN: partial_fit"):
        model.partial_fit(with_gaps(X), y)


@pytest.mark.parametrize(
    "model",
    [
        MICLClassifier(kernel="rbf"),
        MICLClassifier(kernel="auto"),
        MICLClassifier(n_neighbors=3),
        ReduNetClassifier(1),
    ],
    ids=str,
)
def test_other_models_name_the_array_and_a_remedy(model):
    X, y = problem()
    message = rf"X contains NaN, which {re.escape(repr(model))} .*imputer.*'linear'"
    with pytest.raises(ValueError, match=message):
        clone(model).fit(with_gaps(X), y)
    with pytest.raises(ValueError, match=message):
        clone(model).fit(X, y).predict(with_gaps(X))
    with pytest.raises(ValueError, match="infinity"):
        MICLClassifier().fit(np.where(np.isnan(with_gaps(X)), np.inf, X), y)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("n", [9, 60])  # fewer and more samples than features
def test_denoised_samples_are_projections_of_conditional_means(n, assume_centered):
    X, y = problem(n)
    new = with_gaps(problem(20, seed=2)[0], 0.4)
    new[0], new[1] = NAN, X[0]
    model = MICLClassifier(1.5, assume_centered=assume_centered).fit(X, y)
    expected, dims = np.empty_like(new), set()
    for i, (x, label) in enumerate(zip(new, model.predict(new), strict=True)):
        own, seen = X[y == label], ~np.isnan(x)
        mean = 0.0 * own[0] if assume_centered else own.mean(axis=0)
        S = (own - mean).T @ (own - mean) / len(own)
        K, z = S + 1.5**2 / 5 * np.eye(5), x - mean
        z[~seen] = K[np.ix_(~seen, seen)] @ np.linalg.solve(
            K[np.ix_(seen, seen)], z[seen]
        )
        values, V = np.linalg.eigh(S)
        V = V[:, values > 1.5**2 / 5]
        dims.add(V.shape[1])
        expected[i] = mean + V @ V.T @ z
    assert min(dims) < 5
    assert_allclose(model.denoise(new), expected, atol=1e-8)
    for unit in (1e-160, 1e160):
        other = clone(model).set_params(epsilon=1.5 * unit).fit(unit * X, y)
        assert_allclose(other.denoise(unit * new) / unit, expected, atol=1e-8)
    single = clone(model).fit(X.astype(np.float32), y)
    found = single.denoise(new.astype(np.float32))
    assert found.dtype == np.float32
    assert_allclose(found, expected, atol=1e-3)


def test_denoised_images_are_images_of_denoised_samples():
    X, y = problem(d=4)
    model = MICLClassifier(1.0, symmetry="flip", signal_shape=(2, 2)).fit(X, y)
    flip = [1, 0, 3, 2]
    assert_allclose(model.denoise(X[:, flip]), model.denoise(X)[:, flip])
    with pytest.raises(ValueError, match="denoise needs a linear kernel"):
        MICLClassifier(kernel="rbf").fit(X, y).denoise(X)


@pytest.mark.parametrize("method", ["predict_proba", "denoise"])
def test_parameters_after_the_last_call_change_no_sample_with_gaps(method):
    X, y = problem()
    model = MICLClassifier(0.1).partial_fit(X, y, classes=[0, 1, 2])
    expected = getattr(model, method)(with_gaps(X))
    model = MICLClassifier(0.1).partial_fit(X, y, classes=[0, 1, 2])
    model.set_params(epsilon=10.0, assume_centered=True)
    assert_array_equal(getattr(model, method)(with_gaps(X)), expected)


@pytest.mark.parametrize(
    ("model", "now"),
    [
        (MICLClassifier(kernel="rbf"), {"kernel": "linear"}),
        (MICLClassifier(n_neighbors=3), {"n_neighbors": None}),
        (MICLClassifier(symmetry="flip"), {"symmetry": None}),
        (
            CompressionOutlierDetector(n_neighbors=None, symmetry="flip"),
            {"symmetry": None},
        ),
    ],
    ids=str,
)
def test_models_fitted_without_missing_values_refuse_them_later(model, now):
    X, y = problem()
    model = clone(model).fit(X, y).set_params(**now)
    with pytest.raises(ValueError, match="X contains NaN"):
        model.predict(with_gaps(X))


def test_what_is_denoised_is_what_was_fitted():
    X, y = problem()
    model = MICLClassifier().fit(X, y)
    expected = model.denoise(X)
    assert_array_equal(model.set_params(kernel="rbf").denoise(X), expected)
    model = model.fit(X, y).set_params(kernel="linear")
    with pytest.raises(ValueError, match="denoise needs a linear kernel"):
        model.denoise(X)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-9, 1e-100])
def test_gaps_are_completed_on_lines_that_are_known_exactly(epsilon):
    line = np.array([1.0, 2.0, 0.5, -1.0])
    X = np.outer([1.0, 2.0, 4.0, -3.0], line)
    model = MICLClassifier(epsilon).fit(X, [0, 0, 0, 0])
    assert_allclose(model.denoise([[7.0, NAN, 3.5, NAN]]), [7.0 * line], rtol=1e-6)
