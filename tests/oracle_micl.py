"""Slow and simple versions of MICL and nearest subspaces, row by row.

Every number comes from a coding length of the rows of one class, written down twice:
with the row that is coded and without it. Nothing is factored once, nothing is
updated, weights are multiplied in as they stand in the formula.
"""

import itertools

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp


def coding_length(X, weights, epsilon, *, d=None, assume_centered=False):
    """Return the bits of weighted rows; ``d`` differs from the columns for a kernel."""
    X, weights = np.asarray(X, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    n, d = weights.sum(), X.shape[1] if d is None else d
    if n <= 0:
        return 0.0
    mean = np.zeros(X.shape[1]) if assume_centered else weights @ X / n
    roots = np.sqrt(weights)[:, None] * (X - mean)
    sigma = np.linalg.svd(roots, compute_uv=False)
    bits = (n + d) / 2 * np.log2(1 + d / (n * epsilon**2) * sigma**2).sum()
    return bits + d / 2 * np.log2(1 + mean @ mean / epsilon**2)


def extra_bits(X, weights, row, epsilon, *, copies=1.0, **options):
    """Return the bits that ``copies`` of a row add to weighted rows."""
    after = coding_length(
        np.vstack([X, row[None]]), np.append(weights, copies), epsilon, **options
    )
    return after - coding_length(X, weights, epsilon, **options)


def label_bits(y, weights, classes):
    """Return the bits of labels by the frequencies of the classes."""
    counts = np.array([weights[y == label].sum() for label in classes])
    return -np.log2(counts / counts.sum())


def all_extra_bits(X, y, weights, rows, epsilon, **options):
    """Return the bits of rows in every class without labels, of shape (n, k)."""
    parts = [(X[y == label], weights[y == label]) for label in np.unique(y)]
    rows = np.asarray(rows, dtype=np.float64)
    return np.array(
        [[extra_bits(*part, row, epsilon, **options) for part in parts] for row in rows]
    )


def scores(X, y, weights, rows, epsilon, *, priors=None, **options):
    """Return minus the bits of rows in every class with labels, of shape (n, k)."""
    classes = np.unique(y)
    labels = label_bits(y, weights, classes) if priors is None else -np.log2(priors)
    return -all_extra_bits(X, y, weights, rows, epsilon, **options) - labels


def decision(scores, temperature=1.0):
    """Return scores as scikit-learn defines them: a difference for two classes.

    For more classes they are bits relative to those of all classes together.
    """
    if scores.shape[1] == 2:
        return scores[:, 1] - scores[:, 0]
    nat = np.log(2) / temperature
    return scores - logsumexp(nat * scores, axis=1, keepdims=True) / nat


def probabilities(scores):
    """Return two to the power of the scores, normalised."""
    logs = scores * np.log(2)
    return np.exp(logs - logsumexp(logs, axis=1, keepdims=True))


# -- feature space --------------------------------------------------------------------


def rank_of(K):
    """Return the dimension of the span of rows from their products."""
    eigenvalues = np.linalg.eigvalsh(K)
    return int((eigenvalues > len(K) * np.finfo(float).eps * eigenvalues[-1]).sum())


def features_of(K):
    """Return rows with the inner products ``K``."""
    eigenvalues, V = np.linalg.eigh(K)
    return V * np.sqrt(np.maximum(eigenvalues, 0.0))


def kernel_scores(kernel, X, y, weights, rows, epsilon, **options):
    """Return the scores of single rows in the feature space of a kernel.

    The training rows and one further row are mapped by the eigenvectors of their
    products; the dimension in the formulas is that of the span of the training rows.
    """
    d = rank_of(kernel(X, X))
    result = []
    for row in rows:
        joint = np.vstack([X, row[None]])
        Z = features_of(kernel(joint, joint))
        result.append(scores(Z[:-1], y, weights, Z[-1:], epsilon, d=d, **options)[0])
    return np.array(result)


# -- nearest rows ---------------------------------------------------------------------


def nearest(X, weights, row, n_neighbors):
    """Return the nearest rows of a row, up to a given total weight."""
    order = np.argsort(np.linalg.norm(X - row, axis=1), kind="stable")
    taken, left = [], float(n_neighbors)
    for i in order:
        taken.append(min(left, weights[i]))
        left -= taken[-1]
    return X[order], np.array(taken)


def local_scores(X, y, weights, rows, epsilon, n_neighbors, **options):
    """Return scores from the nearest rows of each class."""
    classes = np.unique(y)
    labels = label_bits(y, weights, classes)
    result = []
    for row in rows:
        near = [
            nearest(X[y == label], weights[y == label], row, n_neighbors)
            for label in classes
        ]
        bits = [extra_bits(*part, row, epsilon, **options) for part in near]
        result.append(-np.array(bits) - labels)
    return np.array(result)


# -- nearest subspaces ----------------------------------------------------------------


def projections(X, y, weights, n_components, *, assume_centered=True):
    """Return the projection on the subspace of each class, and a point of it."""
    found = []
    for label in np.unique(y):
        rows, w = X[y == label], weights[y == label]
        mean = np.zeros(X.shape[1]) if assume_centered else w @ rows / w.sum()
        S = (w[:, None] * (rows - mean)).T @ (rows - mean)
        eigenvalues, V = np.linalg.eigh(S)
        eigenvalues, V = np.maximum(eigenvalues[::-1], 0.0), V[:, ::-1]
        rank = int((eigenvalues > 1e-12 * max(eigenvalues[0], 1e-300)).sum())
        if isinstance(n_components, int):
            rank = min(rank, n_components)
        else:
            share = np.cumsum(eigenvalues) / eigenvalues.sum()
            rank = min(rank, int((share < n_components).sum()) + 1)
        found.append((V[:, :rank] @ V[:, :rank].T, mean))
    return found


def residuals(X, y, weights, rows, n_components, *, assume_centered=True):
    """Return the distances of rows to the subspace of each class, (n, k)."""
    found = projections(X, y, weights, n_components, assume_centered=assume_centered)
    return np.array(
        [
            [np.linalg.norm((row - mean) - P @ (row - mean)) for P, mean in found]
            for row in rows
        ]
    )


# -- the choice -----------------------------------------------------------------------

LABEL_PENALTY, FACTOR_PENALTY, CAUTION, LEAST_FACTOR = 0.05, 1e-7, 0.1, 0.1
LEAST_GAIN, FACTOR_OF_NOISE = 2.0, 0.03


def _eigenvalues(Z, weights, assume_centered):
    """Return count, eigenvalues of the scatter and squared norm of the mean."""
    n = weights.sum()
    mean = np.zeros(Z.shape[1]) if assume_centered else weights @ Z / max(n, 1e-300)
    sigma = np.linalg.svd(np.sqrt(weights)[:, None] * (Z - mean), compute_uv=False)
    return n, sigma**2, mean @ mean


def _nats(parts, d, epsilons):
    n, eigenvalues, mean = parts
    if n <= 0:
        return np.zeros(len(epsilons))
    volumes = np.log1p(d / n * eigenvalues / epsilons[:, None] ** 2).sum(axis=1)
    return (n + d) / 2 * volumes + d / 2 * np.log1p(mean / epsilons**2)


def left_out(Z, d, y, weights, epsilons, *, assume_centered=False, n_neighbors=None):
    """Return the nats of every left-out row in every class, (n, k, e).

    Infinite where nothing is left of its class.
    """
    classes = np.unique(y)
    nats = np.empty((len(Z), len(classes), len(epsilons)))
    for (i, row), (j, label) in itertools.product(enumerate(Z), enumerate(classes)):
        less = weights.copy()
        less[i] = 0.0
        part, w = Z[y == label], less[y == label]
        if n_neighbors is not None:
            part, w = nearest(part, w, row, n_neighbors)
        if w.sum() <= 0.0:
            nats[i, j] = np.inf
            continue
        more = np.vstack([part, row]), np.append(w, 1.0)
        nats[i, j] = _nats(_eigenvalues(*more, assume_centered), d, epsilons)
        nats[i, j] -= _nats(_eigenvalues(part, w, assume_centered), d, epsilons)
    return nats


def _fit_code(scores, y, weights, caution, fit_labels, most=None):
    """Return factor and label code of maximum penalised likelihood, and the loss."""
    (n, k), weights = scores.shape, weights / weights.sum()
    count = 1.0 / (weights @ weights)
    scores = scores - scores.max(axis=1, keepdims=True)
    unit = -weights @ scores.mean(axis=1)
    scores, own = scores / unit, (np.arange(n), y)
    free = k + 1 if fit_labels else 1

    def loss(theta):
        t, b = theta[0], np.append(theta[1:], np.zeros(k + 1 - len(theta)))
        logs = log_softmax(t * scores + b, axis=1)
        penalty = LABEL_PENALTY / count * max(1.0, k * k / count) * b @ b
        penalty += FACTOR_PENALTY * t * t + caution / count * t
        P = np.exp(logs)
        errors = weights @ (P.argmax(axis=1) != y)
        brier = weights @ ((P**2).sum(axis=1) + 1.0 - 2.0 * P[own])
        return penalty - weights @ logs[own], errors + brier

    bounds = [(most or LEAST_FACTOR, most)] + [(None, None)] * (free - 1)
    start = np.append(most or 1.0, np.zeros(free - 1))
    found = minimize(
        lambda t: loss(t)[0], start, bounds=bounds, tol=1e-13, options={"maxiter": 1000}
    )
    t, b = found.x[0], np.append(found.x[1:], np.zeros(k + 1 - free))
    return t / unit, b * unit / t, loss(found.x)[1]


def choose(nats, y, weights, index, priors=None, *, fit_labels=True):
    """Return losses of distortions, and label probabilities and temperature of one.

    By the rows left out, whose nats in every class are given.
    """
    k = nats.shape[1]
    counts = np.bincount(y, weights)
    shares = counts / counts.sum() if priors is None else np.asarray(priors)
    scores, own = np.log(shares)[:, None] - nats, (np.arange(len(y)), y)
    if priors is None:
        with np.errstate(divide="ignore"):
            scores[own] += np.log1p(-np.minimum(weights / counts[y], 1.0))[:, None]
    else:
        weights = shares[y] / counts[y] * weights
    known = np.isfinite(scores[own]).all(axis=1)
    scores, y, weights = scores[known], y[known], weights[known]
    present, shift, factor = np.unique(y), np.zeros(k), 1.0
    losses = [1.0] * nats.shape[2]
    if len(present) > 1:
        y = np.searchsorted(present, y)
        if not fit_labels:
            present = np.arange(k)
        paths = [scores[:, present, e] for e in range(nats.shape[2])]
        losses = [_fit_code(S, y, weights, 0.0, fit_labels)[2] for S in paths]
        fitted = paths[index], y, weights, CAUTION, fit_labels
        factor, code, _ = _fit_code(*fitted)
        if fit_labels:  # nothing was learned if the gain is less than two nats
            logs = log_softmax(factor * (paths[index] + code), axis=1)
            ratios = logs[np.arange(len(y)), y]
            ratios -= np.log(np.bincount(y, weights)[y] / weights.sum())
            if len(y) * (weights @ ratios) / weights.sum() < LEAST_GAIN:
                factor, code, _ = _fit_code(*fitted, most=FACTOR_OF_NOISE)
        shift[present] = code
    priors = np.exp(np.log(shares) + shift)
    return losses, priors / priors.sum(), 1.0 / factor
