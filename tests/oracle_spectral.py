"""Slow and simple versions of a ReduNet for signals.

Every row is written out with all of its cyclic shifts, and the oracle for vectors sees
these as so many rows: there are no Fourier transforms. Beside it, the dynamics as they
were published: a full complex transform, one inverse a frequency.
"""

from functools import cache
from itertools import product

import numpy as np
from oracle_redunet import length, on_sphere, operators


def orbit(x, n_channels, shape):
    """Return all cyclic shifts of a row with channels first, (T, d)."""
    signal = np.reshape(x, (n_channels, *shape))
    axes = tuple(range(1, signal.ndim))
    steps = product(*(range(size) for size in shape))
    return np.array([np.roll(signal, step, axes).ravel() for step in steps])


def family(X, n_channels, shape):
    """Return the shifts of all rows, (n T, d)."""
    return np.concatenate([orbit(x, n_channels, shape) for x in X])


class Family:
    """Rows with all of their shifts, for which the oracle for vectors is used."""

    def __init__(self, Z, y, n_channels, shape, epsilon, weights=None):
        self.T, self.epsilon = int(np.prod(shape)), epsilon
        self.orbits = [orbit(z, n_channels, shape) for z in Z]
        self.y = np.asarray(y)
        self.w = np.ones(len(Z)) if weights is None else np.asarray(weights, float)
        self.d = n_channels * self.T
        self.make = lambda z: orbit(z, n_channels, shape)
        self.Z = np.concatenate(self.orbits)
        self.labels = np.repeat(self.y, self.T)
        self.weights = np.repeat(self.w, self.T)

    @cache  # noqa: B019
    def operators(self):
        return operators(self.Z, self.labels, self.epsilon, self.weights)

    def scatter(self, mask, w):
        return self.Z.T @ (np.repeat(mask * w, self.T)[:, None] * self.Z)

    def rates(self):
        """Return the coding rates of all shifts per point of the grid."""
        n = self.w.sum()

        def rate(mask):
            m = (self.w * mask).sum()
            S = self.d / (m * self.T * self.epsilon**2) * self.scatter(mask, self.w)
            return 0.5 * np.linalg.slogdet(np.eye(self.d) + S)[1] / self.T

        masks = [self.y == label for label in np.unique(self.y)]
        R = rate(np.ones(len(self.y), dtype=bool))
        Rc = sum((self.w * mask).sum() / n * rate(mask) for mask in masks)
        return R, Rc, R - Rc

    def extra(self, z, mask, w):
        """Return the nats that all shifts of a row add to some rows, per shift."""
        S, n = self.scatter(mask, w), (w * mask).sum()
        before = length(S, n * self.T, self.d, self.epsilon) if n > 1e-12 else 0.0
        row = self.make(z)
        S = S + row.T @ row
        after = length(S, (n + 1) * self.T, self.d, self.epsilon)
        return (after - before) / self.T

    def memberships(self, z, kind, temperature):
        _, C, gamma = self.operators()
        scores = []
        for j, label in enumerate(np.unique(self.y)):
            if kind == "coding":
                nats = self.extra(z, self.y == label, self.w)
                scores.append(np.log(gamma[j]) - nats)
            else:
                factor = 1.0 if kind == "residual" else gamma[j]
                scores.append(-temperature * factor * np.linalg.norm(C[j] @ z))
        return softmax(np.array(scores))

    def change(self, rows, kind, temperature):
        """Return the direction in which rows move, up to the step size."""
        E, C, gamma = self.operators()
        alpha = self.d / (self.w.sum() * self.T * self.epsilon**2)
        moved = []
        for z in rows:
            if kind == "relu":
                projected = [
                    z - g * c @ z / alpha for g, c in zip(gamma, C, strict=True)
                ]
                pull = alpha * (z - sum(np.maximum(p, 0.0) for p in projected))
            else:
                pi = self.memberships(z, kind, temperature)
                pull = sum(gamma[j] * pi[j] * C[j] @ z for j in range(len(C)))
            moved.append(E @ z - pull)
        return np.array(moved)

    def layer(self, rows, eta, kind, temperature):
        return on_sphere(rows + eta * self.change(rows, kind, temperature))

    def left_out_change(self, i, Z, kind, temperature, label_code):
        """Return the change of a training row by operators without its shifts."""
        z, rest = Z[i], self.w.copy()
        rest[i] = 0.0

        def inverse(mask):
            n = (rest * mask).sum()
            if n <= 1e-12:
                return np.eye(self.d)
            S = self.scatter(mask, rest)
            c = self.d / (n * self.T * self.epsilon**2)
            return np.linalg.inv(np.eye(self.d) + c * S)

        scores, projected = [], []
        for label in np.unique(self.y):
            mask = self.y == label
            n, M = (self.w * mask).sum(), inverse(mask)
            projected.append(z - M @ z)
            if kind == "relu":
                scores.append(0.0)
            elif kind == "coding":
                nats = self.extra(z, mask, rest)
                scores.append(np.log(n / self.w.sum()) - nats)
            else:
                share = n if kind == "residual" else self.w.sum()
                scale = self.d / (share * self.T * self.epsilon**2)
                scores.append(-temperature * scale * np.linalg.norm(M @ z))
        pi = softmax(np.array(scores) + label_code)
        if kind == "relu":
            pi, projected = np.ones(len(projected)), np.maximum(projected, 0.0)
        ridge = z - inverse(np.ones(len(self.y), dtype=bool)) @ z
        return sum(p * v for p, v in zip(pi, projected, strict=True)) - ridge


