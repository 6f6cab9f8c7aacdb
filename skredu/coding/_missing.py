r"""Samples with missing features: each one is coded on the features that it has.

A group of dimension ``d`` is restricted to the ``m`` observed features of a sample: its
mean and its scatter lose the other rows and columns, and the distortion becomes
:math:`\epsilon \sqrt{m/d}`, which is the same distortion per feature. Lengths then are
those of samples that never had the missing features.

Scatters of classes with gaps are expected ones. In each class, samples are normal with
a mean :math:`\mu` and a covariance ``K``. Expectation-maximisation alternates between
the moments of missing features given the observed ones, and

.. math:: (n + \nu) K = \sum_i \left[(\hat x_i - \mu)(\hat x_i - \mu)^T + C_i\right]
    + \sigma^2 D + \nu K_0

with the completed samples :math:`\hat x_i`, the covariances :math:`C_i` of their
missing features, and the numbers ``D`` of observations of each feature, on a diagonal.
The variance :math:`\sigma^2` of noise and :math:`\nu` samples of the covariance
:math:`K_0` of all classes keep a class with few samples from explaining gaps by chance.
No step decreases

.. math:: -\frac12 \sum_i \left[\log\det K_{oo} + z_o^T K_{oo}^{-1} z_o\right]
    - \frac12 \operatorname{tr}(\sigma^2 D + \nu K_0) K^{-1}
    - \frac{\nu}{2} \log\det K,

where ``o`` are the observed features of sample ``i`` and ``z`` is the sample minus the
mean. The expected scatter is the sum in brackets, without the noise that is part of
:math:`C_i`; for samples without gaps, it is their scatter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skredu._compat import namespace, to_numpy
from skredu.coding._choose import evenly
from skredu.coding._classes import Classes
from skredu.coding._rows import Rows, root_spread
from skredu.coding._scatter import EIGENVECTORS, Scatter, group_of_scatter

Floats = NDArray[np.float64]

# Variance of the noise, relative to the sum of the variances of all features.
NOISE = 1e-3
# Samples per feature that the covariance of all classes counts.
PRIOR_SAMPLES = 10.0
# The covariance of all classes is computed once more from the completed samples.
ROUNDS = 2
# Expectation-maximisation stops after a step that gains fewer nats per observation.
TOLERANCE = 1e-3
MAX_STEPS = 20
# Number of parts of the samples, each of which is predicted from the others to choose a
# distortion.
N_FOLDS = 5
# Largest number of operations for the eigenvectors of predicted samples, and a number
# of samples that are predicted in any case.
MOST_FACTORING, LEAST_JUDGED = 3e10, 100


def patterns(missing: Any) -> Iterator[tuple[Any, Any]]:
    """Return positions of samples with equal gaps, and their observed features."""
    bits = np.packbits(missing, axis=1)
    _, first, which = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    stops = np.cumsum(np.bincount(which.ravel(), minlength=len(first)))
    for i, at in zip(first, np.split(order, stops[:-1])[: len(first)], strict=True):
        yield at, np.flatnonzero(~missing[i])


def restricted(scatter: Scatter, observed: Any) -> Scatter:
    """Return the scatter of some of the features, by an index array."""
    xp, rest, root, S = namespace(scatter.mean), scatter.rest, scatter.root, None
    index = xp.asarray(observed, device=scatter.mean.device)
    if scatter.matrix is None:
        root = xp.take(root, index, axis=1)
    else:
        S = xp.take(xp.take(scatter.matrix, index, axis=0), index, axis=1)
    if not isinstance(rest, float):
        rest = xp.take(rest, index)
    share = len(observed) / scatter.mean.shape[0]
    return replace(
        scatter,
        mean=xp.take(scatter.mean, index),
        rest=rest,
        root=root,
        matrix=S,
        epsilon=scatter.epsilon * math.sqrt(share),
    )


def extra_nats(
    scatters: list[Scatter], X: Any, epsilons: Any, epsilon: float | None = None
) -> Any:
    """Return the extra nats (n, k, e) of samples with gaps in groups, without labels.

    A sample without any observed feature takes none.

    Parameters
    ----------
    scatters : list of Scatter
        The scatter of each group.
    X : array of shape (n, d)
        Samples, with NaN where a feature is missing.
    epsilons : array of shape (e,)
    epsilon : float, default=None
        The only distortion, if there is only one.
    """
    xp, d, parts, places = namespace(X), X.shape[1], [], []
    for at, observed in patterns(to_numpy(xp.isnan(X))):
        places.append(at)
        if not len(observed):
            shape = len(at), len(scatters), epsilons.shape[0]
            parts.append(xp.zeros(shape, dtype=xp.float64, device=X.device))
            continue
        share = math.sqrt(len(observed) / d)
        given = None if epsilon is None else epsilon * share
        some = (restricted(scatter, observed) for scatter in scatters)
        classes = Classes([group_of_scatter(s, epsilon=given) for s in some])
        rows, columns = (xp.asarray(i, device=X.device) for i in (at, observed))
        Z = xp.take(xp.take(X, rows, axis=0), columns, axis=1).T[None, ...]
        parts.append(classes.extra(Z, epsilons * share))
    back = xp.asarray(np.argsort(np.concatenate(places)), device=X.device)
    return xp.take(xp.concat(parts), back, axis=0)


def completed(X: Floats, mean: Floats, covariance: Floats) -> Floats:
    """Return samples whose missing features have their conditional means.

    Parameters
    ----------
    X : array of shape (n, d)
        Samples, with NaN where a feature is missing.
    mean : array of shape (d,)
    covariance : array of shape (d, d)
        Positive definite covariance of the features.
    """
    Z, features = X - mean, np.arange(X.shape[1])
    for at, observed in patterns(np.isnan(X)):
        m = np.setdiff1d(features, observed)
        own, other = (covariance[np.ix_(observed, part)] for part in (observed, m))
        # least squares, since noise may be lost in the rounding of a covariance
        found = np.linalg.lstsq(own, other, rcond=None)[0]
        Z[np.ix_(at, m)] = Z[np.ix_(at, observed)] @ found
    return Z + mean


def denoised(
    X: Floats, count: float, mean: Floats, values: Floats, basis: Floats, noise: float
) -> Floats:
    """Project samples on the principal directions of a group that exceed the noise.

    Missing features are first replaced by their conditional means, given the covariance
    of the group plus that of the noise.

    Parameters
    ----------
    X : array of shape (n, d)
        Samples, with NaN where a feature is missing.
    count : float
        Weight of the samples of the group.
    mean : array of shape (d,)
        A vector of the affine subspace.
    values : array of shape (r,)
        Eigenvalues of the scatter of the group; all others are zero.
    basis : array of shape (d, r)
        Its eigenvectors.
    noise : float
        Variance of the noise of each feature, which is positive.
    """
    if np.isnan(X).any():
        root = basis * np.sqrt(values / (count or 1.0))
        X = completed(X, mean, root @ root.T + noise * np.eye(len(mean)))
    V = basis[:, values > count * noise]
    return mean + (X - mean) @ V @ V.T


class ClassesWithGaps(Classes):
    """Classes of training samples with gaps, each coded on its observed features.

    Parameters
    ----------
    rows : Rows
        The training samples.
    scatters : list of Scatter
        The expected scatter of each class.
    groups : list of groups
        The groups of these scatters.
    """

    def __init__(self, rows: Rows, scatters: list[Scatter], groups: list[Any]) -> None:
        super().__init__(groups, spread=observed_spread(rows, groups[0].mean is None))
        self.scatters, self.sizes = scatters, rows.sizes

    @property
    def judged(self) -> tuple[Any, Any]:
        """Samples to leave out, evenly from the classes, and how many each represents.

        Each of them needs the eigenvectors of its own features in every class.
        """
        d, k = self.scatters[0].mean.shape[0], len(self.groups)
        most = int(MOST_FACTORING / (k * EIGENVECTORS * d**3))
        return evenly(self.sizes, max(most, LEAST_JUDGED))

    def code(self, scatters: list[Scatter], X: Any, epsilons: Any) -> Any:
        """Return the extra nats (n, k, e) of samples with gaps in groups."""
        return extra_nats(scatters, X, epsilons)

    def left_out(self, rows: Rows, chosen: Any, epsilons: Any) -> Any:
        """Return the extra nats of training samples in every class, without themselves.

        Every fifth sample is coded by all others: completed samples resemble those from
        which they were completed, so leaving out one sample is not enough. A class that
        is empty without a fold consists of one sample. This sample costs infinitely
        many bits there, and all other samples of the fold are coded by the whole class.
        """
        xp, centred = namespace(epsilons), self.groups[0].mean is None
        nats = np.empty((len(chosen), len(self.groups), epsilons.shape[0]))
        folds, finest = _folds(rows), min(s.epsilon for s in self.scatters)
        for fold in range(N_FOLDS):
            inside = folds == fold
            at = np.flatnonzero(inside[chosen])
            if not len(at):
                continue
            others = rows.part(np.flatnonzero(~inside))
            scatters = expected_scatters(others, centred, finest)
            empty = [j for j, scatter in enumerate(scatters) if scatter.count == 0.0]
            for j in empty:
                scatters[j] = self.scatters[j]
            nats[at] = to_numpy(self.code(scatters, rows.take(chosen[at]), epsilons))
            for j in empty:
                nats[at[rows.y[chosen[at]] == j], j] = np.inf
        return xp.asarray(nats, device=epsilons.device)


def _folds(rows: Rows) -> Any:
    """Return the number of the part to which each sample belongs.

    It does not depend on the order of the samples. It does not depend on the order of
    the features, either, unless two samples contain the same values in another order.
    """
    X = to_numpy(rows.X)
    folds = np.empty(len(X), dtype=np.intp)
    order = np.lexsort((*X.T, *np.sort(X, axis=1).T, rows.y))
    folds[order] = np.arange(len(X)) % N_FOLDS
    return folds


def observed_spread(rows: Rows, assume_centered: bool) -> float:
    """Return the root mean square distance from the mean of samples with gaps.

    Each feature contributes its variance over the samples in which it is observed.
    """
    options = _numbers(rows)
    spread = float(observed_moments(*options, assume_centered)[1].sum())
    norm = float(observed_moments(*options, assume_centered=True)[1].sum())
    return root_spread(spread, norm, float(namespace(rows.X).finfo(rows.X.dtype).eps))


def _numbers(rows: Rows) -> tuple[Floats, Floats]:
    """Return sorted samples (n, d) and weights (n,) as NumPy arrays."""
    return to_numpy(rows.X).astype(np.float64), rows.all_weights


def expected_scatters(
    rows: Rows, assume_centered: bool, epsilon: float | None = None
) -> list[Scatter]:
    """Return the expected scatters of classes of samples with gaps.

    ``epsilon`` is the only distortion that will be used, if it is given.
    """
    (X, weights), like = _numbers(rows), rows.source
    common = observed_moments(X, weights, assume_centered)
    noise = NOISE * float(common[1].sum()) or 1.0
    options = noise, assume_centered, common
    models = [GaussianWithGaps(X[p], weights[p], *options) for p in rows.slices]
    n, d = float(weights.sum()) or 1.0, X.shape[1]
    K: Floats = np.sum([model.n * model.K for model in models], axis=0) / n
    for _ in range(ROUNDS):
        for model in models:
            model.fit(K, PRIOR_SAMPLES * d)
        K = np.sum([model.S for model in models], axis=0) / n + noise * np.eye(d)
    xp, found = namespace(like), []
    for model, part in zip(models, rows.slices, strict=True):
        if model.missing.any():
            mean, S = (
                xp.asarray(array, dtype=like.dtype, device=like.device)
                for array in (model.origin + model.mean, model.S)
            )
            scatter = Scatter(model.n, mean, None, S, assume_centered)
        else:
            w = None if rows.weights is None else rows.weights[part]
            how: dict[str, Any] = {"assume_centered": assume_centered}
            how["epsilon"] = math.inf if epsilon is None else epsilon
            scatter = Scatter.from_rows(rows.take(part), w, **how)
        found.append(scatter)
    return found


def observed_moments(
    X: Floats, weights: Floats, assume_centered: bool
) -> tuple[Floats, Floats]:
    """Return the mean and the variance of each feature where it is observed.

    They are zero for a feature that is never observed.
    """
    there = ~np.isnan(X)
    X, w = np.where(there, X, 0.0), weights[:, None] * there
    w /= np.maximum(w.sum(axis=0), np.finfo(float).tiny)
    mean = (w * X).sum(axis=0)
    if assume_centered:
        mean = 0.0 * mean
    return mean, (w * (X - mean) ** 2).sum(axis=0)


class GaussianWithGaps:
    """A normal distribution fitted to samples with gaps; see the module.

    Parameters
    ----------
    X : array of shape (n, d)
        Samples, with NaN where a feature is missing.
    weights : array of shape (n,)
    noise : float
        Variance of the noise.
    assume_centered : bool
        Whether the mean is zero.
    common : tuple of arrays of shape (d,)
        Mean and variance of features that are never observed in ``X``.
    """

    def __init__(
        self,
        X: Floats,
        weights: Floats,
        noise: float,
        assume_centered: bool,
        common: tuple[Floats, Floats],
    ) -> None:
        self.n, self.noise = float(weights.sum()), noise
        self.weights, self.missing = weights, np.isnan(X)
        self.assume_centered = assume_centered
        moments = observed_moments(X, weights, assume_centered)
        never = self.missing.all(axis=0)
        # differences from a vector near the samples are precise
        self.origin, variance = np.where(never, common, moments)
        self.Z = np.where(self.missing, 0.0, X - self.origin)
        self.observations = weights @ ~self.missing
        self.patterns = [
            (at, np.setdiff1d(np.arange(X.shape[1]), observed))
            for at, observed in patterns(self.missing)
        ]
        self.mean = np.zeros(X.shape[1])
        self.K = np.diag(variance + noise)
        self.S = np.diag(self.n * variance)

    def fit(self, prior: Floats, strength: float) -> list[float]:
        """Improve the moments until they hardly change; return the log-likelihoods.

        ``prior`` is a covariance that counts as ``strength`` samples.
        """
        found: list[float] = []
        least = TOLERANCE * float(self.observations.sum())
        for _ in range(MAX_STEPS if self.n else 0):
            found.append(self.step(prior, strength))
            if len(found) > 1 and found[-1] - found[-2] < least:
                break
        return found

    def step(self, prior: Floats, strength: float) -> float:
        """Complete the samples, update the moments, and return the old likelihood."""
        P, w = np.linalg.inv(self.K), self.weights
        more = self.noise * np.diag(self.observations) + strength * prior
        value = (self.n + strength) * float(np.linalg.slogdet(self.K)[1])
        value += float((more * P).sum())
        Z, C = np.where(self.missing, 0.0, self.Z - self.mean), np.zeros_like(P)
        for at, m in self.patterns:
            if not len(m):
                continue
            # the covariance of features given the others
            own, weight = np.linalg.inv(P[np.ix_(m, m)]), float(w[at].sum())
            Z[np.ix_(at, m)] = -Z[at] @ P[:, m] @ own
            C[np.ix_(m, m)] += weight * own
            value -= weight * float(np.linalg.slogdet(own)[1])
        value += float(w @ np.einsum("ij,ij->i", Z @ P, Z))
        if not self.assume_centered:
            shift = w @ Z / self.n
            self.mean, Z = self.mean + shift, Z - shift
        C += (w[:, None] * Z).T @ Z
        self.K = (C + more) / (self.n + strength)
        # missing features contain noise, too, which is not part of a scatter
        self.S = C - self.noise * np.diag(self.n - self.observations)
        return -0.5 * value
