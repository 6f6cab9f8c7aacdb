"""Nonlinearity after the filters: threshold, square root and local average."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Nonlinearity:
    """Nonlinearity for responses of shape (b, filters, points).

    Parameters
    ----------
    activation : {"relu", "soft", "split"} or None
    threshold : float
        Relative to the root mean square of the responses of a row.
    root : bool
        Whether to take square roots, relative to this root mean square.
    widths : tuple of float
        Standard deviation of the Gaussian average along each axis, in points.
    """

    activation: str | None
    threshold: float
    root: bool
    widths: tuple[float, ...]

    def channels(self, n_filters: int) -> int:
        """Return the number of channels for a number of filters."""
        return 2 * n_filters if self.activation == "split" else n_filters

    def apply(self, Y: Any, grid: tuple[int, ...], *, out: Any) -> None:
        """Write the result into ``out`` of shape (b, channels, points)."""
        size = np.zeros((len(Y), 1, 1), dtype=Y.dtype)
        if self.threshold > 0 or self.root:
            np.sqrt(np.mean(Y * Y, axis=(1, 2), keepdims=True), out=size)
        # No response exceeds the square root of their number, so larger thresholds are
        # equivalent, and the level does not overflow.
        most = 2.0 * math.sqrt(math.prod(Y.shape[1:]))
        self._activate(Y, size.dtype.type(min(self.threshold, most)) * size, out)
        if self.root:
            np.copysign(np.sqrt(np.abs(out) * size), out, out=out)
        if any(self.widths):
            signals = np.reshape(out, (*out.shape[:2], *grid))
            sigma = (0.0, 0.0, *self.widths)
            gaussian_filter(signals, sigma, output=signals, mode="wrap")

    def _activate(self, Y: Any, level: Any, out: Any) -> None:
        if self.activation is None:
            out[...] = Y
        elif self.activation == "soft":
            np.subtract(Y, np.clip(Y, -level, level), out=out)
        else:
            above, below = out[:, : Y.shape[1]], out[:, Y.shape[1] :]
            np.maximum(np.subtract(Y, level, out=above), 0, out=above)
            if self.activation == "split":
                np.maximum(np.subtract(-Y, level, out=below), 0, out=below)


def exponents(X: Any) -> Any:
    """Return exponents of the powers of two by which to divide rows, shape (n, 1).

    None means that the squares of all entries can be represented without scaling.
    """
    largest = np.maximum(np.max(X, axis=1), -np.min(X, axis=1))
    found = np.frexp(largest)[1]
    far = np.abs(found) > np.finfo(X.dtype).maxexp // 4
    return np.where(far, found, 0)[:, None] if np.any(far) else None
