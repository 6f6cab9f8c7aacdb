"""The function that merges groups that start with several samples, also in a graph."""

import itertools

import numpy as np
import oracle_merging
import pytest
from scipy.sparse import csr_array
from settings import slowly

from skredu.clustering._costs import Cluster
from skredu.clustering._merging import merges
from skredu.clustering._rows import Samples


def merging(X, weights, epsilon, assume_centered, groups=None, edges=None):
    """Return the merges of rows and of groups of several rows."""
    d = X.shape[1]
    X = X * (d**0.5 / epsilon)
    origin = np.zeros(d) if assume_centered else X.mean(axis=0)
    rows = Samples(X - origin, weights, origin, d, assume_centered)
    groups = [[i] for i in range(len(X))] if groups is None else groups
    singles = [i for (i,) in itertools.takewhile(lambda group: len(group) == 1, groups)]
    clusters = [Cluster.of(rows, i) for i in groups[len(singles) :]]
    if edges is not None:
        i, j = np.array(sorted(edges)).T.reshape(2, -1)
        both = np.concatenate([i, j]), np.concatenate([j, i])
        ones = np.ones(2 * len(edges))
        edges = csr_array((ones, both), shape=(len(groups), len(groups)))
    return merges(rows.take(singles), clusters, edges=edges)


def assert_same_merges(
    X, weights, epsilon, assume_centered, exact=True, groups=None, **options
):
    """Compare all merges with those of the definition."""
    plain = oracle_merging.PlainMerging(
        X, weights, epsilon, assume_centered=assume_centered, groups=groups, **options
    )
    found = merging(X, weights, epsilon, assume_centered, groups, **options)
    plain.assert_merges(found, exact=exact)


def groups_of_rows(seed, d, n_single, n_groups):
    """Return single rows and groups of several rows, weights, and the groups."""
    rng = np.random.default_rng(seed)
    sizes = [1] * n_single + rng.integers(2, 3 * d + 2, n_groups).tolist()
    parts = [
        rng.normal(size=(size, d)) * rng.uniform(0.1, 2, d) + rng.normal(size=d)
        for size in sizes
    ]
    stops = np.cumsum([0, *sizes])
    groups = [list(range(a, b)) for a, b in itertools.pairwise(stops)]
    weights = rng.uniform(0.5, 2.0, stops[-1]) if seed % 2 else np.ones(stops[-1])
    return np.concatenate(parts), weights, groups


def random_edges(seed, n):
    """Return the edges of a connected graph of n groups."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    pairs = {tuple(sorted(map(int, pair))) for pair in itertools.pairwise(order)}
    more = (rng.choice(n, 2, replace=False) for _ in range(n // 2))
    return pairs | {tuple(sorted(map(int, pair))) for pair in more}


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
@pytest.mark.parametrize("d", [1, 4, 12, *slowly(36, 70)])
def test_groups_that_start_with_several_rows(d, epsilon, assume_centered):
    for seed, n_single in ((2 * d, 4), (2 * d + 1, 4), (d, 0)):
        X, weights, groups = groups_of_rows(seed, d, n_single, 6)
        exact = epsilon > 0.1
        assert_same_merges(X, weights, epsilon, assume_centered, exact, groups)


def test_many_groups_that_start_with_several_rows():
    X, weights, groups = groups_of_rows(0, 3, 0, 40)
    assert_same_merges(X, weights, 0.5, False, groups=groups)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_only_neighbours_merge(seed, assume_centered):
    X, weights, groups = groups_of_rows(seed, 3, 6, 8)
    options = {"groups": groups, "edges": random_edges(seed, len(groups))}
    assert_same_merges(X, weights, 0.5, assume_centered, **options)
