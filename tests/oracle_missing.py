"""Slow and simple versions of coding with gaps, sample by sample."""

import numpy as np
import oracle_micl


def extra_bits(X, weights, row, epsilon, **options):
    """Return the bits that a row with gaps adds to rows without, on what it has."""
    seen = ~np.isnan(row)
    if not seen.any():
        return 0.0
    finer = epsilon * np.sqrt(seen.mean())
    return oracle_micl.extra_bits(X[:, seen], weights, row[seen], finer, **options)


def step(X, weights, mean, K, noise, prior, strength, assume_centered=False):
    """Return mean, covariance, scatter and log-likelihood of one step, by solving."""
    n, d = weights.sum(), X.shape[1]
    filled, C, seen = np.empty_like(X), np.zeros((d, d)), ~np.isnan(X)
    value = strength * np.linalg.slogdet(K)[1]
    for x, w, o, out in zip(X, weights, seen, filled, strict=True):
        m, z = ~o, (x - mean)[o]
        to_missing = K[np.ix_(m, o)] @ np.linalg.inv(K[np.ix_(o, o)])
        out[o], out[m] = x[o], mean[m] + to_missing @ z
        C[np.ix_(m, m)] += w * (K[np.ix_(m, m)] - to_missing @ K[np.ix_(o, m)])
        value += w * np.linalg.slogdet(K[np.ix_(o, o)])[1]
        value += w * z @ np.linalg.solve(K[np.ix_(o, o)], z)
    penalty = noise * np.diag(weights @ seen) + strength * prior
    value += np.trace(penalty @ np.linalg.inv(K))
    mean = np.zeros(d) if assume_centered else weights @ filled / n
    C += (weights[:, None] * (filled - mean)).T @ (filled - mean)
    S = C - noise * np.diag(n - weights @ seen)
    return mean, (C + penalty) / (n + strength), S, -value / 2
