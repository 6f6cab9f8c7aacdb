r"""Stacks of small Hermitian matrices: inverses, and forms for many vectors.

A form :math:`z^H Q z` takes :math:`C^2` real products, once :math:`\bar z_a z_b` are
known for :math:`a \le b`: for many matrices and the same vectors that is a quarter of
the operations of :math:`Qz`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skredu._compat import namespace
from skredu.coding._linalg import batches, factor_of, inverse_of

# Up to this size sweeps over many matrices at once are fastest, up to that NumPy's
# functions for stacks, and then half of their operations in calls for each matrix. Of
# 4620 matrices in ms: 62, 96 and 160 with 16 rows, 220, 219 and 362 with 24.
MAX_SWEEP, MAX_STACK = 16, 32
# Entries of the matrices that are inverted at a time.
SWEPT = 2**18
# Up to this size matrices are summed for every row.
MAX_SUMMED = 8
# Entries of the products that are made at a time: they stay in the cache.
PRODUCTS = 2**19


def inverses(S: Sequence[Any], c: Sequence[Any]) -> tuple[Any, Any]:
    """Inverses (m, F, C, C) and log-determinants (m, F) of ``I + c S``.

    Parameters
    ----------
    S : m arrays of shape (F, C, C)
        Hermitian matrices in double precision.
    c : m arrays of shape (F,)
        Factors before them.
    """
    xp, m, (F, C, _) = namespace(S[0]), len(S), S[0].shape
    if xp is not np:
        eye = xp.eye(C, dtype=S[0].dtype, device=S[0].device)
        scaled = [f[:, None, None] * s for f, s in zip(c, S, strict=True)]
        return _invert(xp.stack(scaled) + eye)
    M = np.empty((m, F, C, C), dtype=S[0].dtype)
    for factor, scatter, out in zip(c, S, M, strict=True):
        np.multiply(scatter, factor[:, None, None], out=out)
    stack = M.reshape(m * F, C, C)
    if C > MAX_STACK:
        return M, _factor_each(stack).reshape(m, F)
    stack.reshape(m * F, C * C)[:, :: C + 1] += 1.0
    if C > MAX_SWEEP:
        return _invert(M)
    logs = [_sweep(stack[block, ...]) for block in batches(m * F, SWEPT // C**2)]
    return M, np.concatenate(logs).reshape(m, F)


def _invert(M: Any) -> tuple[Any, Any]:
    """Inverses and log-determinants of stacked positive definite matrices."""
    xp = namespace(M)
    pivots = xp.real(xp.linalg.diagonal(xp.linalg.cholesky(M)))
    return xp.linalg.inv(M), 2.0 * xp.sum(xp.log(pivots), axis=-1)


def _factor_each(S: Any) -> Any:
    """Replace every S by the inverse of ``I + S``; log-determinants (N,).

    Cholesky factors and inverses of triangles: half the operations of `inv`.
    """
    pivots = np.empty(S.shape[:2])
    for i in range(len(S)):
        L = factor_of(S[i])
        pivots[i] = L.diagonal().real
        S[i] = inverse_of(L)
    return 2.0 * np.log(pivots).sum(axis=1)


def _sweep(M: Any) -> Any:
    """Replace positive definite matrices by their inverses; log-determinants (N,).

    A sweep over all pivots of the upper triangle leaves the negative inverse. It is as
    stable as elimination, which inverses of blocks would not be.
    """
    N, C, _ = M.shape
    logs, A = np.zeros(N), np.ascontiguousarray(M.transpose(1, 2, 0))
    for i in range(C):
        logs += np.log(A[i, i].real)
        _pivot(A, i)
    for a in range(C):
        np.conj(A[:a, a], out=A[a, :a])
    np.negative(A.transpose(2, 0, 1), out=M)
    return logs


def _pivot(A: Any, i: int) -> None:
    """Sweep on one entry of the diagonal; of Hermitian matrices, the upper triangle."""
    factor = 1.0 / A[i, i].real
    row = A[i].copy()
    np.conj(A[:i, i], out=row[:i])
    scaled = row * factor
    column = np.conj(scaled)
    for a in range(len(A)):
        if a != i:
            A[a, a:] -= column[a] * row[a:]
    A[:i, i], A[i, i:], A[i, i] = column[:i], scaled[i:], -factor


def packed(Q: Any) -> Any:
    """Coefficients (F, m, C^2) of forms of Hermitian matrices (m, F, C, C)."""
    xp, (m, F, C, _) = namespace(Q), Q.shape
    pairs = [(a, b) for a in range(C) for b in range(a, C)]
    index = xp.asarray([a * C + b for a, b in pairs], device=Q.device)
    doubled = [1.0 + (a < b) for a, b in pairs]
    factor = xp.asarray(doubled, dtype=xp.float64, device=Q.device)
    upper = xp.take(xp.reshape(Q, (m, F, C * C)), index, axis=2)
    off = [i for i, (a, b) in enumerate(pairs) if a < b]
    cross = xp.asarray(off, dtype=index.dtype, device=Q.device)
    imaginary = -2.0 * xp.take(xp.imag(upper), cross, axis=2)
    found = xp.concat([factor * xp.real(upper), imaginary], axis=2)
    return xp.permute_dims(found, (1, 0, 2))


def forms(coefficients: Any, Z: Any) -> Any:
    """Forms (F, m, b) of ``m`` matrices a frequency, `packed`, at rows."""
    xp, (F, C, n) = namespace(Z), Z.shape
    blocks = batches(F, PRODUCTS // (C * C * n))
    dtype = coefficients.dtype
    parts = [
        coefficients[block, :, :] @ _products(Z[block, :, :], dtype) for block in blocks
    ]
    return parts[0] if len(parts) == 1 else xp.concat(parts)


def mixed(matrices: Any, shares: Any, Z: Any) -> Any:
    """Sum of products of matrices (F, m, C, C) with rows (F, C, b), by shares (m, b).

    Small matrices are summed for every row; of large ones, rows take all products.
    """
    xp, (F, C, b), m = namespace(Z), Z.shape, matrices.shape[1]
    small = C <= MAX_SUMMED
    if small:
        matrices = xp.permute_dims(matrices, (0, 2, 3, 1))
    shares = xp.astype(shares, Z.dtype if small else xp.real(Z).dtype)
    parts = []
    for block in batches(F, PRODUCTS // (C * b * (C if small else m))):
        some, rows = matrices[block, ...], Z[block, :, :]
        if small:
            sums = xp.reshape(some, (-1, m)) @ shares
            products = xp.reshape(sums, (-1, C, C, b)) * rows[:, None, :, :]
            parts.append(xp.sum(products, axis=2))
        else:
            products = xp.reshape(some, (-1, m * C, C)) @ rows
            products = xp.reshape(products, (-1, m, C, b)) * shares[:, None, :]
            parts.append(xp.sum(products, axis=1))
    return parts[0] if len(parts) == 1 else xp.concat(parts)


def mixing_pays(n_members: int, shape: tuple[int, int, int], m: int) -> bool:
    """Whether `mixed` is cheaper than products of each matrix with its members.

    In nanoseconds of one processor, measured: a call for each matrix and frequency,
    and ``C^2`` complex products in small calls, in large ones, and passes.
    """
    _, C, b = shape
    if C <= MAX_SUMMED:
        together = C * C * b * (0.5 * m + 3.0)
    else:
        together = m * C * b * (0.35 * C + 1.2)
    return 2000 * m + 1.6 * C * C * n_members > together


def _products(Z: Any, dtype: Any) -> Any:
    """Real and imaginary parts of the products of channels, (F, C^2, b)."""
    xp, C = namespace(Z), Z.shape[1]
    Z = xp.permute_dims(Z, (1, 0, 2))
    if dtype == xp.float64:
        Z = xp.astype(Z, xp.complex128, copy=False)
    products = [xp.conj(Z[a : a + 1, ...]) * Z[a:, ...] for a in range(C)]
    parts = [xp.real(part) for part in products]
    parts += [xp.imag(part[1:, ...]) for part in products]  # squares have none
    return xp.permute_dims(xp.concat(parts), (1, 0, 2))
