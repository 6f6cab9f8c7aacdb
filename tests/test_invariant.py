"""Networks for signals: shifts, the published network, rates, weights and state."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracle_redunet import on_sphere
from oracle_spectral import Family, family, published_network
from settings import bytes_of, limit
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
)
from skredu.datasets import make_shifted_signals


def signals(shape=(8,), n_channels=2, n=24, seed=0):
    """Return noisy patterns of three classes, each shifted at random."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    patterns = rng.normal(size=(3, n_channels * int(np.prod(shape))))
    X = []
    for label in y:
        shifts = family(patterns[label][None], n_channels, shape)
        X.append(shifts[rng.integers(len(shifts))])
    return np.array(X) + 0.3 * rng.normal(size=(n, len(patterns[0]))), y


EVERY_LAYER = {"n_iter_no_change": None}


# -- shifts ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("shape", "n_channels"), [(8, 1), ((7,), 2), ((3, 4), 2), ((2, 3, 2), 1)]
)
def test_all_shifts_of_a_row_are_alike(shape, n_channels, dtype):
    grid = (shape,) if isinstance(shape, int) else shape
    X, y = signals(grid, n_channels)
    X = X.astype(dtype)
    model = InvariantReduNetClassifier(3, signal_shape=shape, **EVERY_LAYER).fit(X, y)
    assert model.n_iter_ == 3
    assert (model.signal_shape_, model.n_channels_) == (grid, n_channels)
    shifted = family(X[:4], n_channels, grid)
    T = int(np.prod(grid))
    labels = model.predict(shifted).reshape(4, T)
    assert_array_equal(labels, np.repeat(model.predict(X[:4])[:, None], T, axis=1))
    Z = model.transform(shifted)
    assert Z.dtype == dtype
    atol = 1e-13 if dtype == np.float64 else 1e-5
    assert_allclose(Z, family(model.transform(X[:4]), n_channels, grid), atol=atol)
    invariant = clone(model).set_params(output="invariant").fit(X, y)
    features = invariant.transform(shifted).reshape(4, T, -1)
    assert features.dtype == dtype
    assert_allclose(features, features[:, :1] + 0 * features, atol=10 * atol)


def test_invariant_features_are_magnitudes_phases_and_probabilities():
    X, y = signals((6,), 2)
    settings = {"signal_shape": 6, "output": "invariant"}
    net = InvariantReduNetTransformer(2, **settings).fit(X, y)
    Z = net.transform(X)
    # three frequencies have six pairs
    assert Z.shape == (24, 2 * 4 + 2 * 2 * 6 + 3)
    assert len(net.get_feature_names_out()) == 35
    assert_allclose(np.sum(Z[:, :8] ** 2, axis=1), 1.0)
    assert_allclose(np.sum(Z[:, -3:], axis=1), 1.0)
    stages = list(net.staged_transform(X))
    assert len(stages) == 3
    assert_allclose(stages[-1], Z)
    assert_allclose(stages[0][:, :32], invariant_features(X, 2, (6,)), atol=1e-14)
    model = InvariantReduNetClassifier(2, **EVERY_LAYER, **settings).fit(X, y)
    assert_allclose(model.transform(X), Z)
    assert_allclose(model.predict_proba(X), Z[:, -3:], atol=1e-12)


