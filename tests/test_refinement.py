"""Moves, merges and splits against bits that are counted anew from the rows."""

import numpy as np
import pytest
from oracle_merging import coding_length
from sklearn.datasets import make_blobs

from skredu.clustering import _refinement
from skredu.clustering._partition import Partition, Rows
from skredu.clustering._refinement import (
    cells,
    escape,
    merge,
    reassign,
    refine,
    settle,
)
from skredu.datasets import make_subspaces

EPSILON = 0.2


def rows_of(X, weights=None, epsilon=EPSILON, assume_centered=False):
    """Rows in the units of the package."""
    d = X.shape[1]
    X = X * (d**0.5 / epsilon)
    weights = np.ones(len(X)) if weights is None else weights
    origin = np.zeros(d) if assume_centered else X.mean(axis=0)
    return Rows(X - origin, weights, origin, d, assume_centered)


def bits_of(X, labels, weights=None, epsilon=EPSILON, assume_centered=False):
    """Bits of a partition without the constant that all have."""
    weights = np.ones(len(X)) if weights is None else weights
    total = 0.0
    for label in set(labels.tolist()):
        own = labels == label
        count = weights[own].sum()
        total += coding_length(X[own], weights[own], epsilon, assume_centered)
        total -= count * np.log2(count)
    return total


def problem(d, seed=0, n=40):
    """Blobs in d dimensions with one feature that hardly moves, labels and weights."""
    rng = np.random.default_rng(seed)
    X, y = make_blobs(n, d, centers=4, random_state=seed)
    X[:, 0] *= 1e-3
    return X, y, rng.integers(1, 4, size=n).astype(float)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("epsilon", [1e-6, 0.2])
