r"""A group of rows factored once, on its cheaper side, to code other rows against it.

Two forms. The *spectral* form keeps the eigenvectors and eigenvalues of the scatter
and serves every distortion. The *triangular* form keeps the inverse Cholesky factor of
``I + c S`` for one distortion: half the operations a row, and no eigenvectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import blas

from skredu._compat import at_least, count, namespace
from skredu.coding._incremental import Code, Coordinates, Leverages, joined_extra
from skredu.coding._linalg import (
    LEAST_STILL,
    factor_of,
    lapack_of,
    log_det_of,
    split,
    widen,
)
from skredu.coding._scatter import Scatter


@dataclass(frozen=True, eq=False, repr=False)
class Group:
    """A coded group of rows in the input space.

    Parameters
    ----------
    code : Code
        Count, eigenvalues and squared mean: what lengths depend on.
    mean : array of shape (d,)
        Mean of the rows, zero around the origin.
    basis : array of shape (a, r) or (a, a)
        Eigenvectors of the scatter, or the transposed inverse of the Cholesky factor,
        in the ``a`` features that move.
    triangular : bool
        Which of the two ``basis`` is.
    moving, still : arrays of shape (a,) and (d - a,), or None
        Features with and without a spread in the group: those without cost no
        product. None where nearly all move.
    """

    code: Code
    mean: Any
    basis: Any
    triangular: bool = False
    moving: Any = None
    still: Any = None

    def coordinates(self, X: Any) -> Coordinates:
        """Coordinates of rows along the eigenvectors (spectral form).

        Relative to the mean of this group and not to a common origin: a group far
        from the others keeps its digits.
        """
        xp = namespace(X)
        centred, outside = self._centred(X)
        squares = (centred @ self.basis) ** 2
        if squares.shape[1] < centred.shape[1]:
            total = xp.sum(centred * centred, axis=1)
            outside = outside + at_least(total - xp.sum(squares, axis=1), 0.0)
        return Coordinates(squares, outside, *self._products(X))

    def joined_extra(self, X: Any, epsilons: Any) -> Any:
        """Extra nats of rows that are not in the group, of shape (b, e)."""
        if not self.triangular:
            return joined_extra(self.code, self.coordinates(X), epsilons)
        centred, outside = self._centred(X)
        owned = self.moving is not None or not self.code.assume_centered
        whitened = _triangular_product(centred, self.basis, overwrite=owned)
        m = (_squared_norms(whitened) + outside)[:, None]
        moved = self.code.moved_mean_squares(*self._products(X), 1.0)
        return self.code.joined_length(m, moved, epsilons) - self.code.length(epsilons)

    def _centred(self, X: Any) -> tuple[Any, Any]:
        """Rows relative to the mean, and what features without a spread add to m."""
        xp = namespace(X)
        if self.moving is None:
            outside = xp.zeros(X.shape[0], dtype=X.dtype, device=X.device)
            return X if self.code.assume_centered else X - self.mean, outside
        parts = []
        for index in (self.moving, self.still):
            part = xp.take(X, index, axis=1)
            part -= xp.take(self.mean, index)
            parts.append(part)
        return parts[0], xp.astype(_squared_norms(parts[1]), X.dtype)

    def _products(self, X: Any) -> tuple[Any, Any]:
        """Products with the mean, and squared norms: only the mean term needs them."""
        xp = namespace(X)
        if self.code.assume_centered:
            zeros = xp.zeros(X.shape[0], dtype=xp.float64, device=X.device)
            return zeros, zeros
        return xp.astype(X @ self.mean, xp.float64), _squared_norms(X)


def spectral_group(scatter: Scatter) -> tuple[Group, Leverages | None]:
    """Factor a scatter for every distortion, in double precision.

    Returns
    -------
    group : Group
    leverages : Leverages or None
        Of the rows that made the scatter, where it still holds them as its root.
    """
    scatter, mean, moving, still = _moving_part(scatter)
    eigenvalues, V, U = spectrum(scatter)
    leverages = None
    if U is not None and not scatter.precise:  # a precise root holds no rows
        rank = U.shape[0] - (not scatter.assume_centered)
        leverages = Leverages(U * U, full=U.shape[1] >= rank)
    code = _code(scatter, mean, eigenvalues)
    group = Group(code, mean, _cast(V, mean), moving=moving, still=still)
    return group, leverages


def _moving_part(scatter: Scatter) -> tuple[Scatter, Any, Any, Any]:
    """Scatter of the features that have a spread, the whole mean, and the split."""
    xp = namespace(scatter.mean)
    matrix, mean = scatter.matrix, scatter.mean
    if matrix is None:
        return scatter, mean, None, None
    moving, still = split(xp.linalg.diagonal(matrix) > 0)
    few = still.shape[0] < LEAST_STILL * mean.shape[0]
    if few or moving.shape[0] == 0:
        return scatter, mean, None, None
    matrix = xp.take(xp.take(matrix, moving, axis=0), moving, axis=1)
    return replace(scatter, matrix=matrix), mean, moving, still


def spectrum(scatter: Scatter) -> tuple[Any, Any, Any]:
    """Factor a scatter on its cheaper side, in double precision.

    Returns
    -------
    eigenvalues : array of shape (r,)
    V : array of shape (d, r)
        Eigenvectors.
    U : array of shape (m, r) or None
        Left singular vectors of the root, where the scatter has one.
    """
    xp = namespace(scatter.mean)
    if scatter.matrix is None:
        U, sigma, Vt = left_and_right(scatter.root)
        return sigma * sigma, Vt.T, U
    eigenvalues, V = xp.linalg.eigh(widen(scatter.matrix))
    return at_least(eigenvalues, 0.0), V, None


def left_and_right(root: Any) -> tuple[Any, Any, Any]:
    """Singular vectors and values of rows, cut at the rank of their own precision.

    Rows in single precision sum to zero in single precision only: the direction that
    this leaves behind must not count as one of the group.
    """
    xp = namespace(root)
    U, sigma, Vt = xp.linalg.svd(widen(root), full_matrices=False)
    floor = 4 * min(root.shape) * float(xp.finfo(root.dtype).eps)
    rank = count(sigma > floor * sigma[0]) if sigma.shape[0] else 0
    return U[:, :rank], sigma[:rank], Vt[:rank, :]


def triangular_group(scatter: Scatter, epsilon: float) -> Group | None:
    """Factor a scatter for one distortion; None where that would lose digits."""
    if scatter.matrix is None or too_steep(scatter, epsilon):
        return None
    d = scatter.n_features
    part, mean, moving, still = _moving_part(scatter)
    S = widen(part.matrix)
    volumes = []
    for change in (0.0, 1.0):
        L = factor_of(d / ((scatter.count + change) * epsilon**2) * S)
        volumes.append(log_det_of(L))
    code = _code(part, mean, S[0, :0], volumes=(volumes[0], volumes[1]))
    basis = _cast(_inverse(L).T, mean)
    return Group(code, mean, basis, True, moving, still)


def too_steep(scatter: Scatter, epsilon: float) -> bool:
    """Whether ``I + c S`` would lose digits of a matrix ``S``."""
    if scatter.matrix is None or scatter.count == 0.0:
        return False
    c = scatter.n_features / scatter.count / epsilon / epsilon
    return c * scatter.trace > 1.0 / _root_eps(scatter.matrix)


def _code(scatter: Scatter, mean: Any, eigenvalues: Any, volumes: Any = None) -> Code:
    mean = widen(mean)
    return Code(
        count=scatter.count,
        n_features=float(mean.shape[0]),
        eigenvalues=eigenvalues,
        mean_square=float(mean @ mean),
        assume_centered=scatter.assume_centered,
        volumes=volumes,
    )


def _cast(basis: Any, mean: Any) -> Any:
    """Basis in the precision of the rows, laid out for products with rows."""
    xp = namespace(basis)
    basis = xp.astype(basis, mean.dtype)
    return np.asfortranarray(basis) if xp is np else basis


def _inverse(L: Any) -> Any:
    """Inverse of a lower-triangular factor of bounded condition."""
    xp = namespace(L)
    if xp is np:
        return lapack_of("trtri", L)(L.T, lower=0)[0].T
    return xp.linalg.inv(L)


def _root_eps(X: Any) -> float:
    return math.sqrt(float(namespace(X).finfo(X.dtype).eps))


def _squared_norms(X: Any) -> Any:
    xp = namespace(X)
    if xp is np:  # no temporary of the size of X
        return np.einsum("ij,ij->i", X, X).astype(np.float64)
    return xp.astype(xp.sum(X * X, axis=1), xp.float64)


def _triangular_product(X: Any, U: Any, *, overwrite: bool) -> Any:
    """``X @ U`` with an upper-triangular ``U``: half the operations on NumPy."""
    if namespace(X) is not np:
        return X @ U
    (trmm,) = blas.get_blas_funcs(("trmm",), (X, U))
    return trmm(1.0, U, X.T, side=0, lower=0, trans_a=1, overwrite_b=overwrite).T
