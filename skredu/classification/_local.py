r"""Local MICL: classes consist of near samples (Wright et al. 2007, section 3).

Each class is replaced by its ``n_neighbors`` samples that are nearest to the new
sample, counted with their weights, and their length with and without the new sample is
compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from skredu._progress import UNWATCHED, Progress
from skredu.coding._classes import Classes
from skredu.coding._group import vector_blocks
from skredu.coding._rows import Rows, n_candidates, neighbours

Floats = NDArray[np.float64]


class LocalGroup:
    """A class represented by its samples that are nearest to the coded sample.

    Parameters
    ----------
    X : array of shape (n_j, d)
        The samples of the class minus ``shift``.
    weights : array of shape (n_j,)
    search : NearestNeighbors
        Finds the nearest samples.
    n_neighbors : int
        Weight of the neighbours that represent the class.
    shift : array of shape (d,), or None
        Vector that is subtracted from samples, so that distances far from the origin
        are precise; None to code linear subspaces through the origin.
    """

    def __init__(
        self,
        X: Any,
        weights: Floats,
        search: NearestNeighbors,
        n_neighbors: int,
        shift: Any,
    ) -> None:
        self.X, self.weights, self.search = X, weights, search
        self.n_neighbors, self.mean = n_neighbors, shift
        self.n, self.blocks = float(weights.sum()), vector_blocks(X.shape[1], X)
        self.most = n_candidates(weights, n_neighbors)

    def to_state(self) -> dict[str, Any]:
        """Return everything that predictions need as arrays, numbers and containers."""
        names = ("X", "weights", "search", "n_neighbors")
        return {**{name: getattr(self, name) for name in names}, "shift": self.mean}

    def width(self, n_epsilons: int) -> int:
        """Return how many numbers one sample takes: its neighbours, four times."""
        return 4 * (self.most + 1) * self.X.shape[1]

    def length(self, epsilons: Any) -> Any:
        """Return the length of all samples of the class in nats, of shape (e,)."""
        return _nats(self.X[None], self.weights[None], epsilons, self.mean)[0]

    def extra(self, Z: Any, epsilons: Floats, own: Any = None) -> Floats:
        """Return the extra nats (b, e) of samples.

        ``own`` are their positions in the class if they are left out.
        """
        X = Z[0].T if self.mean is None else Z[0].T - self.mean
        near, weights = neighbours(
            self.search, X, self.weights, self.n_neighbors, self.most, own
        )
        rows = self.X[near].astype(np.float64)
        less = _nats(rows, weights, epsilons, self.mean)
        rows = np.concatenate([rows, X[:, None, :]], axis=1)
        weights = np.concatenate([weights, np.ones((len(X), 1))], axis=1)
        return _nats(rows, weights, epsilons, self.mean) - less

    def without(self, Z: Any, epsilons: Floats, weights: Any, part: Any) -> Floats:
        """Return the extra nats (b, e) of left-out samples at positions ``part``."""
        return self.extra(Z, epsilons, part)


class LocalClasses(Classes):
    """Classes represented by their samples that are nearest to the coded sample."""

    @classmethod
    def fit(
        cls,
        rows: Rows,
        n_neighbors: int,
        n_jobs: int | None,
        assume_centered: bool,
        progress: Progress = UNWATCHED,
    ) -> LocalClasses:
        """Index the samples of every class."""
        shift = None if assume_centered else rows.X.mean(axis=0)
        X = rows.X if shift is None else rows.X - shift
        weights, groups = rows.all_weights, []
        for part in progress.follow("factor classes", rows.slices, len(rows.slices)):
            search = NearestNeighbors(n_jobs=n_jobs).fit(X[part])
            groups.append(
                LocalGroup(X[part], weights[part], search, n_neighbors, shift)
            )
        return cls(groups)

    def to_state(self) -> dict[str, Any]:
        """Return everything that predictions need as arrays, numbers and containers."""
        return {"neighbours": [group.to_state() for group in self.groups]}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> LocalClasses:
        """Restore the classes from what `to_state` returned."""
        return cls([LocalGroup(**group) for group in state["neighbours"]])


def _nats(
    rows: Floats, weights: Floats, epsilons: Floats, shift: Floats | None
) -> Floats:
    """Return coding lengths (b, e) of weighted groups of samples of shape (b, m, d).

    The samples are relative to ``shift``; None for subspaces through the origin.
    """
    d = rows.shape[2]
    counts = weights.sum(axis=1)
    safe = np.where(counts > 0.0, counts, 1.0)
    mean_squares = np.zeros(len(rows))
    if shift is not None:
        means = np.matmul(weights[:, None, :], rows)[:, 0, :] / safe[:, None]
        rows = rows - means[:, None, :]
        means += shift
        mean_squares = np.where(counts > 0.0, np.einsum("bi,bi->b", means, means), 0.0)
    rows = np.sqrt(weights)[:, :, None] * rows
    turned = rows.transpose(0, 2, 1)
    small = rows @ turned if rows.shape[1] < d else turned @ rows
    eps = float(np.finfo(np.float64).eps)
    eigenvalues = np.linalg.eigvalsh(small)
    null = eigenvalues <= small.shape[1] * eps * np.maximum(eigenvalues[:, -1:], 0.0)
    eigenvalues[null] = 0.0  # rounding errors
    scale = d / safe[:, None] / epsilons**2
    volumes = np.log1p(scale[:, :, None] * eigenvalues[:, None, :]).sum(axis=2)
    nats = (counts[:, None] + d) / 2.0 * volumes
    if shift is not None:
        nats += d / 2.0 * np.log1p(mean_squares[:, None] / epsilons**2)
    return nats
