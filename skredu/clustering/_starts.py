"""Groups by distances: partitions to begin the search for short codes with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin

from skredu.clustering._partition import Rows
from skredu.clustering._refinement import MAX_CELLS, cells
from skredu.clustering._tree import Tree

# Of more rows than this an even choice is looked at; all pairs of them are.
MAX_ROWS = 1000
# So many smaller groups may stand beside those that count.
MAX_SMALL = 15


def even_choice(n: int, most: int) -> Any:
    """Index of every so many-th of ``n`` rows."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp)


class Starts:
    """Partitions of rows by distances: by Ward's method, k-means, and small cells.

    More than 1000 rows: those of an even choice, and the others with the nearest mean.

    Parameters
    ----------
    rows : Rows
    """

    def __init__(self, rows: Rows) -> None:
        self.rows, self.index = rows, even_choice(len(rows), MAX_ROWS)
        self.some = rows.X[self.index]
        children = np.empty((0, 2))
        if len(self.index) > 1:
            children = linkage(self.some, "ward")[:, :2]
        n = len(self.index)
        self.tree = Tree(children.astype(np.intp), np.zeros(n - 1), n)

    def ward(self, n_groups: int) -> Any:
        """Labels in so many groups, or in as many as there are rows."""
        n = len(self.index)
        return self._of_all(self.tree.cut(n - min(n_groups, n)))

    def kmeans(self, n_groups: int) -> Any:
        """Labels in so many groups."""
        model = KMeans(min(n_groups, len(self.index)), n_init=3, random_state=0)
        weights = self.rows.weights[self.index]
        return self._of_all(model.fit_predict(self.some, sample_weight=weights))

    def with_small(self, n_groups: int, least: float) -> Iterator[Any]:
        """Labels with so many groups of a weight of ``least``, and smaller ones."""
        for k in range(n_groups + 1, min(n_groups + MAX_SMALL, len(self.index)) + 1):
            labels = self.ward(k)
            sizes = np.bincount(labels, self.rows.weights)
            if np.count_nonzero(sizes >= least) == n_groups:
                yield labels
                return

    def given(self, n_groups: int, least: float) -> Iterator[Any]:
        """Labels to begin with where a number of groups is given."""
        yield self.ward(n_groups)
        yield from self.with_small(n_groups, least)
        yield self.kmeans(n_groups)
        yield cells(self.rows, max(MAX_CELLS, 2 * n_groups))

    def many(self) -> Iterator[Any]:
        """Labels of more groups than are likely, to be merged."""
        yield self.ward(MAX_CELLS)
        yield cells(self.rows, MAX_CELLS)

    def _of_all(self, labels: Any) -> Any:
        if len(labels) == len(self.rows):
            return labels
        means = [self.some[labels == label].mean(axis=0) for label in np.unique(labels)]
        return pairwise_distances_argmin(self.rows.X, np.array(means))
