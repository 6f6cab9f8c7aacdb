"""Clustering of degenerate rows: a correct result, or an error that names the cause."""

import numpy as np
import pytest

from skredu import CompressionClustering

RNG = np.random.default_rng(0)
DENORMAL = {
    "one": np.array([[3.454e-321]]),
    "two": np.array([[1.255e-321], [3e-321]]),
    "few rows of many features": RNG.normal(size=(9, 12)) * 1e-320,
    "tiny": RNG.normal(size=(9, 2)) * 1e-305,
}


@pytest.mark.parametrize("X", DENORMAL.values(), ids=DENORMAL)
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("connectivity", [None, 1])
def test_rows_below_all_distortions_are_one_group(X, centered, connectivity):
    model = CompressionClustering(assume_centered=centered, connectivity=connectivity)
    model.fit(X)
    assert model.labels_.tolist() == [0] * len(X)
    assert 0.0 <= model.coding_length_ < 1e-6
    assert model.predict(X).tolist() == [0] * len(X)


@pytest.mark.parametrize("connectivity", [None, 2])
def test_rows_of_any_size_are_those_of_size_one(connectivity):
    X = RNG.normal(size=(12, 2)) + 9.0 * (np.arange(12)[:, None] % 2)
    weights = np.arange(12) % 5  # absent ones take the group of the nearest row
    model = CompressionClustering(connectivity=connectivity, n_clusters=2)
    expected = model.fit_predict(X, sample_weight=weights).tolist()
    predicted = model.predict(X).tolist()
    for scale in (1e150, 1e160, 1e250, 1e298, 1e-160, 1e-250):
        model.fit(scale * X, sample_weight=weights)
        assert model.labels_.tolist() == expected
        assert model.predict(scale * X).tolist() == predicted


@pytest.mark.parametrize("connectivity", [None, 2])
def test_few_rows_of_many_features_along_distortions(connectivity):
    X = RNG.normal(size=(9, 12))
    model = CompressionClustering(connectivity=connectivity).fit(X)
    path = model.epsilon_path(X, [model.epsilon_, 2.0 * model.epsilon_])
    assert np.isfinite(path["coding_length"]).all()
    assert path["n_clusters"][1] >= 1


def test_rows_out_of_reach_are_refused():
    X = RNG.normal(size=(12, 2))
    with pytest.raises(ValueError, match=r"X contains an entry of"):
        CompressionClustering().fit(np.vstack([X, [1e305, 1e305]]))
    model = CompressionClustering(0.5).fit(X)
    with pytest.raises(ValueError, match=r"X contains an entry of 1e\+200, too"):
        model.predict([[1e200, 0.0]])


@pytest.mark.parametrize("epsilon", [1e-320, 1e-305])
@pytest.mark.parametrize("X", [[[0.0], [0.0]], [[3e-321], [1e-300]]])
def test_distortions_out_of_reach_are_refused(X, epsilon):
    with pytest.raises(ValueError, match=r"epsilon=1e-3\d\d is too small"):
        CompressionClustering(epsilon).fit(X)
    with pytest.raises(ValueError, match=r"epsilon=1e-3\d\d is too small"):
        CompressionClustering().epsilon_path(X, [1e-290, epsilon])


@pytest.mark.parametrize("spread", [0.0, 20.0])
@pytest.mark.parametrize("connectivity", [None, 2])
@pytest.mark.parametrize("centered", [False, True])
def test_tiny_distortions_and_weights_of_a_wide_range(centered, connectivity, spread):
    rng = np.random.default_rng(0)
    for n, d in [(5, 1), (9, 4), (12, 2)]:
        X = np.round(1e100 * rng.normal(size=(n, d)), -100)
        weights = 10.0 ** rng.uniform(-spread, spread, n)
        model = CompressionClustering(
            1e-20, assume_centered=centered, connectivity=connectivity
        )
        model.fit(X, sample_weight=weights)
        assert np.isfinite(model.coding_length_)
        assert np.all(model.predict(1e-20 * X) < model.n_clusters_)
        with pytest.raises(ValueError, match=r"epsilon=1e-60 .* must exceed"):
            model.set_params(epsilon=1e-60).fit(X)
