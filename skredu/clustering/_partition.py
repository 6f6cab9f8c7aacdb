r"""Rows split into groups: the bits they take, and what moving each row would save.

Rows come in units of :math:`\epsilon/\sqrt d` (see `skredu.clustering._groups`). The
bits of a group here are its coding length less :math:`n_j \log_2 n_j`: with labels
coded at :math:`-\log_2 (n_j / n)` bits a row the total of a partition is the sum over
groups and a constant, so that a change of two groups is seen in these two alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skredu.clustering._merging import ILL_CONDITIONED, Merge, merges
from skredu.coding._scatter import Scatter

# Up to this dimension scatters are held as matrices, from which rows are taken away.
MAX_DENSE = 32
# Of a determinant that becomes smaller this share is always left.
LEAST = 2.0**-53
# Bits of moves that are kept for the next round, while their groups stay as they are.
MAX_KEPT = 10**6


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """Distinct rows to be clustered.

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
    def dense(self) -> bool:
        """Whether scatters as matrices keep enough digits, and pay."""
        few = self.X.shape[1] <= MAX_DENSE
        return few and float(np.max(self.squares, initial=0.0)) <= ILL_CONDITIONED

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

    def group(self, index: Any) -> Group:
        """Code of the group of some rows."""
        X, weights = self.X[index], self.weights[index]
        count = float(np.sum(weights))
        mean = np.zeros(X.shape[1])
        if not self.assume_centered:
            mean = weights @ X / count
            X = X - mean
        if self.dense and len(X) > X.shape[1]:
            squares, V = np.linalg.eigh((weights[:, None] * X).T @ X)
            squares = np.maximum(squares, 0.0)
        else:
            root = np.sqrt(weights)[:, None] * X
            _, sigma, Vt = np.linalg.svd(root, full_matrices=False)
            squares, V = sigma * sigma, Vt.T
        away = mean + self.origin
        mean_square = float(away @ away) / self.n_features
        volume = float(np.sum(np.log2(1.0 + squares / count)))
        bits = float(self.bits(volume, count, mean_square))
        return Group(self, count, mean, squares, V, mean_square, bits, index)


@dataclass(frozen=True, eq=False, repr=False)
class Group:
    """Weight, mean, scatter (eigenvalues, eigenvectors), bits and rows of a group."""

    rows: Rows
    count: float
    mean: Any
    squares: Any
    V: Any
    mean_square: float
    bits: float
    members: Any = None

    @cached_property
    def joined(self) -> Any:
        """Bits that the group grows by when each of all rows joins."""
        return self.change(self.rows, 1.0)

    @cached_property
    def left(self) -> Any:
        """Bits that it grows by when each of its rows leaves: a negative number."""
        return self.change(self.rows.take(self.members), -1.0)

    @property
    def scatter(self) -> Scatter:
        """Count, mean and scatter."""
        root = np.sqrt(self.squares)[:, None] * self.V.T
        return Scatter(self.count, self.mean, root, None, self.rows.assume_centered)

    def change(self, rows: Rows, sign: float) -> Any:
        """Bits that the group grows by when each of some rows joins (1), leaves (-1).

        A row joins or leaves with its whole weight.
        """
        t = sign * rows.weights
        even = bool(np.all(t == t[0]))
        if even:
            t = t[:1]
        empty = self.count + t <= 1e-12 * self.count
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
            nats += 0.5 * d * np.log1p(rise)
        return np.where(empty, -self.bits, nats / math.log(2.0))

    def _growth(self, count: Any, share: Any) -> Any:
        """Growth of the log-volume, in nats, as the group gets another weight.

        Differences of few rows to a large weight would be all rounding: they are
        written out.
        """
        squares = self.squares[:, None]
        if np.max(share) > 0.5:
            logs = np.log1p(squares / count) - np.log1p(squares / self.count)
        else:
            logs = np.log1p(-share * (squares / (self.count + squares)))
        return np.sum(logs, axis=0)

    def _forms(self, rows: Rows, count: Any, even: bool) -> tuple[Any, Any]:
        """Forms ``v (I + S / count)^-1 v`` of the rows about the mean, and ``v v``."""
        X = rows.X if self.rows.assume_centered else rows.X - self.mean
        arms = np.einsum("ij,ij->i", X, X)
        Y = X @ self.V
        rest: Any = 0.0
        if Y.shape[1] < X.shape[1]:
            if self.rows.dense:
                rest = np.maximum(arms - np.einsum("ij,ij->i", Y, Y), 0.0)
            else:
                outside = X - Y @ self.V.T
                rest = np.einsum("ij,ij->i", outside, outside)
        Y *= Y
        stretch = 1.0 + self.squares / count[:, None]
        form = Y @ (1.0 / stretch[0]) if even else np.sum(Y / stretch, axis=1)
        return form + rest, arms


class Partition:
    """Rows with a group each, and the codes of the groups.

    Parameters
    ----------
    rows : Rows
    labels : array of shape (n,)
        Any integers; they become 0 to k - 1.
    known : dict of bytes to Group, default=()
        Groups that need not be coded anew, by their rows.
    """

    def __init__(self, rows: Rows, labels: Any, known: Any = ()) -> None:
        self.rows = rows
        _, self.labels = np.unique(labels, return_inverse=True)
        k = int(self.labels.max()) + 1
        order = np.argsort(self.labels, kind="stable")
        stops = np.searchsorted(self.labels[order], np.arange(1, k))
        self.members = np.split(order, stops)
        known = dict(known)
        self.groups: list[Group] = [
            known.get(index.tobytes()) or rows.group(index) for index in self.members
        ]

    @property
    def bits(self) -> float:
        """Bits of all groups."""
        return math.fsum(group.bits for group in self.groups)

    def merges(self) -> tuple[Iterator[Merge], Any]:
        """Merge the groups; also their labels, in the order of the names there."""
        single = np.array([len(index) == 1 for index in self.members])
        order = np.argsort(~single, kind="stable")
        index = [int(self.members[j][0]) for j in np.flatnonzero(single)]
        scatters = [self.groups[j].scatter for j in np.flatnonzero(~single)]
        return merges(self.rows.take(index), scatters), order

    def relabelled(self, labels: Any) -> Partition:
        """Return the same rows with other labels."""
        keys = (index.tobytes() for index in self.members)
        return Partition(self.rows, labels, zip(keys, self.groups, strict=True))

    def moves(self, *, alone: bool = True) -> tuple[Any, Any]:
        """Best other group of each row, and the bits that moving there alone saves.

        With ``alone``, the group of number k is a new one, for the row alone.
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
