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

from skredu.clustering._store import Store
from skredu.coding._linalg import log_volume

# Costs are whole multiples of this many bits, so that rounding decides no ties.
QUANTUM = 2.0**-32
# What rounding may add to a lower bound, relative to the bits of the pair.
SLACK = 1e-10
# Pairs that are factored first; four times as many in every further round.
FIRST_ROUND = 8


class Groups(Store):
    """Active groups and what merging two of them costs."""

    def best_partner(self, slot: int) -> tuple[float, int]:
        """Cheapest group to merge with among those with smaller names.

        Returns the cost in bits and the partner's name, the smallest name where costs
        are equal; infinity and -1 where there is none.
        """
        name, best, partner = self.names[slot], math.inf, -1
        if self.n_thin:
            costs, names = self.thin_costs(slot), self.names[: self.n_thin]
            if slot < self.first_thick or name < self.n_names - 1:
                costs[names >= name] = math.inf
            best = _to_quantum(costs.min())
            if best < math.inf:
                partner = _first(names, costs <= best + 0.5 * QUANTUM)
        if self.n_thick == 0:
            return best, partner
        names = self.names[self.first_thick : self.end]
        left, step = np.flatnonzero(names < name), FIRST_ROUND
        bounds = np.full(len(names), -math.inf)
        if len(left) > FIRST_ROUND:
            bounds = self._thick_bounds(slot)
            left = left[bounds[left] <= best]
        while len(left):
            if len(left) > step:
                left = left[np.argpartition(bounds[left], step)]
            tried, left = left[:step], left[step:]
            costs = quantised(self._thick_costs(slot, tried))
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
            costs[thin] = self._thin_costs(slot, others[thin], even=False)
        if not np.all(thin):
            thick = others[~thin] - self.first_thick
            costs[~thin] = self._thick_costs(slot, thick)
        return quantised(costs)

    def thin_costs(self, slot: int) -> Any:
        """Bits that merging a group with each of the thin ones takes."""
        if self.even and not self.steep:
            return self._even_costs(slot)
        return self._thin_costs(slot, slice(self.n_thin), even=self.even)

    def pair_costs(self, block: slice) -> Any:
        """Bits that merging thin groups of a block with all up to its end takes."""
        others = slice(block.stop)
        a, b = self.norms[block][:, None], self.norms[others]
        counts = self.counts[others][:1] if self.even else self.counts[others]
        total = (counts if self.even else self.counts[block][:, None]) + counts
        q = counts / total
        p = 1.0 - q
        squares = self.means[:, block].T @ self.means[:, others]
        if self.centered:  # the determinant of I + p x x^T + q y y^T
            squares *= squares
            volumes = 1.0 + p * a + q * b + p * q * np.maximum(a * b - squares, 0.0)
            mean_squares: Any = 0.0
        else:
            squares *= -2.0
            squares += a
            squares += b
            np.maximum(squares, 0.0, out=squares)
            squares *= p * q
            volumes = 1.0 + squares
            squares /= -self.d
            squares += p * self.mean_squares[block][:, None]
            squares += q * self.mean_squares[others]
            mean_squares = np.maximum(squares, 0.0, out=squares)
        bits = self._own_bits(np.log2(volumes, out=volumes), total, mean_squares)
        bits -= self.bits[others]
        bits -= self.bits[block][:, None]
        return bits

    def _thin_costs(self, slot: int, others: Any, *, even: bool) -> Any:
        counts = self.counts[others][:1] if even else self.counts[others]
        total = self.counts[slot] + counts
        q = counts / total
        p = 1.0 - q
        factor = q if self.centered else p * q
        values, Vt = self._spectrum(slot)
        stretch = 1.0 + values[:, None] * p  # one column, or one for each thin group
        form, squares = self._form(slot, others, Vt, stretch)
        volumes = np.sum(np.log2(stretch), axis=0) + np.log2(1.0 + factor * form)
        return self._cost(slot, others, (total, p, q), volumes, factor * squares)

    def _even_costs(self, slot: int) -> Any:
        """`_thin_costs` where all thin groups weigh the same: scalars, one product."""
        n, own, weight = self.n_thin, float(self.counts[slot]), float(self.counts[0])
        total = own + weight
        q = weight / total
        p = 1.0 - q
        values, Vt = self._spectrum(slot)
        stretch = 1.0 + p * values
        form, squares = self._even_form(slot, Vt, stretch)
        constant = 0.5 * (total + self.d) * float(np.log2(stretch).sum())
        constant -= total * math.log2(total) + float(self.bits[slot])
        costs = form * (q if self.centered else p * q)
        costs += 1.0
        np.log2(costs, out=costs)
        costs *= 0.5 * (total + self.d)
        costs -= self.bits[:n]
        costs += constant
        if self.centered:
            return costs
        squares *= -p * q / self.d
        squares += q * self.mean_squares[:n]
        squares += p * float(self.mean_squares[slot])
        np.maximum(squares, 0.0, out=squares)
        squares += 1.0
        np.log2(squares, out=squares)
        squares *= 0.5 * self.d
        costs += squares
        return costs

    def _even_form(self, slot: int, Vt: Any, stretch: Any) -> tuple[Any, Any]:
        """Quadratic forms of `_form` for all thin groups, in one product."""
        n, k = self.n_thin, len(Vt)
        means, mean, squares = self.means[:, :n], self.means[:, slot], self.norms[:n]
        full = k == self.r
        scale = 1.0 / stretch if full else (stretch - 1.0) / stretch
        W = np.empty((k + 1, self.r))
        np.multiply(np.sqrt(scale)[:, None], Vt, out=W[:k])
        W[k] = mean
        Y = W @ means
        if not self.centered:
            squares = Y[k] * -2.0
            squares += self.norms[:n]
            squares += self.norms[slot]
            np.maximum(squares, 0.0, out=squares)
            Y[:k] -= (W[:k] @ mean)[:, None]
        Y = Y[:k]
        form = np.einsum("ij,ij->j", Y, Y)
        if not full:
            np.subtract(squares, form, out=form)
            np.maximum(form, 0.0, out=form)
        return form, squares

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
        others = slice(self.first_thick, self.end)
        total = self.counts[slot] + self.counts[others]
        q = self.counts[others] / total
        p = 1.0 - q
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
        return bounds - SLACK * (np.abs(bounds) + self.bits[others] + total)

    def _thick_costs(self, slot: int, thick: Any) -> Any:
        """Bits that merging with each of some thick groups, counted from 0, takes."""
        others = thick + self.first_thick
        total = self.counts[slot] + self.counts[others]
        q = self.counts[others] / total
        p = 1.0 - q
        arms, squares = None, 0.0
        if not self.centered:
            arms = self.means[:, others].T - self.means[:, slot]
            arms *= np.sqrt(p * q)[:, None]
            squares = np.einsum("ij,ij->i", arms, arms)
        if self.dense:
            volumes = self._dense_volumes(slot, thick, p, q, arms)
        else:
            own, volumes = self.root(slot), np.empty(len(others))
            for i, other in enumerate(others):
                roots = [math.sqrt(p[i]) * own, math.sqrt(q[i]) * self.root(other)]
                if arms is not None:
                    roots.append(arms[i][None, :])
                volumes[i] = log_volume(np.concatenate(roots)) / math.log(2.0)
        return self._cost(slot, others, (total, p, q), volumes, squares)

    def _dense_volumes(self, slot: int, thick: Any, p: Any, q: Any, arms: Any) -> Any:
        """Log-volumes of unions by Cholesky factors of their covariances."""
        matrices = self.covariances[thick]
        matrices *= q[:, None, None]
        if slot >= self.first_thick or self.centered:
            matrices += p[:, None, None] * self._matrix(slot)
        if arms is not None:
            matrices += arms[:, :, None] * arms[:, None, :]
        matrices.reshape(len(thick), -1)[:, :: self.r + 1] += 1.0
        factors = np.linalg.cholesky(matrices)
        pivots = factors.reshape(len(thick), -1)[:, :: self.r + 1]
        return 2.0 * np.log2(pivots).sum(axis=1)

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


def quantised(bits: Any) -> Any:
    """Bits to the next multiple of the quantum."""
    bits = bits * (1.0 / QUANTUM)
    np.rint(bits, out=bits)
    bits *= QUANTUM
    return bits


def _to_quantum(bits: float) -> float:
    return round(bits / QUANTUM) * QUANTUM if bits < math.inf else bits


def _first(names: Any, chosen: Any) -> int:
    return int(np.min(names[chosen]))
