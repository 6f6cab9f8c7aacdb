"""Which partition of a tree of merges is wanted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu._compat import FIT_FRAMES
from skredu.clustering._partition import Partition
from skredu.clustering._solve import Solution
from skredu.clustering._tree import Tree, in_order


@dataclass(frozen=True, eq=False, repr=False)
class Wish:
    """A number of groups that count, and how hard to search.

    Parameters
    ----------
    n_clusters : int or None
        Groups that count; as many as save bits.
    min_cluster_size : int
        Weight from which a group counts; above 1, smaller ones are outliers.
    refine : bool
        Search on after greedy merging.
    """

    n_clusters: int | None
    min_cluster_size: int
    refine: bool

    @property
    def least(self) -> float:
        """Weight from which a group counts."""
        return float(self.min_cluster_size) if self.min_cluster_size > 1 else 0.0

    def find(self, solution: Solution) -> Partition:
        """Partition of the distinct rows, refined where that is wanted."""
        return self.partitions(solution, refined=self.refine)[1]

    def along(self, solutions: list[Solution]) -> list[Partition]:
        """Partitions for many distortions, found without trials.

        From large to small ones refinement may start at the partition before: where
        details are fine, greedy merging leaves rows alone that belong together.
        """
        found: list[Partition] = []
        for solution in reversed(solutions):
            start = found[-1].labels if found and self.n_clusters is None else None
            _, partition = self.partitions(
                solution, refined=self.refine, trials=False, start=start
            )
            found.append(partition)
        return found[::-1]

    def partitions(
        self,
        solution: Solution,
        *,
        refined: bool,
        trials: bool = True,
        start: Any = None,
    ) -> tuple[Partition, Partition]:
        """Partition by greedy merging, and refined; with trials, or faster."""
        n_merges, n_groups = solution.n_merges, self.n_clusters
        if n_groups is not None:
            cuts = self.cuts(solution.tree, solution.data.leaves, n_groups)
            cuts = cuts[cuts >= solution.n_equal]
            n_merges = int(cuts[np.argmin(np.abs(cuts - n_merges))])
        greedy, better = solution.partition(
            n_merges, refined, n_groups, trials=trials, start=start
        )
        if n_groups is not None and self.n_large(better) != n_groups:
            better = greedy
        return greedy, better

    def possible(self, solution: Solution) -> bool:
        """Whether the tree has as many groups that count anywhere."""
        found = solution.tree.n_large(solution.data.leaves, self.least)
        return self.n_clusters in found

    def cuts(self, tree: Tree, weights: Any, n_clusters: int) -> Any:
        """Numbers of merges after which there are so many groups that count."""
        found = tree.n_large(weights, self.least)
        cuts = np.flatnonzero(found == n_clusters)
        if len(cuts) == 0:
            raise ValueError(
                f"n_clusters={n_clusters} groups of min_cluster_size="
                f"{self.min_cluster_size} or more are nowhere in the tree of merges "
                f"of n_samples={len(weights)} rows: it has up to {found.max()} of "
                "them. Ask for no more, for smaller ones, or leave one of the two out."
            )
        return cuts

    def n_large(self, partition: Partition) -> int:
        """Count the groups that count."""
        return sum(group.count >= self.least for group in partition.groups)

    def warn(self, sizes: Any, epsilon: float) -> None:
        """Say so where most rows are outliers."""
        total, noise = float(np.sum(sizes)), float(np.sum(sizes[sizes < self.least]))
        if noise > 0.5 * total:
            warnings.warn(
                f"{noise / total:.0%} of the rows are outliers: at "
                f"epsilon={epsilon:.3g} hardly any groups reach "
                f"min_cluster_size={self.min_cluster_size}. Try a larger epsilon, a "
                "smaller min_cluster_size, or n_clusters=None.",
                stacklevel=3 + FIT_FRAMES,
            )

    def named(self, labels: Any, sizes: Any) -> Any:
        """Labels of sorted rows in their order, -1 for outliers."""
        noise = sizes[labels] < self.least
        named = np.full(len(labels), -1)
        if not noise.all():
            named[~noise] = in_order(labels[~noise])
        return named
