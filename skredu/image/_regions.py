"""Regions of an image: their borders, and merging as long as this saves bits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def borders(labels: Any) -> tuple[Any, Any]:
    """Return pairs of neighbouring regions, and the lengths of their borders.

    Returns
    -------
    ends : array of shape (m, 2)
        Regions on both sides, the smaller number first, sorted.
    lengths : array of shape (m,)
        Number of sides that pixels of both regions share.
    """
    k, pairs = int(labels.max()) + 1, []
    for axis in range(labels.ndim):
        a = np.moveaxis(labels, axis, 0)
        a, b = a[:-1].ravel(), a[1:].ravel()
        met = a != b
        a, b = a[met], b[met]
        pairs.append(np.minimum(a, b) * k + np.maximum(a, b))
    names, lengths = np.unique(np.concatenate(pairs), return_counts=True)
    return np.stack([names // k, names % k], axis=1), lengths


def connected_regions(labels: Any) -> Any:
    """Return the connected components of equal labels, numbered from 0.

    Neighbours share a side.
    """
    index, ends = np.arange(labels.size).reshape(labels.shape), []
    for axis in range(labels.ndim):
        a, i = np.moveaxis(labels, axis, 0), np.moveaxis(index, axis, 0)
        same = a[:-1] == a[1:]
        ends.append((i[:-1][same], i[1:][same]))
    i, j = (np.concatenate(side) for side in zip(*ends, strict=True))
    graph = coo_array((np.ones(len(i), bool), (i, j)), (labels.size, labels.size))
    _, found = connected_components(graph, directed=False)
    return found.reshape(labels.shape).astype(np.intp)


def absorbed(labels: Any, least: int) -> Any:
    """Return regions of which those with fewer pixels have joined a neighbour.

    It is the one with the longest common border among those that are large enough.
    """
    while True:
        small = np.bincount(labels.ravel()) < least
        ends, lengths = borders(labels)
        ends, lengths = np.concatenate([ends, ends[:, ::-1]]), np.tile(lengths, 2)
        useful = small[ends[:, 0]] & ~small[ends[:, 1]]
        ends, lengths = ends[useful], lengths[useful]
        if not len(ends):
            return in_order(labels)
        order = np.argsort(lengths, kind="stable")
        into = np.arange(len(small))
        into[ends[order, 0]] = ends[order, 1]  # the last one counts
        labels = np.unique(into[labels], return_inverse=True)[1].reshape(labels.shape)


def in_order(labels: Any) -> Any:
    """Return labels as integers from 0, in the order of their first occurrence."""
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes].reshape(labels.shape)


def texture_bits(sums: Any, pixels: Any, area: int) -> Any:
    r"""Return the bits that the textures of regions take.

    This is

    .. math::

        \frac{N/w + r}{2} \log_2 \det(I + C) + \frac r2 \log_2 (1 + \mu^T\mu / r)

    for N pixels, windows of the area w, and features of windows with the mean
    :math:`\mu` and the covariance C.

    Parameters
    ----------
    sums : array of shape (..., r + 1, r + 1)
        Sums of ``(1, x) (1, x)^T`` over the windows of each region.
    pixels : array of shape (...)
        Numbers of pixels N.
    area : int
        Number of pixels per window.
    """
    r = sums.shape[-1] - 1
    means = sums / np.maximum(sums[..., :1, :1], 1.0)
    means[..., 0, 0] = 1.0  # also without any window
    squares = np.einsum("...i,...i->...", means[..., 0, 1:], means[..., 0, 1:])
    diagonal = np.arange(1, r + 1)
    means[..., diagonal, diagonal] += 1.0
    # the mean is eliminated from this matrix by its first pivot
    volumes = np.maximum(np.linalg.slogdet(means)[1], 0.0)
    nats = 0.5 * (pixels / area + r) * volumes + 0.5 * r * np.log1p(squares / r)
    return nats / math.log(2.0)


class Merging:
    """Regions that are merged with neighbours, always at the lowest cost in bits.

    Windows across the border between two regions belong to their union.

    Parameters
    ----------
    sums : array of shape (k, r + 1, r + 1)
        Sums over the windows in each region.
    pixels : array of shape (k,)
        Numbers of pixels.
    area : int
        Number of pixels per window.
    ends : array of int of shape (m, 2)
        Regions on both sides of each border.
    across : array of shape (m, r + 1, r + 1)
        Sums over the windows across each border.
    border_bits : array of shape (m,)
        Bits of each border, which are saved if its sides merge.
    """

    def __init__(
        self,
        sums: Any,
        pixels: Any,
        area: int,
        ends: Any,
        across: Any,
        border_bits: Any,
    ) -> None:
        self.sums, self.across = sums.copy(), across.copy()
        self.pixels, self.area = pixels.astype(np.float64), area
        self.ends, self.border_bits = ends.copy(), border_bits.copy()
        self.bits = texture_bits(sums, self.pixels, area)
        self.union_bits, self.costs = np.zeros((2, len(ends)))
        # for each region, the borders with its neighbours
        self.links: list[dict[int, int]] = [{} for _ in sums]
        for border, (a, b) in enumerate(ends.tolist()):
            self.links[a][b] = self.links[b][a] = border
        self._price(np.arange(len(ends)))

    def steps(self) -> Iterator[tuple[int, int, float]]:
        """Merge until no borders are left.

        Before each merge, yield the region that stays, the other one, and the bits that
        this adds.
        """
        for _ in range(len(self.links) - 1):
            border = int(np.argmin(self.costs)) if len(self.costs) else 0
            if not len(self.costs) or self.costs[border] == np.inf:
                return
            kept, gone = self.ends[border].tolist()
            if len(self.links[kept]) < len(self.links[gone]):
                kept, gone = gone, kept
            yield kept, gone, float(self.costs[border])
            self._merge(kept, gone, border)

    def _merge(self, kept: int, gone: int, border: int) -> None:
        """Merge a region into the one on the other side of a border."""
        self.sums[kept] += self.sums[gone] + self.across[border]
        self.pixels[kept] += self.pixels[gone]
        self.bits[kept] = self.union_bits[border]
        self.costs[border] = np.inf
        ours = self.links[kept]
        del ours[gone]
        for other, edge in self.links[gone].items():
            if other == kept:
                continue
            theirs = self.links[other]
            del theirs[gone]
            if other in ours:  # two borders become one
                self.across[ours[other]] += self.across[edge]
                self.border_bits[ours[other]] += self.border_bits[edge]
                self.costs[edge] = np.inf
            else:
                self.ends[edge] = kept, other
                ours[other] = theirs[kept] = edge
        if ours:
            self._price(np.fromiter(ours.values(), dtype=np.intp, count=len(ours)))

    def _price(self, borders: Any) -> None:
        """Compute the bits of the unions across borders, and the costs of merging."""
        a, b = self.ends[borders].T
        sums = self.sums[a] + self.sums[b] + self.across[borders]
        bits = texture_bits(sums, self.pixels[a] + self.pixels[b], self.area)
        self.union_bits[borders] = bits
        self.costs[borders] = bits - self.bits[a] - self.bits[b]
        self.costs[borders] -= self.border_bits[borders]
