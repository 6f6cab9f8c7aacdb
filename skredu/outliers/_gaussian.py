"""Outlier scores by one Gaussian, and scores of samples with missing features.

A sample with few features takes few bits. So its bits on the features that it has are
multiplied by the ratio of the bits that usual samples take on all features, and on
these.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skredu._checks import has_gaps
from skredu.coding._classes import Classes
from skredu.coding._missing import (
    ClassesWithGaps,
    observed_spread,
    patterns,
    restricted,
)
from skredu.coding._rows import Rows
from skredu.coding._scatter import Scatter, group_of_scatter

Floats = NDArray[np.float64]


class OneClassWithGaps(ClassesWithGaps):
    """Training samples with gaps, all of one class, coded about their mean."""

    def code(self, scatters: list[Scatter], X: Any, epsilons: Any) -> Any:
        """Return the extra nats (n, 1, e) of samples, as if they had all features."""
        return nats_of_whole(scatters[0], X, epsilons)[:, None, :]


def nats_of_whole(scatter: Scatter, X: Floats, epsilons: Floats) -> Floats:
    """Return the extra nats (n, e) of samples with gaps, as if they had all features.

    Parameters
    ----------
    scatter : Scatter
        The scatter of the group.
    X : array of shape (n, d)
        Samples, with NaN where a feature is missing.
    epsilons : array of shape (e,)
    """
    nats = np.empty((len(X), len(epsilons)))
    usual = _usual_nats(about_mean(scatter), epsilons)
    for at, observed in patterns(np.isnan(X)):
        if not len(observed):
            nats[at] = usual
            continue
        group = about_mean(restricted(scatter, observed))
        path = epsilons * math.sqrt(len(observed) / X.shape[1])
        found = group.extra(X[np.ix_(at, observed)].T[None, ...], path)
        nats[at] = found * ratio(usual, _usual_nats(group, path))
    return nats


def about_mean(scatter: Scatter) -> Any:
    """Return the group of a scatter whose mean takes no bits."""
    group: Any = group_of_scatter(scatter)
    return replace(group, codes_mean=False)


def ratio(of_all: Any, of_some: Any) -> Any:
    """Return the ratio of bits on all and on some features; one if these take none."""
    return np.where(of_some > 0.0, of_all, 1.0) / np.where(of_some > 0.0, of_some, 1.0)


def _usual_nats(group: Any, epsilons: Floats) -> Floats:
    """Return the extra nats (e,) of a sample at the usual distance from the mean.

    This is the root mean square of the Mahalanobis distances of all samples, with a
    covariance that includes the distortion.
    """
    n, d = group.n, group.blocks.dim
    scaled = group.blocks.scale(n + 1.0, epsilons)[0, :, None] * group.eigenvalues[0]
    volumes = np.log1p(scaled).sum(axis=1)
    volumes += np.log1p((scaled / (1.0 + scaled)).sum(axis=1) / (n + 1.0))
    return (n + 1.0 + d) / 2.0 * volumes - group.length(epsilons)


def spread(rows: Rows, permutations: Any = None) -> float:
    """Return the root mean square distance of samples, or their images, from the mean.

    Samples may have gaps if there are no permutations.
    """
    if has_gaps(rows.X):
        return observed_spread(rows, assume_centered=False)
    return rows.spread(assume_centered=False, permutations=permutations)


def bits_left_out(classes: Classes, rows: Rows, chosen: Any, path: Any) -> Any:
    """Return the bits (m, e) that samples add to the others, without their copies.

    If there are no others, a sample is coded together with itself.
    """
    nats = classes.left_out(rows, chosen, path)[:, 0, :]
    alone = np.flatnonzero(np.isinf(nats[:, 0]))
    if len(alone):
        X = rows.X[chosen[alone]]
        if isinstance(classes, OneClassWithGaps):
            nats[alone] = classes.code(classes.scatters, X, path)[:, 0]
        else:
            nats[alone] = classes.groups[0].extra(X.T[None, ...], path)
    return nats / math.log(2.0)
