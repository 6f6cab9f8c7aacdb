"""Clustering with neighbours: groups are connected, and the order does not matter."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from settings import limit, slowly
from sklearn.feature_extraction.image import grid_to_graph

from skredu import CompressionClustering


def chain(n):
    """Return the graph of consecutive rows."""
    i = np.arange(n - 1)
    return csr_array((np.ones(n - 1), (i, i + 1)), shape=(n, n))


def random_graph(n, rng):
    """Return a random tree and a few more links, each in one direction only."""
    i = np.arange(1, n)
    more = rng.integers(n, size=(2, n))
    links = np.hstack([[i, rng.integers(i)], more])
    return csr_array((np.ones(2 * n - 1), links), shape=(n, n))


def random_rows(ties, rng, n=40):
    """Return unsorted rows around two centres, or with six distinct values."""
    if ties:
        return rng.integers(-1, 2, size=(n, 2)) * [1.0, 4.0]
    return rng.normal(size=(n, 2)) + 4.0 * rng.integers(2, size=(n, 1))


def assert_connected(graph, labels):
    """Assert that every group is connected by links within the group."""
    links = coo_array(graph)
    i, j = links.coords
    same = labels[i] == labels[j]
    within = coo_array((links.data[same], (i[same], j[same])), shape=graph.shape)
    n_parts = connected_components(within, directed=False)[0]
    assert n_parts == len(np.unique(labels))


def names_aside(labels):
    """Return labels renamed in the order in which they appear."""
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


# -- connected groups -----------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, *slowly(1, 2)])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("parameters", [{"epsilon": 0.1}, {}, {"n_clusters": 4}])
def test_every_group_is_connected_in_the_graph(parameters, ties, seed):
    rng = np.random.default_rng(seed)
    X = random_rows(ties, rng)
    graph = random_graph(len(X), rng)
    model = CompressionClustering(connectivity=graph, **parameters).fit(X)
    assert_connected(graph, model.labels_)
    for k in (1, 2, 5, 10, 30, 39, 40):  # the tree, too, down to single rows
        labels = model.labels_at(k)
        assert len(np.unique(labels)) == k
        assert_connected(graph, labels)


@pytest.mark.parametrize("values", [[0, 5, 0], [0, 0, 0], [5, 0, 5]])
def test_runs_of_a_series_are_its_groups(values):
    x = np.repeat(values, 3) + 1e-3 * np.arange(9)
    model = CompressionClustering(0.1, connectivity=chain(9)).fit(x[:, None])
    expected = names_aside(np.cumsum(np.r_[0, np.abs(np.diff(x)) > 1]))
    assert_array_equal(names_aside(model.labels_), expected)


@pytest.mark.parametrize("n_clusters", [1, 2, 3])
def test_equal_rows_that_are_no_neighbours_are_different(n_clusters):
    x = np.repeat([0.0, 5.0, 0.0], 3)[:, None]
    model = CompressionClustering(0.1, n_clusters=n_clusters, connectivity=chain(9))
    model.fit(x)
    assert model.n_clusters_ == n_clusters
    assert_connected(chain(9), model.labels_)
    with pytest.raises(ValueError, match="n_clusters=4 must be at most"):
        model.set_params(n_clusters=4).fit(x)


@pytest.mark.parametrize("epsilon", [5.0, 20.0, "auto"])
def test_two_equal_squares_of_an_image_are_two_groups(epsilon):
    image = np.zeros((12, 12), dtype=np.uint8)
    image[1:5, 1:5] = image[7:11, 7:11] = 200
    graph = grid_to_graph(12, 12)
    model = CompressionClustering(epsilon, connectivity=graph).fit(image.reshape(-1, 1))
    labels = model.labels_.reshape(12, 12)
    first, second = np.unique(labels[1:5, 1:5]), np.unique(labels[7:11, 7:11])
    assert len(first) == len(second) == 1
    assert first[0] != second[0]
    assert model.n_clusters_ == 3  # and the background
    assert np.all(labels[image == 0] == labels[0, 0])
    assert sorted(model.cluster_sizes_) == [16, 16, 112]


@pytest.mark.parametrize("values", [(0, 1), (20, 200), (0.1, 0.3)])
@pytest.mark.parametrize("weight", [None, 0.01, 1e3])
def test_pieces_of_an_image_without_noise_are_its_groups(weight, values, monkeypatch):
    """Values that are observed many times without noise are no copies in a table."""
    checkered = np.add.outer(np.arange(20) // 4, np.arange(20) // 4)
    image = np.asarray(values)[checkered % 2]
    pieces = 5 * (np.arange(20) // 4)[:, None] + np.arange(20) // 4
    rng = np.random.default_rng(0)
    order = rng.permutation(400)
    graph = grid_to_graph(20, 20).tocsr()[order][:, order]
    weights = None if weight is None else np.full(400, weight)
    model = CompressionClustering(connectivity=graph)
    limit(monkeypatch, MAX_MERGED=5)
    model.fit(image.reshape(-1, 1)[order], sample_weight=weights)
    assert_array_equal(names_aside(model.labels_), names_aside(pieces.ravel()[order]))
    series = np.repeat([0.0, 3.0, 0.0], 8)[:, None]
    assert model.set_params(connectivity=chain(24)).fit(series).n_clusters_ == 3


def test_values_with_noise_of_a_step_are_no_groups():
    rng = np.random.default_rng(0)
    model = CompressionClustering(connectivity=grid_to_graph(12, 12))
    assert model.fit(rng.integers(4, size=(144, 1))).n_clusters_ == 1
    assert model.fit(rng.integers(2, size=(144, 1))).n_clusters_ == 1


def test_equal_neighbours_merge_first_and_cost_what_they_do():
    x = np.array([0.0, 1.0, 0.0, 0.0, 1.0])[:, None]
    model = CompressionClustering(0.1, connectivity=chain(5), refine=False).fit(x)
    assert model.children_[0].tolist() == [2, 3]
    assert_array_equal(names_aside(model.labels_at(4)), [0, 1, 2, 2, 3])
    whole = CompressionClustering(0.1, n_clusters=1).fit(x).coding_length_
    alone = CompressionClustering(0.1, refine=False, connectivity=chain(5)).fit(x)
    singles = alone.coding_length_ - alone.merge_costs_[: 5 - alone.n_clusters_].sum()
    assert singles + model.merge_costs_.sum() == pytest.approx(whole)


def test_groups_of_many_rows_are_connected_in_the_graph(monkeypatch):
    rng = np.random.default_rng(0)
    X, graph = random_rows(False, rng), random_graph(40, rng)
    model = CompressionClustering(0.1, connectivity=graph)
    expected = model.fit(X).children_
    limit(monkeypatch, MAX_EXACT=10, N_CELLS=5)
    assert_array_equal(model.fit(X).children_, expected)


def test_the_path_has_the_groups_of_a_fit():
    X = np.repeat([0.0, 9.0, 2.0, 30.0], 10) + np.linspace(0.0, 0.5, 40)
    X = X[:, None]
    path = CompressionClustering(connectivity=chain(40)).epsilon_path(X, [0.3, 3.0])
    for epsilon, n_clusters in zip(path["epsilon"], path["n_clusters"], strict=True):
        model = CompressionClustering(epsilon, connectivity=chain(40)).fit(X)
        assert model.n_clusters_ == n_clusters > 1


# -- order and weights ----------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, *slowly(1, 2, 3)])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("form", ["sparse", "dense", "callable"])
def test_rows_and_graph_in_another_order_change_nothing_but_names(form, ties, seed):
    rng = np.random.default_rng(seed)
    X = random_rows(ties, rng)
    graph = random_graph(len(X), rng).toarray()
    weights = rng.uniform(1.0, 1.1, len(X))  # no two rows are exchangeable
    order = rng.permutation(len(X))

    def fitted(X, graph, weights):
        given = {"sparse": csr_array(graph), "callable": lambda _: graph}
        model = CompressionClustering(0.5, connectivity=given.get(form, graph))
        return model.fit(X, sample_weight=weights)

    model = fitted(X, graph, weights)
    other = fitted(X[order], graph[order][:, order], weights[order])
    assert_array_equal(names_aside(other.labels_), names_aside(model.labels_[order]))
    assert_allclose(other.coding_length_, model.coding_length_)
    for k in (2, 5, 10):
        cut = names_aside(model.labels_at(k)[order])
        assert_array_equal(names_aside(other.labels_at(k)), cut)


def test_equal_rows_are_told_apart_by_their_place_in_the_graph():
    # 0 and 1 in turns: every merge is a tie but for the place in the chain
    rng = np.random.default_rng(0)
    X = np.arange(31)[:, None] % 2.0
    graph = chain(31).toarray()
    graph[0, 7] = graph[1, 6] = 1.0
    model = CompressionClustering(0.4, n_clusters=5, connectivity=graph).fit(X)
    for _ in range(5):
        order = rng.permutation(31)
        moved = graph[order][:, order]
        other = CompressionClustering(0.4, n_clusters=5, connectivity=moved)
        found = names_aside(other.fit(X[order]).labels_)
        assert_array_equal(found, names_aside(model.labels_[order]))


def test_rows_of_weight_zero_have_no_neighbours():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(30, 2)), np.ones(30)
    weights[15] = 0.0
    kept = weights > 0
    # the row in the middle of the chain is gone, so that both ends are joined
    options = {"epsilon": 0.5, "n_clusters": 4}
    model = CompressionClustering(connectivity=chain(30), **options)
    with pytest.warns(UserWarning, match="2 parts that are not connected"):
        model.fit(X, sample_weight=weights)
    graph = chain(30)[kept][:, kept]
    without = CompressionClustering(connectivity=graph, **options)
    with pytest.warns(UserWarning, match="2 parts that are not connected"):
        without.fit(X[kept])
    assert_array_equal(model.labels_[kept], without.labels_)
    assert len(model.children_) == 29


@pytest.mark.parametrize("n", [40, 400])
def test_many_parts_are_joined_with_the_nearest(n):
    rng = np.random.default_rng(0)
    centres = 50.0 * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    X = centres[np.arange(n) % 4] + rng.normal(size=(n, 2))
    graph = np.zeros((n, n))  # nobody has a neighbour
    model = CompressionClustering(2.0, n_clusters=4, connectivity=graph)
    with pytest.warns(UserWarning, match=f"{n} parts that are not connected"):
        model.fit(X)
    assert_array_equal(names_aside(model.labels_), np.arange(n) % 4)


# -- graphs that are none -------------------------------------------------------------

ODD = {
    "none": lambda n: None,
    "missing": lambda n: np.full((n, n), np.nan),
    "infinite": lambda n: np.full((n, n), np.inf),
    "negative": lambda n: -np.ones((n, n)),
    "entries that cancel": lambda n: np.eye(n, k=1) - np.eye(n, k=-1),
    "repeated entries that cancel": lambda n: coo_array(
        ([1.0, -1.0], ([0, 0], [1, 1])), shape=(n, n)
    ),
    "strings": lambda n: np.full((n, n), "near"),
    "digits": lambda n: np.full((n, n), "1"),
    "objects": lambda n: np.full((n, n), object()),
    "complex": lambda n: np.ones((n, n)) * 1j,
    "dates": lambda n: np.zeros((n, n), dtype="datetime64[s]"),
    "ragged": lambda n: [[1.0], [1.0, 2.0]],
    "number": lambda n: 3,
    "one row": np.ones,
    "another shape": lambda n: np.ones((n, n + 1)),
    "three axes": lambda n: np.ones((n, n, 2)),
    "empty": lambda n: np.ones((0, 0)),
}


def test_what_is_no_graph_is_refused_and_an_error_of_the_function_passed_on():
    X = np.arange(12.0).reshape(6, 2)
    for graph in ODD.values():
        with pytest.raises(ValueError, match="Bad connectivity: "):
            CompressionClustering(connectivity=lambda X, f=graph: f(len(X))).fit(X)
    for connectivity in (True, False, 0, -1, 2.0, "near"):
        with pytest.raises(ValueError, match="connectivity"):
            CompressionClustering(connectivity=connectivity).fit(np.eye(4))
    with pytest.raises(KeyError, match="4"):
        CompressionClustering(connectivity=lambda X: {}[len(X)]).fit(np.eye(4))


def test_any_numbers_make_a_graph_and_a_function_may_change_its_rows():
    X = np.repeat([0.0, 5.0, 0.0], 3)[:, None] + 1e-3 * np.arange(9)[:, None]
    for dtype in (bool, np.uint8, np.float32, object):
        given = chain(9).toarray().astype(dtype)
        before = given.copy()
        model = CompressionClustering(0.1, connectivity=given).fit(X)
        assert_array_equal(names_aside(model.labels_), np.repeat([0, 1, 2], 3))
        assert_array_equal(given, before)

    def graph(X):
        X[:] = 0.0
        return chain(len(X))

    assert CompressionClustering(0.1, connectivity=graph).fit(X).n_clusters_ == 3
    assert X[3] == 5.003
