"""Log-determinants and their gradients on the cheaper side, without loss of precision.

The functions of rows ``W`` of shape ``(n, d)`` and the logarithm ``s`` of a factor
refer to :math:`I + e^{2s} W^T W`. The factor remains a logarithm, so neither a tiny
distortion nor huge rows overflow before they are multiplied. Other functions take
stacks of matrices, or project samples to the sphere.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from scipy.linalg import blas, lapack, qr

from skredu._compat import Interval, at_least, namespace

# For rank-deficient rows, a Cholesky factor of I + W^T W of size m and condition k has
# an error of about m k rounding units (measured). If this exceeds the given number of
# rounding units of the log-volume, singular values are used, which are precise in null
# directions.
MAX_LOSS = 1e3
# Up to this condition, products and solutions with I + W^T W have twelve correct
# digits.
MAX_CONDITION = 1e4
# Up to this condition, and to the inverse square root of the machine precision, a
# matrix I + c S is precise enough for lengths, whose logarithms lose little.
MAX_DENSE_CONDITION = 1e7
# Up to this condition, the products of samples determine their singular vectors.
MAX_GRAM = 1e5
# A single entry of this size exceeds the condition, so the product need not be
# computed.
MAX_LOG_ENTRY = 25.0
# Largest number of entries of a temporary array: 32 MB in double precision.
BLOCK = 2**22
# Number of complex numbers of a temporary array that stays in the cache.
CACHED = 2**16
# Up to this size, NumPy's functions for stacks of matrices are faster than one call per
# matrix with half of the operations.
MAX_STACK = 32
# Up to this size, sweeps of all blocks at once are faster than LAPACK: 420 blocks of 2,
# 4 and 8 complex coordinates take 0.4, 0.6 and 0.65 of the time.
MAX_SWEPT = 8
# Prefixes of LAPACK functions by the type of a NumPy array.
LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}
# With a smaller share, or a smaller number, of constant columns, a product takes less
# time with them than a copy without them. For the digits of scikit-learn, `predict` of
# MICL would take 1.2 times as long.
LEAST_CONSTANT, LEAST_COLUMNS = 0.1, 64


def widen(X: Any) -> Any:
    """Convert an array to double precision, in which log-determinants are summed."""
    xp = namespace(X)
    dtype = xp.complex128 if is_complex(X) else xp.float64
    return X if X.dtype == dtype else xp.astype(X, dtype)


def largest(X: Any) -> float:
    """Return the largest absolute entry, except NaN; zero if there is none."""
    xp = namespace(X)
    if math.prod(X.shape) == 0:
        return 0.0
    size = max(float(xp.max(X)), -float(xp.min(X)))  # needs no copy of X
    if math.isnan(size):
        return largest(xp.where(xp.isnan(X), xp.zeros_like(X), X))
    return size


def power_of_two(size: float) -> float:
    """Return a power of two near a number; division by it is exact."""
    return math.ldexp(1.0, math.frexp(size)[1] - 1)


def inverse_of(L: Any) -> Any:
    """Return the inverse of ``L L^H`` in the type of ``L``, which is overwritten."""
    xp = namespace(L)
    if xp is np:  # a third of the operations
        potri = getattr(lapack, LETTERS[L.dtype.char] + "potri")
        upper = potri(L.T, lower=0, overwrite_c=1)[0]
        inverse = upper.conj()
        inverse += upper.T  # the lower triangle contained zeros
        inverse.T.reshape(-1)[:: len(L) + 1] *= 0.5
        return inverse
    inverse = xp.linalg.inv(L)
    return inverse.T @ inverse


def blocks_of_rows(n: int, width: int, most: int | None = None) -> list[slice]:
    """Return slices of rows to process together, with ``width`` numbers per row.

    Together, they take at most ``most`` numbers, by default `BLOCK`.
    """
    size = max(1, (BLOCK if most is None else most) // max(1, width))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def gram(W: Any) -> Any:
    """Return the smaller of ``W W^T`` and ``W^T W``."""
    n, d = W.shape
    return W @ W.T if n <= d else W.T @ W


def scatter_of(W: Any) -> Any:
    """Return ``W^T W``; columns of zeros, from constant features, cost nothing."""
    varying, constant = split_constant(namespace(W).any(W != 0, axis=0))
    if constant is None:
        return W.T @ W
    W = namespace(W).take(W, varying, axis=1)
    return spread_columns(
        spread_columns(W.T @ W, varying, constant).T, varying, constant
    )


def scatters(root: Any) -> Any:
    """Return scatters (F, C, C) of rows (F, C, b), in double precision."""
    xp, (F, C, b) = namespace(root), root.shape
    if one_block(root):
        return scatter_of(widen(root[0, ...]).T)[None, ...]
    found = []
    for block in blocks_of_rows(F, C * b, CACHED):
        part = widen(root[block, ...])
        found.append(part @ adjoint(part))
    return found[0] if len(found) == 1 else xp.concat(found)


def split(mask: Any) -> tuple[Any, Any]:
    """Return the indices where a mask is true, and where it is not."""
    xp = namespace(mask)
    return xp.nonzero(mask)[0], xp.nonzero(~mask)[0]


def split_constant(varies: Any) -> tuple[Any, Any]:
    """Return indices of varying and of constant columns, None if few are constant."""
    xp = namespace(varies)
    varying, constant = xp.nonzero(varies)[0], xp.nonzero(~varies)[0]
    few = constant.shape[0] < max(LEAST_COLUMNS, LEAST_CONSTANT * varies.shape[0])
    return (None, None) if few or not varying.shape[0] else (varying, constant)


def spread_columns(A: Any, varying: Any, constant: Any) -> Any:
    """Put the columns of ``A`` at some positions, and zeros at the others."""
    xp, last = namespace(A), A.ndim - 1
    shape = *A.shape[:last], constant.shape[0]
    zeros = xp.zeros(shape, dtype=A.dtype, device=A.device)
    order = xp.argsort(xp.concat([varying, constant]))
    return xp.take(xp.concat([A, zeros], axis=last), order, axis=last)


def rank_of(sigma: Any, shape: tuple[int, ...]) -> int:
    """Count the sorted singular values that are not due to rounding."""
    xp = namespace(sigma)
    if sigma.shape[0] == 0:
        return 0
    floor = float(sigma[0]) * max(shape) * float(xp.finfo(sigma.dtype).eps)
    return int(xp.sum(xp.astype(sigma > floor, xp.int64)))


def log_volume(W: Any, *, log_scale: float = 0.0) -> Any:
    r"""Return the logarithm of :math:`\det(I + e^{2s} W^T W)`, ``s = log_scale``.

    The result is an array without dimensions, through which gradients can be computed.
    """
    xp = namespace(W)
    size = largest(W)
    if size == 0.0:
        return xp.sum(widen(W) ** 2)
    W = widen(W) / size
    log_size = log_scale + math.log(size)
    if log_size < MAX_LOG_ENTRY:
        volume = _gram_log_volume(W * math.exp(log_size))
        if volume is not None:
            return volume
    n, d = W.shape
    W, n, d = (W.T, d, n) if n < d else (W, n, d)
    if n > 2 * d:
        W = xp.linalg.qr(W, mode="reduced")[1]
    sigma = xp.linalg.svdvals(W)
    logs = 2.0 * (xp.log(sigma[: rank_of(sigma, W.shape)]) + log_size)
    return xp.sum(xp.logaddexp(logs, xp.zeros_like(logs)))


def _gram_log_volume(W: Any) -> Any:
    """Return the log-determinant of the smaller side, None if it is imprecise."""
    xp = namespace(W)
    G = gram(W)
    eye = xp.eye(G.shape[0], dtype=G.dtype, device=G.device)
    diagonal = xp.linalg.diagonal(G)
    if float(xp.sum(diagonal)) < 1.0:  # log(1 + x) must be precise for small x
        eigenvalues = xp.linalg.eigvalsh(G)
        return xp.sum(xp.log1p(at_least(eigenvalues, 0.0)))
    top = 1.0 + float(xp.max(diagonal))
    if top > MAX_CONDITION**2:
        return None  # the unit matrix may be lost in rounding, and Cholesky may fail
    pivots = xp.linalg.diagonal(xp.linalg.cholesky(G + eye))
    volume = 2.0 * xp.sum(xp.log(pivots))
    condition = top / float(xp.min(pivots)) ** 2
    return None if G.shape[0] * condition > MAX_LOSS * float(volume) else volume


def volume_gradient(W: Any, *, log_scale: float = 0.0) -> Any:
    r"""Return half of the gradient, :math:`e^{2s} W (I + e^{2s} W^T W)^{-1}`."""
    xp = namespace(W)
    size = largest(W)
    W = widen(W)
    if size == 0.0:
        return xp.zeros_like(W)
    W = W / size
    log_size = log_scale + math.log(size)
    if log_size < MAX_LOG_ENTRY:
        gradient = _gram_gradient(W * math.exp(log_size))
        if gradient is not None:
            return gradient * math.exp(log_scale)
    U, sigma, Vt = xp.linalg.svd(W, full_matrices=False)
    rank = rank_of(sigma, W.shape)
    # e^{2s} sigma / (1 + t^2) with t = e^s sigma, from the logarithm of t
    log_t = xp.log(sigma[:rank]) + log_size
    log_size_t = xp.logaddexp(2.0 * log_t, xp.zeros_like(log_t))
    weights = xp.exp(log_scale + log_t - log_size_t)
    return (U[:, :rank] * weights) @ Vt[:rank, :]


def _gram_gradient(W: Any) -> Any | None:
    """Return rows times the inverse of the smaller side, None if it is imprecise."""
    xp = namespace(W)
    G = gram(W)
    if float(xp.sum(xp.linalg.diagonal(G))) > MAX_CONDITION:
        return None
    G = G + xp.eye(G.shape[0], dtype=G.dtype, device=G.device)
    # The condition is bounded, and a product with the inverse is several times faster
    # than solving for as many right-hand sides as there are rows.
    inverse = xp.linalg.inv(G)
    return inverse @ W if W.shape[0] == G.shape[0] else W @ inverse


# -- stacks of matrices (F, C, m), real or complex ------------------------------------


def is_complex(Z: Any) -> bool:
    """Return whether an array contains complex numbers."""
    if isinstance(Z, np.ndarray):
        return Z.dtype.kind == "c"
    return bool(namespace(Z).isdtype(Z.dtype, "complex floating"))


def real_dtype(Z: Any) -> Any:
    """Return the type of the real parts of an array."""
    return (namespace(Z).real(Z) if is_complex(Z) else Z).dtype


def weighted(Z: Any, weights: Any) -> Any:
    """Return samples (F, C, b) times the square roots of their weights, if any."""
    if weights is None:
        return Z
    xp = namespace(Z)
    return Z * xp.astype(xp.sqrt(weights), real_dtype(Z), copy=False)


def adjoint(A: Any) -> Any:
    """Return the conjugate transpose of stacked matrices; a view if they are real."""
    xp = namespace(A)
    A = xp.matrix_transpose(A)
    return xp.conj(A) if is_complex(A) else A


def coordinates(V: Any, Z: Any) -> Any:
    """Return products ``V^H Z`` of stacked matrices; the smaller one is conjugated."""
    xp, turned = namespace(Z), namespace(Z).matrix_transpose(V)
    if not is_complex(V):
        return turned @ Z
    if Z.shape[2] < V.shape[2]:
        return xp.conj(turned @ xp.conj(Z))
    return xp.conj(turned) @ Z


def squares(Z: Any) -> Any:
    """Return squared absolute values."""
    xp = namespace(Z)
    return xp.real(Z) ** 2 + xp.imag(Z) ** 2 if is_complex(Z) else Z * Z


def squared_norms(Z: Any) -> Any:
    """Return squared norms (F, b) of columns by block, in double precision."""
    xp = namespace(Z)
    if xp is np:  # without a temporary array of the size of Z
        pairs = is_complex(Z)
        if pairs:  # real and imaginary parts as two columns
            Z = (Z if Z.strides[2] == Z.itemsize else Z.copy()).view(Z.real.dtype)
        sums = np.einsum("fcb,fcb->fb", Z, Z)
        sums = sums[:, ::2] + sums[:, 1::2] if pairs else sums
        return sums.astype(np.float64, copy=False)
    F, C, b = Z.shape
    blocks = blocks_of_rows(F, C * b, CACHED)
    sums = [xp.sum(squares(Z[block, :, :]), axis=1) for block in blocks]
    return widen(sums[0] if len(sums) == 1 else xp.concat(sums))


def norms(Z: Any) -> Any:
    """Return the norms of the columns over all blocks, (b,), in double precision."""
    xp = namespace(Z)
    return xp.sqrt(xp.sum(squared_norms(Z), axis=0))


def real_dots(A: Any, B: Any) -> Any:
    """Return the real parts of the products of the columns of two stacks, (F, b)."""
    xp = namespace(A)
    if is_complex(A):
        return xp.sum(xp.real(xp.conj(A) * B), axis=1)
    return np.einsum("fcb,fcb->fb", A, B) if xp is np else xp.sum(A * B, axis=1)


def run_of(index: Any) -> slice | None:
    """Return an ascending index as a slice if it is contiguous, otherwise None."""
    first, last = int(index[0]), int(index[-1])
    return slice(first, last + 1) if last - first + 1 == index.shape[0] else None


def take(Z: Any, index: Any) -> Any:
    """Return some samples (F, C, b); NumPy copies none if they are consecutive."""
    xp, run = namespace(Z), run_of(index)
    if run is not None:
        return Z[:, :, run]
    if Z.shape[0] == 1:  # samples of one block are rows in memory
        return xp.take(Z[0, ...].T, index, axis=0).T[None, ...]
    return Z[:, :, index] if xp is np else xp.take(Z, index, axis=2)


def directions(S: Any, longest: int, share: float = 0.0) -> tuple[Any, Any, Any]:
    """Return eigenvalues (F, m), eigenvectors, and these over the singular values.

    Eigenvalues below ``longest`` rounding units (the larger number of coordinates and
    of samples) or below a share of the largest one, the last, are set to zero: they are
    rounding errors of null directions.
    """
    xp = namespace(S)
    eigenvalues, V = xp.linalg.eigh(S)
    share = max(share, longest * float(xp.finfo(xp.float64).eps))
    real = eigenvalues > share * eigenvalues[:, -1:]
    sigma = xp.sqrt(xp.where(real, eigenvalues, xp.ones_like(eigenvalues)))
    real = xp.astype(real, xp.float64)
    return real * eigenvalues, V, V * (real / sigma)[:, None, :]


def one_block(S: Any) -> bool:
    """Return whether there is one real block, for which LAPACK has faster functions."""
    return bool(S.shape[0] == 1) and not is_complex(S)


def factors(S: Any) -> tuple[Any, Any]:
    """Return Cholesky factors of ``I + S`` and log-determinants; S is overwritten.

    For one real block of NumPy, LAPACK is called directly: for small matrices the
    validation in a library function costs more than the factorisation, and for large
    ones its copies do.
    """
    xp = namespace(S)
    if xp is np and one_block(S):
        S[0].flat[:: S.shape[1] + 1] += 1.0
        potrf = getattr(lapack, LETTERS[S.dtype.char] + "potrf")
        U, failed = potrf(S[0].T, lower=0, overwrite_a=1)
        if failed:
            raise np.linalg.LinAlgError("The matrix is not positive definite.")
        L = U.T[None]
    else:
        S += xp.eye(S.shape[-1], dtype=S.dtype, device=S.device)
        L = xp.linalg.cholesky(S)
    return L, 2.0 * xp.sum(xp.log(xp.real(xp.linalg.diagonal(L))), axis=-1)


def whitenings(L: Any) -> Any:
    """Return upper-triangular ``W`` with ``W W^H = (L L^H)^{-1}``; L is overwritten."""
    xp = namespace(L)
    if xp is np and one_block(L):
        trtri = getattr(lapack, LETTERS[L.dtype.char] + "trtri")
        return np.asfortranarray(trtri(L[0].T, lower=0)[0])[None]
    return adjoint(xp.linalg.inv(L))


def right_triangle(Q: Any) -> Any:
    """Return upper-triangular ``T`` with ``T T^T = Q^2`` for a symmetric ``Q``."""
    xp = namespace(Q)
    turned = xp.flip(Q, axis=1)
    if xp is np:  # that of NumPy would use double precision
        (R,) = qr(turned, mode="r", overwrite_a=True, check_finite=False)
        return np.asfortranarray(R.T[::-1, ::-1])
    return xp.flip(xp.linalg.qr(turned)[1].T)


def swept(S: Any) -> tuple[Any, Any]:
    """Return inverses of ``I + S`` (F, C, C) for small blocks, and log-determinants.

    One pivot after the other is eliminated in all blocks at once, which takes few
    operations on long arrays. Larger blocks are left to LAPACK.
    """
    xp, (_, C, _) = namespace(S), S.shape
    eye = xp.eye(C, dtype=S.dtype, device=S.device)
    if C > MAX_SWEPT:
        log_dets = factors(xp.asarray(S, copy=True))[1]
        return xp.linalg.inv(S + eye), log_dets
    M = xp.permute_dims(S, (1, 2, 0))
    # sums of NumPy would keep the order in memory of a view
    M = (np.ascontiguousarray(M) if xp is np else M) + eye[:, :, None]
    log_dets = 0.0
    for i in range(C):
        pivot = xp.real(M[i, i, :]) if is_complex(M) else M[i, i, :]
        log_dets = log_dets + xp.log(pivot)
        inverse = 1.0 / pivot
        row, column = M[i, :, :] * inverse, xp.asarray(M[:, i, :], copy=True)
        M -= column[:, None, :] * row
        M[i, :, :], M[:, i, :] = row, -inverse * column
        M[i, i, :] = xp.astype(inverse, M.dtype)
    M = xp.permute_dims(M, (2, 0, 1))
    return (np.ascontiguousarray(M) if xp is np else M), log_dets


def inverses(S: Any, L: Any) -> Any:
    """Return inverses of ``I + S`` for stacked matrices with Cholesky factors ``L``.

    They have the type of the factors.
    """
    xp = namespace(S)
    if not one_block(S) and (xp is not np or S.shape[-1] <= MAX_STACK):
        return xp.linalg.inv(S + xp.eye(S.shape[-1], dtype=S.dtype, device=S.device))
    inverse = xp.asarray(L, copy=True)  # a third of the operations of `inv`
    for i in range(L.shape[0]):
        inverse[i, ...] = inverse_of(inverse[i, ...])
    return inverse


def adjoint_product(W: Any, Z: Any, *, overwrite: bool = False) -> Any:
    """Return ``W^H Z`` for upper-triangular matrices, with half of the operations."""
    if namespace(Z) is not np or not one_block(W):
        return adjoint(W) @ Z
    trmm = getattr(blas, LETTERS[np.result_type(W, Z).char] + "trmm")
    if Z[0].flags.f_contiguous:
        return trmm(1.0, W[0], Z[0], trans_a=1, overwrite_b=overwrite)[None]
    return trmm(1.0, W[0], Z[0].T, side=1, overwrite_b=overwrite).T[None]


def log_softmax(scores: Any) -> Any:
    """Return the log-softmax of scores (b, k) along the last axis."""
    xp = namespace(scores)
    scores = scores - xp.max(scores, axis=1, keepdims=True)
    return scores - xp.log(xp.sum(xp.exp(scores), axis=1, keepdims=True))


def softmax(scores: Any) -> Any:
    """Return the softmax of scores (b, k) along the last axis."""
    return namespace(scores).exp(log_softmax(scores))


# Range of lengths and factors on the unit sphere, such that products of a few are
# finite.
MODERATE = Interval(Real, 1e-50, 1e50, closed="both")


def root_mean_square(X: Any, weights: Any = None) -> float:
    """Return the root mean square norm of samples; one if all are zero."""
    xp = namespace(X)
    size = largest(X)
    if size == 0.0:
        return 1.0
    squares = xp.sum((X / size) ** 2, axis=1)
    if weights is None:
        return size * float(xp.mean(squares)) ** 0.5
    return size * float(xp.sum(weights / xp.sum(weights) * squares)) ** 0.5


def on_sphere(X: Any, constant: float | None = None) -> Any:
    """Divide samples, with a constant appended if there is one, by their norms.

    Zeros stay zeros.
    """
    xp, dtype = namespace(X), X.dtype
    if constant is not None:
        limits = xp.finfo(dtype)
        if not float(limits.smallest_normal) < constant < float(limits.max):
            X = widen(X)  # fitted to double-precision samples
        place = {"dtype": X.dtype, "device": X.device}
        X = xp.concat([X, xp.full((X.shape[0], 1), constant, **place)], axis=1)
    # The squares of huge or tiny samples would be out of range.
    sizes = xp.max(xp.abs(X), axis=1, keepdims=True)
    X = X / xp.where(sizes > 0, sizes, xp.ones_like(sizes))
    return xp.astype(normalised(X), dtype, copy=False)


def normalised(Z: Any) -> Any:
    """Divide samples of moderate magnitude by their norms; zeros stay zeros."""
    xp = namespace(Z)
    norms = xp.sqrt(xp.sum(Z * Z, axis=1, keepdims=True))
    return Z / xp.where(norms > 0, norms, xp.ones_like(norms))