@pytest.mark.parametrize("d", [1, 3, 12, 40])
def test_bits_are_those_of_the_groups(d, epsilon, assume_centered):
    X, y, weights = problem(d)
    rows = rows_of(X, weights, epsilon, assume_centered)
    expected = bits_of(X, y, weights, epsilon, assume_centered)
    assert Partition(rows, y).bits == pytest.approx(expected, rel=1e-9)
    alone = [
        bits_of(X[[i]], y[[i]], weights[[i]], epsilon, assume_centered)
        for i in range(len(X))
    ]
    np.testing.assert_allclose(rows.alone, alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("d", [1, 3, 12, 40])
def test_a_move_saves_what_is_said(d, assume_centered, even):
    X, y, weights = problem(d)
    y = np.where(np.arange(len(X)) == 7, 9, y)  # a row alone
    weights = np.full(len(X), 2.0) if even else weights
    rows = rows_of(X, weights, EPSILON, assume_centered)
    partition = Partition(rows, y)
    before = bits_of(X, partition.labels, weights, EPSILON, assume_centered)
    best, gains = partition.moves()
    for i in range(len(X)):
        costs = []
        for label in range(len(partition.groups) + 1):
            labels = partition.labels.copy()
            labels[i] = label
            after = bits_of(X, labels, weights, EPSILON, assume_centered)
            costs.append(np.inf if label == partition.labels[i] else after - before)
        assert -gains[i] == pytest.approx(min(costs), abs=1e-6)
        assert costs[best[i]] == pytest.approx(min(costs), abs=1e-6)


def test_moving_rows_to_new_groups_may_be_forbidden():
    X, y, _ = problem(3)
    best, _ = Partition(rows_of(X), y).moves(alone=False)
    assert best.max() < 4


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("n_groups", [None, 5])
@pytest.mark.parametrize("seed", range(6))
def test_refinement_never_adds_bits(seed, n_groups, assume_centered):
    X, _, weights = problem(3, seed, n=60)
    rows = rows_of(X, weights, EPSILON, assume_centered)
    labels = np.random.default_rng(seed).permutation(np.arange(60) % 5)
    given = Partition(rows, labels)
    for work in (reassign, merge, settle):
        assert work(given, n_groups).bits <= given.bits
    refined = refine(rows, labels, n_groups=n_groups)
    assert refined.bits <= given.bits
    assert refined.bits == pytest.approx(
        bits_of(X, refined.labels, weights, EPSILON, assume_centered)
    )
    if n_groups is not None:
        assert len(refined.groups) == n_groups


def test_one_more_move_or_merge_saves_nothing():
    X, y, _ = problem(3, n=60)
    rows = rows_of(X)
    found = refine(rows, np.zeros(60, dtype=int))
    assert np.max(found.moves()[1]) < 1e-3
    assert merge(found) is found
    assert found.bits <= Partition(rows, y).bits


def test_many_groups_merge_before_rows_move(monkeypatch):
    X, _, _ = problem(3, n=60)
    rows = rows_of(X)
    given = Partition(rows, np.arange(60))
    sizes = []
    monkeypatch.setattr(_refinement, "MAX_MOVES", 100)
    monkeypatch.setattr(
        _refinement,
        "reassign",
        lambda partition, *_, **__: sizes.append(len(partition.groups)) or partition,
    )
    assert settle(given).bits < given.bits
    assert max(sizes) < 60


@pytest.mark.parametrize(
    ("n_features", "dimensions", "offset"),
    [(3, (1, 1, 2, 2, 2), 0.0), (10, (1, 2, 3, 4, 5), 1.0)],
)
@pytest.mark.parametrize("epsilon", [0.03, 0.1, 0.3])
def test_one_group_of_all_rows_comes_apart(n_features, dimensions, offset, epsilon):
    X, y = make_subspaces(
        200,
        n_features=n_features,
        dimensions=dimensions,
        offset=offset,
        random_state=0,
    )
    rows = rows_of(X, None, epsilon, assume_centered=offset == 0.0)
    found = refine(rows, np.zeros(len(X), dtype=int))
    n = len(X)
    total, true = (p.bits + n * np.log2(n) for p in (found, Partition(rows, y)))
    assert total <= 1.001 * true


def test_a_surplus_group_is_dissolved():
    X, y = make_subspaces(
        400, n_features=10, dimensions=(1, 2, 3, 4, 5), random_state=0
    )
    rows = rows_of(X, None, 0.3)
    stuck = settle(Partition(rows, cells(rows, 32)))
    found = escape(stuck)
    assert len(stuck.groups) == 6  # neither moves nor merges help
    assert len(found.groups) == 5
    assert found.bits < stuck.bits
    assert found.bits <= Partition(rows, y).bits


def test_two_groups_as_one_come_apart_on_trial():
    X, y, _ = problem(3, n=80)
    rows = rows_of(X)
    given = Partition(rows, np.minimum(y, 1))
    found = escape(given)
    assert len(found.groups) > 2
    assert found.bits < given.bits
    assert found.bits <= Partition(rows, y).bits


def test_a_number_of_groups_is_kept_on_trial():
    X, y, _ = problem(3, n=80)
    rows = rows_of(X)
    # one group of two blobs, and one blob cut in two
    labels = np.where(y == 3, 2, y)
    labels[np.flatnonzero(y == 0)[::2]] = 3
    given = Partition(rows, labels)
    found = escape(given, 4)
    assert len(found.groups) == 4
    assert found.bits <= Partition(rows, y).bits + 1e-6


def test_no_trials_where_they_would_take_too_long(monkeypatch):
    X, y, _ = problem(3, n=80)
    given = Partition(rows_of(X), np.minimum(y, 2))
    monkeypatch.setattr(_refinement, "MAX_TRIED", 1)
    assert escape(given) is given


def same_partition(a, b):
    """Whether two labelings are equal up to names."""
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist()))


def test_cells_depend_on_nothing_but_the_shape_of_the_rows():
    X, _, weights = problem(4)
    expected = cells(rows_of(X, weights), 8)
    assert len(np.unique(expected)) == 8
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    rows = rows_of(1e3 * X @ rotation, weights)
    assert same_partition(cells(rows, 8), expected)
    order = np.random.default_rng(1).permutation(len(X))
    rows = rows_of(X[order], weights[order])
    assert same_partition(cells(rows, 8), expected[order])


def test_there_are_no_more_cells_than_rows():
    X, _, _ = problem(3, n=5)
    assert sorted(cells(rows_of(X), 8)) == [0, 1, 2, 3, 4]
    wide, _, _ = problem(12, n=5)
    assert sorted(cells(rows_of(wide), 8)) == [0, 1, 2, 3, 4]
    assert cells(rows_of(X[:1]), 8).tolist() == [0]
