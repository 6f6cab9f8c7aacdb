"""Windows of an image, and the moments of those in each region and across borders."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import correlate1d, maximum_filter, minimum_filter

# Principal components are those of the windows around every fifth pixel along each
# axis, from either end.
LATTICE = 5


def window_features(values: Any, size: int, n_components: int) -> Any:
    """Return the leading principal components of the windows around all pixels.

    Parameters
    ----------
    values : array of shape (..., n_channels)
    size : int
        Odd width of the windows. Values outside of the image are those at its border.
    n_components : int

    Returns
    -------
    features : array of shape (..., r)
        With ``r = min(n_components, size**ndim * n_channels)``. If the windows have no
        more coordinates than that, these are returned as they are.
    """
    *shape, n_channels = values.shape
    around = [(size // 2, size // 2)] * len(shape) + [(0, 0)]
    padded = np.pad(values, around, mode="edge")
    places = [
        tuple(slice(o, o + s) for o, s in zip(place, shape, strict=True))
        for place in np.ndindex(*[size] * len(shape))
    ]
    if len(places) * n_channels <= n_components:
        return np.concatenate([padded[place] for place in places], axis=-1)
    lattice = np.ix_(*(_lattice(s) for s in shape))
    sample = [padded[place][lattice].reshape(-1, n_channels) for place in places]
    X = np.concatenate(sample, axis=1)
    X = X - X.mean(axis=0)
    _, V = np.linalg.eigh(X.T @ X)
    V = V[:, : -n_components - 1 : -1].reshape(len(places), n_channels, n_components)
    features = np.zeros((*shape, n_components))
    for place, part in zip(places, V, strict=True):
        features += padded[place] @ part  # instead of all windows at once
    return features


def _lattice(size: int) -> Any:
    """Return positions along an axis, which are the same from both ends."""
    some = np.arange(0, size, LATTICE)
    return np.union1d(some, size - 1 - some)


def moments(features: Any, codes: Any, k: int) -> Any:
    """Return the sums of ``(1, x) (1, x)^T`` over the samples with each code.

    Parameters
    ----------
    features : array of shape (n, r)
    codes : array of int of shape (n,)
        Numbers below ``k``; samples with negative ones are left out.
    k : int

    Returns
    -------
    sums : array of shape (k, r + 1, r + 1)
    """
    index = np.flatnonzero(codes >= 0)
    index = index[np.argsort(codes[index], kind="stable")]
    rows = np.empty((len(index), features.shape[1] + 1))
    rows[:, 0], rows[:, 1:] = 1.0, features[index]
    stops = np.cumsum(np.bincount(codes[index], minlength=k))
    sums, start = np.zeros((k, rows.shape[1], rows.shape[1])), 0
    for i, stop in enumerate(stops.tolist()):
        if start < stop:
            part = rows[start:stop]
            np.matmul(part.T, part, out=sums[i])
            start = stop
    return sums


def window_codes(labels: Any, size: int, ends: Any = None) -> tuple[Any, Any]:
    """Return the region that contains the window of each pixel, and the border.

    Parameters
    ----------
    labels : array of int
        Label image.
    size : int
        Odd width of the windows.
    ends : array of shape (m, 2), default=None
        Regions on both sides of each border, the smaller number first, sorted. With
        None, borders are left out.

    Returns
    -------
    inside : array of int, of the shape of ``labels``
        The region, or -1 if a window is not wholly inside a region.
    across : array of int, of the shape of ``labels``
        The border if exactly the two regions at its sides meet the window, or -1.
    """
    if size == 1:
        return labels, np.full(labels.shape, -1)
    low = minimum_filter(labels, size, mode="nearest")
    high = maximum_filter(labels, size, mode="nearest")
    inside = np.where(low == high, low, -1)
    across = np.full(labels.shape, -1)
    if ends is None:
        return inside, across
    # The sum of (l - low) (l - high) is zero only if there is no third label.
    sums = []
    for power in (labels * labels, labels):
        total = power.astype(np.float64)
        for axis in range(labels.ndim):
            total = correlate1d(total, np.ones(size), axis=axis, mode="nearest")
        sums.append(total)
    rest = sums[0] - (low + high) * sums[1]
    rest += float(size**labels.ndim) * low * high
    two = (rest == 0.0) & (low < high)
    k = int(labels.max()) + 1
    keys = ends[:, 0] * k + ends[:, 1]
    across[two] = np.searchsorted(keys, low[two] * k + high[two])
    return inside, across
