"""Samples of the clustering: validation, distinct samples, neighbours and units."""

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
from skredu._checks import check_numbers, check_range, distortion, naming
from skredu._compat import fix_connected_components
from skredu.coding._rows import first_of_equal, unit_of

# For squared norms beyond this (in units of epsilon / sqrt(d)), differences of squares
# and Cholesky factors are too imprecise, and directions are projected explicitly.
ILL_CONDITIONED = 1e8
# Up to this dimension, scatters are matrices, from which samples can be subtracted.
MAX_DENSE = 32
# Largest number of components of which all pairs are joined.
MAX_PARTS = 16
# Share of the links below which changes of an image are not noise.
MOST_CHANGES = 0.25
# Number of rounds in which equal samples are distinguished by their place in the graph.
MAX_KINDS = 200

# Beyond this entry, differences and distances overflow.
LARGEST_ENTRY = 1e300
# Weights and their sums are below this power of two, and the ratio of the largest
# weight to a weight is below the other power.
LARGEST_WEIGHT = 60
MAX_RANGE = 500
# Largest ratio of an entry to the distortion for a weight of one.
LARGEST_RATIO = 1e152
# Smallest distortion; samples that are closer than this are equal.
SMALLEST = 1e-300


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """The samples to cluster, in which equal samples are merged.

    Parameters
    ----------
    X : array of shape (m, d)
        The distinct samples, sorted.
    weights : array of shape (m,)
        Their total weights.
    first : array of shape (m,)
        The first original sample of each, which has a positive weight.
    sample_weights : array of shape (n,)
        Weight of each original sample.
    codes : array of shape (n,)
        Index of the distinct sample of each sample; of the nearest one if its weight is
        zero.
    joining : array of shape (n - m,), default=()
        The samples that are not the first of equal ones, in the order in which they
        join.
    adjacency : sparse array of shape (m, m), default=None
        Which of the distinct samples are neighbours.
    unit : float, default=1.0
        The original weight that a weight of one represents.
    scale : float, default=1.0
        The number of bits that one bit represents: ``unit`` if weights were too large.
    counts : array of shape (m,), default=None
        Number of samples of each distinct one if they are observed without noise, so
        that equal ones are evidence; see `_evidence`.
    missing : array of shape (m, d), default=None
        Which features of ``X`` are missing, and were replaced.
    """

    X: Any
    weights: Any
    first: Any
    sample_weights: Any
    codes: Any
    joining: Any = ()
    adjacency: Any = None
    unit: float = 1.0
    scale: float = 1.0
    counts: Any = None
    missing: Any = None

    def evened(self) -> Data:
        """Return the same data with median weight one, since copies are no evidence."""
        counts = 1.0 if self.counts is None else self.counts
        usual = float(np.median(self.weights / counts))
        return replace(
            self,
            weights=self.weights / usual,
            sample_weights=self.sample_weights / usual,
            unit=self.unit * usual,
            scale=1.0,
        )

    @cached_property
    def spanned(self) -> Any:
        """Coordinates of fewer samples than features, in their span."""
        return self.X @ np.linalg.qr(self.X.T)[0]

    def scaled(
        self,
        epsilon: float,
        assume_centered: bool,
        *,
        span: bool = True,
        origin: Any = None,
    ) -> Samples:
        """Return samples in units of epsilon / sqrt(d), in their span if smaller.

        ``origin`` is their centre; None to find one.
        """
        m, d = self.X.shape
        X = (self.spanned if span and m < d else self.X) * (d**0.5 / epsilon)
        if origin is None and assume_centered:
            origin = np.zeros(X.shape[1])
        elif origin is None:
            # values of samples and not the mean: beside that of one distant sample,
            # the differences between all others could be lost in rounding
            origin = np.quantile(X, 0.5, axis=0, method="lower")
        return Samples(X - origin, self.weights, origin, d, assume_centered)


class Samples:
    """Distinct samples in the unit of a distortion.

    Parameters
    ----------
    X : array of shape (n, r)
        Samples in units of epsilon / sqrt(d), about any centre unless
        ``assume_centered``.
    weights : array of shape (n,)
        Weights, which are positive.
    origin : array of shape (r,)
        Position of the centre: samples plus ``origin`` are relative to the true origin.
    n_features : int
        The dimension ``d`` of the lengths.
    assume_centered : bool
        Whether to code groups about the origin.

    Attributes
    ----------
    squares : array of shape (n,)
        Squared norms of ``X``.
    mean_squares : array of shape (n,)
        Squared norms about the true origin, in units of epsilon; zero with
        ``assume_centered``, because there is no mean to code.
    alone : array of shape (n,)
        Bits of each sample as a group of its own.
    ill_conditioned : bool
        Whether products of samples would be too imprecise.
    as_matrices : bool
        Whether scatters as matrices are precise enough, and faster.
    """

    def __init__(
        self, X: Any, weights: Any, origin: Any, n_features: int, assume_centered: bool
    ) -> None:
        self.X, self.weights, self.origin = X, weights, origin
        self.n_features, self.assume_centered = n_features, assume_centered
        self.squares = np.einsum("ij,ij->i", X, X)
        if assume_centered:
            volumes, self.mean_squares = np.log2(1.0 + self.squares), 0.0 * self.squares
        else:
            away = X + origin
            volumes = np.zeros(len(X))
            self.mean_squares = np.einsum("ij,ij->i", away, away) / n_features
        self.alone = group_bits(volumes, weights, self.mean_squares, n_features)
        largest = float(np.max(self.squares, initial=0.0))
        self.ill_conditioned = largest > ILL_CONDITIONED
        self.as_matrices = X.shape[1] <= MAX_DENSE and not self.ill_conditioned

    def take(self, index: Any) -> Samples:
        """Return some of the samples."""
        unit = self.origin, self.n_features, self.assume_centered
        return Samples(self.X[index], self.weights[index], *unit)


