"""Rows, weights and neighbours at the door of the clustering."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array, issparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from sklearn.neighbors import kneighbors_graph

from skredu._compat import FIT_FRAMES, fix_connected_components
from skredu.clustering._solve import Data


def prepare(X: Any, weights: Any, connectivity: Any = None) -> Data:
    """Distinct rows with their weights, and which of them are neighbours.

    Rows without a weight count as the nearest row with one.
    """
    X = np.asarray(X, dtype=np.float64) + 0.0  # no negative zeros
    n = len(X)
    leaves = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    present = np.flatnonzero(leaves > 0)
    # sorted: the order in which rows come must not matter, not even to ties
    distinct, codes = np.unique(X[present], axis=0, return_inverse=True)
    codes = codes.reshape(-1)
    names = np.zeros(n, dtype=np.intp)
    names[present] = codes
    absent = np.flatnonzero(leaves == 0)
    if len(absent):
        names[absent] = KDTree(distinct).query(X[absent])[1]
    data = Data(distinct, np.bincount(codes, leaves[present]), leaves, names)
    if connectivity is None:
        return data
    adjacency = _adjacency(X, distinct, connectivity)
    if adjacency.shape[0] != len(distinct):
        adjacency = _of_distinct(adjacency, names, len(distinct))
    chosen = isinstance(connectivity, int | np.integer)
    adjacency = _connected(distinct, adjacency, quiet=chosen)
    return Data(distinct, data.weights, leaves, names, adjacency)


def _adjacency(X: Any, distinct: Any, connectivity: Any) -> Any:
    """Neighbours of the rows, or of the distinct ones where they are counted."""
    if isinstance(connectivity, int | np.integer):
        n_neighbors = min(int(connectivity), len(distinct) - 1)
        if n_neighbors == 0:
            return csr_array((1, 1))
        return csr_array(kneighbors_graph(distinct, n_neighbors))
    graph = connectivity(X) if callable(connectivity) else connectivity
    graph = csr_array(graph) if issparse(graph) else csr_array(np.asarray(graph))
    if graph.shape != (len(X), len(X)):
        raise ValueError(
            f"Bad connectivity: must be of shape {(len(X), len(X))} for the rows of X, "
            f"found {graph.shape}."
        )
    return graph


def _of_distinct(adjacency: Any, names: Any, m: int) -> Any:
    """Neighbours of distinct rows: whoever is a neighbour of one of the equal ones."""
    graph = coo_array(adjacency)
    ends = names[graph.coords[0]], names[graph.coords[1]]
    return csr_array((np.ones(len(ends[0])), ends), shape=(m, m))


def _connected(X: Any, adjacency: Any, *, quiet: bool) -> Any:
    """Symmetric graph without loops; parts are joined where their rows are nearest."""
    graph = (adjacency + adjacency.T).tolil()
    graph.setdiag(0)
    n_parts, parts = connected_components(graph, directed=False)
    if n_parts > 1 and not quiet:
        warnings.warn(
            f"connectivity has {n_parts} parts that are not connected; they are joined "
            "where their rows are nearest, so that the tree of merges is complete.",
            stacklevel=4 + FIT_FRAMES,
        )
    if n_parts > 1:
        graph = fix_connected_components(
            X=X,
            graph=graph,
            n_connected_components=n_parts,
            component_labels=parts,
            metric="euclidean",
            mode="connectivity",
        )
    graph = csr_array(graph)
    graph.eliminate_zeros()
    return graph
