"""Operators of a group of rows, made in the form that takes fewer operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import qr

from skredu._compat import at_least, count, namespace
from skredu.coding import _old_group as _group
from skredu.coding._incremental import NOTHING_LEFT, Code, Leverages
from skredu.coding._linalg import (
    factor_of,
    inverse_of,
    log_det_of,
    scatter_of,
    widen,
)
from skredu.coding._old_group import left_and_right
from skredu.redunet._base_layer import weights_differ
from skredu.redunet._forms import Dense, Factored, Form, alone_nats, squared_norms

if TYPE_CHECKING:
    from skredu.redunet._protocols import LeftOut

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
# Up to this ``alpha tr(S)`` the Cholesky factor of rows in single precision is inverted
# in single precision: what rounding does is the root of this times the unit.
SINGLE_SCALE = 1e5


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
    steepness : float
        Trace of ``alpha S``.
    factor : array of shape (r, r) or None
        Cholesky factor of ``I + alpha S`` of a dense form that has a volume, but no
        matrices yet, see `completed`.
    """

    Z: Any
    weights: Any
    form: Form
    scatter: Any = None
    leverages: Leverages | None = None
    steepness: float = 0.0
    factor: Any = None

    def left_out(self) -> LeftOut:
        """Extra nats (b,) and projections (b, r) of some rows, each by the others."""
        if isinstance(self.form, Factored):
            return self._factored_left_out
        without = _dense_without(self, self.form)
        return lambda some: without(self.Z[some, :])

    def _factored_left_out(self, some: slice) -> tuple[Any, Any]:
        assert isinstance(self.form, Factored)
        assert self.leverages is not None
        weights = None if self.weights is None else self.weights[some]
        leverages = replace(self.leverages, squares=self.leverages.squares[some, :])
        return self.form.left_out(self.Z[some, :], weights, leverages)

    def rounded(self, L: Any) -> Any:
        """Copy of a Cholesky factor, in the precision in which it is inverted."""
        xp = namespace(L)
        single = self.steepness <= SINGLE_SCALE
        return xp.astype(L, self.Z.dtype if single else L.dtype, copy=True)


def _dense_without(group: Group, form: Dense) -> Callable[[Any], tuple[Any, Any]]:
    """How rows, which all have the same weight, are coded and projected by the rest."""
    code, xp = form.code, namespace(group.Z)
    weight = 1.0 if group.weights is None else float(group.weights[0])
    n, d = code.count - weight, code.n_features
    if n <= NOTHING_LEFT * code.count:
        return lambda Z: _alone(Z, form)

    def factored(count: float) -> tuple[float, float, Any]:
        c = d / count / form.epsilon**2
        L = factor_of(c * group.scatter)
        W = xp.astype(_group._inverse(group.rounded(L)).T, group.Z.dtype)
        return c, log_det_of(L), W

    def remainder(c: float, copies: float, whitened: Any) -> Any:
        rest = 1.0 - c * copies * squared_norms(whitened)
        eps = float(xp.finfo(group.Z.dtype).eps)
        return at_least(rest, eps / (1.0 + c * abs(copies)))

    less = factored(n)
    more = None if weight == 1.0 else factored(n + 1.0)

    def left_out(Z: Any) -> tuple[Any, Any]:
        c, volume, W = less
        whitened = _group._triangular_product(Z, W, overwrite=False)
        rest = remainder(c, weight, whitened)
        logs, after = volume + xp.log(rest), form.volume()
        if more is not None:
            c, volume, T = more
            m = _group._triangular_product(Z, T, overwrite=False)
            after = volume + xp.log(remainder(c, weight - 1.0, m))
        nats = (n + 1.0 + d) / 2.0 * after - (n + d) / 2.0 * logs
        moved = (whitened @ W.T) / xp.astype(rest, Z.dtype)[:, None]
        return nats, Z - moved

    return left_out


def _alone(Z: Any, form: Dense) -> tuple[Any, Any]:
    nats = alone_nats(form.code, form.epsilon, squared_norms(Z))
    return nats, namespace(Z).zeros_like(Z)


