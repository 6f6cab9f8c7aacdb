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
from scipy.ndimage import gaussian_filter

from skredu._compat import at_least, move_to, namespace, to_numpy
from skredu._signals import Shape, fourier

# Costs in multiplications: COPY_COST to copy a number into a patch, and FOURIER_COST
# per point, times log2(2 points), for a transform. They were measured on one core in
# both precisions, and are accurate enough to choose the faster method. Without
# products, small filters take 1.2 times as long, and twice on grids of prime sizes.
COPY_COST, FOURIER_COST = 15, 6
# Largest number of entries of the patches of a row.
MAX_PATCHES = 2**22
# Singular values below this many rounding errors of the largest one count as zero.
ROUNDING = 100.0
# Activations that solve for sparse codes by iterations.
SPARSE = ("ista", "fista")
POOLS = ("mean", "max", "share")


def correlator(filters: Any, grid: Shape) -> tuple[Callable[[Any], Any], int]:
    """Return the faster function for a bank, and how many values it needs per row."""
    n_filters, n_channels, *kernel = filters.shape
    points, taps = math.prod(grid), n_channels * math.prod(kernel)
    products = taps * (COPY_COST + n_filters)
    transforms = FOURIER_COST * (n_filters + n_channels) * math.log2(2 * points)
    transforms += n_filters * n_channels
    fits = namespace(filters) is np and taps * points <= MAX_PATCHES
    if fits and products <= transforms:
        bank = np.reshape(filters, (n_filters, -1))
        return lambda X: bank @ _patches(X, kernel), (taps + n_filters) * points
    spectra = spectra_of(filters, grid)
    width = (4 * n_filters + 2 * n_channels) * points
    return lambda X: _by_fourier(X, spectra), width


def spectra_of(filters: Any, grid: Shape) -> Any:
    """Return the numbers by which spectra are multiplied, (n_filters, channels, *)."""
    xp, axes = namespace(filters), tuple(range(2, filters.ndim))
    padded = xp.zeros(
        (*filters.shape[:2], *grid), dtype=filters.dtype, device=filters.device
    )
    padded[(..., *map(slice, filters.shape[2:]))] = filters
    return xp.conj(fourier(filters).rfftn(padded, axes=axes))


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
    xp, fft = namespace(X), fourier(X)
    grid, axes = X.shape[2:], tuple(range(2, X.ndim))
    signals = fft.rfftn(X, axes=axes)
    if X.shape[1] == 1:
        product = signals * spectra[:, 0, ...]
    else:  # one matrix product per frequency
        signals = xp.moveaxis(signals, (0, 1), (-2, -1))
        product = signals @ xp.moveaxis(spectra, (0, 1), (-1, -2))
        product = xp.moveaxis(product, (-2, -1), (0, 1))
    return fft.irfftn(product, s=grid, axes=axes)


def inverter(filters: Any, grid: Shape) -> tuple[Callable[[Any], Any], int]:
    """Return the pseudo-inverse of the responses, and how many values it needs per row.

    It is the product with the pseudo-inverse of a matrix (n_filters, channels) at each
    frequency. Singular values that may be rounding errors are treated as zero.
    """
    xp, n_filters = namespace(filters), filters.shape[0]
    A = xp.moveaxis(spectra_of(filters, grid), (0, 1), (-2, -1))
    U, sizes, V = xp.linalg.svd(A, full_matrices=False)
    least = float(xp.max(sizes)) * ROUNDING * float(xp.finfo(filters.dtype).eps)
    heard = sizes > least
    factors = xp.where(heard, 1.0 / xp.where(heard, sizes, 1.0), 0.0)
    # the pseudo-inverse, as filters of responses for `_by_fourier`
    inverse = xp.conj(U * factors[..., None, :]) @ xp.conj(V)
    spectra = xp.moveaxis(inverse, (-1, -2), (0, 1))
    width = (4 * n_filters + 2 * filters.shape[1]) * math.prod(grid)
    return lambda Y: _by_fourier(Y, spectra), width


def coder(
    filters: Any,
    grid: Shape,
    n_iter: int,
    *,
    momentum: bool,
    learned: dict[str, Any] | None = None,
) -> tuple[Callable[[Any, Any, Any], Any], int]:
    r"""Return a function for sparse codes, and how many values it needs per row.

    The codes of a signal x minimise

    .. math:: \tfrac12 \|x - \sum_{f,t} z_f[t]\, w_f[\cdot - t]\|^2 + \lambda \|z\|_1.

    Each iteration takes a gradient step and lowers all values by a threshold. Learned
    iterations have an ``encoder`` in place of the filters of the gradient, ``steps``
    and ``thresholds``, relative to those of the method.
    """
    xp, spectra = namespace(filters), spectra_of(filters, grid)
    synthesis = xp.conj(xp.moveaxis(spectra, 0, 1))
    matrices = xp.moveaxis(spectra, (0, 1), (-2, -1))
    largest = float(xp.max(xp.linalg.svdvals(matrices)))
    step = 1.0 / largest**2 if largest > 0.0 else 1.0

    factors = [(1.0, 1.0)] * n_iter
    if learned is not None:
        spectra = spectra_of(learned["encoder"], grid)
        factors = [*zip(learned["steps"], learned["thresholds"], strict=True)]

    def encode(X: Any, Y: Any, level: Any) -> Any:
        """Return the codes of signals X, like their responses Y."""
        level = xp.reshape(step * level, (-1, *(1,) * (X.ndim - 1)))
        codes = point = xp.zeros((1,) * X.ndim, dtype=X.dtype, device=X.device)
        rest, weight = X, 1.0  # of Nesterov's sequence
        for i, (long, high) in enumerate(factors):
            if i:
                rest = X - _by_fourier(point, synthesis)
            before = codes
            raised = point + step * long * _by_fourier(rest, spectra)
            codes = point = _shrunk(raised, high * level)
            if momentum:
                following = 0.5 + math.sqrt(0.25 + weight * weight)
                point = codes + (weight - 1.0) / following * (codes - before)
                weight = following
        return xp.reshape(codes, Y.shape)

    points = math.prod(grid)
    return encode, (7 * filters.shape[0] + 4 * filters.shape[1]) * points


