"""Clustering of unusual rows with unusual weights, graphs and parameters.

A small sample in every run of the tests, the same each time. By hand, longer:
``pytest -n0 tests/test_fuzz_clustering.py --hypothesis-profile=long``.
"""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from fuzz import attempt, choices, finite, numbers, rows, some, weights
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import is_valid_linkage
from scipy.sparse.csgraph import connected_components

from skredu import CompressionClustering
from skredu.rates import partition_coding_length

GRAPHS = {
    "chain": lambda n, rng: np.eye(n, k=1),
    "star": lambda n, rng: np.eye(n)[:1] + np.zeros((n, n)),
    "random": lambda n, rng: rng.integers(0, 2, (n, n)),
    "sparse": lambda n, rng: sp.csr_array(rng.integers(0, 3, (n, n)) * 1.0),
    "matrix": lambda n, rng: sp.coo_matrix(rng.integers(0, 2, (n, n))),
    "repeated entries": lambda n, rng: sp.coo_array(
        ([1.0, 2.0, 0.0], ([0, 0, 0], [n - 1, n - 1, 0])), shape=(n, n)
    ),
    "truths": lambda n, rng: rng.integers(0, 2, (n, n)) > 0,
    "list": lambda n, rng: rng.integers(0, 2, (n, n)).tolist(),
    "empty": lambda n, rng: np.zeros((n, n)),
    "tiny": lambda n, rng: np.full((n, n), 5e-324),
    "huge": lambda n, rng: np.full((n, n), 1.7e308),
    "negative": lambda n, rng: rng.integers(-1, 2, (n, n)),
    "that cancels": lambda n, rng: np.eye(n, k=1) - np.eye(n, k=-1),
    "missing": lambda n, rng: np.full((n, n), np.nan),
    "infinite": lambda n, rng: np.full((n, n), np.inf),
    "strings": lambda n, rng: np.full((n, n), "1"),
    "objects": lambda n, rng: np.full((n, n), None),
    "integers beyond floats": lambda n, rng: np.full((n, n), 10**400, dtype=object),
    "complex": lambda n, rng: np.ones((n, n)) * 1j,
    "dates": lambda n, rng: np.full((n, n), np.datetime64("2020-01-01")),
    "narrow": lambda n, rng: np.ones((n, n + 1)),
    "flat": lambda n, rng: np.ones(n),
    "deep": lambda n, rng: np.ones((n, n, 1)),
    "None": lambda n, rng: None,
    "number": lambda n, rng: 2,
    "text": lambda n, rng: "near",
}
PARAMETERS = {
    "epsilon": st.one_of(st.just("auto"), numbers(0.01, 0.3, 1.0, 30.0)),
    "n_clusters": choices(None, 1, 2, 3),
    "assume_centered": choices(True, False),
    "min_cluster_size": choices(1, 2, 3),
    "refine": choices(True, False),
    "label_order": st.sampled_from(["position", "size", "else"]),
    "n_jobs": st.sampled_from([None, 1]),
}
NAMES = ("X", "sample_weight", "Sample weight", "connectivity", *PARAMETERS)
SAID = (
    "parts that are not connected",
    "of the samples are outliers",
    "groups with a total weight of at least",
)


class Given:
    """Function of rows that gives a graph, whatever it is."""

    def __init__(self, graph):
        self.graph = graph

    def __call__(self, X):
        return self.graph

    def __deepcopy__(self, memo):
        return self


