"""Search beyond greedy merging: move rows, merge and split groups while bits fall."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from skredu.clustering._partition import Partition, Rows

# Rows move together in this many rounds at most; in fewer while groups still merge.
MAX_ROUNDS = 50
COARSE_ROUNDS = 5
# A change by fewer bits, or by this share of the bits, is none.
LEAST_GAIN = 1e-6
# When all moves at once cost bits, a share of them is tried, the best first.
STEP_BACK = 4
# Cells that rows are split into, to be merged from there.
MAX_CELLS = 32
# Groups times rows beyond which groups are merged before rows are moved.
MAX_MOVES = 10**7
# Groups that are dissolved or split on trial: so many, fewer where trials times groups,
# or trials times groups times rows, would be more than this.
MAX_TRIALS = 32
MAX_TRIED_GROUPS = 128
MAX_TRIED = 4 * 10**6

# Called after every round of the search; says whether to stop.
Watch = Callable[[], bool]


def go_on() -> bool:
    """Go on, unwatched."""
    return False


def refine(
    rows: Rows,
    labels: Any,
    *,
    n_groups: int | None = None,
    trials: bool = True,
    watch: Watch = go_on,
) -> Partition:
    """Partition with the fewest bits that is found from given labels, never with more.

    Rows move and groups merge from the given labels, and from small cells that the
    rows are split into along principal axes: groups that greedy merging has joined
    too early come apart there. Then single groups are dissolved, or split, on trial.

    Parameters
    ----------
    rows : Rows
    labels : array of shape (n,)
    n_groups : int, default=None
        Keep exactly as many groups as there are.
    trials : bool, default=True
        Dissolve and split on trial.
    watch : callable, default=go_on
        Called after every round; the search ends where it says so.
    """
    given = Partition(rows, labels)
    if n_groups is not None:
        n_groups = len(given.groups)
    found = [given]
    for start in (labels, cells(rows, max(MAX_CELLS, 2 * (n_groups or 0)))):
        partition = settle(Partition(rows, start), n_groups, watch)
        if n_groups in (None, len(partition.groups)):
            found.append(partition)
    best = min(found, key=lambda partition: partition.bits)
    return escape(best, n_groups, watch) if trials else best


def escape(
    partition: Partition, n_groups: int | None = None, watch: Watch = go_on
) -> Partition:
    """Dissolve or split single groups, and settle, as long as that saves bits."""
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
    """Labels with one group dissolved, or split, or both; small groups go first."""
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
    """Labels with the rows of one group in two cells."""
    index = np.flatnonzero(labels == j)
    changed = labels.copy()
    changed[index[cells(partition.rows.take(index), 2) == 1]] = len(partition.groups)
    return changed


def settle(
    partition: Partition, n_groups: int | None = None, watch: Watch = go_on
) -> Partition:
    """Move rows and merge groups, in turn, until neither saves bits."""
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
    """Move rows to the groups where they cost least, while the bits fall.

    With ``alone`` a row may also become a group of its own.
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
    """Partition after as many of the moves as save bits together; None where none."""
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
        moving = moving[: len(moving) // STEP_BACK]
    return None


def merge(partition: Partition, n_groups: int | None = None) -> Partition:
    """Merge groups down to the fewest bits, or to a number of groups."""
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


def cells(rows: Rows, n_cells: int) -> Any:
    """Labels of small cells: again and again the widest is cut at its mean.

    The cut is across the first principal axis. It does not depend on the order of the
    rows, on their unit, or on a rotation.
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
        if np.all(above) or not np.any(above):  # one row has all the weight
            above = along > 0.5 * (along.min() + along.max())
        if not np.any(above):
            heapq.heappush(queue, (0.0, int(index[0]), index))
            continue
        for part in (index[above], index[~above]):
            heapq.heappush(queue, _cell(rows, part))
        labels[index[above]] = label
        if queue[0][0] == 0.0:  # only single rows are left
            break
    return labels


def _cell(rows: Rows, index: Any) -> tuple[float, int, Any]:
    """Cell for the queue: the sum of squares about the mean, negative, comes first."""
    if len(index) < 2:
        return 0.0, int(index[0]) if len(index) else -1, index
    X, weights = rows.X[index], rows.weights[index]
    X = X - weights @ X / np.sum(weights)
    return -float(weights @ np.einsum("ij,ij->i", X, X)), int(index[0]), index


def _principal_axis(X: Any, weights: Any) -> Any:
    root = np.sqrt(weights)[:, None] * X
    if len(root) > root.shape[1]:
        return np.linalg.eigh(root.T @ root)[1][:, -1]
    return np.linalg.svd(root, full_matrices=False)[2][0]
