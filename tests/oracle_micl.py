"""Slow, obviously right MICL and nearest subspaces: the definition, row by row.

Every number comes from a coding length of the rows of one class, written down twice:
with the row that is coded and without it. Nothing is factored once, nothing is
updated, weights are multiplied in as they stand in the formula.
"""

import numpy as np
from scipy.special import logsumexp


def coding_length(X, weights, epsilon, *, d=None, assume_centered=False):
    """Bits of weighted rows; ``d`` other than the number of columns for a kernel."""
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
    """Bits that ``copies`` of a row add to weighted rows."""
    after = coding_length(
        np.vstack([X, row[None]]), np.append(weights, copies), epsilon, **options
    )
    return after - coding_length(X, weights, epsilon, **options)


def label_bits(y, weights, classes):
    """Bits of the labels by the frequencies of the classes."""
    counts = np.array([weights[y == label].sum() for label in classes])
    return -np.log2(counts / counts.sum())


def all_extra_bits(X, y, weights, rows, epsilon, **options):
    """Bits of rows in every class without the label, of shape (n, k)."""
    return np.array(
        [
            [
                extra_bits(X[y == label], weights[y == label], row, epsilon, **options)
                for label in np.unique(y)
            ]
            for row in np.asarray(rows, dtype=np.float64)
        ]
    )


def scores(X, y, weights, rows, epsilon, *, priors=None, **options):
    """Minus the bits of rows in every class, label included, of shape (n, k)."""
    classes = np.unique(y)
    labels = label_bits(y, weights, classes) if priors is None else -np.log2(priors)
    return -all_extra_bits(X, y, weights, rows, epsilon, **options) - labels


def decision(scores, temperature=1.0):
    """Scores as scikit-learn wants them: a difference for two classes.

    For more classes they are bits relative to those of all classes together.
    """
    if scores.shape[1] == 2:
        return scores[:, 1] - scores[:, 0]
    nat = np.log(2) / temperature
    return scores - logsumexp(nat * scores, axis=1, keepdims=True) / nat


def probabilities(scores):
    """Two to the scores, normalised."""
    logs = scores * np.log(2)
    return np.exp(logs - logsumexp(logs, axis=1, keepdims=True))


# -- feature space --------------------------------------------------------------------


def rank_of(K):
    """Dimension of the span of rows, from their products."""
    eigenvalues = np.linalg.eigvalsh(K)
    return int((eigenvalues > len(K) * np.finfo(float).eps * eigenvalues[-1]).sum())


def features_of(K):
    """Rows with the products ``K``."""
    eigenvalues, V = np.linalg.eigh(K)
    return V * np.sqrt(np.maximum(eigenvalues, 0.0))


def kernel_scores(kernel, X, y, weights, rows, epsilon, **options):
    """Scores of rows in the feature space of a kernel, each row on its own.

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
    """The rows nearest to a row and as much of their weights as is asked for."""
    order = np.argsort(np.linalg.norm(X - row, axis=1), kind="stable")
    taken, left = [], float(n_neighbors)
    for i in order:
        taken.append(min(left, weights[i]))
        left -= taken[-1]
    return X[order], np.array(taken)


def local_scores(X, y, weights, rows, epsilon, n_neighbors, **options):
    """Scores by the nearest rows of each class."""
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
    """Projection on the subspace of each class and the point that it goes through."""
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
    """Distances of rows to the subspace of each class, of shape (n, k)."""
    return np.array(
        [
            [np.linalg.norm((row - mean) - P @ (row - mean)) for P, mean in found]
            for found in [
                projections(
                    X, y, weights, n_components, assume_centered=assume_centered
                )
            ]
            for row in rows
        ]
    )
