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
from sklearn.utils import check_random_state

from skredu._progress import Progress
from skredu._signals import Shape, small_blocks

NAMES = ("gaussian", "pca", "kmeans", "dct")
# Largest number of patches to cluster, and of their entries; at least ten patches per
# filter are always allowed.
MAX_PATCHES, MAX_ENTRIES = 50_000, 2**23
# A patch is flat if its norm is less than this share of the largest norm.
FLAT = 1e-3


def make_filters(
    name: str, X: Any, n_filters: int, shape: Shape, seed: Any, progress: Progress
) -> Any:
    """Make a bank for signals X (n, channels, *grid); see `ConvolutionalLifting`.

    ``shape`` is that of a filter, (channels, *kernel).
    """
    if name in ("pca", "dct") and n_filters > math.prod(shape):
        raise ValueError(
            f"Bad n_filters: filters={name!r} has {math.prod(shape)} orthogonal "
            f"filters of shape {shape} (channels first), found n_filters={n_filters}."
        )
    if name == "pca":
        return _principal(X, n_filters, shape, progress)
    if name == "dct":
        return _cosines(n_filters, shape)
    rng = check_random_state(seed)
    if name != "gaussian":
        with progress.task("draw patches"):
            patches = _random_patches(X, n_filters, shape, rng)
        if name == "kmeans" or len(patches) >= n_filters:
            with progress.task("cluster patches"):
                return _cluster_directions(patches, n_filters, shape, rng)
    # drawn filter by filter, so that a smaller bank is the beginning of a larger one
    return _of_norm_one(rng.standard_normal((n_filters, *shape)))


def _cosines(n_filters: int, shape: Shape) -> Any:
    """Return cosines, beginning with the smoothest."""
    frequencies = np.indices(shape).reshape(len(shape), -1)
    roughness = np.sum((frequencies / np.array(shape)[:, None]) ** 2, axis=0)
    order = np.argsort(roughness, kind="stable")[:n_filters]
    spectra = np.eye(math.prod(shape))[order].reshape(n_filters, *shape)
    return fft.idctn(spectra, axes=range(1, spectra.ndim), norm="ortho")


def _principal(X: Any, n_filters: int, shape: Shape, progress: Progress) -> Any:
    """Return principal directions of all patches of the signals, about the origin.

    The second moments of all patches of a cyclic signal are its autocorrelation, so
    the patches are never formed.
    """
    kernel, grid, size = shape[1:], X.shape[2:], math.prod(shape)
    lags = np.indices(kernel).reshape(len(kernel), -1)
    differences = (lags[:, None, :] - lags[:, :, None]) % np.array(grid)[:, None, None]
    moments = _autocorrelation(X, progress)[(slice(None), slice(None), *differences)]
    moments = np.reshape(np.moveaxis(moments, 1, 2), (size, size))
    V = eigh(moments, subset_by_index=[size - n_filters, size - 1])[1][:, ::-1].T
    # The sign of a direction is arbitrary: make the largest entry positive.
    largest = np.take_along_axis(V, np.argmax(np.abs(V), axis=1)[:, None], axis=1)
    return np.reshape(V * np.sign(largest), (n_filters, *shape))


def _autocorrelation(X: Any, progress: Progress) -> Any:
    """Return sums of x_c[t] x_c'[t + lag] over rows and points, (C, C, *grid).

    They are the inverse transforms of the products of spectra.
    """
    n_channels, grid = X.shape[1], X.shape[2:]
    axes = tuple(range(2, X.ndim))
    half = (*grid[:-1], grid[-1] // 2 + 1)
    power = np.zeros((math.prod(half), n_channels, n_channels), dtype=complex)
    blocks = small_blocks(len(X), 2 * X[0].size)
    for block in progress.follow("add up patches", blocks, len(blocks)):
        spectra = fft.rfftn(X[block].astype(float), axes=axes)
        columns = np.moveaxis(np.reshape(spectra, (*spectra.shape[:2], -1)), -1, 0)
        power += np.conj(np.moveaxis(columns, 1, 2)) @ columns
    power = np.reshape(np.moveaxis(power, 0, -1), (n_channels, n_channels, *half))
    return fft.irfftn(power, s=grid, axes=axes)


def _random_patches(
    X: Any, n_filters: int, shape: Shape, rng: np.random.RandomState
) -> Any:
    """Return centred patches of norm one at random points, without flat ones."""
    kernel, grid = shape[1:], X.shape[2:]
    most = max(10 * n_filters, min(MAX_PATCHES, MAX_ENTRIES // math.prod(shape)))
    n = len(X) * math.prod(grid)
    places = rng.randint(0, n, most) if n > most else np.arange(n)
    row, *start = np.unravel_index(places, (len(X), *grid))
    taps = np.indices(kernel).reshape(len(kernel), -1)
    index = [
        (s[:, None] + tap) % size
        for s, tap, size in zip(start, taps, grid, strict=True)
    ]
    patches = X[(row[:, None], slice(None), *index)]  # (patches, taps, channels)
    patches = np.reshape(np.swapaxes(patches, 1, 2), (len(places), -1)).astype(float)
    largest = np.max(np.linalg.norm(patches, axis=1))
    if patches.shape[1] > 1:  # a single value would be its own mean
        patches -= np.mean(patches, axis=1, keepdims=True)
    norms = np.linalg.norm(patches, axis=1)
    kept = norms > FLAT * largest
    return patches[kept] / norms[kept, None]


def _cluster_directions(
    patches: Any, n_filters: int, shape: Shape, rng: np.random.RandomState
) -> Any:
    """Return the directions of cluster centres of patches."""
    if len(patches) < n_filters:
        raise ValueError(
            "Bad n_filters: filters='kmeans' needs at least as many patches that are "
            f"not flat as filters, found {len(patches)} for n_filters={n_filters}."
        )
    model = MiniBatchKMeans(n_filters, n_init=3, random_state=rng)
    centres = model.fit(patches).cluster_centers_
    # If the patches of a cluster cancel each other, use a single patch instead.
    nothing = np.linalg.norm(centres, axis=1) < FLAT
    centres[nothing] = patches[: np.sum(nothing)]
    return np.reshape(_of_norm_one(centres), (n_filters, *shape))


def _of_norm_one(filters: Any) -> Any:
    """Scale filters to norm one."""
    flat = np.reshape(filters, (len(filters), -1))
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.reshape(flat / norms, filters.shape)
