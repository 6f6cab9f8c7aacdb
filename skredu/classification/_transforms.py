"""Transforms of single features: to values that look normal, and to ranks.

Both are fitted to sorted samples with weights, do not depend on the unit of a feature
or on its origin, and are functions of their state, which consists of arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skredu.coding._rows import Rows, even_choice

Floats = NDArray[np.float64]

# Exponents of Yeo and Johnson are searched in this range by so many golden sections,
# which determine them to a thousandth.
EXPONENTS = (-4.0, 6.0)
SECTIONS = 18
# Largest number of samples by which a transform is chosen.
MOST_SAMPLES = 2000
# Standardised entries are clipped here, so that no power of them overflows.
MOST_ENTRY = 1e10


@dataclass(frozen=True, eq=False, repr=False)
class YeoJohnson:
    """Power transform of each feature, between two standardisations.

    Parameters
    ----------
    centre, spread : arrays of shape (d,)
        Mean and standard deviation of the features.
    exponents : array of shape (d,)
        Exponents of Yeo and Johnson, of maximum likelihood.
    shift, scale : arrays of shape (d,)
        Mean and standard deviation after the power transform.
    """

    centre: Floats
    spread: Floats
    exponents: Floats
    shift: Floats
    scale: Floats

    @classmethod
    def fit(cls, rows: Rows) -> YeoJohnson:
        """Fit the transform to sorted samples."""
        X = rows.X.astype(np.float64, copy=False)
        w = np.ones(len(X)) if rows.weights is None else rows.weights_at(...)
        centre, spread = moments(X, w / w.sum())
        some = even_choice(len(X), MOST_SAMPLES)
        found = cls(
            centre, spread, np.ones_like(centre), 0.0 * centre, 0.0 * centre + 1.0
        )
        exponents = best_exponents(found._standardised(X[some]), w[some])
        found = replace(found, exponents=exponents)
        shift, scale = moments(found(X), w / w.sum())
        return replace(found, shift=shift, scale=scale)

    def __call__(self, X: Any) -> Floats:
        """Return transformed samples (n, d)."""
        return (power(self._standardised(X), self.exponents) - self.shift) / self.scale

    def _standardised(self, X: Any) -> Floats:
        X = (X.astype(np.float64, copy=False) - self.centre) / self.spread
        return np.clip(X, -MOST_ENTRY, MOST_ENTRY)


@dataclass(frozen=True, eq=False, repr=False)
class Ranks:
    """Replace the values of a feature by the share of samples below them.

    Features of any shape then lie between 0 and 1. A feature with two values has the
    distance one half between them, however rare one of them is.

    Parameters
    ----------
    values : list of arrays
        Distinct values of each feature, in ascending order.
    ranks : list of arrays
        Share of the samples below each value, counting half of those with this value.
    """

    values: list[Any]
    ranks: list[Floats]

    @classmethod
    def fit(cls, rows: Rows) -> Ranks:
        """Fit the transform to sorted samples."""
        some = even_choice(len(rows.y), MOST_SAMPLES)
        X, weights = rows.take(some), np.ones(len(some))
        if rows.weights is not None:
            weights = rows.weights_at(some)
        values, ranks = [], []
        for column in X.T:
            distinct, codes = np.unique(column, return_inverse=True)
            shares = np.bincount(codes, weights / weights.sum())
            values.append(distinct)
            ranks.append(np.cumsum(shares) - 0.5 * shares)
        return cls(values, ranks)

    def __call__(self, X: Any) -> Floats:
        """Return transformed samples (n, d), interpolated between known values."""
        known = zip(X.T, self.values, self.ranks, strict=True)
        return np.stack([interpolated(*each) for each in known], axis=1)


def interpolated(x: Floats, values: Floats, ranks: Floats) -> Floats:
    """Interpolate, or return the next rank if values differ too little for a slope."""
    found = np.interp(x, values, ranks)
    steep = ~np.isfinite(found)
    found[steep] = ranks[np.searchsorted(values, x[steep])]
    return found


def moments(X: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Return means and standard deviations, one for features that are constant."""
    mean = shares @ X
    centred = X - mean
    size = np.abs(centred).max(axis=0)
    size[size <= 1e-13 * np.abs(mean)] = 0.0  # rounding errors
    size = np.where(size > 0.0, size, 1.0)
    spread = size * np.sqrt(shares @ (centred / size) ** 2)
    return mean, np.where(spread > 0.0, spread, 1.0)


def power(X: Floats, exponents: Floats) -> Floats:
    """Return the transform of Yeo and Johnson with one exponent per feature."""
    logs, exponents = np.log1p(np.abs(X)), np.where(X < 0.0, 2.0 - exponents, exponents)
    zero = exponents == 0.0
    powers = np.expm1(exponents * logs) / np.where(zero, 1.0, exponents)
    return np.copysign(np.where(zero, logs, powers), X)


def best_exponents(X: Floats, weights: Floats) -> Floats:
    """Find the exponents of maximum likelihood by golden sections, all at once."""
    shares = weights / weights.sum()
    slopes = shares @ (np.sign(X) * np.log1p(np.abs(X)))

    def loss(exponents: Floats) -> Floats:
        Z = power(X, exponents)
        Z -= shares @ Z
        with np.errstate(divide="ignore"):  # constant features
            return 0.5 * np.log(shares @ (Z * Z)) - (exponents - 1.0) * slopes

    golden = (math.sqrt(5.0) - 1.0) / 2.0
    low, high = (np.full(X.shape[1], bound) for bound in EXPONENTS)
    inner = [high - golden * (high - low), low + golden * (high - low)]
    losses = [loss(exponents) for exponents in inner]
    for _ in range(SECTIONS):
        left = losses[0] < losses[1]
        low, high = np.where(left, low, inner[0]), np.where(left, inner[1], high)
        new = np.where(left, high - golden * (high - low), low + golden * (high - low))
        found = loss(new)
        inner = [np.where(left, new, inner[1]), np.where(left, inner[0], new)]
        losses = [np.where(left, found, losses[1]), np.where(left, losses[0], found)]
    return 0.5 * (low + high)


TRANSFORMS: dict[str, Any] = {"Yeo-Johnson": YeoJohnson, "ranks": Ranks}
