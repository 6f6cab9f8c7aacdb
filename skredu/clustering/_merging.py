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

from skredu.clustering._merge_costs import (
    BITS,
    COUNT,
    MEAN,
    MEAN_SQUARE,
    NORM,
    QUANTUM,
    Costs,
    cheapest,
    log2_det,
    mixed_root,
    mixture,
)
from skredu.clustering._rows import ILL_CONDITIONED, Samples
from skredu.coding._linalg import factor_of, rank_of
from skredu.coding._scatter import Scatter

# Up to this dimension, covariances are matrices and are factored: in 50 dimensions, a
# merge of 1000 samples takes 0.6 ms, compared with 1.5 ms by singular vectors.
MAX_COVARIANCE = 64
# Number of pairs of samples whose costs are computed at a time, to stay in the cache.
PAIRS = 2**17

Merge = tuple[int, int, float]


def merges(
    rows: Samples,
    scatters: Sequence[Scatter] = (),
    *,
    edges: Any = None,
    label_bits: bool = True,
) -> Iterator[Merge]:
    """Merge groups until one is left; yield the names of both and the cost in bits.

    The initial groups are named from 0, and every union takes the next name. The
    smaller name is yielded first. Of pairs with equal costs, the one with the smallest
    first name, then the smallest second name, is merged.

    Parameters
    ----------
    rows : Samples
        Groups of one sample; may be empty.
    scatters : sequence of Scatter, default=()
        Groups of several samples, with the names after those of ``rows``, in the same
        coordinates.
    edges : sparse array of shape (n_groups, n_groups), default=None
        Only groups with an entry can be merged, at the additional cost of this entry.
        If two edges join, their entries are added. The graph is symmetric and
        connected, and has no loops. None means that all groups can be merged without
        additional costs.
    label_bits : bool, default=True
        Whether to count the bits of the labels.
    """
    groups = _Groups(rows, scatters, edges, label_bits)
    groups.open_accounts()
    while groups.n_single + groups.n_merged > 1:
        a, b = groups.cheapest()
        first, second = sorted((int(groups.names[a]), int(groups.names[b])))
        yield first, second, float(groups.best[a])
        groups.merge(a, b)


