"""The space of vectors: the sphere, in coordinates of the training samples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from skredu._checks import check_finite
from skredu._compat import namespace
from skredu.coding._dense import DenseGroup
from skredu.coding._group import Blocks
from skredu.coding._linalg import (
    LEAST_CONSTANT,
    on_sphere,
    split,
    spread_columns,
    widen,
)
from skredu.coding._scatter import Scatter, group_of, group_of_scatter
from skredu.coding._symmetry import SymmetricDense, SymmetricGroup, symmetric

# With at least this number of features, they are sorted by their sums of squares, so
# that the first of them distinguish most samples; see `Layer._sharp_costs`.
LEAST_ORDERED = 128


class Vectors:
    """Vectors as features (1, C, n), with one block.

    Samples are projected to the unit sphere, after a constant was appended if there is
    an intercept. All motion takes place in the span of the training samples, and the
    component of a sample outside of it keeps its direction. If there are fewer training
    samples than features, a sample is therefore represented by its coordinates in an
    orthonormal basis of this span and, in one more coordinate, by the norm of the rest.
    If many features are zero in all training samples, or classes have many samples, the
    other features are the coordinates, those with the largest sums of squares first.
    Positive parts and permutations of features need features as coordinates, so there
    is no basis for them.

    Parameters
    ----------
    constant : float or None
        Constant that is appended to samples; None for no intercept.
    n_features : int
        Dimension of the space of the sphere, as counted by coding lengths.
    counts : array of shape (1,)
        How many equal blocks the block represents: one.
    rotates : bool
        Whether coordinates in a basis of the span may be used in place of features.
    basis : array of shape (d, r) or None
        Orthonormal columns that span the training samples.
    used, unused : arrays of shape (r,) and (d - r,), or None
        Features that are the coordinates, and those that are zero in training. Without
        a basis and these, all features are coordinates.
    permutations : array of int of shape (g, d), or None
        Permutations of features, the identity first, that change no class. A sample is
        coded, and left out, together with its images.
    """

    # After the layers, classes are coded around their means.
    centred: ClassVar[bool] = True

    def __init__(
        self,
        constant: float | None = None,
        n_features: int = 0,
        counts: Any = None,
        basis: Any = None,
        used: Any = None,
        unused: Any = None,
        permutations: Any = None,
        *,
        rotates: bool = True,
    ) -> None:
        self.constant, self.n_features, self.counts = constant, n_features, counts
        self.basis, self.used, self.unused = basis, used, unused
        self.permutations, self.rotates = permutations, rotates

    @property
    def has_rest(self) -> bool:
        """Whether samples may have a component outside of the coordinates."""
        dropped = self.unused is not None and self.unused.shape[0] > 0
        return self.basis is not None or dropped

    def fit(self, rows: Any) -> Any:
        """Choose coordinates for training samples, and return their features."""
        Z = on_sphere(rows.X, self.constant)
        xp, (n, d) = namespace(Z), Z.shape
        self.n_features = d
        self.counts = xp.ones(1, dtype=xp.float64, device=Z.device)
        energy = xp.sum(Z * Z, axis=0)
        used, unused = split(energy > 0)
        if self.permutations is not None:
            return Z.T[None, :, :]
        few = unused.shape[0] < LEAST_CONSTANT * d
        ordered = 2 * max(rows.sizes) > d >= LEAST_ORDERED  # classes are dense
        if 0 < used.shape[0] <= n and (ordered or not few):
            order = xp.argsort(-xp.take(energy, used))
            self.used, self.unused = xp.take(used, order), unused
        elif n < d and self.rotates:
            group: Any = group_of(Z.T[None, :, :], None, self.blocks)
            self.basis = group.basis[0, :, :]
        inside = self._inside(Z)
        if self.has_rest:  # training rows have nothing outside
            rest = xp.zeros((n, 1), dtype=Z.dtype, device=Z.device)
            inside = xp.concat([inside, rest], axis=1)
        return inside.T[None, :, :]

    def on(self, X: Any) -> Vectors:
        """Return the space in which all features are coordinates, on a device.

        It needs no training samples, so it also serves those that come in parts.
        """
        counts = namespace(X).ones(1, dtype=namespace(X).float64, device=X.device)
        d = X.shape[1] + (self.constant is not None)
        return Vectors(self.constant, d, counts, rotates=False)

    def group(self, Z: Any, weights: Any, **options: Any) -> Any:
        """Code samples, with all images if there are any; see `group_of`."""
        if self.permutations is None:
            return group_of(Z, weights, self.blocks, **options)
        scatter = Scatter.from_rows(
            Z[0, ...].T,
            weights,
            assume_centered=not options.get("centred"),
            epsilon=options.get("epsilon", math.inf),
        )
        scatter, epsilon = symmetric(scatter, self.permutations), options.get("epsilon")
        differ = weights is not None and bool(namespace(Z).any(weights != weights[0]))
        if differ or options.get("exact"):  # matrices are not enough
            epsilon = None
        group: Any = group_of_scatter(scatter, self.blocks, epsilon)
        dense = isinstance(group, DenseGroup)
        form: Any = SymmetricDense if dense else SymmetricGroup.of
        return form(group, self.permutations)

    def spread(self, Z: Any, rows: Any, *, centred: bool) -> float:
        """Return the root mean square distance of features from the mean, or norm."""
        index = np.arange(len(rows.index))
        features = replace(rows, source=Z[0, ...].T, index=index)
        return float(features.spread(not centred, self.permutations))

    def scatters(
        self, Z: Any, rows: Any, epsilon: float, *, centred: bool
    ) -> list[Scatter]:
        """Return the scatters of the classes of features, about their means or not."""
        options: dict[str, Any] = {"assume_centered": not centred, "epsilon": epsilon}
        found = [
            Scatter.from_rows(widen(Z[0, :, p].T), rows.weights_at(p), **options)
            for p in rows.slices
        ]
        return [replace(scatter, shares=None) for scatter in found]

    @property
    def blocks(self) -> Blocks:
        """How coding lengths count the block."""
        return Blocks(self.n_features, self.counts)

    @property
    def n_features_out(self) -> int:
        """Number of features that `from_features` returns."""
        return self.n_features

    @property
    def width(self) -> int:
        """Number of entries that one sample needs while it is processed."""
        return 8 * self.n_features

    def to_features(self, X: Any) -> tuple[Any, Any]:
        """Return features (1, C, n) of samples, and directions of the parts outside."""
        return self.split(on_sphere(X, self.constant))

    def split(self, Z: Any) -> tuple[Any, Any]:
        """Return features of points (n, d) on the sphere, as `to_features` does."""
        xp, inside = namespace(Z), self._inside(Z)
        if not self.has_rest:
            return inside.T[None, :, :], None
        rest = Z - self._back(inside)
        length = xp.sqrt(xp.sum(rest * rest, axis=1, keepdims=True))
        features = xp.concat([inside, length], axis=1).T[None, :, :]
        return features, rest / xp.where(length > 0, length, xp.ones_like(length))

    def from_features(self, Z: Any, outside: Any) -> Any:
        """Return samples (n, d) from features and directions of the parts outside."""
        moved = Z[0, :, :].T
        if outside is None:
            return self._back(moved)
        return self._back(moved[:, :-1]) + moved[:, -1:] * outside

    def to_samples(self, Z: Any, outside: Any) -> Any:
        """Return samples that `to_features` maps to features and directions outside."""
        points = self.from_features(Z, outside)
        if self.constant is None:
            return points
        xp, last = namespace(points), points[:, -1:]
        if not xp.all(last > 0):
            raise ValueError(
                "X contains features that no sample has: before the first layer, the "
                "feature of the intercept would not be positive."
            )
        with np.errstate(over="ignore"):
            X = points[:, :-1] * (self.constant / last)
        check_finite(X, "samples with the features X")
        return X

    def positive(self, Z: Any) -> Any:
        """Return the positive parts of features, which are the coordinates here."""
        return namespace(Z).where(Z > 0, Z, namespace(Z).zeros_like(Z))

    def show(self, P: Any, alpha: float) -> Any:
        """Return ``alpha (I - P)`` as a dense matrix (d, d)."""
        xp, P = namespace(P), P[0, :, :]
        if self.has_rest:  # along which P is zero
            P = P[:-1, :-1]
        eye = xp.eye(self.n_features, dtype=P.dtype, device=P.device)
        return alpha * (eye - self._back(self._back(P).T).T)

    def _inside(self, Z: Any) -> Any:
        """Return coordinates (n, r) of the component in the span."""
        if self.basis is not None:
            return Z @ self.basis
        return Z if self.used is None else namespace(Z).take(Z, self.used, axis=1)

    def _back(self, inside: Any) -> Any:
        """Return samples (n, d) from coordinates of their component in the span."""
        if self.basis is not None:
            return inside @ self.basis.T
        if self.used is None:
            return inside
        return spread_columns(inside, self.used, self.unused)
