"""The tree of greedy merging: from single samples to one group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from skredu.clustering._merging import Merge, merges
from skredu.clustering._partition import Partition, cells
from skredu.clustering._rows import Data, Samples, group_bits

# Largest number of distinct samples of which all pairs are considered.
MAX_EXACT = 10_000
# More samples are first gathered in this number of cells, which are then merged.
N_CELLS = 256


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """Merges of ``n`` leaves in their order, either all or the first ones.

    Parameters
    ----------
    children : array of shape (n_merges, 2)
        Nodes that are merged. Leaves are below ``n``, and merge ``i`` forms the node
        ``n + i``.
    costs : array of shape (n_merges,)
        Bits that each merge adds to the total.
    n_leaves : int
        Number of leaves ``n``.
    """

    children: Any
    costs: Any
    n_leaves: int

    def cut(self, n_merges: int) -> Any:
        """Return the labels of the leaves after some merges, in their order."""
        n = self.n_leaves
        above = np.arange(n + n_merges)
        above[self.children[:n_merges]] = np.arange(n, n + n_merges)[:, None]
        while True:
            higher = above[above]  # twice as many levels in every round
            if np.array_equal(higher, above):
                return numbered(above[:n])
            above = higher

    def sizes(self, weights: Any) -> Any:
        """Return the weights of all nodes from those of the leaves."""
        sizes = np.concatenate([weights, np.zeros(len(self.children))])
        for i, (a, b) in enumerate(self.children, self.n_leaves):
            sizes[i] = sizes[a] + sizes[b]
        return sizes

    def count_large(self, weights: Any, least: float) -> tuple[Any, Any]:
        """Return number and weight of nodes of at least ``least`` after each merge."""
        n, sizes = self.n_leaves, self.sizes(weights)
        large = (sizes >= least).astype(float)

        def after(values: Any) -> Any:
            change = values[n:] - values[self.children].sum(axis=1)
            start = np.sum(values[:n])
            return np.concatenate([[start], start + np.cumsum(change)])

        return np.rint(after(large)).astype(np.intp), after(large * sizes)


def numbered(labels: Any, counting: Any = None, weights: Any = None) -> Any:
    """Return labels as integers from 0, in the order of their first occurrence.

    ``counting`` (k,) tells which of the labels, sorted, count; the others become -1. If
    ``weights`` (n,) are given, labels of greater weight come first.
    """
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    outside = np.zeros(len(first), dtype=bool) if counting is None else ~counting
    sizes = np.zeros(len(first)) if weights is None else np.bincount(codes, weights)
    numbers = np.empty(len(first), dtype=np.intp)
    numbers[np.lexsort((first, -sizes, outside))] = np.arange(len(first))
    numbers[outside] = -1
    return numbers[codes]


@dataclass(frozen=True, eq=False, repr=False)
class Greedy:
    """The result of greedy merging.

    Parameters
    ----------
    data : Data
    rows : Samples
        The distinct samples of the data in the unit of the distortion.
    tree : Tree
        Tree of all original samples.
    n_merges : int
        Number of merges before the first one that adds bits, where merging stops.
    n_equal : int
        Number of merges of equal samples, which come before all others.
    """

    data: Data
    rows: Samples
    tree: Tree
    n_merges: int
    n_equal: int

    def partition(self, n_merges: int) -> Partition:
        """Return the partition of the distinct samples after some merges."""
        return Partition(self.rows, self.tree.cut(n_merges)[self.data.first])


def merge_greedily(
    data: Data,
    epsilon: float,
    assume_centered: bool,
    watch: Callable[[Iterator[Any], int], Iterator[Any]] = lambda steps, _: steps,
    *,
    to_the_end: bool = True,
) -> Greedy:
    """Merge samples to a single group or, if not ``to_the_end``, while bits are saved.

    Equal samples are merged first, then the samples of each cell if there are too many
    for all pairs, and then groups by their costs; ``watch`` observes the last part.
    """
    rows = data.scaled(epsilon, assume_centered)
    n, nodes, steps = len(data.sample_weights), data.first.tolist(), list[Merge]()

    def join(a: int, b: int, bits: float) -> int:
        """Merge two nodes, and return the new one, which has the next number."""
        steps.append((a, b, bits))
        return n + len(steps) - 1

    counts = data.sample_weights[data.first]  # a copy
    volumes = np.log2(1.0 + rows.squares) * assume_centered
    for leaf in data.joining.tolist():
        i, weight, added = data.codes[leaf], data.sample_weights[leaf], 0.0
        if weight > 0.0:
            sizes = np.array([counts[i] + weight, counts[i], weight])
            bits = group_bits(volumes[i], sizes, rows.mean_squares[i], rows.n_features)
            added, counts[i] = float(bits[0] - bits[1] - bits[2]), sizes[0]
        nodes[i] = join(nodes[i], leaf, added)

    graph = data.adjacency
    if graph is not None or len(rows.X) <= MAX_EXACT:
        found = merges(rows, edges=graph)
    else:
        groups = Partition(rows, cells(rows.X, rows.weights, N_CELLS)).groups
        leaves, nodes = nodes, []
        for group in groups:
            node, *others = (leaves[i] for i in group.members)
            bits = group.bits - float(np.sum(rows.alone[group.members]))
            for other in others:  # the last merge has the cost of all of them
                node = join(node, other, bits if other == others[-1] else 0.0)
            nodes.append(node)
        found = merges(rows.take([]), groups)
    n_before = len(steps)
    found = watch(found, len(nodes) - 1)
    for a, b, bits in found if to_the_end else takewhile(lambda s: s[2] < 0.0, found):
        nodes.append(join(nodes[a], nodes[b], bits))
    children = np.array([step[:2] for step in steps], np.intp).reshape(-1, 2)
    tree = Tree(children, np.array([step[2] for step in steps]), n)
    worse = np.flatnonzero(tree.costs[n_before:] >= 0.0)
    n_merges = n_before + int(worse[0]) if len(worse) else len(steps)
    return Greedy(data, rows, tree, n_merges, len(data.joining))
