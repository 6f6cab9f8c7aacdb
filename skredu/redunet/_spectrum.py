r"""Signals on a cyclic grid and their spectra, where a class of all shifts is simple.

Rows are signals with channels first: all grid points of the first channel, then of the
second, and so on. The set of all shifts of some rows has a block circulant scatter: in
the orthonormal discrete Fourier transform it is one ``C x C`` Hermitian matrix a
frequency. Rows are real, so half of the frequencies tell everything: those of the
interior, along the last axis of the grid, stand for two.

Spectra have frequencies first and rows last, shape (F, C, n), and are multiplied by the
square roots of the counts of their frequencies: the sum of the squares is that of the
row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import fft
from sklearn.utils import gen_batches

from skredu._compat import namespace
from skredu.coding._linalg import BLOCK, batches
from skredu.redunet._sphere import on_sphere

# Complex numbers of a temporary that stays in the cache.
CACHED = 2**16


@dataclass(eq=False, repr=False)
class Grid:
    """A cyclic grid of any dimension with channels.

    Parameters
    ----------
    shape : tuple of int
        Points along each axis.
    n_channels : int
        Channels ``C``.
    """

    shape: tuple[int, ...]
    n_channels: int

    @property
    def n_points(self) -> int:
        """Points ``T`` of the grid."""
        return math.prod(self.shape)

    @property
    def half(self) -> tuple[int, ...]:
        """Frequencies kept along each axis."""
        return (*self.shape[:-1], self.shape[-1] // 2 + 1)

    @property
    def n_frequencies(self) -> int:
        """Frequencies ``F`` kept."""
        return math.prod(self.half)

    @cached_property
    def counts(self) -> Any:
        """For how many frequencies of the whole spectrum each stands, ndarray (F,)."""
        last = np.full(self.half[-1], 2.0)
        last[0] = 1.0
        if self.shape[-1] % 2 == 0:
            last[-1] = 1.0
        return np.broadcast_to(last, self.half).reshape(-1)

    def frequencies(self, like: Any) -> Frequencies:
        """Return the frequencies where an array lives."""
        xp = namespace(like)
        counts = xp.asarray(self.counts.tolist(), dtype=xp.float64, device=like.device)
        return Frequencies(self.n_channels, self.n_points, counts)

    def enter(self, X: Any) -> Any:
        """Spectra, of shape (F, C, n), of rows (n, C * T) put on the sphere."""
        xp = namespace(X)
        signals = xp.reshape(on_sphere(X), (X.shape[0], self.n_channels, *self.shape))
        rfftn = fft.rfftn if xp is np else xp.fft.rfftn
        spectra = rfftn(signals, axes=self._axes, norm="ortho")
        spectra = xp.reshape(spectra, (X.shape[0], self.n_channels, -1))
        spectra = _contiguous(xp.permute_dims(spectra, (2, 1, 0)))
        return spectra * self._roots(X)

    def enter_by_blocks(self, n: int, rows_at: Callable[[slice], Any]) -> Any:
        """Spectra of ``n`` rows, of which a slice at a time is asked for."""
        size = max(1, BLOCK // (4 * self.n_channels * self.n_points))
        blocks = list(gen_batches(n, size))
        first = self.enter(rows_at(blocks[0]))
        if len(blocks) == 1:
            return first
        shape = (*first.shape[:2], n)
        spectra = namespace(first).empty(shape, dtype=first.dtype, device=first.device)
        spectra[..., blocks[0]] = first
        for block in blocks[1:]:
            spectra[..., block] = self.enter(rows_at(block))
        return spectra

    def leave(self, Z: Any, dtype: Any) -> Any:
        """Rows (n, C * T) of a real type from their spectra."""
        xp = namespace(Z)
        n = Z.shape[2]
        spectra = Z / self._roots(xp.real(Z))
        spectra = _contiguous(xp.permute_dims(spectra, (2, 1, 0)))
        spectra = xp.reshape(spectra, (n, self.n_channels, *self.half))
        irfftn = fft.irfftn if xp is np else xp.fft.irfftn
        signals = irfftn(spectra, s=self.shape, axes=self._axes, norm="ortho")
        return xp.astype(xp.reshape(signals, (n, -1)), dtype, copy=False)

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(2, 2 + len(self.shape)))

    def _roots(self, like: Any) -> Any:
        """Square roots of the counts, (F, 1, 1), in the real type of an array."""
        xp = namespace(like)
        roots = np.sqrt(self.counts).tolist()
        return xp.asarray(roots, dtype=like.dtype, device=like.device)[:, None, None]


@dataclass(eq=False, repr=False)
class Frequencies:
    """What formulas need to know of a grid.

    Parameters
    ----------
    n_channels : int
        Channels ``C``.
    n_points : int
        Points ``T``.
    counts : array of shape (F,)
        For how many frequencies each stands, in double precision.
    """

    n_channels: int
    n_points: int
    counts: Any

    def scale(self, count: float, epsilon: float) -> Any:
        r"""Factor :math:`\alpha T` before the scatters of spectra, of shape (F,)."""
        alpha = self.n_channels / count / epsilon**2
        return alpha * self.n_points / self.counts

    def total(self, values: Any) -> Any:
        """Sum over all frequencies of values of shape (F, m), of shape (m,)."""
        xp = namespace(values)
        return xp.astype(values, xp.float64, copy=False).T @ self.counts

    def volume(self, eigenvalues: Any, count: float, epsilon: float) -> float:
        """Log-determinant of a group at all frequencies, from eigenvalues (F, r)."""
        xp = namespace(eigenvalues)
        scaled = self.scale(count, epsilon)[:, None] * eigenvalues
        return float(xp.sum(self.counts * xp.sum(xp.log1p(scaled), axis=1)))

    def alone(self, norms: Any, epsilon: float) -> Any:
        """Nats of rows, with squared norms (F, b), in a class empty without them."""
        xp = namespace(norms)
        volumes = self.total(xp.log1p(self.scale(1.0, epsilon)[:, None] * norms))
        return (1.0 + self.n_channels) / 2.0 * volumes


def squared_norms(Z: Any) -> Any:
    """Squared norms of spectra at each frequency, (F, b), in double precision."""
    xp = namespace(Z)
    sums = [xp.sum(squares(Z[block, ...]), axis=1) for block in some_frequencies(Z)]
    norms = sums[0] if len(sums) == 1 else xp.concat(sums)
    return xp.astype(norms, xp.float64, copy=False)


def some_frequencies(Z: Any) -> list[slice]:
    """Slices of frequencies at which spectra (F, C, b) stay in the cache."""
    F, C, b = Z.shape
    return batches(F, CACHED // (C * b))


def squares(Z: Any) -> Any:
    """Squared absolute values."""
    xp = namespace(Z)
    return xp.real(Z) ** 2 + xp.imag(Z) ** 2


def norms_of(Z: Any) -> Any:
    """Norms of rows, in double precision, of shape (b,)."""
    xp = namespace(Z)
    return xp.sqrt(xp.sum(squared_norms(Z), axis=0))


def normalised(Z: Any) -> Any:
    """Spectra whose rows have norm one; rows of zeros stay."""
    xp, norms = namespace(Z), norms_of(Z)
    scale = 1.0 / xp.where(norms > 0, norms, xp.ones_like(norms))
    return Z * xp.astype(scale, xp.real(Z).dtype, copy=False)


def scatters(Z: Any, slices: Sequence[slice], weights: Any) -> list[Any]:
    """Scatters (F, C, C), in double precision, of some groups of weighted rows."""
    xp, (F, C, _) = namespace(Z), Z.shape
    place = {"dtype": xp.complex128, "device": Z.device}
    found = [xp.empty((F, C, C), **place) for _ in slices]
    for block in some_frequencies(Z) if slices else ():
        root = widen(weighted(Z[block, ...], weights))
        conjugate = xp.conj(root)
        for part, scatter in zip(slices, found, strict=True):
            others = xp.matrix_transpose(conjugate[:, :, part])
            scatter[block, ...] = root[:, :, part] @ others
    return found


def weighted(Z: Any, weights: Any) -> Any:
    """Rows times the square roots of their weights."""
    xp = namespace(Z)
    if weights is None:
        return Z
    return Z * xp.astype(xp.sqrt(weights), xp.real(Z).dtype, copy=False)


def adjoint(A: Any) -> Any:
    """Conjugate transpose of stacked matrices."""
    xp = namespace(A)
    return xp.conj(xp.matrix_transpose(A))


def coordinates(V: Any, Z: Any) -> Any:
    """Products ``V^H Z`` of stacked matrices; the smaller side is conjugated.

    A transposed matrix is a view, a conjugate one a copy.
    """
    xp = namespace(Z)
    if Z.shape[2] >= V.shape[2]:
        return adjoint(V) @ Z
    return xp.conj(xp.matrix_transpose(V) @ xp.conj(Z))


def widen(Z: Any) -> Any:
    """Spectra in double precision."""
    xp = namespace(Z)
    return xp.astype(Z, xp.complex128, copy=False)


def _contiguous(Z: Any) -> Any:
    return np.ascontiguousarray(Z) if namespace(Z) is np else Z
