r"""A coded group of samples: its length, and the change if a sample joins or leaves.

Features are arrays of shape (F, C, n): ``F`` blocks in which scatters are
block-diagonal, ``C`` coordinates in each, and one column per sample. A vector has one
block and is represented by the view ``X.T[None]``. The spectrum of a signal on a cyclic
grid has one block per frequency, because the scatter of all shifts of a set of signals
is block-diagonal there. For real signals, half of the frequencies suffice, and most of
these represent two.

With the scatter :math:`S` of a group of weight ``n``, block by block, the length is

.. math::

    L = \frac{n + d}{2} \log\det(I + cS) + \frac d2 \log\Bigl(1 +
    \frac{\mu^T\mu}{\epsilon^2}\Bigr), \quad c = \frac{d}{n\epsilon^2}.

If the weight of a sample ``z`` changes by ``t`` (1: the sample joins, -1: one copy
leaves), the scatter changes by a matrix of rank one, and the determinant follows in
closed form:

.. math:: \det(I + cS_t) = \det(I + cS) \, (1 + cfm), \quad
    m = (z - \mu)^H (I + cS)^{-1} (z - \mu), \quad f = \frac{nt}{n + t}

at the scale ``c`` of the weight ``n + t``. If the scatter is taken about the origin,
``f = t``, and there is no term of the mean. In this module, lengths are in nats.

`Group` keeps eigenvectors and serves all distortions. The form in
`skredu.coding._dense` keeps matrices for one distortion, and `skredu.coding._scatter`
constructs both.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from skredu._compat import at_least, namespace
from skredu.coding._linalg import (
    adjoint,
    blocks_of_rows,
    coordinates,
    real_dtype,
    squared_norms,
    squares,
    widen,
)

# A smaller share of the weight is a rounding error, and means that nothing is left.
NOTHING_LEFT = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Blocks:
    """How coding lengths count the blocks of a representation.

    Parameters
    ----------
    dim : float
        Dimension ``d`` of vectors, or number of channels of signals.
    counts : array of shape (F,)
        Number of equal blocks that each block represents, in double precision.
    n_points : int, default=1
        Number of points of the grid; 1 for vectors.
    """

    dim: float
    counts: Any
    n_points: int = 1

    def scale(self, n: Any, epsilon: Any) -> Any:
        """Return the factor ``c`` of scatters of weight ``n``, of shape (F, ...).

        The remaining axes are those of ``n`` and ``epsilon``, broadcast.
        """
        c = self.dim / n / (epsilon * epsilon)
        axes = (None,) * getattr(c, "ndim", 0)
        return (self.n_points / self.counts)[(..., *axes)] * c

    def total(self, values: Any) -> Any:
        """Sum values of shape (F, ...) over all blocks, in double precision."""
        values = widen(values)
        if values.shape[0] == 1:
            return values[0, ...] * self.counts[0]
        xp, shape = namespace(values), values.shape
        return xp.reshape(self.counts @ xp.reshape(values, (shape[0], -1)), shape[1:])


def vector_blocks(dim: float, like: Any) -> Blocks:
    """Return the block of vectors of dimension ``dim``, on the device of an array."""
    xp = namespace(like)
    return Blocks(float(dim), xp.ones(1, dtype=xp.float64, device=like.device))


class Coded(ABC):
    """Base class of both forms of a group: lengths, and how a sample changes them.

    Attributes
    ----------
    n : float
        Weight of the samples.
    blocks : Blocks
    mean : array of shape (C,) or None
        Mean of the samples; None for a group about the origin, as for signals.
    varying, constant : arrays of int or None
        Coordinates that vary within the group, and the others, which cost no product.
        None if nearly all vary.
    codes_mean : bool
        Whether the mean costs nats. If not, lengths do not change if all samples are
        shifted.
    """

    n: float
    blocks: Blocks
    mean: Any
    varying: Any
    constant: Any
    codes_mean: bool = True
    # Whether several groups share the products of the coordinates of samples.
    packs: bool = False

    def width(self, n_epsilons: int) -> int:
        """Return how many numbers one sample takes while it is coded."""
        F, C = self.blocks.counts.shape[0], int(self.blocks.dim)
        return F * (3 * C * (1 if F == 1 else 2) + 3 * n_epsilons)

    @abstractmethod
    def _scales(self, epsilons: Any, change: Any) -> tuple[Any, Any]:
        """Return factors (F, e, m) and log-determinants (e, m) at changed weights."""

    @abstractmethod
    def _forms(self, Z: Any, c: Any, power: int = 1, known: Any = None) -> Any:
        """Return forms (F, e, b) of ``(I + c S)^-power``, of samples minus the mean.

        ``known`` is what `skredu.coding._dense.shared` returns for the group.
        """

    def volumes(self, epsilons: Any) -> Any:
        """Return the log-determinants (e,) of ``I + c S`` over all blocks."""
        return self._scales(epsilons, 0.0)[1][:, 0]

    def length(self, epsilons: Any) -> Any:
        """Return the length of the group in nats at distortions (e,), of shape (e,)."""
        return self._lengths(epsilons, 0.0)[:, 0] if self.n else 0.0 * epsilons

    def extra(self, Z: Any, epsilons: Any, change: Any = 1.0, known: Any = None) -> Any:
        """Return the extra nats of samples that join the group, not including labels.

        Parameters
        ----------
        Z : array of shape (F, C, b)
        epsilons : array of shape (e,)
        change : float or array of shape (b,), default=1.0
            Number of copies of each sample that join.
        known : array or tuple of arrays, default=None
            What `skredu.coding._dense.shared` returns for the samples.

        Returns
        -------
        nats : array of shape (b, e), in double precision
        """
        lengths = self._lengths(epsilons, change, Z, known=known)
        return (lengths - self.length(epsilons)[:, None]).T

    def residual(self, Z: Any, epsilons: Any, known: Any = None) -> Any:
        """Return the norms (b, e) of ``(I + c S)^{-1} z``, in double precision.

        ``known`` is what `skredu.coding._dense.shared` returns for the samples.
        """
        c, _ = self._scales(epsilons, 0.0)
        xp, forms = namespace(c), self._forms(Z, c, 2, known)
        return xp.sqrt(widen(xp.sum(forms, axis=0))).T

    @abstractmethod
    def solved(self, Z: Any, epsilon: float) -> Any:
        """Return ``(I + c S)^{-1} z`` of the varying coordinates (1, a, b) of vectors.

        The scale ``c`` is that of the group with one more sample.
        """

    def as_first(self, Z: Any, epsilon: float) -> Any:
        """Return the nats (b,) of samples in a group that is empty without them."""
        xp, c = namespace(Z), self.blocks.scale(1.0, epsilon)
        volumes = self.blocks.total(xp.log1p(c[:, None] * squared_norms(Z)))
        return (1.0 + self.blocks.dim) / 2.0 * volumes

    def _lengths(
        self,
        epsilons: Any,
        change: Any,
        Z: Any = None,
        own: tuple[Any, Any] | None = None,
        known: Any = None,
    ) -> Any:
        """Return lengths (e, b) after the weight of each sample has changed.

        The change is the same for all samples or an array (b,). ``own`` are the weights
        and positions of samples of the group, if ``Z`` are such. Without samples,
        return the length (e, 1) of the group.
        """
        xp, d = namespace(epsilons), self.blocks.dim
        c, volumes = self._scales(epsilons, change)
        if Z is not None:
            factors = self._log_factors(Z, c, change, own, known)
            volumes = volumes + self.blocks.total(factors)
        lengths = (self.n + change + d) / 2.0 * volumes
        if self.mean is None or not self.codes_mean:
            return lengths
        square, products, others = self._mean_products(Z)
        if Z is not None:
            old, new = self.n / (self.n + change), change / (self.n + change)
            square = old * old * square + 2.0 * old * new * products
            square = at_least(square + new * new * others, 0.0)
        return lengths + d / 2.0 * xp.log1p(square / (epsilons * epsilons)[:, None])

    def _log_factors(
        self, Z: Any, c: Any, change: Any, own: Any, known: Any = None
    ) -> Any:
        """Return logarithms (F, e, b) of the factors by which determinants change."""
        xp = namespace(c)
        centring = 1.0 if self.mean is None else self.n / (self.n + change)
        step = c * (change * centring) * self._forms(Z, c, 1, known)
        if not isinstance(change, float) and xp.any(change < 0.0):
            # copies leave: at most the whole determinant
            step = at_least(step, float(xp.finfo(xp.float64).eps) - 1.0)
        return xp.log1p(step)

    def _mean_products(self, Z: Any) -> tuple[Any, Any, Any]:
        """Return the squared norm of the mean, and what a sample that joins adds to it.

        These are the products of samples with the mean, and their squared norms, which
        are not used without samples.
        """
        square = namespace(self.mean).sum(widen(self.mean) ** 2)
        if Z is None:
            return square, 0.0, 0.0
        return square, widen(self.mean @ Z[0, ...]), squared_norms(Z)[0, :]

    def _centred(self, Z: Any) -> tuple[Any, Any]:
        """Return varying coordinates minus the mean, and the part of the others in m.

        Coordinates are relative to the mean of this group and not to a common origin,
        so the precision does not suffer if a group is far from the others.
        """
        xp, mean = namespace(Z), self.mean
        if self.varying is None:
            return Z if mean is None else Z - mean[:, None], 0.0
        parts = []
        for index in (self.varying, self.constant):
            part = xp.take(Z[0, ...].T, index, axis=1)  # samples lie row by row
            if mean is not None:
                part -= xp.take(mean, index)
            parts.append(part.T[None, ...])
        return parts[0], squared_norms(parts[1])


@dataclass(frozen=True, eq=False, repr=False)
class Group(Coded):
    """A group represented by the eigenvectors of its scatters, for all distortions.

    Parameters
    ----------
    n : float
        Weight of the samples.
    blocks : Blocks
    eigenvalues : array of shape (F, r)
        Eigenvalues in double precision; all others are zero.
    basis : array of shape (F, a, r)
        Eigenvectors of the ``a`` varying coordinates; zero if there are fewer.
    mean, varying, constant :
        See `Coded`.
    leverages : array of shape (F, r, m) or None
        Squared left singular vectors of the ``m`` weighted samples from which the group
        was computed. With them, the determinant without a sample is a sum of positive
        terms.
    rests : array of shape (F, m) or None
        Leverage of these samples in no direction; None if it is zero.
    whitening : array of shape (F, a, r) or None
        Eigenvectors over singular values, in double precision. For many samples, it
        replaces ``leverages``, which are computed from it when they are needed.
    """

    n: float
    blocks: Blocks
    eigenvalues: Any
    basis: Any
    mean: Any = None
    varying: Any = None
    constant: Any = None
    leverages: Any = None
    rests: Any = None
    whitening: Any = None
    codes_mean: bool = True

    def without(
        self, Z: Any, epsilons: Any, weights: Any = None, part: Any = slice(None)
    ) -> Any:
        """Return the extra nats of left-out samples of the group.

        A sample leaves with all of its weight, and the remaining group codes one copy
        of it.

        Parameters
        ----------
        Z : array of shape (F, C, b)
        epsilons : array of shape (e,)
        weights : array of shape (b,), default=None
            Weights of the samples; None if all are one.
        part : slice or array of int, default=slice(None)
            Positions of the samples among those from which the group was computed.

        Returns
        -------
        nats : array of shape (b, e), in double precision
            Infinite for a sample without which the group is empty.
        """
        xp, (w, alone) = namespace(epsilons), self._leaving(weights)
        w = xp.where(alone, xp.full_like(w, 0.5 * self.n), w)
        again = self.length(epsilons)[:, None]
        if xp.any(w != 1.0):
            again = self._lengths(epsilons, 1.0 - w, Z, (w, part))
        nats = again - self._lengths(epsilons, -w, Z, (w, part))
        return xp.where(alone, xp.full_like(nats, xp.inf), nats).T

    def left_out(
        self,
        Z: Any,
        epsilon: float,
        weights: Any = None,
        part: Any = slice(None),
        *,
        coded: bool = True,
    ) -> tuple[Any, Any]:
        """Return extra nats (b,) and projections (F, C, b) of left-out samples.

        The first parameters are those of `without`, for one distortion. The group must
        have been computed from the samples, about the origin. For a sample without
        which the group is empty, the nats are those of a group of its own, and there is
        no projection. Nats are None if they are not needed (``coded=False``).
        """
        xp, (w, alone), nats = namespace(Z), self._leaving(weights), None
        if coded:
            path = xp.full_like(self.blocks.counts[:1], epsilon)
            nats = self.without(Z, path, weights, part)[:, 0]
            nats = xp.where(alone, self.as_first(Z, epsilon), nats)
        safe = xp.where(alone, xp.ones_like(w), self.n - w)
        c = self.blocks.scale(safe, epsilon)[:, None, :]
        shrink = 1.0 / (1.0 + c * self.eigenvalues[:, :, None])
        dtype, along = real_dtype(Z), coordinates(self.basis, Z)
        # divided in double precision, in which tiny factors do not vanish
        share = self._remaining(Z, w, c, part)[:, 0, :]
        share = at_least(share, float(xp.finfo(dtype).smallest_normal))[:, None, :]
        rest = self.basis @ (xp.astype(shrink / share, dtype, copy=False) * along)
        F, C, r = self.basis.shape
        if (F > 1 or r < C) and (self.leverages is None or self.rests is not None):
            outside = Z - self.basis @ along
            rest = rest + outside / xp.astype(share, dtype, copy=False)
        return nats, xp.where(alone, xp.zeros_like(Z), Z - rest)

    def project(self, Z: Any, epsilon: float, along: Any = None) -> Any:
        """Return soft projections ``z - (I + c S)^{-1} z`` of samples, (F, C, b).

        ``along`` are their coordinates (F, r, b) in the basis, if they are known.
        """
        along = coordinates(self.basis, Z) if along is None else along
        c = self.blocks.scale(self.n, epsilon)[:, None] * self.eigenvalues
        shares = namespace(c).astype(c / (1.0 + c), real_dtype(self.basis), copy=False)
        return self.basis @ (shares[:, :, None] * along)

    def matrix(self, epsilon: float) -> Any:
        """Return the soft projection as matrices (F, C, C)."""
        return self.project(None, epsilon, adjoint(self.basis))

    def to_state(self, **needed: bool) -> dict[str, Any]:
        """Return everything that predictions need as arrays, numbers and containers.

        A group in this form needs the same for all purposes; see `DenseGroup`.
        """
        names = ("n", "eigenvalues", "basis", "mean", "varying", "constant")
        state = {name: getattr(self, name) for name in (*names, "codes_mean")}
        return {**state, "blocks": vars(self.blocks)}

    def _leaving(self, weights: Any) -> tuple[Any, Any]:
        """Return weights (b,) or a common one (1,), and whether nothing remains."""
        xp, w = namespace(self.eigenvalues), self.blocks.counts[:1] * 0.0 + 1.0
        if weights is not None:
            w = xp.astype(weights, xp.float64, copy=False)
            w = w[:1] if xp.all(w == w[:1]) else w
        return w, self.n - w <= NOTHING_LEFT * self.n

    def _log_factors(
        self, Z: Any, c: Any, change: Any, own: Any, known: Any = None
    ) -> Any:
        xp = namespace(c)
        computed_from_samples = self.leverages is not None or self.whitening is not None
        if own is None or not computed_from_samples or not xp.any(change < 0.0):
            return super()._log_factors(Z, c, change, own, known)
        # from shares, logarithms are precise even if hardly anything is left
        w, part = own
        left = (w + change - change * self._remaining(Z, w, c, part)) / w
        centring = 1.0 if self.mean is None else self.n / (self.n + change)
        least = float(xp.finfo(xp.float64).smallest_normal)
        logs = xp.log(at_least(centring * left, least))
        if not xp.any(change > 0.0):
            return logs
        joined = super()._log_factors(Z, c, change, own, known)
        return xp.where(change > 0.0, joined, logs)

    def _scales(self, epsilons: Any, change: Any) -> tuple[Any, Any]:
        xp = namespace(epsilons)
        if isinstance(change, float):
            c = self.blocks.scale(self.n + change or 1.0, epsilons)[:, :, None]
            logs = xp.sum(xp.log1p(c * self.eigenvalues[:, None, :]), axis=2)
            return c, self.blocks.total(logs)[:, None]
        change, places = xp.unique_inverse(change)
        n = self.n + change
        n = xp.where(n == 0.0, xp.ones_like(n), n)  # any factor, if there is no sample
        c = self.blocks.scale(n[None, :], epsilons[:, None])
        (F, r), volumes = self.eigenvalues.shape, []
        for at in blocks_of_rows(n.shape[0], F * r * epsilons.shape[0]):
            scaled = c[:, :, None, at] * self.eigenvalues[:, None, :, None]
            volumes.append(self.blocks.total(xp.sum(xp.log1p(scaled), axis=2)))
        volumes = volumes[0] if len(volumes) == 1 else xp.concat(volumes, axis=1)
        return xp.take(c, places, axis=2), xp.take(volumes, places, axis=1)

    def _remaining(self, Z: Any, w: Any, c: Any, part: Any) -> Any:
        """Return the share (F, e, b) of the determinant without each sample."""
        xp, p, rests = namespace(self.eigenvalues), self.leverages, self.rests
        if p is None:
            roots = xp.sqrt(w) * widen(self._centred(Z)[0])
            p = squares(coordinates(self.whitening, roots))
            constant = 0.0 if self.mean is None else w / self.n
            rests = at_least(1.0 - constant - xp.sum(p, axis=1), 0.0)
        else:
            p = _columns(p, part)
            rests = None if rests is None else _columns(rests, part)
        inner = shrunk(p, self.eigenvalues, c)
        return inner if rests is None else inner + rests[:, None, :]

    def solved(self, Z: Any, epsilon: float) -> Any:
        c, V = self.blocks.scale(self.n + 1.0, epsilon), widen(self.basis)
        scaled = c[:, None] * self.eigenvalues
        return Z - V @ ((scaled / (1.0 + scaled))[:, :, None] * coordinates(V, Z))

    def _forms(self, Z: Any, c: Any, power: int = 1, known: Any = None) -> Any:
        xp, (Z, constant) = namespace(Z), self._centred(Z)
        along, total = (coordinates(self.basis, Z), None) if known is None else known
        inside = squares(along)
        forms = widen(shrunk(inside, self.eigenvalues, c, power))
        F, C, r = self.basis.shape
        if F > 1 or r < C:  # there is a component outside of the eigenvectors
            total = squared_norms(Z) if total is None else total
            outside = at_least(total - widen(xp.sum(inside, axis=1)), 0.0)
            if Z.shape[2]:
                # what rounding of the difference of squares may do to 1 + c m
                types = Z.dtype, self.basis.dtype
                eps = max(float(xp.finfo(dtype).eps) for dtype in types)
                top = xp.max(c, axis=(1, 2))[:, None]
                error = top * eps * total / (1.0 + top * outside)
                if float(xp.max(error)) > math.sqrt(eps):
                    outside = squared_norms(Z - self.basis @ along)
            constant = constant + outside
        return forms + constant[:, None, :] if hasattr(constant, "ndim") else forms


def _columns(A: Any, part: Any) -> Any:
    """Return the entries at some positions along the last axis."""
    if isinstance(part, slice):
        return A[..., part]
    return namespace(A).take(A, part, axis=A.ndim - 1)


def shrunk(squares: Any, eigenvalues: Any, c: Any, power: int = 1) -> Any:
    r"""Return :math:`\sum_i p_i / (1 + c\lambda_i)^{power}` of squares ``p`` (F, r, b).

    Factors ``c`` have the shape (F, e, 1) or, one per sample, (F, e, b). The latter
    needs no matrix product, and is processed one distortion at a time to save memory.
    """
    xp = namespace(squares)
    if c.shape[2] == 1:
        shares = (1.0 + c * eigenvalues[:, None, :]) ** -power
        return xp.astype(shares, squares.dtype, copy=False) @ squares
    sums = []
    for i in range(c.shape[1]):
        scaled = (1.0 + c[:, i, :][:, None, :] * eigenvalues[:, :, None]) ** power
        sums.append(xp.sum(squares / xp.astype(scaled, squares.dtype), axis=1))
    return xp.stack(sums, axis=1)
