"""Rows on the unit sphere, and their coordinates in the span of the training rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from skredu._compat import Interval, namespace
from skredu.coding._linalg import (
    LEAST_STILL,
    largest,
    split,
    spread_columns,
    widen,
)
from skredu.coding._old_group import left_and_right

# Lengths and factors on the unit sphere: squares and products of a few stay in range.
MODERATE = Interval(Real, 1e-50, 1e50, closed="both")


def root_mean_square(X: Any, weights: Any = None) -> float:
    """Root mean square norm of rows, one where all are zero."""
    xp = namespace(X)
    size = largest(X)
    if size == 0.0:
        return 1.0
    squares = xp.sum((X / size) ** 2, axis=1)
    if weights is None:
        return size * float(xp.mean(squares)) ** 0.5
    return size * float(xp.sum(weights / xp.sum(weights) * squares)) ** 0.5


def constant_of(X: Any, weights: Any, scaling: float) -> float:
    """Constant to append to training rows: a multiple of their size."""
    constant = scaling * root_mean_square(X, weights)
    if not 0.0 < constant < math.inf:
        raise ValueError(
            f"intercept_scaling={scaling} times the root mean square norm of X must be "
            f"a positive, finite number, found {constant}: scale the rows."
        )
    return constant


def on_sphere(X: Any, constant: float | None = None) -> Any:
    """Rows, with a constant behind them, divided by their norms.

    Rows of zeros stay where they are.
    """
    xp, dtype = namespace(X), X.dtype
    if constant is not None:
        limits = xp.finfo(dtype)
        if not limits.smallest_normal < constant < limits.max:
            X = widen(X)  # trained on rows in double precision
        place = {"dtype": X.dtype, "device": X.device}
        X = xp.concat([X, xp.full((X.shape[0], 1), constant, **place)], axis=1)
    # Squares of huge or tiny rows would not stay in range.
    sizes = xp.max(xp.abs(X), axis=1, keepdims=True)
    X = X / xp.where(sizes > 0, sizes, xp.ones_like(sizes))
    return xp.astype(normalised(X), dtype, copy=False)


def normalised(Z: Any) -> Any:
    """Rows of moderate size divided by their norms; rows of zeros stay."""
    xp = namespace(Z)
    norms = xp.sqrt(xp.sum(Z * Z, axis=1, keepdims=True))
    return Z / xp.where(norms > 0, norms, xp.ones_like(norms))


@dataclass(frozen=True, eq=False, repr=False)
class Frame:
    """Coordinates in which a network works.

    All motion happens in the span of the training rows: what of a row lies outside
    keeps its direction. With fewer training rows than features a row is therefore held
    as its coordinates in an orthonormal basis of that span and, in one more column,
    the length of the rest. Where many features are zero in all training rows, the
    coordinates are the other features.

    Parameters
    ----------
    basis : array of shape (d, r) or None
        Orthonormal columns.
    moving, still : arrays of shape (r,) and (d - r,), or None
        Features that are the coordinates, and those that are zero in training. Without
        a basis and these, all features are.
    """

    basis: Any = None
    moving: Any = None
    still: Any = None

    @classmethod
    def of(cls, Z: Any) -> Frame:
        """Frame for training rows of shape (n, d)."""
        xp, (n, d) = namespace(Z), Z.shape
        moving, still = split(xp.any(Z != 0, axis=0))
        if 0 < moving.shape[0] <= n and still.shape[0] >= LEAST_STILL * d:
            return cls(None, moving, still)
        if n < d:
            return cls(xp.astype(left_and_right(Z)[2].T, Z.dtype))
        return cls()

    def enter(self, Z: Any) -> Any:
        """Return the coordinates of rows, of shape (n, d) or (n, r + 1)."""
        if self._everything:
            return Z
        inside = self._inside(Z)
        return namespace(Z).concat([inside, self._rest(Z, inside)[1]], axis=1)

    def enter_training(self, Z: Any) -> Any:
        """Return the coordinates of the training rows, which have no rest."""
        if self._everything:
            return Z
        xp, inside = namespace(Z), self._inside(Z)
        rest = xp.zeros((Z.shape[0], 1), dtype=Z.dtype, device=Z.device)
        return xp.concat([inside, rest], axis=1)

    def leave(self, start: Any, moved: Any) -> Any:
        """Return the rows that started at ``start``, (n, d), and are at ``moved``."""
        if self._everything:
            return moved
        xp = namespace(start)
        rest, length = self._rest(start, self._inside(start))
        rest = rest / xp.where(length > 0, length, xp.ones_like(length))
        return self._back(moved[:, :-1]) + moved[:, -1:] * rest

    def operator(self, inner: Any, outer: float, n_features: int) -> Any:
        """Dense operator (d, d) from its matrix in the frame and its value outside."""
        if self._everything:
            return inner
        xp, r = namespace(inner), inner.shape[0] - 1
        eye = xp.eye(n_features, dtype=inner.dtype, device=inner.device)
        inside = inner[:r, :r] - outer * eye[:r, :r]
        return outer * eye + self._back(self._back(inside).T).T

    @property
    def _everything(self) -> bool:
        return self.basis is None and self.moving is None

    def _inside(self, Z: Any) -> Any:
        """Coordinates (n, r) of the part in the span."""
        if self.basis is not None:
            return Z @ self.basis
        return namespace(Z).take(Z, self.moving, axis=1)

    def _back(self, inside: Any) -> Any:
        """Rows (n, d) from coordinates of their part in the span."""
        if self.basis is not None:
            return inside @ self.basis.T
        return spread_columns(inside, self.moving, self.still)

    def _rest(self, Z: Any, inside: Any) -> tuple[Any, Any]:
        """Return what of rows is outside the span (n, d), and its lengths (n, 1)."""
        xp, rest = namespace(Z), Z - self._back(inside)
        return rest, xp.sqrt(xp.sum(rest * rest, axis=1, keepdims=True))
