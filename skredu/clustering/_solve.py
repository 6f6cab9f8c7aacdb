"""From rows and a distortion to a tree of merges and a partition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import Any

import numpy as np

from skredu.clustering._merging import merges
from skredu.clustering._partition import Partition, Rows
from skredu.clustering._refinement import cells
from skredu.clustering._tree import Tree, grow

# Up to so many distinct rows every pair of them is looked at.
MAX_EXACT = 10_000
# Beyond, rows first join this many cells, which then merge.
N_CELLS = 256


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
class Solution:
    """Tree of merges and where greedy merging stops.

    Parameters
    ----------
    rows : Rows
    data : Data
    tree : Tree
        Of all rows that came.
    n_equal : int
        Merges of equal rows that come before all others.
    n_merges : int
        Merges up to the first that adds bits.
    """

    rows: Rows
    data: Data
    tree: Tree
    n_equal: int
    n_merges: int

    def partition(self, n_merges: int) -> Partition:
        """Partition of the distinct rows after some merges."""
        return Partition(self.rows, self.tree.cut(n_merges)[self.data.heads])


def solve(
    data: Data,
    epsilon: float,
    assume_centered: bool,
    watch: Callable[[Iterator[Any], int], Iterator[Any]] = lambda steps, _: steps,
    *,
    to_the_end: bool = True,
) -> Solution:
    """Merge rows greedily, to the end or while bits are saved.

    ``watch`` sees the merges go by.
    """
    rows = data.scaled(epsilon, assume_centered)
    m = len(rows)
    if m <= MAX_EXACT or data.adjacency is not None:
        within: list[Any] = []
        nodes = np.arange(m)
        edges = None if data.adjacency is None else data.adjacency * 0.0
        found = merges(rows, edges=edges)
    else:
        partition = Partition(rows, cells(rows, N_CELLS))
        within, nodes = _joined_cells(partition)
        scatters = [group.scatter for group in partition.groups]
        found = merges(rows.take([]), scatters)
    found = watch(found, len(nodes) - 1)
    steps = list(found if to_the_end else takewhile(lambda step: step[2] < 0.0, found))
    nodes = np.concatenate([nodes, m + len(within) + np.arange(len(steps))])
    above = [(nodes[a], nodes[b], bits) for a, b, bits in steps]
    joins = list(_equal_rows(data, rows))
    tree = grow(data.heads, joins, within + above)
    n_before = len(joins) + len(within)
    worse = np.flatnonzero(tree.costs[n_before:] >= 0.0)
    n_merges = n_before + int(worse[0] if len(worse) else len(steps))
    return Solution(rows, data, tree, len(joins), n_merges)


def _equal_rows(data: Data, rows: Rows) -> Iterator[tuple[int, int, float]]:
    """Rows that join an equal one, and the bits of that; none without a weight."""
    counts = np.zeros(len(rows))
    counts[:] = data.leaves[data.heads]
    volumes = np.log2(1.0 + rows.squares) * rows.assume_centered

    def bits(name: int, count: float) -> float:
        return float(rows.bits(volumes[name], count, rows.mean_squares[name]))

    for leaf in data.joining:
        name, weight = data.names[leaf], data.leaves[leaf]
        added = 0.0
        if weight > 0.0:
            before = bits(name, counts[name]) + bits(name, weight)
            counts[name] += weight
            added = bits(name, counts[name]) - before
        yield name, leaf, added


def _joined_cells(partition: Partition) -> tuple[list[Any], Any]:
    """Merge the rows of each cell, the last with all bits; also names of the cells."""
    m, alone = len(partition.labels), partition.rows.alone
    steps: list[tuple[int, int, float]] = []
    names = []
    for group in partition.groups:
        name, *others = group.members
        for row in others:
            steps.append((name, row, 0.0))
            name = m + len(steps) - 1
        if others:
            saved = group.bits - float(np.sum(alone[group.members]))
            steps[-1] = (*steps[-1][:2], saved)
        names.append(name)
    return steps, np.array(names)
