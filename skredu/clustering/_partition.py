r"""Partitions of samples, and the search for the one that takes the fewest bits.

Since labels are coded with :math:`-\log_2 (n_j / n)` bits per sample, the total of a
partition is the sum of the bits of its groups (see `_costs`) plus a constant, so a
change of two groups only affects these two.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from skredu.clustering._costs import Cluster
from skredu.clustering._merging import merges
from skredu.clustering._rows import Samples

# Number of costs of moves that are kept for the next round while groups do not change.
MAX_KEPT = 10**6
# Largest number of rounds in which samples move, and a smaller one while groups merge.
MAX_ROUNDS = 50
COARSE_ROUNDS = 5
# A change by fewer bits, or by this share of the bits, does not count.
LEAST_GAIN = 1e-6
# If all moves together cost bits, a share of them is tried, beginning with the best.
STEP_BACK = 4
# Number of cells into which samples are split before they are merged.
MAX_CELLS = 32
# Number of groups times samples beyond which groups are merged before samples move.
MAX_MOVES = 10**7
# Number of groups that are dissolved or split on trial, and limits of trials times
# groups and of trials times groups times samples.
MAX_TRIALS = 32
MAX_TRIED_GROUPS = 128
MAX_TRIED = 4 * 10**6

# Called after every round of the search; returns whether to stop.
Watch = Callable[[], bool]


class Partition:
    """Samples with a group each, and the codes of the groups.

    Parameters
    ----------
    rows : Samples
    labels : array of shape (n,)
        Any integers; they are converted to 0 to k - 1.
    before : Partition, default=None
        Another partition of the same samples, whose groups need not be coded again.

    Attributes
    ----------
    groups : list of Cluster
    counts : array of shape (k,)
        Weights of the groups.
    bits : float
        Bits of all groups.
    """

    def __init__(
        self, rows: Samples, labels: Any, before: Partition | None = None
    ) -> None:
        self.rows = rows
        _, self.labels = np.unique(labels, return_inverse=True)
        order = np.argsort(self.labels, kind="stable")
        stops = np.searchsorted(self.labels[order], np.arange(1, self.labels.max() + 1))
        groups = [] if before is None else before.groups
        known = {group.members.tobytes(): group for group in groups}
        self.groups: list[Cluster] = [
            known.get(index.tobytes()) or Cluster.of(rows, index)
            for index in np.split(order, stops)
        ]
        self.counts = np.array([group.count for group in self.groups])
        self.bits = math.fsum(group.bits for group in self.groups)

    def moves(self, *, alone: bool = True) -> tuple[Any, Any]:
        """Return the best other group of each sample, and the bits that moving saves.

        With ``alone``, the group of number k is a new one that contains only this
        sample.
        """
        X, weights = self.rows.X, self.rows.weights
        n, k = len(self.labels), len(self.groups)
        best, leave = np.full(n, k), np.empty(n)
        cost = self.rows.alone.copy() if alone else np.full(n, np.inf)
        for j, group in enumerate(self.groups):
            index, joined = group.members, group.joined
            if joined is None:
                joined = group.change(X, weights, 1.0)
            if group.left is None:
                group.left = group.change(X[index], weights[index], -1.0)
            if n * k <= MAX_KEPT:
                group.joined = joined
            better = joined < cost
            better[index] = False
            best[better], cost[better] = j, joined[better]
            leave[index] = group.left
        return best, -(cost + leave)


def settle(
    partition: Partition, n_groups: int | None = None, watch: Watch | None = None
) -> Partition:
    """Move samples and merge groups alternately until neither saves bits."""
    if len(partition.labels) * len(partition.groups) > MAX_MOVES:
        partition = merge(partition, n_groups)
    for rounds, alone in ((COARSE_ROUNDS, False), (MAX_ROUNDS, n_groups is None)):
        while True:
            before = partition
            moved = reassign(partition, n_groups, rounds=rounds, alone=alone)
            partition = merge(moved, n_groups)
            if (watch is not None and watch()) or partition is moved:
                break
            fewer = len(partition.groups) < len(before.groups)
            if not fewer and partition.bits > before.bits - LEAST_GAIN:
                break  # by rounding errors, moves and merges undo each other
    return partition


def reassign(
    partition: Partition,
    n_groups: int | None = None,
    *,
    rounds: int = MAX_ROUNDS,
    alone: bool = True,
) -> Partition:
    """Move samples to the groups in which they cost the fewest bits.

    This is repeated as long as the bits decrease. With ``alone``, a sample may also
    become a group of its own. If all moves of a round together cost bits, because
    samples that move change the groups, only the best ones are made.
    """
    for _ in range(rounds):
        best, gains = partition.moves(alone=alone)
        moving = np.flatnonzero(gains > LEAST_GAIN)
        moving = moving[np.argsort(-gains[moving], kind="stable")]
        while len(moving):
            labels = partition.labels.copy()
            labels[moving] = best[moving]
            new = moving[best[moving] == len(partition.groups)]
            labels[new] += np.arange(len(new))
            moved = Partition(partition.rows, labels, partition)
            saved = partition.bits - moved.bits
            kept = n_groups is None or len(moved.groups) >= n_groups
            if kept and saved > LEAST_GAIN:
                break
            n_best = max(1, len(moving) // STEP_BACK)
            moving = moving[:n_best] if n_best < len(moving) else moving[:0]
        if len(moving) == 0:
            break
        partition = moved
        if saved < LEAST_GAIN * abs(partition.bits):
            break
    return partition


def merge(partition: Partition, n_groups: int | None = None) -> Partition:
    """Merge groups to the fewest bits, or to a number of groups."""
    rows, groups, k = partition.rows, partition.groups, len(partition.groups)
    order = sorted(range(k), key=lambda j: len(groups[j].members) > 1)
    singles = [int(g.members[0]) for g in groups if len(g.members) == 1]
    clusters = [groups[j] for j in order[len(singles) :]]
    into = np.arange(2 * k)
    total = lowest = 0.0
    best = into[:k].copy()
    for step, (a, b, bits) in enumerate(merges(rows.take(singles), clusters)):
        if n_groups is not None and k - step <= n_groups:
            break
        into[(into == a) | (into == b)] = k + step
        total += bits
        if n_groups is not None or total < lowest - LEAST_GAIN:
            lowest, best = total, into[:k].copy()
    if len(np.unique(best)) == k:
        return partition
    return Partition(rows, best[np.argsort(order)][partition.labels], partition)


def escape(
    partition: Partition, n_groups: int | None = None, watch: Watch | None = None
) -> Partition:
    """Dissolve or split single groups, and settle, as long as this saves bits."""
    left = MAX_TRIALS
    while left > 0:
        n, k = len(partition.labels), len(partition.groups)
        left = min(left, MAX_TRIED_GROUPS // k, MAX_TRIED // (n * k))
        better = None
        for labels in islice(_changed(partition, n_groups), left):
            if watch is not None and watch():
                return partition
            left -= 1
            changed = Partition(partition.rows, labels, partition)
            settled = settle(changed, n_groups, watch)
            saved = partition.bits - settled.bits
            kept = n_groups in (None, len(settled.groups))
            if kept and saved > LEAST_GAIN * abs(partition.bits):
                better = settled
                break
        if better is None:
            break
        partition = better
    return partition


def _changed(partition: Partition, n_groups: int | None) -> Iterator[Any]:
    """Yield labels with one group dissolved, split, or both, small groups first."""
    rows, old = partition.rows, partition.labels
    order = np.argsort(partition.counts, kind="stable")
    k = len(order)

    def split(labels: Any, j: int) -> Any:
        index = np.flatnonzero(labels == j)
        changed = labels.copy()
        changed[index[cells(rows.X[index], rows.weights[index], 2) == 1]] = k
        return changed

    if k == 1:
        if n_groups is None:
            yield split(old, 0)
        return
    nearest, _ = partition.moves(alone=False)
    dissolved = [np.where(old == j, nearest, old) for j in order]
    if n_groups is None:
        yield from dissolved
        yield from (split(old, j) for j in order[::-1])
        return
    for j, labels in zip(order, dissolved, strict=True):
        yield from (split(labels, i) for i in order[::-1] if i != j)


def cells(X: Any, weights: Any, n_cells: int) -> Any:
    """Return labels of small cells, by repeatedly cutting the widest cell at its mean.

    The cut is across the first principal axis. It does not depend on the order of the
    samples, on their unit, or on a rotation.
    """
    labels = np.zeros(len(X), dtype=np.intp)
    # sorted by minus the sum of squares, then by the first sample
    queue = [(0.0, 0, np.arange(len(X)))]
    for label in range(1, n_cells):
        _, _, index = heapq.heappop(queue)
        rows, w = X[index], weights[index]
        rows = rows - w @ rows / np.sum(w)
        root = np.sqrt(w)[:, None] * rows
        if len(root) > root.shape[1]:
            axis = np.linalg.eigh(root.T @ root)[1][:, -1]
        else:
            axis = np.linalg.svd(root, full_matrices=False)[2][0]
        along = rows @ axis
        above = along > 0.0
        if np.all(above) or not np.any(above):  # one sample has all the weight
            above = along > 0.5 * (along.min() + along.max())
        if not np.any(above):
            heapq.heappush(queue, (0.0, int(index[0]), index))
            continue
        for part in (index[above], index[~above]):
            squares = 0.0
            if len(part) > 1:
                rows, w = X[part], weights[part]
                rows = rows - w @ rows / np.sum(w)
                squares = float(w @ np.einsum("ij,ij->i", rows, rows))
            heapq.heappush(queue, (-squares, int(part[0]), part))
        labels[index[above]] = label
        if queue[0][0] == 0.0:  # only single samples are left
            break
    return labels


def parts_of(
    rows: Samples, labels: Any, sizes: Any, before: Partition | None = None
) -> dict[str, Any]:
    """Return what `summary` contains: arrays with an entry per label, -1 first.

    Parameters
    ----------
    rows : Samples
    labels : array of shape (n,)
        Labels of the samples, -1 for outliers.
    sizes : array of shape (n,)
        Original weights of the samples.
    before : Partition, default=None
        Another partition of the samples, whose groups need not be coded again.
    """
    total, parts = float(np.sum(rows.weights)), []
    groups = Partition(rows, labels, before).groups
    for label, group in zip(np.unique(labels), groups, strict=True):
        X, weights = rows.X[group.members], rows.weights[group.members]
        mean, values = weights @ X / group.count, group.eigenvalues
        squares = group.basis**2 @ values / group.count
        if rows.assume_centered:  # these are about the origin
            squares = np.maximum(squares - mean**2, 0.0)
        bits = group.bits if label >= 0 else float(np.sum(rows.alone[group.members]))
        parts.append(
            {
                "label": label,
                "size": float(np.sum(sizes[group.members])),
                "dimension": float(np.sum(values / (values + group.count))),
                "bits": bits / group.count + math.log2(total),
                "means": mean,
                "variances": squares,
            }
        )
    return {name: np.array([part[name] for part in parts]) for name in parts[0]}
