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
from skredu.coding._blocks import Blocks
from skredu.coding._dense import DenseGroup
from skredu.coding._group import Group
from skredu.coding._linalg import (
    LEAST_CONSTANT,
    adjoint,
    one_block,
    scatters,
    split,
    squared_norms,
    squares,
    traces_of,
    weighted,
    widen,
)
from skredu.coding._scatter import Scatter, centre

# Up to this condition, and to the inverse square root of the machine precision,
# matrices are precise enough.
MAX_DENSE_CONDITION = 1e7
# Up to this condition, the products of samples determine their singular vectors.
MAX_GRAM = 1e5
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
    xp = namespace(Z)
    n, mean, root = _weighted(Z, weights, centred)
    if epsilon is None:
        few = one_block(Z) and Z.shape[2] <= Z.shape[1]
        condition = math.inf if few else 0.0
    else:
        if scatter is None:
            traces = xp.sum(squared_norms(root), axis=1)
        else:
            traces = traces_of(scatter)
        condition = float(xp.max(blocks.scale(n, epsilon) * traces))
        limit = MAX_GRAM if exact else MAX_DENSE_CONDITION
        differ = left_out and weights is not None and xp.any(weights != weights[0])
        if not differ and condition <= limit and not _factored_pays(Z, n_coded):
            S = scatters(root) if scatter is None else scatter
            options = {"condition": condition, "mean": mean}
            return DenseGroup(n, blocks, epsilon, S, Z.dtype, **options)
    share = 1.0 / n if weights is None else weights / n
    return _factored_group(root, n, blocks, mean, share, epsilon, condition)


def group_of_scatter(
    scatter: Scatter, blocks: Blocks, epsilon: float | None = None, shares: Any = None
) -> Group | DenseGroup:
    """Code a group of vectors whose scatter is known.

    The group is dense if the distortion is given and the scatter is a well-conditioned
    matrix, and `factored` otherwise.
    """
    S = scatter.matrix
    if epsilon is None or S is None or ill_conditioned(scatter, epsilon):
        return factored(scatter, blocks, shares)
    mean = None if scatter.assume_centered else scatter.mean
    S, varying, constant = _varying_part(S)
    return DenseGroup(
        scatter.count,
        blocks,
        epsilon,
        widen(S)[None, ...],
        S.dtype,
        condition=_condition(scatter, epsilon),
        mean=mean,
        varying=varying,
        constant=constant,
    )


def factored(scatter: Scatter, blocks: Blocks, shares: Any = None) -> Group:
    """Code a group of vectors for all distortions by its scatter.

    ``shares`` (m,) are the shares of the samples, in their order, in the weight of the
    scatter. If the root of the scatter consists of these samples, they can be left out
    without loss of precision.
    """
    n, mean = scatter.count, None if scatter.assume_centered else scatter.mean
    if scatter.matrix is None:
        made = shares is not None and not scatter.precise
        root, shares = scatter.root.T[None, ...], shares if made else 0.0
        group = _factored_group(root, n, blocks, mean, shares, None, math.inf)
        return group if made else replace(group, leverages=None, rests=None)
    xp = namespace(scatter.matrix)
    S, varying, constant = _varying_part(scatter.matrix)
    eigenvalues, V = xp.linalg.eigh(widen(S))
    eigenvalues = at_least(eigenvalues, 0.0)[None, :]
    V = xp.astype(V, S.dtype, copy=False)[None, ...]
    return Group(n, blocks, eigenvalues, V, mean, varying, constant)


def group_of_stack(scatter: Scatter, blocks: Blocks, n_rows: int, dtype: Any) -> Group:
    """Code a group whose scatters (F, C, C) about the origin are known.

    ``n_rows`` is the number of samples, and ``dtype`` is their type.
    """
    S = scatter.matrix
    eigenvalues, V, whitening = _directions(S, max(n_rows, S.shape[1]))
    V = namespace(S).astype(V, dtype, copy=False)
    return Group(scatter.count, blocks, eigenvalues, V, whitening=whitening)


def ill_conditioned(scatter: Scatter, epsilon: float) -> bool:
    """Return whether ``I + c S`` would be ill-conditioned for a matrix ``S``."""
    if scatter.matrix is None or scatter.count == 0.0:
        return False
    eps = float(namespace(scatter.matrix).finfo(scatter.matrix.dtype).eps)
    return _condition(scatter, epsilon) > min(MAX_DENSE_CONDITION, 1.0 / math.sqrt(eps))


def _condition(scatter: Scatter, epsilon: float) -> float:
    return scatter.n_features / scatter.count / epsilon / epsilon * scatter.trace


