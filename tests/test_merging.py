"""Greedy merging against its definition, merge for merge."""

import itertools
import tracemalloc

import numpy as np
import oracle_merging
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist

from skredu.clustering._floors import Floors
from skredu.clustering._groups import FIRST_ROUND, QUANTUM, Groups
from skredu.clustering._merging import Graph, merges
from skredu.datasets import make_subspaces


def groups_of(X, weights, epsilon, assume_centered):
    """Groups of single rows in the units of the engine."""
    d = X.shape[1]
    rows = X * (d**0.5 / epsilon)
    mean_squares = np.sum(rows**2, axis=1) / d
    if not assume_centered:
        rows = rows - rows.mean(axis=0)
    return Groups(
        rows, weights, mean_squares, n_features=d, assume_centered=assume_centered
    )


def tolerance(X, weights, epsilon):
    """Bits that rounding explains."""
    d = X.shape[1]
    steepness = 1.0 + d * np.max(X**2) * d / epsilon**2
    bits = (weights.sum() + d) * (d + np.log2(steepness))
    return 64 * np.finfo(float).eps * (bits + (weights.sum() + d) * steepness)


def assert_same_merges(X, weights, epsilon, assume_centered, pairs=None, exact=True):
    """Compare every merge; where rounding may decide, the choice must be as good."""
    graph = None
    if pairs is not None:
        n = len(X)
        i, j = np.array(sorted(pairs)).T.reshape(2, -1)
        i, j = np.concatenate([i, j]), np.concatenate([j, i])
        graph = Graph(csr_array((np.ones(len(i)), (i, j)), shape=(n, n)))
    plain = oracle_merging.PlainMerging(
        X, weights, epsilon, assume_centered=assume_centered, pairs=pairs
    )
    close = tolerance(X, weights, epsilon) + QUANTUM
    found = list(merges(groups_of(X, weights, epsilon, assume_centered), graph))
    assert len(found) == len(X) - 1
    for a, b, cost in found:
        lowest, pair = plain.cheapest()
        assert cost == pytest.approx(lowest, abs=close)
        if exact:
            assert (a, b) == pair
        assert plain.costs[a, b] <= lowest + close
        plain.merge(a, b)


