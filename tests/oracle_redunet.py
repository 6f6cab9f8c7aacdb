"""Slow and simple operators of a ReduNet: inverses of d x d matrices.

Written from the paper (Chan et al., JMLR 2022); `oracle_spectral` moves rows by them.
"""

import numpy as np


def on_sphere(X):
    """Return rows divided by their norms."""
    return np.array([x / np.linalg.norm(x) for x in np.asarray(X, dtype=float)])


def operators(Z, y, epsilon, weights=None):
    """Return the expansion and compression operators and class shares of labels."""
    n_rows, d = Z.shape
    w = np.ones(n_rows) if weights is None else np.asarray(weights, dtype=float)
    alpha = d / (w.sum() * epsilon**2)
    E = alpha * np.linalg.inv(np.eye(d) + alpha * Z.T @ np.diag(w) @ Z)
    C, gamma = [], []
    for label in np.unique(y):
        Pi = np.diag(w * (y == label))
        alpha_j = d / (np.trace(Pi) * epsilon**2)
        C.append(alpha_j * np.linalg.inv(np.eye(d) + alpha_j * Z.T @ Pi @ Z))
        gamma.append(np.trace(Pi) / w.sum())
    return E, C, gamma


def length(S, n, d, epsilon):
    """Return the length in nats of n rows with the scatter S about the origin."""
    if n == 0:
        return 0.0
    return (n + d) / 2 * np.linalg.slogdet(np.eye(d) + d / (n * epsilon**2) * S)[1]