class _Groups:
    """Groups in slots: single samples from 0, others from ``n_rows``.

    The parameters are those of `merges`.
    """

    def __init__(
        self, rows: Samples, scatters: Sequence[Scatter], edges: Any, label_bits: bool
    ) -> None:
        n, r = rows.X.shape
        self.n_rows, self.centered, self.origin = n, rows.assume_centered, rows.origin
        self.costs = Costs(rows.n_features, rows.assume_centered, label_bits)
        self.graph = None if edges is None else Graph(edges)
        room = n + n // 2 + len(scatters) + 1
        self.table = np.ones((r + 5, room))
        self.best, self.partners = np.full(room, np.inf), np.full(room, -1)
        self.names, self.slots = np.full(room, -1), np.full(2 * room, -1)
        self.names[:n] = self.slots[:n] = np.arange(n)
        self.n_single, self.n_merged, self.n_names = n, 0, n
        singles = self.table[:, :n]
        singles[MEAN], singles[NORM] = rows.X.T, rows.squares
        singles[COUNT] = rows.weights
        singles[MEAN_SQUARE] = 0.0 if self.centered else rows.mean_squares
        volumes = np.log2(1.0 + rows.squares) * self.centered
        singles[BITS] = self.costs.bits(volumes, rows.weights, singles[MEAN_SQUARE])
        self.nothing = np.zeros((0, r))  # root of the covariance of one sample
        self.even = n > 0 and bool(np.all(rows.weights == rows.weights[:1]))
        reach = [s.trace / s.count for s in scatters]
        reach += [float(s.mean @ s.mean) for s in scatters]
        far = max(reach, default=0.0) > ILL_CONDITIONED
        self.ill_conditioned = far or rows.ill_conditioned
        self.dense = r <= MAX_COVARIANCE and not self.ill_conditioned
        # For groups of several samples: dense covariances, or their roots with r
        # orthogonal rows if r is small.
        self.spreads: Any = np.empty((16, r, r)) if r <= MAX_COVARIANCE else []
        for scatter in scatters:
            if self.dense:
                spread = scatter.dense() / scatter.count
            else:
                spread = _root(scatter) / scatter.count**0.5
            away = (scatter.mean + self.origin) * (not self.centered)
            mean_square = float(away @ away) / rows.n_features
            self._append(scatter.count, scatter.mean, spread, mean_square)

    @property
    def end(self) -> int:
        """Number of the last used slot plus one."""
        return self.n_rows + self.n_merged

    # -- accounts ---------------------------------------------------------------------

    def open_accounts(self) -> None:
        """Find the cheapest older group for every group."""
        start = 0
        if self.graph is None and not self.ill_conditioned and self.n_rows:
            start = self.n_rows
            for block in gen_batches(start, max(1, PAIRS // start)):
                own, others = self.table[:, block], self.table[:, : block.stop]
                between = self.costs.between_rows
                if self.even and self.dense and not self.centered:
                    between = self.costs.between_even_rows
                costs = between(own, others)
                upper = np.triu_indices(own.shape[1])
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
        """Return the lowest cost of merging a group with an older one, and its name."""
        name = self.names[slot]
        if self.graph is not None:
            names, extra = self.graph.neighbours(name)
            slots = self.slots[names]
            found = [(math.inf, -1)]
            for part, work in (
                (slots < self.n_rows, self._with_singles),
                (slots >= self.n_rows, self._with_merged),
            ):
                older = part & (names < name)
                if np.any(older):
                    costs = work(slot, slots[older]) + extra[older]
                    found.append(cheapest(costs, names[older]))
            return min(found)
        best = (math.inf, -1)
        if slot < self.n_rows:
            older = np.flatnonzero(self.names[: self.n_single] < name)
            if len(older):
                best = cheapest(self._with_singles(slot, older), self.names[older])
            return best
        if self.n_single:
            every = slice(self.n_single)
            best = cheapest(self._with_singles(slot, every), self.names[every])
        if name == self.n_names - 1:
            older = slice(self.n_rows, self.end - 1)  # the last is the union
        else:
            older = np.flatnonzero(self.names[self.n_rows : self.end] < name)
            older += self.n_rows
        names = self.names[older]
        if len(names):
            best = min(best, cheapest(self._with_merged(slot, older), names))
        return best

    def _with_singles(self, slot: int, others: Any) -> Any:
        """Return the costs of merging a group with single samples."""
        own, columns = self.table[:, slot], self._columns(others)
        if self.even and self.dense:
            return self.costs.with_even_rows(own, self._spread(slot), columns)
        spectrum = self._spectrum(slot)
        return self.costs.with_rows(own, spectrum, columns, even=self.even)

    def _with_merged(self, slot: int, others: Any) -> Any:
        """Return the costs of merging a group with others of several samples."""
        own, columns = self.table[:, slot], self._columns(others)
        spread = self._spread(slot)
        if isinstance(others, slice):
            t = slice(others.start - self.n_rows, others.stop - self.n_rows)
        else:
            t = others - self.n_rows
        if isinstance(self.spreads, list):
            spreads = [self.spreads[i] for i in np.arange(self.n_merged)[t]]
        else:
            spreads = self.spreads[t]
        costs = self.costs.with_groups if self.dense else self.costs.with_roots
        return costs(own, spread, columns, spreads)

    def _columns(self, others: Any) -> Any:
        if isinstance(others, slice):
            return self.table[:, others]
        return self.table.take(others, axis=1)  # twice as fast as by index

    def _root(self, slot: int) -> Any:
        """Return a root of the covariance of a group."""
        if slot >= self.n_rows:
            return self.spreads[slot - self.n_rows]
        return self.table[MEAN, slot][None, :] if self.centered else self.nothing

    def _spread(self, slot: int) -> Any:
        """Return the covariance of a group if they are dense, and otherwise a root."""
        if slot >= self.n_rows:
            return self.spreads[slot - self.n_rows]
        root = self._root(slot)
        return root.T @ root if self.dense else root

    def _spectrum(self, slot: int) -> tuple[Any, Any]:
        """Return eigenvalues of a covariance, and eigenvectors as rows."""
        if self.dense and slot >= self.n_rows:
            values, V, _ = lapack.dsyevd(self._spread(slot))
            return np.maximum(values, 0.0), V.T
        root = self._root(slot)  # of orthogonal rows
        values = np.einsum("ij,ij->i", root, root)
        root, values = root[values > 0.0], values[values > 0.0]
        return values, root / np.sqrt(values)[:, None]

    # -- merging ----------------------------------------------------------------------

    def merge(self, a: int, b: int) -> None:
        """Replace the groups in two slots by their union, and open its account."""
        if self.graph is not None:
            self.graph.merge(self.names[a], self.names[b])
        own, other = self.table[:, a], self.table[:, b]
        count = float(own[COUNT] + other[COUNT])
        p, q = float(own[COUNT]) / count, float(other[COUNT]) / count
        arm, mean_square = other[MEAN] - own[MEAN], 0.0
        mean = own[MEAN] + q * arm
        if not self.centered:
            mean_square = p * own[MEAN_SQUARE] + q * other[MEAN_SQUARE]
            mean_square -= p * q / self.costs.n_features * arm.dot(arm)
        arm *= math.sqrt(p * q)
        between = None if self.centered else arm
        mix = mixture if self.dense else mixed_root
        spread = mix(self._spread(a), self._spread(b), p, q, between)
        for slot in sorted((a, b), reverse=True):
            self._remove(slot)
        slot = self._append(count, mean, spread, max(mean_square, 0.0))
        self.best[slot], self.partners[slot] = self._account(slot)

    def _append(self, count: float, mean: Any, spread: Any, mean_square: float) -> int:
        """Add a group with a covariance if they are dense, otherwise with a root."""
        slot, t = self.end, self.n_merged
        self.n_merged += 1
        if self.dense:
            volume = log2_det(factor_of(spread.copy()))
        else:
            spread, volume = _orthogonal(spread)
        if isinstance(self.spreads, list):
            self.spreads.append(spread)
        else:
            if t == len(self.spreads):
                self.spreads = np.pad(self.spreads, ((0, t), (0, 0), (0, 0)))
            self.spreads[t] = 0.0
            self.spreads[t, : len(spread)] = spread
        column = self.table[:, slot]
        column[MEAN], column[NORM], column[MEAN_SQUARE] = mean, mean @ mean, mean_square
        column[COUNT], column[BITS] = count, self.costs.bits(volume, count, mean_square)
        self.names[slot], self.slots[self.n_names] = self.n_names, slot
        self.n_names += 1
        return slot

    def _remove(self, slot: int) -> None:
        """Remove the group in a slot, to which the last group of its kind moves."""
        self.slots[self.names[slot]] = -1
        if slot < self.n_rows:
            self.n_single -= 1
            last = self.n_single
        else:
            self.n_merged -= 1
            last = self.end
            self.spreads[slot - self.n_rows] = self.spreads[self.n_merged]
            if isinstance(self.spreads, list):
                self.spreads.pop()
        if slot != last:
            for array in (self.table, self.names, self.best, self.partners):
                array[..., slot] = array[..., last]
            self.slots[self.names[slot]] = slot
        self.best[last] = np.inf


def _root(scatter: Scatter) -> Any:
    """Return rows whose products add up to a scatter."""
    if scatter.matrix is None:
        return scatter.root
    values, V = np.linalg.eigh(scatter.matrix)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * V.T


def _orthogonal(root: Any) -> tuple[Any, float]:
    """Return a root of few orthogonal rows, and its log-volume."""
    _, sigma, Vt = np.linalg.svd(root, full_matrices=False)
    rank = rank_of(sigma, root.shape)
    sigma, Vt = sigma[:rank], Vt[:rank]
    return sigma[:, None] * Vt, float(np.log2(1.0 + sigma * sigma).sum())


class Graph:
    """Graph of neighbouring groups during merging, and the costs of its edges.

    Every group is represented by one of its initial groups, its head. When two groups
    are merged, only the neighbours of the one with fewer neighbours are updated.

    Parameters
    ----------
    edges : sparse array of shape (n, n)
        Costs of the edges between the initial groups, symmetric and without loops.
    """

    def __init__(self, edges: Any) -> None:
        edges = csr_array(edges)
        parts = zip(
            *(np.split(a, edges.indptr[1:-1]) for a in (edges.indices, edges.data)),
            strict=True,
        )
        self.links = [dict(zip(i.tolist(), v.tolist(), strict=True)) for i, v in parts]
        self.name_of = np.arange(len(self.links))  # by head
        self.heads = list(range(len(self.links)))  # by name

    def neighbours(self, name: int) -> tuple[Any, Any]:
        """Return the names of the neighbours of a group, and the costs of the edges."""
        links = self.links[self.heads[name]]
        heads = np.fromiter(links, np.intp, len(links))
        return self.name_of[heads], np.fromiter(links.values(), float, len(links))

    def merge(self, a: int, b: int) -> None:
        """Merge the groups with two names, under the next name."""
        ends = self.heads[a], self.heads[b]
        gone, head = sorted(ends, key=lambda end: len(self.links[end]))
        links = self.links[head]
        for other, cost in self.links[gone].items():
            del self.links[other][gone]
            if other != head:
                links[other] = self.links[other][head] = links.get(other, 0.0) + cost
        self.links[gone] = {}
        self.name_of[head] = len(self.heads)
        self.heads.append(head)
