"""The tree of greedy merging, and the search for a partition as requested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin

from skredu._base import warn
from skredu.clustering._merging import merges
from skredu.clustering._partition import (
    MAX_CELLS,
    MAX_DENSE,
    Partition,
    Watch,
    cells,
    escape,
    go_on,
    refine,
    settle,
)
from skredu.clustering._rows import Data, Samples, even_choice

# Largest number of distinct samples of which all pairs are considered.
MAX_EXACT = 10_000
# More samples are first gathered in this number of cells, which are then merged.
N_CELLS = 256
# Largest number of samples whose pairs are all considered; of more, an even choice.
MAX_CHOSEN = 1000
# Largest number of smaller groups in addition to those that count.
MAX_SMALL = 15
# Smallest size of one of a given number of groups, relative to an equally sized group.
LEAST_SIZE = 1 / 3
# Smallest share of the samples in these groups.
MOST = 0.9


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
                return in_order(above[:n])
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

    def linkage(self) -> Any:
        """Return the linkage matrix of SciPy, with the sum of moved bits as heights."""
        sizes = self.sizes(np.ones(self.n_leaves))[self.n_leaves :]
        heights = np.cumsum(np.abs(self.costs))
        return np.column_stack([self.children, heights, sizes]).astype(float)


def in_order(labels: Any) -> Any:
    """Return labels as integers from 0, in the order of their first occurrence."""
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


def grow(heads: Any, joins: Iterable[Any], merges: Iterable[Any]) -> Tree:
    """Build a tree from leaves that join a group first, and from merges of groups.

    Parameters
    ----------
    heads : array of shape (m,)
        One leaf of each of the groups to merge, by name.
    joins : iterable of (name, leaf, bits)
        Leaves that join the group of this name before groups are merged.
    merges : iterable of (name, name, bits)
        Merges of the groups, as `skredu.clustering._merging.merges` yields them.
    """
    nodes = [int(leaf) for leaf in heads]
    joined = [(name, int(leaf), bits) for name, leaf, bits in joins]
    n = len(nodes) + len(joined)
    children: list[tuple[int, int]] = []
    costs: list[float] = []
    for name, leaf, bits in joined:
        children.append((nodes[name], leaf))
        nodes[name] = n + len(costs)
        costs.append(bits)
    for a, b, bits in merges:
        children.append((nodes[a], nodes[b]))
        nodes.append(n + len(costs))
        costs.append(bits)
    pairs = np.array(children, dtype=np.intp).reshape(-1, 2)
    return Tree(pairs, np.array(costs), n)


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """Tree of merges, and where greedy merging stops.

    Parameters
    ----------
    rows : Samples
    data : Data
    tree : Tree
        Tree of all original samples.
    n_equal : int
        Number of merges of equal samples, which come before all others.
    n_merges : int
        Number of merges before the first one that adds bits.
    """

    rows: Samples
    data: Data
    tree: Tree
    n_equal: int
    n_merges: int

    def partition(self, n_merges: int) -> Partition:
        """Return the partition of the distinct samples after some merges."""
        return Partition(self.rows, self.tree.cut(n_merges)[self.data.heads])


def solve(
    data: Data,
    epsilon: float,
    assume_centered: bool,
    watch: Callable[[Iterator[Any], int], Iterator[Any]] = lambda steps, _: steps,
    *,
    to_the_end: bool = True,
) -> Solution:
    """Merge samples greedily, to a single group or as long as bits are saved.

    ``watch`` observes the merges.
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


def _equal_rows(data: Data, rows: Samples) -> Iterator[tuple[int, int, float]]:
    """Yield samples that join an equal one, and the bits of these merges."""
    counts = data.leaves[data.heads]  # a copy
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
    """Merge the samples of each cell, and return the names of the cells, too."""
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


