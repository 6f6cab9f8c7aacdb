"""What features on the sphere are learned by: the rate reduction and its gradient."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu._compat import move_to, namespace, to_numpy
from skredu.coding._linalg import (
    factors,
    inverse_of,
    log_volume,
    volume_gradient,
)
from skredu.rates import class_coding_rate, coding_rate

# If alpha Z^T Z has a larger trace, I + alpha Z^T Z loses more than half of the digits
# in null directions, and singular values of the features are used instead.
MAX_TRACE = 1e8


@dataclass(frozen=True, eq=False, repr=False)
class Objective(ABC):
    r"""A function of features on the sphere that a map of samples maximises.

    Parameters
    ----------
    slices : list of slice
        Slice of each class.
    weights : array of shape (n,)
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

    @property
    @abstractmethod
    def size(self) -> float:
        """Size of values; gains are not compared with much smaller values."""

    @abstractmethod
    def of_rows(self, Z: Any) -> tuple[float, Any]:
        """Return the value of features (n, m), and its gradient."""

    def of_map(self, W: Any, X: Any) -> tuple[float, Any]:
        """Return the value of normalised ``X W^T``, and its gradient by W.

        ``W`` and the gradient are NumPy arrays.
        """
        xp, (W,) = namespace(X), move_to(X, W)
        Y = X @ W.T
        norms = xp.sqrt(xp.sum(Y * Y, axis=1, keepdims=True))
        inverse = 1.0 / xp.where(norms > 0.0, norms, xp.full_like(norms, xp.inf))
        Z = Y * inverse
        value, G = self.of_rows(Z)
        G -= xp.sum(G * Z, axis=1, keepdims=True) * Z  # no change of norms
        G *= inverse
        return value, to_numpy(G.T @ X)


@dataclass(frozen=True, eq=False, repr=False)
class Reduction(Objective):
    r"""Rate reduction of features on the sphere as a function of the features."""

    @property
    def size(self) -> float:
        """The largest rate of features on the sphere."""
        return 0.5 * self.n_features * math.log1p(self.epsilon**-2)

    def of_rows(self, Z: Any) -> tuple[float, Any]:
        r"""Return the rate reduction of features (n, m), and its gradient.

        Every class has :math:`\gamma_j \alpha_j = \alpha`, so the gradient of a sample
        of class j is :math:`\alpha w (M^{-1} - M_j^{-1}) z` with
        :math:`M = I + \alpha Z^T Z` and :math:`M_j` accordingly.
        """
        xp = namespace(Z)
        roots = xp.sqrt(self.weights)[:, None]
        V = roots * Z
        scale = self.n_features / self.epsilon**2
        n = float(xp.sum(self.weights))
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

    def _of_weighted_rows(self, V: Any, n: float, scale: float) -> tuple[float, Any]:
        """Return value and gradient from the inverses of the smaller sides."""
        xp, m = namespace(V), V.shape[1]
        total, within = xp.zeros((m, m), dtype=V.dtype, device=V.device), 0.0
        gradient = xp.empty_like(V)
        for part in self.slices:
            rows = V[part, :]
            n_j, few = float(xp.sum(self.weights[part])), rows.shape[0] < m
            S = rows.T @ rows
            total += S
            side = rows @ rows.T if few else S
            inverse, volume = _inverse_and_volume(side, scale / n_j)
            within += n_j / n * volume
            gradient[part, :] = inverse @ rows if few else rows @ inverse
        inverse, volume = _inverse_and_volume(total, scale / n)
        gradient -= V @ inverse
        gradient *= -scale / n
        return 0.5 * (volume - within), gradient

    def _of_ill_conditioned_rows(self, V: Any, n: float) -> tuple[float, Any]:
        """Return value and gradient from singular values, if this is necessary."""
        log_scale = 0.5 * math.log(self.n_features) - math.log(self.epsilon)
        s = log_scale - 0.5 * math.log(n)
        value, gradient = log_volume(V, log_scale=s), volume_gradient(V, log_scale=s)
        value = float(value)
        for part in self.slices:
            n_j = float(namespace(V).sum(self.weights[part]))
            s, rows = log_scale - 0.5 * math.log(n_j), V[part, :]
            value -= n_j / n * float(log_volume(rows, log_scale=s))
            gradient[part, :] -= n_j / n * volume_gradient(rows, log_scale=s)
        return 0.5 * value, gradient


def _inverse_and_volume(S: Any, alpha: float) -> tuple[Any, float]:
    """Return the inverse of ``I + alpha S``, and its log-determinant."""
    L, volumes = factors(alpha * S[None, ...])
    return inverse_of(L[0, ...]), float(volumes[0])
