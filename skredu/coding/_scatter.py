r"""Scatters of groups of samples, which merge exactly, and groups coded by them.

A `Scatter` contains count, mean and scatter. The latter,
:math:`S = \sum_i w_i (x_i - \mu)(x_i - \mu)^T`, is represented on its cheaper side: by
a ``root`` of at most ``d`` rows with ``root.T @ root == S`` as long as there are fewer
samples than features (so that no ``d x d`` array is formed), and by a ``matrix``
otherwise. The mean is represented by the sum of two floats, so that the distance of two
means that are far from the origin is precise.

`group_of`, `dense_group` and `group_of_scatter` are the only functions that choose the
form of a coded group. A scatter is factored on its cheaper side, and in a way that
preserves the precision that its condition :math:`c \operatorname{tr} S` requires:
rounding errors of weak directions are this number times the machine precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from skredu._compat import at_least, namespace
from skredu.coding._dense import DenseGroup
from skredu.coding._group import Blocks, Group, vector_blocks
from skredu.coding._linalg import (
    MAX_DENSE_CONDITION,
    MAX_GRAM,
    adjoint,
    directions,
    is_complex,
    one_block,
    scatter_of,
    scatters,
    split,
    split_constant,
    spread_columns,
    squared_norms,
    squares,
    weighted,
    widen,
)


@dataclass(frozen=True, eq=False, repr=False)
class Scatter:
    """Weighted count, mean and scatter of a group.

    Parameters
    ----------
    count : float
        Sum of the weights.
    mean : array of shape (d,)
        Weighted mean; always zero with ``assume_centered``.
    root : array of shape (m, d), or None
        Rows with ``root.T @ root`` equal to the scatter. If it is computed from
        samples, these are the weighted, centred samples in their order; a merge adds
        one row.
    matrix : array of shape (d, d) or (F, d, d), or None
        The scatter, block by block for signals; exactly one of ``root`` and ``matrix``
        is not None.
    assume_centered : bool
        Whether the scatter is about the origin instead of the mean.
    epsilon : float
        The smallest distortion that will be used, if it is known. If a matrix would be
        ill-conditioned there, a root is kept (by QR) even with more samples than
        features, so that null directions are precise to the square of the rounding
        error.
    rest : array of shape (d,), or 0.0
        Rounding error of ``mean``.
    shares : array of shape (m,), float or None
        Shares of the samples in the count if these are the rows of ``root``.
    """

    count: float
    mean: Any
    root: Any
    matrix: Any
    assume_centered: bool = False
    epsilon: float = math.inf
    rest: Any = 0.0
    shares: Any = None

    @classmethod
    def from_rows(
        cls,
        X: Any,
        weights: Any = None,
        *,
        assume_centered: bool = False,
        epsilon: float = math.inf,
    ) -> Scatter:
        """Compute the scatter of samples (n, d); a weight is a number of copies."""
        count, mean, rest, root = centre(X, weights, assume_centered=assume_centered)
        scatter = cls(count, mean, root, None, assume_centered, epsilon, rest)
        if root.shape[0] > root.shape[1]:
            return scatter._smaller()
        copies = 1.0 if weights is None else widen(weights)
        return replace(scatter, shares=copies / (count or 1.0))

    @property
    def trace(self) -> float:
        """Trace of the scatter: the weighted sum of squared distances to the mean."""
        xp = namespace(self.mean)
        if self.matrix is not None:
            return float(xp.sum(xp.linalg.diagonal(self.matrix)))
        return float(xp.sum(self.root * self.root))

    def condition(self, epsilon: float) -> float:
        """Return the trace of ``c S``, a bound of the condition of ``I + c S``."""
        return float(self.mean.shape[0]) / self.count / epsilon / epsilon * self.trace

    def ill_conditioned(self, epsilon: float) -> bool:
        """Return whether a matrix would be too imprecise for a distortion."""
        eps = float(namespace(self.mean).finfo(self.mean.dtype).eps)
        limit = min(MAX_DENSE_CONDITION, 1.0 / math.sqrt(eps))
        return self.count > 0.0 and self.condition(epsilon) > limit

    def dense(self) -> Any:
        """Return the scatter as an array of shape (d, d)."""
        return self.root.T @ self.root if self.matrix is None else self.matrix

    def merge(self, other: Scatter) -> Scatter:
        """Return the scatter of both groups together."""
        if self.count == 0.0 or other.count == 0.0:
            return self if other.count == 0.0 else other
        xp = namespace(self.mean)
        count = self.count + other.count
        share = other.count / count
        mean, rest, between = self.mean, self.rest, []
        if not self.assume_centered:
            shift = (other.mean - self.mean) + (other.rest - self.rest)
            mean, rest = _two_sum(self.mean, self.rest + shift * share)
            between = [shift[None, :] * (self.count * share) ** 0.5]
        options = self.assume_centered, min(self.epsilon, other.epsilon), rest
        if self.matrix is None and other.matrix is None:
            root = xp.concat([self.root, other.root, *between], axis=0)
            return Scatter(count, mean, root, None, *options)._smaller()
        matrix = self.dense() + other.dense()
        for row in between:
            matrix = matrix + row.T @ row
        return Scatter(count, mean, None, matrix, *options)

    def _smaller(self) -> Scatter:
        """Return the scatter with at most ``d`` rows in its root, or as a matrix."""
        if self.root.shape[0] <= self.root.shape[1]:
            return self
        found = replace(self, root=None, matrix=scatter_of(self.root))
        if self.epsilon < math.inf and found.ill_conditioned(self.epsilon):
            root = namespace(self.root).linalg.qr(self.root, mode="reduced")[1]
            return replace(self, root=root)
        return found


def centre(
    X: Any, weights: Any = None, *, assume_centered: bool = False
) -> tuple[float, Any, Any, Any]:
    """Return weighted count, mean in two parts, and rows ``sqrt(w) (x - mean)``.

    The rows are first shifted by one of them, the one with the largest weight. So an
    offset of 1e8 does not reduce the precision of the scatter, and the scatter of equal
    rows is exactly zero.
    """
    xp = namespace(X)
    count = float(X.shape[0] if weights is None else xp.sum(widen(weights)))
    mean = rest = xp.zeros(X.shape[1], dtype=X.dtype, device=X.device)
    if count == 0.0:
        return count, mean, rest, X[:0, :]
    if weights is not None:
        weights = xp.astype(weights, X.dtype, copy=False)
    if not assume_centered:
        heaviest = 0 if weights is None else int(xp.argmax(weights))
        first = X[heaviest, :]
        X = X - first
        middle = xp.mean(X, axis=0) if weights is None else (weights / count) @ X
        mean, rest = _two_sum(first, middle)
        X -= middle  # a copy at this point
    if weights is not None:
        X = xp.sqrt(weights)[:, None] * X
    return count, mean, rest, X


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """Return the sum of two arrays and its exact rounding error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