def problem(seed, d, assume_centered):
    """Random rows, weights and distortion: groups, noise and directions missing."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 22))
    centres = rng.normal(size=(3, d)) * rng.choice([0.0, 1.0, 5.0])
    X = centres[rng.integers(3, size=n)] + rng.normal(size=(n, d)) * rng.choice(
        [0.01, 0.3, 1.0], size=d
    )
    weights = np.ones(n)
    if seed % 3 == 1:
        weights = rng.integers(1, 6, size=n).astype(float)
    if seed % 3 == 2:
        weights = rng.uniform(0.2, 4.0, size=n)
    return X, weights, rng.choice([0.03, 0.3, 1.0, 5.0])


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 12, 20, 30, 70])
@pytest.mark.parametrize("part", [0, 1])
def test_merges_are_those_of_the_plain_algorithm(d, assume_centered, part):
    for seed in range(6):
        X, weights, epsilon = problem(12 * d + 6 * part + seed, d, assume_centered)
        assert_same_merges(X, weights, epsilon, assume_centered)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_ties_go_to_the_smallest_names(d, assume_centered):
    rng = np.random.default_rng(d)
    X = np.unique(rng.integers(-2, 3, size=(14, d)), axis=0).astype(float)
    X = rng.permutation(X)
    assert_same_merges(X, np.ones(len(X)), 0.5, assume_centered)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("epsilon", [1e-7, 1e-4, 1e-3])
def test_rank_deficient_rows_with_a_tiny_distortion(epsilon, assume_centered):
    X, _ = make_subspaces(
        (6, 7, 8), n_features=5, noise=0.0, offset=0.5, random_state=0
    )
    X = np.concatenate([X, np.zeros((1, 5))])
    weights = np.arange(1.0, len(X) + 1)
    assert_same_merges(X, weights, epsilon, assume_centered, exact=False)


@pytest.mark.parametrize("assume_centered", [False, True])
def test_rows_far_from_the_origin(assume_centered):
    X = problem(3, 4, assume_centered)[0] + 1e3
    assert_same_merges(X, np.ones(len(X)), 0.3, assume_centered, exact=False)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_only_neighbours_merge(seed, assume_centered):
    X, weights, epsilon = problem(seed, 3, assume_centered)
    n = len(X)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    pairs = {(int(a), int(b)) for a, b in itertools.pairwise(order)}
    pairs |= {tuple(map(int, rng.choice(n, 2, replace=False))) for _ in range(n // 2)}
    assert_same_merges(X, weights, epsilon, assume_centered, pairs)


def test_one_group_does_not_merge():
    assert list(merges(groups_of(np.ones((1, 2)), np.ones(1), 1.0, False))) == []


# -- costs ----------------------------------------------------------------------------


def thick_groups(seed, d, n_groups, epsilon=0.5, assume_centered=False):
    """Groups of several rows as the engine takes them, and their rows."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.normal(size=(int(rng.integers(2, 3 * d + 2)), d)) * rng.uniform(0.1, 2, d)
        + rng.normal(size=d)
        for _ in range(n_groups)
    ]
    thick = []
    for part in parts:
        rows = part * (d**0.5 / epsilon)
        mean = np.zeros(d) if assume_centered else rows.mean(axis=0)
        root = (rows - mean) / len(rows) ** 0.5
        thick.append((float(len(rows)), mean, root, mean @ mean / d))
    return parts, thick


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("d", [1, 4, 12, 36])
def test_costs_of_groups_that_are_given(d, assume_centered):
    parts, thick = thick_groups(d, d, 2 * FIRST_ROUND, 0.5, assume_centered)
    singles = np.random.default_rng(d).normal(size=(4, d)) * (d**0.5 / 0.5)
    groups = Groups(
        singles,
        np.ones(4),
        np.sum(singles**2, axis=1) / d,
        n_features=d,
        assume_centered=assume_centered,
        thick=thick,
    )
    parts = [row[None, :] * (0.5 / d**0.5) for row in singles] + parts
    plain = oracle_merging.PlainMerging(
        np.concatenate(parts),
        np.ones(sum(map(len, parts))),
        0.5,
        assume_centered=assume_centered,
    )
    stops = np.cumsum([len(part) for part in parts])
    plain.members = {
        i: list(range(stop - len(part), stop))
        for i, (stop, part) in enumerate(zip(stops, parts, strict=True))
    }
    slots = np.arange(groups.end)
    for slot in slots:
        others = np.delete(slots, slot)
        expected = [plain.cost(slot, other) for other in others]
        np.testing.assert_allclose(groups.costs(slot, others), expected, atol=1e-8)
        bounds = groups._thick_bounds(slot)
        true = np.array(expected)[others >= 4]
        assert np.all(bounds[others[others >= 4] - 4] <= true + 1e-9)
        older = expected[:slot]  # slots are names here
        best, partner = groups.best_partner(slot)
        if older:
            assert best == pytest.approx(min(older), abs=1e-8)
            assert older[partner] == pytest.approx(best, abs=1e-8)
        else:
            assert (best, partner) == (np.inf, -1)


@pytest.mark.parametrize("assume_centered", [False, True])
def test_lower_bounds_hold_through_merges(assume_centered):
    """Whatever the engine remembers of a pair is never above its cost."""
    remembered = 0
    for d, seed in itertools.product([1, 3, 10, 40], range(5)):
        rng = np.random.default_rng(seed)
        X, _, epsilon = problem(seed, d, assume_centered)
        X = np.concatenate([X + shift for shift in rng.normal(size=(4, d)) * 3])
        weights = rng.uniform(0.2, 4.0, len(X)) if seed % 2 else np.ones(len(X))
        groups = groups_of(X, weights, epsilon, assume_centered)
        for _ in merges(groups):
            thick = np.arange(groups.first_thick, groups.end)
            for t, slot in enumerate(thick):
                bounds = groups.floors.of(t, len(thick))
                known = np.isfinite(bounds) & (thick != slot)
                if np.any(known):
                    costs = groups.costs(slot, thick[known])
                    assert np.all(bounds[known] <= costs + QUANTUM)
                    remembered += np.count_nonzero(known)
    assert remembered > 300


