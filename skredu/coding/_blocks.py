r"""How coding lengths count the blocks in which scatters are block-diagonal.

Features are arrays of shape (F, C, n): ``F`` blocks, ``C`` coordinates in each, and one
column per sample. A vector has one block and is represented by the view ``X.T[None]``.
The spectrum of a signal on a cyclic grid has one block per frequency, because the
scatter of all shifts of a set of signals is block-diagonal there. For real signals,
half of the frequencies suffice, and most of these represent two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skredu._compat import namespace
from skredu.coding._linalg import widen


@dataclass(frozen=True, eq=False, repr=False)
class Blocks:
    """Blocks of a representation.

    Parameters
    ----------
    dim : float
        Dimension ``d`` of vectors, or number of channels of signals.
    counts : array of shape (F,)
        Number of equal blocks that each block represents, in double precision.
    n_points : int, default=1
        Number of points of the grid; 1 for vectors.
    """

    dim: float
    counts: Any
    n_points: int = 1

    def scale(self, n: Any, epsilon: Any) -> Any:
        """Return the factor ``c`` of scatters of weight ``n``, of shape (F, ...).

        The remaining axes are those of ``n`` and ``epsilon``, broadcast.
        """
        c = self.dim / n / (epsilon * epsilon)
        per_block = self.n_points / self.counts
        if not hasattr(c, "ndim"):
            return per_block * c
        return per_block[(..., *(None,) * c.ndim)] * c

    def total(self, values: Any) -> Any:
        """Sum values of shape (F, ...) over all blocks, in double precision."""
        values = widen(values)
        if values.shape[0] == 1:
            return values[0, ...] * self.counts[0]
        return namespace(values).tensordot(self.counts, values, axes=1)


def vector_blocks(dim: float, like: Any) -> Blocks:
    """Return the block of vectors of dimension ``dim``, on the device of an array."""
    xp = namespace(like)
    return Blocks(float(dim), xp.ones(1, dtype=xp.float64, device=like.device))
