"""Slow and simple versions of mixes of candidates, written as sums over samples."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import yeojohnson


def mix_loss(w, b, L, y, weights):
    """Return the loss of a mix, one sample after the other."""
    shares, m = weights / weights.sum(), len(w)
    loss = 1e-3 * sum((weight - 1 / m) ** 2 for weight in w)
    loss += 0.05 * (shares**2).sum() * (b**2).sum()
    random = 0.1 * (shares**2).sum()  # a tenth of a sample
    for i in range(len(y)):
        scores = b + sum(w[c] * np.maximum(L[c, i], -30.0) for c in range(m))
        target = (1 - random) * scores[y[i]] + random * scores.mean()
        loss += shares[i] * (logsumexp(scores) - target)
    return loss


def best_mix(L, y, weights):
    """Return the least loss that a method without a given gradient finds."""
    m, n, k = L.shape
    shares, floored = weights / weights.sum(), np.maximum(L, -30.0)

    def loss(theta):
        w, b = theta[:m], theta[m:]
        scores = np.einsum("c,cik->ik", w, floored) + b
        random = 0.1 * (shares**2).sum()
        target = (1 - random) * scores[np.arange(n), y] + random * scores.mean(axis=1)
        nats = logsumexp(scores, axis=1) - target
        penalty = 1e-3 * ((w - 1 / m) ** 2).sum() + 0.05 * (shares**2).sum() * b @ b
        return shares @ nats + penalty

    start, bounds = np.full(m + k, 0.5), [(0, None)] * m + [(None, None)] * k
    options = {"ftol": 1e-14, "maxiter": 1000}
    return minimize(loss, start, bounds=bounds, method="SLSQP", options=options).fun


def normal_column(x, weights, exponent):
    """Return one transformed feature: standardised, transformed, standardised."""

    def standardised(values):
        centred = values - np.average(values, weights=weights)
        return centred / np.sqrt(np.average(centred**2, weights=weights))

    return standardised(yeojohnson(standardised(x), exponent))
