"""Networks for signals without layers, fitted to parts of the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracle_redunet import on_sphere
from oracle_spectral import Family
from settings import limit
from sklearn.base import clone

from skredu import InvariantReduNetClassifier
from skredu.datasets import make_shifted_signals


def signals(n_channels, n=36, dtype=float):
    """Return noisy rows of three classes with 5 points each."""
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.permutation(np.arange(6) % 3) for _ in range(n // 6)])
    pictures = rng.normal(size=(3, 5 * n_channels))
    X = pictures[y] + 0.5 * rng.normal(size=(n, 5 * n_channels))
    return X.astype(dtype), y, rng.normal(size=(7, 5 * n_channels)).astype(dtype)


def net(**settings):
    return InvariantReduNetClassifier(0, signal_shape=5, **settings)


def stream(model, X, y, chunk, weights=None):
    for start in range(0, len(y), chunk):
        part = slice(start, min(start + chunk, len(y)))
        w = None if weights is None else weights[part]
        model.partial_fit(X[part, :], y[part], classes=[0, 1, 2], sample_weight=w)
    return model


WEIGHTS = {
    "none": None,
    "copies": np.arange(36) % 4,
    "fractions": np.linspace(0.2, 3.0, 36),
}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("chunk", [5, 20, 36])
@pytest.mark.parametrize("n_channels", [1, 3, 15])
def test_parts_make_the_model_of_all_rows(n_channels, chunk, weights):
    X, y, new = signals(n_channels)
    w = WEIGHTS[weights]
    whole = net(output="invariant").fit(X, y, w)
    parts = stream(net(output="invariant"), X, y, chunk, w)
    assert parts.epsilon_ == whole.epsilon_
    assert_allclose(
        parts.decision_function(new), whole.decision_function(new), rtol=1e-7, atol=1e-7
    )
    assert_allclose(parts.temperature_, whole.temperature_, rtol=1e-6)
    assert_allclose(parts.class_count_, whole.class_count_)
    for name, values in whole.rates_.items():
        assert_allclose(parts.rates_[name], values, rtol=1e-9)
    assert_allclose(parts.transform(new), whole.transform(new), atol=1e-7)
    assert vars(parts).keys() - vars(whole).keys() == {"_stream"}


@pytest.mark.parametrize("n_channels", [1, 3, 15])
def test_parts_after_fit_stay_with_its_choice(n_channels):
    X, y, new = signals(n_channels)
    model = net().fit(X[:24], y[:24])
    first = clone(model).fit(X[:24], y[:24])
    for part in (slice(24, 30), slice(30, 36)):
        model.partial_fit(X[part], y[part])
    assert model.epsilon_ == first.epsilon_
    assert model.temperature_ == first.temperature_
    slow = Family(on_sphere(X), y, n_channels, (5,), model.epsilon_)
    early = Family(on_sphere(X[:24]), y[:24], n_channels, (5,), model.epsilon_)

    def without_labels(model, family):
        masks = [family.y == j for j in range(3)]
        nats = [[family.extra(z, m, family.w) for m in masks] for z in on_sphere(new)]
        labels = model.decision_function(new) + np.array(nats) / np.log(2)
        return labels - labels[:, :1]  # those of the label code, in every row

    # balanced classes, so that the label code is that of the 24 rows
    labels = without_labels(first, early)
    assert_allclose(labels, labels[:1] + 0 * labels, rtol=1e-8, atol=1e-9)
    assert_allclose(without_labels(model, slow), labels, rtol=1e-8, atol=1e-9)
    given = {name: net(epsilon=0.4).fit(X, y).rates_[name] for name in model.rates_}
    model = net(epsilon=0.4).fit(X[:24], y[:24]).partial_fit(X[24:], y[24:])
    assert_allclose(model.rates_["delta_R"], given["delta_R"], rtol=1e-9)


@pytest.mark.parametrize("epsilon", ["auto", 0.3])
def test_precision_and_place_follow_the_rows(xp, dtype, epsilon):
    X, y, new = signals(2, dtype=dtype)
    expected = stream(net(epsilon=epsilon), X.astype(float), y, 20)
    model = stream(net(epsilon=epsilon), xp.asarray(X), y, 20)
    found = model.decision_function(xp.asarray(new))
    atol = 1e-9 if dtype == "float64" else 2e-3
    assert_allclose(xp.to_numpy(found), expected.decision_function(new), atol=atol)
    assert_allclose(model.epsilon_, expected.epsilon_)


def test_many_rows_are_judged_by_some(monkeypatch):
    limit(monkeypatch, MAX_ROWS=24)
    X, y = make_shifted_signals(100, n_timesteps=32, random_state=0)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], y[order]
    model = InvariantReduNetClassifier(0)
    for part in np.array_split(np.arange(140), 4):
        model.partial_fit(X[part], y[part], classes=[0, 1])
    assert model.score(X[140:], y[140:]) == 1.0


def test_one_row_and_one_class():
    X, _, new = signals(2)
    model = net().partial_fit(X[:1], ["a"], classes=["a", "b"])
    assert_array_equal(model.predict(new), ["a"] * 7)
    assert_allclose(model.rates_["delta_R"], 0.0, atol=1e-12)
    model.partial_fit(X[1:2], ["b"])
    assert model.predict(X[:2]).tolist() == ["a", "b"]


def test_what_is_wrong_is_named_and_changes_nothing():
    X, y, new = signals(2)
    layers = InvariantReduNetClassifier(2, signal_shape=5, n_iter_no_change=None)
    with pytest.raises(ValueError, match="n_iter_=2"):
        layers.fit(X, y).set_params(n_layers=0).partial_fit(X, y)
    model = net().partial_fit(X, y, classes=[0, 1, 2])
    before = model.decision_function(new)
    for change, rows, labels, message in (
        ({}, X[:, :5], y, "5 features"),
        ({}, np.full_like(X, np.nan), y, "NaN"),
        ({"signal_shape": 2}, X, y, r"signal_shape is \(2,\) and was \(5,\)"),
        ({"signal_shape": 3}, X, y, "not a multiple"),
        ({"epsilon": -1.0}, X, y, "epsilon"),
    ):
        changed = model.set_params(**change)
        with pytest.raises(ValueError, match=message):
            changed.partial_fit(rows, labels)
        model.set_params(signal_shape=5, epsilon="auto")
    assert_array_equal(model.decision_function(new), before)


def test_a_stream_ends_with_fit():
    X, y, new = signals(2)
    model = net().partial_fit(X, y, classes=[0, 1, 2])
    whole = model.set_params(warm_start=True).fit(X[:20], y[:20])
    expected = net().fit(X[:20], y[:20]).decision_function(new)
    assert_array_equal(whole.decision_function(new), expected)
    assert not hasattr(whole, "_stream")
    assert not hasattr(whole.partial_fit(X, y), "_features")


def test_single_precision_of_a_part_or_of_a_model_only_loses_its_digits():
    rng, y = np.random.default_rng(0), np.arange(40) % 3
    X = rng.normal(size=(40, 4)) + 2.0 * np.eye(3, 4)[y]
    model = InvariantReduNetClassifier(0, signal_shape=2)
    expected = clone(model).fit(X, y)
    assert expected.epsilon_ < 0.01  # at which errors of 1e-7 would matter
    mixed = stream(clone(model), X[:-1], y[:-1], 20)
    mixed.partial_fit(X[-1:].astype(np.float32), y[-1:])
    single = clone(model).fit(X.astype(np.float32), y)
    for found in (mixed, single):
        assert_allclose(found.predict_proba(X), expected.predict_proba(X), atol=1e-5)
