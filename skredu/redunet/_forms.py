r"""The operators of one group of rows, in two forms.

With the scatter :math:`S` of a group around the origin, its operator in a layer is
:math:`\alpha M^{-1}` with :math:`\alpha = d/(n\epsilon^2)` and
:math:`M = I + \alpha S`, and

.. math:: P = I - M^{-1} = \alpha S (I + \alpha S)^{-1}

projects, softly, on the span of the group. `Factored` keeps the eigenvectors of the
scatter and serves every distortion; `Dense` keeps two square matrices for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skredu._compat import at_least, at_most, namespace
from skredu.coding import _group
from skredu.coding._group import left_and_right
from skredu.coding._incremental import (
    Code,
    Coordinates,
    Leverages,
    joined_extra,
    left_out_extra,
)
from skredu.coding._linalg import scatter_of, widen

# Operations of an eigenvector decomposition of size m, over m^3, and of what the dense
# form factors: two Cholesky factors, an inverse and a symmetric inverse.
EIGENVECTORS = 10.0
CHOLESKY = 2.0
# Beyond this ``I + alpha S`` loses too many digits of weak directions (it is factored
# in double precision), and singular vectors take over.
MAX_SCALE = 1e7


@dataclass(frozen=True)
class Factored:
    """Eigenvectors of the scatter.

    Parameters
    ----------
    code : Code
        Count and eigenvalues.
    epsilon : float
        Distortion.
    basis : array of shape (r, m)
        Eigenvectors as columns.
    """

    code: Code
    epsilon: float
    basis: Any

    def prepare(self, Z: Any) -> Any:
        """Coordinates of rows along the eigenvectors, which all else is made from."""
        return Z @ self.basis

    def volume(self) -> float:
        """Log-determinant of ``I + alpha S``."""
        return float(self.code.log_volume(self._epsilons)[0])

    def extra(self, Z: Any, prepared: Any) -> Any:
        """Extra nats of rows that join the group, label not included, (b,)."""
        coordinates = _coordinates(prepared, squared_norms(Z))
        return joined_extra(self.code, coordinates, self._epsilons)[:, 0]

    def residual(self, Z: Any, prepared: Any) -> Any:
        """Norms of ``M^{-1} z``, of shape (b,)."""
        xp = namespace(Z)
        rows = _coordinates(prepared, squared_norms(Z))
        shrink = xp.astype((1.0 - self._shares) ** 2, Z.dtype)
        return xp.sqrt(xp.astype(rows.squares @ shrink + rows.outside, xp.float64))

    def project(self, prepared: Any) -> Any:
        """Rows ``P z``, of shape (b, r)."""
        shares = namespace(prepared).astype(self._shares, prepared.dtype)
        return (prepared * shares) @ self.basis.T

    def matrix(self) -> Any:
        """``P`` as a dense array of shape (r, r)."""
        return self.project(self.basis)

    def left_out(self, Z: Any, weights: Any, leverages: Leverages) -> tuple[Any, Any]:
        """Extra nats and projections of rows of the group, by the others.

        Parameters
        ----------
        Z : array of shape (b, r)
            All rows of the group.
        weights : array of shape (b,) or None
            Their weights: one copy, or what there is of it, is left out.
        leverages : Leverages

        Returns
        -------
        nats : array of shape (b,)
        projected : array of shape (b, r)
        """
        xp, code = namespace(Z), self.code
        prepared = self.prepare(Z)
        rows = _coordinates(prepared, squared_norms(Z))
        nats = left_out_extra(code, rows, self._epsilons, weights, leverages)[:, 0]
        if weights is None:
            weights = xp.ones(Z.shape[0], dtype=xp.float64, device=Z.device)
        copies = at_most(weights, 1.0)
        left = at_least(code.count - copies, 0.0)
        alone = left <= 0.0
        c = code.n_features / xp.where(alone, xp.ones_like(left), left)
        c = c[:, None] / self.epsilon**2
        shrink = 1.0 / (1.0 + c * code.eigenvalues[None, :])
        inner = xp.sum(leverages.squares * shrink, axis=1)
        if not leverages.full:
            inner = inner + at_least(1.0 - xp.sum(leverages.squares, axis=1), 0.0)
        remainder = (weights - copies + copies * inner) / weights
        rest = (prepared * xp.astype(shrink, Z.dtype)) @ self.basis.T
        if not leverages.full:
            rest = rest + (Z - prepared @ self.basis.T)
        rest = rest / xp.astype(remainder, Z.dtype)[:, None]
        nats = xp.where(alone, _alone(code, self.epsilon, rows.norms), nats)
        return nats, xp.where(alone[:, None], xp.zeros_like(Z), Z - rest)

    @property
    def _shares(self) -> Any:
        """Eigenvalues of ``P``."""
        scaled = self.code.scale(self._epsilons) * self.code.eigenvalues
        return scaled / (1.0 + scaled)

    @property
    def _epsilons(self) -> Any:
        return _as_array(self.epsilon, self.code.eigenvalues)


@dataclass(frozen=True)
class Dense:
    """Square matrices.

    Parameters
    ----------
    code : Code
        Count and log-determinants.
    epsilon : float
        Distortion.
    ridge : array of shape (r, r)
        The matrix ``P``.
    whitening : array of shape (r, r) or None
        Upper triangular ``W`` with ``W W^T`` the inverse of ``I + c S`` at the scale
        ``c`` of one more row; None where no lengths are asked for.
    """

    code: Code
    epsilon: float
    ridge: Any
    whitening: Any = None

    def prepare(self, Z: Any) -> Any:
        """Nothing is shared between rows' lengths and projections."""
        return Z

    def volume(self) -> float:
        """Log-determinant of ``I + alpha S``."""
        return float(self.code.volumes[0])  # type: ignore[index]

    def extra(self, Z: Any, prepared: Any) -> Any:
        """Extra nats of rows that join the group, label not included, (b,)."""
        whitened = _group._triangular_product(Z, self.whitening, overwrite=False)
        m = squared_norms(whitened)
        zeros = namespace(m).zeros_like(m)
        epsilons = _as_array(self.epsilon, m)
        length = self.code.joined_length(m[:, None], zeros, epsilons)[:, 0]
        return length - float(self.code.length(epsilons)[0])

    def residual(self, Z: Any, prepared: Any) -> Any:
        """Norms of ``M^{-1} z``, of shape (b,)."""
        return namespace(Z).sqrt(squared_norms(Z - Z @ self.ridge))

    def project(self, prepared: Any) -> Any:
        """Rows ``P z``, of shape (b, r)."""
        return prepared @ self.ridge

    def matrix(self) -> Any:
        """``P`` as a dense array of shape (r, r)."""
        return self.ridge


