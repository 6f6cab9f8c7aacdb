r"""Costs of merging two groups in bits, as functions of arrays.

Samples are in units of :math:`\epsilon/\sqrt d`, in which a group of weight ``n`` with
the covariance :math:`C = S/n` takes

.. math::

    L = \frac{n+d}{2} \log_2 \det(I + C)
    + \frac d2 \log_2(1 + \mu^T\mu / d) - n \log_2 n

bits; the last term is the part of its label bits that changes in a merge. The union of
two groups with the shares :math:`p + q = 1` has the covariance
:math:`pC_a + qC_b + pq\,\delta\delta^T`, where :math:`\delta` is the difference of the
means (absent if covariances are about the origin).

A group is represented by a column of a table: a one, the mean, its squared norm about
the centre and about the origin (divided by ``d``), the weight, and the bits of the
group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import lapack

from skredu.clustering._rows import group_bits
from skredu.coding._linalg import factor_of, log_volume

# Rows of the table before and after the means.
MEAN = slice(1, -4)
NORM, MEAN_SQUARE, COUNT, BITS = range(-4, 0)
# Costs are rounded to multiples of this number of bits, so that rounding errors do not
# decide between equal costs.
QUANTUM = 2.0**-32


def cheapest(costs: Any, names: Any) -> tuple[float, int]:
    """Return the lowest of some costs, and its name (the smallest one of ties)."""
    lowest = round(float(costs[costs.argmin()]) / QUANTUM) * QUANTUM
    names = names[costs <= lowest + 0.5 * QUANTUM]
    return lowest, int(names[0] if len(names) == 1 else names.min())


@dataclass(frozen=True)
class Costs:
    """Costs of merging groups.

    Parameters
    ----------
    n_features : int
        Dimension ``d`` of the lengths.
    assume_centered : bool
        Whether covariances are about the origin, so that there is no mean to code.
    label_bits : bool
        Whether to count the bits of the labels.
    """

    n_features: int
    assume_centered: bool
    label_bits: bool = True

    def bits(self, volumes: Any, counts: Any, mean_squares: Any) -> Any:
        """Return the bits of groups; see `group_bits`."""
        mean_squares = None if self.assume_centered else mean_squares
        d, label_bits = self.n_features, self.label_bits
        return group_bits(volumes, counts, mean_squares, d, label_bits=label_bits)

    def between_even_rows(self, A: Any, B: Any) -> Any:
        """Return the costs of merging single samples of equal weight, of shape (a, b).

        Determinants and squared means are products with the table, in half of the time.
        """
        d, total = self.n_features, 2.0 * float(B[COUNT, 0])
        mix = np.empty((A.shape[1], len(A) - 2))
        mix[:, 0] = 1.0 + 0.25 * A[NORM]
        mix[:, 1:-2] = -0.5 * A[MEAN].T
        mix[:, -2:] = 0.25, 0.0
        costs = _logs(mix @ B[:COUNT], 0.5 * (total + d))  # of 1 + |x - y|^2 / 4
        mix[:, :-2] /= -d
        mix[:, 0] += 1.0 / d + 1.0 + 0.5 * A[MEAN_SQUARE]
        mix[:, -2:] = -0.25 / d, 0.5
        costs += _logs(mix @ B[:COUNT], 0.5 * d)  # of 1 + |x + y|^2 / (4 d)
        labels = total * math.log2(total) if self.label_bits else 0.0
        costs -= B[BITS] + labels
        costs -= A[BITS][:, None]
        return costs

    def between_rows(self, A: Any, B: Any) -> Any:
        """Return the costs of merging single samples, of shape (a, b)."""
        total, p, q = _shares(A[COUNT][:, None], B[COUNT])
        a, b = A[NORM][:, None], B[NORM]
        products = A[MEAN].T @ B[MEAN]
        squares: Any = 0.0
        if self.assume_centered:  # the determinant of I + p x x^T + q y y^T
            rest = np.maximum(a * b - products * products, 0.0)
            determinants = 1.0 + p * a + q * b + p * q * rest
        else:  # that of I + pq (x - y) (x - y)^T
            squares = p * q * np.maximum(a + b - 2.0 * products, 0.0)
            determinants = 1.0 + squares
        mean_squares = p * A[MEAN_SQUARE][:, None] + q * B[MEAN_SQUARE]
        mean_squares = np.maximum(mean_squares - squares / self.n_features, 0.0)
        costs = self.bits(np.log2(determinants), total, mean_squares)
        costs -= B[BITS]
        costs -= A[BITS][:, None]
        return costs

    def with_even_rows(self, a: Any, covariance: Any, B: Any) -> Any:
        r"""Return the costs of merging a group with single samples of equal weight.

        Let :math:`LL^T = I + pC`. The inverse of

        .. math:: \begin{pmatrix} 1 & 0 \\ \mu & L / \sqrt{pq} \end{pmatrix}

        maps :math:`(1, x)` to :math:`(1, \sqrt{pq}\, L^{-1}(x - \mu))`, whose squared
        norm is the factor of the determinant. So a single product serves all samples.
        """
        d, total, p, q = self.n_features, *_shares(float(a[COUNT]), float(B[COUNT, 0]))
        L = factor_of(p * covariance)
        constant = 0.5 * (total + d) * log2_det(L) - float(a[BITS])
        if self.label_bits:
            constant -= total * math.log2(total)
        root = np.zeros((len(L) + 1, len(L) + 1), order="F")
        root[0, 0] = 1.0
        np.divide(L, math.sqrt(q if self.assume_centered else p * q), out=root[1:, 1:])
        if not self.assume_centered:
            root[1:, 0] = a[MEAN]
        Y = lapack.dtrtri(root, lower=1, overwrite_c=1)[0] @ B[: len(root)]
        Y *= Y
        costs = _logs(np.ones(len(Y)) @ Y, 0.5 * (total + d))
        costs -= B[BITS]
        costs += constant
        if self.assume_centered:
            return costs
        mix = a[:COUNT] * (2.0 * p * q / d)  # squared means of the unions, one product
        mix[0] = 1.0 + p * a[MEAN_SQUARE] - p * q / d * a[NORM]
        mix[-2:] = -p * q / d, q
        costs += _logs(mix @ B[:COUNT], 0.5 * d)
        return costs

    def with_rows(self, a: Any, spectrum: Any, B: Any, *, even: bool) -> Any:
        """Return the costs of merging a group with single samples.

        ``spectrum`` contains eigenvalues of its covariance, and eigenvectors as rows.
        """
        total, p, q = _shares(a[COUNT], B[COUNT][:1] if even else B[COUNT])
        factor = q if self.assume_centered else p * q
        values, Vt = spectrum
        stretch = 1.0 + values[:, None] * p  # one column, or one for each sample
        arms = B[MEAN] if self.assume_centered else B[MEAN] - a[MEAN][:, None]
        squares = np.einsum("ij,ij->j", arms, arms)
        Y = Vt @ arms
        form = np.sum(Y * Y / stretch, axis=0)
        if len(Vt) < len(arms):
            rest = arms - Vt.T @ Y
            form += np.einsum("ij,ij->j", rest, rest)
        volumes = np.sum(np.log2(stretch), axis=0) + np.log2(1.0 + factor * form)
        return self._costs(a, B, (total, p, q), volumes, p * q * squares)

    def with_groups(self, a: Any, own: Any, B: Any, others: Any) -> Any:
        """Return the costs of merging a group with others, by factors of covariances.

        ``own`` is the covariance of the group, and ``others`` are those of the others,
        (m, r, r).
        """
        shares = _, p, q = _shares(a[COUNT], B[COUNT])
        arms, squares = self._arms(a, B, shares)
        matrices = others * q[:, None, None]
        matrices += own * p[:, None, None]
        if not self.assume_centered:
            matrices += arms[:, :, None] * arms[:, None, :]
        flat, every = matrices.reshape(len(p), -1), len(own) + 1
        flat[:, ::every] += 1.0  # on the diagonal
        pivots = np.linalg.cholesky(matrices).reshape(len(p), -1)[:, ::every]
        volumes = 2.0 * np.add.reduce(np.log2(pivots), axis=1)
        return self._costs(a, B, shares, volumes, squares)

    def with_roots(self, a: Any, own: Any, B: Any, others: Any) -> Any:
        """Return the costs of merging a group with others, by roots of covariances.

        ``others`` is a list of roots, or an array of shape (m, r, r).
        """
        shares = _, p, q = _shares(a[COUNT], B[COUNT])
        arms, squares = self._arms(a, B, shares)
        if isinstance(others, list):
            between = [None] * len(p) if self.assume_centered else arms
            roots: Any = map(partial(mixed_root, own), others, p, q, between)
            volumes = np.array([log_volume(root) for root in roots]) / math.log(2.0)
            return self._costs(a, B, shares, volumes, squares)
        p, q = (np.sqrt(share)[:, None, None] for share in (p, q))
        parts = [] if self.assume_centered else [arms[:, None, :]]
        roots = np.concatenate([p * own, q * others, *parts], axis=1)
        sigma = np.linalg.svd(roots, compute_uv=False)
        rounding = max(roots.shape[1:]) * np.finfo(np.float64).eps
        sigma[sigma <= rounding * sigma[:, :1]] = 0.0
        volumes = np.log2(1.0 + sigma * sigma).sum(axis=1)
        return self._costs(a, B, shares, volumes, squares)

    def _arms(self, a: Any, B: Any, shares: Any) -> tuple[Any, Any]:
        """Return differences of means times the root of both shares, and squares."""
        if self.assume_centered:
            return None, 0.0
        arms = B[MEAN].T - a[MEAN]
        arms *= np.sqrt(shares[1] * shares[2])[:, None]
        return arms, np.einsum("ij,ij->i", arms, arms)

    def _costs(self, a: Any, B: Any, shares: Any, volumes: Any, squares: Any) -> Any:
        """Return the bits of unions minus those of their parts.

        ``squares`` are those of the differences of means, times both shares.
        """
        total, p, q = shares
        bits = self.bits(volumes, total, self.mean_squares(a, B, p, q, squares))
        bits -= B[BITS]
        bits -= a[BITS]
        return bits

    def mean_squares(self, a: Any, B: Any, p: Any, q: Any, squares: Any) -> Any:
        """Return the squared means of unions about the origin."""
        if self.assume_centered:
            return 0.0
        mean_squares = q * B[MEAN_SQUARE]
        mean_squares += p * a[MEAN_SQUARE]
        mean_squares -= squares / self.n_features
        return np.maximum(mean_squares, 0.0)


def log2_det(L: Any) -> float:
    """Return the log-determinant of ``L L^T`` in bits, from the product of pivots."""
    return 2.0 * math.log2(np.multiply.reduce(L.diagonal()))


def mixture(own: Any, other: Any, p: float, q: float, arm: Any) -> Any:
    """Return the covariance of the union of two groups."""
    matrix = p * own
    matrix += q * other
    if arm is not None:
        matrix += arm[:, None] * arm
    return matrix


def mixed_root(own: Any, other: Any, p: float, q: float, arm: Any) -> Any:
    """Return a root of the covariance of the union of two groups."""
    rows = [] if arm is None else [arm[None, :]]
    return np.concatenate([math.sqrt(p) * own, math.sqrt(q) * other, *rows])


def _shares(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Return the weight of unions, and the shares of both parts."""
    total = a + b
    return total, a / total, b / total


def _logs(determinants: Any, factor: float) -> Any:
    """Return multiples of logarithms of numbers of at least one, in place."""
    np.maximum(determinants, 1.0, out=determinants)
    np.log2(determinants, out=determinants)
    determinants *= factor
    return determinants