def invariant_features(X, n_channels, shape):
    """Return magnitudes and phases by the formulas from the full spectrum."""
    signals = on_sphere(X).reshape(len(X), n_channels, *shape)
    whole = np.fft.fftn(signals, axes=range(2, signals.ndim), norm="ortho")
    half = list(np.ndindex(*shape[:-1], shape[-1] // 2 + 1))

    def at(wave):
        wave = tuple(np.mod(wave, shape))
        twice = wave[-1] not in {0, shape[-1] / 2}  # it stands for its negative, too
        return whole[:, :, *wave] * (2**0.5 if twice else 1.0)

    waves = []
    for wave in half[1:]:
        if tuple(np.mod(np.negative(wave), shape)) not in waves:
            waves.append(wave)
    waves.sort(key=lambda w: np.sum(np.minimum(w, np.subtract(shape, w)) ** 2))
    products = []
    for p, q in itertools.combinations_with_replacement(waves[:10], 2):
        parts = [at(p), at(q), at(np.add(p, q)).conj()]
        phase = np.exp(1j * np.angle(parts).sum(axis=0))
        products.append(np.abs(parts).min(axis=0) * phase)
    magnitudes = np.abs(np.stack([at(wave) for wave in half], axis=2))
    products = np.reshape(products, (-1, *whole.shape[:2])).transpose(1, 2, 0)
    both = np.concatenate([products.real, products.imag], axis=2)
    return np.hstack([part.reshape(len(X), -1) for part in (magnitudes, both)])


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (8,), (4, 5), (5, 4), (3, 2, 4)])
def test_phases_are_those_of_the_bispectrum(shape):
    X = np.random.default_rng(0).normal(size=(3, 2 * int(np.prod(shape))))
    settings = {"signal_shape": shape, "output": "invariant"}
    net = InvariantReduNetTransformer(0, **settings).fit(X, [0, 1, 1])
    expected = invariant_features(X, 2, shape)
    assert_allclose(net.transform(X)[:, :-2], expected, atol=1e-14)


def test_features_of_symmetric_rows_are_invariant_to_rounding():
    X, y = signals((16,), 1)
    net = InvariantReduNetTransformer(0, output="invariant").fit(X, y)
    waves = np.cos(np.arange(16) * np.pi / 8)[None]  # most frequencies vanish
    shifted = np.concatenate([np.roll(waves, s, axis=1) for s in range(16)])
    Z = net.transform(shifted)
    assert_allclose(Z, Z[:1] + 0 * Z, atol=1e-13)


def test_classifiers_on_invariant_features_beat_those_on_magnitudes():
    X, y = load_digits(return_X_y=True)
    shape = (8, 8)
    lifting = ConvolutionalLifting(8, 5, signal_shape=shape, random_state=0)
    X = lifting.set_params(filters="kmeans").fit(X[:300]).transform(X[:700])
    moved = np.roll(X[300:].reshape(-1, 8, *shape), (3, 6), (2, 3)).reshape(400, -1)
    net = InvariantReduNetTransformer(0, signal_shape=shape, output="invariant")
    net.fit(X[:300], y[:300])
    Z, Z_new, Z_moved = map(net.transform, (X[:300], X[300:], moved))
    y, y_new, raw = y[:300], y[300:700], slice(8 * 40)
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    for model in (KNeighborsClassifier(), LogisticRegression(), scaled):
        alone = model.fit(Z[:, raw], y).score(Z_new[:, raw], y_new)
        score = model.fit(Z, y).score(Z_new, y_new)
        assert score > alone + 0.01
        assert model.score(Z_moved, y_new) == score


# -- the published network, rates, operators ------------------------------------------


@pytest.mark.parametrize(
    ("shape", "n_channels"),
    [((6,), 2), ((3, 4), 1), ((5,), 2), ((6,), 1), ((2, 4), 2), ((2, 2, 3), 1)],
)
def test_published_network_is_reproduced(shape, n_channels):
    X, y = signals(shape, n_channels)
    T = int(np.prod(shape))
    net = InvariantReduNetTransformer(
        5, (0.1 * T) ** 0.5, 0.5 * T, signal_shape=shape, step="published",
        membership="residual", inverse_temperature=500.0 * T, construction="estimated",
    ).fit(X[::2], y[::2])  # fmt: skip
    expected = published_network(
        on_sphere(X[::2]), y[::2], on_sphere(X[1::2]), n_channels, shape, n_layers=5,
        eps=0.1, eta=0.5, temperature=500.0,
    )  # fmt: skip
    assert_allclose(net.transform(X[::2]), expected[0], atol=1e-10)
    assert_allclose(net.transform(X[1::2]), expected[1], atol=1e-10)
    assert_allclose([layer.eta for layer in net.layers_], 0.5 * T)


