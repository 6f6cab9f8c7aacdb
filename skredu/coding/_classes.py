"""The coded groups of all classes, and the cost of samples in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skredu._compat import namespace
from skredu.coding._dense import group_of_state
from skredu.coding._group import Coded
from skredu.coding._linalg import blocks_of_rows, take, widen
from skredu.coding._rows import Rows


class Classes:
    """The groups of all classes.

    Parameters
    ----------
    groups : sequence of groups
        One group per class, in their order: `Group`, `DenseGroup`, or any object with
        ``n``, ``blocks``, ``width``, ``length``, ``extra`` and ``without``.
    Z : array of shape (F, C, n), default=None
        Features of the sorted training samples, to leave them out. None if samples are
        vectors, or if none is left out.
    spread : float, default=None
        Root mean square distance of the training samples from their mean, if it is
        known.
    """

    def __init__(
        self, groups: Sequence[Any], Z: Any = None, spread: float | None = None
    ) -> None:
        self.groups, self.Z, self.spread = list(groups), Z, spread

    def scores(self, Z: Any, epsilon: float, log_priors: Any) -> Any:
        """Return minus the extra bits of samples in every class, with labels, (n, k).

        Parameters
        ----------
        Z : array of shape (F, C, n)
            Features of the samples.
        epsilon : float
        log_priors : array of shape (k,)
            Natural logarithms of the probabilities of the labels.
        """
        epsilons = namespace(log_priors).full_like(log_priors[:1], epsilon)
        return (log_priors - self.extra(Z, epsilons)[:, :, 0]) / math.log(2.0)

    def extra(self, Z: Any, epsilons: Any) -> Any:
        """Return the extra nats (n, k, e) of samples, not including those of labels."""
        parts = []
        width = max(group.width(epsilons.shape[0]) for group in self.groups)
        for block in blocks_of_rows(Z.shape[2], width):
            part = self.features(Z[:, :, block])
            nats = [group.extra(part, epsilons) for group in self.groups]
            parts.append(namespace(epsilons).stack(nats, axis=1))
        return parts[0] if len(parts) == 1 else namespace(epsilons).concat(parts)

    def by_feature(self, Z: Any, epsilon: float) -> Any:
        """Divide the extra nats of vectors between their features, (n, d, k)."""
        xp, (_, d, n), parts = namespace(Z), Z.shape, []
        for block in blocks_of_rows(n, 4 * d * len(self.groups)):
            part = Z[:, :, block]
            nats = [nats_by_feature(group, part, epsilon) for group in self.groups]
            parts.append(xp.stack(nats, axis=2))
        return parts[0] if len(parts) == 1 else xp.concat(parts)

    def features(self, Z: Any) -> Any:
        """Return the features that the groups need."""
        return Z

    def left_out(self, rows: Rows, chosen: Any, epsilons: Any) -> Any:
        """Return the extra nats of training samples in every class, without themselves.

        Parameters
        ----------
        rows : Rows
            The samples from which the groups were computed, or some of them.
        chosen : ndarray of shape (m,)
            Positions of the sorted samples to code, in ascending order.
        epsilons : array of shape (e,)

        Returns
        -------
        nats : array of shape (m, k, e)
        """
        xp, parts = namespace(epsilons), []
        all_rows = rows.X.T[None, ...] if self.Z is None else self.Z
        width = max(group.width(epsilons.shape[0]) for group in self.groups)
        for block in blocks_of_rows(len(chosen), width):
            index, nats = chosen[block], []
            Z = take(all_rows, xp.asarray(index, device=epsilons.device))
            for group, part in zip(self.groups, rows.slices, strict=True):
                start, stop = np.searchsorted(index, (part.start, part.stop)).tolist()
                own, found = xp.asarray(index[start:stop], device=epsilons.device), []
                if start > 0:
                    found.append(group.extra(Z[:, :, :start], epsilons))
                if start < stop:
                    w, places = rows.weights_at(own), own - part.start
                    found.append(
                        group.without(Z[:, :, start:stop], epsilons, w, places)
                    )
                if stop < len(index):
                    found.append(group.extra(Z[:, :, stop:], epsilons))
                nats.append(found[0] if len(found) == 1 else xp.concat(found))
            parts.append(xp.stack(nats, axis=1))
        return parts[0] if len(parts) == 1 else xp.concat(parts)

    def to_state(self) -> dict[str, Any]:
        """Return everything that predictions need as arrays, numbers and containers."""
        return {"groups": [group.to_state(moves=False) for group in self.groups]}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Classes:
        """Restore the classes from what `to_state` returned."""
        return cls([group_of_state(part) for part in state["groups"]])


# -- nats of each feature -------------------------------------------------------------


def nats_by_feature(group: Coded, Z: Any, epsilon: float, origin: Any = 0.0) -> Any:
    r"""Divide the extra nats of samples in a group between their features.

    With the difference :math:`u = z - \mu` from the mean, the logarithm in

    .. math:: \delta L = \frac{n+1+d}{2} \log\Bigl(1 + \sum_i q_i\Bigr) + \ldots, \quad
        q_i = c f\, u_i \, [(I + cS)^{-1} u]_i

    is divided in proportion to the terms :math:`q_i` of its argument, and so is the
    change of the term of the mean in proportion to the changes of :math:`\mu_i^2`. What
    is left, the change of the determinant of the group by its new weight, is the same
    for all samples.

    Parameters
    ----------
    group : Group or DenseGroup
        A group of vectors.
    Z : array of shape (1, d, b)
        Features of the samples.
    epsilon : float
        The distortion.
    origin : array of shape (d,), default=0.0
        Where the coordinates of group and samples are zero, for the term of the mean.

    Returns
    -------
    nats : array of shape (b, d)
        Nats of each feature, in double precision; negative where a feature makes the
        sample more likely, given the others.
    """
    xp, n, d = namespace(Z), group.n, group.blocks.dim
    c, X = float(group.blocks.scale(n + 1.0, epsilon)[0]), widen(Z[0, ...].T)
    if group.mean is None:
        q = c * X * _solved(group, X, epsilon)
    else:
        mean = widen(group.mean)
        q = c * n / (n + 1.0) * (X - mean) * _solved(group, X - mean, epsilon)
    total = xp.sum(q, axis=1)
    nats = (n + 1.0 + d) / 2.0 * q * _slope(xp.zeros_like(total), total)[:, None]
    if group.mean is not None and group.codes_mean:
        before = ((mean + origin) / epsilon) ** 2
        after = (((n * mean + X) / (n + 1.0) + origin) / epsilon) ** 2
        sums = xp.sum(before) + xp.zeros_like(total), xp.sum(after, axis=1)
        nats = nats + d / 2.0 * (after - before) * _slope(*sums)[:, None]
    return nats


def _slope(a: Any, b: Any) -> Any:
    """Return the mean slope of ``log(1 + x)`` between arrays of numbers."""
    xp, step = namespace(a), (b - a) / (1.0 + a)
    small = xp.abs(step) < 1e-12
    step = xp.where(small, xp.ones_like(step), step)
    return xp.where(small, xp.ones_like(step), xp.log1p(step) / step) / (1.0 + a)


def _solved(group: Coded, rows: Any, epsilon: float) -> Any:
    """Return ``(I + c S)^{-1} z`` of rows (b, d), in double precision; see `Coded`."""
    if group.varying is None:
        return group.solved(rows.T[None, ...], epsilon)[0, ...].T
    xp, index = namespace(rows), (group.varying, group.constant)
    inner, rest = (xp.take(rows, part, axis=1) for part in index)
    inner = group.solved(inner.T[None, ...], epsilon)[0, ...].T
    places = xp.argsort(xp.concat(index))
    return xp.take(xp.concat([inner, rest], axis=1), places, axis=1)
