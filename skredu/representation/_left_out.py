r"""The loss of samples that are left out of classes in closed form, and its gradient.

The classes are those of `skredu.coding._group`, without the term of the mean. A group
has the weight n and the scatter S about its mean. After a sample, which differs from
the mean by u, has been added with the weight t, or removed with a negative one, the
length is

.. math::

    L_t(u) = \frac{n + t + m}{2} \bigl(\log\det(I + cS) + \log(1 + c f q)\bigr),
    \quad c = \frac{m}{(n + t) \epsilon^2}, \; f = \frac{nt}{n + t}, \;
    q = u^T (I + cS)^{-1} u.

A sample costs :math:`L_1 - L_0` nats in another class, and :math:`L_{1-w} - L_{-w}` in
its own class, of which it leaves with its weight w. The loss is the cross-entropy of
these costs, after the temperature and label code that suit them best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu.coding._choose import Likelihood
from skredu.representation._objective import Objective

# Keeps the logarithm of what is left of a class finite in rounding.
LEAST_FACTOR = 1e-9
# A class has to keep this share of its weight without a sample that is left out.
LEAST_REST = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class LeftOut(Objective):
    """Log-likelihood of the labels of features on the sphere that are left out.

    The parameters are those of `Objective`. Samples without which their class is empty
    are not predicted.
    """

    @property
    def size(self) -> float:
        """One nat."""
        return 1.0

    def of_rows(self, Z: Any) -> tuple[float, Any]:
        """Return the mean log-likelihood of the labels, and its gradient."""
        found = [self._costs(Z, part) for part in self.slices]
        nats = np.stack([costs for costs, _, _ in found], axis=1)
        sizes = np.array([n for _, n, _ in found])
        known = np.concatenate([remains for _, _, remains in found])
        y = np.repeat(np.arange(len(found)), [len(part[2]) for part in found])
        gradient = np.zeros_like(Z)
        if len(found) < 2 or not np.any(known):
            return 0.0, gradient
        left = np.repeat(sizes[None], len(Z), axis=0)
        left[np.arange(len(Z)), y] -= np.where(known, self.weights, 0.0)
        scores = np.log(left) - nats
        chosen = Likelihood(scores[known], y[known], self.weights[known])
        chosen.least = 0.0  # without a bound, the gradient is zero at the optimum
        theta, _ = chosen.maximum(None, fit_labels=True)
        theta, _ = chosen.maximum(theta, fit_labels=True)  # to full precision
        loss, P = chosen.loss(theta)
        P[y[known], np.arange(P.shape[1])] -= 1.0
        # of the log-likelihood by nats; the temperature and the label code are optimal
        slopes = np.zeros_like(nats)
        slopes[known] = (theta[0] / chosen.unit * chosen.weights * P).T
        for j, part in enumerate(self.slices):
            # computed again, since arrays of all classes would take much memory
            _Changes(Z, part, self).add_gradient(slopes[:, j], gradient)
        return -loss, gradient

    def _costs(self, Z: Any, part: slice) -> tuple[Any, float, Any]:
        """Return costs (n,) in a class, its weight, and whether it can be predicted."""
        changes = _Changes(Z, part, self)
        return changes.nats, changes.n, changes.remains


class _Changes:
    """Costs of all samples in one class, and their derivatives."""

    def __init__(self, Z: Any, part: slice, objective: LeftOut) -> None:
        self.part, self.weights = part, objective.weights[part]
        self.n = n = float(np.sum(self.weights))
        shares = self.weights / n if n > 0.0 else self.weights
        self.shares = shares
        self.U = Z - shares @ Z[part]
        roots = np.sqrt(self.weights)[:, None]
        V = roots * self.U[part]
        values, self.basis = np.linalg.eigh(V.T @ V)
        self.values = np.maximum(values, 0.0)
        self.along = self.U @ self.basis
        self.dim, self.epsilon = float(objective.n_features), objective.epsilon
        self.remains = n - self.weights > LEAST_REST * n
        w = np.where(self.remains, self.weights, 0.5 * n)
        own = self.along[part]
        self.joined = [(1.0, self._length(1.0, self.along))]
        self.joined.append((-1.0, self._length(0.0)))
        self.rejoined = [(1.0, self._length(1.0 - w, own))]
        self.rejoined.append((-1.0, self._length(-w, own)))
        self.nats = sum(sign * found[0] for sign, found in self.joined)
        self.nats[part] = sum(sign * found[0] for sign, found in self.rejoined)

    def _length(self, change: Any, along: Any = None) -> tuple[Any, ...]:
        """Return lengths after a change of weight, and what their derivatives need."""
        n = np.atleast_1d(self.n + change)
        c = self.dim / (n * self.epsilon**2)
        half = 0.5 * (n + self.dim)
        scaled = c[:, None] * self.values
        lengths, shrunk = half * np.sum(np.log1p(scaled), axis=1), 1.0 / (1.0 + scaled)
        if along is None:
            return lengths, c, half, shrunk, None, None
        f = self.n * np.atleast_1d(change) / n
        forms = np.sum(shrunk * along * along, axis=1)
        factors = np.maximum(1.0 + c * f * forms, LEAST_FACTOR)
        lengths = lengths + half * np.log(factors)
        return lengths, c, half, shrunk, along * shrunk, half * c * f / factors

    def add_gradient(self, slopes: Any, gradient: Any) -> None:
        """Add the derivatives by features, given those by the costs of all samples."""
        m, part = len(self.values), self.part
        own, others = slopes[part], slopes.copy()
        others[part] = 0.0
        A, moves = np.zeros((m, m)), np.zeros_like(self.along)
        for found, g, at in (
            (self.joined, others, slice(None)),
            (self.rejoined, own, part),
        ):
            for sign, (_, c, half, shrunk, projected, heights) in found:
                given = np.broadcast_to(sign * g * half * c, g.shape)
                diagonal = given @ np.broadcast_to(shrunk, (len(g), m))
                A[np.arange(m), np.arange(m)] += diagonal
                if projected is None:
                    continue
                weighed = (sign * g * heights)[:, None] * projected
                moves[at] += 2.0 * weighed
                A -= (c[:, None] * weighed).T @ projected
        moves = moves @ self.basis.T
        gradient += moves
        A = self.basis @ A @ self.basis.T
        inner = 2.0 * self.weights[:, None] * (self.U[part] @ A)
        gradient[part] += inner - self.shares[:, None] * np.sum(moves, axis=0)