Form = Factored | Dense


@dataclass(frozen=True)
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
        return _alone(code, form.epsilon, squared_norms(Z)), xp.zeros_like(Z)
    c = d / n / form.epsilon**2
    L = _cholesky(scatter, c)
    W = xp.astype(_group._inverse(L).T, Z.dtype)
    whitened = _group._triangular_product(Z, W, overwrite=False)
    remainder = 1.0 - c * squared_norms(whitened)
    remainder = at_least(remainder, float(xp.finfo(Z.dtype).eps) / (1.0 + c))
    volume = _log_det(L)
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
    lengths: bool = True,
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
    lengths : bool, default=True
        Also prepare extra lengths.
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
    steep = n_features / count / epsilon**2 * trace > MAX_SCALE
    # A fraction of a row that is left out leaves a scale of its own behind.
    fractions = left_out and weights is not None and bool(xp.any(weights < 1.0))
    if steep or fractions:
        form = "factored"
    code = Code(count, float(n_features), None, 0.0, True)
    if form == "dense":
        return _dense_group(Z, weights, root, code, epsilon, lengths)
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

    Rows in single precision have their products taken in double precision, where that
    resolves all that matters: several times faster.
    """
    xp = namespace(root)
    b, r = root.shape
    eps = float(xp.finfo(xp.float64).eps)
    if b < r and root.dtype != xp.float64:
        rows = widen(root)
        G = rows @ rows.T
        floor = b * eps * float(xp.sum(xp.linalg.diagonal(G)))
        if alpha * floor < float(xp.finfo(root.dtype).eps) / 4.0:
            eigenvalues, U = xp.linalg.eigh(G)
            start = int(xp.count_nonzero(eigenvalues <= floor))
            U, sigma = xp.flip(U[:, start:], axis=1), xp.sqrt(eigenvalues[start:])
            sigma = xp.flip(sigma)
            return U, sigma, (rows.T @ U) / sigma
    U, sigma, Vt = left_and_right(root)
    return U, sigma, Vt.T


def _dense_group(
    Z: Any, weights: Any, root: Any, code: Code, epsilon: float, lengths: bool
) -> Group:
    xp = namespace(Z)
    scatter = scatter_of(widen(root))
    n, d = code.count, code.n_features
    L = _cholesky(scatter, d / n / epsilon**2)
    volumes = (_log_det(L), 0.0)
    inverse = _group._inverse(L)
    eye = xp.eye(L.shape[0], dtype=L.dtype, device=L.device)
    ridge = xp.astype(eye - inverse.T @ inverse, Z.dtype)
    whitening = None
    if lengths:
        L = _cholesky(scatter, d / (n + 1.0) / epsilon**2)
        volumes = (volumes[0], _log_det(L))
        whitening = _group._cast(_group._inverse(L).T, Z)
    code = Code(n, d, widen(scatter)[0, :0], 0.0, True, volumes)
    return Group(Z, weights, Dense(code, epsilon, ridge, whitening), scatter=scatter)


def _cholesky(scatter: Any, scale: float) -> Any:
    """Cholesky factor of ``I + c S`` in double precision."""
    xp = namespace(scatter)
    S = widen(scatter)
    return xp.linalg.cholesky(
        xp.eye(S.shape[0], dtype=S.dtype, device=S.device) + scale * S
    )


def _log_det(L: Any) -> float:
    xp = namespace(L)
    return 2.0 * float(xp.sum(xp.log(xp.linalg.diagonal(L))))


def squared_norms(Z: Any) -> Any:
    """Squared norms of rows, in double precision."""
    return _group._squared_norms(Z)


def _coordinates(prepared: Any, norms: Any) -> Coordinates:
    """Squared coordinates of rows, and what is outside."""
    xp = namespace(prepared)
    squares = prepared * prepared
    outside = at_least(norms - xp.sum(widen(squares), axis=1), 0.0)
    zeros = xp.zeros_like(norms)
    return Coordinates(squares, xp.astype(outside, squares.dtype), zeros, norms)


def _alone(code: Code, epsilon: float, norms: Any) -> Any:
    """Nats of rows in a group that is empty without them."""
    xp = namespace(norms)
    d = code.n_features
    return (1.0 + d) / 2.0 * xp.log1p(d / epsilon**2 * norms)


def _as_array(epsilon: float, like: Any) -> Any:
    xp = namespace(like)
    return xp.asarray([epsilon], dtype=xp.float64, device=like.device)