def _weighted(Z: Any, weights: Any, centred: bool) -> tuple[float, Any, Any]:
    """Return weight, mean or None, and centred rows times the roots of weights."""
    if centred:
        n, mean, _, rows = centre(Z[0, ...].T, weights)
        return n, mean, rows.T[None, ...]
    n = float(Z.shape[2] if weights is None else namespace(Z).sum(weights))
    return n, None, weighted(Z, weights)


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


def _factored_group(
    root: Any,
    n: float,
    blocks: Blocks,
    mean: Any,
    shares: Any,
    epsilon: float | None,
    condition: float,
) -> Group:
    """Construct a group from weighted, centred rows with these shares of its weight."""
    xp, (_, _, b) = namespace(root), root.shape
    eigenvalues, V, leverages, whitening = _factored(
        root, condition, centred=mean is not None
    )
    least, c = 0.0, 1.0
    if epsilon is not None:  # omit what only changes rounding errors
        least = float(xp.finfo(root.dtype).eps) / 4.0
        c = blocks.scale(n, epsilon)[:, None]
    index, dropped = split(xp.any(c * eigenvalues > least, axis=0))
    rests = None
    if leverages is None:
        pass
    elif leverages.shape[1] == b and mean is None:  # the vectors form a complete basis
        if dropped.shape[0]:
            rests = xp.sum(xp.take(leverages, dropped, axis=1), axis=1)
    elif index.shape[0] < b - (mean is not None):
        constant = 0.0 if mean is None else shares
        own = xp.sum(xp.take(leverages, index, axis=1), axis=1)
        rests = at_least(1.0 - constant - own, 0.0)
    if dropped.shape[0]:
        eigenvalues = xp.take(eigenvalues, index, axis=1)
        V = xp.take(V, index, axis=2)
        if leverages is None:
            whitening = xp.take(whitening, index, axis=2)
        else:
            leverages = xp.take(leverages, index, axis=1)
    V = xp.astype(V, root.dtype, copy=False)
    known = {"leverages": leverages, "rests": rests, "whitening": whitening}
    return Group(n, blocks, eigenvalues, V, mean, **known)


def _factored(
    root: Any, condition: float, *, centred: bool
) -> tuple[Any, Any, Any, Any]:
    """Factor scatters of weighted rows (F, C, b) on their cheaper side.

    Returns
    -------
    eigenvalues : array of shape (F, r)
        Eigenvalues in double precision; zero if they are due to rounding.
    V : array of shape (F, C, r)
        Eigenvectors; those of eigenvalues of zero may be zero.
    leverages : array of shape (F, r, b) or None
        Squared left singular vectors.
    whitening : array of shape (F, C, r) or None
        Eigenvectors over singular values, from which leverages are computed if there
        are many samples.
    """
    xp, (_, C, b) = namespace(root), root.shape
    # centred single-precision samples sum to zero in single precision only
    floor = 4 * min(C, b) * float(xp.finfo(root.dtype).eps)
    if condition > MAX_GRAM:
        V, sigma, Uh = xp.linalg.svd(widen(root), full_matrices=False)
        real = sigma > floor * sigma[:, :1]
        return xp.where(real, sigma * sigma, 0.0 * sigma), V, squares(Uh), None
    if b >= C:
        share = floor * floor if centred else 0.0
        eigenvalues, V, whitening = _directions(scatters(root), b, share)
        return eigenvalues, V, None, whitening
    wide = widen(root)
    eigenvalues, U, scaled = _directions(adjoint(wide) @ wide, C)
    V = root @ xp.astype(scaled, root.dtype, copy=False)
    return eigenvalues, V, squares(xp.matrix_transpose(U)), None


def _directions(S: Any, longest: int, share: float = 0.0) -> tuple[Any, Any, Any]:
    """Return eigenvalues (F, m), eigenvectors, and these over the singular values.

    Eigenvalues below ``longest`` rounding units (the larger number of coordinates and
    of samples) or below a share of the largest one are set to zero.
    """
    xp = namespace(S)
    eigenvalues, V = xp.linalg.eigh(S)
    share = max(share, longest * float(xp.finfo(xp.float64).eps))
    floor = share * eigenvalues[:, -1:]
    real = eigenvalues > floor
    eigenvalues = xp.where(real, eigenvalues, 0.0 * eigenvalues)
    sigma = xp.sqrt(xp.where(real, eigenvalues, xp.ones_like(eigenvalues)))
    return eigenvalues, V, V * (xp.astype(real, xp.float64) / sigma)[:, None, :]


def _varying_part(matrix: Any) -> tuple[Any, Any, Any]:
    """Return the scatter of varying features, their index, and that of the others."""
    xp = namespace(matrix)
    varying, constant = split(xp.linalg.diagonal(matrix) > 0)
    few = constant.shape[0] < LEAST_CONSTANT * matrix.shape[0]
    if few or varying.shape[0] == 0:
        return matrix, None, None
    matrix = xp.take(xp.take(matrix, varying, axis=0), varying, axis=1)
    return matrix, varying, constant
