"""The search after greedy merging, compared with bits computed from rows."""

import itertools

import numpy as np
import pytest
from oracle_merging import coding_length
from settings import limit, slowly
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skredu import CompressionClustering
from skredu.datasets import make_subspaces


def alone(labels):
    """Return labels in which every outlier is a group of its own."""
    labels = np.array(labels)
    out = np.flatnonzero(labels < 0)
    labels[out] = labels.max() + 1 + np.arange(len(out))
    return labels


class Bits:
    """Bits of partitions of rows; those of a group are computed once."""

    def __init__(self, X, weights, epsilon, assume_centered):
        self.X, self.weights = X, np.ones(len(X)) if weights is None else weights
        self.options = (epsilon, assume_centered)
        self.known = {}

    def of_group(self, mask):
        key = mask.tobytes()
        if key not in self.known:
            bits = 0.0
            if mask.any():
                rows, weights = self.X[mask], self.weights[mask]
                n, total = weights.sum(), self.weights.sum()
                bits = coding_length(rows, weights, *self.options)
                bits -= n * np.log2(n / total)
            self.known[key] = bits
        return self.known[key]

    def __call__(self, labels):
        return sum(self.of_group(labels == label) for label in np.unique(labels))


def problem(d, seed=0, n=40):
    """Return blobs in d dimensions with one nearly constant feature, and weights."""
    rng = np.random.default_rng(seed)
    X, y = make_blobs(n, d, centers=4, random_state=seed)
    X[:, 0] *= 1e-3
    return X, y, rng.integers(1, 4, size=n).astype(float)


def changes(bits, labels):
    """Return the bits that the best move of a row and the best merge add."""
    before = bits(labels)
    k, moves, joins = labels.max() + 1, [], []
    for i, label in itertools.product(range(len(labels)), range(k + 1)):
        moved = labels.copy()
        moved[i] = label
        if label != labels[i]:
            moves.append(bits(moved) - before)
    for a, b in itertools.combinations(range(k), 2):
        joins.append(bits(np.where(labels == a, b, labels)) - before)
    return min(moves), min(joins, default=np.inf)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
@pytest.mark.parametrize(
    ("d", "weighted"),
    [
        *((1, False), (1, True), (3, True), (12, False)),
        pytest.param(50, True, marks=pytest.mark.slow),
    ],
)
def test_one_more_move_or_merge_saves_nothing(d, epsilon, weighted, assume_centered):
    X, y, weights = problem(d)
    weights = weights if weighted else None
    bits = Bits(X, weights, epsilon, assume_centered)
    model = CompressionClustering(epsilon, assume_centered=assume_centered)
    model.fit(X, sample_weight=weights)
    labels = alone(model.labels_)
    assert model.coding_length_ == pytest.approx(bits(labels), rel=1e-9)
    move, merge = changes(bits, labels)
    assert move > -1e-3
    assert merge > -1e-3
    assert model.coding_length_ <= model.greedy_coding_length_ + 1e-9
    assert model.coding_length_ <= bits(y) + 1e-6


@pytest.mark.parametrize("seed", [1, 3])
def test_rows_move_between_groups_with_fewer_rows_than_features(seed, monkeypatch):
    limit(monkeypatch, MAX_EXACT=5, N_CELLS=4, MAX_CELLS=4)
    X, _ = make_blobs(24, 8, centers=4, center_box=(-2, 2), cluster_std=0.5,
                      random_state=seed)  # fmt: skip
    labels = alone(CompressionClustering(0.3).fit(X).labels_)
    assert min(changes(Bits(X, None, 0.3, False), labels)) > -1e-3


@pytest.mark.parametrize("epsilon", [1e-6, 0.2])
@pytest.mark.parametrize("d", [1, 12, 50])
def test_bits_of_thin_groups(d, epsilon):
    X, _, weights = problem(d)
    model = CompressionClustering(epsilon, n_clusters=4, min_cluster_size=1)
    model.fit(X, sample_weight=weights)
    bits = Bits(X, weights, epsilon, False)
    assert model.coding_length_ == pytest.approx(bits(model.labels_), rel=1e-9)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("seed", [0, 1, *slowly(2, 3)])
