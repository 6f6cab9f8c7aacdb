"""Cyclic shifts of rows of signals on a grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np


def shifted(X: Any, grid: tuple[int, ...], shift: tuple[int, ...]) -> Any:
    """Rows shifted along the axes of the grid."""
    signals = X.reshape(len(X), -1, *grid)
    return np.roll(signals, shift, range(2, signals.ndim)).reshape(X.shape)


def shifts_of(grid: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every shift, none first."""
    return itertools.product(*map(range, grid))


def moved_once(X: Any, grid: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Every row by a random shift of its own."""
    moves = rng.integers(0, grid, (len(X), len(grid)))
    pairs = zip(X, moves.tolist(), strict=True)
    return np.concatenate([shifted(x[None], grid, tuple(move)) for x, move in pairs])


def with_copies(X: Any, y: Any, grid: tuple[int, ...], copies: int) -> tuple[Any, Any]:
    """Rows and randomly shifted copies of each."""
    rng = np.random.default_rng(0)
    parts = [X, *(moved_once(X, grid, rng) for _ in range(copies))]
    return np.concatenate(parts), np.tile(y, copies + 1)
