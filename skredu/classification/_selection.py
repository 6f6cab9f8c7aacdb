r"""Choice of the distortion and of the label code by leave-one-out.

Minus extra nats are scores, and as probabilities they are over-confident by a common
factor: the bits of the features of a row are not independent. So every candidate
distortion is judged after the best factor ``t`` and label code ``b`` were fitted,

.. math:: p_{ij} \propto \exp(t\, s_{ij} + b_j),

a concave problem of k + 1 unknowns. The factor changes no prediction; dividing by it
turns ``b`` into the nats that the label code gains or loses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from skredu._compat import namespace, to_numpy
from skredu.classification._coders import Coder
from skredu.classification._training import Training

Floats = NDArray[np.float64]

# Pulls the label code to the class frequencies where the data do not speak.
LABEL_PENALTY = 1e-4
# Weight of the Brier score beside the error: it breaks the ties of a count.
BRIER_WEIGHT = 1.0
N_EPSILONS = 20


MAX_ROWS = 10_000
MAX_SCORES = 2**23


@dataclass(frozen=True)
class Codes:
    """A distortion and a label code.

    Parameters
    ----------
    epsilon : float
    log_priors : array of shape (k,)
        Natural logarithms of the probabilities of the labels.
    label_shift : array of shape (k,)
        Nats by which they differ from the class frequencies.
    n_chosen : int or None
        Number of rows that were left out to choose, None where nothing was chosen.
    """

    epsilon: float
    log_priors: Any
    label_shift: Floats
    n_chosen: int | None


def choose_codes(
    coder: Coder,
    rows: Training,
    counts: list[float],
    epsilon: float | None,
    priors: Any,
    before: Codes | None = None,
) -> Codes:
    """Distortion and label code for a coder, by leaving out ``rows``.

    Parameters
    ----------
    coder : Coder
    rows : Training
        Rows that the coder knows.
    counts : list of float
        Weight of each class.
    epsilon : float or None
        The distortion, None to choose it.
    priors : array-like of shape (k,), "auto" or None
        See `MICLClassifier`.
    before : Codes, default=None
        An earlier choice, kept when it was made on more rows.
    """
    frequent = isinstance(priors, str) or priors is None
    log_priors = _log_frequencies(counts) if frequent else _log_priors(priors, counts)
    if epsilon is not None:
        return Codes(epsilon, log_priors, np.zeros(len(counts)), None)
    n_rows = rows.X.shape[0]
    if before is not None and before.n_chosen is not None and n_rows < before.n_chosen:
        shift = before.label_shift
        return Codes(
            before.epsilon, _normalised(log_priors + shift), shift, before.n_chosen
        )
    path = epsilon_path(coder.spread(rows), coder.n_features)
    chosen = _evenly(n_rows, len(counts))
    scores = _left_out_scores(coder, rows, counts, log_priors, path, chosen, frequent)
    weights = np.ones(n_rows) if rows.weights is None else to_numpy(rows.weights)
    best, shift = select(
        scores,
        to_numpy(rows.y)[chosen],
        weights[chosen].astype(np.float64),
        fit_labels=isinstance(priors, str),
    )
    return Codes(float(path[best]), _normalised(log_priors + shift), shift, n_rows)


def _left_out_scores(
    coder: Coder,
    rows: Training,
    counts: list[float],
    log_priors: Floats,
    path: Floats,
    chosen: NDArray[np.intp],
    frequent: bool,
) -> Floats:
    """Minus the extra nats of rows left out, label included, (m, k, e)."""
    xp, device = namespace(rows.X), rows.X.device
    nats = coder.left_out(
        rows,
        xp.asarray(chosen, device=device),
        xp.asarray(path, dtype=xp.float64, device=device),
    )
    scores = log_priors[None, :, None] - to_numpy(nats)
    if frequent:  # the frequency of its class is also that without the row
        y = to_numpy(rows.y)[chosen]
        weights = 1.0 if rows.weights is None else to_numpy(rows.weights)[chosen]
        left = np.minimum(weights, 1.0) / np.asarray(counts)[y]
        with np.errstate(divide="ignore"):
            scores[np.arange(len(y)), y] += np.log1p(-np.minimum(left, 1.0))[:, None]
    return scores


def _evenly(n: int, k: int) -> NDArray[np.intp]:
    """Rows evenly over the classes, as many as the limits allow."""
    most = min(n, MAX_ROWS, max(1, MAX_SCORES // (k * N_EPSILONS)))
    return (np.arange(most) * n) // most


def _log_frequencies(counts: list[float]) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(counts) / sum(counts))


def _log_priors(priors: Any, counts: list[float]) -> Floats:
    priors = np.asarray(priors, dtype=np.float64)
    if priors.shape != (len(counts),):
        raise ValueError(
            f"priors must have one entry for each of the {len(counts)} classes, "
            f"found shape {priors.shape}."
        )
    if not (priors >= 0.0).all() or not np.isclose(priors.sum(), 1.0):
        raise ValueError(
            "priors must be 0 or more and sum to one, found "
            f"{priors.tolist()} with sum {priors.sum():.6g}."
        )
    with np.errstate(divide="ignore"):
        return np.log(priors)


def _normalised(log_priors: Floats) -> Floats:
    return log_priors - logsumexp(log_priors)


def epsilon_path(spread: float, n_features: float) -> Floats:
    r"""Candidates :math:`\epsilon = \sqrt{d}\, \sigma\, 10^{-3 \ldots 1/2}`.

    With ``spread`` the root mean square distance of the rows to their mean, so that
    the distortion a coordinate goes from a millionth of the total variance to ten
    times it, and scaling the rows scales the path.
    """
    return spread * np.sqrt(n_features) * np.logspace(-3.0, 0.5, N_EPSILONS)


def select(
    scores: Floats, y: NDArray[np.intp], weights: Floats, *, fit_labels: bool
) -> tuple[int, Floats]:
    """Index of the best distortion and its label code in nats, of shape (k,).

    ``scores`` of shape (n, k, e) are minus the extra nats of rows left out, label
    code included; rows that no code can predict (scores -inf) are dropped.
    """
    known = np.isfinite(scores[np.arange(len(y)), y]).all(axis=1)
    scores, y, weights = scores[known], y[known], weights[known]
    n, k, n_epsilons = scores.shape
    if n == 0 or k == 1:
        return n_epsilons // 2, np.zeros(k)
    weights = weights / weights.sum()
    best, best_loss, best_code = 0, np.inf, np.zeros(k)
    theta = None
    for e in range(n_epsilons):
        theta, loss, code = _judge(scores[:, :, e], y, weights, theta, fit_labels)
        if loss < best_loss:
            best, best_loss, best_code = e, loss, code
    return best, best_code


def _judge(
    scores: Floats,
    y: NDArray[np.intp],
    weights: Floats,
    theta: Floats | None,
    fit_labels: bool,
) -> tuple[Floats, float, Floats]:
    """Fitted factor and label code, their loss, and the code in nats."""
    scores = scores - scores.max(axis=1, keepdims=True)
    unit = max(float(np.abs(scores).mean()), np.finfo(float).tiny)
    theta, P = fit_label_code(scores / unit, y, weights, theta, fit_labels)
    wrong = weights @ (P.argmax(axis=1) != y)
    brier = weights @ ((P**2).sum(axis=1) + 1.0 - 2.0 * P[np.arange(len(y)), y])
    return theta, wrong + BRIER_WEIGHT * brier, theta[1:] * unit / theta[0]


def fit_label_code(
    scores: Floats,
    y: NDArray[np.intp],
    weights: Floats,
    theta: Floats | None = None,
    fit_labels: bool = True,
    max_iter: int = 50,
) -> tuple[Floats, Floats]:
    r"""Maximise the likelihood of ``softmax(t * scores + b)`` by Newton steps.

    Parameters
    ----------
    scores : array of shape (n, k)
    y : array of shape (n,)
        Classes as integers.
    weights : array of shape (n,)
        Weights that sum to one.
    theta : array of shape (k + 1,), default=None
        Where to start: ``t`` and ``b``.
    fit_labels : bool, default=True
        Fit ``b``, or leave it at zero.

    Returns
    -------
    theta : array of shape (k + 1,)
    P : array of shape (n, k)
        Probabilities at ``theta``.
    """
    k = scores.shape[1]
    free = np.arange(k + 1) if fit_labels else np.arange(1)
    theta = np.r_[1.0, np.zeros(k)] if theta is None else theta
    loss, P = _likelihood(theta, scores, y, weights)
    for _ in range(max_iter):
        gradient, hessian = _derivatives(theta, P, scores, y, weights)
        step = np.zeros(k + 1)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        decrement = float(gradient @ step)
        length = 1.0
        # the factor stays positive: a code is never read backwards
        while theta[0] - length * step[0] <= 0.0:
            length /= 2.0
        while length > 1e-8:
            trial = theta - length * step
            trial_loss, trial_P = _likelihood(trial, scores, y, weights)
            if trial_loss <= loss - 1e-4 * length * decrement:
                theta, loss, P = trial, trial_loss, trial_P
                break
            length /= 2.0
        if decrement < 1e-8 or length <= 1e-8:
            break
    return theta, P


def _likelihood(
    theta: Floats, scores: Floats, y: NDArray[np.intp], weights: Floats
) -> tuple[float, Floats]:
    logits = theta[0] * scores + theta[1:]
    norms = logsumexp(logits, axis=1)
    loss = weights @ (norms - logits[np.arange(len(y)), y])
    loss += LABEL_PENALTY * (theta[1:] @ theta[1:])
    return float(loss), np.exp(logits - norms[:, None])


def _derivatives(
    theta: Floats, P: Floats, scores: Floats, y: NDArray[np.intp], weights: Floats
) -> tuple[Floats, Floats]:
    k = P.shape[1]
    residual = weights[:, None] * P
    residual[np.arange(len(y)), y] -= weights
    mean = (P * scores).sum(axis=1, keepdims=True)
    spread = weights[:, None] * P * (scores - mean)
    gradient = np.r_[(residual * scores).sum(), residual.sum(axis=0)]
    gradient[1:] += 2.0 * LABEL_PENALTY * theta[1:]
    hessian = np.empty((k + 1, k + 1))
    hessian[0, 0] = (spread * scores).sum() + 1e-12
    hessian[0, 1:] = hessian[1:, 0] = spread.sum(axis=0)
    hessian[1:, 1:] = np.diag(weights @ P) - (weights[:, None] * P).T @ P
    hessian[1:, 1:] += 2.0 * LABEL_PENALTY * np.eye(k)
    return gradient, hessian
