"""Clustering at distortions far below the spread of the rows."""

import time

import numpy as np
import pytest

from skredu import CompressionClustering
from skredu.rates import partition_coding_length

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(40, 3))
PAIRS = np.repeat(NORMAL, 2, axis=0) + 1e-6 * RNG.normal(size=(80, 3))


@pytest.mark.parametrize("epsilon", [1e-3, 1e-5, 1e-7, 1e-9, 1e-11])
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
    X = RNG.normal(size=(300, 5))

    def seconds(epsilon):
        start = time.process_time()
        CompressionClustering(epsilon, refine=False).fit(X)
        return time.process_time() - start

    assert any(seconds(2e-4) < 8.0 * seconds(0.5) for _ in range(3))
