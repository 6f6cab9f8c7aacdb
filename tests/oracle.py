"""Slow and simple versions of the formulas, written independently of the package.

Numbers are exact fractions or mpmath floats, matrices are lists of lists, sums are
loops over rows, determinants come from elimination on the d x d side: nothing here
shares an idea with the package.
"""

from fractions import Fraction

import mpmath
import numpy as np

DIGITS = 60

# -- rates and coding lengths ---------------------------------------------------------


def _exact(values):
    return [[mpmath.mpf(float(v)) for v in row] for row in np.asarray(values)]


def one_hot(y):
    """Return memberships of labels, with one column per label in their order."""
    y = list(y)
    names = sorted(set(y))
    return np.array([[1.0 if label == name else 0.0 for name in names] for label in y])


def _memberships(y):
    if np.ndim(y) == 2:
        return _exact(y)
    return _exact(one_hot(y))


def _weights(weights, n):
    return [mpmath.mpf(1 if weights is None else float(weights[i])) for i in range(n)]


def _log_det_of_one_plus(S, scale):
    """Return ln det(I + scale S) by elimination with the largest pivot first."""
    d = len(S)
    A = [[scale * S[i][j] + (1 if i == j else 0) for j in range(d)] for i in range(d)]
    total = mpmath.mpf(0)
    for step in range(d):
        pivot = max(range(step, d), key=lambda i: A[i][i])
        A[step], A[pivot] = A[pivot], A[step]
        for row in A:
            row[step], row[pivot] = row[pivot], row[step]
        total += mpmath.log(A[step][step])
        for i in range(step + 1, d):
            factor = A[i][step] / A[step][step]
            for j in range(step, d):
                A[i][j] -= factor * A[step][j]
    return total


def _scatter(X, weights, mean):
    d = len(mean)
    S = [[mpmath.mpf(0)] * d for _ in range(d)]
    for x, w in zip(X, weights, strict=True):
        away = [x[a] - mean[a] for a in range(d)]
        for a in range(d):
            for b in range(d):
                S[a][b] += w * away[a] * away[b]
    return S


def _mean(X, weights):
    total = sum(weights)
    return [
        sum(w * x[a] for x, w in zip(X, weights, strict=True)) / total
        for a in range(len(X[0]))
    ]


def log_volume(W, scale, *, digits=DIGITS):
    """Return ln det(I + scale W^T W) of rows; ``scale`` may be an mpmath number."""
    with mpmath.workdps(digits):
        W = _exact(W)
        S = _scatter(W, _weights(None, len(W)), [0] * len(W[0]))
        return _log_det_of_one_plus(S, mpmath.mpf(scale))


def _length(X, weights, epsilon, assume_centered):
    n, d = sum(weights), len(X[0])
    if n == 0:
        return mpmath.mpf(0)
    mean = [mpmath.mpf(0)] * d if assume_centered else _mean(X, weights)
    S = _scatter(X, weights, mean)
    nats = (n + d) / 2 * _log_det_of_one_plus(S, d / (n * epsilon**2))
    nats += mpmath.mpf(d) / 2 * mpmath.log(1 + sum(m * m for m in mean) / epsilon**2)
    return nats / mpmath.log(2)


def coding_length(X, *, epsilon, assume_centered=False, weights=None, digits=DIGITS):
    """Return the bits of rows."""
    with mpmath.workdps(digits):
        weights = _weights(weights, len(X))
        return _length(_exact(X), weights, mpmath.mpf(epsilon), assume_centered)


def partition_coding_length(
    X, y, *, epsilon, assume_centered=False, weights=None, digits=DIGITS
):
    """Return the bits of rows that are coded by group, and of their labels."""
    with mpmath.workdps(digits):
        X, Pi, weights = _exact(X), _memberships(y), _weights(weights, len(X))
        total = mpmath.mpf(0)
        for j in range(len(Pi[0])):
            shares = [w * pi[j] for w, pi in zip(weights, Pi, strict=True)]
            if sum(shares) > 0:
                total += _length(X, shares, mpmath.mpf(epsilon), assume_centered)
                total -= sum(shares) * mpmath.log(sum(shares) / sum(weights), 2)
        return total


