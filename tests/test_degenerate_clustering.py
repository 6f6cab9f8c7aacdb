"""Clustering of hard rows: a finite, right result or an error that names its cause."""

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


@pytest.mark.parametrize("name", ["epsilon", "n_clusters", "min_cluster_size"])
def test_times_are_no_numbers(name):
    model = CompressionClustering(**{name: np.timedelta64(1, "s")})
    with pytest.raises(ValueError, match=name):
        model.fit([[1.0], [2.0]])
