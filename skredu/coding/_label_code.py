r"""Fit of a label code beside scores: a concave problem of k + 1 unknowns.

Minus extra nats are scores, and as probabilities they are over-confident by a common
factor: the bits of the features of a row are not independent. So scores ``s`` are
judged by

.. math:: p_{ij} \propto \exp(t\, s_{ij} + b_j)

with the factor ``t`` and the label code ``b`` of the greatest likelihood. The factor
changes no prediction; dividing by it turns ``b`` into the nats that a label gains.
Arrays have classes first, (k, n): sums over few classes are then sums of long rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Pulls the label code to the class frequencies where the data do not speak: as much
# as a twentieth of a row, more where there are fewer rows a class than classes.
LABEL_PENALTY = 0.05
# Keeps the factor finite, and the Hessian regular, where the classes are told apart
# without an error or the scores are equal.
FACTOR_PENALTY = 1e-7
# Price of the factor where it turns bits into probabilities: a tenth of a row more,
# its label by chance. Rows that are all told apart would make it infinite, and then one
# row in a thousand that is not costs more than all others gain.
CAUTION = 0.1
# Least factor, for scores of mean size one. Rows left out may say nothing, or the
# opposite of what new rows will say where they are few beside the features: the label
# code would then be divided by next to nothing and outweigh every row.
LEAST_FACTOR = 0.1
# Nats between two labels beyond which probabilities vanish: a step too long.
MOST_SPREAD = 700.0
# Relative, so that the Hessian stays regular beside a penalty below its rounding.
DAMPING = 1e-12
# Newton stops after the step that gains no more than this, in nats a row; what is left
# is about its square.
TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False, repr=False)
class Labelled:
    """Rows with scores and known classes.

    Parameters
    ----------
    scores : array of shape (k, n)
        The best of each row is zero.
    y : array of shape (n,)
        Classes as integers.
    weights : array of shape (n,)
        Weights that sum to one.
    count : float
        Number of rows, with their copies.
    caution : float, default=0.0
        Number of rows with a label drawn by chance to add; for scores of mean size one,
        each costs as many nats as the factor says.
    """

    scores: Floats
    y: NDArray[np.intp]
    weights: Floats
    count: float
    caution: float = 0.0

    @classmethod
    def of(
        cls, scores: Any, y: Any, weights: Any, caution: float = 0.0
    ) -> tuple[Labelled, float]:
        """Rows with scores (n, k) in a unit in which their mean size is one."""
        columns = np.ascontiguousarray(scores.T)
        columns -= columns.max(axis=0)
        weights = weights / weights.sum()
        unit = max(-float(weights @ columns.mean(axis=0)), np.finfo(float).tiny)
        count = 1.0 / float(weights @ weights)  # of rows of the same weight
        return cls(columns / unit, y, weights, count, caution), unit

    @property
    def penalty(self) -> float:
        """Price of the label code."""
        k = len(self.scores)
        return LABEL_PENALTY / self.count * max(1.0, k * k / self.count)

    def likelihood(self, theta: Floats) -> tuple[float, Floats]:
        """Penalised minus log-likelihood at ``(t, b)``, and probabilities (k, n)."""
        t, b = theta[0], theta[1:]
        if np.ptp(b) > MOST_SPREAD:
            return np.inf, np.zeros_like(self.scores)
        # The best score of a row is zero, so one term is at least exp(min b - max b).
        P = t * self.scores
        P += (b - b.max())[:, None]
        own = P[self.y, np.arange(len(self.y))]
        np.exp(P, out=P)
        norms = P.sum(axis=0)
        P /= norms
        loss = self.weights @ (np.log(norms) - own)
        loss += self.penalty * (b @ b) + FACTOR_PENALTY * t * t
        loss += self.caution / self.count * t
        return float(loss), P

    def derivatives(
        self, theta: Floats, P: Floats, *, of_labels: bool = True
    ) -> tuple[Floats, Floats]:
        """Gradient (k + 1,) and Hessian (k + 1, k + 1) at probabilities ``P``.

        Without those of the label code all but their first entries are zero.
        """
        k, S, w, b = len(P), self.scores, self.weights, theta[1:]
        PS = P * S
        means = PS.sum(axis=0)
        own = S[self.y, np.arange(len(self.y))]
        gradient = np.zeros(k + 1)
        gradient[0] = w @ (means - own) + 2.0 * FACTOR_PENALTY * theta[0]
        gradient[0] += self.caution / self.count
        hessian = np.zeros((k + 1, k + 1))
        hessian[0, 0] = np.einsum("kn,kn,n->", PS, S, w) - w @ (means * means)
        hessian[0, 0] += 2.0 * FACTOR_PENALTY
        if not of_labels:
            return gradient, hessian
        shares = w * P
        gradient[1:] = shares.sum(axis=1) - np.bincount(self.y, w, minlength=k)
        gradient[1:] += 2.0 * self.penalty * b
        hessian[0, 1:] = hessian[1:, 0] = PS @ w - shares @ means
        hessian[1:, 1:] = np.diag(shares.sum(axis=1)) - shares @ P.T
        hessian[1:, 1:] += 2.0 * self.penalty * np.eye(k)
        return gradient, hessian


def fit_label_code(
    rows: Labelled,
    theta: Floats | None = None,
    *,
    fit_labels: bool = True,
    max_iter: int = 50,
) -> tuple[Floats, Floats]:
    """Maximise the penalised likelihood by Newton steps.

    Parameters
    ----------
    rows : Labelled
    theta : array of shape (k + 1,), default=None
        Where to start: ``t`` and ``b``.
    fit_labels : bool, default=True
        Fit ``b``, or leave it at zero.
    max_iter : int, default=50

    Returns
    -------
    theta : array of shape (k + 1,)
    P : array of shape (k, n)
        Probabilities at ``theta``.
    """
    k = len(rows.scores)
    theta = np.r_[1.0, np.zeros(k)] if theta is None else theta
    loss, P = rows.likelihood(theta)
    for _ in range(max_iter):
        gradient, hessian = rows.derivatives(theta, P, of_labels=fit_labels)
        bound = theta[0] <= LEAST_FACTOR and gradient[0] >= 0.0
        free = np.arange(int(bound), k + 1 if fit_labels else 1)
        step = np.zeros(k + 1)
        curvature = hessian[np.ix_(free, free)]
        curvature.flat[:: len(free) + 1] *= 1.0 + DAMPING
        step[free] = np.linalg.solve(curvature, gradient[free])
        decrement = float(gradient @ step)
        length = 1.0
        while length > 1e-8:
            trial = theta - length * step
            trial[0] = max(trial[0], LEAST_FACTOR)
            trial_loss, trial_P = rows.likelihood(trial)
            if trial_loss <= loss - 1e-4 * length * decrement:
                theta, loss, P = trial, trial_loss, trial_P
                break
            length /= 2.0
        if decrement < TOLERANCE or length <= 1e-8:
            break
    return theta, P