def _shrunk(Y: Any, level: Any) -> Any:
    """Lower the absolute values by a threshold, or to zero."""
    return Y - namespace(Y).clip(Y, -level, level)


def nonlinear(
    Y: Any,
    grid: Shape,
    *,
    activation: str | None,
    threshold: float,
    root: bool,
    widths: tuple[float, ...],
    encode: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """Threshold responses, take their square roots, and average them.

    Parameters
    ----------
    Y : array of shape (b, n_filters, points)
        The responses.
    grid : tuple of int
        Shape of the grid.
    activation : {"relu", "soft", "split", "ista", "fista"} or None
        The nonlinearity, see `ConvolutionalLifting`.
    threshold : float
        In units of the root mean square of the responses of a row.
    root : bool
        Whether square roots are taken.
    widths : tuple of float
        Standard deviation of the Gaussian of the average along each axis, in points.
    encode : callable, default=None
        Returns the sparse codes for responses and a threshold, which replace the
        responses.

    Returns
    -------
    Z : array of shape (b, channels, points)
        The result, which may be ``Y`` itself. ``Y`` may be overwritten.
    """
    xp, level, size = namespace(Y), 0.0, None
    if threshold > 0 or root:
        size = xp.sqrt(xp.mean(Y * Y, axis=(1, 2), keepdims=True))
        # No response exceeds the square root of their number; larger levels may
        # overflow.
        level = size * min(threshold, 2.0 * math.sqrt(math.prod(Y.shape[1:])))
    if encode is not None:
        Y = encode(Y, level)
    elif activation == "soft":
        Y = _shrunk(Y, level)
    elif activation == "split":
        Y = at_least(xp.concat([Y - level, -Y - level], axis=1), 0.0)
    elif activation == "relu":
        if threshold > 0:
            Y -= level
        Y = at_least(Y, 0.0)
    if root:
        Y = xp.copysign(xp.sqrt(xp.abs(Y) * size), Y)
    return _averaged(Y, grid, widths) if any(widths) else Y


def _averaged(Z: Any, grid: Shape, widths: tuple[float, ...]) -> Any:
    """Return averages of channels (b, channels, points) over a cyclic Gaussian."""
    xp = namespace(Z)
    signals = xp.reshape(Z, (*Z.shape[:2], *grid))
    if xp is np:
        sigmas = (0.0, 0.0, *widths)
        gaussian_filter(signals, sigmas, output=signals, mode="wrap")
        return Z
    impulse = np.zeros(grid)
    impulse[(0,) * len(grid)] = 1.0
    window = gaussian_filter(impulse, widths, mode="wrap")
    window = xp.astype(move_to(Z, window)[0], Z.dtype)
    axes = tuple(range(2, 2 + len(grid)))
    spectra = xp.fft.rfftn(signals, axes=axes) * xp.fft.rfftn(window)
    return xp.reshape(xp.fft.irfftn(spectra, s=grid, axes=axes), Z.shape)


def pool(Z: Any, grid: Shape, coarse: Shape, by: str) -> Any:
    """Summarise channels (b, channels, points) over the cells of a coarse grid.

    Returns an array of shape (b, channels, cells).
    """
    xp, shape = namespace(Z), [*Z.shape[:2]]
    for side, cells in zip(grid, coarse, strict=True):
        shape += [cells, side // cells]
    axes = tuple(range(3, len(shape), 2))
    if by == "share":
        Z = xp.astype(Z > 0, Z.dtype)
    summary = xp.max if by == "max" else xp.mean
    return xp.reshape(
        summary(xp.reshape(Z, tuple(shape)), axis=axes), (*Z.shape[:2], -1)
    )


def moderate(X: Any) -> tuple[Any, Any]:
    """Divide rows by powers of two if the squares of their values are out of range.

    Returns the rows (n, d) and the exponents as an ndarray (n,), which are zero for
    almost all rows.
    """
    xp = namespace(X)
    largest = xp.maximum(xp.max(X, axis=1), -xp.min(X, axis=1))
    exponents = np.frexp(to_numpy(largest))[1]
    far = np.abs(exponents) > math.frexp(xp.finfo(X.dtype).max)[1] // 4
    exponents = np.where(far, exponents, 0)
    return scaled(X, -exponents), exponents


def scaled(X: Any, exponents: Any) -> Any:
    """Multiply rows by powers of two; the result may be infinite."""
    if not np.any(exponents):
        return X
    exponents = np.reshape(exponents, (-1, *(1 for _ in X.shape[1:])))
    with np.errstate(over="ignore"):
        return move_to(X, np.ldexp(to_numpy(X), exponents))[0]