def group_bits(volumes: Any, counts: Any, mean_squares: Any, d: int) -> Any:
    """Return the bits of groups from what they depend on.

    Of the bits of labels, this is the part ``-counts * log2(counts)`` that depends on
    the groups.

    Parameters
    ----------
    volumes : float or array
        Log-determinants of ``I`` and the covariance, in bits.
    counts : float or array
        Weights.
    mean_squares : float or array
        Squared norms of the means over ``d``; zero around the origin.
    d : int
        The dimension of the lengths.
    """
    bits = (0.5 * (counts + d)) * volumes
    bits += (0.5 * d) * np.log2(1.0 + mean_squares)
    bits -= counts * np.log2(counts)
    return bits


def prepare(X: Any, weights: Any, connectivity: Any = None) -> Data:
    """Validate the input, and merge equal samples.

    With a graph, equal samples are merged only if they are neighbours. Samples of
    weight zero are assigned to the nearest sample with positive weight, and have no
    neighbours.
    """
    X = np.asarray(X, dtype=np.float64) + 0.0  # no negative zeros
    largest = float(np.max(np.abs(X)))
    if largest > LARGEST_ENTRY:
        raise ValueError(
            f"X contains an entry of {largest:.3g}, but at most {LARGEST_ENTRY:.3g} is "
            "allowed, so that distances are in range."
        )
    power = -math.frexp(largest)[1]  # in this unit, distances are in range
    sample_weights, unit = np.ones(len(X)), 1.0
    if weights is not None:
        weights = np.asarray(weights, np.float64)
        sample_weights, unit = _weights_in_range(weights, X.shape[1])
    positive = sample_weights > 0
    present, absent = np.flatnonzero(positive), np.flatnonzero(~positive)
    # sorted, so that the original order does not matter, not even for ties
    first, codes = _distinct(X, present)
    joining, adjacency, counts = None, None, None
    chosen = isinstance(connectivity, int | np.integer)
    if chosen:
        places = np.ldexp(X[present[first]], power)
        adjacency = _nearest(places, int(connectivity))
    elif connectivity is not None:
        graph = _graph(X, connectivity)[present][:, present]
        first, codes, order = _parts(codes, graph, sample_weights[present])
        joining, adjacency = present[order], _merged(graph, codes, len(first))
        counts = _evidence(codes, graph)
    first = present[first]
    code_of = np.empty(len(X), dtype=np.intp)
    code_of[present] = codes
    if len(absent):
        places, others = np.ldexp(X[first], power), np.ldexp(X[absent], power)
        code_of[absent] = KDTree(places).query(others)[1]
    if joining is None:
        joining = np.setdiff1d(present, first)
    if adjacency is not None:
        adjacency = _connected(np.ldexp(X[first], power), adjacency, quiet=chosen)
    return Data(
        X[first],
        np.bincount(codes, sample_weights[present]),
        first,
        sample_weights,
        code_of,
        np.concatenate([joining, absent]),
        adjacency,
        unit,
        max(unit, 1.0),
        counts,
    )


def _distinct(X: Any, index: Any) -> tuple[Any, Any]:
    """Return the first row of each kind among ``X[index]``, sorted, and kinds."""
    equal = first_of_equal(X, np.zeros(len(X), dtype=np.intp), index)
    if equal is None:
        equal = np.arange(len(index))
    first, kinds = np.unique(equal, return_inverse=True)
    order = np.lexsort(X[index[first]].T[::-1])
    return first[order], np.argsort(order)[kinds]


