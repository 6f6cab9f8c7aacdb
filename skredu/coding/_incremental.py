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

    def scale(self, epsilons: Any, change: float = 0.0) -> Any:
        """Factor ``c`` in front of the scatter, of shape (e,)."""
        return self.n_features / (self.count + change) / (epsilons * epsilons)

    def log_volume(self, epsilons: Any, change: float = 0.0) -> Any:
        """Log-determinants of ``I + c S``, of shape (e,)."""
        xp = namespace(epsilons)
        if self.volumes is not None:
            return xp.zeros_like(epsilons) + self.volumes[int(change)]
        c = self.scale(epsilons, change)
        return xp.sum(xp.log1p(c[:, None] * self.eigenvalues[None, :]), axis=1)

    def length(self, epsilons: Any) -> Any:
        """Length of the group itself, of shape (e,); no rows take no bits."""
        if self.count == 0.0:
            return namespace(epsilons).zeros_like(epsilons)
        return self._length(self.log_volume(epsilons), self.mean_square, epsilons, 0.0)

    def joined_length(
        self, m: Any, mean_squares: Any, epsilons: Any, change: float = 1.0
    ) -> Any:
        """Length with ``change`` more copies of each row, of shape (b, e).

        ``m`` of shape (b, e) holds the Mahalanobis squares of the rows at
        ``scale(epsilons, change)``, ``mean_squares`` of shape (b,) the squared norms
        of the means that the rows would leave behind.
        """
        xp = namespace(m)
        c = self.scale(epsilons, change)
        volumes = self.log_volume(epsilons, change) + xp.log1p(
            c * self.growth(change) * m
        )
        return self._length(volumes, mean_squares[:, None], epsilons, change)

    def growth(self, change: float) -> float:
        """Factor ``f`` of the rank-one change of the scatter."""
        n = self.count
        return change if self.assume_centered else change * n / (n + change)

    def left_length(
        self, remainder: Any, mean_squares: Any, epsilons: Any, weight: float
    ) -> Any:
        """Length without ``weight`` copies of a row, of shape (b, e).

        ``remainder`` holds ``1 + c f m`` with ``t = -weight`` (see the module), which
        the caller knows without cancellation.
        """
        xp = namespace(remainder)
        volumes = self.log_volume(epsilons, -weight) + xp.log(remainder)
        return self._length(volumes, mean_squares[:, None], epsilons, -weight)

    def moved_mean_squares(self, dots: Any, squares: Any, change: float) -> Any:
        """Squared norms of the mean after a change, from ``mean.x`` and ``x.x``."""
        xp = namespace(dots)
        if self.assume_centered:
            return xp.zeros_like(dots)
        old, new = self.count / (self.count + change), change / (self.count + change)
        total = old * old * self.mean_square + 2.0 * old * new * dots
        return at_least(total + new * new * squares, 0.0)

    def _length(
        self, volumes: Any, mean_squares: Any, epsilons: Any, change: float
    ) -> Any:
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

    def take(self, index: Any) -> Coordinates:
        """Return some of the rows."""
        xp = namespace(self.outside)
        return Coordinates(
            *(
                xp.take(a, index, axis=0)
                for a in (self.squares, self.outside, self.dots, self.norms)
            )
        )


def quadratic_forms(rows: Coordinates, eigenvalues: Any, c: Any) -> Any:
    r"""Mahalanobis squares: :math:`\sum_i p_i^2 / (1 + c\lambda_i)` and the rest."""
    xp = namespace(rows.squares)
    weights = 1.0 / (1.0 + c[None, :] * eigenvalues[:, None])
    forms = rows.squares @ xp.astype(weights, rows.squares.dtype)
    return xp.astype(forms + rows.outside[:, None], xp.float64)


def joined_extra(code: Code, rows: Coordinates, epsilons: Any) -> Any:
    """Extra nats of rows that are not in the group, of shape (b, e)."""
    return _joined(code, rows, epsilons, 1.0) - code.length(epsilons)


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
    if weights is None:
        weights = xp.ones_like(rows.norms)
    weights = xp.astype(weights, xp.float64)
    pieces, order = [], []
    for weight in xp.unique_values(weights):
        index = xp.nonzero(weights == weight)[0]
        part = None if leverages is None else leverages.take(index)
        pieces.append(_left_out(code, rows.take(index), epsilons, float(weight), part))
        order.append(index)
    if len(pieces) == 1:
        return pieces[0]
    return xp.take(xp.concat(pieces), xp.argsort(xp.concat(order)), axis=0)


def _left_out(
    code: Code,
    rows: Coordinates,
    epsilons: Any,
    weight: float,
    leverages: Leverages | None,
) -> Any:
    xp = namespace(rows.outside)
    if code.count - weight <= NOTHING_LEFT * code.count:
        return xp.full((rows.outside.shape[0], epsilons.shape[0]), xp.inf)

    def without(copies: float) -> Any:
        c = code.scale(epsilons, -copies)
        if leverages is None:
            m = quadratic_forms(rows, code.eigenvalues, c)
            remainder = 1.0 + c * code.growth(-copies) * m
        else:
            remainder = leverages.remainder(code, c, weight, copies)
        tiny = float(xp.finfo(remainder.dtype).smallest_normal)
        moved = code.moved_mean_squares(rows.dots, rows.norms, -copies)
        return code.left_length(at_least(remainder, tiny), moved, epsilons, copies)

    if weight == 1.0:
        return code.length(epsilons) - without(weight)
    if weight < 1.0:
        return _joined(code, rows, epsilons, 1.0 - weight) - without(weight)
    return without(weight - 1.0) - without(weight)


def _joined(code: Code, rows: Coordinates, epsilons: Any, change: float) -> Any:
    m = quadratic_forms(rows, code.eigenvalues, code.scale(epsilons, change))
    moved = code.moved_mean_squares(rows.dots, rows.norms, change)
    return code.joined_length(m, moved, epsilons, change)


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

    def remainder(self, code: Code, c: Any, weight: float, copies: float) -> Any:
        """Return ``1 + c f m`` when ``copies`` of each row leave, of shape (b, e).

        All rows have the same weight.
        """
        xp = namespace(self.squares)
        inner = self.squares @ (1.0 / (1.0 + c[None, :] * code.eigenvalues[:, None]))
        constant = 0.0 if code.assume_centered else weight / code.count
        if not self.full:
            sums = xp.sum(self.squares, axis=1)[:, None]
            inner = inner + at_least(1.0 - constant - sums, 0.0)
        left = (weight - copies + copies * inner) / weight
        if code.assume_centered:
            return left
        return code.count / (code.count - copies) * left
