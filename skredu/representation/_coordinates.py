"""Coordinates of samples in their span, in which maps are started and improved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu.coding._linalg import power_of_two
from skredu.coding._sphere import root_mean_square

# Coordinates along an axis are scaled to this power of its length. With 0 (whitening),
# L-BFGS takes half as many iterations as with 1, but finds the noise of short axes as
# fast as the rest; larger powers are slower and safer (measured).
POWER = 1.5
# Weight of the variance in addition to its share between classes.
TIE = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class Coordinates:
    """Samples, with a constant appended, in coordinates along their principal axes.

    A map of the training samples is a map of their coordinates, because its values
    outside of their span do not matter.

    Parameters
    ----------
    rows : ndarray of shape (n, r)
        The coordinates, with the root mean squares ``gains``.
    shares : ndarray of shape (n,)
        Weights of the samples, which sum to one.
    scales : ndarray of shape (r,)
        Root mean square of the samples along each axis, in decreasing order.
    gains : ndarray of shape (r,)
        Root mean square of the coordinates: a power of the scales, relative to the
        largest.
    axes : ndarray of shape (r, d) or (r, d + 1)
        Orthonormal axes of the span.
    constant : float or None
        Constant that is appended to samples.
    """

    rows: Any
    shares: Any
    scales: Any
    gains: Any
    axes: Any
    constant: float | None

    @classmethod
    def of(cls, X: Any, weights: Any, scaling: float | None) -> Coordinates:
        """Compute the coordinates of samples (n, d) with weights (n,)."""
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
        """Return the map (m, r) to the samples along their longest axes."""
        m = min(n_components, len(self.scales))
        W = np.zeros((m, len(self.scales)))
        W[np.arange(m), np.arange(m)] = self.scales[:m] / self.scales[:1]
        return W / self.gains

    def discriminant(self, n_components: int, slices: list[slice]) -> Any:
        """Return the map (m, r) to the class means, then to the longest other axes."""
        # if means are equally far in several directions, the longer one comes first
        B = np.diag(TIE * (self.scales / self.scales[:1]) ** 2)
        for part in slices:
            mean = self.shares[part] @ self.rows[part] / self.gains
            B += np.outer(mean, mean) / np.sum(self.shares[part])
        W = np.linalg.eigh(B)[1].T[::-1][:n_components] / self.gains
        return W * _signs(self.rows @ W.T)[:, None]

    def random(self, n_components: int, generator: Any) -> Any:
        """Return a map (m, r) with independent normal entries."""
        m = min(n_components, len(self.scales))
        return generator.normal(size=(m, len(self.scales)))

    def enter(self, components: Any, intercept: Any) -> Any:
        """Return the map (m, r) of coordinates that equals a map of samples."""
        W = np.asarray(components, dtype=np.float64)
        if self.constant is not None:
            last = np.asarray(intercept, dtype=np.float64) / self.constant
            W = np.concatenate([W, last[:, None]], axis=1)
        return (W @ self.axes.T) * (self.scales / self.gains)

    def scaled(self, W: Any) -> Any:
        """Scale a map such that mapped samples have root mean square norm one."""
        size = float(np.linalg.norm(W * self.gains))
        return W / size if size > 0.0 else W

    def leave(self, W: Any, n_components: int) -> tuple[Any, Any]:
        """Return components (m, d) and intercept (m,) of a map of coordinates."""
        M = np.zeros((n_components, self.axes.shape[1]))
        M[: len(W)] = (W * (self.gains / self.scales)) @ self.axes
        if self.constant is None:
            return M, np.zeros(n_components)
        return M[:, :-1], M[:, -1] * self.constant


def _check_size(size: float, most: float) -> None:
    """Raise an error if the inverse of the size of samples is out of range."""
    if size > 0.0 and not 1.0 / most < size < most:
        raise ValueError(
            f"X has a root mean square of {size:.3g} along its longest axis, but must "
            f"have one from {1.0 / most:.3g} to {most:.3g}: scale the samples."
        )


def _signs(Y: Any) -> Any:
    """Return signs with which the largest entry of each column is positive.

    With them, the sign of an axis depends on the samples and not on the basis.
    """
    return np.sign(Y[np.argmax(np.abs(Y), axis=0), np.arange(Y.shape[1])])
