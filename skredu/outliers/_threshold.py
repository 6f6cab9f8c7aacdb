r"""The number of bits beyond which a sample is an outlier.

In ascending order, the numbers of bits of the samples are coded one after the other,
each with all lower ones. The first that takes more bits with these than on its own is
that of an outlier, and so are all higher ones. So outliers do not hide each other, as
they do where their bits determine mean and variance.

A number at the distance :math:`\delta` from the mean of ``k`` lower ones, which have
the scatter ``S`` about it, saves bits on its own if

.. math::

    \ell\Bigl(k + 1, S + \frac{k}{k+1}\delta^2\Bigr) - \ell(k, S) >
    \frac12 \log\Bigl(1 + \frac{\max(\delta^2, S/k)}{\epsilon^2}\Bigr)
    + (k + 1) \log(k + 1) - k \log k, \quad
    \ell(k, S) = \frac{k + 1}{2} \log\Bigl(1 + \frac{S}{k \epsilon^2}\Bigr).

The right-hand side is the length of a single number about the mean, which is at least
that of a usual one, and of the labels that distinguish it from the others.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.float64]

# Distortion with which numbers of bits are coded, in bits.
PRECISION = 0.05
# Share of the weight that is taken for normal, as the first numbers of bits.
NORMAL = 0.5


def bits_of_outliers(
    bits: Floats, weights: Floats, contamination: float | str
) -> float:
    """Return the number of bits beyond which a sample is an outlier.

    Parameters
    ----------
    bits : array of shape (n,)
        Bits of left-out samples.
    weights : array of shape (n,)
        Their weights.
    contamination : float or "auto"
        Share of the weight of outliers; "auto" to find it.
    """
    order = np.argsort(bits, kind="stable")
    bits, weights = bits[order], weights[order]
    if isinstance(contamination, str):
        return _first_alone(bits, weights)
    return _quantile(bits, weights, contamination)


def _quantile(bits: Floats, weights: Floats, share: float) -> float:
    """Return a number between the bits of a share of outliers and those below."""
    above = np.cumsum(weights[::-1])
    n_out = int(np.searchsorted(above, share * above[-1] * (1.0 + 1e-9), side="right"))
    if n_out == 0:
        return float(bits[-1])
    first = len(bits) - n_out  # at least 1, since at most half are outliers
    return 0.5 * float(bits[first - 1]) + 0.5 * float(bits[first])


def _first_alone(numbers: Floats, weights: Floats) -> float:
    """Return the least number that takes fewer bits on its own than with lower ones."""
    away = numbers - numbers[0]
    counts, sums = np.cumsum(weights), np.cumsum(weights * away)
    means = sums / counts
    # by the changes of the mean, since differences of squares would be imprecise
    before = np.append(0.0, counts[:-1])
    steps = away - np.append(0.0, means[:-1])
    scatters = np.cumsum(before * weights / counts * steps**2)
    later, enough = slice(1, None), before[1:] >= NORMAL * counts[-1]
    costs = _cost(steps[later], counts[:-1], scatters[:-1])
    found = np.flatnonzero(enough & (costs > 0.0))
    last = int(found[0]) if len(found) else len(numbers) - 1
    count, scatter = float(counts[last]), float(scatters[last])
    core = count, scatter
    reach = PRECISION + math.sqrt(scatter / count)
    while _cost(reach, *core) <= 0.0:
        reach *= 2.0
    reach = brentq(_cost, 0.0, reach, args=core)
    return float(numbers[0] + means[last] + reach)


def _cost(distance: Any, count: Any, scatter: Any) -> Any:
    """Return the nats that a number costs with others, minus those on its own."""
    square = PRECISION**2
    more, grown = count + 1.0, scatter + count / (count + 1.0) * distance**2
    nats = (more + 1.0) / 2.0 * np.log1p(grown / (more * square))
    nats = nats - more / 2.0 * np.log1p(scatter / (count * square))
    nats = nats - 0.5 * np.log1p(np.maximum(distance**2, scatter / count) / square)
    return nats - np.log(more) - count * np.log1p(1.0 / count)
