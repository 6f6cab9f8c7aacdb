"""What becomes of the responses of filters: sparse, compressed, smoothed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Nonlinearity:
    """What is done to responses of shape (b, filters, points).

    Parameters
    ----------
    activation : {"relu", "soft", "split"} or None
    threshold : float
        In units of the root mean square of the responses of a row.
    root : bool
        Whether square roots follow, in units of that root mean square.
    widths : tuple of float
        Standard deviation of the Gaussian that averages them along each axis, in
        points.
    """

    activation: str | None
    threshold: float
    root: bool
    widths: tuple[float, ...]

    def channels(self, n_filters: int) -> int:
        """Count the channels that so many filters make."""
        return 2 * n_filters if self.activation == "split" else n_filters

    def apply(self, Y: Any, grid: tuple[int, ...], *, out: Any) -> None:
        """Write the result into ``out`` of shape (b, channels, points)."""
        size = np.zeros((len(Y), 1, 1), dtype=Y.dtype)
        if self.threshold > 0 or self.root:
            np.sqrt(np.mean(Y * Y, axis=(1, 2), keepdims=True), out=size)
        # No response exceeds the root of their number; a level may not overflow.
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
    """Powers of two that rows (n, d) far from one are to be divided by, shape (n, 1).

    None where no row is so large or so small that squares of its entries are lost.
    """
    largest = np.maximum(np.max(X, axis=1), -np.min(X, axis=1))
    found = np.frexp(largest)[1]
    far = np.abs(found) > np.finfo(X.dtype).maxexp // 4
    return np.where(far, found, 0)[:, None] if np.any(far) else None
