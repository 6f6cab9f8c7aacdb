"""Greedy merging: always merge the two groups whose union costs the fewest extra bits.

For every pair, the younger group (with the greater name) stores the cost if the other
one is its best partner among the older groups. A new group is compared with all others
once. The best partner of another group is determined again only if it no longer exists
and if the previous lowest cost, which is then a lower bound, is the lowest of all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

from skredu.clustering._costs import (
    BITS,
    COUNT,
    MEAN,
    MEAN_SQUARE,
    NORM,
    QUANTUM,
    Cluster,
    MergeCosts,
    cholesky,
)
from skredu.clustering._rows import ILL_CONDITIONED, Samples, group_bits
from skredu.coding._linalg import rank_of

# Up to this dimension, scatters are matrices and are factored: in 50 dimensions, a
# merge of 1000 samples takes 0.6 ms, compared with 1.5 ms by singular vectors.
MAX_COVARIANCE = 64
# Number of pairs of samples whose costs are computed at a time, to stay in the cache.
PAIRS = 2**17

Merge = tuple[int, int, float]


def merges(
    rows: Samples, clusters: Sequence[Cluster] = (), *, edges: Any = None
) -> Iterator[Merge]:
    """Merge groups until one is left; yield the names of both and the cost in bits.

    The initial groups are named from 0, and every union takes the next name. The
    smaller name is yielded first. Of pairs with equal costs, the one with the smallest
    first name, then the smallest second name, is merged.

    Parameters
    ----------
    rows : Samples
        Groups of one sample; may be empty.
    clusters : sequence of Cluster, default=()
        Groups of several samples, with the names after those of ``rows``, in the same
        coordinates.
    edges : sparse array of shape (n_groups, n_groups), default=None
        Only groups with an entry can be merged. The graph is symmetric and connected,
        and has no loops. None means that all groups can be merged.
    """
    groups = _Groups(rows, clusters, edges)
    groups.open_accounts()
    for _ in range(len(rows.X) + len(clusters) - 1):
        a, b = groups.cheapest()
        first, second = sorted((int(groups.names[a]), int(groups.names[b])))
        yield first, second, float(groups.best[a])
        groups.merge(a, b)


class _Groups:
    """Groups in slots: single samples from 0, others from ``n_rows`` to ``end``.

    The parameters are those of `merges`.
    """

    def __init__(self, rows: Samples, clusters: Sequence[Cluster], edges: Any) -> None:
        self.rows, self.centered, (n, r) = rows, rows.assume_centered, rows.X.shape
        self.costs = MergeCosts(rows.n_features, self.centered)
        self.graph = None if edges is None else Graph(edges)
        room = n + n // 2 + len(clusters) + 1
        self.table = np.ones((r + 5, room))
        self.best, self.partners = np.full(room, np.inf), np.full(room, -1)
        self.names, self.slots = np.full(room, -1), np.full(2 * room, -1)
        self.names[:n] = self.slots[:n] = np.arange(n)
        self.n_rows = self.n_single = self.end = self.n_names = n
        singles = self.table[:, :n]
        singles[MEAN], singles[NORM] = rows.X.T, rows.squares
        singles[MEAN_SQUARE], singles[COUNT] = rows.mean_squares, rows.weights
        singles[BITS] = rows.alone
        self.even = n > 0 and bool(np.all(rows.weights == rows.weights[:1]))
        reach = [float(np.sum(c.eigenvalues)) / c.count for c in clusters]
        reach += [float(c.mean @ c.mean) for c in clusters]
        far = max(reach, default=0.0) > ILL_CONDITIONED
        self.ill_conditioned = far or rows.ill_conditioned
        self.dense = r <= MAX_COVARIANCE and not self.ill_conditioned
        # For groups of several samples: dense scatters, or their roots with r
        # orthogonal rows if r is small.
        self.spreads: Any = np.zeros((16, r, r)) if r <= MAX_COVARIANCE else []
        for cluster in clusters:
            root = np.sqrt(cluster.eigenvalues)[:, None] * cluster.basis.T
            spread = root.T @ root if self.dense else root
            self._append(cluster.count, cluster.mean, spread, cluster.mean_square)

    # -- accounts ---------------------------------------------------------------------

    def open_accounts(self) -> None:
        """Find the cheapest older group for every group."""
        start = 0
        if self.graph is None and not self.ill_conditioned and self.n_rows:
            start = self.n_rows
            between = self.costs.between_rows
            if self.even and self.dense and not self.centered:
                between = self.costs.between_even_rows
            for block in gen_batches(start, max(1, PAIRS // start)):
                costs = between(self.table[:, block], self.table[:, : block.stop])
                upper = np.triu_indices(len(costs))
                costs[:, block.start :][upper] = np.inf  # not older
                lowest = np.rint(costs.min(axis=1) / QUANTUM) * QUANTUM
                self.best[block] = lowest
                tied = costs <= lowest[:, None] + 0.5 * QUANTUM
                self.partners[block] = tied.argmax(axis=1)
        for slot in range(start, self.end):
            self.best[slot], self.partners[slot] = self._account(slot)

    def cheapest(self) -> tuple[int, int]:
        """Return the slots of the group with the lowest cost and of its partner."""
        while True:
            best = self.best[: self.end]
            tied = (best == best[best.argmin()]).nonzero()[0]
            stale = tied[self.slots[self.partners[tied]] < 0]
            for slot in stale:
                self.best[slot], self.partners[slot] = self._account(slot)
            if len(stale) == 0:
                if len(tied) > 1:
                    tied = tied[np.lexsort((self.names[tied], self.partners[tied]))]
                slot = int(tied[0])
                return slot, int(self.slots[self.partners[slot]])

    def _account(self, slot: int) -> tuple[float, int]:
        """Return the lowest cost of merging a group with an older one, and its name.

        Of several with the lowest cost, this is the smallest name.
        """
        name, n, every = self.names[slot], self.n_rows, slice(self.n_single)
        # positions among single samples, and among the others
        singles: Any = np.arange(0)
        merged: Any = np.arange(0)
        if self.graph is not None:
            names = self.graph.neighbours(name)
            slots = self.slots[names[names < name]]
            alone = slots < n
            singles, merged = slots[alone], slots[~alone] - n
        elif slot < n:
            singles = (self.names[every] < name).nonzero()[0]
        elif name == self.n_names - 1:  # the youngest of all, in the last slot
            singles, merged = every, slice(slot - n)
        else:
            singles, merged = every, (self.names[n : self.end] < name).nonzero()[0]
        best = (math.inf, -1)
        for single, others in ((True, singles), (False, merged)):
            names = self.names[0 if single else n :][others]
            if len(names):
                costs = self._costs_with(slot, others, single=single)
                lowest = round(float(costs[costs.argmin()]) / QUANTUM) * QUANTUM
                tied = names[costs <= lowest + 0.5 * QUANTUM].tolist()
                best = min(best, (lowest, min(tied)))
        return best

    def _costs_with(self, slot: int, others: Any, *, single: bool) -> Any:
        """Return the costs of merging a group with others.

        ``others`` are positions among single samples, or among groups of several.
        """
        own, costs = self.table[:, slot], self.costs
        first = 0 if single else self.n_rows
        if isinstance(others, slice):
            B = self.table[:, first:][:, others]
        else:
            B = self.table.take(others + first, axis=1)  # faster than by index
        if not single:
            if isinstance(self.spreads, list):
                index = np.arange(self.end - first)[others]
                spreads: Any = [self.spreads[i] for i in index]
            else:
                spreads = self.spreads[others]
            work = costs.with_groups if self.dense else costs.with_roots
            return work(own, self._spread(slot), B, spreads)
        if self.even and self.dense:
            return costs.with_even_rows(own, self._spread(slot), B)
        if self.dense and slot >= self.n_rows:
            values, V, _ = lapack.dsyevd(self._spread(slot))
            values = np.maximum(values, 0.0)
        else:
            root = self._spread(slot, root=True)  # of orthogonal rows
            values = np.einsum("ij,ij->i", root, root)
            root, values = root[values > 0.0], values[values > 0.0]
            V = root.T / np.sqrt(values)
        scatter = own[COUNT], own[MEAN], values, V
        group = Cluster(self.rows, *scatter, own[MEAN_SQUARE], own[BITS])
        X, weights = B[MEAN].T, B[COUNT]
        return group.change(X, weights, 1.0) - B[BITS]

    def _spread(self, slot: int, *, root: bool = False) -> Any:
        """Return the scatter of a group if they are dense, and otherwise a root."""
        if slot >= self.n_rows:
            return self.spreads[slot - self.n_rows]
        rows = self.table[MEAN, slot][None, :][: int(self.centered)]
        rows = rows * math.sqrt(self.table[COUNT, slot])
        return rows.T @ rows if self.dense and not root else rows

    # -- merging ----------------------------------------------------------------------

    def merge(self, a: int, b: int) -> None:
        """Replace the groups in two slots by their union, and open its account."""
        if self.graph is not None:
            self.graph.merge(self.names[a], self.names[b])
        own, other = self.table[:, a], self.table[:, b]
        count = float(own[COUNT] + other[COUNT])
        p, q = float(own[COUNT]) / count, float(other[COUNT]) / count
        arm, mean_square = other[MEAN] - own[MEAN], 0.0
        mean, arms = own[MEAN] + q * arm, np.zeros((0, len(arm)))
        if not self.centered:
            mean_square = p * own[MEAN_SQUARE] + q * other[MEAN_SQUARE]
            mean_square -= p * q / self.costs.n_features * arm.dot(arm)
            arms = arm[None, :] * math.sqrt(p * q * count)
        spread, added = self._spread(a), self._spread(b)
        if self.dense:
            spread = spread + added
            spread += arms.T @ arms
        else:
            spread = np.concatenate([spread, added, arms])
        for slot in sorted((a, b), reverse=True):
            self.slots[self.names[slot]] = -1
            if slot < self.n_rows:
                last = self.n_single = self.n_single - 1
            else:
                last = self.end = self.end - 1
                self.spreads[slot - self.n_rows] = self.spreads[last - self.n_rows]
                if isinstance(self.spreads, list):
                    self.spreads.pop()
            if slot != last:  # the last group of its kind moves to this slot
                for array in (self.table, self.names, self.best, self.partners):
                    array[..., slot] = array[..., last]
                self.slots[self.names[slot]] = slot
            self.best[last] = np.inf
        slot = self._append(count, mean, spread, max(mean_square, 0.0))
        self.best[slot], self.partners[slot] = self._account(slot)

    def _append(self, count: float, mean: Any, spread: Any, mean_square: float) -> int:
        """Add a group with a scatter if they are dense, otherwise with a root."""
        slot, t, d = self.end, self.end - self.n_rows, self.costs.n_features
        self.end += 1
        if self.dense:
            _, volume = cholesky(spread / count)
        else:  # few orthogonal rows
            _, sigma, Vt = np.linalg.svd(spread, full_matrices=False)
            rank = rank_of(sigma, spread.shape)
            spread = sigma[:rank, None] * Vt[:rank]
            volume = float(np.log2(1.0 + sigma[:rank] ** 2 / count).sum())
        if isinstance(self.spreads, list):
            self.spreads.append(spread)
        else:
            if t == len(self.spreads):
                self.spreads = np.pad(self.spreads, ((0, t), (0, 0), (0, 0)))
            self.spreads[t, : len(spread)] = spread
            self.spreads[t, len(spread) :] = 0.0
        bits = group_bits(volume, count, mean_square, d)
        column = self.table[:, slot]
        column[MEAN], column[NORM], column[MEAN_SQUARE] = mean, mean @ mean, mean_square
        column[COUNT], column[BITS] = count, bits
        self.names[slot], self.slots[self.n_names] = self.n_names, slot
        self.n_names += 1
        return slot


class Graph:
    """Graph of neighbouring groups during merging.

    Every group is represented by one of its initial groups, its head. When two groups
    are merged, only the neighbours of the one with fewer neighbours are updated.

    Parameters
    ----------
    edges : sparse array of shape (n, n)
        Entries for neighbours among the initial groups, symmetric and without loops.
    """

    def __init__(self, edges: Any) -> None:
        edges = csr_array(edges)
        rows = np.split(edges.indices, edges.indptr[1:-1])
        self.links = [dict.fromkeys(row.tolist()) for row in rows]  # in their order
        self.name_of = np.arange(len(self.links))  # by head
        self.heads = list(range(len(self.links)))  # by name

    def neighbours(self, name: int) -> Any:
        """Return the names of the neighbours of a group."""
        links = self.links[self.heads[name]]
        return self.name_of[np.fromiter(links, np.intp, len(links))]

    def merge(self, a: int, b: int) -> None:
        """Merge the groups with two names, under the next name."""
        ends = self.heads[a], self.heads[b]
        gone, head = sorted(ends, key=lambda end: len(self.links[end]))
        for other in self.links[gone]:
            del self.links[other][gone]
            if other != head:
                self.links[head][other] = self.links[other][head] = None
        self.links[gone] = {}
        self.name_of[head] = len(self.heads)
        self.heads.append(head)
