"""Rows in coordinates of their span, where a map can be improved and started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu.coding._linalg import power_of_two
from skredu.coding._sphere import root_mean_square

# Rows have the length of an axis along it, their coordinates this power of it. With 0
# (no correlation left) L-BFGS takes half as many iterations as with 1, but finds the
# noise of short axes as fast as the rest; more is slower and safer (measured).
POWER = 1.5
# Weight of the variance beside the share of it that lies between classes.
TIE = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class Coordinates:
    """Rows, with a constant behind them, in coordinates along their principal axes.

    A map of the training rows is a map of their coordinates: what it does outside
    their span does not matter to them.

    Parameters
    ----------
    rows : ndarray of shape (n, r)
        The coordinates, of root mean square ``gains``.
    shares : ndarray of shape (n,)
        Weights of the rows, summing to one.
    scales : ndarray of shape (r,)
        Root mean square of the rows along each axis, downwards.
    gains : ndarray of shape (r,)
        The same of the coordinates: a power of the scales, relative to the greatest.
    axes : ndarray of shape (r, d) or (r, d + 1)
        Orthonormal axes of the span.
    constant : float or None
        What is appended to rows.
    """

    rows: Any
    shares: Any
    scales: Any
    gains: Any
    axes: Any
    constant: float | None

    @classmethod
    def of(cls, X: Any, weights: Any, scaling: float | None) -> Coordinates:
        """Find the coordinates of rows (n, d), with weights (n,)."""
        unit, given = power_of_two(X) if np.any(X) else 1.0, np.finfo(X.dtype)
        X = X.astype(np.float64) / unit
        constant = None
        if scaling is not None:
            constant = scaling * root_mean_square(X, weights)
            X = np.concatenate([X, np.full((len(X), 1), constant)], axis=1)
            constant *= unit
        shares = weights / np.sum(weights)
        roots = np.sqrt(shares)[:, None]
        U, sigma, axes = np.linalg.svd(roots * X, full_matrices=False)
        rank = int(np.count_nonzero(sigma > 4 * min(X.shape) * given.eps * sigma[0]))
        rows = U[:, :rank] / roots
        sign, scales = _signs(rows), sigma[:rank]
        _check_size(unit * float(sigma[0]), float(given.max) / 8.0 / X.shape[1])
        gains = (scales / scales[:1]) ** POWER
        axes = axes[:rank] * sign[:, None]
        return cls(rows * sign * gains, shares, unit * scales, gains, axes, constant)

    def principal(self, n_components: int) -> Any:
        """Map (m, r) to the rows along their longest axes."""
        m = min(n_components, len(self.scales))
        W = np.zeros((m, len(self.scales)))
        W[np.arange(m), np.arange(m)] = self.scales[:m] / self.scales[:1]
        return W / self.gains

    def discriminant(self, n_components: int, slices: list[slice]) -> Any:
        """Map (m, r) to the directions of the class means, then the longest others."""
        # where means are as far in several directions, the longer one comes first
        B = np.diag(TIE * (self.scales / self.scales[:1]) ** 2)
        for part in slices:
            mean = self.shares[part] @ self.rows[part] / self.gains
            B += np.outer(mean, mean) / np.sum(self.shares[part])
        W = np.linalg.eigh(B)[1].T[::-1][:n_components] / self.gains
        return W * _signs(self.rows @ W.T)[:, None]

    def random(self, n_components: int, generator: Any) -> Any:
        """Map (m, r) with independent normal entries."""
        m = min(n_components, len(self.scales))
        return generator.normal(size=(m, len(self.scales)))

    def enter(self, components: Any, intercept: Any) -> Any:
        """Map (m, r) of coordinates that does what one of rows does."""
        W = np.asarray(components, dtype=np.float64)
        if self.constant is not None:
            last = np.asarray(intercept, dtype=np.float64) / self.constant
            W = np.concatenate([W, last[:, None]], axis=1)
        return (W @ self.axes.T) * (self.scales / self.gains)

    def scaled(self, W: Any) -> Any:
        """Map whose rows have the root mean square norm one, unless all are zero."""
        size = float(np.linalg.norm(W * self.gains))
        return W / size if size > 0.0 else W

    def leave(self, W: Any, n_components: int) -> tuple[Any, Any]:
        """Components (m, d) and intercept (m,) of a map of coordinates."""
        M = np.zeros((n_components, self.axes.shape[1]))
        M[: len(W)] = (W * (self.gains / self.scales)) @ self.axes
        if self.constant is None:
            return M, np.zeros(n_components)
        return M[:, :-1], M[:, -1] * self.constant


def _check_size(size: float, most: float) -> None:
    """Refuse rows whose size has no inverse among the floats."""
    if size > 0.0 and not 1.0 / most < size < most:
        raise ValueError(
            f"X has a root mean square of {size:.3g} along its longest axis, and must "
            f"have one from {1.0 / most:.3g} to {most:.3g}: scale the rows."
        )


def _signs(Y: Any) -> Any:
    """Signs by which the largest entry of each column turns positive.

    Like this the sign of an axis follows the rows, not the basis they are given in.
    """
    return np.sign(Y[np.argmax(np.abs(Y), axis=0), np.arange(Y.shape[1])])
