r"""Choice of the distortion, the label code and the temperature by leave-one-out.

Each distortion is judged by the left-out samples, after the label code that suits it
best has been fitted. Without this, a distortion could win only because its
lengths happen to favour the right classes.

The scores are extra nats with a minus sign. As log-probabilities they are overconfident
by a common factor, because the bits of the features of a sample are not independent. So
scores ``s`` are compared with the labels by the model

.. math:: p_{ij} \propto \exp(t\, s_{ij} + b_j)

with the factor ``t`` and the label code ``b`` of maximum likelihood, a concave problem
with k + 1 unknowns. The factor changes no prediction; dividing by it turns ``b`` into
the nats that are added to the label code.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from skredu._checks import naming
from skredu._compat import namespace, to_numpy
from skredu.coding._classes import Classes
from skredu.coding._rows import Rows

Floats = NDArray[np.float64]

# Weight of the Brier score in addition to the error rate; it breaks ties.
BRIER_WEIGHT = 1.0
N_EPSILONS = 20
# A stream that begins with zeros has no unit of length, and may go on with samples of
# which not even the square of the distortion is a number.
LEAST_EPSILON = 1e-135
# Largest number of samples that are left out, and kept of a stream for this purpose.
MAX_ROWS = 5_000
# Largest number of scores of left-out samples.
MAX_SCORES = 2**23
LEAST_ROWS = 2
# Largest number of classes for which the label code is fitted. The fit takes its
# square, and with more classes few samples of each are left out.
MOST_LABELS = 256
# Penalty that pulls the label code towards the class frequencies if the data are not
# informative. It weighs as much as a twentieth of a sample, or more if there are fewer
# samples per class than classes.
LABEL_PENALTY = 0.05
# Keeps the factor finite, and the Hessian regular, if the classes are separated without
# an error or if the scores are equal.
FACTOR_PENALTY = 1e-7
# Penalty of the factor if it converts bits to probabilities: a tenth of a sample with a
# random label. If all samples were classified correctly, the factor would be infinite,
# and one wrong sample in a thousand would then cost more than all others gain.
CAUTION = 0.1
# Smallest factor, for scores of mean size one. If there are few samples compared with
# the features, left-out samples may be uninformative or even misleading. The label code
# would then be divided by almost nothing, and outweigh every sample.
LEAST_FACTOR = 0.1
# Smallest gain in nats of all left-out samples over the frequencies of the classes. The
# best one of many distortions gains about this much from samples of random labels; the
# factor is then the other number.
LEAST_GAIN, FACTOR_OF_NOISE = 2.0, 0.03
# Nats between two labels beyond which probabilities vanish; the step is then too long.
MOST_SPREAD = 700.0
# Relative regularisation of the Hessian, for penalties below its rounding errors.
DAMPING = 1e-12
# Newton's method stops after a step that gains at most this number of nats per sample;
# the remaining gain is about its square.
TOLERANCE = 1e-4
MAX_STEPS = 50
# Smallest weight of a sample with an improbable label in a further fit, so that no
# class loses all of its samples.
LEAST_TRUST = 0.02


class LeftOut(NamedTuple):
    """Predictions for samples that were left out.

    Parameters
    ----------
    chosen : array of shape (m,)
        Positions of the samples among the sorted ones.
    weights : array of shape (m,)
        Weights by which the samples are judged.
    log_proba : array of shape (m, k)
        Log-probabilities of the classes; minus infinity for the class of a sample that
        is empty without it.
    """

    chosen: NDArray[np.intp]
    weights: Floats
    log_proba: Floats

    def of_labels(self, rows: Rows) -> tuple[Floats, Floats]:
        """Return the quality of labels, and the trust in them, in their given order.

        Parameters
        ----------
        rows : Rows
            The samples, some of which were left out.

        Returns
        -------
        quality : array of shape (m,)
            Probabilities of the labels; NaN for samples that were not left out.
        trust : array of shape (m,)
            Weights of samples for a further fit: the probability of the label divided
            by the largest one of any label, and at least LEAST_TRUST. Samples that the
            others cannot judge have 1.
        """
        own = self.log_proba[np.arange(len(self.chosen)), rows.y[self.chosen]]
        known, ratio = np.isfinite(own), np.ones(len(own))
        ratio[known] = np.exp(own[known] - self.log_proba[known].max(axis=1))
        quality = np.where(np.isnan(own), 0.0, np.exp(own))
        found = np.full((2, rows.source.shape[0]), np.nan)
        found[:, rows.index[self.chosen]] = quality, np.maximum(ratio, LEAST_TRUST)
        if rows.copies:
            copies, originals = rows.copies
            found[:, copies] = found[:, originals]
        return found[0], np.nan_to_num(found[1], nan=1.0)


class Choice(NamedTuple):
    """A distortion, a label code and a temperature.

    Parameters
    ----------
    epsilon : float
    log_priors : array of shape (k,)
        Natural logarithms of the probabilities of the labels.
    label_shift : array of shape (k,)
        Nats by which the label code differs from the class frequencies.
    loss : float
        Loss of the left-out samples; compares choices for the same samples.
    temperature : float
        Number by which bits are divided before they become probabilities: greater than
        1 if bits are overconfident, smaller than 1 if they are underconfident.
    left_out : LeftOut or None
        Predictions for the left-out samples, if `choose` is asked for them.
    """

    epsilon: float
    log_priors: Any
    label_shift: Floats
    loss: float = np.inf
    temperature: float = 1.0
    left_out: LeftOut | None = None


def choose(
    classes: Classes,
    rows: Rows | None,
    *,
    labels: Any,
    epsilon: float | None = None,
    priors: Any = "auto",
    calibrate: bool = True,
    before: Choice | None = None,
    judged: tuple[NDArray[np.intp], Floats] | None = None,
    left_out: bool = False,
) -> Choice:
    r"""Choose distortion, label code and temperature by leave-one-out.

    The candidates of the distortion are :math:`\sqrt{d}\, \sigma\, 10^{-3 \ldots 1/2}`
    with the root mean square distance :math:`\sigma` of the samples from their mean. So
    the distortion per coordinate ranges from a millionth of the total variance to ten
    times the total variance, and the candidates scale with the samples.

    Parameters
    ----------
    classes : Classes
    rows : Rows or None
        The training samples; None if nothing is chosen by samples.
    labels : ndarray of shape (k,)
        Labels of the classes.
    epsilon : float, default=None
        A given distortion; None to choose it.
    priors : array-like of shape (k,), dict, "balanced", "auto" or None
        See `MICLClassifier`.
    calibrate : bool, default=True
        Whether to fit label code and temperature; otherwise the label code is that of
        the priors, and the temperature is 1.
    before : Choice, default=None
        An earlier choice to keep, except for a given distortion.
    judged : tuple of arrays of shape (m,), default=None
        Samples to leave out, as returned by `evenly`, which is used for None.
    left_out : bool, default=False
        Whether to leave out samples even if nothing has to be chosen, and to return
        their predictions.
    """
    counts = np.asarray([group.n for group in classes.groups])
    log_priors = log_priors_of(priors, counts, labels)
    if epsilon is not None and not calibrate and not left_out:
        return Choice(epsilon, log_priors, np.zeros(len(counts)))
    fit_labels = calibrate and priors is not None and len(counts) <= MOST_LABELS
    if before is not None:
        if fit_labels:
            log_priors = log_softmax(log_priors + before.label_shift)
        epsilon = before.epsilon if epsilon is None else epsilon
        return before._replace(epsilon=epsilon, log_priors=log_priors)
    assert rows is not None
    path = np.asarray([epsilon])
    if epsilon is None:
        first = classes.groups[0]
        spread = classes.spread or rows.spread(assume_centered=first.mean is None)
        path = candidates(spread, first.blocks.dim)
    estimated = priors is None or (isinstance(priors, str) and priors == "auto")
    judged = evenly(rows.sizes) if judged is None else judged
    scores, y, weights = _left_out(
        classes, rows, path, log_priors, counts, judged, estimated=estimated
    )
    best, loss, shift, factor = select(scores, y, weights, fit_labels=fit_labels)
    temperature = 1.0 / factor if calibrate else 1.0
    found = None
    if left_out:
        with np.errstate(invalid="ignore"):  # no class is possible
            logs = log_softmax((scores[:, :, best] + shift) / temperature, axis=1)
        found = LeftOut(judged[0], weights, logs)
    log_priors = log_softmax(log_priors + shift)
    return Choice(float(path[best]), log_priors, shift, loss, temperature, found)


def candidates(spread: float, dim: float) -> Floats:
    """Return the distortions to choose from, for samples of a dimension and a spread.

    The spread is the root mean square distance of the samples from their mean.
    """
    path = spread * dim**0.5 * np.logspace(-3.0, 0.5, N_EPSILONS)
    return np.maximum(path, LEAST_EPSILON)


def evenly(
    sizes: list[int], most: int | None = None
) -> tuple[NDArray[np.intp], Floats]:
    """Choose samples evenly from each class, and return how many each represents.

    The number of samples is limited, but some samples of every class are chosen unless
    there are many classes. The positions are in ascending order.
    """
    n, k = sum(sizes), len(sizes)
    most = min(n, most or MAX_ROWS, max(1, MAX_SCORES // (k * N_EPSILONS)))
    if most < min(n, LEAST_ROWS * k):
        return np.arange(most) * n // most, np.full(most, n / most)
    few = [min(size, max(LEAST_ROWS, math.ceil(size * most / n))) for size in sizes]
    starts = np.cumsum(sizes) - sizes
    parts = zip(starts.tolist(), sizes, few, strict=True)
    chosen = [start + np.arange(m) * size // max(m, 1) for start, size, m in parts]
    copies = np.repeat(np.divide(sizes, np.maximum(few, 1)), few)
    return np.concatenate(chosen), copies


def _left_out(
    classes: Classes,
    rows: Rows,
    path: Floats,
    log_priors: Floats,
    counts: Floats,
    judged: tuple[NDArray[np.intp], Floats],
    *,
    estimated: bool,
) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Return scores (m, k, e), classes (m,) and weights (m,) of left-out samples.

    If the priors are ``estimated``, samples count by their weight, and the frequency of
    their class is that without the sample. Otherwise, classes count by their priors.
    """
    chosen, copies = judged
    y, w = rows.y[chosen], rows.all_weights[chosen]
    xp, weights = namespace(rows.source), copies * w
    epsilons = xp.asarray(path, dtype=xp.float64, device=rows.source.device)
    scores = to_numpy(classes.left_out(rows, chosen, epsilons))
    np.subtract(log_priors[None, :, None], scores, out=scores)
    if estimated:
        with np.errstate(divide="ignore"):
            less = np.log1p(-np.minimum(w / counts[y], 1.0))
        scores[np.arange(len(y)), y] += less[:, None]
    else:
        weights *= np.exp(log_priors)[y] / counts[y]
    return scores, y, weights


