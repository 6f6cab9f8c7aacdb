r"""Count, mean and scatter of a group of rows as one value that merges exactly.

The scatter :math:`S = \sum_i w_i (x_i - \mu)(x_i - \mu)^T` is held on its cheaper
side: as a ``root`` of at most ``d`` rows with ``root.T @ root == S`` while there are
fewer rows than features (never a ``d x d`` array then), and as a ``matrix`` after.
The mean is held as a sum of two floats, so that far from the origin the distance of
two means keeps its digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skredu._compat import namespace
from skredu.coding._linalg import scatter_of, widen


@dataclass(frozen=True, eq=False, repr=False)
class Scatter:
    """Weighted count, mean and scatter of a group.

    Parameters
    ----------
    count : float
        Sum of the weights.
    mean : array of shape (d,)
        Weighted mean; zero, and never moved, with ``assume_centered``.
    root : array of shape (m, d), or None
        Rows with ``root.T @ root`` equal to the scatter: made from rows, the
        weighted, centred rows themselves in their order; a merge adds one row.
    matrix : array of shape (d, d), or None
        The scatter itself; exactly one of ``root`` and ``matrix`` is set.
    assume_centered : bool
        Scatter about the origin instead of the mean.
    precise : bool
        Keep a root (by QR) even with more rows than features, so that null
        directions stay null to the square of the rounding error.
    rest : array of shape (d,), or 0.0
        What rounding took from ``mean``.
    """

    count: float
    mean: Any
    root: Any
    matrix: Any
    assume_centered: bool = False
    precise: bool = False
    rest: Any = 0.0

    @classmethod
    def from_rows(
        cls,
        X: Any,
        weights: Any = None,
        *,
        assume_centered: bool = False,
        precise: bool = False,
    ) -> Scatter:
        """Scatter of rows ``X`` of shape (n, d), a weight being a number of copies."""
        count, mean, rest, root = _centre(X, weights, assume_centered)
        return _of_root(count, mean, rest, root, assume_centered, precise)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return int(self.mean.shape[0])

    @property
    def trace(self) -> float:
        """Trace of the scatter: the weighted sum of squared distances to the mean."""
        xp = namespace(self.mean)
        if self.matrix is not None:
            return float(xp.sum(xp.linalg.diagonal(self.matrix)))
        return float(xp.sum(self.root * self.root))

    def dense(self) -> Any:
        """Return the scatter as an array of shape (d, d)."""
        return self.root.T @ self.root if self.matrix is None else self.matrix

    def merge(self, other: Scatter) -> Scatter:
        """Return the scatter of both groups together."""
        if self.count == 0.0 or other.count == 0.0:
            return self if other.count == 0.0 else other
        xp = namespace(self.mean)
        count = self.count + other.count
        share = other.count / count
        mean, rest, between = self.mean, self.rest, []
        if not self.assume_centered:
            shift = (other.mean - self.mean) + (other.rest - self.rest)
            mean, rest = _two_sum(self.mean, self.rest + shift * share)
            between = [shift[None, :] * (self.count * share) ** 0.5]
        if self.matrix is None and other.matrix is None:
            root = xp.concat([self.root, other.root, *between], axis=0)
            return _of_root(count, mean, rest, root, self.assume_centered, self.precise)
        matrix = self.dense() + other.dense()
        for row in between:
            matrix = matrix + row.T @ row
        return Scatter(count, mean, None, matrix, self.assume_centered, False, rest)


def centre(
    X: Any, weights: Any = None, *, assume_centered: bool = False
) -> tuple[float, Any, Any]:
    """Weighted count, mean, and rows ``sqrt(w) (x - mean)`` of shape (n, d)."""
    count, mean, _, rows = _centre(X, weights, assume_centered)
    return count, mean, rows


def _centre(X: Any, weights: Any, assume_centered: bool) -> tuple[float, Any, Any, Any]:
    """Weighted count, mean in two parts, and rows ``sqrt(w) (x - mean)``.

    Rows are first shifted by one of them, the heaviest, so that an offset of 1e8
    costs no digits of the scatter, and equal rows have exactly none.
    """
    xp = namespace(X)
    count = float(X.shape[0] if weights is None else xp.sum(widen(weights)))
    mean = rest = xp.zeros(X.shape[1], dtype=X.dtype, device=X.device)
    if count == 0.0:
        return count, mean, rest, X[:0, :]
    if weights is not None:
        weights = xp.astype(weights, X.dtype, copy=False)
    if not assume_centered:
        heaviest = 0 if weights is None else int(xp.argmax(weights))
        first = X[heaviest, :]
        X = X - first
        middle = xp.mean(X, axis=0) if weights is None else (weights / count) @ X
        mean, rest = _two_sum(first, middle)
        X -= middle  # by now a copy
    if weights is not None:
        X = xp.sqrt(weights)[:, None] * X
    return count, mean, rest, X


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """Sum of two arrays and what rounding took from it, exactly (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _of_root(
    count: float, mean: Any, rest: Any, root: Any, assume_centered: bool, precise: bool
) -> Scatter:
    xp = namespace(root)
    matrix = None
    if root.shape[0] > root.shape[1]:
        if precise:
            root = xp.linalg.qr(root, mode="reduced")[1]
        else:
            root, matrix = None, scatter_of(root)
    return Scatter(count, mean, root, matrix, assume_centered, precise, rest)
