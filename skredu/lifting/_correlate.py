r"""Cyclic cross-correlation of signals with a bank of filters.

.. math:: y_f[t] = \sum_c \sum_s w_{fc}[s] \, x_c[t + s]

with indices modulo the grid. Signals have the shape (b, channels, *grid), filters
(n_filters, channels, *kernel), results (b, n_filters, *grid).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

# Costs in multiplications: COPY_COST to copy a number into a patch, and FOURIER_COST
# per point, times log2(2 points), for a transform. They were measured on one core in
# both precisions, and are accurate enough to choose the faster method.
COPY_COST, FOURIER_COST = 15, 6
# Largest number of entries of the patches of a row.
MOST_PATCHES = 2**22


def correlator(filters: Any, grid: tuple[int, ...]) -> tuple[Callable[[Any], Any], int]:
    """Return the faster function for a bank, and how many numbers it needs per row."""
    n_filters, n_channels, *kernel = filters.shape
    points, taps = math.prod(grid), n_channels * math.prod(kernel)
    products = taps * (COPY_COST + n_filters)
    transforms = FOURIER_COST * (n_filters + n_channels) * math.log2(2 * points)
    transforms += n_filters * n_channels
    if products <= transforms and taps * points <= MOST_PATCHES:
        return lambda X: by_products(X, filters), (taps + n_filters) * points
    spectra = spectra_of(filters, grid)
    width = 2 * (n_filters + n_channels) * points
    return lambda X: by_fourier(X, spectra), width


def by_products(X: Any, filters: Any) -> Any:
    """Correlate by a matrix product of the filters with all patches."""
    bank = np.reshape(filters, (filters.shape[0], -1))
    Y = bank @ patches(X, filters.shape[2:])
    return np.reshape(Y, (X.shape[0], len(filters), *X.shape[2:]))


def patches(X: Any, kernel: tuple[int, ...]) -> Any:
    """Return patches at all points as columns, (b, channels * taps, points)."""
    m = len(kernel)
    widths = [(0, 0), (0, 0), *((0, size - 1) for size in kernel)]
    axes = tuple(range(2, 2 + m))
    windows = sliding_window_view(np.pad(X, widths, mode="wrap"), kernel, axis=axes)
    # (b, channels, *grid, *kernel) -> (b, channels, *kernel, *grid)
    windows = np.moveaxis(windows, axes, range(-m, 0))
    return np.reshape(windows, (len(X), -1, math.prod(X.shape[2:])))


def spectra_of(filters: Any, grid: tuple[int, ...]) -> Any:
    """Return the conjugate half spectra of filters on a grid."""
    return np.conj(fft.rfftn(filters, s=grid, axes=tuple(range(2, filters.ndim))))


def by_fourier(X: Any, spectra: Any) -> Any:
    """Correlate by products of spectra at every frequency."""
    grid = X.shape[2:]
    axes = tuple(range(2, X.ndim))
    rows = fft.rfftn(X, axes=axes)
    if X.shape[1] == 1:
        product = rows * spectra[:, 0]
    else:
        by_frequency = np.moveaxis(rows, (0, 1), (-2, -1)) @ np.moveaxis(
            spectra, (0, 1), (-1, -2)
        )
        product = np.moveaxis(by_frequency, (-2, -1), (0, 1))
    return fft.irfftn(product, s=grid, axes=axes)
