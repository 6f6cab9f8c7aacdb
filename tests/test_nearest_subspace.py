"""NearestSubspaceClassifier compared with explicit projections."""

import itertools

import numpy as np
import oracle_micl as oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit

from skredu import NearestSubspaceClassifier


def problem(n=45, d=6, *, seed=0, weighted=False, rank=None):
    """Return rows of three classes, labels, weights and more rows."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    y[:6] = [0, 0, 1, 1, 2, 2]
    maps = rng.normal(size=(3, rank or d, d)) * np.geomspace(3, 0.3, rank or d)[:, None]
    X = rng.normal(size=(3, d))[y]
    X = X + np.einsum("nij,ni->nj", maps[y], rng.normal(size=(n, rank or d)))
    weights = rng.choice([0.5, 1.0, 2.0, 3.0], n) if weighted else np.ones(n)
    return X, y, weights, 2 * rng.normal(size=(11, d))


@pytest.mark.parametrize("assume_centered", [True, False])
@pytest.mark.parametrize("shape", [(45, 6), (15, 30), (12, 4)])
def test_decision_is_the_distance_to_the_subspace(shape, assume_centered, monkeypatch):
    limit(monkeypatch, BLOCK=150)
    for weighted, n_components in itertools.product(
        [False, True], [1, 3, 100, 0.3, 0.8, 0.999]
    ):
        X, y, weights, new = problem(*shape, weighted=weighted)
        options = {"assume_centered": assume_centered}
        model = NearestSubspaceClassifier(n_components, **options)
        model.fit(X, y, sample_weight=weights)
        distances = oracle.residuals(X, y, weights, new, n_components, **options)
        assert_allclose(model.decision_function(new), -distances, atol=1e-9)
        predicted = distances[np.arange(len(new)), model.predict(new)]
        # rounding decides between equals
        assert_allclose(predicted, distances.min(axis=1), atol=1e-9)


@pytest.mark.parametrize("assume_centered", [True, False])
def test_subspaces_have_orthonormal_rows_and_go_through_their_points(assume_centered):
    X, y, weights, _ = problem(weighted=True)
    model = NearestSubspaceClassifier(3, assume_centered=assume_centered)
    model.fit(X, y, weights)
    for j, components in enumerate(model.components_):
        assert_allclose(components @ components.T, np.eye(3), atol=1e-12)
        w = weights[y == j]
        mean = 0.0 if assume_centered else w @ X[y == j] / w.sum()
        assert_allclose(model.means_[j], np.broadcast_to(mean, 6), atol=1e-12)


def test_share_keeps_the_fewest_directions_that_hold_it():
    X = np.diag([3.0, 2.0, 1.0])  # squares 9, 4, 1 of 14
    X, y = np.vstack([X, X]), np.repeat([0, 1], 3)
    for share, rank in [(0.6, 1), (0.65, 2), (0.92, 2), (0.94, 3)]:
        model = NearestSubspaceClassifier(share).fit(X, y)
        assert [len(part) for part in model.components_] == [rank, rank]


@pytest.mark.parametrize("n", [12, 60])
def test_class_keeps_no_more_directions_than_it_has(n):
    X, y, _, _ = problem(n, 20, rank=2)
    X -= np.array([X[y == j].mean(axis=0) for j in range(3)])[y]
    for n_components in (7, 0.9999999):
        model = NearestSubspaceClassifier(n_components).fit(X, y)
        assert max(len(part) for part in model.components_) <= 2


def test_rows_on_their_subspaces_are_told_apart():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    bases = rng.normal(size=(3, 2, 9))
    X = np.einsum("nij,ni->nj", bases[y], rng.normal(size=(120, 2)))
    new = np.einsum("nij,ni->nj", bases[y], 1e-3 * rng.normal(size=(120, 2)))
    model = NearestSubspaceClassifier().fit(X, y)
    assert model.score(new, y) == 1.0
    own = model.decision_function(new)[np.arange(120), y]
    assert_allclose(own, 0.0, atol=1e-16)


def test_two_classes_are_decided_by_a_difference():
    X, y, _, new = problem()
    X, y = X[y < 2], y[y < 2]
    model = NearestSubspaceClassifier(2).fit(X, y)
    distances = oracle.residuals(X, y, np.ones(len(y)), new, 2)
    scores = model.decision_function(new)
    assert_allclose(scores, distances[:, 0] - distances[:, 1], atol=1e-12)
    assert_array_equal(model.predict(new), (scores > 0).astype(int))


def test_class_of_one_row_is_a_line_through_it_or_the_row_itself():
    X = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    y = np.array([0, 1, 1])
    line = NearestSubspaceClassifier(1).fit(X, y)
    assert_allclose(line.decision_function([[5.0, 0.0]]), [-5.0])
    point = NearestSubspaceClassifier(1, assume_centered=False).fit(X, y)
    assert_allclose(point.decision_function([[5.0, 0.0]]), [3.0 - 5.0])


def test_single_precision_stays_single_and_a_wrong_number_of_components_is_named():
    X, y, _, _ = problem()
    model = NearestSubspaceClassifier(2).fit(X.astype(np.float32), y)
    assert all(part.dtype == np.float32 for part in model.components_)
    assert model.means_.dtype == np.float32
    assert model.decision_function(X.astype(np.float32)).dtype == np.float32
    for n_components in (0, -1, 0.0, 1.5, -0.5, "2", None):
        with pytest.raises(ValueError, match="n_components"):
            NearestSubspaceClassifier(n_components).fit(X, y)
