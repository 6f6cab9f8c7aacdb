r"""Stacks of small Hermitian matrices: inverses, and forms for many vectors.

A form :math:`z^H Q z` takes :math:`C^2` real products, once :math:`\bar z_a z_b` are
known for :math:`a \le b`: for many matrices and the same vectors that is a quarter of
the operations of :math:`Qz`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skredu._compat import namespace
from skredu.coding._linalg import BLOCK

# Up to this size a sweep over all matrices at once beats a call of LAPACK for each.
MAX_SWEEP = 8
# Entries of the products that are made at a time: they stay in the cache.
PRODUCTS = 2**19


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
    blocks = list(gen_batches(m, max(1, BLOCK // (F * C * C))))
    parts = [_inverses(S[block, ...], c[block, :]) for block in blocks]
    if len(parts) == 1:
        return parts[0]
    found, logs = zip(*parts, strict=True)
    return xp.concat(list(found)), xp.concat(list(logs))


def _inverses(S: Any, c: Any) -> tuple[Any, Any]:
    xp, (m, F, C, _) = namespace(S), S.shape
    M = c[:, :, None, None] * S + xp.eye(C, dtype=S.dtype, device=S.device)
    invert = _sweep if xp is np and C <= MAX_SWEEP else _factor
    inverse, logs = invert(xp.reshape(M, (m * F, C, C)))
    return xp.reshape(inverse, S.shape), xp.reshape(logs, (m, F))


def _factor(M: Any) -> tuple[Any, Any]:
    xp = namespace(M)
    pivots = xp.real(xp.linalg.diagonal(xp.linalg.cholesky(M)))
    return xp.linalg.inv(M), 2.0 * xp.sum(xp.log(pivots), axis=1)


def _sweep(M: Any) -> tuple[Any, Any]:
    """Gauss-Jordan elimination, stable for positive definite matrices."""
    A = np.ascontiguousarray(M.transpose(1, 2, 0))
    logs = np.zeros(A.shape[2])
    for i in range(len(A)):
        pivot = A[i, i].real.copy()
        logs += np.log(pivot)
        A[i, i] = 1.0
        A[i] /= pivot
        for j in range(len(A)):
            if j != i:
                factor = A[j, i].copy()
                A[j, i] = 0.0
                A[j] -= factor * A[i]
    return np.ascontiguousarray(A.transpose(2, 0, 1)), logs


def packed(Q: Any) -> Any:
    """Coefficients (F, m, C^2) of the forms of Hermitian matrices (m, F, C, C)."""
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
    """Forms (F, m, b) of ``m`` matrices a frequency, packed (F, m, C^2), at rows."""
    xp, (F, C, n) = namespace(Z), Z.shape
    blocks = list(gen_batches(F, max(1, PRODUCTS // (C * C * n))))
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
    small = C <= MAX_SWEEP
    if small:
        matrices = xp.permute_dims(matrices, (0, 2, 3, 1))
    shares = xp.astype(shares, Z.dtype if small else xp.real(Z).dtype)
    parts = []
    for block in gen_batches(F, max(1, PRODUCTS // (C * b * (C if small else m)))):
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
    if C <= MAX_SWEEP:
        together = C * C * b * (0.5 * m + 3.0)
    else:
        together = m * C * b * (0.35 * C + 1.2)
    return 2000 * m + 1.6 * C * C * n_members > together


def _products(Z: Any, dtype: Any) -> Any:
    """Real parts of the products of channels, then imaginary parts, (F, C^2, b)."""
    xp, C = namespace(Z), Z.shape[1]
    real, imaginary = (
        xp.astype(part, dtype, copy=False) for part in (xp.real(Z), xp.imag(Z))
    )
    products = xp.empty((Z.shape[0], C * C, Z.shape[2]), dtype=dtype, device=Z.device)
    start, cross = 0, C * (C + 1) // 2
    for a in range(C):
        re, im = real[:, a : a + 1, :], imaginary[:, a : a + 1, :]
        stop = start + C - a
        part = re * real[:, a:, :]
        part += im * imaginary[:, a:, :]
        products[:, start:stop, :] = part
        if a + 1 < C:
            part = re * imaginary[:, a + 1 :, :]
            part -= im * real[:, a + 1 :, :]
            products[:, cross : cross + C - a - 1, :] = part
        start, cross = stop, cross + C - a - 1
    return products
