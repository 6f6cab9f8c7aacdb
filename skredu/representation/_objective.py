"""The rate reduction of features and its gradient, in one pass over the samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu.coding._linalg import (
    factor_of,
    inverse_of,
    log_det_of,
    log_volume,
    volume_gradient,
)
from skredu.rates import class_coding_rate, coding_rate

# If alpha Z^T Z has a larger trace, I + alpha Z^T Z loses more than half of the digits
# in null directions, and singular values of the features are used instead.
MAX_TRACE = 1e8


@dataclass(frozen=True, eq=False, repr=False)
class Reduction:
    r"""Rate reduction of features on the sphere as a function of the features.

    Parameters
    ----------
    slices : list of slice
        Slice of each class.
    weights : ndarray of shape (n,)
        Number of copies of each sample.
    n_features : int
        Dimension that determines ``alpha``; features may have fewer columns if all
        others are zero.
    epsilon : float
        Distortion.
    """

    slices: list[slice]
    weights: Any
    n_features: int
    epsilon: float

    def of_rows(self, Z: Any) -> tuple[float, Any]:
        r"""Return the rate reduction of features (n, m), and its gradient.

        Every class has :math:`\gamma_j \alpha_j = \alpha`, so the gradient of a sample
        of class j is :math:`\alpha w (M^{-1} - M_j^{-1}) z` with
        :math:`M = I + \alpha Z^T Z` and :math:`M_j` accordingly.
        """
        roots = np.sqrt(self.weights)[:, None]
        V = roots * Z
        scale = self.n_features / self.epsilon**2
        n = float(np.sum(self.weights))
        if scale > MAX_TRACE:
            value, gradient = self._of_ill_conditioned_rows(V, n)
        else:
            value, gradient = self._of_weighted_rows(V, n, scale)
        return value, roots * gradient

    def rates(self, Z: Any) -> dict[str, float]:
        """Return the rates of features (n, n_features), precise for any distortion."""
        of = {"epsilon": self.epsilon, "weights": self.weights}
        y = np.repeat(
            np.arange(len(self.slices)), [p.stop - p.start for p in self.slices]
        )
        R, Rc = coding_rate(Z, **of), class_coding_rate(Z, y, **of)
        return {"R": R, "Rc": Rc, "delta_R": R - Rc}

    def of_map(self, W: Any, X: Any) -> tuple[float, Any]:
        """Return the rate reduction of normalised ``X W^T``, and its gradient by W."""
        Y = X @ W.T
        norms = np.sqrt(np.sum(Y * Y, axis=1, keepdims=True))
        inverse = 1.0 / np.where(norms > 0.0, norms, np.inf)
        Z = Y * inverse
        value, G = self.of_rows(Z)
        G -= np.sum(G * Z, axis=1, keepdims=True) * Z  # no change of norms
        G *= inverse
        return value, G.T @ X

    def _of_weighted_rows(self, V: Any, n: float, scale: float) -> tuple[float, Any]:
        """Return value and gradient from the inverses of the smaller sides."""
        m = V.shape[1]
        total, within = np.zeros((m, m)), 0.0
        gradient = np.empty_like(V)
        for part in self.slices:
            rows = V[part]
            n_j = float(np.sum(self.weights[part]))
            S = rows.T @ rows
            total += S
            side = rows @ rows.T if len(rows) < m else S
            inverse, volume = _inverse_and_volume(side, scale / n_j)
            within += n_j / n * volume
            gradient[part] = inverse @ rows if len(rows) < m else rows @ inverse
        inverse, volume = _inverse_and_volume(total, scale / n)
        np.subtract(V @ inverse, gradient, out=gradient)
        gradient *= scale / n
        return 0.5 * (volume - within), gradient

    def _of_ill_conditioned_rows(self, V: Any, n: float) -> tuple[float, Any]:
        """Return value and gradient from singular values, if this is necessary."""
        log_scale = 0.5 * math.log(self.n_features) - math.log(self.epsilon)
        s = log_scale - 0.5 * math.log(n)
        value, gradient = log_volume(V, log_scale=s), volume_gradient(V, log_scale=s)
        for part in self.slices:
            n_j = float(np.sum(self.weights[part]))
            s = log_scale - 0.5 * math.log(n_j)
            value -= n_j / n * log_volume(V[part], log_scale=s)
            gradient[part] -= n_j / n * volume_gradient(V[part], log_scale=s)
        return 0.5 * value, gradient


def _inverse_and_volume(S: Any, alpha: float) -> tuple[Any, float]:
    """Return the inverse of ``I + alpha S``, and its log-determinant."""
    L = factor_of(alpha * S)
    volume = log_det_of(L)
    return inverse_of(L), volume
