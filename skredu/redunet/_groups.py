"""Operators of a group of rows, made in the form that takes fewer operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu._compat import at_least, namespace
from skredu.coding import _group
from skredu.coding._group import left_and_right
from skredu.coding._incremental import Code, Leverages
from skredu.coding._linalg import (
    factor_of,
    inverse_of,
    log_det_of,
    scatter_of,
    widen,
)
from skredu.redunet._forms import Dense, Factored, Form, alone_nats, squared_norms

# Operations of an eigenvector decomposition of size m, over m^3, and of what the dense
# form factors: two Cholesky factors, an inverse and a symmetric inverse.
EIGENVECTORS = 10.0
CHOLESKY = 2.0
# Beyond this ``I + alpha S`` loses too many digits of weak directions (it is factored
# in double precision), and singular vectors take over.
MAX_SCALE = 1e7
# Up to this ``alpha tr(S)`` the products of rows resolve their singular vectors: what
# rounding does to the operators is this times the unit of rounding.
GRAM_SCALE = 1e5


@dataclass(frozen=True, eq=False, repr=False)
class Group:
    """Training rows of a group and what is made from them.

    Parameters
    ----------
    Z : array of shape (b, r)
        Rows.
    weights : array of shape (b,) or None
        Their weights, in double precision.
    form : Factored or Dense
    scatter : array of shape (r, r) or None
        Scatter of the rows, of the dense form.
    leverages : Leverages or None
        Of the rows, of the factored form.
    """

    Z: Any
    weights: Any
    form: Form
    scatter: Any = None
    leverages: Leverages | None = None

    def left_out(self) -> tuple[Any, Any]:
        """Extra nats (b,) and projections (b, r) of the rows, each by the others."""
        if isinstance(self.form, Factored):
            assert self.leverages is not None
            return self.form.left_out(self.Z, self.weights, self.leverages)
        return _dense_left_out(self.form, self.Z, self.scatter)


def _dense_left_out(form: Dense, Z: Any, scatter: Any) -> tuple[Any, Any]:
    xp, code = namespace(Z), form.code
    n, d = code.count - 1.0, code.n_features
    if n <= 0.0:
        return alone_nats(code, form.epsilon, squared_norms(Z)), xp.zeros_like(Z)
    c = d / n / form.epsilon**2
    L = factor_of(c * scatter)
    W = xp.astype(_group._inverse(L).T, Z.dtype)
    whitened = _group._triangular_product(Z, W, overwrite=False)
    remainder = 1.0 - c * squared_norms(whitened)
    remainder = at_least(remainder, float(xp.finfo(Z.dtype).eps) / (1.0 + c))
    volume = log_det_of(L)
    nats = (n + 1.0 + d) / 2.0 * form.volume() - (n + d) / 2.0 * (
        volume + xp.log(remainder)
    )
    rest = (whitened @ W.T) / xp.astype(remainder, Z.dtype)[:, None]
    return nats, Z - rest


def group_of(
    Z: Any,
    weights: Any,
    *,
    epsilon: float,
    n_features: int,
    n_moved: int,
    kind: str | None = "coding",
    order: Any = None,
    scatter: Any = None,
    left_out: bool = False,
    form: str | None = None,
) -> Group:
    """Make the operators of a group.

    Parameters
    ----------
    Z : array of shape (b, r)
        Rows of the group.
    weights : array of shape (b,) or None
        Their weights, positive and in double precision.
    epsilon : float
        Distortion.
    n_features : int
        Dimension ``d`` that coding lengths count: more than ``r`` where the network
        works in a span.
    n_moved : int
        Number of rows that the operators are applied to in training.
    kind : {"coding", "residual"} or None, default="coding"
        Rule by which rows will be scored; None: they will not.
    order : array of shape (r,), default=None
        Features, those with the most energy first; None: as they are.
    scatter : array of shape (r, r), default=None
        Scatter of the rows, where it is known.
    left_out : bool, default=False
        Rows will be left out.
    form : {"factored", "dense"}, default=None
        Form to prefer; None: the one with fewer operations.
    """
    xp = namespace(Z)
    count = float(Z.shape[0] if weights is None else xp.sum(weights))
    root = Z
    if weights is not None:
        root = xp.sqrt(xp.astype(weights, Z.dtype))[:, None] * Z
    if form is None:
        form = _cheaper(root.shape, n_moved)
    trace = float(xp.sum(squared_norms(root)))
    limit = MAX_SCALE if kind != "residual" else GRAM_SCALE
    steep = n_features / count / epsilon**2 * trace > limit
    # A fraction of a row that is left out leaves a scale of its own behind.
    fractions = left_out and weights is not None and bool(xp.any(weights < 1.0))
    if steep or fractions:
        form = "factored"
    code = Code(count, float(n_features), None, 0.0, True)
    if form == "dense":
        if scatter is None:
            scatter = scatter_of(widen(root))
        dense = _dense_form(scatter, code, epsilon, kind, order, Z)
        return Group(Z, weights, dense, scatter=scatter)
    return _factored_group(Z, weights, root, code, epsilon)


def _cheaper(shape: tuple[int, int], n_moved: int) -> str:
    r"""Form with fewer operations in a layer, for a group of b rows with r features.

    Factored, with ``m = min(b, r)`` eigenvectors: :math:`b r m + 10 m^3 + b r m` to
    find them, then :math:`2 r m` for each of the ``N`` rows that move and as much
    again for the ``b`` of the group. Dense: :math:`b r^2` for the scatter,
    :math:`2 r^3` for its factors, then a triangular product, :math:`r^2`, for each of
    the ``N`` and a full one, :math:`2 r^2`, for each of the ``b``.
    """
    b, r = shape
    m = min(b, r)
    factored = 2 * b * r * m + EIGENVECTORS * m**3 + 2 * r * m * (n_moved + b)
    dense = b * r**2 + CHOLESKY * r**3 + r**2 * (n_moved + 2 * b)
    return "factored" if factored < dense else "dense"


def _factored_group(
    Z: Any, weights: Any, root: Any, code: Code, epsilon: float
) -> Group:
    xp = namespace(Z)
    alpha = code.n_features / code.count / epsilon**2
    U, sigma, V = _singular_vectors(root, alpha)
    eigenvalues = sigma * sigma
    # What is left out changes no product by more than rounding.
    eps = float(xp.finfo(Z.dtype).eps)
    rank = int(xp.count_nonzero(alpha * eigenvalues > eps / 4.0))
    code = Code(code.count, code.n_features, eigenvalues[:rank], 0.0, True)
    leverages = Leverages(U[:, :rank] ** 2, full=rank == U.shape[0])
    form = Factored(code, epsilon, xp.astype(V[:, :rank], Z.dtype))
    return Group(Z, weights, form, leverages=leverages)


def _singular_vectors(root: Any, alpha: float) -> tuple[Any, Any, Any]:
    """Singular vectors and values of rows in double precision, the largest first.

    Of few rows the matrix of products is decomposed where that resolves all that
    matters: several times faster.
    """
    xp = namespace(root)
    b, r = root.shape
    if b < r:
        rows = widen(root)
        G = rows @ rows.T
        trace = float(xp.sum(xp.linalg.diagonal(G)))
        if alpha * trace < GRAM_SCALE:
            return _by_products(rows, G, trace)
    U, sigma, Vt = left_and_right(root)
    return U, sigma, Vt.T


def _by_products(rows: Any, G: Any, trace: float) -> tuple[Any, Any, Any]:
    """Singular vectors from those of ``G = rows @ rows.T``."""
    xp = namespace(rows)
    floor = rows.shape[0] * float(xp.finfo(xp.float64).eps) * trace
    eigenvalues, U = xp.linalg.eigh(G)
    start = int(xp.count_nonzero(eigenvalues <= floor))
    U = xp.flip(U[:, start:], axis=1)
    sigma = xp.sqrt(xp.flip(eigenvalues[start:]))
    return U, sigma, (rows.T @ U) / sigma


def _dense_form(
    scatter: Any, code: Code, epsilon: float, kind: str | None, order: Any, like: Any
) -> Dense:
    """Square matrices in the precision of ``like``, made in double precision."""
    xp = namespace(scatter)
    n, d = code.count, code.n_features
    L = factor_of(d / n / epsilon**2 * scatter)
    volumes, T = (log_det_of(L), 0.0), None
    inverse = inverse_of(L)
    eye = xp.eye(L.shape[0], dtype=L.dtype, device=L.device)
    ridge = xp.astype(eye - inverse, like.dtype)
    if kind is not None and order is None:
        order = xp.arange(L.shape[0], device=L.device)
    if kind == "coding":
        L = factor_of(d / (n + 1.0) / epsilon**2 * _reordered(scatter, order))
        volumes, T = (volumes[0], log_det_of(L)), _group._inverse(L).T
    elif kind == "residual":
        T = _right_triangle(_reordered(inverse, order))
    if T is not None:
        T = _group._cast(T, like)
    code = Code(n, d, scatter[0, :0], 0.0, True, volumes)
    return Dense(code, epsilon, ridge, T, order)


def _reordered(matrix: Any, order: Any) -> Any:
    xp = namespace(matrix)
    return xp.take(xp.take(matrix, order, axis=0), order, axis=1)


def _right_triangle(matrix: Any) -> Any:
    """Upper-triangular ``T`` with ``T T^T`` the square of a symmetric matrix."""
    xp = namespace(matrix)
    turned = xp.flip(matrix, axis=1)
    R: Any = np.linalg.qr(turned, "r") if xp is np else xp.linalg.qr(turned)[1]
    return xp.flip(R.T)
