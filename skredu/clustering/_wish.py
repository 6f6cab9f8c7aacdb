"""Which partition is wanted: how many groups, and how large they are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu._compat import FIT_FRAMES
from skredu.clustering._partition import MAX_DENSE, Partition
from skredu.clustering._refinement import Watch, escape, go_on, refine, settle
from skredu.clustering._solve import Data, Solution
from skredu.clustering._starts import Starts
from skredu.clustering._tree import Tree, in_order

# Share of an even group that the smallest of a given number of groups has at least.
LEAST_SHARE = 1 / 3
# Share of the rows that they hold.
MOST = 0.9


@dataclass(frozen=True, eq=False, repr=False)
class Found:
    """Partition by greedy merging, and the one that is kept.

    Parameters
    ----------
    greedy, partition : Partition
    large : array of shape (k,)
        Which groups count; the rows of others are outliers.
    """

    greedy: Partition
    partition: Partition
    large: Any


@dataclass(frozen=True, eq=False, repr=False)
class Wish:
    """A number of groups that count, and whether to search on.

    Parameters
    ----------
    n_clusters : int or None
        Groups that count; as many as describe the rows best.
    min_cluster_size : int or "auto"
        Weight from which a group counts. "auto": that of two rows, or a third of an
        even group where a number of groups is given; any among neighbours.
    refine : bool
        Search on after greedy merging.
    """

    n_clusters: int | None
    min_cluster_size: Any
    refine: bool

    @property
    def auto(self) -> bool:
        """Whether the least weight follows from the rows."""
        return isinstance(self.min_cluster_size, str)

    @property
    def at_least(self) -> int:
        """Groups that there are at least."""
        return self.n_clusters or 1

    def least(self, data: Data) -> float:
        """Weight from which a group counts; every group where it is zero."""
        if not self.auto:
            size = float(self.min_cluster_size)
            return size / data.unit if size > 1.0 else 0.0
        if data.adjacency is not None:
            return 0.0
        if self.n_clusters is not None:
            return LEAST_SHARE * float(np.sum(data.weights)) / self.n_clusters
        return 2.0 * float(np.median(data.weights)) * (1.0 - 1e-9)

    def moves(self, data: Data) -> bool:
        """Whether rows may move between groups."""
        return self.refine and data.adjacency is None

    def find(
        self,
        solution: Solution,
        elected: Any = None,
        *,
        refined: bool = True,
        watch: Watch = go_on,
    ) -> Found:
        """Partition of the distinct rows, refined where that is wanted.

        Parameters
        ----------
        solution : Solution
        elected : array, default=None
            Labels of the partition for which the distortion was chosen.
        refined : bool, default=True
            Not where the search is to stop.
        watch : callable, default=go_on
            Called after every round of the search; says whether to stop.
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
        return Found(greedy, best, large)

    def _given(
        self,
        solution: Solution,
        n_groups: int,
        elected: Any,
        refined: bool,
        watch: Watch,
    ) -> Found:
        """Partition with a number of groups, with the fewest bits of those found."""
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
            return Found(greedy or best, best, self.are_large(best, least))
        greedy = self._cut(solution, n_groups, 0.0)
        exact = [p for p in [greedy, *found] if len(p.groups) == n_groups]
        best = min(exact, key=lambda partition: partition.bits)
        return Found(greedy, best, self.are_large(best, 0.0 if self.auto else least))

    def suits(self, partition: Partition, least: float) -> bool:
        """Whether the number of groups that count is the one that was given.

        If no size is given they also hold most rows.
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
        """Partitions that the search ends at, from several starts."""
        rows, found = solution.rows, []
        if elected is not None:
            found = [Partition(rows, elected)]
            if self.suits(found[0], least):
                return found
        begun = [Partition(rows, s) for s in Starts(rows).given(n_groups, least)]
        found += [settle(partition, n_groups, watch) for partition in begun]
        return found + begun

    def _cut(self, solution: Solution, n_groups: int, least: float) -> Any:
        """Best cut of the tree with so many groups that hold most rows, if any.

        Smaller groups beside them are outliers.
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
        """Labels of the leaves in the last cut with so many groups that count."""
        n_large, _ = tree.count_large(weights, least)
        cuts = np.flatnonzero(n_large == n_clusters)
        if len(cuts) == 0:
            raise ValueError(self._nowhere(tree, n_clusters, least, weights))
        return tree.cut(int(cuts[-1]))

    def _nowhere(self, tree: Tree, n_clusters: int, least: float, weights: Any) -> str:
        n_large, _ = tree.count_large(weights, least)
        size = (
            "" if self.auto else f" of min_cluster_size={self.min_cluster_size} or more"
        )
        return (
            f"n_clusters={n_clusters} groups{size} are nowhere in the tree of "
            f"merges of n_samples={len(weights)} rows: it has up to {n_large.max()} of "
            "them. Ask for no more, for smaller ones, or leave one of the two out."
        )

    def are_large(self, partition: Partition, least: float) -> Any:
        """Which groups count: by weight or, where that is not given, by rows."""
        counts = np.array([group.count for group in partition.groups])
        large = counts >= least
        if self.auto:
            rows = np.array([len(members) for members in partition.members])
            large |= rows * float(np.median(partition.rows.weights)) >= least
        return large

    def check(self, found: Found, solution: Solution, epsilon: float) -> None:
        """Refuse groups of other sizes than given; warn of small ones and of noise."""
        least = self.least(solution.data)
        if self.n_clusters is not None and not self.suits(found.partition, least):
            if not self.auto:
                tree, weights = solution.tree, solution.data.leaves
                raise ValueError(self._nowhere(tree, self.n_clusters, least, weights))
            search = "" if self.moves(solution.data) else "refine=True, "
            warnings.warn(
                f"n_clusters={self.n_clusters} groups with at least a third of the "
                "rows of an even group each were not found: some groups are smaller. "
                f"Try a smaller n_clusters, another epsilon, {search}or "
                "min_cluster_size=1 if such groups are welcome.",
                stacklevel=3 + FIT_FRAMES,
            )
        noise = 1.0 - held_by(found.partition, found.large)
        if noise > 0.5:
            warnings.warn(
                f"{noise:.0%} of the rows are outliers: at "
                f"epsilon={epsilon:.3g} hardly any groups reach "
                f"min_cluster_size={self.min_cluster_size}. Try a larger epsilon, a "
                "smaller min_cluster_size, or n_clusters=None.",
                stacklevel=3 + FIT_FRAMES,
            )


def held_by(partition: Partition, large: Any) -> float:
    """Share of the rows, by weight, in the groups that count."""
    sizes = np.array([group.count for group in partition.groups])
    return float(np.sum(sizes[large]) / np.sum(sizes))


def named(labels: Any, large: Any) -> Any:
    """Labels of sorted rows in their order, -1 where the group does not count."""
    counting = large[labels]
    names = np.full(len(labels), -1)
    if counting.any():
        names[counting] = in_order(labels[counting])
    return names
