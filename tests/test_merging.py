"""Greedy merging compared with its definition, merge by merge."""

import itertools

import numpy as np
import oracle_merging
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from settings import peak_of, slowly

from skredu import CompressionClustering
from skredu.clustering._costs import Cluster
from skredu.clustering._merging import merges
from skredu.clustering._rows import Samples
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


# -- the function, for groups that start with several samples, also in a graph ---------


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


def assert_same_merges_of_groups(
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
        assert_same_merges_of_groups(
            X, weights, epsilon, assume_centered, exact, groups
        )


def test_many_groups_that_start_with_several_rows():
    X, weights, groups = groups_of_rows(0, 3, 0, 40)
    assert_same_merges_of_groups(X, weights, 0.5, False, groups=groups)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_only_neighbouring_groups_merge(seed, assume_centered):
    X, weights, groups = groups_of_rows(seed, 3, 6, 8)
    options = {"groups": groups, "edges": random_edges(seed, len(groups))}
    assert_same_merges_of_groups(X, weights, 0.5, assume_centered, **options)