@st.composite
def graphs(draw, n):
    """Neighbours of every kind, none most often."""
    if draw(st.booleans()):
        return draw(choices(None, 1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    graph = GRAPHS[draw(st.sampled_from(sorted(GRAPHS)))](n, rng)
    return Given(graph) if draw(st.booleans()) else graph


def fit(model, X, w):
    """Fitted model and whether it has joined parts; None where it refuses."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        for text in SAID:
            warnings.filterwarnings("always", f".*{text}")
        fitted = attempt(model.fit, X, None, w, names=NAMES)
    return fitted, any(SAID[0] in str(warning.message) for warning in caught)


def assert_describes(model, n):
    """Assert that all that a fit says is finite and agrees."""
    k, labels = model.n_clusters_, model.labels_
    assert labels.shape == (n,)
    assert set(range(k)) <= set(labels.tolist()) <= set(range(-1, k))
    assert finite(model.epsilon_)
    assert model.epsilon_ > 0
    assert finite(model.coding_length_)
    assert model.children_.shape == (n - 1, 2)
    assert finite(model.merge_costs_)
    assert model.cluster_sizes_.shape == model.cluster_dimensions_.shape == (k,)
    assert finite(model.cluster_sizes_)
    assert finite(model.cluster_dimensions_)
    assert finite(model.cluster_means_)
    assert model.cluster_means_.shape == (k, model.n_features_in_)
    assert n == 1 or is_valid_linkage(model.linkage())
    assert finite(model.summary().to_numpy())
    if k > 0:
        drawn, groups = model.sample(3, random_state=0)
        assert drawn.shape == (3, model.n_features_in_)
        assert finite(drawn)
        assert set(groups) <= set(range(k))


def assert_answers(model, X):
    """Assert that all methods for new samples agree on which they can answer."""
    labels = attempt(model.predict, X, names=NAMES)
    scores = attempt(model.score_samples, X, names=NAMES)
    projected = attempt(model.denoise, X, names=NAMES)
    table = attempt(model.summary, X, names=NAMES)
    found = [answer is None for answer in (labels, scores, projected, table)]
    assert all(found) or not any(found)
    if labels is not None:
        assert set(labels) <= set(range(-1, model.n_clusters_))
        assert finite(scores)
        assert finite(projected)
        assert finite(table.to_numpy())


def assert_connected(graph, labels, w):
    """Assert that rows of a group that have a weight are connected in the group."""
    weights = np.broadcast_to(1.0 if w is None else w, len(labels)).astype(float)
    kept = (weights > 0) & (labels >= 0)
    links = np.asarray(graph.toarray() if sp.issparse(graph) else graph) > 0
    for label in np.unique(labels[kept]):
        group = kept & (labels == label)
        assert connected_components(links[group][:, group], directed=False)[0] == 1


@given(st.data())
def test_clustering(data):
    n = data.draw(st.integers(1, 12))
    X, w = data.draw(rows(n)), data.draw(weights(n))
    parameters = data.draw(some(PARAMETERS))
    graph = data.draw(graphs(n))
    model = CompressionClustering(**parameters, connectivity=graph)
    before = model.get_params()
    fitted, joined = fit(model, X, w)
    for name, value in model.get_params().items():
        assert value is before[name]
    if fitted is None:
        assert not hasattr(model, "labels_")
        return
    assert_describes(model, n)
    assert_answers(model, X)
    graph = graph.graph if isinstance(graph, Given) else graph
    if graph is not None and np.ndim(graph) != 0 and not joined:
        assert_connected(graph, model.labels_, w)


@given(
    X=rows(d=3).filter(lambda X: isinstance(X, np.ndarray) and X.dtype == float),
    epsilon=st.sampled_from([1e-6, 0.01, 0.3, 30.0]),
    centered=st.booleans(),
)
def test_bits_are_those_of_the_labels(X, epsilon, centered):
    options = {"epsilon": epsilon, "assume_centered": centered}
    if X.ndim != 2 or X.size == 0 or not np.max(np.abs(X)) < 1e6 * epsilon:
        return
    model = CompressionClustering(min_cluster_size=1, **options).fit(X)
    bits = partition_coding_length(X, model.labels_, **options)
    assert model.coding_length_ == pytest.approx(bits, rel=1e-7, abs=1e-9)
    whole = partition_coding_length(X, np.zeros(len(X)), **options)
    assert model.coding_length_ <= whole * (1.0 + 1e-9) + 1e-9
