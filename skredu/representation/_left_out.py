r"""The loss of samples that are left out of classes in closed form, and its gradient.

Classes are coded as in `skredu.coding._group`, without the term of the mean. A class
has the weight n and the scatter S about its mean. After a sample, which differs from
the mean by u, has been added with the weight t, or removed with a negative one, the
length is

.. math::

    L_t(u) = \frac{n + t + m}{2} \bigl(\log\det(I + cS) + \log(1 + c f q)\bigr),
    \quad c = \frac{m}{(n + t) \epsilon^2}, \; f = \frac{nt}{n + t}, \;
    q = u^T (I + cS)^{-1} u.

A sample costs :math:`L_1 - L_0` nats in another class, and :math:`L_{1-w} - L_{-w}` in
its own class, of which it leaves with its weight w. The loss is the cross-entropy of
these costs, after the temperature and label code that suit them best. Only the
gradients of lengths are computed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu.coding._choose import Likelihood
from skredu.coding._group import Group, vector_blocks
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
        pairs = [(self._group(Z, part), part) for part in self.slices]
        nats = np.stack([self._costs(Z, *pair) for pair in pairs], axis=1)
        remain = [self._remain(*pair) for pair in pairs]
        known, gradient = np.concatenate(remain), np.zeros_like(Z)
        if len(pairs) < 2 or not np.any(known):
            return 0.0, gradient
        y = np.repeat(np.arange(len(pairs)), [len(part) for part in remain])
        left = np.repeat([[group.n for group, _ in pairs]], len(Z), axis=0)
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
        for j, pair in enumerate(pairs):
            self._add_gradient(Z, *pair, slopes[:, j], gradient)
        return -loss, gradient

    def _costs(self, Z: Any, group: Group, part: slice) -> Any:
        """Return the nats (n,) of samples in a class, without themselves."""
        X, path = Z.T[None], np.asarray([self.epsilon])
        nats = group.extra(X, path)[:, 0]
        nats[part] = group.without(X[:, :, part], path, self.weights[part])[:, 0]
        return nats

    def _group(self, Z: Any, part: slice) -> Group:
        """Return the group of a class, with all eigenvectors."""
        w = self.weights[part]
        n = float(np.sum(w))
        mean = w / (n or 1.0) @ Z[part]
        root = np.sqrt(w)[:, None] * (Z[part] - mean)
        values, basis = np.linalg.eigh(root.T @ root)
        parts = np.maximum(values, 0.0)[None], basis[None], mean
        return Group(n, vector_blocks(self.n_features, Z), *parts, codes_mean=False)

    def _remain(self, group: Group, part: slice) -> Any:
        """Return whether enough of the weight of a class is left without a sample."""
        return group.n - self.weights[part] > LEAST_REST * group.n

    def _add_gradient(
        self, Z: Any, group: Group, part: slice, slopes: Any, gradient: Any
    ) -> None:
        """Add derivatives by features, given those by the costs (n,) in a class."""
        n, values, V = group.n, group.eigenvalues[0], group.basis[0]
        w = self.weights[part]
        U = Z - group.mean
        along = U @ V
        own, others = slopes[part], slopes.copy()
        others[part] = 0.0
        leaves = np.where(self._remain(group, part), w, 0.5 * n)
        A, moves = np.zeros((len(values), len(values))), np.zeros_like(along)
        for sign, change, g, at in (
            (1.0, np.ones(1), others, slice(None)),
            (-1.0, np.zeros(1), others, slice(None)),
            (1.0, 1.0 - leaves, own, part),
            (-1.0, -leaves, own, part),
        ):
            c = group.blocks.scale(n + change, self.epsilon)[0]
            heights = sign * g * (n + change + self.n_features) / 2.0 * c
            shrunk = 1.0 / (1.0 + c[:, None] * values)
            A[np.diag_indices_from(A)] += heights @ np.broadcast_to(
                shrunk, (len(g), len(A))
            )
            if not np.any(change):
                continue
            f, projected = n * change / (n + change), shrunk * along[at]
            factors = 1.0 + c * f * np.sum(projected * along[at], axis=1)
            heights = heights * f / np.maximum(factors, LEAST_FACTOR)
            weighed = heights[:, None] * projected
            moves[at] += 2.0 * weighed
            A -= (c[:, None] * weighed).T @ projected
        moves = moves @ V.T
        gradient += moves
        gradient[part] += 2.0 * w[:, None] * (U[part] @ (V @ A @ V.T))
        gradient[part] -= w[:, None] / (n or 1.0) * np.sum(moves, axis=0)