def accelerated(family, rows, new, steps, kind, temperature, rule):
    """Yield training and new rows on the sphere and after each step with a velocity.

    ``family`` returns the oracle for training rows, and ``steps`` are pairs of step
    size and momentum. The velocity is what a row has moved in the last layer, for the
    rule of Nesterov without what the velocity before it has added.
    """
    n, Z = len(rows), np.vstack([rows, new])
    before = Z
    yield Z[:n], Z[n:]
    for eta, momentum in steps:
        moved = Z + eta * family(Z[:n]).change(Z, kind, temperature)
        if rule == "momentum":
            Z, before = on_sphere(moved + momentum * (Z - before)), Z
        else:
            reached = on_sphere(moved)
            Z, before = on_sphere(reached + momentum * (reached - before)), reached
        yield Z[:n], Z[n:]


def softmax(scores):
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()


def published_network(X, y, new, n_channels, shape, *, n_layers, eps, eta, temperature):
    """Return rows after published layers (Chan et al., JMLR 2022, algorithms 1, 2).

    Spectra are complex and whole, alpha is ``C / (m eps)``, and every frequency has an
    inverse of its own.
    """
    axes = tuple(range(2, 2 + len(shape)))

    def spectrum(rows):
        signals = np.reshape(rows, (len(rows), n_channels, *shape))
        V = np.fft.fftn(signals, axes=axes, norm="ortho")
        return V.reshape(len(rows), n_channels, -1)

    def inverse(V, p):
        M = np.eye(n_channels, dtype=complex)
        for v in V[:, :, p]:
            M += n_channels / (len(V) * eps) * np.outer(v, v.conj())
        return n_channels / (len(V) * eps) * np.linalg.inv(M)

    V, W = spectrum(X), spectrum(new)
    for _ in range(n_layers):
        frequencies = range(V.shape[2])
        E = [inverse(V, p) for p in frequencies]
        C = [[inverse(V[y == j], p) for p in frequencies] for j in np.unique(y)]
        gamma = [np.mean(y == j) for j in np.unique(y)]
        V, W = (
            np.array([_published_row(v, E, C, gamma, eta, temperature) for v in rows])
            for rows in (V, W)
        )
    back = []
    for spectra in (V, W):
        full = spectra.reshape(len(spectra), n_channels, *shape)
        back.append(np.fft.ifftn(full, axes=axes, norm="ortho").real)
    return [rows.reshape(len(rows), -1) for rows in back]


def _published_row(v, E, C, gamma, eta, temperature):
    frequencies = range(v.shape[1])
    expand = np.stack([E[p] @ v[:, p] for p in frequencies], axis=1)
    compress = [np.stack([Cj[p] @ v[:, p] for p in frequencies], axis=1) for Cj in C]
    norms = np.array([np.linalg.norm(c) for c in compress])
    pi = softmax(-temperature * norms)
    pull = sum(g * p * c for g, p, c in zip(gamma, pi, compress, strict=True))
    moved = v + eta * (expand - pull)
    return moved / np.linalg.norm(moved)
