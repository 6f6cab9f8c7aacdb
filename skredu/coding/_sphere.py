"""Projection of samples of any magnitude to the unit sphere."""

from __future__ import annotations

from numbers import Real
from typing import Any

from skredu._compat import Interval, namespace
from skredu.coding._linalg import largest, widen

# Range of lengths and factors on the unit sphere, such that products of a few are
# finite.
MODERATE = Interval(Real, 1e-50, 1e50, closed="both")


def root_mean_square(X: Any, weights: Any = None) -> float:
    """Return the root mean square norm of samples; one if all are zero."""
    xp = namespace(X)
    size = largest(X)
    if size == 0.0:
        return 1.0
    squares = xp.sum((X / size) ** 2, axis=1)
    if weights is None:
        return size * float(xp.mean(squares)) ** 0.5
    return size * float(xp.sum(weights / xp.sum(weights) * squares)) ** 0.5


def on_sphere(X: Any, constant: float | None = None) -> Any:
    """Divide samples, with a constant appended if there is one, by their norms.

    Zeros stay zeros.
    """
    xp, dtype = namespace(X), X.dtype
    if constant is not None:
        limits = xp.finfo(dtype)
        if not float(limits.smallest_normal) < constant < float(limits.max):
            X = widen(X)  # fitted to double-precision samples
        place = {"dtype": X.dtype, "device": X.device}
        X = xp.concat([X, xp.full((X.shape[0], 1), constant, **place)], axis=1)
    # The squares of huge or tiny samples would be out of range.
    sizes = xp.max(xp.abs(X), axis=1, keepdims=True)
    X = X / xp.where(sizes > 0, sizes, xp.ones_like(sizes))
    return xp.astype(normalised(X), dtype, copy=False)


def normalised(Z: Any) -> Any:
    """Divide samples of moderate magnitude by their norms; zeros stay zeros."""
    xp = namespace(Z)
    norms = xp.sqrt(xp.sum(Z * Z, axis=1, keepdims=True))
    return Z / xp.where(norms > 0, norms, xp.ones_like(norms))
