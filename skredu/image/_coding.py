"""Bits of the segmentations of an image, and the tree of merges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skredu.image._regions import Merging, borders, in_order, texture_bits
from skredu.image._windows import moments, window_codes, window_features

# Bits of a step of a chain code along the sides of pixels, which goes straight on with
# the probability 0.7, and otherwise to the left or to the right.
STEP_BITS = 1.2
# Regions with fewer windows wait for smaller ones.
LEAST_WINDOWS = 10
# Smallest distortion relative to the largest feature, for which sums of squares are
# precise enough.
LEAST_DISTORTION = 1e-6


class Coder:
    """Bits of the segmentations of an image.

    Parameters
    ----------
    values : array of shape (..., n_channels)
        Values of the pixels.
    superpixels : array of int of shape (...)
        Initial regions, numbered from 0 in the order of their first pixels.
    window_sizes : list of int
    n_components : int
    boundary_weight : float
    """

    def __init__(
        self,
        values: Any,
        superpixels: Any,
        window_sizes: list[int],
        n_components: int,
        boundary_weight: float,
    ) -> None:
        self.superpixels, self.window_sizes = superpixels, window_sizes
        self.step_bits = boundary_weight * STEP_BITS
        self.features = []
        for size in window_sizes:
            features = window_features(values, size, n_components)
            features = features.reshape(-1, features.shape[-1])
            self.features.append(features - features.mean(axis=0))

    def merge(
        self, epsilon: float, done: Callable[[], bool] = lambda: False
    ) -> tuple[Any, Any, int]:
        """Merge all regions; return children, costs, and the number of useful merges.

        ``done`` is called after each window size, and returns whether to stop.
        """
        labels, k = self.superpixels, int(self.superpixels.max()) + 1
        nodes, n_useful = np.arange(k), None
        children: list[tuple[int, int]] = []
        costs: list[float] = []
        for level in range(len(self.window_sizes)):
            last = level == len(self.window_sizes) - 1
            if n_useful is not None and not last:
                continue
            merged = []
            merging = self._merging(labels, level, epsilon, every_region=last)
            for kept, gone, cost in merging.steps():
                if cost >= 0.0 and n_useful is None:
                    if not last:
                        break
                    n_useful = len(children)
                children.append((int(nodes[kept]), int(nodes[gone])))
                costs.append(cost)
                merged.append((kept, gone))
                nodes[kept] = k + len(costs) - 1
            if (done() or last) and n_useful is None:
                n_useful = len(children)
            into = np.arange(len(nodes))
            for kept, gone in reversed(merged):
                into[gone] = into[kept]
            left, names = np.unique(into, return_inverse=True)
            labels, nodes = names[labels], nodes[left]
        tree = np.array(children, dtype=np.intp).reshape(-1, 2)
        return tree, np.array(costs), n_useful or 0

    def bits(self, labels: Any, epsilon: float) -> Any:
        """Return the bits of the textures and of the boundaries of a segmentation.

        Textures are those of the windows of the last size.
        """
        _, lengths = borders(labels)
        boundaries = self.border_bits(labels, lengths).sum()
        pixels = np.bincount(labels.ravel())
        size, X = self.window_sizes[-1], self._scaled(-1, epsilon)
        inside, _ = window_codes(labels, size)
        sums = moments(X, inside.ravel(), len(pixels))
        textures = texture_bits(sums, pixels, size**labels.ndim)
        return np.array([textures.sum(), boundaries])

    def border_bits(self, labels: Any, lengths: Any) -> Any:
        """Return the bits of the borders of a segmentation, given their lengths.

        Other codes of boundaries, in subclasses, may need the ``labels``.
        """
        return self.step_bits * lengths

    def _merging(
        self, labels: Any, level: int, epsilon: float, *, every_region: bool
    ) -> Merging:
        """Return the regions of a label image, with windows of one size."""
        ends, lengths = borders(labels)
        pixels = np.bincount(labels.ravel())
        size, X = self.window_sizes[level], self._scaled(level, epsilon)
        inside, across = window_codes(labels, size, ends)
        sums = moments(X, inside.ravel(), len(pixels))
        sums_across = moments(X, across.ravel(), len(ends))
        mergeable = np.full(len(ends), True)
        if not every_region:
            mergeable = (sums[:, 0, 0] >= LEAST_WINDOWS)[ends].all(axis=1)
        bits = self.border_bits(labels, lengths)
        between = ends[mergeable], sums_across[mergeable], bits[mergeable]
        return Merging(sums, pixels, size**labels.ndim, *between)

    def _scaled(self, level: int, epsilon: float) -> Any:
        X = self.features[level]
        least = LEAST_DISTORTION * float(np.max(np.abs(X)))
        if epsilon < least:
            raise ValueError(
                f"epsilon={epsilon} is too small for the values of this image: it must "
                f"be at least {least:.3g}."
            )
        return X * (X.shape[1] ** 0.5 / epsilon) if least else X


def cut(superpixels: Any, children: Any, n_merges: int) -> Any:
    """Return the label image after some merges, numbered by first pixels."""
    k = len(children) + 1
    above = np.arange(k + n_merges)
    for i in range(n_merges - 1, -1, -1):
        above[children[i]] = above[k + i]
    return in_order(above[:k])[superpixels]
