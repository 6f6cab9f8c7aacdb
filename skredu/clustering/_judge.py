r"""Which of several partitions describes the rows best, whatever the distortion.

Bits at two distortions cannot be compared: a larger one always takes fewer. So every
group is described as a Gaussian that has a variance of its own in each of its ``q``
principal directions, and one variance in all others:

.. math::

    \frac{n_j}{2} \Bigl(\sum_{i \le q} \log_2 \lambda_i + (r - q) \log_2 \sigma^2\Bigr)
    + \frac{p_q}{2} \log_2 n - n_j \log_2 \frac{n_j}{n}

with the ``q`` for which this is smallest, and :math:`p_q` parameters. A ball takes few
of them and a subspace pays for its own directions only, so that groups with fewer rows
than features are told apart. This is the Bayesian information criterion of a mixture of
probabilistic principal component analysers with hard memberships (Tipping and Bishop,
"Mixtures of probabilistic principal component analyzers", Neural Computation, 1999).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skredu.clustering._partition import Group, Partition, Rows

# Share of the spread below which no deviation counts.
FINEST = 1e-3
# Share of the rows up to which a group is no evidence.
FEW = 0.01


class Judge:
    """Bits that describe partitions of the same rows, up to a constant.

    Lengths are in units of the spread of the rows, so that their squares are in range.

    Parameters
    ----------
    rows : Rows
        At any distortion.
    unit : float
        Length of one in these rows.
    rounding : array of shape (r,)
        Variance that rounding leaves in each coordinate.
    rank : int
        Number of directions in which rows differ.
    """

    def __init__(self, rows: Rows, unit: float, rounding: Any, rank: int) -> None:
        self.rank, self.rounding = max(rank, 1), rounding
        self.floor = FINEST**2 / self.rank
        self.total = float(np.sum(rows.weights))
        self.alone = self._alone(rows, unit)

    def bits(self, partition: Partition, unit: float, large: Any) -> float:
        """Bits of the groups that count, and of all other rows, under one label.

        A row alone has no spread, and a few of many rows are close by chance, so they
        are among the others.
        """
        least = max(1.0, FEW * len(partition.labels))
        bits = outside = 0.0
        for group, counts in zip(partition.groups, large, strict=True):
            if counts and len(group.members) > least:
                bits += self._group(group, unit)
                bits -= group.count * math.log2(group.count / self.total)
            else:
                bits += float(np.sum(self.alone[group.members]))
                outside += group.count
        if outside > 0.0:
            bits -= outside * math.log2(outside / self.total)
        return bits

    def _group(self, group: Group, unit: float) -> float:
        """Bits of a group, for the best number of directions of their own."""
        r, n = self.rank, len(group.members)
        free = n if group.rows.assume_centered else n - 1
        variances = self._variances(group, unit)
        q = np.arange(max(1, min(r, free)))
        rest = np.cumsum(variances[::-1])[::-1][q] / (r - q)
        # Without bias: the directions were fitted to the rows as well.
        rest *= n / np.maximum(free - q, 1)
        own = np.cumsum(np.log2(variances * (n / max(free, 1))))
        volumes = np.concatenate([[0.0], own])[q] + (r - q) * np.log2(rest)
        n_parameters = 1 + q * r - q * (q - 1) // 2 + (n - free) * r
        bits = group.count * volumes + n_parameters * math.log2(self.total)
        return 0.5 * float(np.min(bits))

    def _variances(self, group: Group, unit: float) -> Any:
        """Variances in principal directions, with what rounding leaves in each."""
        order = np.argsort(-group.squares, kind="stable")[: self.rank]
        known = len(order)
        noise, left = np.zeros(self.rank), float(np.sum(self.rounding))
        noise[:known] = self.rounding @ group.V[:, order] ** 2
        if known < self.rank:
            noise[known:] = max(0.0, left - noise.sum()) / (self.rank - known)
        noise[:known] += group.squares[order] * (unit * unit / group.count)
        return np.maximum(noise, self.floor)

    def _alone(self, rows: Rows, unit: float) -> Any:
        """Bits of each row as an outlier.

        By a Cauchy distribution as wide as all rows.
        """
        r, group = self.rank, rows.group(np.arange(len(rows)))
        X = (rows.X - group.mean) * unit
        variance = float(np.sum(group.squares)) * unit**2 / (self.total * r)
        variance, half = max(variance, self.floor), 0.5 * (r + 1)
        bits = 0.5 * r * math.log2(variance) - math.lgamma(half) / math.log(2.0)
        bits += half * math.log2(math.pi)
        bits -= 0.5 * r * math.log2(2.0 * math.pi * math.e)  # as for Gaussians
        distances = np.einsum("ij,ij->i", X, X) / variance
        return rows.weights * (bits + half * np.log2(1.0 + distances))
