r"""Bits of a sample that is described by its differences from similar ones.

Feature by feature, the difference of two samples takes
:math:`\frac12 \log_2(1 + d\,\delta^2/\epsilon^2)` bits, which is the coding length of a
single number about zero with the distortion :math:`\epsilon/\sqrt d`. The logarithm
keeps a single feature from outweighing all others.

Samples that are similar to one with gaps are found after conditional means have
replaced missing features in all of them, but only the features that it has are coded.

With a symmetry, the nearest ones are those among all images of the training samples.
The distance of a sample from an image of another is that of an image of the sample from
the other itself, so images of the training samples are neither stored nor indexed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from skredu.coding._linalg import blocks_of_rows
from skredu.coding._missing import NOISE, completed, expected_scatters
from skredu.coding._rows import Rows, n_candidates, neighbours
from skredu.coding._scatter import Scatter
from skredu.coding._symmetry import Permutations, images
from skredu.outliers._gaussian import ratio

Floats = NDArray[np.float64]

# Distances that differ by a smaller share are equal, up to rounding.
TIED = 1e-10


class Nearest:
    """Training samples, of which the nearest ones describe a sample.

    Parameters
    ----------
    X : array of shape (n, d)
        Distinct training samples minus ``origin``, in double precision and without
        gaps.
    weights : array of shape (n,)
    n_neighbors : int
        Weight of the samples that describe a sample.
    search : NearestNeighbors
        Finds the samples with the smallest sums of absolute differences.
    origin : array of shape (d,)
        Vector that is subtracted from samples, so that differences are precise.
    usual : array of shape (d,)
        Mean bits of each feature in the training samples that have it.
    normal : tuple of arrays of shapes (d,) and (d, d), or None
        Mean and covariance of the training samples, by which samples are completed.
        None if they have no gaps.
    symmetry : array of int of shape (g, d), default=None
        Permutations of features; images of training samples under them describe
        samples, too.
    """

    def __init__(
        self,
        X: Any,
        weights: Floats,
        n_neighbors: int,
        search: NearestNeighbors,
        origin: Any,
        usual: Any,
        normal: tuple[Floats, Floats] | None = None,
        symmetry: Permutations | None = None,
    ) -> None:
        self.X, self.weights, self.n_neighbors = X, weights, n_neighbors
        self.search, self.origin = search, origin
        self.usual, self.normal, self.symmetry = usual, normal, symmetry

    @classmethod
    def fit(
        cls,
        rows: Rows,
        epsilon: float,
        n_neighbors: int,
        n_jobs: int | None,
        symmetry: Permutations | None = None,
    ) -> tuple[Nearest, Floats]:
        """Index distinct samples; return their bits, left out."""
        X, weights, normal = rows.X, rows.all_weights, None
        there, d = ~np.isnan(X), X.shape[1]
        origin = np.where(there, X, 0.0).sum(axis=0, dtype=np.float64)
        origin /= np.maximum(there.sum(axis=0), 1)
        if symmetry is not None:  # an origin that is its own image
            origin = np.mean(origin[symmetry], axis=0)
        X = X - origin
        if not there.all():
            (scatter,) = expected_scatters(rows, assume_centered=False)
            normal = _moments(scatter)
            normal = normal[0] - origin, normal[1]
            X = completed(X, *normal)
        search = NearestNeighbors(metric="manhattan", n_jobs=n_jobs).fit(X)
        known = search, origin, np.zeros(d), normal, symmetry
        found = cls(X, weights, n_neighbors, *known)
        lengths = found._lengths(X, epsilon, np.arange(len(X)))
        shares = weights[:, None] * there
        total = np.maximum(shares.sum(axis=0), np.finfo(float).tiny)
        found.usual = (shares * lengths).sum(axis=0) / total
        return found, found._total(lengths, there)

    def bits(self, X: Any, epsilon: float) -> Floats:
        """Return the mean number of bits of new samples (b,) given their nearest ones.

        Samples with gaps take as many as if they had all features.
        """
        X = X - self.origin
        there = ~np.isnan(X)
        if not there.all():
            normal = self.normal
            if normal is None:
                normal = _moments(Scatter.from_rows(self.X, self.weights))
            X = completed(X, *normal)
        return self._total(self._lengths(X, epsilon), there)

    def _lengths(self, X: Floats, epsilon: float, own: Any = None) -> Floats:
        """Return the mean bits (b, d) of features of samples without gaps.

        ``own`` are their positions in the training data if they are left out.
        """
        d, found = X.shape[1], np.empty_like(X)
        most = n_candidates(self.weights, self.n_neighbors)
        n_images = 1 if self.symmetry is None else len(self.symmetry)
        for block in blocks_of_rows(len(X), 4 * most * n_images * d):
            left_out = None if own is None else own[block]
            apart, weights = self._differences(X[block], most, left_out)
            apart *= d**0.5 / epsilon
            lengths = np.log1p(apart * apart) / (2.0 * math.log(2.0))
            total = weights.sum(axis=1)  # zero if there is no other sample
            weights = weights / np.where(total > 0.0, total, 1.0)[:, None]
            found[block] = (weights[:, None, :] @ lengths)[:, 0, :]
        return found

    def _differences(self, X: Floats, most: int, own: Any) -> tuple[Floats, Floats]:
        """Return differences (b, m, d) of samples from their neighbours, and weights.

        The differences from images of a training sample are permuted like its features.
        """
        search, (b, d), group = self.search, X.shape, self.symmetry
        if group is None:
            given = self.weights, self.n_neighbors, most, own
            near, weights = neighbours(search, X, *given)
            return X[:, None, :] - self.X[near], weights
        turned = np.stack(images(X, group), axis=1)
        distances, near = search.kneighbors(turned.reshape(-1, d), most)
        distances, near = distances.reshape(b, -1), near.reshape(b, -1)
        order = np.argsort(distances, axis=1, kind="stable")
        distances, near = (np.take_along_axis(A, order, 1) for A in (distances, near))
        weights = self.weights[near]
        if own is not None:
            weights = np.where(near == own[:, None], 0.0, weights)
        weights = _with_ties(distances, weights, self.n_neighbors)
        counting = weights.any(axis=0)
        which = np.arange(b)[:, None], (order // most)[:, counting]
        return turned[which] - self.X[near[:, counting]], weights[:, counting]

    def _total(self, lengths: Floats, there: Any) -> Floats:
        """Return the bits of samples from those of the features that they have."""
        bits: Floats = np.where(there, lengths, 0.0).sum(axis=1)
        gaps = ~there.all(axis=1)
        usual, own = float(self.usual.sum()), there[gaps] @ self.usual
        bits[gaps] = np.where(own > 0.0, bits[gaps] * ratio(usual, own), usual)
        return bits


def _with_ties(distances: Floats, weights: Floats, most: float) -> Floats:
    """Return how much of the weight of each neighbour counts, ``most`` together.

    Distances (b, m) ascend. Several images of a sample are often at the same distance,
    since sums of absolute differences are, so equal distances count in equal shares.
    """
    apart = np.diff(distances, axis=1, prepend=-1.0, append=np.inf)
    new = apart > TIED * np.append(distances, distances[:, -1:], axis=1)
    place = np.arange(distances.shape[1])
    first = np.maximum.accumulate(np.where(new[:, :-1], place, 0), axis=1)
    last = np.where(new[:, 1:], place, place[-1])
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    sums = np.cumsum(weights, axis=1)
    before = np.take_along_axis(sums - weights, first, 1)
    total = np.take_along_axis(sums, last, 1) - before
    counting: Floats = np.clip(most - before, 0.0, total)
    return weights * counting / np.where(total > 0.0, total, 1.0)


def _moments(scatter: Scatter) -> tuple[Floats, Floats]:
    """Return mean and covariance, with noise that makes it positive definite."""
    noise = NOISE * scatter.trace / scatter.count or 1.0
    covariance = scatter.dense() / scatter.count
    return scatter.mean, covariance + noise * np.eye(len(covariance))
