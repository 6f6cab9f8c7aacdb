"""Blocks of samples of Dask collections, and reductions in a tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import numpy as np

# Number of results that are merged at a time.
BRANCHES = 8


def blocks_of(X: Any, name: str) -> list[Any]:
    """Return the blocks of samples of a collection, in which all features are."""
    if not dask.is_dask_collection(X) or not hasattr(X, "to_delayed"):
        raise TypeError(
            f"{name} must be a dask array or data frame, found {type(X).__name__}."
        )
    if isinstance(X, da.Array):
        if X.ndim == 2:
            X = X.rechunk({1: -1})
        return list(X.to_delayed().ravel())
    return list(X.to_delayed())


def check_two_axes(X: Any) -> None:
    """Raise an error unless a collection has samples and features."""
    if getattr(X, "ndim", 2) != 2:
        raise ValueError(
            f"X must have samples and features, two axes, found an array of {X.ndim}: "
            "use X.reshape(-1, 1) for one feature, or X.reshape(1, -1) for one sample."
        )


def training_blocks(X: Any, y: Any, sample_weight: Any) -> list[dict[str, Any]]:
    """Return the blocks of samples, and those of labels and weights if given."""
    rows = blocks_of(X, "X")
    check_two_axes(X)
    columns = {"y": y, "sample_weight": sample_weight}
    given = {
        name: _blocks_like(X, column, name, len(rows))
        for name, column in columns.items()
        if column is not None
    }
    return [
        {"X": part, **{name: own[i] for name, own in given.items()}}
        for i, part in enumerate(rows)
    ]


def _blocks_like(X: Any, column: Any, name: str, n_blocks: int) -> list[Any]:
    """Return the blocks of labels or weights, which are those of the samples."""
    if isinstance(X, da.Array) and isinstance(column, da.Array):
        known = not np.isnan(X.shape[0] + column.shape[0])
        if known and X.shape[0] != column.shape[0]:
            raise ValueError(
                f"X has {X.shape[0]} samples, but {name} has {column.shape[0]}."
            )
        if known:
            column = column.rechunk((X.chunks[0], *column.chunks[1:]))
    blocks = blocks_of(column, name)
    if len(blocks) != n_blocks:
        raise ValueError(
            f"{name} must have the same blocks of samples as X, which has {n_blocks}, "
            f"found {len(blocks)}: use repartition."
        )
    return blocks


def with_weight(X: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return samples, labels and weights without samples of weight zero.

    None means that no sample is left.
    """
    if sample_weight is None:
        return (X, y, None) if len(X) else None
    if len(sample_weight) != len(X):  # which the estimator reports
        return X, y, sample_weight
    kept = np.asarray(sample_weight) != 0.0
    if not np.any(kept):
        return None
    return X[kept], None if y is None else y[kept], sample_weight[kept]


def reduced(results: list[Any], merge: Callable[[list[Any]], Any]) -> Any:
    """Merge lazy results in a tree, and return the value, or None if all are None."""

    def merged(some: list[Any]) -> Any:
        some = [one for one in some if one is not None]
        return merge(some) if some else None

    while True:
        groups = range(0, len(results), BRANCHES)
        results = [dask.delayed(merged)(results[i : i + BRANCHES]) for i in groups]
        if len(results) == 1:
            (value,) = dask.compute(results[0])
            return value