def _rate(Z, weights, epsilon):
    n, d = sum(weights), len(Z[0])
    if n == 0:
        return mpmath.mpf(0)
    S = _scatter(Z, weights, [0] * d)
    return _log_det_of_one_plus(S, d / (n * epsilon**2)) / 2


def _class_rate(Z, Pi, weights, epsilon):
    total = mpmath.mpf(0)
    for j in range(len(Pi[0])):
        shares = [w * pi[j] for w, pi in zip(weights, Pi, strict=True)]
        total += sum(shares) / sum(weights) * _rate(Z, shares, epsilon)
    return total


def coding_rate(Z, *, epsilon, weights=None, digits=DIGITS):
    """Return the rate of rows about the origin in nats."""
    with mpmath.workdps(digits):
        return _rate(_exact(Z), _weights(weights, len(Z)), mpmath.mpf(epsilon))


def class_coding_rate(Z, y, *, epsilon, weights=None, digits=DIGITS):
    """Return the rate of rows about the origin by class in nats."""
    with mpmath.workdps(digits):
        weights = _weights(weights, len(Z))
        return _class_rate(_exact(Z), _memberships(y), weights, mpmath.mpf(epsilon))


def rate_reduction(Z, y, *, epsilon, weights=None, digits=DIGITS):
    """Return the nats that are saved if the classes are known."""
    with mpmath.workdps(digits):
        whole = coding_rate(Z, epsilon=epsilon, weights=weights, digits=digits)
        return whole - class_coding_rate(
            Z, y, epsilon=epsilon, weights=weights, digits=digits
        )


def rate_reduction_gradient(Z, y, *, epsilon, weights=None, digits=DIGITS):
    """Return the gradient by the rows, by central differences."""
    with mpmath.workdps(digits):
        Z, Pi = _exact(Z), _memberships(y)
        weights, epsilon = _weights(weights, len(Z)), mpmath.mpf(epsilon)
        largest = max(abs(z) for row in Z for z in row)
        step = (largest + epsilon) * mpmath.mpf(10) ** (-digits // 3)
        gradient = np.zeros((len(Z), len(Z[0])))
        for i, row in enumerate(Z):
            for a, value in enumerate(row):
                ends = []
                for end in (value + step, value - step):
                    row[a] = end
                    ends.append(
                        _rate(Z, weights, epsilon)
                        - _class_rate(Z, Pi, weights, epsilon)
                    )
                row[a] = value
                gradient[i, a] = float((ends[0] - ends[1]) / (2 * step))
        return gradient


# -- count, mean and scatter ----------------------------------------------------------


def scatter(X, weights=None, *, assume_centered=False):
    """Return count, mean and scatter of rows as exact fractions."""
    X = [[Fraction(float(x)) for x in row] for row in np.asarray(X)]
    weights = [
        Fraction(1 if weights is None else float(weights[i])) for i in range(len(X))
    ]
    n, d = sum(weights), len(X[0])
    mean = [Fraction(0)] * d
    if not assume_centered:
        mean = [
            sum(w * x[a] for x, w in zip(X, weights, strict=True)) / n for a in range(d)
        ]
    S = [
        [
            sum(
                w * (x[a] - mean[a]) * (x[b] - mean[b])
                for x, w in zip(X, weights, strict=True)
            )
            for b in range(d)
        ]
        for a in range(d)
    ]
    return n, mean, S


def distance(array, exact):
    """Return the largest difference of floats and fractions without rounding."""
    array = np.asarray(array, dtype=np.float64).ravel().tolist()
    exact = np.array(exact, dtype=object).ravel().tolist()
    return float(max(abs(Fraction(a) - b) for a, b in zip(array, exact, strict=True)))
