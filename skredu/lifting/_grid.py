"""Shapes of signals with several channels on a cyclic grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy import fft

from skredu._checks import is_integer
from skredu._compat import namespace
from skredu.coding._linalg import blocks_of_rows

Shape = tuple[int, ...]

# Largest number of entries of a row or of a bank of filters.
MAX_VALUES = 10**8


def shape_of(value: Any, name: str) -> Shape:
    """Return one or several positive integers as a tuple."""
    sizes = list(value) if isinstance(value, Iterable) else [value]
    if not sizes or not all(is_integer(size) and int(size) > 0 for size in sizes):
        raise ValueError(
            f"Bad {name}: must be one or several positive integers, found {value!r}."
        )
    return tuple(int(size) for size in sizes)


def channels_of(grid: Shape, n_features: int, name: str) -> int:
    """Return the number of channels of rows on a grid."""
    n_channels, rest = divmod(n_features, math.prod(grid))
    if rest or not n_channels:
        raise ValueError(
            f"Bad {name}: a grid of shape {grid} has {math.prod(grid)} points, but the "
            f"{n_features} features of X are not a multiple of that."
        )
    return n_channels


def check_size(found: int, name: str, what: str) -> None:
    """Raise an error for a size that needs too much memory."""
    if found > MAX_VALUES:
        raise ValueError(
            f"Bad {name}: must lead to at most {MAX_VALUES} {what}, found {found}."
        )


def small_blocks(n: int, width: int) -> list[slice]:
    """Return slices of rows whose temporaries, ``width`` values per row, take 4 MiB."""
    return blocks_of_rows(n, 8 * width)


def in_blocks(
    work: Callable[[Any], Any], blocks: list[slice], X: Any, n_features: int
) -> Any:
    """Return the results (n, n_features) of a function of blocks of rows."""
    xp = namespace(X)
    Z = xp.empty((X.shape[0], n_features), dtype=X.dtype, device=X.device)
    for block in blocks:
        Z[block, :] = xp.reshape(work(X[block, :]), (-1, n_features))
    return Z


def as_signals(X: Any, n_channels: int, grid: Shape) -> Any:
    """Reshape rows (n, channels * points) to signals (n, channels, *grid)."""
    return namespace(X).reshape(X, (X.shape[0], n_channels, *grid))


def fourier(X: Any) -> Any:
    """Return the module of Fourier transforms for an array.

    For NumPy arrays, that of SciPy respects `scipy.fft.set_workers`.
    """
    xp = namespace(X)
    return fft if xp is np else xp.fft
