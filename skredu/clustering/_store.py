"""Groups in slots: weights, means, covariances and their spectra while they merge."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.linalg import lapack

from skredu.clustering._floors import Floors
from skredu.coding._linalg import factor_of

# Up to this dimension covariances are held as matrices and factored: at 50 dimensions
# a merge of 1000 rows takes 0.6 ms, against 1.5 ms by singular vectors.
MAX_DENSE = 64
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
        # Rows for products with all groups at once: ones, means, and their squared
        # norms about the centre and about the origin.
        self.lifted = np.ones((self.r + 3, room))
        self.ones = np.ones(self.r + 1)
        self.means = self.lifted[1 : self.r + 1]
        self.norms, self.mean_squares = self.lifted[self.r + 1 :]
        self.means[:, :n] = rows.T
        self.norms[:n] = np.einsum("ij,ij->i", rows, rows)
        self.counts = np.ones(room)
        self.counts[:n] = counts
        self.mean_squares[:] = 0.0
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
        traces = [float(np.sum(root * root)) for _, _, root, _ in thick]
        squares = [float(mean @ mean) for _, mean, _, _ in thick]
        far = float(np.max(self.norms, initial=0.0))
        self.reach = max([far, *traces, *squares])
        self.steep = self.reach > STEEP
        self.dense = self.r <= MAX_DENSE and not self.steep
        self.spectra: list[Any] = []  # None until they are asked for
        self.spread = np.zeros((1, 16))  # eigenvalues, sorted downwards
        # covariances where they are dense, roots elsewhere; none in many dimensions
        few = self.r <= MAX_DENSE
        self.matrices = np.zeros((16, self.r, self.r) if few else (0, 0, 0))
        self.floors = self._floors(thick)
        for count, mean, root, mean_square in thick:
            spread = root.T @ root if self.dense else root
            self._append(count, mean, spread, mean_square)

    def _floors(self, thick: Any) -> Floors:
        """Bounds of costs, with what holds for all groups that may arise."""
        weight = float(np.sum(self.counts[: self.first_thick]))
        weight += sum(count for count, _, _, _ in thick)
        square = float(np.max(self.mean_squares, initial=0.0))
        if not self.centered:
            square = max([square, *(square for _, _, _, square in thick)])
        bits = 0.5 * (weight + self.d) * self.r * math.log2(1.0 + 2.0 * self.reach)
        bits += weight * math.log2(2.0 + weight) + self.d * math.log2(1.0 + square)
        return Floors(self.r, self.d, bits, math.sqrt(square))

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
        a, b = sorted((a, b))
        if not a < self.first_thick <= b:
            self.moved = [self._remove(b), self._remove(a)]
            return self._append(*union)
        weight, before = float(self.counts[a]), float(self.bits[b])
        self.moved = [self._remove(a)]
        self.slots[self.names[b]] = -1
        volume = self._put(b, *union)  # where its thick part was
        gain = math.inf if self.steep else float(self.bits[b]) - before
        counts = self.counts[self.first_thick : self.end]
        self.floors.swallow(b - self.first_thick, counts, weight, gain, volume)
        return b

    def _union(self, a: int, b: int) -> tuple[float, Any, Any, float]:
        """Weight, mean, covariance or its root, and squared mean of two groups."""
        count = float(self.counts[a] + self.counts[b])
        q = float(self.counts[b]) / count
        p = float(self.counts[a]) / count
        arm = self.means[:, b] - self.means[:, a]
        mean = self.means[:, a] + q * arm
        mean_square = 0.0 if self.centered else self._mean_square(a, p, b, q, arm)
        arm *= math.sqrt(p * q)
        if not self.dense:
            roots = [math.sqrt(p) * self.root(a), math.sqrt(q) * self.root(b)]
            if not self.centered:
                roots.append(arm[None, :])
            return count, mean, np.concatenate(roots), mean_square
        matrix = self._mixture(a, p, b, q)
        if not self.centered:
            matrix += arm[:, None] * arm
        return count, mean, matrix, mean_square

    def _mean_square(self, a: int, p: float, b: int, q: float, arm: Any) -> float:
        """Squared norm of the mean of a union about the origin, over the dimension."""
        square = p * self.mean_squares[a] + q * self.mean_squares[b]
        return max(float(square - p * q / self.d * arm.dot(arm)), 0.0)

    def _mixture(self, a: int, p: float, b: int, q: float) -> Any:
        """Sum of two covariances with weights."""
        if not self.centered and a < self.first_thick:  # a row has none
            a, p, b, q = b, q, a, p
        matrix = p * self._matrix(a)
        if self.centered or b >= self.first_thick:
            matrix += q * self._matrix(b)
        return matrix

    def _matrix(self, slot: int) -> Any:
        """Covariance of a group, where they are dense."""
        if slot >= self.first_thick:
            return self.matrices[slot - self.first_thick]
        if self.centered:
            row = self.means[:, slot]
            return row[:, None] * row
        return np.zeros((self.r, self.r))

    def root(self, slot: int) -> Any:
        """Rows whose products are the covariance of a group."""
        if slot >= self.first_thick:
            values, Vt = self._spectrum(slot)
            return np.sqrt(values)[:, None] * Vt
        return self.means[:, slot][None, :] if self.centered else np.zeros((0, self.r))

    def _spectrum(self, slot: int) -> tuple[Any, Any]:
        """Eigenvalues of a covariance, sorted downwards, and eigenvectors as rows."""
        if slot >= self.first_thick:
            t = slot - self.first_thick
            if self.spectra[t] is None:
                self._decompose(t, self.matrices[t])
            return self.spectra[t]
        root, norm = self.root(slot), math.sqrt(self.norms[slot])
        if len(root) == 0 or norm == 0.0:
            return np.zeros(0), np.zeros((0, self.r))
        return np.array([norm * norm]), root / norm

    def _append(self, count: float, mean: Any, spread: Any, mean_square: float) -> int:
        """Add a thick group with a covariance (where dense) or a root of it."""
        slot, room = self.end, self.spread.shape[1]
        self.n_thick += 1
        if self.n_thick > room:
            self.spread = np.pad(self.spread, ((0, 0), (0, room)))
            if len(self.matrices):
                self.matrices = np.pad(self.matrices, ((0, room), (0, 0), (0, 0)))
        self.spectra.append(None)
        volume = self._put(slot, count, mean, spread, mean_square)
        self.floors.place(slot - self.first_thick, count, volume)
        return slot

    def _put(
        self, slot: int, count: float, mean: Any, spread: Any, mean_square: float
    ) -> float:
        """Put a new thick group in a slot; return its log-volume."""
        t = slot - self.first_thick
        if self.dense:
            self.matrices[t], self.spectra[t] = spread, None
            volume = volume_of(factor_of(spread.copy()))
        else:
            self._decompose(t, spread)
            volume = float(np.log2(1.0 + self.spectra[t][0]).sum())
        self.means[:, slot], self.norms[slot] = mean, mean @ mean
        self.counts[slot], self.mean_squares[slot] = count, mean_square
        self.bits[slot] = self._own_bits(volume, count, mean_square)
        self.names[slot], self.slots[self.n_names] = self.n_names, slot
        self.n_names += 1
        return volume

    def _decompose(self, t: int, spread: Any) -> None:
        """Find the spectrum of a thick group."""
        if self.dense:
            values, V, _ = lapack.dsyevd(spread)
            squares, Vt = values[::-1], V.T[::-1]
        else:
            _, sigma, Vt = np.linalg.svd(spread, full_matrices=False)
            squares = sigma * sigma
        rounding = max(spread.shape) * np.finfo(np.float64).eps
        floor = rounding if self.dense else rounding * rounding
        rank = int(np.count_nonzero(squares > floor * squares[0]))
        ranks = len(self.spread)
        if rank > ranks:
            more = max(rank, 2 * ranks) - ranks
            self.spread = np.pad(self.spread, ((0, more), (0, 0)))
        self.spread[:rank, t] = squares[:rank]
        self.spread[rank:, t] = 0.0
        self.spectra[t] = (squares[:rank], Vt[:rank])
        if not self.dense and len(self.matrices):
            self.matrices[t] = 0.0
            self.matrices[t, :rank] = np.sqrt(squares[:rank])[:, None] * Vt[:rank]

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
            self.floors.move(t, self.n_thick)
            self.spread[:, t] = self.spread[:, self.n_thick]
            if len(self.matrices):
                self.matrices[t] = self.matrices[self.n_thick]
        if slot != last:
            self.means[:, slot] = self.means[:, last]
            for array in (self.norms, self.counts, self.mean_squares, self.bits):
                array[slot] = array[last]
            self.names[slot] = self.names[last]
            self.slots[self.names[slot]] = slot
        self.names[last] = -1
        return slot, last


def volume_of(L: Any) -> float:
    """Log-volume, in bits, of a matrix that is dense, from its Cholesky factor.

    The product stays finite: `MAX_DENSE` pivots of at most the root of `STEEP`.
    """
    return 2.0 * math.log2(np.multiply.reduce(L.diagonal()))
