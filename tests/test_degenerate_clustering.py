"""Clustering of degenerate rows: a correct result, or an error that names the cause."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import slowly

from skredu import CompressionClustering
from skredu.rates import partition_coding_length

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


@pytest.mark.parametrize("connectivity", [2, *slowly(None)])
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


def test_few_rows_of_many_features_along_distortions_and_rows_out_of_reach():
    X = RNG.normal(size=(9, 12))
    for connectivity in (None, 2):
        model = CompressionClustering(connectivity=connectivity).fit(X)
        path = model.epsilon_path(X, [model.epsilon_, 2.0 * model.epsilon_])
        assert np.isfinite(path["coding_length"]).all()
        assert path["n_clusters"][1] >= 1
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


# -- distortions far below the spread of the rows --------------------------------------

RNG_FINE = np.random.default_rng(0)
NORMAL = RNG_FINE.normal(size=(40, 3))
PAIRS = np.repeat(NORMAL, 2, axis=0) + 1e-6 * RNG_FINE.normal(size=(80, 3))


@pytest.mark.parametrize("epsilon", [1e-3, 1e-7, 1e-11, *slowly(1e-5, 1e-9)])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("X", [NORMAL, PAIRS], ids=["normal", "pairs"])
def test_costs_of_merges_are_differences_of_bits(X, centered, epsilon):
    options = {"epsilon": epsilon, "assume_centered": centered}
    model = CompressionClustering(refine=False, **options).fit(X)
    n, whole = len(X), partition_coding_length(X, np.zeros(len(X)), **options)
    for k in (1, 2, 3, 7, 20, n - 1, n):
        bits = partition_coding_length(X, model.labels_at(k), **options)
        later = model.merge_costs_[n - k :].sum()
        assert bits == pytest.approx(whole - later, rel=1e-9)


def test_fine_distortions_take_little_more_time_than_coarse_ones():
    X = RNG_FINE.normal(size=(300, 5))

    def seconds(epsilon):
        start = time.process_time()
        CompressionClustering(epsilon, refine=False).fit(X)
        return time.process_time() - start

    assert any(seconds(2e-4) < 8.0 * seconds(0.5) for _ in range(3))


# found by a search for rows whose groups all merge before two halves are tried
@pytest.mark.parametrize(
    ("seed", "n", "d", "epsilon"),
    [
        (837884702, 78, 2, 0.583076),
        (725875025, 37, 2, 1.160221),
        (683286905, 19, 1, 0.1113007),
    ],
)
def test_one_group_comes_apart_where_two_take_fewer_bits(seed, n, d, epsilon):
    rng = np.random.default_rng(seed)
    rng.integers(10, 80), rng.integers(1, 3)
    X = rng.normal(size=(n, d))
    X[: n // 2] += rng.uniform(1, 4)
    labels = CompressionClustering(epsilon).fit_predict(X)
    along = np.linalg.svd(X - X.mean(axis=0))[2][0]
    halves = ((X - X.mean(axis=0)) @ along > 0).astype(int)
    bits = partition_coding_length(X, labels, epsilon=epsilon)
    assert bits <= partition_coding_length(X, halves, epsilon=epsilon)
    assert bits <= partition_coding_length(X, np.zeros(n, int), epsilon=epsilon)
    assert len(np.unique(labels)) > 1


@pytest.mark.parametrize("size", [1e20, 1e50, 1e140])
def test_a_sample_beyond_the_digits_of_the_others_changes_nothing_for_them(size):
    X = np.random.default_rng(0).normal(size=(40, 4)) * (1.0 + np.arange(40)[:, None])
    far = np.vstack([X, size * X[3]])
    labels = CompressionClustering(0.5).fit_predict(X)
    model = CompressionClustering(0.5).fit(far)
    assert_array_equal(model.labels_, np.append(labels, -1))
    assert_array_equal(model.predict(far), model.labels_)
    wide = np.hstack([far[:6], np.ones((6, 9))]) + 7.0  # in their span
    few = CompressionClustering(0.5).fit(np.vstack([wide, size * wide[3]]))
    assert few.labels_[-1] == -1
    found = few.merge_costs_[:5]
    assert_allclose(found, CompressionClustering(0.5).fit(wide).merge_costs_)


def test_the_others_have_as_many_groups_as_given_beside_a_distant_sample():
    X, y = np.random.default_rng(0).normal(size=(90, 3)), np.arange(90) % 3
    X[y == 1, 0] += 20.0
    X[y == 2, 1] += 20.0
    model = CompressionClustering(1.0, n_clusters=3).fit(np.vstack([X, [[1e20] * 3]]))
    expected = CompressionClustering(1.0, n_clusters=3).fit_predict(X)
    assert_array_equal(model.labels_, np.append(expected, -1))