def label_code(scores: Any, slices: list[slice], weights: Any) -> list[float]:
    """Fit a label code to the scores of left-out samples (n, k), sorted by class."""
    if len(slices) > MOST_LABELS:
        return [0.0] * len(slices)
    scores = to_numpy(scores)
    y = np.repeat(np.arange(len(slices)), [p.stop - p.start for p in slices])
    w = np.ones(len(y)) if weights is None else to_numpy(weights).astype(np.float64)
    return select(scores[:, :, None], y, w, fit_labels=True)[2].tolist()


def select(
    scores: Floats, y: NDArray[np.intp], weights: Floats, *, fit_labels: bool
) -> tuple[int, float, Floats, float]:
    """Choose a distortion by the scores of left-out samples.

    Parameters
    ----------
    scores : array of shape (m, k, e)
        Extra nats with a minus sign, including the label code. Samples that no code can
        predict are dropped (because their class is empty without them), and classes
        without a remaining sample keep their label code.
    y : array of shape (m,)
        Classes as integers.
    weights : array of shape (m,)
        Weights of the samples; only their ratios matter.
    fit_labels : bool
        Whether to fit the label code, too.

    Returns
    -------
    best : int
        Index of the distortion.
    loss : float
        Sum of error rate and Brier score of the samples.
    code : array of shape (k,)
        Nats to add to the label code.
    factor : float
        Number by which nats are multiplied before they become probabilities.
    """
    k, n_epsilons = scores.shape[1:]
    known = np.isfinite(scores[np.arange(len(y)), y]).all(axis=1)
    if not known.all():
        scores, y, weights = scores[known], y[known], weights[known]
    present = np.unique(y)
    best, best_loss, code, factor = n_epsilons // 2, np.inf, np.zeros(k), 1.0
    if len(present) < 2:
        return best, best_loss, code, factor
    if not fit_labels:  # classes without a sample compete for those of others
        present = np.flatnonzero(np.isfinite(scores).all(axis=(0, 2)))
    y, theta = np.searchsorted(present, y), None
    for e in range(n_epsilons):
        likelihood = Likelihood(scores[:, present, e], y, weights)
        theta, P = likelihood.maximum(theta, fit_labels=fit_labels)
        own = P[y, np.arange(len(y))]
        w = likelihood.weights
        wrong = w @ (P.argmax(axis=0) != y)
        brier = w @ (np.einsum("kn,kn->n", P, P) + 1.0 - 2.0 * own)
        loss = float(wrong + BRIER_WEIGHT * brier)
        if loss < best_loss:
            best, best_loss, start = e, loss, theta
    likelihood = Likelihood(scores[:, present, best], y, weights, CAUTION)
    theta, P = likelihood.maximum(start, fit_labels=fit_labels)
    own, w = P[y, np.arange(len(y))], likelihood.weights
    ratios = np.log(np.maximum(own, 1e-300) / np.bincount(y, w)[y])
    if fit_labels and len(y) * (w @ ratios) < LEAST_GAIN:
        # nothing was learned: little but the frequencies of the classes is kept
        likelihood.least, likelihood.caution = FACTOR_OF_NOISE, 1e3
        theta = np.r_[FACTOR_OF_NOISE, theta[1:]]
        theta, _ = likelihood.maximum(theta, fit_labels=True)
    factor = float(theta[0] / likelihood.unit)
    code[present] = theta[1:] / factor
    return best, best_loss, code, factor


