r"""Responses of signals to a bank of filters, and the nonlinearity after them.

Responses are cyclic cross-correlations,

.. math:: y_f[t] = \sum_c \sum_s w_{fc}[s] \, x_c[t + s]

with indices modulo the grid. Signals have the shape (b, channels, *grid), filters have
the shape (n_filters, channels, *kernel), and responses (b, n_filters, *grid).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.ndimage import gaussian_filter

from skredu.lifting._grid import Shape

# Costs in multiplications: COPY_COST to copy a number into a patch, and FOURIER_COST
# per point, times log2(2 points), for a transform. They were measured on one core in
# both precisions, and are accurate enough to choose the faster method.
COPY_COST, FOURIER_COST = 15, 6
# Largest number of entries of the patches of a row.
MAX_PATCHES = 2**22
# How the values in a cell are summarised: functions of an array and the axes of a cell.
POOLS: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "mean": lambda Z, axes: np.mean(Z, axis=axes),
    "max": lambda Z, axes: np.max(Z, axis=axes),
    "share": lambda Z, axes: np.mean(Z > 0, axis=axes, dtype=Z.dtype),
}


def correlator(filters: Any, grid: Shape) -> tuple[Callable[[Any], Any], int]:
    """Return the faster function for a bank, and how many values it needs per row."""
    n_filters, n_channels, *kernel = filters.shape
    points, taps = math.prod(grid), n_channels * math.prod(kernel)
    products = taps * (COPY_COST + n_filters)
    transforms = FOURIER_COST * (n_filters + n_channels) * math.log2(2 * points)
    transforms += n_filters * n_channels
    if products <= transforms and taps * points <= MAX_PATCHES:
        bank = np.reshape(filters, (n_filters, -1))
        return lambda X: bank @ _patches(X, kernel), (taps + n_filters) * points
    axes = tuple(range(2, filters.ndim))
    spectra = np.conj(fft.rfftn(filters, s=grid, axes=axes))
    return lambda X: _by_fourier(X, spectra), 2 * (n_filters + n_channels) * points


def _patches(X: Any, kernel: Any) -> Any:
    """Return the patches at all points as columns, (b, channels * taps, points)."""
    m = len(kernel)
    widths = [(0, 0), (0, 0), *((0, size - 1) for size in kernel)]
    axes = tuple(range(2, 2 + m))
    windows = sliding_window_view(np.pad(X, widths, mode="wrap"), kernel, axis=axes)
    # (b, channels, *grid, *kernel) -> (b, channels, *kernel, *grid)
    windows = np.moveaxis(windows, axes, range(-m, 0))
    return np.reshape(windows, (len(X), -1, math.prod(X.shape[2:])))


def _by_fourier(X: Any, spectra: Any) -> Any:
    """Multiply spectra frequency by frequency."""
    grid, axes = X.shape[2:], tuple(range(2, X.ndim))
    signals = fft.rfftn(X, axes=axes)
    if X.shape[1] == 1:
        product = signals * spectra[:, 0]
    else:  # one matrix product per frequency
        signals = np.moveaxis(signals, (0, 1), (-2, -1))
        product = signals @ np.moveaxis(spectra, (0, 1), (-1, -2))
        product = np.moveaxis(product, (-2, -1), (0, 1))
    return fft.irfftn(product, s=grid, axes=axes)


def nonlinear(
    Y: Any,
    grid: Shape,
    *,
    activation: str | None,
    threshold: float,
    root: bool,
    widths: tuple[float, ...],
    out: Any,
) -> None:
    """Threshold responses, take their square roots, and average them.

    Parameters
    ----------
    Y : array of shape (b, n_filters, points)
        The responses.
    grid : tuple of int
        Shape of the grid.
    activation : {"relu", "soft", "split"} or None
        The nonlinearity, see `ConvolutionalLifting`.
    threshold : float
        In units of the root mean square of the responses of a row.
    root : bool
        Whether square roots are taken.
    widths : tuple of float
        Standard deviation of the Gaussian of the average along each axis, in points.
    out : array of shape (b, channels, points)
        Where the result is written.
    """
    size = np.zeros((len(Y), 1, 1), dtype=Y.dtype)
    if threshold > 0 or root:
        np.sqrt(np.mean(Y * Y, axis=(1, 2), keepdims=True), out=size)
    # No response exceeds the square root of their number; larger levels may overflow.
    largest = 2.0 * math.sqrt(math.prod(Y.shape[1:]))
    _activate(Y, activation, size.dtype.type(min(threshold, largest)) * size, out)
    if root:
        np.copysign(np.sqrt(np.abs(out) * size), out, out=out)
    if any(widths):
        signals = np.reshape(out, (*out.shape[:2], *grid))
        gaussian_filter(signals, (0.0, 0.0, *widths), output=signals, mode="wrap")


def pool(Z: Any, grid: Shape, coarse: Shape, by: str) -> Any:
    """Summarise channels (b, channels, points) over the cells of a coarse grid.

    Returns an array of shape (b, channels, cells).
    """
    shape = [*Z.shape[:2]]
    for side, cells in zip(grid, coarse, strict=True):
        shape += [cells, side // cells]
    axes = tuple(range(3, len(shape), 2))
    return np.reshape(POOLS[by](np.reshape(Z, shape), axes), (*Z.shape[:2], -1))


def _activate(Y: Any, activation: str | None, level: Any, out: Any) -> None:
    """Write the amounts by which responses exceed a level into ``out``."""
    if activation is None:
        out[...] = Y
    elif activation == "soft":
        np.subtract(Y, np.clip(Y, -level, level), out=out)
    else:
        above, below = out[:, : Y.shape[1]], out[:, Y.shape[1] :]
        np.maximum(np.subtract(Y, level, out=above), 0, out=above)
        if activation == "split":
            np.maximum(np.subtract(-Y, level, out=below), 0, out=below)


def moderate(X: Any) -> tuple[Any, Any]:
    """Divide rows by powers of two if the squares of their values are out of range.

    Returns the rows (n, d) and the exponents (n, 1), which are zero for almost all
    rows.
    """
    largest = np.maximum(np.max(X, axis=1), -np.min(X, axis=1))
    exponents = np.frexp(largest)[1]
    far = np.abs(exponents) > np.finfo(X.dtype).maxexp // 4
    exponents = np.where(far, exponents, 0)[:, None]
    return (np.ldexp(X, -exponents) if np.any(far) else X), exponents
