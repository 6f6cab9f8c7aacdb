"""Samples for the clustering: checked, equal ones once, with neighbours and units."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import KDTree
from sklearn.neighbors import kneighbors_graph
from sklearn.utils import check_array

from skredu._base import warn
from skredu._checks import check_numbers, check_range, naming
from skredu._compat import fix_connected_components

# Squared norms beyond this (in units of epsilon / sqrt(d)) leave differences of
# squares, and Cholesky factors, too few digits: directions are projected explicitly.
ILL_CONDITIONED = 1e8
# Up to so many parts that are not connected, all pairs of them are joined.
MAX_PARTS = 16
# Rounds in which equal rows of a graph are told apart by where they are in it.
MAX_KINDS = 200

# Beyond, differences and distances overflow.
LARGEST_ENTRY = 1e300
# Weights and their sums are within powers of two up to this one, and a weight is no
# lighter than the heaviest by more than the other power.
LARGEST_WEIGHT = 60
MAX_RANGE = 500


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """Rows to be clustered, equal ones once.

    Parameters
    ----------
    X : array of shape (m, d)
        The distinct rows, sorted.
    weights : array of shape (m,)
        Their weights together.
    leaves : array of shape (n,)
        Weight of each row that came.
    names : array of shape (n,)
        Which of the distinct rows each row is; nearest, where it has no weight.
    adjacency : sparse array of shape (m, m) or None
        Which of the distinct rows are neighbours.
    joining : array of shape (n - m,), default=()
        The rows that are not the first of equal ones, in the order in which they join.
    unit : float, default=1.0
        What a weight of one stands for, in the weights that were given.
    scale : float, default=1.0
        What a bit stands for: the same, where weights were too large.
    """

    X: Any
    weights: Any
    leaves: Any
    names: Any
    adjacency: Any = None
    joining: Any = ()
    unit: float = 1.0
    scale: float = 1.0

    @property
    def heads(self) -> Any:
        """First row of positive weight of each of the distinct ones."""
        heads = np.full(len(self.X), -1)
        present = np.flatnonzero(self.leaves > 0)[::-1]
        heads[self.names[present]] = present
        return heads

    def evened(self) -> Data:
        """Return the same with a median weight of one: copies are no evidence."""
        usual = float(np.median(self.weights))
        return replace(
            self,
            weights=self.weights / usual,
            leaves=self.leaves / usual,
            unit=self.unit * usual,
            scale=1.0,
        )

    @cached_property
    def spanned(self) -> Any:
        """Coordinates of fewer rows than features, in the span of their own."""
        return self.X @ np.linalg.qr(self.X.T)[0]

    def scaled(
        self, epsilon: float, assume_centered: bool, *, span: bool = True
    ) -> Rows:
        """Rows in units of epsilon / sqrt(d), in the span of their own if smaller."""
        m, d = self.X.shape
        X = (self.spanned if span and m < d else self.X) * (d**0.5 / epsilon)
        origin = np.zeros(X.shape[1])
        if not assume_centered:
            origin = self.weights @ X / np.sum(self.weights)
        return Rows(X - origin, self.weights, origin, d, assume_centered)


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """Distinct samples in the unit of a distortion.

    Parameters
    ----------
    X : array of shape (n, r)
        In units of epsilon / sqrt(d), about any centre unless ``assume_centered``.
    weights : array of shape (n,)
        Greater than zero.
    origin : array of shape (r,)
        Where the centre lies: rows and ``origin`` together are about the true origin.
    n_features : int
        The dimension ``d`` of the lengths.
    assume_centered : bool
        Code groups about the origin.
    """

    X: Any
    weights: Any
    origin: Any
    n_features: int
    assume_centered: bool

    def take(self, index: Any) -> Rows:
        """Return some of the rows."""
        return Rows(
            self.X[index],
            self.weights[index],
            self.origin,
            self.n_features,
            self.assume_centered,
        )

    def __len__(self) -> int:
        return len(self.X)

    @cached_property
    def squares(self) -> Any:
        """Squared norms of the rows."""
        return np.einsum("ij,ij->i", self.X, self.X)

    @cached_property
    def mean_squares(self) -> Any:
        """Squared norms about the true origin, in units of epsilon."""
        X = self.X + self.origin
        return np.einsum("ij,ij->i", X, X) / self.n_features

    @cached_property
    def ill_conditioned(self) -> bool:
        """Whether products of samples would lose too many digits."""
        return float(np.max(self.squares, initial=0.0)) > ILL_CONDITIONED

    @cached_property
    def alone(self) -> Any:
        """Bits of each row as a group of its own."""
        volumes: Any = 0.0
        if self.assume_centered:
            volumes = np.log2(1.0 + self.squares)
        return self.bits(volumes, self.weights, self.mean_squares)

    def bits(self, volumes: Any, counts: Any, mean_squares: Any) -> Any:
        """Bits of groups from their log-volumes, weights and squared means."""
        bits = 0.5 * (counts + self.n_features) * volumes - counts * np.log2(counts)
        if self.assume_centered:
            return bits
        return bits + 0.5 * self.n_features * np.log2(1.0 + mean_squares)


def prepare(X: Any, weights: Any, connectivity: Any = None) -> Data:
    """Distinct rows with their weights, and which of them are neighbours.

    With a graph only equal rows that are neighbours are one. Rows without a weight
    count as the nearest row with one, and have no neighbours.
    """
    X = np.asarray(X, dtype=np.float64) + 0.0  # no negative zeros
    places = _places(X)
    leaves, unit = np.ones(len(X)), 1.0
    if weights is not None:
        leaves, unit = _in_reach(np.asarray(weights, np.float64), X.shape[1])
    present, absent = np.flatnonzero(leaves > 0), np.flatnonzero(leaves == 0)
    # sorted: the order in which rows come must not matter, not even to ties
    first, codes = distinct_rows(X[present])
    joining, adjacency = None, None
    if isinstance(connectivity, int | np.integer):
        adjacency = _nearest(places[present[first]], int(connectivity))
    elif connectivity is not None:
        graph = _graph(X, connectivity)[present][:, present]
        first, codes, order = _parts(codes, graph, leaves[present])
        joining, adjacency = present[order], _merged(graph, codes, len(first))
    first = present[first]
    names = np.empty(len(X), dtype=np.intp)
    names[present] = codes
    if len(absent):
        names[absent] = KDTree(places[first]).query(places[absent])[1]
    counts = np.bincount(codes, leaves[present])
    if joining is None:
        joining = np.setdiff1d(present, first)
    if adjacency is not None:
        chosen = isinstance(connectivity, int | np.integer)
        adjacency = _connected(places[first], adjacency, quiet=chosen)
    joining = np.concatenate([joining, absent])
    return Data(
        X[first], counts, leaves, names, adjacency, joining, unit, max(unit, 1.0)
    )


def _places(X: Any) -> Any:
    """Rows in a unit in which distances between them are in range."""
    largest = float(np.max(np.abs(X)))
    if largest > LARGEST_ENTRY:
        raise ValueError(
            f"X holds an entry of {largest:.3g}, but at most {LARGEST_ENTRY:.3g} is "
            "allowed, so that distances are in range."
        )
    return np.ldexp(X, -math.frexp(largest)[1])


def _in_reach(weights: Any, n_features: int) -> tuple[Any, float]:
    """Weights in a unit, a power of two, in which no number vanishes or overflows.

    Where the largest is in reach, and nearly always is, the unit is one. Beyond, the
    bits of bases, or those of rows, are below the rounding of the others: bits are
    proportional to large weights, and do not depend on small ones.
    """
    largest = float(np.max(weights))
    most = np.finfo(np.float64).max / (2000.0 * n_features * len(weights))
    check_range(weights, 0.0, most, where=" for bits that are finite")
    away = math.frexp(largest)[1]
    away -= min(max(away, -LARGEST_WEIGHT), LARGEST_WEIGHT)
    unit = math.ldexp(1.0, away)
    least = math.ldexp(largest, -away - MAX_RANGE)
    scaled = np.maximum(np.ldexp(weights, -away), least)
    return np.where(weights > 0, scaled, 0.0), unit


def distinct_rows(X: Any) -> tuple[Any, Any]:
    """First of each of the distinct rows, sorted, and which of these each row is.

    `numpy.unique` gives the same, several times slower where rows begin alike.
    """
    order = np.lexsort(X.T[::-1])
    new = np.ones(len(X), dtype=bool)
    new[1:] = np.any(X[order[1:]] != X[order[:-1]], axis=1)
    codes = np.empty(len(X), dtype=np.intp)
    codes[order] = np.cumsum(new) - 1
    return order[new], codes


def _graph(X: Any, connectivity: Any) -> Any:
    """Neighbours that are given, or made from the rows: symmetric, without loops."""
    graph = connectivity(X.copy()) if callable(connectivity) else connectivity
    with naming("connectivity"):
        check_numbers(graph, "connectivity")
        graph = check_array(graph, accept_sparse=True, ensure_min_samples=0)
        if graph.shape != (len(X), len(X)):
            raise ValueError(
                f"must be of shape {(len(X), len(X))} for the rows of X, found "
                f"{graph.shape}."
            )
        graph = coo_array(graph)
        if np.any(graph.data < 0):
            raise ValueError(
                f"entries must be 0 or more, found {graph.data.min()}; an entry above "
                "0 makes two rows neighbours."
            )
    i, j = (
        ends[(graph.data > 0) & np.not_equal(*graph.coords)] for ends in graph.coords
    )
    return _links(np.concatenate([i, j]), np.concatenate([j, i]), len(X))


def _links(i: Any, j: Any, n: int) -> Any:
    """Sparse graph with an entry of one for each link, however often it is named."""
    graph = csr_array((np.ones(len(i)), (i, j)), shape=(n, n))
    graph.sum_duplicates()
    graph.data[:] = 1.0
    return graph


def _nearest(distinct: Any, n_neighbors: int) -> Any:
    """Links of distinct rows to their nearest neighbours."""
    n_neighbors = min(n_neighbors, len(distinct) - 1)
    if n_neighbors == 0:
        return csr_array((1, 1))
    i, j = coo_array(kneighbors_graph(distinct, n_neighbors)).coords
    return _links(np.concatenate([i, j]), np.concatenate([j, i]), len(distinct))


def _parts(codes: Any, graph: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Equal rows that are connected by links of equal rows, as one.

    Returns the first row of each of these parts, in an order that does not depend on
    that of the rows; which part each row is in; and the other rows in an order such
    that each is a neighbour of one before it, or of a first one.
    """
    n = len(codes)
    links = coo_array(graph)
    i, j = (
        ends[codes[links.coords[0]] == codes[links.coords[1]]] for ends in links.coords
    )
    equal = _links(i, j, n)
    _, parts = connected_components(equal, directed=False)
    _, first = np.unique(parts, return_index=True)
    k = len(first)
    order = _order(codes[first], np.bincount(parts, weights), _merged(graph, parts, k))
    rank = np.empty(k, dtype=np.intp)
    rank[order] = np.arange(k)
    # one search from a root above all first rows
    rooted = _links(
        np.concatenate([i, np.full(k, n)]), np.concatenate([j, first]), n + 1
    )
    found = breadth_first_order(rooted, n, return_predecessors=False)
    return first[order], rank[parts], found[k + 1 :]


