r"""Construction of groups from samples or scatters; the only place that chooses a form.

A scatter is factored on its cheaper side, and in a way that preserves the precision
that its condition :math:`c \operatorname{tr} S` requires: rounding errors of weak
directions are this number times the machine precision.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from skredu._compat import at_least, namespace
from skredu.coding._dense import DenseGroup
from skredu.coding._group import Blocks, Group
from skredu.coding._linalg import (
    MAX_DENSE_CONDITION,
    MAX_GRAM,
    adjoint,
    directions,
    is_complex,
    one_block,
    scatters,
    split,
    split_constant,
    squared_norms,
    squares,
    weighted,
    widen,
)
from skredu.coding._scatter import Scatter, centre

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
        Whether to code vectors about their mean.
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
        few = one_block(Z) and Z.shape[2] <= Z.shape[1]
        condition = math.inf if few else 0.0
    else:
        differ = left_out and weights is not None and xp.any(weights != weights[0])
        dense = not differ and not _factored_pays(Z, n_coded)
        if scatter is None and dense:
            scatter = scatters(root)
        if scatter is None:
            parts = squared_norms(root)
        else:
            parts = xp.linalg.diagonal(scatter)
            parts = xp.real(parts) if is_complex(parts) else parts
        traces = xp.sum(blocks.scale(n, epsilon)[:, None] * parts, axis=1)
        condition = float(xp.max(traces))
        if dense and condition <= (MAX_GRAM if exact else MAX_DENSE_CONDITION):
            return DenseGroup(
                n, blocks, epsilon, scatter, Z.dtype, condition=condition, mean=mean
            )
    shares = 1.0 / n if weights is None else weights / n
    return _group_of_root(root, n, blocks, mean, shares, epsilon, condition)


def group_of_scatter(
    scatter: Scatter, blocks: Blocks, epsilon: float | None = None, *, n_rows: int = 0
) -> Group | DenseGroup:
    """Code a group whose scatter is known.

    The group of a matrix is dense if the distortion is given and the matrix is
    well-conditioned. All other groups are factored. If the root of the scatter consists
    of the samples, these can be left out without loss of precision.

    Parameters
    ----------
    scatter : Scatter
        Scatter of vectors, or scatters (F, C, C) about the origin.
    blocks : Blocks
    epsilon : float, default=None
        The only distortion that will be used; None if any may be used.
    n_rows : int, default=0
        Number of samples of several blocks, to estimate the rounding error.
    """
    n, mean, S = scatter.count, scatter.mean, scatter.matrix
    xp, dtype = namespace(mean), mean.dtype
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
    if p is None:
        pass
    elif p.shape[1] == p.shape[2] and group.mean is None:  # there are no others
        if dropped.shape[0]:
            rests = xp.sum(xp.take(p, dropped, axis=1), axis=1)
    elif index.shape[0] < p.shape[2] - (group.mean is not None):
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