# Operations, divided by m^3, of an eigendecomposition of size m, and of the dense form
# (two Cholesky factors, an inverse and a symmetric inverse).
EIGENVECTORS = 10.0
CHOLESKY = 2.0


def group_of(
    Z: Any,
    weights: Any,
    blocks: Blocks,
    *,
    epsilon: float | None = None,
    centred: bool = False,
    n_coded: int = 0,
    left_out: bool = False,
    exact: bool = False,
    scatter: Any = None,
) -> Group | DenseGroup:
    """Code a group of samples, in the form that takes fewer operations.

    Parameters
    ----------
    Z : array of shape (F, C, b)
        Features of the samples of the group.
    weights : array of shape (b,) or None
        Their weights, which are positive; None if all are one.
    blocks : Blocks
    epsilon : float, default=None
        The only distortion that will be used. None means that any distortion may be
        used, so the group is factored.
    centred : bool, default=False
        Whether to code vectors about their mean; only if any distortion may be used.
    n_coded : int, default=0
        Number of samples that will be scored and projected.
    left_out : bool, default=False
        Whether samples of the group will be left out. If their weights differ, the
        group is factored, because matrices serve only one scale.
    exact : bool, default=False
        Whether small residuals will be compared, so that matrices must be more precise.
    scatter : array of shape (F, C, C), default=None
        Scatter of the samples in double precision, if it is known.
    """
    xp, mean = namespace(Z), None
    if centred:
        n, mean, _, root = centre(Z[0, ...].T, weights)
        root = root.T[None, ...]
    else:
        n = float(Z.shape[2] if weights is None else xp.sum(weights))
        root = weighted(Z, weights)
    if epsilon is None:
        # singular values, which are precise at any distortion, if they are cheap
        few = one_block(Z) and Z.shape[2] <= Z.shape[1]
        condition = math.inf if few else 0.0
    else:
        differ = left_out and weights is not None and xp.any(weights != weights[0])
        if differ or _factored_pays(Z, n_coded):
            condition = _condition(squared_norms(root), n, blocks, epsilon)
        else:
            S = scatters(root) if scatter is None else scatter
            group = dense_group(S, n, blocks, epsilon, Z.dtype, exact=exact)
            if group is not None:
                return group
            condition = math.inf
    shares = 1.0 / n if weights is None else weights / n
    return _group_of_root(root, n, blocks, mean, shares, epsilon, condition)


