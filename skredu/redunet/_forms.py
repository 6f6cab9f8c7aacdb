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

from skredu._compat import at_least, namespace
from skredu.coding import _old_group as _group
from skredu.coding._incremental import (
    NOTHING_LEFT,
    Code,
    Coordinates,
    Leverages,
    joined_extra,
    left_out_extra,
)
from skredu.coding._linalg import widen


@dataclass(frozen=True, eq=False, repr=False)
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

    @property
    def width(self) -> int:
        """Number of features."""
        return int(self.basis.shape[0])

    @property
    def rank(self) -> int:
        """Number of eigenvectors."""
        return int(self.code.eigenvalues.shape[0])

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
            Their weights, with which they are left out.
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
        left = at_least(code.count - weights, 0.0)
        alone = left <= NOTHING_LEFT * code.count
        c = code.n_features / xp.where(alone, xp.ones_like(left), left)
        c = c[:, None] / self.epsilon**2
        shrink = 1.0 / (1.0 + c * code.eigenvalues[None, :])
        remainder = xp.sum(leverages.squares * shrink, axis=1)
        if not leverages.full:
            outside = at_least(1.0 - xp.sum(leverages.squares, axis=1), 0.0)
            remainder = remainder + outside
        rest = (prepared * xp.astype(shrink, Z.dtype)) @ self.basis.T
        if not leverages.full:
            rest = rest + (Z - prepared @ self.basis.T)
        rest = rest / xp.astype(remainder, Z.dtype)[:, None]
        nats = xp.where(alone, alone_nats(code, self.epsilon, rows.norms), nats)
        return nats, xp.where(alone[:, None], xp.zeros_like(Z), Z - rest)

    @property
    def _shares(self) -> Any:
        """Eigenvalues of ``P``."""
        scaled = self.code.scale(self._epsilons) * self.code.eigenvalues
        return scaled / (1.0 + scaled)

    @property
    def _epsilons(self) -> Any:
        return _as_array(self.epsilon, self.code.eigenvalues)


@dataclass(frozen=True, eq=False, repr=False)
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
        Upper triangular ``T``, for features in their order: ``T T^T`` is the inverse of
        ``I + c S`` at the scale ``c`` of one more row or, for residuals, of ``M^2``.
        None where no scores are asked for.
    order : array of shape (r,) or None
        The features, those with the most energy first.
    """

    code: Code
    epsilon: float
    ridge: Any
    whitening: Any = None
    order: Any = None

    @property
    def width(self) -> int:
        """Number of features."""
        return int(self.ridge.shape[0])

    def prepare(self, Z: Any) -> Any:
        """Projections are made from the rows themselves."""
        return Z

    def volume(self) -> float:
        """Log-determinant of ``I + alpha S``."""
        return float(self.code.volumes[0])  # type: ignore[index]

    def squares(self, ordered: Any) -> Any:
        """Squared norms ``|T^T z|^2`` of rows with their features in order, (b,)."""
        return squared_norms(
            _group._triangular_product(ordered, self.whitening, overwrite=False)
        )

    def size(self, squares: Any, kind: str) -> Any:
        """Extra nats, label not included, or norms of residuals, from `squares`."""
        xp = namespace(squares)
        if kind != "coding":
            return xp.sqrt(squares)
        epsilons = _as_array(self.epsilon, squares)
        zeros = xp.zeros_like(squares)
        length = self.code.joined_length(squares[:, None], zeros, epsilons)[:, 0]
        return length - float(self.code.length(epsilons)[0])

    def squares_at(self, size: Any, kind: str) -> Any:
        """Inverse of `size`."""
        if kind != "coding":
            return size * size
        xp, code = namespace(size), self.code
        epsilons = _as_array(self.epsilon, size)
        size = (
            2.0 / (code.count + 1.0 + code.n_features) * (size + code.length(epsilons))
        )
        growth = xp.expm1(size - code.log_volume(epsilons, 1.0))
        return growth / (code.scale(epsilons, 1.0) * code.growth(1.0))

    def project(self, prepared: Any) -> Any:
        """Rows ``P z``, of shape (b, r)."""
        return prepared @ self.ridge

    def matrix(self) -> Any:
        """``P`` as a dense array of shape (r, r)."""
        return self.ridge


Form = Factored | Dense


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


def alone_nats(code: Code, epsilon: float, norms: Any) -> Any:
    """Nats of rows in a group that is empty without them."""
    xp = namespace(norms)
    d = code.n_features
    return (1.0 + d) / 2.0 * xp.log1p(d / epsilon**2 * norms)


def _as_array(epsilon: float, like: Any) -> Any:
    xp = namespace(like)
    return xp.asarray([epsilon], dtype=xp.float64, device=like.device)