def _merged(graph: Any, names: Any, m: int) -> Any:
    """Links of groups of rows: those of any of their rows with rows of others."""
    i, j = (names[ends] for ends in coo_array(graph).coords)
    return _links(i[i != j], j[i != j], m)


def _order(codes: Any, weights: Any, adjacency: Any) -> Any:
    """Order of nodes by their codes, then their weights, then those of neighbours.

    Nodes are told apart by sums of random numbers over their neighbours, one number
    for each kind of node; that makes more kinds, again and again (the colours of
    Weisfeiler and Leman). What is left of ties are nodes that are exchangeable, or
    nearly always so.
    """
    k = len(codes)
    numbers = np.random.default_rng(0).integers(2**64, size=k, dtype=np.uint64)
    links = adjacency.astype(np.uint64)
    order, kinds = _kinds(codes, weights)
    for _ in range(MAX_KINDS):
        n_kinds = kinds[order[-1]]
        if n_kinds == k - 1:
            break
        order, kinds = _kinds(kinds, links @ numbers[kinds])  # wraps around
        if kinds[order[-1]] == n_kinds:
            break
    return order


def _kinds(*keys: Any) -> tuple[Any, Any]:
    """Order by some keys, the first before the others, and ranks of equal nodes."""
    order = np.lexsort(keys[::-1])
    new = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    kinds = np.zeros(len(order), dtype=np.intp)
    kinds[order[1:]] = np.cumsum(new)
    return order, kinds


