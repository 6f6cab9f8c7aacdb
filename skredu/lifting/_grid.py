"""Rows as signals of several channels on a cyclic grid."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np

from skredu._checks import is_integer
from skredu.coding._linalg import BLOCK

# Numbers that a row, or a bank of filters, may have at most.
MOST = 10**8


def shape_of(value: Any, name: str) -> tuple[int, ...]:
    """One positive integer or several as a tuple."""
    sizes = [value] if isinstance(value, Integral) else list(value)
    if not sizes or not all(is_integer(size) and int(size) > 0 for size in sizes):
        raise ValueError(
            f"Bad {name}: must be one positive integer or several, found {value!r}."
        )
    return tuple(int(size) for size in sizes)


def channels_of(grid: tuple[int, ...], n_features: int, name: str) -> int:
    """How many channels rows have on a grid."""
    n_channels, rest = divmod(n_features, math.prod(grid))
    if rest or not n_channels:
        raise ValueError(
            f"Bad {name}: a grid of shape {grid} has {math.prod(grid)} points, and the "
            f"{n_features} features of X are no multiple of that."
        )
    return n_channels


def refuse_too_many(found: int, name: str, what: str) -> None:
    """Refuse a number for which there would be no memory."""
    if found > MOST:
        raise ValueError(
            f"Bad {name}: it asks for {found} {what}, more than the {MOST} allowed."
        )


def rows_at_a_time(width: int) -> int:
    """Rows of a block, if each takes so many numbers."""
    return max(1, BLOCK // (8 * width))


def as_signals(X: Any, n_channels: int, grid: tuple[int, ...]) -> Any:
    """Rows (n, channels * points) as signals (n, channels, *grid)."""
    return np.reshape(X, (X.shape[0], n_channels, *grid))
