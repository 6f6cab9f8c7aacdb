r"""Extra bits of rows: one factorisation of a group serves every row and distortion.

When the weight of a row ``x`` in a group changes by ``t`` (1: the row joins, -1: a
copy leaves), the scatter changes by one rank and the length follows in closed form,

.. math::

    L_t = \frac{n_t + d}{2} \bigl[\log\det(I + cS) + \log(1 + cf m)\bigr]
          + \frac d2 \log\Bigl(1 + \frac{\mu_t^T\mu_t}{\epsilon^2}\Bigr), \quad
    n_t = n + t, \; c = \frac{d}{n_t\epsilon^2}, \; f = \frac{n t}{n_t}

with :math:`m = (x - \mu)^T (I + cS)^{-1} (x - \mu)`. Around the origin ``f = t`` and
the last term is absent. Lengths are in nats here; arrays over distortions are last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skredu._compat import at_least, namespace

# A share of the count that rounding explains: less than this is left of nothing.
NOTHING_LEFT = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Code:
    """What the length of a group depends on.

    Parameters
    ----------
    count : float
        Weight of the group.
    n_features : float
        Dimension ``d`` of the space that the rows span.
    eigenvalues : array of shape (r,)
        Eigenvalues of the scatter in double precision; the others are zero.
    mean_square : float
        Squared norm of the mean.
    assume_centered : bool
        Scatter about the origin, no mean to code.
    volumes : tuple of two floats, default=None
        Log-determinants at one fixed distortion for no change and for one more row,
        where the eigenvalues are not known.
    """

    count: float
    n_features: float
    eigenvalues: Any
    mean_square: float
    assume_centered: bool
    volumes: tuple[float, float] | None = None

    def scale(self, epsilons: Any, change: Any = 0.0) -> Any:
        """Factor ``c`` in front of the scatter, (e,); (m, e) for changes (m, 1)."""
        return self.n_features / (self.count + change) / (epsilons * epsilons)

    def log_volume(self, epsilons: Any, change: float = 0.0) -> Any:
        """Log-determinants of ``I + c S``, of shape (e,)."""
        if self.volumes is not None:
            xp = namespace(epsilons)
            return xp.zeros_like(epsilons) + self.volumes[int(change)]
        return self._log_volume(self.scale(epsilons, change))

    def log_volumes(self, epsilons: Any, changes: Any) -> Any:
        """Log-determinants of ``I + c S`` for changes (m, 1), of shape (m, e)."""
        xp = namespace(epsilons)
        if changes.shape[0] == 1:
            return self._log_volume(self.scale(epsilons, changes)[0, :])[None, :]
        found, places = xp.unique_inverse(changes[:, 0])
        c = self.scale(epsilons, found[:, None])
        columns = [self._log_volume(c[:, i]) for i in range(c.shape[1])]
        return xp.take(xp.stack(columns, axis=1), places, axis=0)

    def _log_volume(self, c: Any) -> Any:
        xp = namespace(c)
        return xp.sum(xp.log1p(c[:, None] * self.eigenvalues[None, :]), axis=1)

    def length(self, epsilons: Any) -> Any:
        """Length of the group itself, of shape (e,); no rows take no bits."""
        if self.count == 0.0:
            return namespace(epsilons).zeros_like(epsilons)
        return self.length_of(
            self.log_volume(epsilons), self.mean_square, epsilons, 0.0
        )

    def joined_length(self, m: Any, mean_squares: Any, epsilons: Any) -> Any:
        """Length with one more copy of each row, of shape (b, e).

        ``m`` of shape (b, e) holds the Mahalanobis squares of the rows at
        ``scale(epsilons, 1.0)``, ``mean_squares`` of shape (b,) the squared norms
        of the means that the rows would leave behind.
        """
        grown = namespace(m).log1p(self.scale(epsilons, 1.0) * self.growth(1.0) * m)
        volumes = self.log_volume(epsilons, 1.0) + grown
        return self.length_of(volumes, mean_squares[:, None], epsilons, 1.0)

    def growth(self, change: Any) -> Any:
        """Factor ``f`` of the rank-one change of the scatter."""
        n = self.count
        return change if self.assume_centered else change * n / (n + change)

    def moved_mean_squares(self, dots: Any, squares: Any, change: Any) -> Any:
        """Squared norms of the mean after a change, from ``mean.x`` and ``x.x``."""
        xp = namespace(dots)
        if self.assume_centered:
            return xp.zeros_like(dots)
        old, new = self.count / (self.count + change), change / (self.count + change)
        total = old * old * self.mean_square + 2.0 * old * new * dots
        return at_least(total + new * new * squares, 0.0)

    def length_of(
        self, volumes: Any, mean_squares: Any, epsilons: Any, change: Any
    ) -> Any:
        """Length with log-determinants and squared norms of means after a change."""
        xp = namespace(epsilons)
        d = self.n_features
        length = (self.count + change + d) / 2.0 * volumes
        if self.assume_centered:
            return length
        return length + d / 2.0 * xp.log1p(mean_squares / (epsilons * epsilons))


@dataclass(frozen=True, eq=False, repr=False)
class Coordinates:
    """What the extra bits of rows depend on, relative to one group.

    Parameters
    ----------
    squares : array of shape (b, r)
        Squared coordinates of ``x - mean`` along the eigenvectors of the scatter.
    outside : array of shape (b,)
        Squared norm of the rest.
    dots : array of shape (b,)
        Products of the rows with the mean, in double precision.
    norms : array of shape (b,)
        Squared norms of the rows, in double precision.
    """

    squares: Any
    outside: Any
    dots: Any
    norms: Any


def quadratic_forms(rows: Coordinates, eigenvalues: Any, c: Any) -> Any:
    r"""Mahalanobis squares: :math:`\sum_i p_i^2 / (1 + c\lambda_i)` and the rest."""
    forms = _shrunk(rows.squares, eigenvalues, c) + rows.outside[:, None]
    return namespace(forms).astype(forms, namespace(forms).float64)


def _shrunk(squares: Any, eigenvalues: Any, c: Any) -> Any:
    r"""Return :math:`\sum_i p_i^2 / (1 + c\lambda_i)` for ``c`` of all rows or of each.

    ``c`` has shape (e,), (1, e) or (b, e). One of each row takes no matrix product:
    one distortion at a time, it needs no more memory than the rows.
    """
    xp = namespace(squares)
    if c.ndim == 1 or c.shape[0] == 1:
        shares = 1.0 / (1.0 + xp.reshape(c, (1, -1)) * eigenvalues[:, None])
        return squares @ xp.astype(shares, squares.dtype)
    columns = []
    for i in range(c.shape[1]):
        scaled = 1.0 + c[:, i][:, None] * eigenvalues[None, :]
        columns.append(xp.sum(squares / xp.astype(scaled, squares.dtype), axis=1))
    return xp.stack(columns, axis=1)


def joined_extra(code: Code, rows: Coordinates, epsilons: Any) -> Any:
    """Extra nats of rows that are not in the group, of shape (b, e)."""
    m = quadratic_forms(rows, code.eigenvalues, code.scale(epsilons, 1.0))
    moved = code.moved_mean_squares(rows.dots, rows.norms, 1.0)
    return code.joined_length(m, moved, epsilons) - code.length(epsilons)


def left_out_extra(
    code: Code,
    rows: Coordinates,
    epsilons: Any,
    weights: Any = None,
    leverages: Leverages | None = None,
) -> Any:
    """Extra nats of rows of the group when each is left out, (b, e).

    A row leaves with all of its weight, and what is left codes one copy of it.
    ``leverages`` avoid the cancellation in rows that alone span a direction; without
    them the loss is that of a subtraction.
    """
    xp = namespace(rows.outside)
    w = _weights_or_one(weights, rows.norms)
    alone = code.count - w <= NOTHING_LEFT * code.count
    w = xp.where(alone, xp.full_like(w, 0.5 * code.count), w)

    def length(change: Any) -> Any:
        """Length with so many more copies of each row, which is in the group."""
        c = code.scale(epsilons, change)
        if leverages is None or xp.all(change > 0.0):
            m = quadratic_forms(rows, code.eigenvalues, c)
            factor = 1.0 + c * code.growth(change) * m
        else:
            factor = leverages.remainder(code, c, w, -change)
            if xp.any(change > 0.0):
                m = quadratic_forms(rows, code.eigenvalues, c)
                joined = 1.0 + c * code.growth(change) * m
                factor = xp.where(change > 0.0, joined, factor)
        tiny = float(xp.finfo(factor.dtype).smallest_normal)
        volumes = code.log_volumes(epsilons, change) + xp.log(at_least(factor, tiny))
        dots, norms = rows.dots[:, None], rows.norms[:, None]
        moved = code.moved_mean_squares(dots, norms, change)
        return code.length_of(volumes, moved, epsilons, change)

    with_one = length(1.0 - w) if xp.any(w != 1.0) else code.length(epsilons)
    nats = with_one - length(-w)
    return xp.where(alone, xp.full_like(nats, xp.inf), nats)


def _weights_or_one(weights: Any, norms: Any) -> Any:
    """Weights of rows (b, 1) in double precision, or the one (1, 1) that all have."""
    xp = namespace(norms)
    if weights is None:
        return xp.ones_like(norms[:1])[:, None]
    w = xp.astype(weights, xp.float64)[:, None]
    return w[:1, :] if xp.all(w == w[:1, :]) else w


@dataclass(frozen=True, eq=False, repr=False)
class Leverages:
    r"""Squared left singular vectors of the weighted rows of a group.

    With them :math:`1 - cf m` of a row that leaves is a sum of positive terms,
    :math:`\sum_i u_i^2 / (1 + c\lambda_i)` and the part of the row in no direction.

    Parameters
    ----------
    squares : array of shape (b, r)
    full : bool
        The vectors (and the constant one, about the mean) are a complete basis.
    """

    squares: Any
    full: bool

    def take(self, index: Any) -> Leverages:
        """Return some of the rows."""
        xp = namespace(self.squares)
        return Leverages(xp.take(self.squares, index, axis=0), self.full)

    def remainder(self, code: Code, c: Any, weight: Any, copies: Any) -> Any:
        """Return ``1 + c f m`` when ``copies`` of each row leave, of shape (b, e).

        The weight and the copies are of shape (1, 1) or (b, 1).
        """
        xp = namespace(self.squares)
        inner = _shrunk(self.squares, code.eigenvalues, c)
        constant = 0.0 if code.assume_centered else weight / code.count
        if not self.full:
            sums = xp.sum(self.squares, axis=1)[:, None]
            inner = inner + at_least(1.0 - constant - sums, 0.0)
        left = (weight - copies + copies * inner) / weight
        if code.assume_centered:
            return left
        return code.count / (code.count - copies) * left
