r"""Responses of time series to dilated kernels, and how often they are large.

Series have the shape (points, n), so that a shift in time is a slice of contiguous
memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from skredu._compat import at_least, namespace

LENGTH = 9
# The three points with weight 2 of each kernel; the other six have weight -1.
POINTS = tuple(combinations(range(LENGTH), 3))


def weights() -> Any:
    """Return the weights of all kernels, (84, 9)."""
    kernels = np.full((len(POINTS), LENGTH), -1.0)
    np.put_along_axis(kernels, np.array(POINTS), 2.0, axis=1)
    return kernels


def rounded_sum(series: Any, channels: Any) -> Any:
    """Return the sum of some channels, rounded such that all responses are exact.

    Responses are sums of integer multiples of a unit. Their absolute value is at most
    18 times the largest value of the series, so five bits of the mantissa are left for
    them.
    """
    xp = namespace(series)
    added = xp.asarray(np.flatnonzero(channels), device=series.device)
    x = xp.sum(xp.take(series, added, axis=0), axis=0)
    sizes = xp.max(xp.abs(x), axis=0)
    # Values next to this number are the multiples of the unit.
    if xp is np:
        large = np.ldexp(x.dtype.type(1.5), np.frexp(sizes)[1] + 4)
    else:
        sizes = at_least(sizes, float(xp.finfo(x.dtype).smallest_normal))
        powers = xp.floor(xp.log2(sizes)) + 5.0
        large = 1.5 * xp.pow(xp.full_like(sizes, 2.0), powers)
    x += large
    x -= large
    if x.shape[0] < LENGTH:  # the six weights of -1 may contain the whole series
        x[0, :] -= xp.sum(x, axis=0)
    return x


def responses_to_kernels(x: Any, dilation: int) -> Iterator[Any]:
    """Yield the responses of series (points, n) to each kernel.

    A response is 3 times the sum of three shifted series, minus the sum of all nine.
    Partial sums are shared by the kernels that begin with the same two points. In
    NumPy, the responses are always written to the same array.
    """
    xp, (n_points, n) = namespace(x), x.shape
    length = n_points + (LENGTH - 1) * dilation
    padded = xp.zeros((length, n), dtype=x.dtype, device=x.device)
    margin = LENGTH // 2 * dilation
    padded[margin : margin + n_points, :] = x
    starts = range(0, LENGTH * dilation, dilation)
    total = sum(padded[start : start + n_points, :] for start in starts)
    padded = 3.0 * padded
    shifted = [padded[start : start + n_points, :] for start in starts]
    if xp is not np:
        for i, j, k in POINTS:
            yield shifted[i] - total + shifted[j] + shifted[k]
        return
    one, two, three = np.empty((3, n_points, n), dtype=x.dtype)
    for i in range(LENGTH - 2):
        np.subtract(shifted[i], total, out=one)
        for j in range(i + 1, LENGTH - 1):
            np.add(one, shifted[j], out=two)
            for k in range(j + 1, LENGTH):
                yield np.add(two, shifted[k], out=three)


def count_above(y: Any, biases: Any, flags: Any) -> Any:
    """Return how often responses (points, n) exceed each bias, (biases, n).

    ``flags`` is memory of NumPy for a bool per bias and response, which is overwritten.
    """
    xp = namespace(y)
    if xp is not np:
        above = y[None, :, :] > biases[:, None, None]
        return xp.sum(xp.astype(above, y.dtype), axis=1)
    above = np.greater(y, biases[:, None, None], out=flags[: len(biases)])
    counts = above.view(np.uint8)
    # Adding halves as bytes is several times faster than a sum over the times. A byte
    # becomes at most 3 times as large each time, and 3 ** 5 < 2 ** 8.
    for _ in range(5):
        half, odd = divmod(counts.shape[1], 2)
        if half == 0:
            break
        if odd:
            counts[:, 0] += counts[:, -1]
        halves = counts[:, :half], counts[:, half : 2 * half]
        counts = np.add(*halves, out=halves[0])
    return np.sum(counts, axis=1, dtype=np.uint32)
