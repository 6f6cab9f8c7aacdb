r"""Choice of the distortion, the label code and the temperature by leave-one-out.

Every distortion of a path is judged by the rows left out, after the label code that
suits it best was fitted: without it a distortion could win because its lengths happen
to favour the right classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from skredu._checks import naming
from skredu._compat import namespace, to_numpy
from skredu.coding._classes import Classes
from skredu.coding._label_code import CAUTION, Labelled, fit_label_code
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
