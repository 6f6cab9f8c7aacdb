"""CodingGainSelector: bits against a plain loop, weights, selection, memory."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit, peak_of, problem
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import CodingGainSelector, MICLClassifier


def plain_bits(X, y, weights=None):
    """Return the bits of each feature, with every sample left out in turn."""
    weights = np.ones(len(X)) if weights is None else weights
    bits = np.zeros(X.shape[1])
    for f, x in enumerate(X.T):
        alone = classes = 0.0
        for i in range(len(X)):
            others = np.arange(len(X)) != i
            mean = np.average(x[others], weights=weights[others])
            alone += weights[i] * (x[i] - mean) ** 2
            others &= y == y[i]
            if others.any():
                mean = np.average(x[others], weights=weights[others])
            classes += weights[i] * (x[i] - mean) ** 2
        if alone > 0.0:
            bits[f] = np.log2(alone / max(classes, alone / len(X) ** 2)) / 2
    return bits


def cases():
    X, y = problem(24, 7, 3)
    y[0] = 3  # the only sample of its class
    X[:, 5], X[:, 6] = 4.0, y  # no information, and all of it
    rng = np.random.default_rng(0)
    uneven = rng.uniform(0.1, 3.0, 24)
    uneven[4] = 1e6  # almost the total of its class
    return [
        pytest.param(X, y, None, id="plain"),
        pytest.param(X, y, uneven, id="weights"),
        pytest.param(X[:2], np.array([0, 1]), None, id="two samples"),
        pytest.param(rng.normal(size=(9, 40)), np.arange(9) % 2, None, id="n < d"),
        pytest.param(X, np.zeros(24, dtype=int), None, id="one class"),
    ]


@pytest.mark.filterwarnings("ignore:No feature saves bits")
@pytest.mark.parametrize("block", [1, 2**22])
@pytest.mark.parametrize(("X", "y", "weights"), cases())
def test_bits_are_those_of_a_plain_loop(X, y, weights, block, monkeypatch):
    limit(monkeypatch, BLOCK=block)
    model = CodingGainSelector().fit(X, y, weights)
    assert_allclose(model.bits_, plain_bits(X, y, weights), rtol=1e-7, atol=1e-12)


def test_a_sample_with_almost_all_weight_keeps_its_digits():
    X, y = problem(12, 4, 2)
    weights = np.ones(12)
    weights[3] = 1e40
    found = CodingGainSelector().fit(X, y, weights).bits_
    # what remains in the limit: the error of this sample, predicted by the others
    one, others = np.arange(12) != 3, (np.arange(12) != 3) & (y == y[3])
    alone = np.square(X[3] - X[one].mean(axis=0))
    classes = np.maximum(np.square(X[3] - X[others].mean(axis=0)), alone / 12**2)
    assert_allclose(found, np.log2(alone / classes) / 2, rtol=1e-7, atol=1e-12)


def test_weights_are_proportional_to_bits_and_zero_where_none_are_saved():
    X, y = problem(40, 200, 2)
    X[:, 3:] = np.random.default_rng(0).normal(size=(40, 197))
    model = CodingGainSelector().fit(X, y)
    saved = np.maximum(model.bits_, 0.0)
    assert_array_equal(model.get_support(), saved > 0.0)
    assert 3 <= model.get_support().sum() < 60
    assert_allclose(model.weights_ * saved.max(), model.weights_.max() * saved)
    weights = model.weights_[model.get_support()]
    assert_allclose(np.mean(weights**2), 1.0)
    assert_allclose(model.transform(X), (X * model.weights_)[:, model.get_support()])
    back = model.inverse_transform(model.transform(X))
    assert_allclose(back, X * model.get_support())


def test_the_best_features_are_selected_and_named():
    X, y = problem(60, 5, 3)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = CodingGainSelector(2, weighted=False).set_output(transform="pandas")
    Z = model.fit(frame, y).transform(frame)
    best = np.sort(np.argsort(-model.bits_)[:2])
    assert_array_equal(model.get_support(indices=True), best)
    assert list(Z.columns) == [list("abcde")[i] for i in best]
    assert_array_equal(Z.to_numpy(), X[:, best])
    assert CodingGainSelector(9).fit(X, y).get_support().sum() <= 5
    equal = CodingGainSelector(2).fit(X[:, [0, 0, 0]], y)
    assert_array_equal(equal.get_support(), [True, True, False])


@pytest.mark.parametrize(("most", "kept"), [(None, 4), (2, 2)])
def test_features_that_save_nothing_are_kept_with_a_warning(most, kept):
    X = np.random.default_rng(2).normal(size=(10, 4))
    with pytest.warns(UserWarning, match="No feature saves bits"):
        model = CodingGainSelector(most).fit(X, np.zeros(10))
    assert_array_equal(model.bits_, 0.0)
    assert_array_equal(model.weights_, np.arange(4) < kept)
    noise = np.random.default_rng(0).normal(size=(50, 2000))
    for k in (2, 5):  # noise saves less than nothing on average
        model = CodingGainSelector(most).fit(noise, np.arange(50) % k)
        assert -0.1 < model.bits_.mean() < 0.0


def test_bits_do_not_depend_on_the_unit_or_origin_of_each_feature():
    X, y = problem(30, 6, 3)
    expected = CodingGainSelector().fit(X, y).bits_
    units = np.array([1e-300, 1e-8, 1.0, -3.0, 1e8, 1e300])
    assert_allclose(CodingGainSelector().fit(X * units, y).bits_, expected)
    moved = CodingGainSelector().fit(X + 1e6, y).bits_
    assert_allclose(moved, expected, atol=1e-8)
    constant = np.full(30, 0.1) * (1 + np.arange(30) % 2 * 2.0**-52)  # up to rounding
    with pytest.warns(UserWarning, match="No feature saves bits"):
        model = CodingGainSelector().fit(constant[:, None], np.arange(30) % 2)
    assert model.bits_ == 0.0


def test_weighted_values_that_overflow_are_refused():
    X, y = problem(30, 3, 2)
    model = CodingGainSelector().fit(X.astype(np.float32), y)
    assert model.weights_.max() > 1.1
    with pytest.raises(ValueError, match="X contains values so large"):
        model.transform(np.full((1, 3), 3.3e38, dtype=np.float32))


def test_noise_drowns_classes_without_weights_and_not_with_them():
    rng = np.random.default_rng(1)
    y = np.arange(60) % 3
    X = rng.normal(size=(60, 3000))
    X[:, :30] += rng.normal(size=(3, 30))[y]
    model = make_pipeline(StandardScaler(), CodingGainSelector(), MICLClassifier())
    assert cross_val_score(model, X, y).mean() >= 0.9
    assert cross_val_score(MICLClassifier(), X, y).mean() < 0.8
    # labels without meaning are not learnt: features are selected within each fold
    y = rng.permutation(y)
    X = rng.normal(size=(60, 3000))
    assert cross_val_score(model, X, y).mean() < 0.5


def test_memory_is_that_of_blocks_and_results():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 40_000)), np.arange(50) % 2
    assert peak_of(CodingGainSelector().fit, X, y) < 8 * (6 * 40_000 + 6 * 2**18)
