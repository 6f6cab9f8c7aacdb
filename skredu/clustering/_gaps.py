"""Samples with missing features: where they are similar, and in which group they are.

Missing features are first replaced by those of similar samples, so that the search can
find a distortion and groups. Then the groups are those of expected scatters (see
`skredu.coding._missing`), samples are assigned to them by the features that they have,
and missing features are replaced by their conditional means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.impute import KNNImputer

from skredu.clustering._costs import Cluster
from skredu.clustering._partition import Partition
from skredu.clustering._rows import Data, Samples
from skredu.clustering._search import Found, Request
from skredu.coding._missing import completed, expected_scatters, patterns
from skredu.coding._rows import Rows


def filled(X: Any, weights: Any) -> Any:
    """Return samples whose missing features are means of those of similar samples."""
    power = -math.frexp(float(np.nanmax(np.abs(X), initial=0.0)))[1]
    Z = np.ldexp(X, power)  # in this unit, distances are in range
    present = slice(None) if weights is None else weights > 0.0
    others = Z[present]
    others = others[np.lexsort(others.T[::-1])]  # the original order does not matter
    same = (others[1:] == others[:-1]) | (np.isnan(others[1:]) & np.isnan(others[:-1]))
    others = others[np.append(True, ~same.all(axis=1))]  # nor does a number of copies
    imputer = KNNImputer(keep_empty_features=True).fit(others)
    return np.where(np.isnan(X), np.ldexp(imputer.transform(Z), -power), X)


def regrouped(data: Data, found: Found, epsilon: float, request: Request) -> Any:
    """Return completed samples, and a partition into groups of expected scatters.

    Samples of groups that count move to the one in which they cost the fewest bits, if
    samples may move and all groups are kept.
    """
    start, partition, counting = found
    rows = data.scaled(epsilon, partition.rows.assume_centered, span=False)
    Z = np.where(data.missing, np.nan, rows.X)
    partition = _expected(Partition(rows, partition.labels), Z)
    if request.moves and counting.any():
        best, large = np.empty(len(Z), dtype=np.intp), np.flatnonzero(counting)
        clusters = [partition.groups[j] for j in large]
        for at, some, groups in blocks_with_gaps(Z, rows, clusters):
            costs = [group.change(some.X, some.weights, 1.0) for group in groups]
            best[at] = np.argmin(costs, axis=0)
        labels = np.where(counting[partition.labels], large[best], partition.labels)
        moved = Partition(rows, labels)
        same = len(moved.groups) == len(partition.groups)
        if same and np.array_equal(request.counting(moved), counting):
            partition = _expected(moved, Z)
    for group in partition.groups:
        Z[group.members] = completed_in(group, Z[group.members])
    unit = epsilon / rows.n_features**0.5
    X = np.where(data.missing, (Z + rows.origin) * unit, data.X)
    return replace(data, X=X), (start, partition, counting)


def blocks_with_gaps(
    Z: Any, like: Samples, clusters: list[Cluster]
) -> Iterator[tuple[Any, Samples, list[Cluster]]]:
    """Yield positions of samples with equal gaps, their observed features, and groups.

    Groups are restricted to these features.
    ``Z`` are samples in the unit, and about the origin, of ``like``.
    """
    for at, seen in patterns(np.isnan(Z)):
        origin, n_features = like.origin[seen], max(len(seen), 1)
        X, options = Z[np.ix_(at, seen)], (origin, n_features, like.assume_centered)
        rows = Samples(X, np.ones(len(at)), *options)
        yield at, rows, [_restricted(cluster, rows, seen) for cluster in clusters]


def completed_in(cluster: Cluster, Z: Any) -> Any:
    """Return samples of a group with conditional means in place of missing features.

    The covariance is that of the group and the distortion, which is one in this unit.
    """
    if not np.isnan(Z).any():
        return Z
    root = cluster.basis * np.sqrt(cluster.eigenvalues / cluster.count)
    return completed(Z, cluster.mean, root @ root.T + np.eye(len(root)))


def _expected(partition: Partition, Z: Any) -> Partition:
    """Code the groups of a partition by expected scatters; return it."""
    rows, gaps = partition.rows, np.isnan(Z).any(axis=1)
    sorted_rows = Rows.of(Z, partition.labels, rows.weights)
    scatters = expected_scatters(sorted_rows, rows.assume_centered)
    for j, (group, scatter) in enumerate(zip(partition.groups, scatters, strict=True)):
        if gaps[group.members].any():
            values, basis = np.linalg.eigh(scatter.dense())
            code = scatter.count, scatter.mean, np.maximum(values, 0.0), basis
            partition.groups[j] = Cluster.coded(rows, group.members, *code)
    partition.bits = math.fsum(group.bits for group in partition.groups)
    return partition


def _restricted(cluster: Cluster, rows: Samples, seen: Any) -> Cluster:
    """Return a group with some of its features."""
    root = np.sqrt(cluster.eigenvalues)[:, None] * cluster.basis[seen].T
    _, sigma, Vt = np.linalg.svd(root, full_matrices=False)
    code = cluster.count, cluster.mean[seen], sigma * sigma, Vt.T
    return Cluster.coded(rows, None, *code)