class Starts:
    """Partitions by distances: by Ward's method, by k-means, and into small cells.

    For more than 1000 samples, an evenly spaced choice is partitioned, and the others
    are assigned to the nearest mean.

    Parameters
    ----------
    rows : Samples
    """

    def __init__(self, rows: Samples) -> None:
        self.rows, self.index = rows, even_choice(len(rows), MAX_CHOSEN)
        self.some = rows.X[self.index]
        n = len(self.index)
        children = linkage(self.some, "ward")[:, :2] if n > 1 else np.empty((0, 2))
        self.tree = Tree(children.astype(np.intp), np.zeros(n - 1), n)

    def ward(self, n_groups: int) -> Any:
        """Return labels of a number of groups, or of all samples if there are fewer."""
        n = len(self.index)
        return self._of_all(self.tree.cut(n - min(n_groups, n)))

    def given(self, n_groups: int, least: float) -> Iterator[Any]:
        """Yield labels to start from if the number of groups is given.

        These are Ward's groups, a larger number of Ward's groups of which as many as
        wanted have a weight of at least ``least``, those of k-means, and small cells.
        """
        yield self.ward(n_groups)
        for k in range(n_groups + 1, min(n_groups + MAX_SMALL, len(self.index)) + 1):
            labels = self.ward(k)
            sizes = np.bincount(labels, self.rows.weights)
            if np.count_nonzero(sizes >= least) == n_groups:
                yield labels
                break
        model = KMeans(min(n_groups, len(self.index)), n_init=3, random_state=0)
        weights = self.rows.weights[self.index]
        yield self._of_all(model.fit_predict(self.some, sample_weight=weights))
        yield cells(self.rows, max(MAX_CELLS, 2 * n_groups))

    def _of_all(self, labels: Any) -> Any:
        if len(labels) == len(self.rows):
            return labels
        means = [self.some[labels == label].mean(axis=0) for label in np.unique(labels)]
        return pairwise_distances_argmin(self.rows.X, np.array(means))


