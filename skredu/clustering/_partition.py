r"""Partitions of samples, and the search for the one that takes the fewest bits.

Samples are in units of :math:`\epsilon/\sqrt d` (see `_merge_costs`). The bits of a
group are its coding length minus :math:`n_j \log_2 n_j`. Since labels are coded with
:math:`-\log_2 (n_j / n)` bits per sample, the total of a partition is the sum over the
groups plus a constant, so a change of two groups only affects these two.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from skredu.clustering._merging import Merge, merges
from skredu.clustering._rows import Samples
from skredu.coding._group import NOTHING_LEFT
from skredu.coding._scatter import Scatter

# Up to this dimension, scatters are matrices, from which samples can be subtracted.
MAX_DENSE = 32
# Smallest remaining share of a determinant that decreases.
LEAST = 2.0**-53
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


def go_on() -> bool:
    """Return False: do not stop."""
    return False


@dataclass(frozen=True, eq=False, repr=False)
class Cluster:
    """Weight, mean, scatter (by eigenvectors), bits and samples of a group."""

    rows: Samples
    count: float
    mean: Any
    squares: Any
    V: Any
    mean_square: float
    bits: float
    members: Any = None

    @cached_property
    def joined(self) -> Any:
        """Bits that are added if each of all samples joins."""
        return self.change(self.rows, 1.0)

    @cached_property
    def left(self) -> Any:
        """Bits that are added if each of its samples leaves; a negative number."""
        return self.change(self.rows.take(self.members), -1.0)

    @property
    def scatter(self) -> Scatter:
        """Count, mean and scatter."""
        root = np.sqrt(self.squares)[:, None] * self.V.T
        return Scatter(self.count, self.mean, root, None, self.rows.assume_centered)

    def change(self, rows: Samples, sign: float) -> Any:
        """Return the bits that are added if each sample joins (1) or leaves (-1).

        A sample joins or leaves with its whole weight.
        """
        t = sign * rows.weights
        even = bool(np.all(t == t[0]))
        if even:
            t = t[:1]
        empty = self.count + t <= NOTHING_LEFT * self.count
        t = np.where(empty, 0.0, t)
        count = self.count + t
        form, arms = self._forms(rows, count, even)
        share = t / count
        factor = share if self.rows.assume_centered else share * self.count / count
        nats = self._growth(count, share)
        nats = nats + np.log1p(np.maximum(factor * form, LEAST - 1.0))
        nats *= 0.5 * (count + self.rows.n_features)
        nats += 0.5 * t * np.sum(np.log1p(self.squares / self.count))
        nats -= t * np.log(count) + self.count * np.log1p(t / self.count)
        if not self.rows.assume_centered:
            d, away = self.rows.n_features, self.mean + self.rows.origin
            along = rows.X @ away - self.mean @ away
            rise = (2.0 * share * along + share * share * arms) / d
            rise = np.maximum(rise, -self.mean_square) / (1.0 + self.mean_square)
            nats += 0.5 * d * np.log1p(np.maximum(rise, LEAST - 1.0))
        return np.where(empty, -self.bits, nats / math.log(2.0))

    def _growth(self, count: Any, share: Any) -> Any:
        """Return the change of the log-volume in nats for another weight of the group.

        For few samples compared with a large weight, differences would be rounding
        errors, so they are computed explicitly.
        """
        squares = self.squares[:, None]
        if np.max(share) > 0.5:
            logs = np.log1p(squares / count) - np.log1p(squares / self.count)
        else:
            logs = np.log1p(-share * (squares / (self.count + squares)))
        return np.sum(logs, axis=0)

    def _forms(self, rows: Samples, count: Any, even: bool) -> tuple[Any, Any]:
        """Return forms ``v (I + S / count)^-1 v`` of centred samples, and ``v v``."""
        X = rows.X if self.rows.assume_centered else rows.X - self.mean
        arms = np.einsum("ij,ij->i", X, X)
        Y = X @ self.V
        rest: Any = 0.0
        if Y.shape[1] < X.shape[1]:
            if _dense(self.rows):
                rest = np.maximum(arms - np.einsum("ij,ij->i", Y, Y), 0.0)
            else:
                outside = X - Y @ self.V.T
                rest = np.einsum("ij,ij->i", outside, outside)
        Y *= Y
        stretch = 1.0 + self.squares / count[:, None]
        form = Y @ (1.0 / stretch[0]) if even else np.sum(Y / stretch, axis=1)
        return form + rest, arms


def cluster_of(rows: Samples, index: Any) -> Cluster:
    """Return the group of some samples."""
    X, weights = rows.X[index], rows.weights[index]
    count = float(np.sum(weights))
    mean = np.zeros(X.shape[1])
    if not rows.assume_centered:
        mean = weights @ X / count
        X = X - mean
    if _dense(rows) and len(X) > X.shape[1]:
        squares, V = np.linalg.eigh((weights[:, None] * X).T @ X)
        squares = np.maximum(squares, 0.0)
    else:
        root = np.sqrt(weights)[:, None] * X
        _, sigma, Vt = np.linalg.svd(root, full_matrices=False)
        squares, V = sigma * sigma, Vt.T
    away = mean + rows.origin
    mean_square = float(away @ away) / rows.n_features
    volume = float(np.sum(np.log2(1.0 + squares / count)))
    bits = float(rows.bits(volume, count, mean_square))
    return Cluster(rows, count, mean, squares, V, mean_square, bits, index)


def _dense(rows: Samples) -> bool:
    """Return whether scatters as matrices are precise enough, and faster."""
    return rows.X.shape[1] <= MAX_DENSE and not rows.ill_conditioned


class Partition:
    """Samples with a group each, and the codes of the groups.

    Parameters
    ----------
    rows : Samples
    labels : array of shape (n,)
        Any integers; they are converted to 0 to k - 1.
    known : dict of bytes to Cluster, default=()
        Groups that need not be coded again, by their samples.
    """

    def __init__(self, rows: Samples, labels: Any, known: Any = ()) -> None:
        self.rows = rows
        _, self.labels = np.unique(labels, return_inverse=True)
        k = int(self.labels.max()) + 1
        order = np.argsort(self.labels, kind="stable")
        stops = np.searchsorted(self.labels[order], np.arange(1, k))
        self.members = np.split(order, stops)
        known = dict(known)
        self.groups: list[Cluster] = [
            known.get(index.tobytes()) or cluster_of(rows, index)
            for index in self.members
        ]

    @property
    def bits(self) -> float:
        """Bits of all groups."""
        return math.fsum(group.bits for group in self.groups)

    def merges(self) -> tuple[Iterator[Merge], Any]:
        """Merge the groups; return merges, and labels in the order of their names."""
        single = np.array([len(index) == 1 for index in self.members])
        order = np.argsort(~single, kind="stable")
        index = [int(self.members[j][0]) for j in np.flatnonzero(single)]
        scatters = [self.groups[j].scatter for j in np.flatnonzero(~single)]
        return merges(self.rows.take(index), scatters), order

    def relabelled(self, labels: Any) -> Partition:
        """Return the same samples with other labels."""
        keys = (index.tobytes() for index in self.members)
        return Partition(self.rows, labels, zip(keys, self.groups, strict=True))

    def moves(self, *, alone: bool = True) -> tuple[Any, Any]:
        """Return the best other group of each sample, and the bits that moving saves.

        With ``alone``, the group of number k is a new one that contains only this
        sample.
        """
        rows, k = self.rows, len(self.groups)
        best, cost = np.full(len(rows), k), np.full(len(rows), np.inf)
        if alone:
            cost = rows.alone.copy()
        leave, keep = np.empty(len(rows)), len(rows) * k <= MAX_KEPT
        for j, (index, group) in enumerate(zip(self.members, self.groups, strict=True)):
            joined = group.joined if keep else group.change(rows, 1.0)
            better = joined < cost
            better[index] = False
            best[better], cost[better] = j, joined[better]
            leave[index] = group.left
        return best, -(cost + leave)


def refine(rows: Samples, labels: Any, watch: Watch = go_on) -> Partition:
    """Search for a partition with fewer bits, starting from given labels.

    Samples move and groups are merged, starting from the given labels and from small
    cells into which the samples are split along principal axes: this separates groups
    that greedy merging has joined too early. Then single groups are dissolved or split
    on trial. The bits never exceed those of the given labels.
    """
    starts = [Partition(rows, start) for start in (labels, cells(rows, MAX_CELLS))]
    found = [starts[0], *(settle(start, None, watch) for start in starts)]
    return escape(min(found, key=lambda partition: partition.bits), None, watch)


def escape(
    partition: Partition, n_groups: int | None = None, watch: Watch = go_on
) -> Partition:
    """Dissolve or split single groups, and settle, as long as this saves bits."""
    left = MAX_TRIALS
    while left > 0:
        n, k = len(partition.labels), len(partition.groups)
        left = min(left, MAX_TRIED_GROUPS // k, MAX_TRIED // (n * k))
        better = None
        for labels in islice(_changed(partition, n_groups), left):
            if watch():
                return partition
            left -= 1
            settled = settle(partition.relabelled(labels), n_groups, watch)
            kept = n_groups in (None, len(settled.groups))
            if kept and partition.bits - settled.bits > LEAST_GAIN * abs(
                partition.bits
            ):
                better = settled
                break
        if better is None:
            break
        partition = better
    return partition


def _changed(partition: Partition, n_groups: int | None) -> Iterator[Any]:
    """Yield labels with one group dissolved, split, or both, small groups first."""
    order = np.argsort([group.count for group in partition.groups], kind="stable")
    k = len(order)
    if k == 1 and n_groups is None:
        yield _split(partition, partition.labels, 0)
    if k == 1:
        return
    nearest, _ = partition.moves(alone=False)
    dissolved = [
        np.where(partition.labels == j, nearest, partition.labels) for j in order
    ]
    if n_groups is None:
        yield from dissolved
        yield from (_split(partition, partition.labels, j) for j in order[::-1])
        return
    for j, labels in zip(order, dissolved, strict=True):
        yield from (_split(partition, labels, i) for i in order[::-1] if i != j)


def _split(partition: Partition, labels: Any, j: int) -> Any:
    """Return labels with the samples of one group in two cells."""
    index = np.flatnonzero(labels == j)
    changed = labels.copy()
    changed[index[cells(partition.rows.take(index), 2) == 1]] = len(partition.groups)
    return changed


def settle(
    partition: Partition, n_groups: int | None = None, watch: Watch = go_on
) -> Partition:
    """Move samples and merge groups alternately until neither saves bits."""
    if len(partition.labels) * len(partition.groups) > MAX_MOVES:
        partition = merge(partition, n_groups)
    for rounds, alone in ((COARSE_ROUNDS, False), (MAX_ROUNDS, n_groups is None)):
        while True:
            moved = reassign(partition, n_groups, rounds=rounds, alone=alone)
            partition = merge(moved, n_groups)
            if watch() or partition is moved:
                break
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
    become a group of its own.
    """
    for _ in range(rounds):
        moved = _move(partition, n_groups, alone and n_groups is None)
        if moved is None:
            break
        saved = partition.bits - moved.bits
        partition = moved
        if saved < LEAST_GAIN * abs(partition.bits):
            break
    return partition