def test_a_number_of_groups_is_kept(seed, assume_centered):
    X, y, weights = problem(3, seed, n=60)
    model = CompressionClustering(0.2, n_clusters=4, assume_centered=assume_centered)
    model.set_params(min_cluster_size=1).fit(X, sample_weight=weights)
    bits = Bits(X, weights, 0.2, assume_centered)
    assert model.n_clusters_ == len(np.unique(model.labels_)) == 4
    assert model.coding_length_ == pytest.approx(bits(model.labels_), rel=1e-9)
    assert model.coding_length_ <= min(model.greedy_coding_length_, bits(y)) + 1e-6
    labels = model.labels_
    for i, label in itertools.product(range(len(X)), range(4)):
        moved = labels.copy()
        moved[i] = label
        if len(np.unique(moved)) == 4:
            assert bits(moved) > model.coding_length_ - 1e-3


@pytest.mark.parametrize(
    ("n_features", "dimensions", "offset"),
    [(3, (1, 1, 2, 2, 2), 0.0), (10, (1, 2, 3, 4, 5), 1.0)],
)
@pytest.mark.parametrize("epsilon", [0.1, *slowly(0.03, 0.3)])
def test_subspaces_take_no_more_bits_than_the_true_ones(
    n_features, dimensions, offset, epsilon
):
    settings = {"n_features": n_features, "dimensions": dimensions, "offset": offset}
    X, y = make_subspaces(100, random_state=0, **settings)
    model = CompressionClustering(epsilon, assume_centered=offset == 0.0).fit(X)
    assert model.coding_length_ <= 1.001 * Bits(X, None, epsilon, offset == 0.0)(y)


@pytest.mark.parametrize("n_clusters", [None, 4])
@pytest.mark.parametrize("cells", [1, 2, 3, 32])
def test_the_search_mends_a_bad_start(cells, n_clusters, monkeypatch):
    # groups that start as one, or as parts of one, come apart and are dissolved
    X, y, _ = problem(3, n=80)
    limit(monkeypatch, MAX_EXACT=10, N_CELLS=cells, MAX_CELLS=cells)
    model = CompressionClustering(0.2, n_clusters=n_clusters).fit(X)
    assert model.coding_length_ <= Bits(X, None, 0.2, False)(y) + 1e-6
    if n_clusters is not None:
        assert model.n_clusters_ == n_clusters


def test_a_surplus_group_is_dissolved(monkeypatch):
    sizes = {"n_features": 10, "dimensions": (1, 2, 3, 4, 5)}
    X, y = make_subspaces(200, random_state=0, **sizes)
    limit(monkeypatch, MAX_EXACT=10)
    model = CompressionClustering(0.3).fit(X)
    assert model.n_clusters_ == 5
    assert model.coding_length_ <= Bits(X, None, 0.3, False)(y)


def test_cells_depend_on_nothing_but_the_shape_of_the_rows(monkeypatch):
    X, _, weights = problem(4)
    limit(monkeypatch, MAX_EXACT=10, N_CELLS=8)
    model = CompressionClustering(0.5, min_cluster_size=1).fit(X, sample_weight=weights)
    tree = model.labels_at(8)
    assert len(np.unique(tree)) == 8
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    turned = clone(model).set_params(epsilon=500.0)
    turned.fit(1e3 * X @ rotation, sample_weight=weights)
    assert adjusted_rand_score(turned.labels_at(8), tree) == 1.0
    order = np.random.default_rng(1).permutation(len(X))
    mixed = clone(model).fit(X[order], sample_weight=weights[order])
    assert adjusted_rand_score(mixed.labels_at(8), tree[order]) == 1.0
    assert adjusted_rand_score(mixed.labels_, model.labels_[order]) == 1.0