# -- the decision ---------------------------------------------------------------------


def differences(scores):
    """Return scores relative to those of the first class and the first row.

    They do not depend on the label code or on what the classes have in common.
    """
    scores = scores[:, 1:] - scores[:, :1]
    return scores[1:] - scores[:1]


@pytest.mark.parametrize("n_channels", [1, 5])
@pytest.mark.parametrize("weights", [None, "copies", "fractions"])
def test_lengths_are_those_of_all_shifts(n_channels, weights):
    rng = np.random.default_rng(0)
    X, y = signals((4,), n_channels, n=12)
    w = {
        None: None,
        "copies": rng.integers(1, 4, 12).astype(float),
        "fractions": rng.uniform(0.2, 2.0, 12),
    }[weights]
    new = rng.normal(size=(4, X.shape[1]))
    model = InvariantReduNetClassifier(0, signal_shape=4).fit(X, y, sample_weight=w)
    slow = Family(on_sphere(X), y, n_channels, (4,), model.epsilon_, w)
    rows = on_sphere(new)
    nats = [[slow.extra(z, y == j, slow.w) for j in range(3)] for z in rows]
    found = differences(model.decision_function(new))
    assert_allclose(found, differences(-np.array(nats) / np.log(2)), rtol=1e-9)


# -- weights, company, hard rows ------------------------------------------------------


def test_a_row_alone_gives_what_it_gives_in_company(monkeypatch):
    X, y = signals()
    net = InvariantReduNetTransformer(3, signal_shape=8, output="invariant").fit(X, y)
    whole = net.transform(X)
    assert_allclose(net.transform(X[7:8]), whole[7:8], atol=1e-12)
    limit(monkeypatch, BLOCK=2**10)
    assert_allclose(net.transform(X), whole, atol=1e-12)
    assert_allclose(net.transform(1e8 * X), whole, atol=1e-12)


@pytest.mark.parametrize(("n_channels", "n"), [(2, 24), (9, 24)])
def test_a_layer_holds_what_its_documentation_says(n_channels, n):
    X, y = signals((8,), n_channels, n=n)
    net = InvariantReduNetTransformer(1, 1.0, signal_shape=8).fit(X, y)
    F, C, n_j = 5, n_channels, n // 3
    a_class = F * C * C * (16 + 8) if n_j >= C else F * C * n_j * 16 + F * n_j * 8
    expected = F * C * C * 16 + 3 * a_class
    assert expected <= bytes_of(net) < expected + 1500


def test_single_precision_chooses_the_distortion_of_double_precision():
    """With different weights, the rest is smaller than single precision can resolve."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 4
    X = rng.normal(size=(4, 60))[y] + 1.5 * rng.normal(size=(90, 60))
    weights = rng.uniform(0.2, 3.0, 90)
    model = InvariantReduNetClassifier(0, signal_shape=(4, 5))
    double = model.fit(X, y, weights).epsilon_
    single = model.fit(X.astype(np.float32), y, weights).epsilon_
    assert_allclose(single, double, rtol=1e-6)


def test_signals_with_given_features():
    """They have norm one, are marked with their grid, and shift with the features."""
    X, y = make_shifted_signals(40, n_timesteps=32, random_state=0)
    net = InvariantReduNetTransformer(3).fit(X[:40], y[:40])
    Z = net.transform(X[40:])
    back = net.inverse_transform(Z)
    assert back.signal_shape == (32,)
    expected = X[40:] / np.linalg.norm(X[40:], axis=1, keepdims=True)
    assert_allclose(back, expected, atol=1e-9)
    moved = net.inverse_transform(np.roll(Z, 5, axis=1))
    assert_allclose(moved, np.roll(expected, 5, axis=1), atol=1e-9)
    invariant = InvariantReduNetTransformer(output="invariant")
    assert not hasattr(invariant, "inverse_transform")
