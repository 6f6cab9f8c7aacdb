r"""Groups of rows that merge, and the bits that merging two of them costs.

Rows come in units of :math:`\epsilon/\sqrt d`, in which a group of weight ``n`` with
the covariance :math:`C = S/n` takes

.. math::

    L = \frac{n+d}{2} \log_2 \det(I + C) + \frac d2 \log_2(1 + \mu^T\mu / d)

bits. The union of two groups with the shares :math:`p + q = 1` has the covariance
:math:`pC_a + qC_b + pq\,\delta\delta^T`, with :math:`\delta` between the means (absent
around the origin).

A *thin* group is one row, a *thick* one has a covariance. The cost of a thick group
with all thin ones follows from its spectrum in closed form. With thick ones the same
closed form is a lower bound, because the determinant of a sum of matrices is smallest
where their eigenvectors agree in order (Fiedler 1971); only the few pairs whose bound
is below the best cost so far are factored.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.linalg import blas, lapack

from skredu.clustering._store import Store, volume_of
from skredu.coding._linalg import factor_of, log_volume

# Costs are whole multiples of this many bits, so that rounding decides no ties.
QUANTUM = 2.0**-32
# What rounding may add to a lower bound, relative to the bits of the pair.
SLACK = 1e-10
# Up to these squared norms unit matrices keep seven digits beside the roots, and
# triangular factors take a quarter of the time of singular values.
STEEPER = 1e16
# Pairs that are factored first; four times as many in every further round. Bounds for
# all take as long as some eight pairs.
FIRST_ROUND = 16
# Up to so many pairs are faster one by one than as a batch: measured in ten dimensions,
# 33 microseconds each against 140 for a batch of few.
FEW = 4


class Groups(Store):
    """Active groups and what merging two of them costs."""

    def best_partner(self, slot: int) -> tuple[float, int]:
        """Cheapest group to merge with among those with smaller names.

        Returns the cost in bits and the partner's name, the smallest name where costs
        are equal; infinity and -1 where there is none.
        """
        name, best, partner = int(self.names[slot]), math.inf, -1
        if self.n_thin:
            names = self.names[: self.n_thin]
            costs = self.thin_costs(slot, slice(self.n_thin))
            if slot < self.first_thick or name < self.n_names - 1:
                costs[names >= name] = math.inf
            best = _to_quantum(float(costs[costs.argmin()]))
            if best < math.inf:
                partner = _first(names, costs <= best + 0.5 * QUANTUM)
        if slot < self.first_thick or self.n_thick == 1:  # no older thick ones
            return best, partner
        t, names = slot - self.first_thick, self.names[self.first_thick : self.end]
        bounds = self.floors.of(t, self.n_thick)
        left = ((bounds <= best) & (names < name)).nonzero()[0]
        if len(left) > FIRST_ROUND:
            bounds = self._thick_bounds(slot)
            self.floors.raise_to(t, bounds)
            left = left[bounds[left] <= best]
        step = FIRST_ROUND
        while len(left):
            if len(left) > step:
                left = left[np.argpartition(bounds[left], step)]
            tried, left = left[:step], left[step:]
            costs = quantised(self._thick_costs(slot, tried))
            self.floors.learn(t, tried, costs)
            lowest = costs.min()
            if lowest <= best:
                found = _first(names[tried], costs == lowest)
                tie = lowest == best and 0 <= partner < found
                best, partner = lowest, partner if tie else found
            left, step = left[bounds[left] <= best], 4 * step
        return float(best), partner

    def costs(self, slot: int, others: Any) -> Any:
        """Bits that merging a group with each of some others takes."""
        costs = np.empty(len(others))
        thin = others < self.first_thick
        if np.any(thin):
            costs[thin] = self.thin_costs(slot, others[thin])
        if not np.all(thin):
            thick = others[~thin] - self.first_thick
            costs[~thin] = self._thick_costs(slot, thick)
        return quantised(costs)

    def thin_costs(self, slot: int, others: Any) -> Any:
        """Bits that merging a group with each of some thin ones takes."""
        if self.even and self.dense:
            return self._even_costs(slot, others)
        return self._thin_costs(slot, others, even=self.even)

    def first_partners(self, block: slice) -> tuple[Any, Any]:
        """`best_partner` of thin groups of a block that has the greatest names."""
        costs = self._pair_costs(block)
        index = np.arange(block.start, block.stop)
        costs[np.arange(block.stop) >= index[:, None]] = np.inf
        lowest = costs.min(axis=1)
        best = quantised(lowest - self.bits[block])
        lowest += 0.5 * QUANTUM
        return best, np.argmax(costs <= lowest[:, None], axis=1)  # the first of equals

    def _pair_costs(self, block: slice) -> Any:
        """Bits that merging thin groups of a block with all up to its end takes.

        Those of the groups of the block are still to be subtracted.
        """
        others = slice(block.stop)
        if self.even and self.dense and not self.centered:
            return self._even_pair_costs(block, others)
        a, b = self.norms[block][:, None], self.norms[others]
        total = self.counts[block][:, None] + self.counts[others]
        q = self.counts[others] / total
        p = self.counts[block][:, None] / total
        squares = self.means[:, block].T @ self.means[:, others]
        mean_squares: Any = 0.0
        if self.centered:  # the determinant of I + p x x^T + q y y^T
            squares *= squares
            volumes = 1.0 + p * a + q * b + p * q * np.maximum(a * b - squares, 0.0)
        else:
            squares = p * q * np.maximum(a + b - 2.0 * squares, 0.0)
            volumes = 1.0 + squares
            mean_squares = p * self.mean_squares[block][:, None]
            mean_squares = mean_squares + q * self.mean_squares[others]
            mean_squares = np.maximum(mean_squares - squares / self.d, 0.0)
        bits = self._own_bits(np.log2(volumes, out=volumes), total, mean_squares)
        bits -= self.bits[others]
        return bits

    def _even_pair_costs(self, block: slice, others: slice) -> Any:
        """`_pair_costs` where all weigh the same: determinants are products."""
        total, lifted = 2.0 * float(self.counts[0]), self.lifted[:, others]
        mix = np.empty((block.stop - block.start, self.r + 3))
        mix[:, 0] = 1.0 + 0.25 * self.norms[block]
        mix[:, 1:-2] = -0.5 * self.means[:, block].T
        mix[:, -2:] = 0.25, 0.0
        costs = mix @ lifted  # 1 + |x - y|^2 / 4
        _scaled_logs(costs, 0.5 * (total + self.d))
        mix[:, :-2] /= -self.d
        mix[:, 0] += 1.0 / self.d + 1.0 + 0.5 * self.mean_squares[block]
        mix[:, -2:] = -0.25 / self.d, 0.5
        mean_bits = mix @ lifted  # 1 + |x + y|^2 / (4 d)
        costs += _scaled_logs(mean_bits, 0.5 * self.d)
        costs -= self.bits[others] + total * math.log2(total)
        return costs

    def _thin_costs(self, slot: int, others: Any, *, even: bool) -> Any:
        counts = self.counts[others][:1] if even else self.counts[others]
        total = self.counts[slot] + counts
        q = counts / total
        p = self.counts[slot] / total
        factor = q if self.centered else p * q
        values, Vt = self._spectrum(slot)
        stretch = 1.0 + values[:, None] * p  # one column, or one for each thin group
        form, squares = self._form(slot, others, Vt, stretch)
        volumes = np.sum(np.log2(stretch), axis=0) + np.log2(1.0 + factor * form)
        return self._cost(slot, others, (total, p, q), volumes, factor * squares)

    def _even_costs(self, slot: int, others: Any) -> Any:
        r"""`_thin_costs` where all thin groups weigh the same: scalars, one product.

        Let :math:`LL^T = I + pC`. The inverse of

        .. math:: \begin{pmatrix} 1 & 0 \\ \mu & L / \sqrt{pq} \end{pmatrix}

        takes a row :math:`x` below a one to the one above
        :math:`\sqrt{pq}\, L^{-1}(x - \mu)`: squared norms are the determinants.
        """
        r, d = self.r, self.d
        if isinstance(others, slice):
            lifted = self.lifted[:, others]
        else:
            lifted = self.lifted.take(others, axis=1)  # twice as fast as by index
        weight = float(self.counts[0])
        total = float(self.counts[slot]) + weight
        q = weight / total
        p = float(self.counts[slot]) / total
        L = factor_of(p * self._matrix(slot))
        constant = 0.5 * (total + d) * volume_of(L) - float(self.bits[slot])
        constant -= total * math.log2(total)
        root = np.zeros((r + 1, r + 1), order="F")
        root[0, 0] = 1.0
        np.divide(L, math.sqrt(q if self.centered else p * q), out=root[1:, 1:])
        if not self.centered:
            root[1:, 0] = self.means[:, slot]
        Y = lapack.dtrtri(root, lower=1, overwrite_c=1)[0] @ lifted[: r + 1]
        Y *= Y
        costs = _scaled_logs(self.ones @ Y, 0.5 * (total + d))
        costs -= self.bits[others]
        costs += constant
        if self.centered:
            return costs
        mix = self.lifted[:, slot] * (2.0 * p * q / d)  # for the means in between
        mix[0] = 1.0 + p * self.mean_squares[slot] - p * q / d * self.norms[slot]
        mix[r + 1], mix[r + 2] = -p * q / d, q
        costs += _scaled_logs(mix @ lifted, 0.5 * d)
        return costs

    def _form(self, slot: int, others: Any, Vt: Any, stretch: Any) -> tuple[Any, Any]:
        """Forms ``v (I + p C)^-1 v`` of the arms ``v`` to other groups, and ``v v``.

        An arm is the way between the means or, around the origin, the row itself.
        ``stretch`` holds the eigenvalues of ``I + p C`` that are not one.
        """
        arms = self.means[:, others]
        if not self.centered:
            arms = arms - self.means[:, slot][:, None]
        squares = np.einsum("ij,ij->j", arms, arms)
        if len(Vt) == 0:
            return squares, squares
        Y = Vt @ arms
        rest = arms - Vt.T @ Y
        form = np.sum(Y * Y / stretch, axis=0) + np.einsum("ij,ij->j", rest, rest)
        return form, squares

    def _thick_bounds(self, slot: int) -> Any:
        """Lower bounds of the bits that merging with each of the thick groups takes."""
        for t, known in enumerate(self.spectra):
            if known is None:
                self._decompose(t, self.matrices[t])
        others = slice(self.first_thick, self.end)
        total = self.counts[slot] + self.counts[others]
        q = self.counts[others] / total
        p = self.counts[slot] / total
        values, Vt = self._spectrum(slot)
        k, spread = len(values), self.spread[:, : self.n_thick]
        inner = values[:, None] * p
        stretch = 1.0 + q * spread
        stretch[:k] += inner
        volumes = np.sum(np.log2(stretch), axis=0)
        squares: Any = 0.0
        if not self.centered:
            # an upper bound of the covariance is a lower one of its inverse
            top = 1.0 + q * spread[0]
            form, squares = self._form(slot, others, Vt, (inner + top) / top)
            volumes += np.log2(1.0 + p * q * form / top)
        bounds = self._cost(slot, others, (total, p, q), volumes, p * q * squares)
        return bounds - SLACK * (np.abs(bounds) + self._sizes(slot, others))

    def _sizes(self, slot: int, others: Any) -> Any:
        """Sizes of the numbers whose differences are costs."""
        total = self.counts[slot] + self.counts[others]
        logs = total * np.log2(2.0 + total)
        return np.abs(self.bits[others]) + abs(float(self.bits[slot])) + logs

    def _thick_costs(self, slot: int, thick: Any) -> Any:
        """Bits that merging with each of some thick groups, counted from 0, takes."""
        others = thick + self.first_thick
        if self.dense and len(thick) <= FEW:
            return np.array([self._pair_cost(slot, int(other)) for other in others])
        total = self.counts[slot] + self.counts[others]
        q = self.counts[others] / total
        p = self.counts[slot] / total
        arms, squares = None, 0.0
        if not self.centered:
            arms = self.means[:, others].T - self.means[:, slot]
            arms *= np.sqrt(p * q)[:, None]
            squares = np.einsum("ij,ij->i", arms, arms)
        if self.dense:
            volumes = self._dense_volumes(slot, thick, p, q, arms)
        elif len(self.matrices):
            volumes = self._steep_volumes(slot, thick, p, q, arms)
        else:
            own, volumes = self.root(slot), np.empty(len(others))
            for i, other in enumerate(others):
                roots = [math.sqrt(p[i]) * own, math.sqrt(q[i]) * self.root(other)]
                if arms is not None:
                    roots.append(arms[i][None, :])
                volumes[i] = log_volume(np.concatenate(roots)) / math.log(2.0)
        return self._cost(slot, others, (total, p, q), volumes, squares)

    def _pair_cost(self, slot: int, other: int) -> float:
        """Bits that merging with one thick group takes: `_thick_costs` by scalars."""
        count = float(self.counts[slot] + self.counts[other])
        q = float(self.counts[other]) / count
        p = float(self.counts[slot]) / count
        matrix, square = self._mixture(slot, p, other, q).T, 0.0
        if not self.centered:
            arm = self.means[:, other] - self.means[:, slot]
            matrix = blas.dsyr(p * q, arm, a=matrix, lower=0, overwrite_a=1)
            square = self._mean_square(slot, p, other, q, arm)
        bits = self._own_bits(volume_of(factor_of(matrix.T)), count, square)
        return bits - float(self.bits[slot]) - float(self.bits[other])

    def _dense_volumes(self, slot: int, thick: Any, p: Any, q: Any, arms: Any) -> Any:
        """Log-volumes of unions by Cholesky factors of their covariances."""
        matrices = self.matrices[thick]
        matrices *= q[:, None, None]
        if slot >= self.first_thick or self.centered:
            matrices += p[:, None, None] * self._matrix(slot)
        if arms is not None:
            matrices += arms[:, :, None] * arms[:, None, :]
        matrices.reshape(len(thick), -1)[:, :: self.r + 1] += 1.0
        factors = np.linalg.cholesky(matrices)
        pivots = factors.reshape(len(thick), -1)[:, :: self.r + 1]
        return 2.0 * np.log2(pivots).sum(axis=1)

    def _steep_volumes(self, slot: int, thick: Any, p: Any, q: Any, arms: Any) -> Any:
        """Log-volumes of unions by triangular factors, or singular values, of roots."""
        own = self.root(slot)
        k, r = own.shape
        n_rows = k + r + (arms is not None)
        roots = np.empty((len(thick), n_rows + r, r))  # with a unit matrix below
        roots[:, :k] = np.sqrt(p)[:, None, None] * own
        roots[:, k : k + r] = np.sqrt(q)[:, None, None] * self.matrices[thick]
        if arms is not None:
            roots[:, k + r] = arms
        if self.reach < STEEPER:
            roots[:, n_rows:] = np.eye(r)
            factors: Any = np.linalg.qr(roots, mode="r")
            factors = factors.reshape(len(thick), -1)
            return 2.0 * np.log2(np.abs(factors[:, :: r + 1])).sum(axis=1)
        roots = roots[:, :n_rows]
        sigma = np.linalg.svd(roots, compute_uv=False)
        rounding = max(roots.shape[1:]) * np.finfo(np.float64).eps
        sigma[sigma <= rounding * sigma[:, :1]] = 0.0
        return np.log2(1.0 + sigma * sigma).sum(axis=1)

    def _cost(
        self, slot: int, others: Any, shares: Any, volumes: Any, squares: Any
    ) -> Any:
        """Bits of unions, less those of their parts.

        ``squares`` are those of the arms, times the product of the shares.
        """
        total, p, q = shares
        mean_squares: Any = 0.0
        if not self.centered:
            mean_squares = p * self.mean_squares[slot] + q * self.mean_squares[others]
            mean_squares = np.maximum(mean_squares - squares / self.d, 0.0)
        bits = self._own_bits(volumes, total, mean_squares)
        return bits - self.bits[others] - self.bits[slot]


def _scaled_logs(determinants: Any, factor: float) -> Any:
    """Multiples of logarithms of what is at least one, in its place."""
    np.maximum(determinants, 1.0, out=determinants)
    np.log2(determinants, out=determinants)
    determinants *= factor
    return determinants


def quantised(bits: Any) -> Any:
    """Bits to the next multiple of the quantum."""
    bits = bits * (1.0 / QUANTUM)
    np.rint(bits, out=bits)
    bits *= QUANTUM
    return bits


def _to_quantum(bits: float) -> float:
    return round(bits / QUANTUM) * QUANTUM if bits < math.inf else bits


def _first(names: Any, chosen: Any) -> int:
    found = names[chosen]
    return int(found[0] if len(found) == 1 else found.min())
