r"""The formulas of the clustering: bits of groups, and costs of changing them.

Samples are in units of :math:`\epsilon/\sqrt d`, in which a group of weight ``n`` with
the covariance :math:`C = S/n` takes

.. math::

    L = \frac{n+d}{2} \log_2 \det(I + C)
    + \frac d2 \log_2(1 + \mu^T\mu / d) - n \log_2 n

bits; the last term is the part of its label bits that depends on the group. If a group
changes, its covariance changes as follows (without the terms of means if covariances
are about the origin):

- A sample ``x`` joins with the weight ``t``, or leaves with :math:`t < 0`: the scatter
  changes by a matrix of rank one, :math:`\frac{nt}{n+t} (x-\mu)(x-\mu)^T`. This is a
  matter of `Cluster`, which knows the eigenvectors of its scatter.
- Two groups of the weights ``a`` and ``b`` merge: the scatter of the union is
  :math:`S_a + S_b + \frac{ab}{a+b} \delta\delta^T`, where :math:`\delta` is the
  difference of the means. This is a matter of `MergeCosts`, for many pairs at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import lapack

from skredu.clustering._rows import Samples, group_bits
from skredu.coding._group import NOTHING_LEFT
from skredu.coding._linalg import log_volume

# Smallest remaining share of a determinant that decreases.
LEAST = 2.0**-53
# Costs are rounded to multiples of this number of bits, so that rounding errors do not
# decide between equal costs.
QUANTUM = 2.0**-32
# Rows of the table of groups before and after the means.
MEAN = slice(1, -4)
NORM, MEAN_SQUARE, COUNT, BITS = range(-4, 0)


# -- a sample joins or leaves ---------------------------------------------------------


@dataclass(eq=False, repr=False)
class Cluster:
    """A coded group.

    Parameters
    ----------
    rows : Samples
        The samples from which the group is taken.
    count : float
        Its weight.
    mean : array of shape (r,)
    eigenvalues : array of shape (p,)
        Eigenvalues of the scatter; all others are zero.
    basis : array of shape (r, p)
        The eigenvectors.
    mean_square : float
        Squared norm of the mean about the true origin, divided by ``d``.
    bits : float
    members : array of int, default=None
        The samples of the group.
    """

    rows: Samples
    count: float
    mean: Any
    eigenvalues: Any
    basis: Any
    mean_square: float
    bits: float
    members: Any = None
    # Changes if each of all samples joins, and if each of its samples leaves, as far as
    # they are known.
    joined: Any = None
    left: Any = None

    @classmethod
    def of(cls, rows: Samples, index: Any) -> Cluster:
        """Code the group of some samples."""
        X, weights = rows.X[index], rows.weights[index]
        count, mean = float(np.sum(weights)), np.zeros(X.shape[1])
        if not rows.assume_centered:
            mean = weights @ X / count
            X = X - mean
        if rows.as_matrices and len(X) > X.shape[1]:
            eigenvalues, basis = np.linalg.eigh((weights[:, None] * X).T @ X)
            eigenvalues = np.maximum(eigenvalues, 0.0)
        else:
            root = np.sqrt(weights)[:, None] * X
            _, sigma, Vt = np.linalg.svd(root, full_matrices=False)
            eigenvalues, basis = sigma * sigma, Vt.T
        return cls.coded(rows, index, count, mean, eigenvalues, basis)

    @classmethod
    def coded(
        cls, rows: Samples, members: Any, count: float, mean: Any, values: Any, V: Any
    ) -> Cluster:
        """Return a group from the eigenvalues and eigenvectors of its scatter."""
        mean_square = 0.0
        if not rows.assume_centered:
            away = mean + rows.origin
            mean_square = float(away @ away) / rows.n_features
        volume = float(np.sum(np.log2(1.0 + values / count)))
        bits = float(group_bits(volume, count, mean_square, rows.n_features))
        return cls(rows, count, mean, values, V, mean_square, bits, members)

    @property
    def dimension(self) -> float:
        """Effective dimension: variances beyond the distortion count as one."""
        return float(np.sum(self.eigenvalues / (self.eigenvalues + self.count)))

    def to_state(self) -> dict[str, Any]:
        """Return the arguments that restore the code with other samples."""
        names = ("count", "mean", "eigenvalues", "basis", "mean_square", "bits")
        return {name: getattr(self, name) for name in names}

    def change(self, X: Any, weights: Any, sign: float) -> Any:
        """Return the bits that are added if each sample joins (1) or leaves (-1).

        A sample joins or leaves with its whole weight. For few samples compared with
        the weight of the group, differences of lengths would be rounding errors, so
        each term of the difference is computed explicitly.
        """
        d, centered = self.rows.n_features, self.rows.assume_centered
        t = sign * weights
        if np.all(t == t[0]):
            t = t[:1]
        empty = self.count + t <= NOTHING_LEFT * self.count
        t = np.where(empty, 0.0, t)
        count = self.count + t
        share, values = t / count, self.eigenvalues[:, None]
        # the volume of the same scatter at another weight
        if np.max(share) > 0.5:
            nats = np.log1p(values / count) - np.log1p(values / self.count)
        else:
            nats = np.log1p(-share * (values / (self.count + values)))
        nats = np.sum(nats, axis=0)
        # the factor of the determinant by a matrix of rank one
        arms = X if centered else X - self.mean
        squares = np.einsum("ij,ij->i", arms, arms)
        Y = arms @ self.basis
        rest: Any = 0.0
        if Y.shape[1] < X.shape[1]:
            if self.rows.as_matrices:
                rest = np.maximum(squares - np.einsum("ij,ij->i", Y, Y), 0.0)
            else:
                outside = arms - Y @ self.basis.T
                rest = np.einsum("ij,ij->i", outside, outside)
        Y *= Y
        shrink = 1.0 / (1.0 + values / count)
        form = Y @ shrink[:, 0] if len(t) == 1 else np.einsum("ij,ji->i", Y, shrink)
        factor = share if centered else share * self.count / count
        nats = nats + np.log1p(np.maximum(factor * (form + rest), LEAST - 1.0))
        nats *= 0.5 * (count + d)
        nats += 0.5 * t * np.sum(np.log1p(self.eigenvalues / self.count))
        nats -= t * np.log(count) + self.count * np.log1p(t / self.count)
        if not centered:
            away = self.mean + self.rows.origin
            along = X @ away - self.mean @ away
            rise = (2.0 * share * along + share * share * squares) / d
            rise = np.maximum(rise, -self.mean_square) / (1.0 + self.mean_square)
            nats += 0.5 * d * np.log1p(np.maximum(rise, LEAST - 1.0))
        return np.where(empty, -self.bits, nats / math.log(2.0))


# -- two groups merge -----------------------------------------------------------------


@dataclass(frozen=True)
class MergeCosts:
    """Costs of merging groups in bits, as functions of arrays.

    A group is represented by a column of a table: a one, the mean, its squared norm
    about the centre and about the origin (divided by ``d``), the weight, and the bits
    of the group. ``a`` is one column, ``A`` and ``B`` are several.

    Parameters
    ----------
    n_features : int
        Dimension ``d`` of the lengths.
    assume_centered : bool
        Whether covariances are about the origin, so that there is no mean to code.
    """

    n_features: int
    assume_centered: bool

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
        costs -= B[BITS] + total * math.log2(total)
        costs -= A[BITS][:, None]
        return costs

    def between_rows(self, A: Any, B: Any) -> Any:
        """Return the costs of merging single samples, of shape (a, b)."""
        A = A[..., None]
        total = A[COUNT] + B[COUNT]
        p, q = A[COUNT] / total, B[COUNT] / total
        products = A[MEAN, :, 0].T @ B[MEAN]
        squares: Any = 0.0
        if self.assume_centered:  # the determinant of I + p x x^T + q y y^T
            rest = np.maximum(A[NORM] * B[NORM] - products * products, 0.0)
            determinants = 1.0 + p * A[NORM] + q * B[NORM] + p * q * rest
        else:  # that of I + pq (x - y) (x - y)^T
            squares = p * q * np.maximum(A[NORM] + B[NORM] - 2.0 * products, 0.0)
            determinants = 1.0 + squares
        return self._added(A, B, total, np.log2(determinants), squares)

    def with_even_rows(self, a: Any, scatter: Any, B: Any) -> Any:
        r"""Return the costs of merging a group with single samples of equal weight.

        Let :math:`LL^T = I + S / n` with the weight ``n`` of the union and the shares
        ``p`` and ``q``. The inverse of

        .. math:: \begin{pmatrix} 1 & 0 \\ \mu & L / \sqrt{pq} \end{pmatrix}

        maps :math:`(1, x)` to :math:`(1, \sqrt{pq}\, L^{-1}(x - \mu))`, whose squared
        norm is the factor of the determinant. The squared means of the unions are
        linear in the columns of the table. So one product serves all samples.
        """
        d, centered = self.n_features, self.assume_centered
        total = float(a[COUNT] + B[COUNT, 0])
        p, q = float(a[COUNT]) / total, float(B[COUNT, 0]) / total
        L, volume = cholesky(scatter / total)
        root = np.zeros((len(L) + 1, len(L) + 1), order="F")
        root[0, 0] = 1.0
        np.divide(L, math.sqrt(q if centered else p * q), out=root[1:, 1:])
        if not centered:
            root[1:, 0] = a[MEAN]
        mix = np.zeros((len(root) + (not centered), len(a) - 2))
        mix[: len(root), : len(root)] = lapack.dtrtri(root, lower=1, overwrite_c=1)[0]
        if not centered:
            mix[-1] = a[:COUNT] * (2.0 * p * q / d)
            mix[-1, 0] = 1.0 + p * a[MEAN_SQUARE] - p * q / d * a[NORM]
            mix[-1, -2:] = -p * q / d, q
        Y = mix @ B[:COUNT]
        arms = Y[: len(root)]
        costs = _logs(np.einsum("ij,ij->j", arms, arms), 0.5 * (total + d))
        if not centered:
            costs += _logs(Y[-1], 0.5 * d)
        costs -= B[BITS]
        costs += 0.5 * (total + d) * volume - float(a[BITS]) - total * math.log2(total)
        return costs

    def with_groups(self, a: Any, own: Any, B: Any, others: Any) -> Any:
        """Return the costs of merging a group with others, by their scatters.

        ``own`` is the scatter of the group, and ``others`` are those of the others,
        (m, r, r).
        """
        (m, r, _), (total, arms, squares) = others.shape, self._arms(a, B)
        unions = others + own
        if not self.assume_centered:
            unions += arms[:, :, None] * arms[:, None, :]
        unions.reshape(m, -1)[:, :: r + 1] += total[:, None]
        pivots = np.linalg.cholesky(unions).reshape(m, -1)[:, :: r + 1]
        volumes = np.add.reduce(np.log2(pivots), axis=1)
        volumes *= 2.0
        volumes -= r * np.log2(total)
        return self._added(a, B, total, volumes, squares)

    def with_roots(self, a: Any, own: Any, B: Any, others: Any) -> Any:
        """Return the costs of merging a group with others, by roots of scatters.

        ``others`` is a list of roots, or an array of shape (m, r, r).
        """
        total, arms, squares = self._arms(a, B)
        between = [] if self.assume_centered else [arms[:, None, :]]
        if isinstance(others, list):
            nats = []
            for i, other in enumerate(others):
                root = np.concatenate([own, other, *(arm[i] for arm in between)])
                nats.append(log_volume(root / math.sqrt(total[i])))
            volumes = np.array(nats) / math.log(2.0)
            return self._added(a, B, total, volumes, squares)
        every = np.broadcast_to(own, (len(others), *own.shape))
        roots = np.concatenate([every, others, *between], axis=1)
        sigma = np.linalg.svd(roots, compute_uv=False)
        rounding = max(roots.shape[1:]) * np.finfo(np.float64).eps
        sigma[sigma <= rounding * sigma[:, :1]] = 0.0
        volumes = np.log2(1.0 + sigma * sigma / total[:, None]).sum(axis=1)
        return self._added(a, B, total, volumes, squares)

    def _arms(self, a: Any, B: Any) -> tuple[Any, Any, Any]:
        """Return weights of unions, scaled differences of means, and squared norms.

        The product of each difference with itself is part of the scatter of the union.
        The squared norms are divided by the weight.
        """
        total = a[COUNT] + B[COUNT]
        if self.assume_centered:
            return total, None, 0.0
        arms = np.subtract(B[MEAN].T, a[MEAN], order="C")
        arms *= np.sqrt(a[COUNT] * B[COUNT] / total)[:, None]
        return total, arms, np.einsum("ij,ij->i", arms, arms) / total

    def _added(self, a: Any, B: Any, total: Any, volumes: Any, squares: Any) -> Any:
        """Return the bits of unions minus those of their parts.

        ``squares`` are those of the differences of means, times both shares.
        """
        d = self.n_features
        mean_squares = B[COUNT] * B[MEAN_SQUARE] + a[COUNT] * a[MEAN_SQUARE]
        mean_squares /= total
        mean_squares -= squares / d
        mean_squares = np.maximum(mean_squares, 0.0)
        bits = group_bits(volumes, total, mean_squares, d)
        bits -= B[BITS]
        bits -= a[BITS]
        return bits


def cholesky(matrix: Any) -> tuple[Any, float]:
    """Return the factor of ``I + matrix``, which is overwritten, and its log-volume."""
    matrix.reshape(-1)[:: len(matrix) + 1] += 1.0
    # twice as fast as a function that checks types, and called for every merge
    upper, _ = lapack.dpotrf(matrix.T, lower=0, overwrite_a=1)
    # the product of the pivots is in range for covariances that are used as matrices
    return upper.T, 2.0 * math.log2(np.multiply.reduce(upper.diagonal()))


def _logs(determinants: Any, factor: float) -> Any:
    """Return multiples of logarithms of numbers of at least one, in place."""
    np.maximum(determinants, 1.0, out=determinants)
    np.log2(determinants, out=determinants)
    determinants *= factor
    return determinants
