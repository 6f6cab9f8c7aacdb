r"""Count, mean and scatter of a group of samples as one value that merges exactly.

The scatter :math:`S = \sum_i w_i (x_i - \mu)(x_i - \mu)^T` is represented on its
cheaper side: by a ``root`` of at most ``d`` rows with ``root.T @ root == S`` as long as
there are fewer samples than features (so that no ``d x d`` array is formed), and by a
``matrix`` otherwise. The mean is represented by the sum of two floats, so that the
distance of two means that are far from the origin is precise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from skredu._compat import namespace
from skredu.coding._linalg import MAX_DENSE_CONDITION, scatter_of, widen


@dataclass(frozen=True, eq=False, repr=False)
class Scatter:
    """Weighted count, mean and scatter of a group.

    Parameters
    ----------
    count : float
        Sum of the weights.
    mean : array of shape (d,)
        Weighted mean; always zero with ``assume_centered``.
    root : array of shape (m, d), or None
        Rows with ``root.T @ root`` equal to the scatter. If it is computed from
        samples, these are the weighted, centred samples in their order; a merge adds
        one row.
    matrix : array of shape (d, d) or (F, d, d), or None
        The scatter, block by block for signals; exactly one of ``root`` and ``matrix``
        is not None.
    assume_centered : bool
        Whether the scatter is about the origin instead of the mean.
    epsilon : float
        The smallest distortion that will be used, if it is known. If a matrix would be
        ill-conditioned there, a root is kept (by QR) even with more samples than
        features, so that null directions are precise to the square of the rounding
        error.
    rest : array of shape (d,), or 0.0
        Rounding error of ``mean``.
    shares : array of shape (m,), float or None
        Shares of the samples in the count if these are the rows of ``root``.
    """

    count: float
    mean: Any
    root: Any
    matrix: Any
    assume_centered: bool = False
    epsilon: float = math.inf
    rest: Any = 0.0
    shares: Any = None

    @classmethod
    def from_rows(
        cls,
        X: Any,
        weights: Any = None,
        *,
        assume_centered: bool = False,
        epsilon: float = math.inf,
    ) -> Scatter:
        """Compute the scatter of samples (n, d); a weight is a number of copies."""
        count, mean, rest, root = centre(X, weights, assume_centered=assume_centered)
        scatter = cls(count, mean, root, None, assume_centered, epsilon, rest)
        if root.shape[0] > root.shape[1]:
            return scatter._smaller()
        copies = 1.0 if weights is None else widen(weights)
        return replace(scatter, shares=copies / (count or 1.0))

    @property
    def trace(self) -> float:
        """Trace of the scatter: the weighted sum of squared distances to the mean."""
        xp = namespace(self.mean)
        if self.matrix is not None:
            return float(xp.sum(xp.linalg.diagonal(self.matrix)))
        return float(xp.sum(self.root * self.root))

    def condition(self, epsilon: float) -> float:
        """Return the trace of ``c S``, a bound of the condition of ``I + c S``."""
        return float(self.mean.shape[0]) / self.count / epsilon / epsilon * self.trace

    def ill_conditioned(self, epsilon: float) -> bool:
        """Return whether a matrix would be too imprecise for a distortion."""
        eps = float(namespace(self.mean).finfo(self.mean.dtype).eps)
        limit = min(MAX_DENSE_CONDITION, 1.0 / math.sqrt(eps))
        return self.count > 0.0 and self.condition(epsilon) > limit

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
        options = self.assume_centered, min(self.epsilon, other.epsilon), rest
        if self.matrix is None and other.matrix is None:
            root = xp.concat([self.root, other.root, *between], axis=0)
            return Scatter(count, mean, root, None, *options)._smaller()
        matrix = self.dense() + other.dense()
        for row in between:
            matrix = matrix + row.T @ row
        return Scatter(count, mean, None, matrix, *options)

    def _smaller(self) -> Scatter:
        """Return the scatter with at most ``d`` rows in its root, or as a matrix."""
        if self.root.shape[0] <= self.root.shape[1]:
            return self
        found = replace(self, root=None, matrix=scatter_of(self.root))
        if self.epsilon < math.inf and found.ill_conditioned(self.epsilon):
            root = namespace(self.root).linalg.qr(self.root, mode="reduced")[1]
            return replace(self, root=root)
        return found


def centre(
    X: Any, weights: Any = None, *, assume_centered: bool = False
) -> tuple[float, Any, Any, Any]:
    """Return weighted count, mean in two parts, and rows ``sqrt(w) (x - mean)``.

    The rows are first shifted by one of them, the one with the largest weight. So an
    offset of 1e8 does not reduce the precision of the scatter, and the scatter of equal
    rows is exactly zero.
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
        X -= middle  # a copy at this point
    if weights is not None:
        X = xp.sqrt(weights)[:, None] * X
    return count, mean, rest, X


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """Return the sum of two arrays and its exact rounding error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