def dense_group(
    S: Any, n: float, blocks: Blocks, epsilon: float, dtype: Any, *, exact: bool
) -> DenseGroup | None:
    """Code a group about the origin by its scatter (F, C, C); see `group_of`.

    None means that a matrix would be too imprecise.
    """
    diagonals = namespace(S).linalg.diagonal(S)
    if is_complex(diagonals):
        diagonals = namespace(S).real(diagonals)
    condition = _condition(diagonals, n, blocks, epsilon)
    if condition > (MAX_GRAM if exact else MAX_DENSE_CONDITION):
        return None
    return DenseGroup(n, blocks, epsilon, S, dtype, condition=condition)


def _condition(parts: Any, n: float, blocks: Blocks, epsilon: float) -> float:
    """Return the largest trace of ``c S`` among the blocks, from parts of traces."""
    xp = namespace(parts)
    traces = xp.sum(blocks.scale(n, epsilon)[:, None] * parts, axis=1)
    return float(xp.max(traces))


def group_of_scatter(
    scatter: Scatter,
    blocks: Blocks | None = None,
    epsilon: float | None = None,
    *,
    n_rows: int = 0,
) -> Group | DenseGroup:
    """Code a group whose scatter is known.

    The group of a matrix is dense if the distortion is given and the matrix is
    well-conditioned. All other groups are factored. If the root of the scatter consists
    of the samples, these can be left out without loss of precision.

    Parameters
    ----------
    scatter : Scatter
        Scatter of vectors, or scatters (F, C, C) about the origin.
    blocks : Blocks, default=None
        None for vectors.
    epsilon : float, default=None
        The only distortion that will be used; None if any may be used.
    n_rows : int, default=0
        Number of samples of several blocks, to estimate the rounding error.
    """
    n, mean, S = scatter.count, scatter.mean, scatter.matrix
    xp, dtype = namespace(mean), mean.dtype
    blocks = vector_blocks(mean.shape[0], mean) if blocks is None else blocks
    mean = None if scatter.assume_centered else mean
    if S is None:
        root, shares = scatter.root.T[None, ...], scatter.shares
        known = 0.0 if shares is None else shares
        group = _group_of_root(root, n, blocks, mean, known, None, math.inf)
        return replace(group, leverages=None, rests=None) if shares is None else group
    varying = constant = None
    if S.ndim == 2:
        varying, constant = split_constant(xp.linalg.diagonal(S) > 0)
        if varying is not None:
            S = xp.take(xp.take(S, varying, axis=0), varying, axis=1)
    place: dict[str, Any] = {"mean": mean, "varying": varying, "constant": constant}
    stack = widen(S if S.ndim == 3 else S[None, ...])
    if epsilon is not None and not scatter.ill_conditioned(epsilon):
        place["condition"] = scatter.condition(epsilon)
        return DenseGroup(n, blocks, epsilon, stack, dtype, **place)
    eigenvalues, V, whitening = directions(stack, max(n_rows, S.shape[-1]))
    V = xp.astype(V, dtype, copy=False)
    if S.ndim == 2:  # differences are precise enough, and take half of the time
        whitening = None
    return Group(n, blocks, eigenvalues, V, whitening=whitening, **place)


