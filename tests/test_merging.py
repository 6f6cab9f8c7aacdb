"""Greedy merging compared with its definition, merge by merge."""

import itertools

import numpy as np
import oracle_merging
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from settings import peak_of, slowly

from skredu import CompressionClustering
from skredu.datasets import make_subspaces


def assert_same_merges(X, weights, epsilon, assume_centered, pairs=None, exact=True):
    """Compare all merges with those of the definition."""
    graph, n = None, len(X)
    if pairs is not None:
        i, j = np.array(sorted(pairs)).T.reshape(2, -1)
        graph = csr_array((np.ones(len(i)), (i, j)), shape=(n, n))
    options = {"assume_centered": assume_centered}
    plain = oracle_merging.PlainMerging(X, weights, epsilon, edges=pairs, **options)
    model = CompressionClustering(epsilon, connectivity=graph, refine=False, **options)
    model.fit(X, sample_weight=weights)
    children = np.sort(model.children_, axis=1).tolist()
    merges = zip(*zip(*children, strict=True), model.merge_costs_, strict=True)
    plain.assert_merges(merges if n > 1 else [], exact=exact)


def problem(seed, d):
    """Return random rows with groups, noise and missing directions, and weights."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 22))
    X = (rng.normal(size=(3, d)) * rng.choice([0.0, 1.0, 5.0]))[rng.integers(3, size=n)]
    X += rng.normal(size=(n, d)) * rng.choice([0.01, 0.3, 1.0], size=d)
    weights = np.ones(n)
    if seed % 3 == 1:
        weights = rng.integers(1, 6, size=n).astype(float)
    if seed % 3 == 2:
        weights = rng.uniform(0.2, 4.0, size=n)
    return X, weights, rng.choice([0.03, 0.3, 1.0, 5.0])


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("d", [1, 2, 3, 5, 12, *slowly(8, 20, 30, 70)])
def test_merges_are_those_of_the_plain_algorithm(d, assume_centered):
    for seed in range(6):
        X, weights, epsilon = problem(6 * d + seed, d)
        assert_same_merges(X, weights, epsilon, assume_centered)


@pytest.mark.parametrize("assume_centered", [False, True])
def test_many_far_pairs_merge_as_by_definition(assume_centered):
    rng = np.random.default_rng(0)  # as many groups of two rows at once
    X = np.repeat(rng.normal(size=(30, 3)) * 50.0, 2, axis=0)
    X += rng.normal(size=X.shape) * 0.1
    assert_same_merges(X, np.ones(len(X)), 0.3, assume_centered)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_ties_go_to_the_smallest_names(d, assume_centered):
    rng = np.random.default_rng(d)
    X = np.unique(rng.integers(-2, 3, size=(14, d)), axis=0).astype(float)
    assert_same_merges(X, np.ones(len(X)), 0.5, assume_centered)


@pytest.mark.parametrize("assume_centered", [False, True])
def test_tiny_distortions_of_dependent_rows_and_rows_far_away(assume_centered):
    options = {"n_features": 5, "noise": 0.0, "offset": 0.5}
    X = np.vstack(
        [make_subspaces((6, 7, 8), random_state=0, **options)[0], np.zeros(5)]
    )
    weights = np.arange(1.0, len(X) + 1)
    for epsilon in (1e-7, 1e-4, 1e-3):
        assert_same_merges(X, weights, epsilon, assume_centered, exact=False)
    X = problem(3, 4)[0] + 1e3
    assert_same_merges(X, np.ones(len(X)), 0.3, assume_centered, exact=False)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_only_neighbours_merge(seed, assume_centered):
    X, weights, epsilon = problem(seed, 3)
    n = len(X)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    pairs = {(int(a), int(b)) for a, b in itertools.pairwise(order)}
    pairs |= {tuple(map(int, rng.choice(n, 2, replace=False))) for _ in range(n // 2)}
    assert_same_merges(X, weights, epsilon, assume_centered, pairs)


@pytest.mark.slow
def test_no_table_of_pairs_is_held():
    X = np.random.default_rng(0).normal(size=(2000, 2))
    model = CompressionClustering(0.5, refine=False)
    assert peak_of(model.fit, X) < pdist(X).nbytes / 2
