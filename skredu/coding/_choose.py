r"""Choice of the distortion, the label code and the temperature by leave-one-out.

Every distortion of a path is judged by the rows left out, after the label code that
suits it best was fitted: without it a distortion could win because its lengths happen
to favour the right classes.

Minus extra nats are scores, and as probabilities they are over-confident by a common
factor: the bits of the features of a row are not independent. So scores ``s`` are
judged by

.. math:: p_{ij} \propto \exp(t\, s_{ij} + b_j)

with the factor ``t`` and the label code ``b`` of the greatest likelihood, a concave
problem of k + 1 unknowns. The factor changes no prediction; dividing by it turns ``b``
into the nats that a label gains.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from skredu._checks import naming
from skredu._compat import namespace, to_numpy
from skredu.coding._classes import Classes
from skredu.coding._rows import MAX_ROWS, Rows

Floats = NDArray[np.float64]

# Weight of the Brier score beside the error: it breaks the ties of a count.
BRIER_WEIGHT = 1.0
N_EPSILONS = 20
# Most scores of rows that are left out.
MAX_SCORES = 2**23
LEAST_ROWS = 2
# Classes up to which the label code is fitted: it takes their square, and beyond it few
# rows of each are left out.
MOST_LABELS = 256
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


class Choice(NamedTuple):
    """A distortion and a label code.

    Parameters
    ----------
    epsilon : float
    log_priors : array of shape (k,)
        Natural logarithms of the probabilities of the labels.
    label_shift : array of shape (k,)
        Nats by which they differ from the class frequencies.
    loss : float
        Of the rows left out; compares choices on the same rows.
    temperature : float
        Bits are divided by it to be probabilities: 1 for an honest code, more if bits
        are too sure of themselves, less if they are not sure enough.
    """

    epsilon: float
    log_priors: Any
    label_shift: Floats
    loss: float = np.inf
    temperature: float = 1.0


def choose(
    classes: Classes,
    rows: Rows | None,
    training: Callable[[Any], Any] | None = None,
    *,
    labels: Any,
    epsilon: float | None = None,
    spread: float | None = None,
    priors: Any = "auto",
    calibrate: bool = True,
    before: Choice | None = None,
) -> Choice:
    """Choose distortion, label code and temperature by leaving out rows.

    Parameters
    ----------
    classes : Classes
    rows : Rows or None
        Rows that the classes know; None if nothing is chosen by rows.
    training : callable, default=None
        Returns the features of some of them, see `Classes.left_out`; None if
        `Classes.features` makes them from the rows.
    labels : ndarray of shape (k,)
        Labels of the classes.
    epsilon : float, default=None
        A given distortion; None to choose one.
    spread : float, default=None
        Root mean square distance of rows to their mean, which the distortions to
        choose from are relative to; None: it is measured.
    priors : array-like of shape (k,), dict, "balanced", "auto" or None
        See `MICLClassifier`.
    calibrate : bool, default=True
        Fit label code and temperature; otherwise the label code is that of the priors
        and the temperature is 1.
    before : Choice, default=None
        An earlier choice to stay with, except for a given distortion.
    """
    counts = np.asarray(classes.counts)
    log_priors = log_priors_of(priors, counts, labels)
    if epsilon is not None and not calibrate:
        return Choice(epsilon, log_priors, np.zeros(len(counts)))
    fit_labels = calibrate and priors is not None and len(counts) <= MOST_LABELS
    if before is not None:
        if fit_labels:
            log_priors = _normalised(log_priors + before.label_shift)
        epsilon = before.epsilon if epsilon is None else epsilon
        return before._replace(epsilon=epsilon, log_priors=log_priors)
    assert rows is not None
    if training is None:

        def training(index: Any) -> Any:
            return classes.features(rows.take(index))

    path = np.asarray([epsilon])
    if epsilon is None:
        if spread is None:
            spread = rows.spread(classes.groups[0].mean is None)
        path = epsilon_path(spread, classes.dim)
    chosen, weights = _evenly(rows.sizes)
    y = rows.y[chosen]
    w = np.ones(len(y))
    if rows.weights is not None:
        w = to_numpy(rows.weights)[chosen].astype(np.float64)
    xp = namespace(rows.source)
    epsilons = xp.asarray(path, dtype=xp.float64, device=rows.source.device)
    scores = to_numpy(classes.left_out(rows, chosen, training, epsilons))
    np.subtract(log_priors[None, :, None], scores, out=scores)
    weights *= w
    if priors is None or (isinstance(priors, str) and priors == "auto"):
        # the frequency of its class is also that without the row
        with np.errstate(divide="ignore"):
            less = np.log1p(-np.minimum(w / counts[y], 1.0))
        scores[np.arange(len(y)), y] += less[:, None]
    else:  # weigh the rows of a class by its prior
        weights *= np.exp(log_priors)[y] / counts[y]
    best, loss, shift, factor = select(scores, y, weights, fit_labels=fit_labels)
    log_priors = _normalised(log_priors + shift)
    temperature = 1.0 / factor if calibrate else 1.0
    return Choice(float(path[best]), log_priors, shift, loss, temperature)


def epsilon_path(spread: float, dim: float) -> Floats:
    r"""Candidates :math:`\epsilon = \sqrt{d}\, \sigma\, 10^{-3 \ldots 1/2}`.

    With ``spread`` the root mean square distance of the rows to their mean, so that
    the distortion per coordinate goes from a millionth of the total variance to ten
    times it, and scaling the rows scales the path.
    """
    return spread * np.sqrt(dim) * np.logspace(-3.0, 0.5, N_EPSILONS)


def label_code(scores: Any, slices: list[slice], weights: Any) -> list[float]:
    """Fit a label code to the scores of rows left out (n, k), sorted by class."""
    if len(slices) > MOST_LABELS:
        return [0.0] * len(slices)
    scores = to_numpy(scores)
    y = np.repeat(np.arange(len(slices)), [p.stop - p.start for p in slices])
    w = np.ones(len(y)) if weights is None else to_numpy(weights).astype(np.float64)
    return select(scores[:, :, None], y, w, fit_labels=True)[2].tolist()


def select(
    scores: Floats, y: NDArray[np.intp], weights: Floats, *, fit_labels: bool
) -> tuple[int, float, Floats, float]:
    """Choose among distortions by the rows that were left out.

    Parameters
    ----------
    scores : array of shape (m, k, e)
        Minus the extra nats, label code included. Rows that no code can predict are
        dropped (nothing is left of their class without them), and classes without a
        row left keep their label code.
    y : array of shape (m,)
        Classes as integers.
    weights : array of shape (m,)
        Their unit is without effect.
    fit_labels : bool
        Fit the label code too.

    Returns
    -------
    best : int
        Index of the distortion.
    loss : float
        Share of errors and Brier score of the rows.
    code : array of shape (k,)
        Nats to add to the label code.
    factor : float
        By which nats are to be multiplied to be probabilities.
    """
    k, n_epsilons = scores.shape[1:]
    known = np.isfinite(scores[np.arange(len(y)), y]).all(axis=1)
    if not known.all():
        scores, y, weights = scores[known], y[known], weights[known]
    present = np.unique(y)
    best, best_loss, code, factor = n_epsilons // 2, np.inf, np.zeros(k), 1.0
    if len(present) < 2:
        return best, best_loss, code, factor
    if not fit_labels:  # classes without a row left compete for those of others
        present = np.flatnonzero(np.isfinite(scores).all(axis=(0, 2)))
    y = np.searchsorted(present, y)
    theta, best_theta = None, None
    for e in range(n_epsilons):
        rows, _ = Labelled.of(scores[:, present, e], y, weights)
        theta, P = fit_label_code(rows, theta, fit_labels=fit_labels)
        own = P[y, np.arange(len(y))]
        wrong = rows.weights @ (P.argmax(axis=0) != y)
        brier = rows.weights @ (np.einsum("kn,kn->n", P, P) + 1.0 - 2.0 * own)
        loss = float(wrong + BRIER_WEIGHT * brier)
        if loss < best_loss:
            best, best_loss, best_theta = e, loss, theta
    rows, unit = Labelled.of(scores[:, present, best], y, weights, CAUTION)
    theta, _ = fit_label_code(rows, best_theta, fit_labels=fit_labels)
    factor = float(theta[0] / unit)
    code[present] = theta[1:] / factor
    return best, best_loss, code, factor


def log_priors_of(priors: Any, counts: Any, labels: Any) -> Floats:
    """Logarithms of the probabilities of the labels, see `MICLClassifier`."""
    weights = check_priors(priors, labels)
    if weights is None:
        weights = np.asarray(counts)
        if priors == "balanced":
            weights = (weights > 0.0).astype(np.float64)
    with np.errstate(divide="ignore"):
        return np.log(weights / weights.sum())


def check_priors(priors: Any, labels: Any) -> Floats | None:
    """Probabilities by class if they are given, None if they follow from rows."""
    if priors is None or isinstance(priors, str):
        return None
    labels = labels.tolist()
    if isinstance(priors, dict):
        if set(priors) != set(labels):
            raise ValueError(
                f"priors must have a probability for each of the classes {labels}, "
                f"found {list(priors)}."
            )
        priors = [priors[label] for label in labels]
    with naming("priors"):
        priors = np.asarray(priors, dtype=np.float64)
    if priors.shape != (len(labels),):
        raise ValueError(
            f"priors must have one entry for each of the {len(labels)} classes, "
            f"found shape {priors.shape}."
        )
    if not (priors >= 0.0).all() or not np.isclose(priors.sum(), 1.0):
        raise ValueError(
            "priors must be 0 or more and sum to one, found "
            f"{priors.tolist()} with sum {priors.sum():.6g}."
        )
    return priors


def _evenly(sizes: list[int]) -> tuple[NDArray[np.intp], Floats]:
    """Choose rows evenly over each class, and say how many each stands for.

    No more than the limits allow, but a few of every class, unless there are many.
    """
    n, k = sum(sizes), len(sizes)
    most = min(n, MAX_ROWS, max(1, MAX_SCORES // (k * N_EPSILONS)))
    if most < min(n, LEAST_ROWS * k):
        return np.arange(most) * n // most, np.full(most, n / most)
    chosen, copies, start = [], [], 0
    for size in sizes:
        few = min(size, max(LEAST_ROWS, math.ceil(size * most / n)))
        chosen.append(start + np.arange(few) * size // max(few, 1))
        copies.append(np.full(few, size / max(few, 1)))
        start += size
    return np.concatenate(chosen), np.concatenate(copies)


def _normalised(log_priors: Floats) -> Floats:
    """Logarithms of probabilities that sum to one."""
    return log_priors - logsumexp(log_priors)


# -- the label code: arrays have classes first, so that sums run over long rows --------


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
