"""Results on both sides of the thresholds between two algorithms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skredu import CompressionClustering, MICLClassifier
from skredu.rates import partition_coding_length


@pytest.mark.parametrize("seed", range(3))
def test_label_code_of_many_classes_of_two_rows_stays_near_their_frequencies(seed):
    X = np.random.default_rng(seed).normal(size=(80, 5))  # says nothing about classes
    model = MICLClassifier().fit(X, np.arange(80) % 40)
    nats = np.log(model.priors_) / model.temperature_
    assert nats.std() < 0.4


@pytest.mark.parametrize(("ulps", "equal"), [(1, True), (3, True), (12, False)])
def test_rows_are_equal_up_to_rounding_and_no_further(ulps, equal):
    steps = np.random.default_rng(0).integers(-1, 2, size=(30, 4)) * ulps
    model = MICLClassifier().fit(1.0 + steps * np.spacing(1.0), np.arange(30) % 3)
    if equal:  # the distortion is chosen in the unit of the rows themselves
        assert model.epsilon_ > 1e-4
    else:
        assert model.epsilon_ < 1e-13


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


@pytest.mark.parametrize(
    ("offset", "thin", "epsilon"), [(100.0, 1.0, 1e-6), (0.0, 1e-2, 1e-3)]
)
def test_rank_of_rows_in_single_precision_counts_no_rounding(offset, thin, epsilon):
    # Fewer rows than features. Far from the origin, the mean that is taken away leaves
    # a direction of rounding, which is none; directions that are thin are some.
    X, y = np.random.default_rng(0).normal(size=(20, 40)), np.arange(12) % 2
    X[:, 3:] *= thin
    rows = (X + offset).astype(np.float32)
    single, double = (
        MICLClassifier(epsilon, priors=None, calibrate=False)
        .fit(rows[:12].astype(dtype), y)
        .decision_function(rows[12:].astype(dtype))
        for dtype in (np.float32, np.float64)
    )
    assert_allclose(single, double, atol=0.01)  # of hundreds of bits
