r"""Local MICL: a class is what lies nearest to the row (Wright et al. 2007, section 3).

Each class is replaced by the ``n_neighbors`` rows of it nearest to the row, counted
with their weights, and their length with and without the row is compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from skredu.classification._coders import Coder, Prepared
from skredu.classification._training import Training, spread_of

Floats = NDArray[np.float64]


class LocalCoder(Coder):
    """Classes by their rows nearest to the row that is coded.

    Parameters
    ----------
    classes : list of array of shape (n_j, d)
        The rows of each class.
    weights : list of array of shape (n_j,)
        Their weights.
    searches : list of NearestNeighbors
        One a class.
    n_neighbors : int
        Weight of the neighbours that stand for a class.
    shift : array of shape (d,), or None
        Where the rows are counted from, so that far from the origin distances keep
        their digits; None to code linear subspaces through the origin.
    """

    def __init__(
        self,
        classes: list[Floats],
        weights: list[Floats],
        searches: list[NearestNeighbors],
        n_neighbors: int,
        shift: Floats | None,
    ) -> None:
        self.classes, self.weights, self.searches = classes, weights, searches
        self.n_neighbors = n_neighbors
        self.shift = shift
        self.n_classes = len(classes)
        self.n_features = float(classes[0].shape[1])
        self.counts = [float(w.sum()) for w in weights]
        # Rows that weigh n_neighbors whichever they are, and one to leave out.
        lightest = [np.cumsum(np.sort(w)) for w in weights]
        self.enough = [
            min(int(np.searchsorted(sums, n_neighbors)) + 2, len(sums))
            for sums in lightest
        ]

    @classmethod
    def fit(
        cls,
        rows: Training,
        n_neighbors: int,
        assume_centered: bool,
        n_jobs: int | None,
    ) -> LocalCoder:
        """Index the rows of every class."""
        shift = None if assume_centered else rows.X.mean(axis=0)
        X = rows.X if shift is None else rows.X - shift
        classes = [X[part] for part in rows.slices]
        searches = [NearestNeighbors(n_jobs=n_jobs).fit(part) for part in classes]
        return cls(classes, rows.class_weights(), searches, n_neighbors, shift)

    def plain(self) -> dict[str, Any]:
        """Return the state as arrays, numbers and containers."""
        names = "classes", "weights", "searches", "n_neighbors", "shift"
        return {name: getattr(self, name) for name in names}

    @classmethod
    def of_plain(cls, state: dict[str, Any]) -> LocalCoder:
        """Restore the coder from its plain state."""
        return cls(**state)

    @property
    def width(self) -> int:
        """Entries that one row takes: its neighbours of one class, four times."""
        return 4 * (max(self.enough) + 1) * int(self.n_features)

    def spread(self, rows: Training) -> float:
        """Root mean square distance of rows to their mean."""
        return spread_of(rows, self.shift is None)

    def prepare(self, X: Any) -> Prepared:
        """Every class needs the rows themselves."""
        return (X if self.shift is None else X - self.shift,)

    def joined(self, j: int, prepared: Prepared, epsilons: Any) -> Any:
        """Extra nats (b, e) of rows that are not in class ``j``."""
        (X,) = prepared
        near = self._nearest(j, X)
        return self._extra(X, j, near, self.weights[j][near], epsilons)

    def left(
        self, j: int, rows: Training, index: Any, prepared: Prepared, epsilons: Any
    ) -> Any:
        """Extra nats (b, e) of rows ``index``, all of class ``j``, when left out."""
        (X,) = prepared
        near = self._nearest(j, X)
        weights = self.weights[j][near]
        itself = near == rows.positions[index][:, None]
        weights = np.where(itself, 0.0, weights)
        return self._extra(X, j, near, weights, epsilons)

    def lengths(self, epsilons: Any) -> Any:
        """Nats of each class itself, all of its rows, of shape (k, e)."""
        rows = [
            _nats(X[None], w[None], epsilons, self.shift)[0]
            for X, w in zip(self.classes, self.weights, strict=True)
        ]
        return np.stack(rows)

    def _nearest(self, j: int, X: Floats) -> NDArray[np.intp]:
        """Find enough rows (b, m) of class ``j`` to weigh ``n_neighbors``."""
        index: NDArray[np.intp] = self.searches[j].kneighbors(
            X, n_neighbors=self.enough[j], return_distance=False
        )
        return index

    def _extra(
        self,
        X: Floats,
        j: int,
        near: NDArray[np.intp],
        weights: Floats,
        epsilons: Floats,
    ) -> Floats:
        before = np.cumsum(weights, axis=1) - weights
        weights = np.clip(self.n_neighbors - before, 0.0, weights)
        rows = self.classes[j][near].astype(np.float64)
        less = _nats(rows, weights, epsilons, self.shift)
        rows = np.concatenate([rows, X[:, None, :]], axis=1)
        weights = np.concatenate([weights, np.ones((len(X), 1))], axis=1)
        return _nats(rows, weights, epsilons, self.shift) - less


def _nats(
    rows: Floats, weights: Floats, epsilons: Floats, shift: Floats | None
) -> Floats:
    """Coding lengths (b, e) of weighted groups of rows of shape (b, m, d).

    The rows are relative to ``shift``; None for subspaces through the origin.
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
    eigenvalues = np.linalg.eigvalsh(small)
    # what rounding leaves of null directions is no dimension
    floor = small.shape[1] * np.finfo(np.float64).eps * eigenvalues[:, -1:]
    eigenvalues = np.where(eigenvalues > floor, eigenvalues, 0.0)
    scale = d / safe[:, None] / epsilons**2
    volumes = np.log1p(scale[:, :, None] * eigenvalues[:, None, :]).sum(axis=2)
    nats = (counts[:, None] + d) / 2.0 * volumes
    if shift is not None:
        nats += d / 2.0 * np.log1p(mean_squares[:, None] / epsilons**2)
    return nats