def test_bounds_fall_by_the_formula():
    rng = np.random.default_rng(0)
    for _ in range(50):
        r, d = int(rng.integers(1, 6)), int(rng.integers(1, 9))
        farthest, bits = rng.uniform(0, 3), rng.uniform(1e3, 1e6)
        floors = Floors(r, d, bits, farthest)
        n, V = rng.uniform(0.5, 9, 4), rng.uniform(0, 9, 4)
        for t in range(4):
            floors.place(t, n[t], V[t])
        costs = rng.normal(size=3)
        floors.learn(1, np.array([0, 2, 3]), costs)
        w, gain, volume = rng.uniform(0.1, 20), rng.normal(), rng.uniform(0, 9)
        after = n.copy()
        after[1] += w
        floors.swallow(1, after, w, gain, volume)
        N = n[[0, 2, 3]] + n[1]
        V_union = (n[[0, 2, 3]] * V[[0, 2, 3]] + n[1] * V[1]) / N
        rise = w / 2 * (V_union - r * (N + w + d) / (N * np.log(2)))
        rise -= w * (np.log2(N) + w / (N * np.log(2)) + 1 / np.log(2))  # labels
        rise -= w / N * d * farthest / np.log(2)  # the mean
        expected = costs + rise - gain - 2 * floors.slack
        np.testing.assert_allclose(floors.of(1, 4)[[0, 2, 3]], expected, rtol=1e-9)
        np.testing.assert_allclose(floors.table[[0, 2, 3], 1], expected, rtol=1e-9)
        # the next row meets the group as it is now
        floors.swallow(1, after + np.array([0, w, 0, 0]), w, gain, volume)
        V_union = (n[[0, 2, 3]] * V[[0, 2, 3]] + after[1] * volume) / (N + w)
        rise = w / 2 * (V_union - r * (N + w + w + d) / ((N + w) * np.log(2)))
        rise -= w * (np.log2(N + w) + w / ((N + w) * np.log(2)) + 1 / np.log(2))
        rise -= w / (N + w) * d * farthest / np.log(2)
        expected += rise - gain - floors.slack
        np.testing.assert_allclose(floors.of(1, 4)[[0, 2, 3]], expected, rtol=1e-9)


def test_a_group_from_beyond_the_table_brings_no_bounds(monkeypatch):
    monkeypatch.setattr("skredu.clustering._floors.MAX_FLOORS", 16)
    floors = Floors(2, 2, 1.0, 0.0)
    for t in range(20):
        floors.place(t, 1.0, 1.0)
    floors.learn(3, np.array([5]), np.array([7.0]))
    assert np.isfinite(floors.of(3, 20)[5])
    floors.move(3, 19)
    assert not np.any(np.isfinite(floors.of(3, 19)))
    floors.move(5, 4)
    assert not np.any(np.isfinite(floors.of(5, 19)))


def test_bounds_hold_for_groups_of_great_weight():
    rng = np.random.default_rng(0)
    thick = []
    for _ in range(30):
        root, mean = rng.normal(size=(3, 3)) * 0.1, rng.normal(size=3)
        thick.append((1e5, mean, root, mean @ mean / 3))
    nothing = np.zeros(0)
    groups = Groups(
        np.zeros((0, 3)),
        nothing,
        nothing,
        n_features=3,
        assume_centered=False,
        thick=thick,
    )
    for slot in range(groups.end):
        others = np.delete(np.arange(groups.end), slot)
        costs = groups.costs(slot, others)
        assert np.all(groups._thick_bounds(slot)[others] <= costs)


def test_bounds_of_more_groups_than_are_remembered(monkeypatch):
    monkeypatch.setattr("skredu.clustering._floors.MAX_FLOORS", 16)
    rng = np.random.default_rng(0)  # forty far pairs: as many thick groups at once
    X = np.repeat(rng.normal(size=(40, 3)) * 50.0, 2, axis=0)
    X += rng.normal(size=X.shape) * 0.1
    assert_same_merges(X, np.ones(len(X)), 0.3, False)


def test_many_thick_groups_merge_as_by_definition():
    parts, thick = thick_groups(0, 3, 40)
    groups = Groups(
        np.zeros((0, 3)),
        np.zeros(0),
        np.zeros(0),
        n_features=3,
        assume_centered=False,
        thick=thick,
    )
    X = np.concatenate(parts)
    plain = oracle_merging.PlainMerging(X, np.ones(len(X)), 0.5)
    stops = np.cumsum([len(part) for part in parts])
    plain.members = {
        i: list(range(stop - len(part), stop))
        for i, (stop, part) in enumerate(zip(stops, parts, strict=True))
    }
    for a, b, cost in merges(groups):
        lowest, pair = plain.cheapest()
        assert (a, b) == pair
        assert cost == pytest.approx(lowest, abs=1e-8)
        plain.merge(a, b)


def test_no_table_of_pairs_is_held():
    X = np.random.default_rng(0).normal(size=(3000, 2))
    groups = groups_of(X, np.ones(len(X)), 0.5, False)
    tracemalloc.start()
    for _, _ in zip(merges(groups), range(20), strict=False):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pdist(X).nbytes / 4
