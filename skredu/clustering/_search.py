"""The search for a partition as requested: by its number and size of groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin

from skredu._base import warn
from skredu.clustering._partition import (
    MAX_CELLS,
    Partition,
    Watch,
    cells,
    escape,
    settle,
)
from skredu.clustering._rows import MAX_DENSE, Data, Samples
from skredu.clustering._tree import Greedy, Tree
from skredu.coding._rows import even_choice

# Largest number of samples whose pairs are all considered; of more, an even choice.
MAX_CHOSEN = 1000
# Largest number of smaller groups in addition to those that count.
MAX_SMALL = 15
# Smallest size of one of a given number of groups: relative to an equally sized group,
# but at most a number of samples, or of samples per feature if this is greater. With
# the share alone, two groups of 480 samples and one of 20 are not found.
LEAST_SIZE = 1 / 3
ENOUGH = 10
PER_FEATURE = 3
# Smallest share of the samples in these groups.
MOST = 0.9


class Starts:
    """Partitions by distances: by Ward's method, by k-means, and into small cells.

    For more than 1000 samples, an evenly spaced choice is partitioned, and the others
    are assigned to the nearest mean.

    Parameters
    ----------
    rows : Samples
    """

    def __init__(self, rows: Samples) -> None:
        self.rows, self.index = rows, even_choice(len(rows.X), MAX_CHOSEN)
        self.some = rows.X[self.index]
        n = len(self.index)
        children = linkage(self.some, "ward")[:, :2] if n > 1 else np.empty((0, 2))
        self.tree = Tree(children.astype(np.intp), np.zeros(n - 1), n)

    def ward(self, n_groups: int) -> Any:
        """Return labels of a number of groups, or of all samples if there are fewer."""
        n = len(self.index)
        labels = self.tree.cut(n - min(n_groups, n))
        return labels if n == len(self.rows.X) else self._of_all(labels)

    def given(self, n_groups: int, least: float) -> Iterator[Any]:
        """Yield labels to start from if the number of groups is given.

        These are Ward's groups, a larger number of Ward's groups of which as many as
        wanted have a weight of at least ``least``, those of k-means, and small cells.
        """
        rows, n = self.rows, len(self.index)
        yield self.ward(n_groups)
        for k in range(n_groups + 1, min(n_groups + MAX_SMALL, n) + 1):
            labels = self.ward(k)
            if np.count_nonzero(np.bincount(labels, rows.weights) >= least) == n_groups:
                yield labels
                break
        model = KMeans(min(n_groups, n), n_init=3, random_state=0)
        weights = rows.weights[self.index]
        with catch_warnings():  # if means are equal up to rounding
            simplefilter("ignore", ConvergenceWarning)
            labels = model.fit_predict(self.some, sample_weight=weights)
        yield labels if n == len(rows.X) else self._of_all(labels)
        yield cells(rows.X, rows.weights, max(MAX_CELLS, 2 * n_groups))

    def _of_all(self, labels: Any) -> Any:
        means = [self.some[labels == label].mean(axis=0) for label in np.unique(labels)]
        return pairwise_distances_argmin(self.rows.X, np.array(means))


# The partition of greedy merging, the final partition, and which of its groups count;
# the samples of all other groups are outliers.
Found = tuple[Partition, Partition, Any]


class Request:
    """The requested number and size of groups, and how to find such a partition.

    Parameters
    ----------
    data : Data
    n_clusters : int or None
        Number of groups that count; None for the number that describes the samples
        best.
    min_cluster_size : int or "auto"
        Smallest weight of a group that counts. ``"auto"`` means that of two samples, or
        a third of an equally sized group (but at most that of ten samples, or of three
        per feature) if a number of groups is given, and any weight with neighbours.
    refine : bool
        Whether to continue the search after greedy merging.

    Attributes
    ----------
    auto : bool
        Whether the smallest weight depends on the samples.
    least : float
        Smallest weight of a group that counts, zero if all count.
    moves : bool
        Whether samples may move between groups.
    """

    def __init__(
        self, data: Data, n_clusters: int | None, min_cluster_size: Any, refine: bool
    ) -> None:
        self.n_clusters, self.min_cluster_size = n_clusters, min_cluster_size
        self.auto = isinstance(min_cluster_size, str)
        self.moves = refine and data.adjacency is None
        self.least = 0.0
        if not self.auto and min_cluster_size > 1:
            self.least = min_cluster_size / data.unit
        elif self.auto and data.adjacency is None:
            usual = float(np.median(data.weights)) * (1.0 - 1e-9)
            if n_clusters is None:
                self.least = 2.0 * usual
            else:
                share = LEAST_SIZE * float(np.sum(data.weights)) / n_clusters
                enough = max(ENOUGH, PER_FEATURE * data.X.shape[1])
                self.least = min(share, enough * usual)

    def counting(self, partition: Partition) -> Any:
        """Return which groups count, by weight or else by number of samples."""
        large = partition.counts >= self.least
        if self.auto:
            usual = float(np.median(partition.rows.weights))
            sizes = np.array([len(group.members) for group in partition.groups])
            large |= sizes * usual >= self.least
        return large

    def suits(self, partition: Partition) -> bool:
        """Return whether the number of groups that count is the given one.

        If no size is given, they also have to contain most samples.
        """
        large = self.counting(partition)
        most = not self.auto or share_of(partition, large) >= MOST
        return bool(large.sum() == self.n_clusters and most)

    def find(
        self,
        greedy: Greedy,
        chosen: Any = None,
        *,
        refined: bool = True,
        watch: Watch | None = None,
    ) -> Found:
        """Find the partition of the distinct samples, and refine it if requested.

        Without a number of groups, the search starts from greedy merging, and from
        small cells into which the samples are split along principal axes: this
        separates groups that greedy merging has joined too early. Then single groups
        are dissolved or split on trial. The bits never exceed those of greedy merging.

        Parameters
        ----------
        greedy : Greedy
        chosen : array, default=None
            Labels of the partition for which the distortion was chosen.
        refined : bool, default=True
            Whether to refine; False if the search should stop.
        watch : callable, default=None
            Called after every round of the search; returns whether to stop.
        """
        refined, rows = refined and self.moves, greedy.rows
        if self.n_clusters is not None:
            return self._of_number(greedy, self.n_clusters, chosen, refined, watch)
        best = start = greedy.partition(greedy.n_merges)
        if refined and chosen is not None:
            best = Partition(rows, chosen)
        elif refined:
            small = Partition(rows, cells(rows.X, rows.weights, MAX_CELLS))
            found = [start, *(settle(p, None, watch) for p in (start, small))]
            best = escape(min(found, key=lambda p: p.bits), None, watch)
        large = self.counting(best)
        if self.auto and share_of(best, large) < 0.5:
            large[:] = True
        return start, best, large

    def _of_number(
        self,
        greedy: Greedy,
        n_groups: int,
        chosen: Any,
        refined: bool,
        watch: Watch | None,
    ) -> Found:
        """Return the best partition that was found with the given number of groups."""
        rows, cut = greedy.rows, self._best_cut(greedy, n_groups, self.least)
        found = [] if cut is None else [cut]
        if refined and chosen is not None:
            found.append(Partition(rows, chosen))
        if refined and (chosen is None or not self.suits(found[-1])):
            starts = Starts(rows).given(n_groups, self.least)
            begun = [Partition(rows, labels) for labels in starts]
            found += [settle(start, n_groups, watch) for start in begun]
            found += begun
        suitable = [partition for partition in found if self.suits(partition)]
        if suitable:
            best = min(suitable, key=lambda partition: partition.bits)
            if refined and rows.X.shape[1] <= MAX_DENSE:
                better = escape(best, len(best.groups), watch)
                if self.suits(better):
                    best = better
            return cut or best, best, self.counting(best)
        cut = self._best_cut(greedy, n_groups, 0.0)
        exact = [p for p in (cut, *found) if len(p.groups) == n_groups]
        best = min(exact, key=lambda partition: partition.bits)
        return cut, best, self.counting(best) | self.auto

    def _best_cut(self, greedy: Greedy, n_groups: int, least: float) -> Any:
        """Return the best cut of the tree with enough groups that contain most samples.

        All smaller groups are outliers.
        """
        tree, weights = greedy.tree, greedy.data.sample_weights
        n_large, held = tree.count_large(weights, least)
        cuts = np.flatnonzero(n_large == n_groups)
        cuts = cuts[cuts >= greedy.n_equal]
        if self.auto:
            cuts = cuts[held[cuts] >= MOST * np.sum(weights)]
        if len(cuts) == 0:
            return None
        bits = np.concatenate([[0.0], np.cumsum(tree.costs)])
        return greedy.partition(int(cuts[np.argmin(bits[cuts])]))

    def check(self, found: Found, greedy: Greedy, epsilon: float) -> None:
        """Raise an error for wrong sizes; warn of small groups and of noise."""
        _, partition, large = found
        if self.n_clusters is not None and not self.suits(partition):
            if not self.auto:
                weights, size = greedy.data.sample_weights, self.min_cluster_size
                n_large, _ = greedy.tree.count_large(weights, self.least)
                raise ValueError(not_in_tree(self.n_clusters, size, n_large))
            search = "" if self.moves else "refine=True, "
            least = self.least * greedy.data.unit
            warn(
                f"n_clusters={self.n_clusters} groups with a total weight of at least "
                f"{least:.4g} each were not found: some are smaller. "
                f"Try a smaller n_clusters, another epsilon, {search}or "
                "min_cluster_size=1 to accept such groups."
            )
        noise = 1.0 - share_of(partition, large)
        if noise > 0.5:
            warn(
                f"{noise:.0%} of the samples are outliers: at "
                f"epsilon={epsilon:.3g} hardly any groups reach "
                f"min_cluster_size={self.min_cluster_size}. Try a larger epsilon, a "
                "smaller min_cluster_size, or n_clusters=None."
            )


def not_in_tree(n_clusters: int, min_cluster_size: Any, n_large: Any) -> str:
    """Return the message for a number of groups that no cut of a tree has.

    ``n_large`` (n_samples,) are the numbers of groups that count in all cuts.
    """
    auto = isinstance(min_cluster_size, str)
    size = "" if auto else f" of min_cluster_size={min_cluster_size} or more"
    return (
        f"n_clusters={n_clusters} groups{size} do not exist in the merge tree of "
        f"n_samples={len(n_large)} samples, which has at most {n_large.max()} of "
        "them: decrease n_clusters or min_cluster_size, or omit one of the two."
    )


def share_of(partition: Partition, large: Any) -> float:
    """Return the share of the samples, by weight, in the groups that count."""
    counts = partition.counts
    return float(np.sum(counts[large]) / np.sum(counts))
