r"""Finite groups of permutations of features that change no class.

A class is coded together with all images of its samples, each of which counts
:math:`1/|G|`. Its mean and its scatter are averages over the group ``G``, for which no
image of a sample is needed: with the mean :math:`\mu` and the scatter ``S`` of the
``n`` samples,

.. math:: \bar\mu = \frac{1}{|G|} \sum_g g\mu, \quad
    \bar S = \frac{1}{|G|} \sum_g \bigl[g S g^T
    + n (g\mu - \bar\mu)(g\mu - \bar\mu)^T\bigr].

Both are invariant, so a sample and its images have the same coding length. A sample
leaves its class together with its images. With the differences ``z_g`` of the images
from the mean and their mean :math:`\bar z`, the scatter without a sample of weight
``w`` is

.. math:: \bar S - \frac{w}{|G|} \sum_g z_g z_g^T - \frac{w^2}{n-w} \bar z \bar z^T,

a change whose rank is at most the number of images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skredu._checks import naming
from skredu._compat import at_least, namespace
from skredu._signals import channels_of, shape_of
from skredu.coding._dense import DenseGroup
from skredu.coding._group import NOTHING_LEFT, Group
from skredu.coding._linalg import widen
from skredu.coding._scatter import Scatter

Permutations = NDArray[np.intp]

NAMES = ("flip", "rot90", "dihedral")


def permutations_of(
    symmetry: Any, signal_shape: Any, n_features: int
) -> Permutations | None:
    """Return a group of permutations of features, the identity first, (g, d).

    Parameters
    ----------
    symmetry : {"flip", "rot90", "dihedral"}, array of shape (g, d) or None
        Name of the group, or its permutations; see `MICLClassifier`.
    signal_shape : int, tuple of int or None
        Grid of the features, which may have several channels.
    n_features : int

    Raises
    ------
    ValueError
        If the permutations are no group, or if the grid does not suit them.
    """
    if signal_shape is not None and not isinstance(symmetry, str):
        found = "None" if symmetry is None else "permutations"
        raise ValueError(
            f"signal_shape={signal_shape!r} is only used with a symmetry "
            f"among {NAMES}, found {found}."
        )
    if symmetry is None:
        return None
    if not isinstance(symmetry, str):
        with naming("symmetry"):
            group = np.asarray(symmetry)
        return _checked_group(group, n_features)
    grid = n_features if signal_shape is None else signal_shape
    shape = shape_of(grid, "signal_shape")
    n_channels = channels_of(shape, n_features, "signal_shape")
    places = np.arange(n_features).reshape(n_channels, *shape)
    if symmetry != "flip" and (len(shape) != 2 or shape[0] != shape[1]):
        raise ValueError(
            f"symmetry={symmetry!r} needs a square signal_shape such as (8, 8), found "
            f"{signal_shape!r}."
        )
    turns = [places]
    if symmetry != "flip":
        turns = [np.rot90(places, i, axes=(1, 2)) for i in range(4)]
    if symmetry != "rot90":
        turns += [np.flip(turned, axis=-1) for turned in turns]
    return np.stack([turned.ravel() for turned in turns])


def _checked_group(group: Any, n_features: int) -> Permutations:
    """Return the permutations of a group, the identity first."""
    if group.ndim != 2 or group.shape[1] != n_features or group.dtype.kind not in "iu":
        raise ValueError(
            f"symmetry must be a name among {NAMES}, or an array of integers of shape "
            f"(n_permutations, {n_features}), found {group.dtype} of shape "
            f"{group.shape}."
        )
    identity = np.arange(n_features)
    if not (np.sort(group, axis=1) == identity).all():
        raise ValueError(
            f"Each row of symmetry must be a permutation of 0 to {n_features - 1}."
        )
    group = np.unique(group.astype(np.intp), axis=0)  # the identity comes first
    known = {row.tobytes() for row in group}
    closed = all(row.tobytes() in known for g in group for row in g[group])
    if not closed or identity.tobytes() not in known:
        raise ValueError(
            "The permutations in symmetry must form a group: the composition of any "
            "two of them must be among them, and the identity."
        )
    return group


def images(X: Any, group: Permutations) -> list[Any]:
    """Return the images of samples (n, d) under all permutations."""
    xp = namespace(X)
    return [xp.take(X, xp.asarray(g, device=X.device), axis=1) for g in group]


def first_images(X: Any, group: Permutations) -> Any:
    """Return the lexicographically first image of each sample.

    It is the same for all images of a sample. Few features tell most images apart.
    """
    first = np.zeros(len(X), dtype=np.intp)
    rows, candidates = np.arange(len(X)), np.ones((len(X), len(group)), dtype=bool)
    for places in group.T:
        values = np.where(candidates, X[rows[:, None], places], np.inf)
        candidates &= values == values.min(axis=1, keepdims=True)
        first[rows] = candidates.argmax(axis=1)
        several = np.count_nonzero(candidates, axis=1) > 1
        rows, candidates = rows[several], candidates[several]
        if len(rows) == 0:
            break
    found = X.copy()
    for i, g in enumerate(group[1:], 1):
        found[first == i] = X[first == i][:, g]
    return found


def quotients(group: Permutations) -> Permutations:
    """Return where ``b`` after the inverse of ``a`` is in the group, for all pairs."""
    places = {row.tobytes(): i for i, row in enumerate(group)}
    inverse = np.argsort(group, axis=1)
    return np.asarray([[places[b[a].tobytes()] for b in group] for a in inverse])


def table(products: Any, group: Permutations) -> Any:
    """Return products of all pairs of images (..., g, g).

    The products of each sample with its images (..., g) are given. If they do not
    change when both factors are permuted, the product of two images is that of the
    sample with its image under the quotient of their permutations.
    """
    xp, shape = namespace(products), (*products.shape, len(group))
    index = xp.asarray(quotients(group), device=products.device)
    found = xp.take(products, xp.reshape(index, (-1,)), axis=products.ndim - 1)
    return xp.reshape(found, shape)


def symmetric(scatter: Scatter, group: Permutations) -> Scatter:
    """Return the scatter of all images of samples, each with a share of the weight."""
    xp, n, share = namespace(scatter.mean), scatter.count, 1.0 / len(group)
    if n == 0.0:
        return scatter
    means = xp.concat(images(scatter.mean[None, :], group))
    mean = share * xp.sum(means, axis=0)
    rest: Any = 0.0
    if not isinstance(scatter.rest, float):
        rest = share * sum(images(scatter.rest[None, :], group))[0, :]
    between = (n * share) ** 0.5 * (means - mean)
    found = replace(scatter, mean=mean, rest=rest, shares=None)
    if scatter.matrix is None:
        roots = [share**0.5 * part for part in images(scatter.root, group)]
        return replace(found, root=xp.concat([*roots, between]))._smaller()
    S = between.T @ between
    for g in group:
        index = xp.asarray(g, device=mean.device)
        turned = xp.take(xp.take(scatter.matrix, index, axis=0), index, axis=1)
        S = S + share * turned
    return replace(found, matrix=S)


@dataclass(frozen=True, eq=False, repr=False)
class SymmetricGroup(Group):
    """A coded group of samples with all their images, which leave it together.

    Parameters
    ----------
    permutations : array of int of shape (g, d), default=None
        The permutations that make images, the identity first.
    """

    permutations: Any = None

    @classmethod
    def of(cls, group: Group, permutations: Permutations) -> SymmetricGroup:
        """Return a symmetric group whose scatter and mean are known."""
        known = {field.name: getattr(group, field.name) for field in fields(Group)}
        return cls(**known, permutations=permutations)

    def width(self, n_epsilons: int) -> int:
        """Return how many numbers one sample takes while it is coded."""
        n_images = len(self.permutations)
        return (super().width(n_epsilons) + 4 * n_epsilons * n_images) * n_images

    def without(
        self,
        Z: Any,
        epsilons: Any,
        weights: Any = None,
        part: Any = slice(None),
        along: Any = None,
    ) -> Any:
        """Return the extra nats of samples that are left out with their images.

        The remaining group codes one copy of the sample; see `Group.without`. ``along``
        are the coordinates of their images, if they are known.
        """
        xp, (w, alone) = namespace(epsilons), self._leaving(weights)
        w = xp.where(alone, xp.full_like(w, 0.5 * self.n), w)
        left, X, G = self.n - w, widen(Z[0, ...]).T, len(self.permutations)
        means = self._means_without(X, w)
        along = self._coordinates(X) if along is None else along
        eye = xp.eye(G, dtype=X.dtype, device=X.device)
        share, rest = w[:, None, None] / G, left[:, None, None]
        # coefficients of images in what the scatter loses, and in the copy that joins
        leaves, copy = share * eye, eye[:, :1] + 0.0 * share
        if self.mean is not None:
            leaves = leaves + share * share / rest
            copy = (copy + share / rest) * xp.sqrt(rest / (rest + 1.0))
        joins = leaves - copy @ xp.matrix_transpose(copy)
        before = self._lengths_without(epsilons, along, left, leaves, means[0])
        after = self._lengths_without(epsilons, along, left + 1.0, joins, means[1])
        return xp.where(alone[:, None], xp.inf + 0.0 * after, after - before)

    def left_out(
        self,
        Z: Any,
        epsilon: float,
        weights: Any = None,
        part: Any = slice(None),
        *,
        coded: bool = True,
    ) -> tuple[Any, Any]:
        r"""Return extra nats (b,) and projections (1, C, b) of left-out samples.

        See `Group.left_out`. With ``M = I + cS``, the images ``U`` of a sample and the
        first unit vector ``e``, the sample minus its projection is
        :math:`M^{-1}U (I - c w U^T M^{-1} U / |G|)^{-1} e`.
        """
        xp, (w, alone) = namespace(self.eigenvalues), self._leaving(weights)
        X, basis = widen(Z[0, ...]).T, widen(self.basis[0, ...])
        along, nats = self._coordinates(X), None
        if coded:
            path = xp.full_like(self.blocks.counts[:1], epsilon)
            nats = self.without(Z, path, weights, along=along)[:, 0]
            nats = xp.where(alone, self.as_first(Z, epsilon), nats)
        c = self.blocks.scale(xp.where(alone, xp.ones_like(w), self.n - w), epsilon)
        shares = 1.0 / (1.0 + c[0, :, None] * self.eigenvalues)
        D, Q = xp.linalg.eigh(self._products(along, shares[:, None, :])[:, 0, ...])
        least = float(xp.finfo(xp.float64).eps)
        D = at_least(1.0 - (c[0, :] * w / len(self.permutations))[:, None] * D, least)
        of_images = xp.sum(Q * (Q[:, :1, :] / D[:, None, :]), axis=2)
        rest = (shares * xp.sum(along * of_images[:, None, :], axis=2)) @ basis.T
        if basis.shape[1] < basis.shape[0]:  # a component outside of the eigenvectors
            rest = rest + X - along[:, :, 0] @ basis.T
        moved = xp.where(alone[:, None], xp.zeros_like(X), X - rest)
        return nats, xp.astype(moved.T[None, ...], Z.dtype, copy=False)

    def _coordinates(self, X: Any) -> Any:
        """Return coordinates (b, r, g) of the images of samples minus the mean."""
        xp, basis = namespace(X), widen(self.basis[0, ...])
        Y = X if self.mean is None else X - widen(self.mean)
        found = images(Y, self.permutations)
        if self.varying is not None:
            found = [xp.take(part, self.varying, axis=1) for part in found]
        return xp.stack([part @ basis for part in found], axis=2)

    def _means_without(self, X: Any, w: Any) -> tuple[Any, Any]:
        """Return squared norms (b,) of means without samples, and with one copy."""
        if self.mean is None:
            return 0.0, 0.0
        xp, mean, left = namespace(X), widen(self.mean), (self.n - w)[:, None]
        middle = sum(images(X, self.permutations)) / len(self.permutations)
        old = mean - w[:, None] / left * (middle - mean)
        new = (left * old + X) / (left + 1.0)
        return xp.sum(old * old, axis=1), xp.sum(new * new, axis=1)

    def _products(self, along: Any, shares: Any) -> Any:
        """Return products ``u^T A v`` of the images of a sample, (b, e, g, g).

        ``shares`` (b, e, r) are the eigenvalues of ``A``.
        """
        return table(shares @ (along[:, :, :1] * along), self.permutations)

    def _lengths_without(
        self, epsilons: Any, along: Any, n: Any, change: Any, mean_square: Any
    ) -> Any:
        """Return lengths (b, e) of groups of weight ``n`` with changed scatters.

        ``change`` (b, g, g) are the coefficients of the products of images that the
        scatters lose.
        """
        xp, d = namespace(along), self.blocks.dim
        c = self.blocks.scale(n[:, None], epsilons)[0, ...]
        scaled = 1.0 + c[:, :, None] * self.eigenvalues
        H = self._products(along, 1.0 / scaled)
        eye = xp.eye(H.shape[-1], dtype=H.dtype, device=H.device)
        lost = c[:, :, None, None] * change[:, None, ...]
        sign, logs = xp.linalg.slogdet(eye - lost @ H)
        least = math.log(float(xp.finfo(xp.float64).eps))
        logs = at_least(xp.where(sign > 0.0, logs, least + 0.0 * logs), least)
        volumes = xp.sum(xp.log(scaled), axis=2) + logs
        lengths = (n[:, None] + d) / 2.0 * volumes
        if self.mean is None or not self.codes_mean:
            return lengths
        ratios = mean_square[:, None] / (epsilons * epsilons)
        return lengths + d / 2.0 * xp.log1p(ratios)


class SymmetricDense(DenseGroup):
    """A group represented by matrices, which samples leave with all their images.

    Parameters
    ----------
    group : DenseGroup
        The group of all images.
    permutations : array of int of shape (g, d)
        The permutations that make images, the identity first.
    """

    def __init__(self, group: DenseGroup, permutations: Permutations) -> None:
        known = group.n, group.blocks, group.epsilon, group.scatter, group.dtype
        super().__init__(*known, condition=group.condition)
        self.permutations = permutations

    def width(self, n_epsilons: int) -> int:
        """Return how many numbers one sample takes while it is coded."""
        return (super().width(n_epsilons) + 4) * len(self.permutations)

    def left_out(
        self,
        Z: Any,
        epsilon: float,
        weights: Any = None,
        part: Any = None,
        *,
        coded: bool = True,
    ) -> tuple[Any, Any]:
        """Return extra nats (b,) and projections (1, C, b) of left-out samples.

        All samples must have the same weight; see `SymmetricGroup.left_out`. Nats are
        None if they are not needed (``coded=False``).
        """
        xp, w = namespace(Z), 1.0 if weights is None else float(weights[0])
        if self.n - w <= NOTHING_LEFT * self.n:
            return self.as_first(Z, epsilon) if coded else None, xp.zeros_like(Z)
        X, G, lengths = widen(Z[0, ...]).T, len(self.permutations), []
        turned = images(X, self.permutations)
        eye = xp.eye(G, dtype=X.dtype, device=X.device)
        copy = eye[:, :1] @ eye[:1, :]  # of the sample, which joins the others
        steps = [(1.0 - w, w / G * eye - copy), (-w, w / G * eye)]
        for change, lost in steps if coded else steps[1:]:
            solved = X @ widen(self._inverse(change)[0, ...])
            products = xp.stack([xp.sum(solved * x, axis=1) for x in turned], axis=1)
            c = float(self.blocks.scale(self.n + change, epsilon)[0])
            rest = eye - c * lost @ table(products, self.permutations)
            volumes = self.log_det(change) + xp.linalg.slogdet(rest)[1]
            lengths.append((self.n + change + self.blocks.dim) / 2.0 * volumes)
        # ``solved`` and ``rest`` are now those of the group without the sample
        shares = xp.linalg.solve(rest, xp.zeros_like(rest[..., :1]) + eye[:, :1])
        parts = enumerate(images(solved, self.permutations))
        moved = X - sum(shares[:, g, :] * part for g, part in parts)
        moved = xp.astype(moved.T[None, ...], Z.dtype, copy=False)
        return lengths[0] - lengths[1] if coded else None, moved
