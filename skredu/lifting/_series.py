r"""Responses of time series to dilated kernels, and how often they are large.

Series have the shape (points, n), so that a shift in time is a slice of contiguous
memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

LENGTH = 9
# The three points with weight 2 of each kernel; the other six have weight -1.
POINTS = tuple(combinations(range(LENGTH), 3))
# Kernels and biases for which responses are computed and compared at once: enough that
# calls of NumPy take little of the time, and few enough for the cache.
AT_ONCE, BIASES_AT_ONCE = 3, 8


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
    x = np.sum(series[channels], axis=0)
    exponents = np.frexp(np.max(np.abs(x), axis=0))[1]
    # Values next to this number are the multiples of the unit.
    large = np.ldexp(x.dtype.type(1.5), exponents + 4)
    x += large
    x -= large
    if len(x) < LENGTH:  # the six weights of -1 may contain the whole series
        x[0] -= np.sum(x, axis=0)
    return x


def responses_to_kernels(x: Any, dilation: int) -> Iterator[tuple[range, Any]]:
    """Yield some kernels and the responses of series (points, n) to them.

    A response is 3 times the sum of three shifted series, minus the sum of all nine.
    Partial sums are shared by the kernels that begin with the same two points. The
    responses (kernels, points, n) are always written to the same array.
    """
    n_points, n = x.shape
    padded = np.zeros((n_points + (LENGTH - 1) * dilation, n), dtype=x.dtype)
    margin = LENGTH // 2 * dilation
    padded[margin : margin + n_points] = x
    shifted = np.moveaxis(sliding_window_view(padded, n_points, axis=0), 2, 1)
    shifted = shifted[::dilation]
    total = np.sum(shifted, axis=0)
    padded *= 3
    one, two = np.empty((2, n_points, n), dtype=x.dtype)
    three = np.empty((AT_ONCE, n_points, n), dtype=x.dtype)
    kernel = 0
    for i in range(LENGTH - 2):
        np.subtract(shifted[i], total, out=one)
        for j in range(i + 1, LENGTH - 1):
            np.add(one, shifted[j], out=two)
            for k in range(j + 1, LENGTH, AT_ONCE):
                last = shifted[k : k + AT_ONCE]
                kernels = range(kernel, kernel + len(last))
                yield kernels, np.add(two, last, out=three[: len(last)])
                kernel = kernels.stop


def count_above(y: Any, biases: Any, flags: Any, out: Any) -> None:
    """Count the times at which the responses to some kernels exceed each bias.

    Parameters
    ----------
    y : array of shape (kernels, points, n)
        The responses.
    biases : array of shape (kernels, biases)
        The biases of these kernels.
    flags : array of bool
        Memory for some biases at a time, which is overwritten.
    out : array of shape (kernels, biases, n)
        Where the counts are written.
    """
    for start in range(0, biases.shape[1], BIASES_AT_ONCE):
        part = slice(start, start + BIASES_AT_ONCE)
        levels = biases[:, part, None, None]
        shape = (*levels.shape[:2], *y.shape[1:])
        above = np.reshape(flags[: math.prod(shape)], shape)
        counts = np.greater(y[:, None], levels, out=above).view(np.uint8)
        # Adding halves as bytes is several times faster than a sum over the times. A
        # byte becomes at most 3 times as large each time, and 3 ** 5 < 2 ** 8.
        for _ in range(5):
            half, odd = divmod(counts.shape[2], 2)
            if half == 0:
                break
            if odd:
                counts[:, :, 0] += counts[:, :, -1]
            halves = counts[:, :, :half], counts[:, :, half : 2 * half]
            counts = np.add(*halves, out=halves[0])
        out[:, part] = np.sum(counts, axis=2, dtype=np.uint32)
