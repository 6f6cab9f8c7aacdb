r"""Choice of the distortion, the label code and the temperature by leave-one-out.

Every distortion of a path is judged by the rows left out, after the label code that
suits it best was fitted: without it a distortion could win because its lengths happen
to favour the right classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from skredu._checks import naming
from skredu._compat import namespace, to_numpy
from skredu.classification._coders import Coder
from skredu.classification._training import Training
from skredu.coding._label_code import CAUTION, Labelled, fit_label_code

Floats = NDArray[np.float64]

# Weight of the Brier score beside the error: it breaks the ties of a count.
BRIER_WEIGHT = 1.0
N_EPSILONS = 20


# Rows that are left out: their error is known to half a percent.
MAX_ROWS = 5_000
MAX_SCORES = 2**23
LEAST_ROWS = 2
# Classes up to which the label code is fitted: it takes their square, and beyond it few
# rows of each are left out.
MOST_LABELS = 256


@dataclass(frozen=True, eq=False, repr=False)
class Codes:
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
        Bits are divided by it to be probabilities: 1 for an honest code, more where
        bits are too sure of themselves, less where they are not sure enough.
    """

    epsilon: float
    log_priors: Any
    label_shift: Floats
    loss: float = np.inf
    temperature: float = 1.0


def choose_codes(
    coder: Coder,
    rows: Training | None,
    epsilon: float | None,
    priors: Any,
    classes: Any,
    before: Codes | None = None,
    *,
    calibrate: bool = True,
) -> Codes:
    """Distortion, label code and temperature for a coder, by leaving out ``rows``.

    Parameters
    ----------
    coder : Coder
    rows : Training or None
        Rows that the coder knows; None where nothing is chosen.
    epsilon : float or None
        The distortion, None to choose it.
    priors : array-like of shape (k,), dict, "balanced", "auto" or None
        See `MICLClassifier`.
    before : Codes, default=None
        An earlier choice to stay with.
    calibrate : bool, default=True
        Fit label code and temperature; otherwise the label code is that of the priors
        and the temperature is 1.
    """
    counts, auto = coder.counts, isinstance(priors, str) and priors == "auto"
    frequent = auto or priors is None
    log_priors = log_priors_of(priors, counts, classes)
    if epsilon is not None and not calibrate:
        return Codes(epsilon, log_priors, np.zeros(len(counts)))
    fit_labels = calibrate and priors is not None and len(counts) <= MOST_LABELS
    if before is not None:
        if fit_labels:
            log_priors = normalised(log_priors + before.label_shift)
        if epsilon is not None:
            before = replace(before, epsilon=epsilon)
        return replace(before, log_priors=log_priors)
    assert rows is not None
    if epsilon is None:
        path = epsilon_path(coder.spread(rows), coder.n_features)
    else:
        path = np.asarray([epsilon])
    chosen, copies = _evenly(rows.sizes)
    scores = _left_out_scores(coder, rows, counts, log_priors, path, chosen, frequent)
    y, weights = to_numpy(rows.y)[chosen], np.ones(len(chosen))
    if rows.weights is not None:
        weights = to_numpy(rows.weights)[chosen].astype(np.float64)
    weights = copies * weights
    if not frequent:  # weigh the rows of a class by its prior
        weights = np.exp(log_priors)[y] / np.asarray(counts)[y] * weights
    best, loss, shift, factor = select(scores, y, weights, fit_labels=fit_labels)
    log_priors = normalised(log_priors + shift)
    temperature = 1.0 / factor if calibrate else 1.0
    return Codes(float(path[best]), log_priors, shift, loss, temperature)


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
    xp, device = namespace(rows.source), rows.source.device
    nats = coder.left_out(
        rows,
        xp.asarray(chosen, device=device),
        xp.asarray(path, dtype=xp.float64, device=device),
    )
    scores = to_numpy(nats)
    np.subtract(log_priors[None, :, None], scores, out=scores)
    if frequent:  # the frequency of its class is also that without the row
        y = to_numpy(rows.y)[chosen]
        weights = 1.0 if rows.weights is None else to_numpy(rows.weights)[chosen]
        left = weights / np.asarray(counts)[y]
        with np.errstate(divide="ignore"):
            scores[np.arange(len(y)), y] += np.log1p(-np.minimum(left, 1.0))[:, None]
    return scores


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