# The partition of greedy merging, the final partition, and which of its groups count;
# the samples of all other groups are outliers.
Found = tuple[Partition, Partition, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Wanted:
    """The requested number of groups, their sizes, and whether to refine.

    Parameters
    ----------
    n_clusters : int or None
        Number of groups that count; None for the number that describes the samples
        best.
    min_cluster_size : int or "auto"
        Smallest weight of a group that counts. ``"auto"`` means that of two samples, or
        a third of an equally sized group if a number of groups is given, and any weight
        with neighbours.
    refine : bool
        Whether to continue the search after greedy merging.
    """

    n_clusters: int | None
    min_cluster_size: Any
    refine: bool

    @property
    def auto(self) -> bool:
        """Whether the smallest weight depends on the samples."""
        return isinstance(self.min_cluster_size, str)

    def least(self, data: Data) -> float:
        """Return the smallest weight of a group that counts, zero if all count."""
        if not self.auto:
            size = float(self.min_cluster_size)
            return size / data.unit if size > 1.0 else 0.0
        if data.adjacency is not None:
            return 0.0
        if self.n_clusters is not None:
            return LEAST_SIZE * float(np.sum(data.weights)) / self.n_clusters
        return 2.0 * float(np.median(data.weights)) * (1.0 - 1e-9)

    def moves(self, data: Data) -> bool:
        """Whether samples may move between groups."""
        return self.refine and data.adjacency is None

    def find(
        self,
        solution: Solution,
        elected: Any = None,
        *,
        refined: bool = True,
        watch: Watch = go_on,
    ) -> Found:
        """Find the partition of the distinct samples, and refine it if requested.

        Parameters
        ----------
        solution : Solution
        elected : array, default=None
            Labels of the partition for which the distortion was chosen.
        refined : bool, default=True
            Whether to refine; False if the search should stop.
        watch : callable, default=go_on
            Called after every round of the search; returns whether to stop.
        """
        refined = refined and self.moves(solution.data)
        if self.n_clusters is not None:
            return self._given(solution, self.n_clusters, elected, refined, watch)
        best = greedy = solution.partition(solution.n_merges)
        if refined and elected is not None:
            best = Partition(solution.rows, elected)
        elif refined:
            best = refine(solution.rows, greedy.labels, watch=watch)
        large = self.are_large(best, self.least(solution.data))
        if self.auto and held_by(best, large) < 0.5:
            large[:] = True
        return greedy, best, large

    def _given(
        self,
        solution: Solution,
        n_groups: int,
        elected: Any,
        refined: bool,
        watch: Watch,
    ) -> Found:
        """Return the best partition that was found with the given number of groups."""
        least = self.least(solution.data)
        greedy = self._cut(solution, n_groups, least)
        found = [] if greedy is None else [greedy]
        if refined:
            found += self._settled(solution, n_groups, elected, least, watch)
        counting = [p for p in found if self.suits(p, least)]
        if counting:
            best = min(counting, key=lambda partition: partition.bits)
            if refined and solution.rows.X.shape[1] <= MAX_DENSE:
                better = escape(best, len(best.groups), watch)
                if self.suits(better, least):
                    best = better
            return greedy or best, best, self.are_large(best, least)
        greedy = self._cut(solution, n_groups, 0.0)
        exact = [p for p in [greedy, *found] if len(p.groups) == n_groups]
        best = min(exact, key=lambda partition: partition.bits)
        return greedy, best, self.are_large(best, 0.0 if self.auto else least)

    def suits(self, partition: Partition, least: float) -> bool:
        """Return whether the number of groups that count is the given one.

        If no size is given, they also have to contain most samples.
        """
        large = self.are_large(partition, least)
        most = not self.auto or held_by(partition, large) >= MOST
        return bool(large.sum() == self.n_clusters and most)

    def _settled(
        self,
        solution: Solution,
        n_groups: int,
        elected: Any,
        least: float,
        watch: Watch,
    ) -> list[Partition]:
        """Return the partitions at which the search ends, from several starts."""
        rows, found = solution.rows, []
        if elected is not None:
            found = [Partition(rows, elected)]
            if self.suits(found[0], least):
                return found
        begun = [Partition(rows, s) for s in Starts(rows).given(n_groups, least)]
        found += [settle(partition, n_groups, watch) for partition in begun]
        return found + begun

    def _cut(self, solution: Solution, n_groups: int, least: float) -> Any:
        """Return the best cut of the tree with enough groups that contain most samples.

        All smaller groups are outliers.
        """
        tree, weights = solution.tree, solution.data.leaves
        n_large, held = tree.count_large(weights, least)
        cuts = np.flatnonzero(n_large == n_groups)
        cuts = cuts[cuts >= solution.n_equal]
        if self.auto:
            cuts = cuts[held[cuts] >= MOST * np.sum(weights)]
        if len(cuts) == 0:
            return None
        bits = np.concatenate([[0.0], np.cumsum(tree.costs)])
        return solution.partition(int(cuts[np.argmin(bits[cuts])]))

    def cut(self, tree: Tree, weights: Any, n_clusters: int, least: float) -> Any:
        """Return the labels of the last cut with this number of groups that count."""
        n_large, _ = tree.count_large(weights, least)
        cuts = np.flatnonzero(n_large == n_clusters)
        if len(cuts) == 0:
            raise ValueError(self._not_in_tree(tree, n_clusters, least, weights))
        return tree.cut(int(cuts[-1]))

    def _not_in_tree(
        self, tree: Tree, n_clusters: int, least: float, weights: Any
    ) -> str:
        n_large, _ = tree.count_large(weights, least)
        smallest = self.min_cluster_size
        size = "" if self.auto else f" of min_cluster_size={smallest} or more"
        return (
            f"n_clusters={n_clusters} groups{size} do not exist in the merge tree of "
            f"n_samples={len(weights)} samples, which has at most {n_large.max()} of "
            "them: decrease n_clusters or min_cluster_size, or omit one of the two."
        )

    def are_large(self, partition: Partition, least: float) -> Any:
        """Return which groups count, by weight or else by number of samples."""
        counts = np.array([group.count for group in partition.groups])
        large = counts >= least
        if self.auto:
            rows = np.array([len(members) for members in partition.members])
            large |= rows * float(np.median(partition.rows.weights)) >= least
        return large

    def check(self, found: Found, solution: Solution, epsilon: float) -> None:
        """Raise an error for wrong sizes; warn of small groups and of noise."""
        _, partition, large = found
        least = self.least(solution.data)
        if self.n_clusters is not None and not self.suits(partition, least):
            if not self.auto:
                tree, weights = solution.tree, solution.data.leaves
                raise ValueError(
                    self._not_in_tree(tree, self.n_clusters, least, weights)
                )
            search = "" if self.moves(solution.data) else "refine=True, "
            warn(
                f"n_clusters={self.n_clusters} groups, each with at least a third of "
                "the samples of an equally sized group, were not found: some are "
                "smaller. "
                f"Try a smaller n_clusters, another epsilon, {search}or "
                "min_cluster_size=1 to accept such groups."
            )
        noise = 1.0 - held_by(partition, large)
        if noise > 0.5:
            warn(
                f"{noise:.0%} of the samples are outliers: at "
                f"epsilon={epsilon:.3g} hardly any groups reach "
                f"min_cluster_size={self.min_cluster_size}. Try a larger epsilon, a "
                "smaller min_cluster_size, or n_clusters=None."
            )


def held_by(partition: Partition, large: Any) -> float:
    """Return the share of the samples, by weight, in the groups that count."""
    sizes = np.array([group.count for group in partition.groups])
    return float(np.sum(sizes[large]) / np.sum(sizes))


def named(labels: Any, large: Any) -> Any:
    """Return labels in order of the samples, -1 for groups that do not count."""
    counting = large[labels]
    names = np.full(len(labels), -1)
    if counting.any():
        names[counting] = in_order(labels[counting])
    return names