def _connected(X: Any, adjacency: Any, *, quiet: bool) -> Any:
    """Graph with parts joined where their rows are nearest.

    Small ones of many parts are joined with the nearest other part, until there are
    few; then all pairs are.
    """
    n_parts, parts = connected_components(adjacency, directed=False)
    if n_parts == 1:
        return adjacency
    if not quiet:
        warn(
            f"connectivity has {n_parts} parts that are not connected; they are joined "
            "where their rows are nearest, so that the tree of merges is complete."
        )
    while n_parts > MAX_PARTS:
        adjacency = adjacency + _joins(X, parts)
        n_parts, parts = connected_components(adjacency, directed=False)
    graph = fix_connected_components(
        X=X,
        graph=adjacency.tolil(),
        n_connected_components=n_parts,
        component_labels=parts,
        metric="euclidean",
        mode="connectivity",
    )
    graph = csr_array(graph)
    graph.eliminate_zeros()
    return graph


def _joins(X: Any, parts: Any) -> Any:
    """Links of each part of at most twice the mean size to the nearest row outside."""
    sizes = np.bincount(parts)
    members = np.split(np.argsort(parts, kind="stable"), np.cumsum(sizes)[:-1])
    tree, links = KDTree(X), []
    for part, rows in enumerate(members):
        if sizes[part] <= 2.0 * np.mean(sizes):
            # one neighbour more than there are rows: one is outside
            lengths, found = tree.query(X[rows], sizes[part] + 1)
            lengths[parts[found] == part] = np.inf
            row, nearest = np.unravel_index(np.argmin(lengths), lengths.shape)
            links.append((rows[row], found[row, nearest]))
    i, j = np.array(links).T
    return _links(np.concatenate([i, j]), np.concatenate([j, i]), len(X))
