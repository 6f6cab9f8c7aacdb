r"""Convex mixes of candidates, chosen by the predictions of left-out samples.

Every candidate predicts log-probabilities :math:`L_m` of training samples that were
left out, with its own distortion, label code and temperature. The mix

.. math:: \log p_{ij} = \sum_m w_m L_{mij} + b_j - \log Z_i, \quad w \geq 0

minimises the loss of the samples with the labels :math:`y`, a small share of which
counts as random, and the weights :math:`\omega`, which sum to one,

.. math::

    \sum_i \omega_i \Bigl(\log Z_i - \sum_m w_m L_{m i y_i} - b_{y_i}\Bigr)
    + \lambda \sum_m \Bigl(w_m - \frac 1M\Bigr)^2 + \frac{\beta}{n} b^T b,

which is convex. The weights need not sum to one: candidates that agree although they
are independent make the mix more certain than each of them.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp
from sklearn.base import clone

from skredu._progress import Progress
from skredu.classification._single import NEEDED, fit_single, scores_of
from skredu.classification._transforms import TRANSFORMS
from skredu.coding._choose import MOST_LABELS, LeftOut, evenly
from skredu.coding._linalg import blocks_of_rows
from skredu.coding._rows import Rows, in_unit, unit_of

Floats = NDArray[np.float64]

# A candidate contributes at least this log-probability, so that no candidate alone can
# rule out a class.
FLOOR = -30.0
# Penalties of weights that differ from equal ones, and of label terms, in samples.
WEIGHT_PENALTY = 1e-3
LABEL_PENALTY = 0.05
# Number of additional samples with random labels. If all left-out samples were
# predicted correctly, the weights would otherwise be far too large.
CAUTION = 0.1
# Candidates whose weight is a smaller share of the total are dropped.
LEAST_SHARE = 0.05
# Largest number of multiplications that factor the classes of a kernel: about n^3 / 3
# for the rank and 9 n_j^3 for the eigenvectors of each class.
MOST_FACTORING = 3e10


# Kernel, its gamma relative to the default, and transform of each candidate. Features
# whose distances are summed as they are suit borders parallel to the axes.
CANDIDATES: dict[str, tuple[str, float | None, str | None]] = {
    "linear": ("linear", None, None),
    "rbf, Yeo-Johnson": ("rbf", 0.4, "Yeo-Johnson"),
    "laplacian": ("laplacian", 0.3, None),
    "laplacian, ranks": ("laplacian", 0.3, "ranks"),
}
# Attributes of the linear candidate that an estimator takes over.
TAKEN = (*NEEDED, "_stream", "epsilon_", "class_coding_length_", "classes_")


def log_proba_of(member: dict[str, Any], X: Any) -> Floats:
    """Return log-probabilities (n, k) by a member of a mix; see `floored`."""
    if member["transform"] is not None:
        kind, state, unit = member["transform"]
        X = TRANSFORMS[kind][1](in_unit(X, unit), **state)
    nat = math.log(2.0) / member["temperature_"]
    return floored(log_softmax(nat * scores_of(member, X), axis=1))


def fit_mix(
    estimator: Any, rows: Rows, progress: Progress, *, everything: bool = False
) -> LeftOut:
    """Fit all candidates and their mix; set the fitted attributes of an estimator.

    Parameters
    ----------
    estimator : MICLClassifier
    rows : Rows
        The training samples.
    progress : Progress
    everything : bool, default=False
        Whether to predict each sample by the others, and not only those by which the
        mix is chosen.

    Returns
    -------
    left_out : LeftOut
        Predictions of the mix for left-out samples.
    """
    judged = evenly(rows.sizes)
    members, found, about = [], [], {}
    for name, (kernel, factor, transform) in CANDIDATES.items():
        model = clone(estimator)
        model.kernel = kernel  # a subclass may not have this parameter
        with progress.task(f"fit {name}", None) as task:
            member, left_out = fit_member(
                model, factor, transform, rows, judged, task, everything
            )
        members.append(member)
        found.append(left_out)
        about[name] = {"epsilon": model.epsilon_, "temperature": model.temperature_}
        if hasattr(model, "gamma_"):
            about[name]["gamma"] = model.gamma_
        if kernel == "linear":
            estimator.__dict__.update({key: getattr(model, key) for key in TAKEN})
            parameters = deepcopy(estimator.get_params(deep=False))
            estimator._stream["parameters"] = parameters
    chosen, weights, _ = found[0]
    L = np.stack([left_out.log_proba for left_out in found])
    y, some = rows.y[chosen], np.searchsorted(chosen, judged[0])
    fit_labels = estimator.calibrate and estimator.priors is not None
    fit_labels = fit_labels and L.shape[2] <= MOST_LABELS
    w, b = choose_weights(L[:, some], y[some], weights[some], fit_labels=fit_labels)
    estimator.candidates_ = {
        name: {"weight": float(weight), **rest}
        for (name, rest), weight in zip(about.items(), w, strict=True)
    }
    set_mix(estimator, members, w, b)
    return LeftOut(chosen, weights, mixed(w, b, L))


def set_mix(
    estimator: Any, members: list[dict[str, Any]], w: Floats, b: Floats
) -> None:
    """Set the attributes of an estimator that describe its mix."""
    used = np.flatnonzero(w).tolist()
    members, w, logs = [members[i] for i in used], w[used], b.copy()
    estimator._mix = {"weights": w, "label_terms": b, "members": members}
    for weight, member in zip(w, members, strict=True):
        logs += weight / member["temperature_"] * member["_log_priors"]
    estimator.priors_ = np.exp(logs - logsumexp(logs))
    estimator.temperature_ = 1.0


def fit_member(
    model: Any,
    gamma_factor: float | None,
    transform: str | None,
    rows: Rows,
    judged: tuple[Any, Floats],
    progress: Progress,
    everything: bool,
) -> tuple[dict[str, Any], LeftOut]:
    """Fit a candidate, and predict the judged samples, or all, by the other samples.

    With a kernel, only some of the judged samples code the classes if there are too
    many, and the first sample of each class without one; the others are predicted
    without being left out.
    """
    n = len(rows.y)
    wanted = np.arange(n) if everything else judged[0]
    within = np.arange(n)
    most = most_for_kernels(rows.sizes)
    if model.kernel != "linear" and n > most:
        sizes = np.bincount(rows.y[judged[0]], minlength=len(rows.classes)).tolist()
        within = judged[0][evenly(sizes, most)[0]]
        first = np.unique(rows.y, return_index=True)[1]
        missing = np.delete(first, np.unique(rows.y[within]))
        within = np.sort(np.append(within, missing))
    part, state = rows.part(within), None
    if transform is not None:
        unit = unit_of(part.X)
        part = replace(part, source=in_unit(part.X, unit), index=np.arange(len(within)))
        fit, apply = TRANSFORMS[transform]
        state = transform, fit(part), unit
        part = replace(part, source=apply(part.source, **state[1]))
    inside = np.flatnonzero(np.isin(within, judged[0]))
    copies = judged[1][np.isin(judged[0], within)]
    how: dict[str, Any] = {"judged": (inside, copies), "everything": everything}
    if gamma_factor is not None:
        how["gamma_factor"] = gamma_factor
    found = fit_single(model, part, progress, **how)
    assert found is not None
    member = {name: getattr(model, name) for name in NEEDED}
    member["transform"] = state
    weights, logs = np.zeros(len(wanted)), np.empty((len(wanted), len(rows.classes)))
    known = np.searchsorted(wanted, within[found.chosen])
    weights[known] = found.weights
    logs[known] = floored(found.log_proba)
    rest = np.setdiff1d(np.arange(len(wanted)), known)
    if len(rest):
        logs[rest] = log_proba_of(member, rows.take(wanted[rest]))
    return member, LeftOut(wanted, weights, logs)


def mix_scores(mix: dict[str, Any], X: Any) -> Floats:
    """Return the scores (n, k) of a mix in bits, for a temperature of one."""
    members, w, b = mix["members"], mix["weights"], mix["label_terms"]
    parts = []
    for block in blocks_of_rows(len(X), X.shape[1] + 2 * len(members) * len(b)):
        L = np.stack([log_proba_of(member, X[block]) for member in members])
        parts.append(mixed(w, b, L) / math.log(2.0))
    return np.concatenate(parts)


def mixed(w: Floats, b: Floats, L: Floats) -> Floats:
    """Return the log-probabilities (n, k) of a mix of log-probabilities (m, n, k)."""
    logs = b + sum(weight * each for weight, each in zip(w, L, strict=True) if weight)
    with np.errstate(invalid="ignore"):  # no class is possible
        return log_softmax(logs, axis=1)


def floored(logs: Floats) -> Floats:
    """Return finite log-probabilities that are at least FLOOR, and the others."""
    return np.where(np.isfinite(logs), np.maximum(logs, FLOOR), logs)


def most_for_kernels(sizes: list[int]) -> int:
    """Return how many samples, in proportion to the classes, kernels can factor."""
    shares = np.divide(sizes, sum(sizes))
    return int(np.cbrt(MOST_FACTORING / (1.0 / 3.0 + 9.0 * float((shares**3).sum()))))


def choose_weights(
    L: Floats, y: NDArray[np.intp], weights: Floats, *, fit_labels: bool
) -> tuple[Floats, Floats]:
    """Fit the weights of candidates, drop those with small ones, and fit the rest."""
    w, b, _ = fit_weights(L, y, weights, fit_labels=fit_labels)
    if not w.any():  # nothing is informative
        w[0] = 1.0
        return w, np.zeros(len(b))
    small = (w > 0.0) & (w < LEAST_SHARE * w.sum())
    if not small.any():
        return w, b
    kept = np.flatnonzero((w > 0.0) & ~small)
    less, b, _ = fit_weights(L[kept], y, weights, fit_labels=fit_labels)
    w = np.zeros(len(w))
    w[kept] = less
    return w, b


def fit_weights(
    L: Floats, y: NDArray[np.intp], weights: Floats, *, fit_labels: bool = True
) -> tuple[Floats, Floats, float]:
    """Fit the weights of candidates to their predictions of left-out samples.

    Parameters
    ----------
    L : array of shape (m, n, k)
        Log-probabilities of ``m`` candidates. Samples are dropped if a candidate cannot
        predict them, because their class is empty without them.
    y : array of shape (n,)
        Classes as integers.
    weights : array of shape (n,)
        Weights of the samples; only their ratios matter.
    fit_labels : bool, default=True
        Whether to fit label terms, too. Those of classes without a sample stay zero.

    Returns
    -------
    w : array of shape (m,)
        Weights of the candidates. If fewer than two classes have samples, the first
        candidate has the weight one.
    b : array of shape (k,)
        Label terms.
    loss : float
        The penalised loss in nats per sample.
    """
    m, _, k = L.shape
    known = np.isfinite(L[:, np.arange(len(y)), y]).all(axis=0)
    present = np.unique(y[known])
    w, b, loss = np.zeros(m), np.zeros(k), np.inf
    if len(present) < 2:
        w[0] = 1.0
        return w, b, loss
    rivals = present
    if not fit_labels:  # classes without a sample compete for those of others
        rivals = np.flatnonzero(np.isfinite(L[:, known]).all(axis=(0, 1)))
    left = np.maximum(L[:, known][:, :, rivals], FLOOR)
    shares = weights[known] / weights[known].sum()
    found = minimize(
        mix_loss,
        np.concatenate([np.full(m, 1.0 / m), np.zeros(len(rivals))]),
        (left, np.searchsorted(rivals, y[known]), shares, fit_labels),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * m + [(None, None)] * len(rivals),
        options={"maxiter": 500, "ftol": 1e-10, "gtol": 1e-7},
    )
    b[rivals] = found.x[m:]
    return found.x[:m], b, float(found.fun)


def mix_loss(
    theta: Floats, L: Floats, y: NDArray[np.intp], shares: Floats, fit_labels: bool
) -> tuple[float, Floats]:
    """Return the loss of a mix and its gradient.

    Parameters
    ----------
    theta : array of shape (m + k,)
        Weights of the candidates, and label terms.
    L : array of shape (m, n, k)
        Finite log-probabilities of left-out samples.
    y : array of shape (n,)
        Classes as integers.
    shares : array of shape (n,)
        Weights of the samples, which sum to one.
    fit_labels : bool
        Whether the label terms may change; otherwise their gradient is zero.
    """
    m, n, k = L.shape
    w, b, rows = theta[:m], theta[m:], np.arange(n)
    P = (w @ L.reshape(m, -1)).reshape(n, k) + b
    P -= P.max(axis=1, keepdims=True)
    own, means = P[rows, y], P.mean(axis=1)
    np.exp(P, out=P)
    norms = P.sum(axis=1)
    pull, sample = w - 1.0 / m, float(shares @ shares)
    caution, label_penalty = CAUTION * sample, LABEL_PENALTY * sample
    own = (1.0 - caution) * own + caution * means
    loss = shares @ (np.log(norms) - own)
    loss += WEIGHT_PENALTY * (pull @ pull) + label_penalty * (b @ b)
    errors = P * (shares / norms)[:, None]
    errors[rows, y] -= (1.0 - caution) * shares
    errors -= (caution / k * shares)[:, None]
    gradient = np.zeros(m + k)
    gradient[:m] = L.reshape(m, -1) @ errors.ravel() + 2.0 * WEIGHT_PENALTY * pull
    if fit_labels:
        gradient[m:] = errors.sum(axis=0) + 2.0 * label_penalty * b
    return float(loss), gradient
