r"""Stacks of small Hermitian matrices: inverses, and forms for many vectors.

A form :math:`z^H Q z` takes :math:`C^2` real products, once :math:`\bar z_a z_b` are
known for :math:`a \le b`: for many matrices and the same vectors that is a quarter of
the operations of :math:`Qz`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skredu._compat import namespace
from skredu.coding._linalg import BLOCK

# Up to this size a sweep over all matrices at once beats a call of LAPACK for each.
MAX_SWEEP = 8
# Entries of the products that are made at a time: they stay in the cache.
PRODUCTS = 2**19


def inverses(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Inverses (F, C, C) and log-determinants (F,) of ``I + c S``.

    Parameters
    ----------
    pairs : list of (S, c)
        Scatters of shape (F, C, C) in double precision, and their factors (F,).
    """
    found: list[tuple[Any, Any]] = []
    step = max(1, BLOCK // math.prod(pairs[0][0].shape)) if pairs else 1
    for start in range(0, len(pairs), step):
        found += _inverses(pairs[start : start + step])
    return found


def _inverses(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    xp, (F, C, _) = namespace(pairs[0][0]), pairs[0][0].shape
    parts = [c[:, None, None] * S for S, c in pairs]
    eye = xp.eye(C, dtype=parts[0].dtype, device=parts[0].device)
    M = eye + xp.concat(parts)
    invert = _sweep if xp is np and C <= MAX_SWEEP else _factor
    inverse, logs = invert(M)
    places = [slice(i * F, (i + 1) * F) for i in range(len(pairs))]
    return [(inverse[place, :, :], logs[place]) for place in places]


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
    """Coefficients of the forms of Hermitian matrices (F, C, C), (F, C^2)."""
    xp = namespace(Q)
    C = Q.shape[1]
    real = [(1.0 + (a < b)) * xp.real(Q[:, a, b]) for a, b in _pairs(C)]
    imaginary = [-2.0 * xp.imag(Q[:, a, b]) for a, b in _pairs(C) if a < b]
    return xp.stack([*real, *imaginary], axis=1)


def forms(coefficients: Any, Z: Any) -> Any:
    """Forms (F, m, b) of ``m`` matrices a frequency, packed (F, m, C^2), at rows."""
    xp, (F, C, n) = namespace(Z), Z.shape
    blocks = list(gen_batches(F, max(1, PRODUCTS // (C * C * n))))
    dtype = coefficients.dtype
    parts = [
        coefficients[block, :, :] @ _products(Z[block, :, :], dtype) for block in blocks
    ]
    return parts[0] if len(parts) == 1 else xp.concat(parts)


def _products(Z: Any, dtype: Any) -> Any:
    """Real parts of the products of channels, then imaginary parts, (F, C^2, b)."""
    xp, C = namespace(Z), Z.shape[1]
    real, imaginary = (
        xp.astype(part, dtype, copy=False) for part in (xp.real(Z), xp.imag(Z))
    )
    first, second = [], []
    for a in range(C):
        re, im = real[:, a : a + 1, :], imaginary[:, a : a + 1, :]
        first.append(re * real[:, a:, :] + im * imaginary[:, a:, :])
        if a + 1 < C:
            cross = re * imaginary[:, a + 1 :, :] - im * real[:, a + 1 :, :]
            second.append(cross)
    return xp.concat([*first, *second], axis=1)


def _pairs(C: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(C) for b in range(a, C)]
