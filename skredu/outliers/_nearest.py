r"""Bits of a sample that is described by its differences from similar ones.

Feature by feature, the difference of two samples takes
:math:`\frac12 \log_2(1 + d\,\delta^2/\epsilon^2)` bits, which is the coding length of a
single number about zero with the distortion :math:`\epsilon/\sqrt d`. The logarithm
keeps a single feature from outweighing all others.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from skredu.coding._linalg import blocks_of_rows
from skredu.coding._rows import n_candidates, neighbours

Floats = NDArray[np.float64]


class Nearest:
    """Training samples, of which the nearest ones describe a sample.

    Parameters
    ----------
    X : array of shape (n, d)
        Distinct training samples minus ``origin``, in double precision.
    weights : array of shape (n,)
    n_neighbors : int
        Weight of the samples that describe a sample.
    search : NearestNeighbors
        Finds the samples with the smallest sums of absolute differences.
    origin : array of shape (d,)
        Vector that is subtracted from samples, so that differences are precise.
    """

    def __init__(
        self,
        X: Any,
        weights: Floats,
        n_neighbors: int,
        search: NearestNeighbors,
        origin: Any,
    ) -> None:
        self.X, self.weights, self.n_neighbors = X, weights, n_neighbors
        self.search, self.origin = search, origin

    @classmethod
    def fit(cls, X: Any, weights: Any, n_neighbors: int, n_jobs: int | None) -> Nearest:
        """Index distinct samples."""
        origin = X.mean(axis=0, dtype=np.float64)
        X = X - origin
        search = NearestNeighbors(metric="manhattan", n_jobs=n_jobs).fit(X)
        return cls(X, weights, n_neighbors, search, origin)

    def bits(self, X: Any, epsilon: float, own: Any = None) -> Floats:
        """Return the mean number of bits of samples (b,) given their nearest ones.

        ``own`` are their positions in the training data if they are left out.
        """
        X, d = X - self.origin, X.shape[1]
        most, found = n_candidates(self.weights, self.n_neighbors), np.empty(len(X))
        for block in blocks_of_rows(len(X), 4 * most * d):
            left_out = None if own is None else own[block]
            near, weights = neighbours(
                self.search, X[block], self.weights, self.n_neighbors, most, left_out
            )
            apart = (X[block, None, :] - self.X[near]) * (d**0.5 / epsilon)
            lengths = np.log1p(apart * apart).sum(axis=2) / (2.0 * math.log(2.0))
            total = weights.sum(axis=1)  # zero if there is no other sample
            total = np.where(total > 0.0, total, 1.0)
            found[block] = (weights * lengths).sum(axis=1) / total
        return found
