r"""Stacks of small Hermitian matrices: inverses, and forms for many vectors.

A form :math:`z^H Q z` takes :math:`C^2` real products, once :math:`\bar z_a z_b` are
known for :math:`a \le b`: for many matrices and the same vectors that is a quarter of
the operations of :math:`Qz`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skredu._compat import namespace
from skredu.coding._linalg import BLOCK, factor_of, inverse_of

# Up to this size sweeps over many matrices at once beat calls of LAPACK for each.
MAX_SWEEP = 16
# Matrices in a sweep, which stay in the cache.
SWEPT = 1024
# Up to this size matrices are summed for every row.
MAX_SUMMED = 8
# Entries of the products that are made at a time: they stay in the cache.
PRODUCTS = 2**19


def batches(n: int, size: int) -> list[slice]:
    """Slices of at most ``size`` indices, and at least one; one call a layer counts."""
    size = max(1, size)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def inverses(S: Any, c: Any) -> tuple[Any, Any]:
    """Inverses (m, F, C, C) and log-determinants (m, F) of ``I + c S``.

    Parameters
    ----------
    S : array of shape (m, F, C, C)
        Hermitian matrices in double precision.
    c : array of shape (m, F)
        Factors before them.
    """
    xp, (m, F, C, _) = namespace(S), S.shape
    blocks = batches(m, BLOCK // (F * C * C))
    parts = [_inverses(S[block, ...], c[block, :]) for block in blocks]
    if len(parts) == 1:
        return parts[0]
    found, logs = zip(*parts, strict=True)
    return xp.concat(list(found)), xp.concat(list(logs))


def _inverses(S: Any, c: Any) -> tuple[Any, Any]:
    xp, (m, F, C, _) = namespace(S), S.shape
    invert = _sweep if xp is np and C <= MAX_SWEEP else _factor
    inverse, logs = invert(xp.reshape(S, (m * F, C, C)), xp.reshape(c, (m * F,)))
    return xp.reshape(inverse, S.shape), xp.reshape(logs, (m, F))


def _factor(S: Any, c: Any) -> tuple[Any, Any]:
    xp = namespace(S)
    if xp is np:
        return _factor_each(S, c)
    M = c[:, None, None] * S + xp.eye(S.shape[1], dtype=S.dtype, device=S.device)
    pivots = xp.real(xp.linalg.diagonal(xp.linalg.cholesky(M)))
    return xp.linalg.inv(M), 2.0 * xp.sum(xp.log(pivots), axis=1)


def _factor_each(S: Any, c: Any) -> tuple[Any, Any]:
    """Cholesky factors and inverses of triangles: half the operations of `inv`."""
    M = S * c[:, None, None]
    pivots = np.empty(M.shape[:2])
    for i in range(len(M)):
        L = factor_of(M[i])
        pivots[i] = L.diagonal().real
        M[i] = inverse_of(L)
    return M, 2.0 * np.log(pivots).sum(axis=1)


def _sweep(S: Any, c: Any) -> tuple[Any, Any]:
    """Sweeps of upper triangles, stable for positive definite matrices.

    A sweep over all pivots leaves the negative inverse.
    """
    N, C, _ = S.shape
    inverse, logs = np.empty_like(S), np.zeros(N)
    for block in batches(N, SWEPT):
        A = np.multiply(S[block, ...].transpose(1, 2, 0), c[block], order="C")
        for i in range(C):
            A[i, i] += 1.0
        for i in range(C):
            logs[block] += np.log(A[i, i].real)
            _pivot(A, i)
        for a in range(C):
            np.conj(A[:a, a], out=A[a, :a])
        np.negative(A.transpose(2, 0, 1), out=inverse[block, ...])
    return inverse, logs


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
