"""Groups in slots: weights, means, covariances and their spectra while they merge."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.linalg import lapack

# Up to this dimension covariances are held as matrices and factored in batches.
MAX_DENSE = 32
# Squared norms beyond this (in units of epsilon / sqrt(d)) leave differences of
# squares, and Cholesky factors, too few digits: directions are projected explicitly.
STEEP = 1e8


class Store:
    """Active groups in slots: thin ones from 0, thick ones from ``n_slots_thin``.

    Parameters
    ----------
    rows : array of shape (n, r)
        Thin groups, in units of epsilon / sqrt(d), in any orthonormal coordinates and,
        unless ``assume_centered``, about any centre.
    counts : array of shape (n,)
        Their weights, greater than zero.
    mean_squares : array of shape (n,)
        Squared norms of the rows about the origin, divided by ``d``.
    n_features : int
        The dimension ``d`` of the lengths, which may exceed ``r``.
    assume_centered : bool
        Covariances about the origin, and no mean to code.
    thick : list of (count, mean, root, mean_square), default=()
        Groups with a covariance ``root.T @ root``, in the same coordinates. They take
        the names after those of the rows.
    """

    def __init__(
        self,
        rows: Any,
        counts: Any,
        mean_squares: Any,
        *,
        n_features: int,
        assume_centered: bool,
        thick: Any = (),
    ) -> None:
        n, self.r = rows.shape
        room = n + n // 2 + len(thick) + 1
        self.d, self.centered, self.first_thick = n_features, assume_centered, n
        self.means = np.zeros((self.r, room))
        self.means[:, :n] = rows.T
        self.norms = np.zeros(room)
        self.norms[:n] = np.einsum("ij,ij->i", rows, rows)
        self.counts, self.mean_squares = np.ones(room), np.zeros(room)
        self.counts[:n] = counts
        if not assume_centered:
            self.mean_squares[:n] = mean_squares
        volumes = np.log2(1.0 + self.norms[:n]) if assume_centered else 0.0
        self.bits = np.zeros(room)
        self.bits[:n] = self._own_bits(volumes, counts, self.mean_squares[:n])
        self.names = np.full(room, -1)
        self.names[:n] = np.arange(n)
        self.slots = np.full(2 * (n + len(thick)), -1)
        self.slots[:n] = np.arange(n)
        self.n_thin, self.n_thick, self.n_names = n, 0, n
        self.moved: list[tuple[int, int]] = []  # slots, by the last merge
        self.even = n > 0 and bool(np.all(self.counts[:n] == self.counts[0]))
        self._init_thick(thick)

    def _init_thick(self, thick: Any) -> None:
        reach = max((float(np.sum(root * root)) for _, _, root, _ in thick), default=0)
        far = max((float(mean @ mean) for _, mean, _, _ in thick), default=0.0)
        reach = max(reach, far, float(np.max(self.norms, initial=0.0)))
        self.steep = reach > STEEP
        self.dense = self.r <= MAX_DENSE and not self.steep
        self.spectra: list[Any] = []
        self.spread = np.zeros((1, 16))  # eigenvalues, sorted downwards
        self.covariances = np.zeros((16, self.r, self.r) if self.dense else (0, 0, 0))
        for count, mean, root, mean_square in thick:
            spread = root.T @ root if self.dense else root
            self._append(count, mean, spread, mean_square)

    @property
    def n_groups(self) -> int:
        """Number of active groups."""
        return self.n_thin + self.n_thick

    @property
    def end(self) -> int:
        """One past the last slot in use."""
        return self.first_thick + self.n_thick

    def _own_bits(self, volumes: Any, counts: Any, mean_squares: Any) -> Any:
        """Bits of groups, less the part of their label bits that merging changes."""
        bits = (0.5 * (counts + self.d)) * volumes
        bits -= counts * np.log2(counts)
        if not self.centered:
            extra = np.log2(1.0 + mean_squares)
            extra *= 0.5 * self.d
            bits += extra
        return bits

    # -- merging ----------------------------------------------------------------------

    def merge(self, a: int, b: int) -> int:
        """Replace the groups in two slots by their union; return its slot."""
        union = self._union(a, b)
        self.moved = [self._remove(slot) for slot in sorted((a, b), reverse=True)]
        return self._append(*union)

    def _union(self, a: int, b: int) -> tuple[float, Any, Any, float]:
        """Weight, mean, covariance or its root, and squared mean of two groups."""
        count = self.counts[a] + self.counts[b]
        q = self.counts[b] / count
        p = 1.0 - q
        arm = self.means[:, b] - self.means[:, a]
        mean = self.means[:, a] + q * arm
        mean_square = 0.0
        if not self.centered:
            mean_square = p * self.mean_squares[a] + q * self.mean_squares[b]
            mean_square = max(mean_square - p * q * (arm @ arm) / self.d, 0.0)
        arm *= math.sqrt(p * q)
        if self.dense:
            matrix = p * self._matrix(a) + q * self._matrix(b)
            if not self.centered:
                matrix += arm[:, None] * arm
            return count, mean, matrix, mean_square
        roots = [math.sqrt(p) * self.root(a), math.sqrt(q) * self.root(b)]
        if not self.centered:
            roots.append(arm[None, :])
        return count, mean, np.concatenate(roots), mean_square

    def _matrix(self, slot: int) -> Any:
        """Covariance of a group, where they are dense."""
        if slot >= self.first_thick:
            return self.covariances[slot - self.first_thick]
        if self.centered:
            row = self.means[:, slot]
            return row[:, None] * row
        return np.zeros((self.r, self.r))

    def root(self, slot: int) -> Any:
        """Rows whose products are the covariance of a group."""
        if slot >= self.first_thick:
            values, Vt = self.spectra[slot - self.first_thick]
            return np.sqrt(values)[:, None] * Vt
        return self.means[:, slot][None, :] if self.centered else np.zeros((0, self.r))

    def _spectrum(self, slot: int) -> tuple[Any, Any]:
        """Eigenvalues of a covariance, sorted downwards, and eigenvectors as rows."""
        if slot >= self.first_thick:
            return self.spectra[slot - self.first_thick]
        root, norm = self.root(slot), math.sqrt(self.norms[slot])
        if len(root) == 0 or norm == 0.0:
            return np.zeros(0), np.zeros((0, self.r))
        return np.array([norm * norm]), root / norm

    def _append(self, count: float, mean: Any, spread: Any, mean_square: float) -> int:
        """Add a thick group with a covariance (where dense) or a root of it."""
        if self.dense:
            values, V, _ = lapack.dsyevd(spread)
            squares, Vt = values[::-1], V.T[::-1]
        else:
            _, sigma, Vt = np.linalg.svd(spread, full_matrices=False)
            squares = sigma * sigma
        rounding = max(spread.shape) * np.finfo(np.float64).eps
        floor = rounding if self.dense else rounding * rounding
        rank = int(np.count_nonzero(squares > floor * squares[0]))
        values, Vt = squares[:rank], Vt[:rank]
        t, slot = self.n_thick, self.end
        self._make_room(len(values))
        self.spread[:, t] = 0.0
        self.spread[: len(values), t] = values
        self.spectra.append((values, Vt))
        if self.dense:
            self.covariances[t] = spread
        self.means[:, slot], self.norms[slot] = mean, mean @ mean
        self.counts[slot], self.mean_squares[slot] = count, mean_square
        volume = float(np.sum(np.log2(1.0 + values)))
        self.bits[slot] = self._own_bits(volume, count, mean_square)
        self.names[slot], self.slots[self.n_names] = self.n_names, slot
        self.n_names, self.n_thick = self.n_names + 1, t + 1
        return slot

    def _make_room(self, rank: int) -> None:
        ranks, room = self.spread.shape
        if rank > ranks:
            more = max(rank, 2 * ranks) - ranks
            self.spread = np.pad(self.spread, ((0, more), (0, 0)))
        if self.n_thick == room:
            self.spread = np.pad(self.spread, ((0, 0), (0, room)))
            if self.dense:
                self.covariances = np.pad(self.covariances, ((0, room), (0, 0), (0, 0)))

    def _remove(self, slot: int) -> tuple[int, int]:
        """Put the last group of a kind in the place of one; return both slots."""
        self.slots[self.names[slot]] = -1
        if slot < self.first_thick:
            self.n_thin -= 1
            last = self.n_thin
        else:
            self.n_thick -= 1
            last = self.end
            t = slot - self.first_thick
            self.spectra[t] = self.spectra[-1]
            self.spectra.pop()
            self.spread[:, t] = self.spread[:, self.n_thick]
            if self.dense:
                self.covariances[t] = self.covariances[self.n_thick]
        if slot != last:
            self.means[:, slot] = self.means[:, last]
            for array in (self.norms, self.counts, self.mean_squares, self.bits):
                array[slot] = array[last]
            self.names[slot] = self.names[last]
            self.slots[self.names[slot]] = slot
        self.names[last] = -1
        return slot, last
