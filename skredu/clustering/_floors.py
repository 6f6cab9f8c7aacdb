r"""Lower bounds of merging costs that outlive merges.

Let :math:`L` be the bits of a group, :math:`G` a thick group that takes in a thin one
:math:`x` of weight :math:`w`, and :math:`H` another thick one. Then

.. math::

    c(G \cup x, H) - c(G, H) = [L(G \cup H \cup x) - L(G \cup H)] - [L(G \cup x) - L(G)]

and the second bracket is known. In the first, let :math:`N` be the weight of
:math:`G \cup H`, :math:`C` its covariance and :math:`V = \log_2\det(I + C)`; further
:math:`p = N/(N+w)`. The new covariance is at least :math:`pC`, so that the new volume
is at least :math:`V + r\log_2 p \ge V - rw/(N \ln 2)` in :math:`r` dimensions. Half of
the volumes, weighted by :math:`N + w + d` and :math:`N + d`, thus grow by at least

.. math::

    \frac w2 \left(V - \frac{r (N + w + d)}{N \ln 2}\right),
    \qquad V \ge \frac{n_G V_G + n_H V_H}{N}

where the second holds because the logarithm of a determinant is concave. Labels give
back :math:`w (\log_2(N + w) + 1/\ln 2)` bits at most, and the mean moves by at most
:math:`1 - p` times twice the distance of the farthest row from the origin.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Groups with a row in the table of bounds: those beyond have none.
MAX_FLOORS = 512
# What rounding may add to a lower bound, relative to the bits of all rows in one group.
SLACK = 1e-10


class Floors:
    """Lower bounds of the bits that merging two thick groups takes.

    Parameters
    ----------
    rank, n_features : int
        Dimension of the coordinates and of the lengths.
    bits : float
        Upper bound of the bits of any group.
    farthest : float
        Greatest distance of a row from the origin, over the square root of
        ``n_features``; zero where no mean is coded.
    """

    def __init__(
        self, rank: int, n_features: int, bits: float, farthest: float
    ) -> None:
        self.d, self.flat = n_features, rank / math.log(2.0)
        # |d log(1 + s^2) / ds| <= 1
        self.mean_bits = n_features * farthest / math.log(2.0)
        self.slack = SLACK * bits
        self.table = np.full((16, 16), -math.inf)
        self.volumes = np.zeros(16)  # weighted, less `flat`

    def of(self, t: int, n: int) -> Any:
        """Bounds of a thick group with the first ``n``; not to be changed."""
        room = len(self.table)
        if max(t + 1, n) <= room:
            return self.table[t, :n]
        row = np.full(n, -math.inf)
        if t < room:
            row[:room] = self.table[t]
        return row

    def learn(self, t: int, others: Any, costs: Any) -> None:
        """Keep costs that are known."""
        room = len(self.table)
        if t < room:
            within = others < room
            others, floors = others[within], costs[within] - self.slack
            self.table[t, others] = self.table[others, t] = floors

    def raise_to(self, t: int, bounds: Any) -> None:
        """Keep the better ones of bounds with all."""
        n = len(bounds)
        if max(t + 1, n) <= len(self.table):
            row = np.maximum(self.table[t, :n], bounds)
            self.table[t, :n] = self.table[:n, t] = row

    def place(self, t: int, count: float, volume: float) -> None:
        """Make a row for a group of which nothing is known."""
        room = len(self.table)
        if room <= t < MAX_FLOORS:
            self.table = np.pad(self.table, (0, room), constant_values=-math.inf)
            self.volumes = np.pad(self.volumes, (0, room))
        if t < len(self.table):
            self.table[t] = self.table[:, t] = -math.inf
            self.volumes[t] = count * (volume - self.flat)

    def swallow(
        self, t: int, counts: Any, weight: float, gain: float, volume: float
    ) -> None:
        """Lower the bounds of a group that has taken in a thin one.

        Parameters
        ----------
        t : int
            The group.
        counts : array
            Weights of the thick groups, after that.
        weight : float
            That of the thin group.
        gain : float
            Bits of the group, less those before.
        volume : float
            Its log-volume.
        """
        n = min(len(counts), len(self.table))
        if t >= n:
            return
        before = counts[:n] + (float(counts[t]) - weight)
        # log2(N + w) <= log2(N) + w / (N ln 2)
        share = 0.5 * (self.volumes[t] - self.flat * (weight + self.d))
        share -= self.mean_bits + weight / math.log(2.0)
        rise = self.volumes[:n] * (0.5 * weight)
        rise += weight * share
        rise /= before
        rise -= weight * np.log2(before)
        rise -= gain + self.slack + weight / math.log(2.0)
        self.table[t, :n] += rise
        self.table[:n, t] = self.table[t, :n]
        self.volumes[t] = float(counts[t]) * (volume - self.flat)

    def move(self, t: int, last: int) -> None:
        """Put a group in the place of another."""
        room = len(self.table)
        if last < room:
            self.table[t] = self.table[last]
            self.table[:, t] = self.table[:, last]
            self.volumes[t] = self.volumes[last]
        elif t < room:
            self.table[t] = self.table[:, t] = -math.inf
            self.volumes[t] = -math.inf  # unknown
