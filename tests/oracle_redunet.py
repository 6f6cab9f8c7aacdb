"""A ReduNet the slow, obviously right way: inverses of d x d matrices, row by row.

Written from the paper (Chan et al., JMLR 2022): the operators are inverted as they
stand, every row is multiplied by every one of them, and nothing is shared or skipped.
"""

import numpy as np


def on_sphere(X, constant=None):
    """Rows, with a constant behind them, divided by their norms."""
    rows = []
    for x in np.asarray(X, dtype=float):
        z = x if constant is None else np.append(x, constant)
        rows.append(z / np.linalg.norm(z))
    return np.array(rows)


def operators(Z, y, epsilon, weights=None):
    """Expansion operator, compression operators and class shares, from true labels."""
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
    """Coding length in nats of n rows with the scatter S around the origin."""
    if n == 0:
        return 0.0
    return (n + d) / 2 * np.linalg.slogdet(np.eye(d) + d / (n * epsilon**2) * S)[1]


def memberships(z, Z, y, epsilon, kind, temperature=500.0, weights=None):
    """Memberships of one row."""
    d = Z.shape[1]
    w = np.ones(len(Z)) if weights is None else np.asarray(weights, dtype=float)
    _, C, gamma = operators(Z, y, epsilon, weights)
    scores = []
    for j, label in enumerate(np.unique(y)):
        if kind == "coding":
            rows, copies = Z[y == label], w[y == label]
            S, n = rows.T @ np.diag(copies) @ rows, copies.sum()
            before = length(S, n, d, epsilon)
            after = length(S + np.outer(z, z), n + 1, d, epsilon)
            scores.append(np.log(gamma[j]) - (after - before))
        else:
            factor = 1.0 if kind == "residual" else gamma[j]
            scores.append(-temperature * factor * np.linalg.norm(C[j] @ z))
    shares = np.exp(np.array(scores) - max(scores))
    return shares / shares.sum()


def layer(rows, Z, y, epsilon, eta, kind="residual", weights=None, Pi=None, **settings):
    """Rows after the published layer that was built on Z; Pi: memberships if known."""
    E, C, gamma = operators(Z, y, epsilon, weights)
    moved = []
    for i, z in enumerate(rows):
        pi = (
            memberships(z, Z, y, epsilon, kind, weights=weights, **settings)
            if Pi is None
            else Pi[i]
        )
        step = E @ z - sum(gamma[j] * pi[j] * C[j] @ z for j in range(len(C)))
        moved.append(z + eta * step)
        moved[-1] = moved[-1] / np.linalg.norm(moved[-1])
    return np.array(moved)


def network(Z, y, new, *, n_layers, epsilon, eta, kind="residual", **settings):
    """Training rows and new rows after published layers."""
    for _ in range(n_layers):
        Z, new = (
            layer(rows, Z, y, epsilon, eta, kind, **settings) for rows in (Z, new)
        )
    return Z, new


def relative(epsilon, Z, weights=None):
    """Published step size of a relative step of one."""
    n = len(Z) if weights is None else np.sum(weights)
    return n * epsilon**2 / Z.shape[1]


def left_out_change(
    i,
    Z,
    y,
    epsilon,
    kind="coding",
    temperature=500.0,
    weights=None,
    label_code=0.0,
):
    """Change of a training row by operators that have never seen it.

    Memberships in the coding rule compare the bits of its class with it to those
    without; shares of the classes stay, and so does the scale of the residual rules.
    The label code, in nats, is added to the scores.
    """
    d, z = Z.shape[1], Z[i]
    w = np.ones(len(Z)) if weights is None else np.asarray(weights, dtype=float)
    rest = w.copy()
    rest[i] = 0.0

    def inverse(mask):
        n = (rest * mask).sum()
        if n <= 1e-12:
            return np.eye(d)
        S = Z.T @ np.diag(rest * mask) @ Z
        return np.linalg.inv(np.eye(d) + d / (n * epsilon**2) * S)

    scores, projected = [], []
    for label in np.unique(y):
        mask = y == label
        n, n_rest = (w * mask).sum(), (rest * mask).sum()
        M = inverse(mask)
        projected.append(z - M @ z)
        if kind == "coding":
            S = Z.T @ np.diag(rest * mask) @ Z
            before = length(S, n_rest, d, epsilon) if n_rest > 1e-12 else 0.0
            after = length(S + np.outer(z, z), n_rest + 1, d, epsilon)
            scores.append(np.log(n / w.sum()) - (after - before))
        else:
            share = n if kind == "residual" else w.sum()
            scale = d / (share * epsilon**2)
            scores.append(-temperature * scale * np.linalg.norm(M @ z))
    scores = np.array(scores) + label_code
    shares = np.exp(scores - max(scores))
    shares = shares / shares.sum()
    ridge = z - inverse(np.ones(len(Z), dtype=bool)) @ z
    return sum(pi * p for pi, p in zip(shares, projected, strict=True)) - ridge