class Likelihood:
    """Penalised likelihood of the factor and the label code ``theta = (t, b)``.

    Parameters
    ----------
    scores : array of shape (n, k)
        Scores of samples with known classes. They are divided by ``unit`` such that
        their mean size, relative to the best one of each sample, is one. Arrays have
        classes first from here on, so that sums run over long rows.
    y : array of shape (n,)
        Classes as integers.
    weights : array of shape (n,)
        Weights of the samples, which are divided by their sum.
    caution : float, default=0.0
        Number of additional samples with random labels. Each of them costs as many nats
        as the factor.
    """

    def __init__(
        self, scores: Floats, y: NDArray[np.intp], weights: Floats, caution: float = 0.0
    ) -> None:
        columns = np.ascontiguousarray(scores.T)
        columns -= columns.max(axis=0)
        self.y, self.weights = y, weights / weights.sum()
        size = -float(self.weights @ columns.mean(axis=0))
        self.unit = max(size, np.finfo(float).tiny)
        self.scores, k = columns / self.unit, len(columns)
        count = 1.0 / float(self.weights @ self.weights)  # for samples of equal weight
        self.penalty = LABEL_PENALTY / count * max(1.0, k * k / count)
        self.caution, self.least = caution / count, LEAST_FACTOR

    def loss(self, theta: Floats) -> tuple[float, Floats]:
        """Return the penalised negative log-likelihood and the probabilities (k, n)."""
        t, b = theta[0], theta[1:]
        if np.ptp(b) > MOST_SPREAD:
            return np.inf, np.zeros_like(self.scores)
        # The best score of a sample is zero, so one term is at least
        # exp(min b - max b).
        P = t * self.scores
        P += (b - b.max())[:, None]
        own = P[self.y, np.arange(len(self.y))]
        np.exp(P, out=P)
        norms = P.sum(axis=0)
        P /= norms
        loss = self.weights @ (np.log(norms) - own)
        loss += self.penalty * (b @ b) + FACTOR_PENALTY * t * t + self.caution * t
        return float(loss), P

    def maximum(
        self, theta: Floats | None, *, fit_labels: bool
    ) -> tuple[Floats, Floats]:
        """Return the maximum by Newton steps from ``theta``, and probabilities there.

        If ``fit_labels`` is False, ``b`` stays zero.
        """
        k, S, w = len(self.scores), self.scores, self.weights
        theta = np.r_[1.0, np.zeros(k)] if theta is None else theta
        own, shares = S[self.y, np.arange(len(self.y))], np.bincount(self.y, w, k)
        loss, P = self.loss(theta)
        for _ in range(MAX_STEPS):
            gradient, hessian = np.zeros(k + 1), np.zeros((k + 1, k + 1))
            PS, wP = P * S, w * P
            means = PS.sum(axis=0)
            gradient[0] = w @ (means - own) + 2.0 * FACTOR_PENALTY * theta[0]
            gradient[0] += self.caution
            hessian[0, 0] = np.einsum("kn,kn,n->", PS, S, w) - w @ (means * means)
            hessian[0, 0] += 2.0 * FACTOR_PENALTY
            if fit_labels:
                sums = wP.sum(axis=1)
                gradient[1:] = sums - shares + 2.0 * self.penalty * theta[1:]
                hessian[0, 1:] = hessian[1:, 0] = PS @ w - wP @ means
                hessian[1:, 1:] = np.diag(sums + 2.0 * self.penalty) - wP @ P.T
            bound = theta[0] <= self.least and gradient[0] >= 0.0
            free = np.arange(int(bound), k + 1 if fit_labels else 1)
            step = np.zeros(k + 1)
            curvature = hessian[np.ix_(free, free)]
            curvature.flat[:: len(free) + 1] *= 1.0 + DAMPING
            step[free] = np.linalg.solve(curvature, gradient[free])
            decrement = float(gradient @ step)
            length = 1.0
            while length > 1e-8:
                trial = theta - length * step
                trial[0] = max(trial[0], self.least)
                trial_loss, trial_P = self.loss(trial)
                if trial_loss <= loss - 1e-4 * length * decrement:
                    theta, loss, P = trial, trial_loss, trial_P
                    break
                length /= 2.0
            if decrement < TOLERANCE or length <= 1e-8:
                break
        return theta, P