def principal_directions(scatter: Scatter) -> tuple[Any, Any]:
    """Return eigenvalues (r,) of the scatter of vectors, and eigenvectors (d, r)."""
    group = group_of_scatter(scatter)
    assert isinstance(group, Group)
    basis = group.basis[0, ...]
    if group.varying is not None:
        basis = spread_columns(basis.T, group.varying, group.constant).T
    return group.eigenvalues[0, :], basis


def _factored_pays(Z: Any, n_coded: int) -> bool:
    r"""Return whether the factored form takes fewer operations.

    The factored form, with ``m = min(b, C)`` eigenvectors, takes
    :math:`b C m + 10 m^3 + b C m` operations to find them, and :math:`2 C m` for each
    sample that is coded, twice that for the ``b`` samples of the group. The dense form
    takes :math:`b C^2` for the scatter, :math:`2 C^3` for its factors, a triangular
    product, :math:`C^2`, for each coded sample and a full one, :math:`2 C^2`, for each
    of the ``b``. Eigenvectors of several blocks are faster only with fewer samples than
    coordinates.
    """
    _, C, b = Z.shape
    if not one_block(Z):
        return b < C
    m = min(b, C)
    factored = 2 * b * C * m + EIGENVECTORS * m**3 + 2 * C * m * (n_coded + b)
    dense = b * C**2 + CHOLESKY * C**3 + C**2 * (n_coded + 2 * b)
    return factored < dense


def _group_of_root(
    root: Any,
    n: float,
    blocks: Blocks,
    mean: Any,
    shares: Any,
    epsilon: float | None,
    condition: float,
) -> Group:
    """Factor weighted, centred rows (F, C, b) on their cheaper side.

    ``shares`` are the shares of the samples in the weight ``n``, and ``condition`` is
    the largest trace of ``c S``.
    """
    xp, (_, C, b) = namespace(root), root.shape
    eps, leverages, whitening = float(xp.finfo(root.dtype).eps), None, None
    # centred single-precision samples sum to zero in single precision only
    floor = 4 * min(C, b) * eps
    if condition > MAX_GRAM:
        V, sigma, Uh = xp.linalg.svd(widen(root), full_matrices=False)
        real = sigma > floor * sigma[:, :1]
        eigenvalues, leverages = xp.where(real, sigma * sigma, 0.0 * sigma), squares(Uh)
    elif b >= C:
        floor = 0.0 if mean is None else floor * floor
        eigenvalues, V, whitening = directions(scatters(root), b, floor)
    else:
        wide = widen(root)
        eigenvalues, U, scaled = directions(adjoint(wide) @ wide, C)
        V = root @ xp.astype(scaled, root.dtype, copy=False)
        leverages = squares(xp.matrix_transpose(U))
    least, c = 0.0, 1.0
    if epsilon is not None:  # omit what only changes rounding errors
        least, c = eps / 4.0, blocks.scale(n, epsilon)[:, None]
    V = xp.astype(V, root.dtype, copy=False)
    known = {"mean": mean, "leverages": leverages, "whitening": whitening}
    group = Group(n, blocks, eigenvalues, V, **known)
    return without_directions(group, xp.any(c * eigenvalues > least, axis=0), shares)


def without_directions(group: Group, keep: Any, shares: Any) -> Group:
    """Return a group with some of its directions (r,), and leverages in the others.

    ``shares`` are the shares of the samples in the weight of the group.
    """
    xp, p, rests = namespace(group.eigenvalues), group.leverages, None
    index, dropped = split(keep)
    if p is not None and p.shape[1] == p.shape[2] and group.mean is None:
        if dropped.shape[0]:  # there are no others
            rests = xp.sum(xp.take(p, dropped, axis=1), axis=1)
    elif p is not None and index.shape[0] < p.shape[2] - (group.mean is not None):
        own = xp.sum(xp.take(p, index, axis=1), axis=1)
        rests = at_least(1.0 - (0.0 if group.mean is None else shares) - own, 0.0)
    group = replace(group, rests=rests)
    if not dropped.shape[0]:
        return group
    axes = {"eigenvalues": 1, "basis": 2, "leverages": 1, "whitening": 2}
    parts = {name: getattr(group, name) for name in axes}
    return replace(
        group,
        **{
            name: xp.take(part, index, axis=axes[name])
            for name, part in parts.items()
            if part is not None
        },
    )