def log_priors_of(priors: Any, counts: list[float], classes: Any) -> Floats:
    """Logarithms of the probabilities of the labels, see `MICLClassifier`."""
    weights = check_priors(priors, classes)
    if weights is None:
        weights = np.asarray(counts)
        if priors == "balanced":
            weights = (weights > 0.0).astype(np.float64)
    with np.errstate(divide="ignore"):
        return np.log(weights / weights.sum())


def check_priors(priors: Any, classes: Any) -> Floats | None:
    """Probabilities by class where they are given, None where they follow from rows."""
    if priors is None or isinstance(priors, str):
        return None
    labels = classes.tolist()
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


def normalised(log_priors: Floats) -> Floats:
    """Logarithms of probabilities that sum to one."""
    return log_priors - logsumexp(log_priors)


def epsilon_path(spread: float, n_features: float) -> Floats:
    r"""Candidates :math:`\epsilon = \sqrt{d}\, \sigma\, 10^{-3 \ldots 1/2}`.

    With ``spread`` the root mean square distance of the rows to their mean, so that
    the distortion a coordinate goes from a millionth of the total variance to ten
    times it, and scaling the rows scales the path.
    """
    return spread * np.sqrt(n_features) * np.logspace(-3.0, 0.5, N_EPSILONS)


def select(
    scores: Floats,
    y: NDArray[np.intp],
    weights: Floats,
    *,
    fit_labels: bool,
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
    code : array of shape (k,)
        Nats to add to the label code.
    factor : float
        By which nats are to be multiplied to be probabilities.
    """
    n_epsilons, k = scores.shape[2], scores.shape[1]
    known = np.isfinite(scores[np.arange(len(y)), y]).all(axis=1)
    if not known.all():
        scores, y, weights = scores[known], y[known], weights[known]
    present = np.unique(y)
    best, best_loss, code, factor = n_epsilons // 2, np.inf, np.zeros(k), 1.0
    if len(y) == 0 or len(present) < 2:
        return best, best_loss, code, factor
    if not fit_labels:  # classes without a row left compete for those of others
        present = np.flatnonzero(np.isfinite(scores).all(axis=(0, 2)))
    y, weights = np.searchsorted(present, y), weights / weights.sum()
    count = 1.0 / float(weights @ weights)  # of rows of the same weight
    theta, best_theta = None, None
    for e in range(n_epsilons):
        columns = np.ascontiguousarray(scores[:, present, e].T)
        rows, _ = _of_size_one(Labelled(columns, y, weights, count))
        theta, P = fit_label_code(rows, theta, fit_labels=fit_labels)
        loss = _loss(rows, P)
        if loss < best_loss:
            best, best_loss, best_theta = e, loss, theta
    columns = np.ascontiguousarray(scores[:, present, best].T)
    rows, unit = _of_size_one(Labelled(columns, y, weights, count, CAUTION))
    theta, _ = fit_label_code(rows, best_theta, fit_labels=fit_labels)
    factor = float(theta[0] / unit)
    code[present] = theta[1:] / factor
    return best, best_loss, code, factor


def _of_size_one(rows: Labelled) -> tuple[Labelled, float]:
    """Rows with scores of mean size one, and the unit of the scores."""
    scores = rows.scores - rows.scores.max(axis=0)
    unit = max(-float(rows.weights @ scores.mean(axis=0)), np.finfo(float).tiny)
    return replace(rows, scores=scores / unit), unit


def _loss(rows: Labelled, P: Floats) -> float:
    """Share of errors and Brier score of probabilities (k, n)."""
    y, weights = rows.y, rows.weights
    own = P[y, np.arange(len(y))]
    wrong = weights @ (P.argmax(axis=0) != y)
    brier = weights @ (np.einsum("kn,kn->n", P, P) + 1.0 - 2.0 * own)
    return float(wrong + BRIER_WEIGHT * brier)