def _move(partition: Partition, n_groups: int | None, alone: bool) -> Partition | None:
    """Return the partition after as many moves as save bits together, or None."""
    best, gains = partition.moves(alone=alone)
    moving = np.flatnonzero(gains > LEAST_GAIN)
    moving = moving[np.argsort(-gains[moving], kind="stable")]
    while len(moving):
        labels = partition.labels.copy()
        labels[moving] = best[moving]
        new = moving[best[moving] == len(partition.groups)]
        labels[new] += np.arange(len(new))
        moved = partition.relabelled(labels)
        kept = n_groups is None or len(moved.groups) >= n_groups
        if kept and moved.bits < partition.bits - LEAST_GAIN:
            return moved
        if len(moving) == 1:
            break
        moving = moving[: max(1, len(moving) // STEP_BACK)]
    return None


def merge(partition: Partition, n_groups: int | None = None) -> Partition:
    """Merge groups to the fewest bits, or to a number of groups."""
    k = len(partition.groups)
    into = np.arange(2 * k)
    total = lowest = 0.0
    best = into[:k].copy()
    steps, order = partition.merges()
    for step, (a, b, bits) in enumerate(steps):
        if n_groups is not None and k - step <= n_groups:
            break
        into[(into == a) | (into == b)] = k + step
        total += bits
        if n_groups is not None or total < lowest - LEAST_GAIN:
            lowest, best = total, into[:k].copy()
    if len(np.unique(best)) == k:
        return partition
    return partition.relabelled(best[np.argsort(order)][partition.labels])


def cells(rows: Samples, n_cells: int) -> Any:
    """Return labels of small cells, by repeatedly cutting the widest cell at its mean.

    The cut is across the first principal axis. It does not depend on the order of the
    samples, on their unit, or on a rotation.
    """
    labels = np.zeros(len(rows), dtype=np.intp)
    queue = [(0.0, 0, np.arange(len(rows)))]
    for label in range(1, n_cells):
        _, _, index = heapq.heappop(queue)
        X, weights = rows.X[index], rows.weights[index]
        mean = weights @ X / np.sum(weights)
        X = X - mean
        along = X @ _principal_axis(X, weights)
        above = along > 0.0
        if np.all(above) or not np.any(above):  # one sample has all the weight
            above = along > 0.5 * (along.min() + along.max())
        if not np.any(above):
            heapq.heappush(queue, (0.0, int(index[0]), index))
            continue
        for part in (index[above], index[~above]):
            heapq.heappush(queue, _cell(rows, part))
        labels[index[above]] = label
        if queue[0][0] == 0.0:  # only single samples are left
            break
    return labels


def _cell(rows: Samples, index: Any) -> tuple[float, int, Any]:
    """Return a cell for the queue, which is sorted by minus the sum of squares."""
    if len(index) < 2:
        return 0.0, int(index[0]), index
    X, weights = rows.X[index], rows.weights[index]
    X = X - weights @ X / np.sum(weights)
    return -float(weights @ np.einsum("ij,ij->i", X, X)), int(index[0]), index


def _principal_axis(X: Any, weights: Any) -> Any:
    root = np.sqrt(weights)[:, None] * X
    if len(root) > root.shape[1]:
        return np.linalg.eigh(root.T @ root)[1][:, -1]
    return np.linalg.svd(root, full_matrices=False)[2][0]