def log_priors_of(priors: Any, counts: Any, labels: Any) -> Floats:
    """Return the logarithms of the label probabilities; see `MICLClassifier`.

    Raises
    ------
    ValueError
        If given priors are not probabilities of these labels.
    """
    weights = np.asarray(counts, dtype=np.float64)
    if isinstance(priors, str):
        if priors == "balanced":
            weights = (weights > 0.0).astype(np.float64)
    elif priors is not None:
        labels = labels.tolist()
        if isinstance(priors, dict):
            if set(priors) != set(labels):
                raise ValueError(
                    "priors must have a probability for each of the classes "
                    f"{labels}, found {list(priors)}."
                )
            priors = [priors[label] for label in labels]
        with naming("priors"):
            weights = np.asarray(priors, dtype=np.float64)
        if weights.shape != (len(labels),):
            raise ValueError(
                f"priors must have one entry for each of the {len(labels)} classes, "
                f"found shape {weights.shape}."
            )
        if not (weights >= 0.0).all() or not np.isclose(weights.sum(), 1.0):
            raise ValueError(
                "priors must not be negative and must sum to one, found "
                f"{weights.tolist()} with sum {weights.sum():.6g}."
            )
    with np.errstate(divide="ignore"):
        return np.log(weights / weights.sum())
