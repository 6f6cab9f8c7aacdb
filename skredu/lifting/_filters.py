"""Banks of filters that are random, given by a formula, or learned from patches.

All banks have the shape (n_filters, channels, *kernel) and consist of filters of norm
one in double precision.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import fft
from scipy.linalg import eigh
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils import gen_batches

from skredu._progress import UNWATCHED, Progress
from skredu.lifting._grid import rows_at_a_time

Shape = tuple[int, ...]

NAMES = ("gaussian", "pca", "kmeans", "dct")
# Largest number of patches to cluster, and of their entries; at least ten patches per
# filter are always allowed.
MOST_PATCHES, MOST_NUMBERS = 50_000, 2**23
# A patch is flat if its norm is less than this share of the largest norm.
FLAT = 1e-3


def gaussian(rng: np.random.RandomState, n_filters: int, shape: Shape) -> Any:
    """Draw random directions; a smaller bank is the beginning of a larger one."""
    return unit(rng.standard_normal((n_filters, *shape)))


def dct(n_filters: int, shape: Shape) -> Any:
    """Return cosines, beginning with the smoothest."""
    _enough(n_filters, shape, "dct")
    frequencies = np.indices(shape).reshape(len(shape), -1)
    roughness = np.sum((frequencies / np.array(shape)[:, None]) ** 2, axis=0)
    order = np.argsort(roughness, kind="stable")[:n_filters]
    spectra = np.eye(math.prod(shape))[order].reshape(n_filters, *shape)
    return fft.idctn(spectra, axes=range(1, spectra.ndim), norm="ortho")


def pca(X: Any, n_filters: int, kernel: Shape, progress: Progress = UNWATCHED) -> Any:
    """Return principal directions, about the origin, of all patches of the signals.

    The second moments of all patches of a cyclic signal are its autocorrelation, so the
    patches are never formed.
    """
    n_channels, grid = X.shape[1], X.shape[2:]
    _enough(n_filters, (n_channels, *kernel), "pca")
    lags = np.indices(kernel).reshape(len(kernel), -1)
    differences = (lags[:, None, :] - lags[:, :, None]) % np.array(grid)[:, None, None]
    moments = autocorrelation(X, progress)[(slice(None), slice(None), *differences)]
    size = n_channels * math.prod(kernel)
    moments = np.reshape(np.moveaxis(moments, 1, 2), (size, size))
    first = [size - n_filters, size - 1]
    V = eigh(moments, subset_by_index=first)[1][:, ::-1].T
    largest = np.take_along_axis(V, np.argmax(np.abs(V), axis=1)[:, None], axis=1)
    return np.reshape(V * np.sign(largest), (n_filters, n_channels, *kernel))


def autocorrelation(X: Any, progress: Progress = UNWATCHED) -> Any:
    """Sum x_c[t] x_c'[t + lag] over rows and points, (channels, channels, *grid)."""
    n_channels, grid = X.shape[1], X.shape[2:]
    axes = tuple(range(2, X.ndim))
    half = (*grid[:-1], grid[-1] // 2 + 1)
    power = np.zeros((math.prod(half), n_channels, n_channels), dtype=complex)
    blocks = [*gen_batches(len(X), rows_at_a_time(2 * X[0].size))]
    for block in progress.follow("add up patches", blocks, len(blocks)):
        spectra = fft.rfftn(X[block].astype(float), axes=axes)
        columns = np.moveaxis(np.reshape(spectra, (*spectra.shape[:2], -1)), -1, 0)
        power += np.conj(np.moveaxis(columns, 1, 2)) @ columns
    power = np.reshape(np.moveaxis(power, 0, -1), (n_channels, n_channels, *half))
    return fft.irfftn(power, s=grid, axes=axes)


def kmeans(rows: Any, n_filters: int, shape: Shape, rng: np.random.RandomState) -> Any:
    """Return the directions of cluster centres of patches; see `some_patches`."""
    if len(rows) < n_filters:
        raise ValueError(
            "Bad n_filters: filters='kmeans' needs at least as many patches that are "
            f"not flat as filters, found {len(rows)} for n_filters={n_filters}."
        )
    model = MiniBatchKMeans(n_filters, n_init=3, random_state=rng)
    centres = model.fit(rows).cluster_centers_
    # If the patches of a cluster cancel each other, use a single patch instead.
    nothing = np.linalg.norm(centres, axis=1) < FLAT
    centres[nothing] = rows[: np.sum(nothing)]
    return np.reshape(unit(centres), (n_filters, *shape))


def enough_patches(n_filters: int, shape: Shape) -> int:
    """Return how many patches to cluster for filters of shape (channels, *kernel)."""
    return max(10 * n_filters, min(MOST_PATCHES, MOST_NUMBERS // math.prod(shape)))


def some_patches(X: Any, kernel: Shape, most: int, rng: np.random.RandomState) -> Any:
    """Return centred patches of norm one at random points, without flat ones."""
    grid = X.shape[2:]
    n = len(X) * math.prod(grid)
    places = rng.randint(0, n, most) if n > most else np.arange(n)
    row, *start = np.unravel_index(places, (len(X), *grid))
    taps = np.indices(kernel).reshape(len(kernel), -1)
    index = [
        (s[:, None] + tap) % size
        for s, tap, size in zip(start, taps, grid, strict=True)
    ]
    found = X[(row[:, None], slice(None), *index)]  # (patches, taps, channels)
    found = np.reshape(np.swapaxes(found, 1, 2), (len(places), -1)).astype(float)
    largest = np.max(np.linalg.norm(found, axis=1))
    if found.shape[1] > 1:
        found -= np.mean(found, axis=1, keepdims=True)
    norms = np.linalg.norm(found, axis=1)
    kept = norms > FLAT * largest
    return found[kept] / norms[kept, None]


def unit(filters: Any) -> Any:
    """Scale filters to norm one."""
    flat = np.reshape(filters, (len(filters), -1))
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.reshape(flat / norms, filters.shape)


def _enough(n_filters: int, shape: Shape, name: str) -> None:
    """Raise an error if there are fewer orthogonal filters than ``n_filters``."""
    most = math.prod(shape)
    if n_filters > most:
        raise ValueError(
            f"Bad n_filters: filters={name!r} has {most} orthogonal filters of shape "
            f"{shape} (channels first), found n_filters={n_filters}."
        )