def group_of(
    Z: Any,
    weights: Any,
    *,
    epsilon: float,
    n_features: int,
    n_moved: int,
    kind: str | None = "coding",
    scatter: Any = None,
    left_out: bool = False,
    form: str | None = None,
) -> Group:
    """Make the operators of a group, but for the matrices of a dense one.

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
    alpha = n_features / count / epsilon**2
    steepness = alpha * float(xp.sum(squared_norms(root)))
    limit = MAX_SCALE if kind != "residual" else GRAM_SCALE
    if steepness > limit or (left_out and weights_differ(weights)):
        form = "factored"
    code = Code(count, float(n_features), None, 0.0, True)
    if form == "dense":
        if scatter is None:
            scatter = scatter_of(widen(root))
        L = factor_of(alpha * scatter)
        volumes = (log_det_of(L), 0.0)
        code = replace(code, eigenvalues=scatter[0, :0], volumes=volumes)
        dense = Dense(code, epsilon, None)
        return Group(Z, weights, dense, scatter, steepness=steepness, factor=L)
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
    rank = count(alpha * eigenvalues > eps / 4.0)
    code = Code(code.count, code.n_features, eigenvalues[:rank], 0.0, True)
    leverages = Leverages(U[:, :rank] ** 2, full=rank == U.shape[0])
    form = Factored(code, epsilon, xp.astype(V[:, :rank], Z.dtype))
    return Group(Z, weights, form, leverages=leverages)


def _singular_vectors(root: Any, alpha: float) -> tuple[Any, Any, Any]:
    """Singular vectors and values of rows, the largest first.

    All but the right vectors are in double precision. Of few rows the matrix of
    products is decomposed where that resolves all that matters: several times faster.
    """
    xp = namespace(root)
    b, r = root.shape
    if b < r:
        rows = widen(root)
        G = rows @ rows.T
        trace = float(xp.sum(xp.linalg.diagonal(G)))
        if alpha * trace < GRAM_SCALE:
            return _by_products(root, G, trace)
    U, sigma, Vt = left_and_right(root)
    return U, sigma, Vt.T


def _by_products(root: Any, G: Any, trace: float) -> tuple[Any, Any, Any]:
    """Singular vectors from those of ``G = root @ root.T``; right ones as precise."""
    xp = namespace(root)
    floor = root.shape[0] * float(xp.finfo(xp.float64).eps) * trace
    eigenvalues, U = xp.linalg.eigh(G)
    start = count(eigenvalues <= floor)
    U = xp.flip(U[:, start:], axis=1)
    sigma = xp.sqrt(xp.flip(eigenvalues[start:]))
    return U, sigma, root.T @ xp.astype(U / sigma, root.dtype, copy=False)


def completed(group: Group, kind: str | None, order: Any) -> Group:
    """Return a group with the matrices of its dense form.

    Parameters
    ----------
    group : Group
    kind : {"coding", "residual"} or None
        Rule by which rows will be scored; None: they will not.
    order : array of shape (r,) or None
        Features, those with the most energy first.
    """
    if group.factor is None:
        return group
    xp, form = namespace(group.Z), group.form
    inverse = inverse_of(group.rounded(group.factor))
    eye = xp.eye(inverse.shape[0], dtype=inverse.dtype, device=inverse.device)
    ridge = xp.astype(eye - inverse, group.Z.dtype, copy=False)
    code, T = form.code, None
    if kind == "coding":
        scale = code.n_features / (code.count + 1.0) / form.epsilon**2
        L = factor_of(scale * _reordered(group.scatter, order))
        volumes = (form.volume(), log_det_of(L))
        code, T = replace(code, volumes=volumes), _group._inverse(group.rounded(L)).T
    elif kind == "residual":
        T = _right_triangle(_reordered(inverse, order))
    if T is not None:
        T = _group._cast(T, group.Z)
    form = Dense(code, form.epsilon, ridge, T, order)
    return replace(group, form=form, factor=None)


def _reordered(matrix: Any, order: Any) -> Any:
    xp = namespace(matrix)
    return xp.take(xp.take(matrix, order, axis=0), order, axis=1)


def _right_triangle(matrix: Any) -> Any:
    """Upper-triangular ``T`` with ``T T^T`` the square of a symmetric matrix."""
    xp = namespace(matrix)
    turned = xp.flip(matrix, axis=1)
    if xp is np:  # NumPy's would be in double precision
        (R,) = qr(turned, mode="r", overwrite_a=True, check_finite=False)
    else:
        R = xp.linalg.qr(turned)[1]
    return xp.flip(R.T)
