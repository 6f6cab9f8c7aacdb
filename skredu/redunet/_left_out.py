"""What rules share that move training rows as if they had been left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skredu._compat import to_numpy
from skredu.classification._selection import select
from skredu.coding._linalg import widen


def label_code(scores: Any, slices: list[slice], weights: Any) -> list[float]:
    """Fit a label code to the scores of rows left out, (n, k), as MICL does."""
    scores = to_numpy(scores)
    y = np.repeat(np.arange(len(slices)), [p.stop - p.start for p in slices])
    weights = np.ones(len(y)) if weights is None else to_numpy(widen(weights))
    _, _, code, _ = select(scores[:, :, None], y, weights, fit_labels=True)
    return code.tolist()


def parts_of(slices: list[slice], block: slice) -> Iterator[tuple[int, slice, slice]]:
    """Classes with rows in a block: where these are among all, and in the block."""
    for j, part in enumerate(slices):
        start, stop = max(part.start, block.start), min(part.stop, block.stop)
        if start < stop:
            here = slice(start - block.start, stop - block.start)
            yield j, slice(start, stop), here
