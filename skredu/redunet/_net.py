"""Networks that are constructed layer by layer, each by one gradient step.

This module does not depend on what a sample is. A space converts samples to features
and back; see `skredu.redunet._vectors` and `skredu.redunet._signals`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing, warn
from skredu._checks import check_training
from skredu._compat import (
    ARRAY_API_SUPPORT,
    CallbackSupportMixin,
    Interval,
    StrOptions,
    namespace,
)
from skredu._progress import watched
from skredu.coding._linalg import blocks_of_rows, real_dtype
from skredu.coding._rows import Rows
from skredu.coding._sphere import MODERATE
from skredu.coding._weights import weights_to_fit
from skredu.redunet._decision import fit_decision
from skredu.redunet._layer import Layer, ReduNetLayer, moved_by
from skredu.redunet._memberships import MEMBERSHIPS

RATES = ("R", "Rc", "delta_R")
# A step size is halved at most this number of times.
HALVINGS = 10


def step_lengths(step: str, eta: float, alpha: float, last: float) -> list[float]:
    """Return the step sizes to try for a layer, relative to ``1 / alpha``.

    ``"relative"`` step sizes are halved until one increases the rate reduction, and
    recover from that of the ``last`` layer. The ``"published"`` step size is always
    taken.
    """
    if step == "published":
        return [eta * alpha]
    first = min(eta, 2.0 * last)
    return [first / 2**halving for halving in range(HALVINGS)]


class BaseNet(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    SkreduEstimator,
):
    """Base class of networks; subclasses define the spaces of the samples."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "epsilon": [MODERATE, StrOptions({"auto"})],
        "eta": [MODERATE],
        "step": [StrOptions({"relative", "published"})],
        "membership": [StrOptions(set(MEMBERSHIPS))],
        "inverse_temperature": [MODERATE],
        "construction": [StrOptions({"left_out", "estimated", "labels"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
    }
    _reference = "class_count_"
    # The kind of space, restored from its plain state.
    _kind: ClassVar[type[Any]]

    n_layers: int
    epsilon: float | str
    eta: float
    step: str
    membership: str
    inverse_temperature: float
    construction: str
    tol: float
    warm_start: bool
    _layers: list[dict[str, Any]]
    _decisions: list[dict[str, Any]]

    @abstractmethod
    def _spaces(self, rows: Rows) -> list[Any]:
        """Return spaces for training samples; the best of several will be chosen."""

    @property
    def _decides(self) -> bool:
        """Whether there is a decision after every layer."""
        return False

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.array_api_support = ARRAY_API_SUPPORT
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Build the network layer by layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample; fractions are allowed, and zero means
            absent. If the weights sum to less than the number of classes or a tenth of
            the number of samples, they are rescaled to have mean one, with a warning.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid or, with ``warm_start``, if samples,
            labels, weights or parameters other than ``n_layers`` differ from those of
            the last call, or if there are more layers already.
        """
        rows = self._checked(X, y, sample_weight)
        missing = self.n_layers - (self.n_iter_ if self._continues else 0)
        with watched(self, missing, X=X, y=y) as progress:
            Z = self._features if self._continues else self._begin(rows)
            layer = self._build(Z, rows)
            if len(self.rates_["R"]) == 0:  # otherwise, all layers have been dropped
                self._append(layer.rates(), Z, rows)
            for _ in range(missing):
                with progress.task("layer", fitted=self._fitted):
                    Z, layer, enough = self._grow(Z, layer, rows)
                if enough or progress.stopped:
                    break
            self._finish()
        return self

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
        X, space = self._check_rows(X, "transform"), self._restored_space()
        shape = (X.shape[0], self._n_features_out)
        features = namespace(X).empty(shape, dtype=X.dtype, device=X.device)
        for block, Z, outside in self._moved(X, space):
            features[block, :] = self._shown(Z, outside, space)
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
        X, space = self._check_rows(X, "staged_transform"), self._restored_space()
        Z, outside = space.to_features(X)
        for stage, moved in enumerate(self._staged(Z)):
            yield self._marked(self._shown(moved, outside, space, stage))

    @property
    def layers_(self) -> list[ReduNetLayer]:
        """The layers with their operators, one object per layer."""
        check_is_fitted(self)
        space = self._restored_space()
        return [ReduNetLayer(*pair, space) for pair in self._restored_layers()]

    @property
    def n_iter_(self) -> int:
        """Number of layers."""
        return len(self._layers)

    @property
    def _n_features_out(self) -> int:
        return int(self._restored_space().n_features_out)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_layers")

    # -- samples and features ---------------------------------------------------------

    def _checked(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        """Validate parameters and samples, also against the previous call."""
        if not self._continues:
            self._forget()
        self._validate_params()
        rows = self._training_rows(X, y, sample_weight)
        if self.warm_start:
            origin = self._origin_of(rows)
            if self._continues:
                self._check_continued(origin)
            self._origin = origin
        return rows

    def _training_rows(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        """Return valid training samples, sorted by class."""
        reset = not self._continues
        X, y, weights = check_training(self, X, y, sample_weight, reset=reset)
        class_weight = getattr(self, "class_weight", None)
        weights = weights_to_fit(X, y, weights, class_weight)
        return Rows.of(X, y, weights).merged()

    def _moved(self, X: Any, space: Any) -> Iterator[tuple[slice, Any, Any]]:
        """Iterate over blocks of samples: which, their features, and what is outside.

        The features are those after the last layer.
        """
        layers = self._restored_layers()
        for block in blocks_of_rows(X.shape[0], space.width):
            Z, outside = space.to_features(X[block, :])
            for layer, step in layers:
                Z = layer.move(Z, step)
            yield block, Z, outside

    def _shown(self, Z: Any, outside: Any, space: Any, stage: int = -1) -> Any:
        """Return features (n, n_features_out) after a layer, the last by default."""
        return space.from_features(Z, outside)

    def _marked(self, Z: Any) -> Any:
        """Return features in the form in which `transform` returns them."""
        return Z

    def _restored_space(self) -> Any:
        return self._kind(**self._space)

    def _restored_layers(self) -> list[tuple[Layer, float]]:
        """Return the layers and their step sizes."""
        return [(Layer.from_state(s["layer"]), s["step"]) for s in self._layers]

    def _staged(self, Z: Any) -> Iterator[Any]:
        """Yield features before the first layer, and after each."""
        yield Z
        for layer, step in self._restored_layers():
            Z = layer.move(Z, step)
            yield Z

    # -- building layers --------------------------------------------------------------

    def _begin(self, rows: Rows) -> Any:
        """Prepare the training samples for a network without layers."""
        spaces, epsilon = self._spaces(rows), self.epsilon
        features = [space.fit(rows) for space in spaces]
        best, self._decisions = 0, []
        if len(spaces) > 1 or isinstance(epsilon, str):
            found = [
                fit_decision(Z, rows, space, centred=False)
                for Z, space in zip(features, spaces, strict=True)
            ]
            best = int(np.argmin([decision["loss"] for decision in found]))
            epsilon = found[best]["epsilon"] if isinstance(epsilon, str) else epsilon
            if self._decides and not spaces[best].centred:
                self._decisions = [found[best]]
        self.epsilon_ = float(epsilon)
        self.rates_ = {name: np.empty(0) for name in RATES}
        self._begin_anew(rows, spaces[best], rows.counts, len(rows.index))
        return features[best]

    def _begin_anew(
        self, rows: Rows, space: Any, counts: list[float], n_rows: int
    ) -> None:
        """Reset the network to one without layers, with these class weights."""
        xp, device = namespace(rows.source), rows.source.device
        self.class_count_ = xp.asarray(counts, dtype=xp.float64, device=device)
        self.classes_, self._n_rows = rows.classes, n_rows
        self._space, self._layers = dict(vars(space)), []

    def _build(self, Z: Any, rows: Rows) -> Layer:
        """Build the layer of training features."""
        return Layer.build(
            Z,
            rows,
            self._restored_space().blocks,
            self.epsilon_,
            self.membership,
            float(self.inverse_temperature),
            left_out=self.construction == "left_out",
        )

    def _grow(self, Z: Any, layer: Layer, rows: Rows) -> tuple[Any, Layer, bool]:
        """Add a layer; return its features, the next layer, and whether to stop."""
        eta = float(self.eta)
        last = self._layers[-1]["step"] if self._layers else eta
        found = take_step(
            Z,
            layer,
            step_lengths(self.step, eta, layer.alpha, last),
            change=lambda: layer.training_change(Z, rows, self.construction),
            build=lambda moved: self._build(moved, rows),
            always=self.step == "published",
        )
        if found is None:
            return Z, layer, True
        length, Z, following = found
        self._layers = [*self._layers, {"layer": layer.to_state(), "step": length}]
        rates = following.rates()
        gain = rates[2] - self.rates_["delta_R"][-1]
        enough = self._append(rates, Z, rows)
        return Z, following, enough or gain < self.tol > 0.0

    def _append(self, rates: tuple[float, float, float], Z: Any, rows: Rows) -> bool:
        """Record the features after the last layer; return whether to stop."""
        self.rates_ = {
            name: np.append(self.rates_[name], rate)
            for name, rate in zip(RATES, rates, strict=True)
        }
        if self.warm_start:
            self._features = Z
        if self._decides and len(self._decisions) == self.n_iter_:
            space = self._restored_space()
            decision = fit_decision(Z, rows, space, centred=space.centred)
            self._decisions = [*self._decisions, decision]
        return False

    def _finish(self) -> None:
        """Clean up after the last layer, and warn if there is none."""
        if not self._layers and self.n_layers > 0:
            warn(
                f"{type(self).__name__} has no layer (n_iter_=0), because no step "
                "increases the rate reduction of the training samples at "
                f"epsilon={self.epsilon_:.3g}. "
                "Try another epsilon, or set n_layers=0 to omit layers."
            )

    def _fitted(self) -> dict[str, Any]:
        """Return the attributes that change with each layer, for callbacks."""
        grown = ("_layers", "_decisions", "rates_")
        return {name: vars(self)[name] for name in grown}

    # -- continuing from the layers of the previous call ------------------------------

    @property
    def _continues(self) -> bool:
        return bool(self.warm_start) and hasattr(self, "_features")

    def _forget(self) -> None:
        """Delete all fitted attributes."""
        for name in ("_layers", "_features", "_origin"):
            self.__dict__.pop(name, None)

    def _origin_of(self, rows: Rows) -> dict[str, Any]:
        """Return what determines the layers: samples, device, and parameters."""
        parameters = deepcopy(self.get_params(deep=False))
        del parameters["n_layers"], parameters["warm_start"]
        place = f"{namespace(rows.source).__name__} {rows.source.device}"
        return {"rows": f"{place} {rows.fingerprint()}", "parameters": parameters}

    def _check_continued(self, origin: dict[str, Any]) -> None:
        """Raise an error if the layers depend on something that has changed."""
        if self.n_layers < self.n_iter_:
            raise ValueError(
                f"n_layers={self.n_layers} must be at least n_iter_={self.n_iter_} "
                "when warm_start=True."
            )
        anew = "Call set_params(warm_start=False) to start anew."
        if origin["rows"] != self._origin["rows"]:
            raise ValueError(
                "X, y and sample_weight must be those of the last call, in the same "
                f"order, when warm_start=True. {anew}"
            )
        for name, before in self._origin["parameters"].items():
            if not np.array_equal(origin["parameters"][name], before):
                raise ValueError(
                    f"{name}={origin['parameters'][name]!r} was {before!r} in the last "
                    f"call: only n_layers may change when warm_start=True. {anew}"
                )


def take_step(
    Z: Any,
    layer: Layer,
    lengths: list[float],
    *,
    change: Callable[[], Any],
    build: Callable[[Any], Layer],
    always: bool,
) -> tuple[float, Any, Layer] | None:
    """Move training features by the first step that increases the rate reduction.

    Parameters
    ----------
    Z : array of shape (F, C, n)
        Training features.
    layer : Layer
        The layer that was computed from them.
    lengths : list of float
        Step sizes to try.
    change : callable
        Returns the direction in which the features move, as a new array.
    build : callable
        Builds a layer from features.
    always : bool
        Whether to take the first step in any case.

    Returns
    -------
    length, Z, following : float, array of shape (F, C, n) and Layer
        The step, the features after it, and the layer that is computed from them; or
        None if no step increases the rate reduction.
    """
    direction = None
    R, _, delta = layer.rates()
    # a step that only moves the rounding errors of the rates does not decrease them
    least = delta - abs(R) * float(namespace(Z).finfo(real_dtype(Z)).eps)
    for length in lengths:
        if direction is None:  # not computed yet, or overwritten by the moved features
            direction = change()
        moved, direction = moved_by(Z, direction, length)
        following = build(moved)
        if always or following.rates()[2] >= least:
            return length, moved, following
    return None
