"""How samples move through a fitted network, and back."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, ClassVar

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, warn
from skredu._compat import at_least, namespace
from skredu.coding._linalg import (
    blocks_of_rows,
    norms,
    on_sphere,
    real_dots,
    real_dtype,
)
from skredu.redunet._layer import STEPS, ReduNetLayer, stepped

# Largest number of iterations for one layer, and smallest share of a step.
MAX_ITERATIONS, LEAST_SHARE = 200, 1e-8
# Iterations stop if features differ by at most this number of rounding units.
UNITS = 16.0
# Features that differ by more than this power of the machine precision are reported.
ACCURACY = 0.5


def _inverts(net: Any) -> bool:
    """Return whether features determine how samples have moved."""
    at_rest = [rule for rule, has_velocity in STEPS.items() if not has_velocity]
    equivariant = getattr(net, "output", "equivariant") == "equivariant"
    return net.step in at_rest and equivariant


class TransformingNet(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, SkreduEstimator
):
    """Base class of networks, with the methods that need no training samples."""

    # The kind of space, which is restored from its plain state.
    _kind: ClassVar[type[Any]]
    _layers: list[dict[str, Any]]

    def transform(self, X: Any) -> Any:
        """Compute the features of samples after the last layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            The features.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        X = self._check_rows(X, "transform")
        shape = (X.shape[0], self._n_features_out)
        features = namespace(X).empty(shape, dtype=X.dtype, device=X.device)
        for block, Z, outside in self._moved(X):
            features[block, :] = self._shown(Z, outside)
        return self._marked(features)

    def staged_transform(self, X: Any) -> Iterator[Any]:
        """Compute the features of samples before the first layer and after each.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Yields
        ------
        Z : ndarray of shape (n_samples, n_features_out)
            The features, ``n_iter_ + 1`` times.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        for stage, (Z, outside) in enumerate(self._staged(X, "staged_transform")):
            yield self._marked(self._shown(Z, outside, stage))

    @available_if(_inverts)
    def inverse_transform(self, X: Any) -> Any:
        r"""Compute samples that have given features.

        Layers are undone one after the other, from the last to the first. For each of
        them, the equation :math:`z + s\,c(z) = r z^+` with the change :math:`c(z)` of a
        sample, the step size ``s`` and :math:`\|z\| = 1` is solved by accelerated
        fixed-point iteration, which converges if the step is short: with
        ``step="relative"`` and ``eta`` well below 1. `transform` of the result then
        returns the features up to rounding errors. A warning tells if a layer does not,
        to the square root of the machine precision: steps are too long, or no sample
        has these features, because memberships change so much from one sample to
        another nearby that both move apart.

        A sample without an intercept is only determined up to its norm, and the result
        has norm one. With an intercept, the norm of samples is recovered, too. Not
        available if samples have a velocity (``step="momentum"`` or ``"nesterov"``),
        which the features do not show, and for ``output="invariant"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            Features, as `transform` returns them. Rows are divided by their norms.

        Returns
        -------
        X_original : array of shape (n_samples, n_features)
            Samples with these features.

        Raises
        ------
        ValueError
            If ``X`` has another number of features than `transform` returns, or, with
            an intercept, contains features that no sample has.
        """
        Z = self._check_features(X)
        space, layers, worst = self._restored_space(), self._restored_layers(), 0.0
        xp, shape = namespace(Z), (Z.shape[0], self.n_features_in_)
        samples = xp.empty(shape, dtype=Z.dtype, device=Z.device)
        for block in blocks_of_rows(Z.shape[0], space.width):
            features, outside = space.split(on_sphere(Z[block, :]))
            for layer in reversed(layers):
                features, error = _undone(layer, features)
                worst = max(worst, error)
            samples[block, :] = space.to_samples(features, outside)
        if worst > float(xp.finfo(Z.dtype).eps) ** ACCURACY:
            warn(
                f"A layer maps the result of inverse_transform to features that differ "
                f"by up to {worst:.1g} from the given ones: no sample has these "
                "features, or steps are too long. A smaller eta helps."
            )
        return self._marked(samples)

    @property
    def layers_(self) -> list[ReduNetLayer]:
        """The layers with their operators, one object per layer."""
        check_is_fitted(self)
        return self._restored_layers()

    @property
    def _n_features_out(self) -> int:
        return int(self._restored_space().n_features_out)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_layers")

    def _moved(self, X: Any) -> Iterator[tuple[slice, Any, Any]]:
        """Iterate over blocks of samples, with features after the last layer.

        Yields the slice of each block, its features, and the parts outside of the span.
        """
        space, layers = self._restored_space(), self._restored_layers()
        for block in blocks_of_rows(X.shape[0], space.width):
            first, outside = space.to_features(X[block, :])
            [Z] = deque(through(layers, first), maxlen=1)  # after the last layer
            yield block, Z, outside

    def _staged(self, X: Any, method: str) -> Iterator[tuple[Any, Any]]:
        """Yield features before the first layer and after each, and parts outside."""
        X = self._check_rows(X, method)
        first, outside = self._restored_space().to_features(X)
        for Z in through(self._restored_layers(), first):
            yield Z, outside

    def _shown(self, Z: Any, outside: Any, stage: int = -1) -> Any:
        """Return features (n, n_features_out) after a layer, the last by default."""
        return self._restored_space().from_features(Z, outside)

    def _marked(self, Z: Any) -> Any:
        """Return features in the form in which `transform` returns them."""
        return Z

    def _restored_space(self) -> Any:
        return self._kind(**self._space)

    def _restored_layers(self) -> list[ReduNetLayer]:
        space = self._restored_space()
        return [ReduNetLayer.from_state(state, space) for state in self._layers]


def components_of(net: Any) -> tuple[Any, list[ReduNetLayer], Any]:
    """Return the space, the layers and the last decision of a network to convert.

    The decision is the last result of `fit_decision`; None if there is none.
    """
    decisions = net._decisions or [None]
    return net._restored_space(), net._restored_layers(), decisions[-1]


def through(layers: list[ReduNetLayer], Z: Any) -> Iterator[Any]:
    """Yield features before the first layer and after each, as new samples move."""
    before = None
    yield Z
    for layer in layers:
        Z, before = layer.move(Z, before)
        yield Z


def _undone(layer: ReduNetLayer, after: Any) -> tuple[Any, float]:
    """Return features (F, C, n) before a layer, and the largest error after it.

    Memberships are sharp, so near the border of two classes an iteration overshoots. It
    is extrapolated from the last two for each sample (Anderson acceleration), and
    shortened if the error would grow.
    """
    xp, dtype = namespace(after), real_dtype(after)
    enough = UNITS * float(xp.finfo(dtype).eps)
    step, change_of = layer.step, layer.operators.change
    Z = trial = after
    change = moved = change_of(after)
    errors, share = math.inf, xp.ones_like(norms(after))
    target = last_target = gap = last_gap = xp.zeros_like(after)
    for _ in range(MAX_ITERATIONS):
        found = norms(stepped(trial, moved, step) - after)
        better = found < errors
        Z, change = xp.where(better, trial, Z), xp.where(better, moved, change)
        errors = xp.where(better, found, errors)
        longer = xp.minimum(2.0 * share, xp.ones_like(share))
        share = xp.where(better, longer, 0.5 * share)
        if not xp.any((errors > enough) & (share > LEAST_SHARE)):
            break
        last_target = xp.where(better, target, last_target)
        last_gap = xp.where(better, gap, last_gap)
        # the factor r of the equation, for which the target has norm one
        move = step * change
        along = xp.sum(real_dots(after, move), axis=0)
        rest = at_least(1.0 - norms(move) ** 2 + along**2, 0.0)
        r = xp.astype(along + xp.sqrt(rest), dtype, copy=False)
        target = stepped(r * after, -move, 1.0)
        gap = target - Z
        # before the first success, there is nothing to extrapolate from
        known = norms(last_gap) > 0.0
        turn = xp.where(known, gap - last_gap, xp.zeros_like(gap))
        size = norms(turn) ** 2
        ratio = xp.sum(real_dots(gap, turn), axis=0)
        ratio = ratio / xp.where(size > 0, size, xp.ones_like(size))
        aim = target - xp.astype(ratio, dtype) * (target - last_target)
        trial = stepped(Z, xp.astype(share, dtype, copy=False) * (aim - Z), 1.0)
        moved = change_of(trial)
    return Z, float(xp.max(errors))