def _weights_in_range(weights: Any, n_features: int) -> tuple[Any, float]:
    """Return weights in a unit, a power of two, in which all numbers are in range.

    The unit is one if the largest weight is in range, which is almost always the case.
    Otherwise, the bits of bases, or those of samples, are below the rounding errors of
    the others: bits are proportional to large weights, and do not depend on small ones.
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


def _graph(X: Any, connectivity: Any) -> Any:
    """Return the graph of neighbours, symmetric and without loops."""
    graph = connectivity(X.copy()) if callable(connectivity) else connectivity
    with naming("connectivity"):
        check_numbers(graph, "connectivity")
        graph = check_array(graph, accept_sparse=True, ensure_min_samples=0)
        if graph.shape != (len(X), len(X)):
            raise ValueError(
                f"must have the shape {(len(X), len(X))} for the samples of X, found "
                f"{graph.shape}."
            )
        graph = coo_array(graph)
        if np.any(graph.data < 0):
            raise ValueError(
                f"entries must not be negative, found {graph.data.min()}; a positive "
                "entry connects two samples."
            )
    i, j = (
        ends[(graph.data > 0) & np.not_equal(*graph.coords)] for ends in graph.coords
    )
    return _links(np.concatenate([i, j]), np.concatenate([j, i]), len(X))


def _links(i: Any, j: Any, n: int) -> Any:
    """Return a sparse graph with an entry of one for each link, without duplicates."""
    graph = csr_array((np.ones(len(i)), (i, j)), shape=(n, n))
    graph.sum_duplicates()
    graph.data[:] = 1.0
    return graph


def _nearest(distinct: Any, n_neighbors: int) -> Any:
    """Return the links of distinct samples to their nearest neighbours."""
    n_neighbors = min(n_neighbors, len(distinct) - 1)
    if n_neighbors == 0:
        return csr_array((1, 1))
    i, j = coo_array(kneighbors_graph(distinct, n_neighbors)).coords
    return _links(np.concatenate([i, j]), np.concatenate([j, i]), len(distinct))


def _parts(codes: Any, graph: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Merge equal samples that are connected by links of equal samples.

    Returns the first sample of each of these parts, in an order that does not depend on
    that of the samples; the part of each sample; and the other samples in an order such
    that each of them is a neighbour of a previous one or of a first one.
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
    # one search from a root above all first samples
    rooted = _links(
        np.concatenate([i, np.full(k, n)]), np.concatenate([j, first]), n + 1
    )
    found = breadth_first_order(rooted, n, return_predecessors=False)
    return first[order], rank[parts], found[k + 1 :]


def _evidence(parts: Any, graph: Any) -> Any:
    """Count the samples of parts if they are observed without noise, otherwise None.

    Copies in a table are no evidence. But if every sample equals a neighbour, and most
    links join equal samples, then their values have no errors, not even of rounding.
    """
    i, j = coo_array(graph).coords
    counts = np.bincount(parts)
    changes = np.count_nonzero(parts[i] != parts[j])
    return counts if np.min(counts) > 1 and changes < MOST_CHANGES * len(i) else None


def _merged(graph: Any, names: Any, m: int) -> Any:
    """Return the links of groups of samples, from any sample to any other group."""
    i, j = (names[ends] for ends in coo_array(graph).coords)
    return _links(i[i != j], j[i != j], m)


def _order(codes: Any, weights: Any, adjacency: Any) -> Any:
    """Order nodes by their codes, then their weights, then those of neighbours.

    Nodes are distinguished by sums of random numbers over their neighbours, with one
    number for each kind of node. This leads to more kinds, and is repeated (colour
    refinement of Weisfeiler and Leman). The remaining ties are between nodes that are
    exchangeable, or nearly always so.
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
    """Order nodes by several keys, and return the ranks of equal nodes."""
    order = np.lexsort(keys[::-1])
    new = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    kinds = np.zeros(len(order), dtype=np.intp)
    kinds[order[1:]] = np.cumsum(new)
    return order, kinds


def _connected(X: Any, adjacency: Any, *, quiet: bool) -> Any:
    """Return a graph whose components are joined at their nearest samples.

    If there are many components, small ones are joined with the nearest other component
    until few are left; then all pairs are joined.
    """
    n_parts, parts = connected_components(adjacency, directed=False)
    if n_parts == 1:
        return adjacency
    if not quiet:
        warn(
            f"connectivity has {n_parts} parts that are not connected; they are joined "
            "at their nearest samples, so that the tree of merges is complete."
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
    """Link each component of at most twice the mean size to the nearest sample."""
    sizes = np.bincount(parts)
    members = np.split(np.argsort(parts, kind="stable"), np.cumsum(sizes)[:-1])
    tree, links = KDTree(X), []
    for part, rows in enumerate(members):
        if sizes[part] <= 2.0 * np.mean(sizes):
            # with one more neighbour than samples, one is outside
            lengths, found = tree.query(X[rows], sizes[part] + 1)
            lengths[parts[found] == part] = np.inf
            row, nearest = np.unravel_index(np.argmin(lengths), lengths.shape)
            links.append((rows[row], found[row, nearest]))
    i, j = np.array(links).T
    return _links(np.concatenate([i, j]), np.concatenate([j, i]), len(X))


def checked_epsilon(epsilon: Any, data: Data) -> float:
    """Return a given distortion as a float; raise an error if it is too small."""
    value = distortion(epsilon)
    if value < SMALLEST:
        raise ValueError(
            f"epsilon={value} is too small: it must be at least {SMALLEST}."
        )
    unit_of(data.X, value)  # raises an error if it is too small
    size, weights = float(np.max(np.abs(data.X))), data.weights
    most = LARGEST_RATIO * float(min(np.min(weights), 1.0) / np.sum(weights)) ** 0.5
    if size > most * value:
        raise ValueError(
            f"epsilon={value} is too small for samples with entries of {size:.3g} and "
            f"these weights: it must exceed {size / most:.3g}."
        )
    return value
