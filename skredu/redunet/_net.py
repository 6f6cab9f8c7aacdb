"""Networks that are constructed layer by layer, each by one gradient step.

This module does not depend on what a sample is. A space converts samples to features
and back; see `skredu.redunet._vectors` and `skredu.redunet._grid`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from skredu._base import all_or_nothing, warn
from skredu._checks import check_training
from skredu._classifiers import CodingClassifier, take_labels
from skredu._compat import (
    ARRAY_API_SUPPORT,
    CallbackSupportMixin,
    Interval,
    StrOptions,
    namespace,
)
from skredu._progress import UNWATCHED, Progress, watched
from skredu.coding._linalg import MODERATE, real_dtype, softmax
from skredu.coding._rows import Rows, weights_to_add, weights_to_fit
from skredu.coding._symmetry import permutations_of
from skredu.redunet._layer import MEMBERSHIPS, STEPS, ReduNetLayer
from skredu.redunet._samples import Samples, decision_scores
from skredu.redunet._transform import TransformingNet

# Least reduction of the leave-one-out loss (error rate plus Brier score) by a layer
# that is kept.
IMPROVEMENT = 1e-3
RATES = ("R", "Rc", "delta_R")
# Attributes without which a network is not fitted, or does not continue.
FITTED = ("_layers", "_features", "_origin")
# Attributes that change with each layer.
GROWN = ("_layers", "_decisions", "rates_")


class BaseNet(CallbackSupportMixin, TransformingNet):
    """Base class of networks; subclasses define the spaces of the samples."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "epsilon": [MODERATE, StrOptions({"auto"})],
        "eta": [MODERATE],
        "step": [StrOptions(set(STEPS))],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "membership": [StrOptions(set(MEMBERSHIPS))],
        "inverse_temperature": [MODERATE],
        "construction": [StrOptions({"left_out", "estimated", "labels"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
    }
    _reference = "class_count_"
    # Whether there is a decision after every layer.
    _decides: Any = False

    # Method of subclasses: returns spaces for training `Samples`, to choose from.
    _spaces: Any
    _decisions: list[dict[str, Any]]
    _origin: dict[str, Any]

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
        if not self._continues:
            self._forget()
        self._validate_params()
        rows = self._training_rows(X, y, sample_weight)
        if self.warm_start:
            self._check_origin(rows)
        missing, samples = self.n_layers, Samples(self, rows)
        if self._continues:
            missing -= self.n_iter_
            samples = Samples(self, rows, self._restored_space(), *self._features)
        with watched(self, missing, X=X, y=y) as progress:
            self._build(samples, missing, progress)
        return self

    @property
    def n_iter_(self) -> int:
        """Number of layers."""
        return len(self._layers)

    # -- samples and features ---------------------------------------------------------

    def _training_rows(
        self, X: Any, y: Any, sample_weight: Any, classes: Any = None
    ) -> Rows:
        """Return valid training samples, sorted by class.

        If they are only some of the samples, ``classes`` are those of all.
        """
        reset = not self._continues
        X, y, weights = check_training(self, X, y, sample_weight, reset=reset)
        class_weight = getattr(self, "class_weight", None)
        if classes is not None:
            weights = weights_to_add(X, y, weights, class_weight, classes)
            return Rows.of(X, y, weights, np.asarray(classes))
        weights = weights_to_fit(X, y, weights, class_weight)
        permutations, symmetry = None, getattr(self, "symmetry", None)
        if symmetry is not None:
            permutations = permutations_of(symmetry, self.signal_shape, X.shape[1])
        return Rows.of(X, y, weights).merged(permutations)

    # -- building layers --------------------------------------------------------------

    def _build(
        self, samples: Samples, n_layers: int, progress: Progress = UNWATCHED
    ) -> None:
        """Build layers from training samples, which may be in memory or in blocks."""
        if samples.space is None:  # there are no layers to continue from
            samples = self._begin(samples)
            self._record(samples)
        for _ in range(n_layers):
            enough = True
            with progress.task(
                "layer", fitted=lambda: {n: vars(self)[n] for n in GROWN}
            ):
                found = self._step(samples)
                if found is not None:
                    layer, samples = found
                    self._layers = [*self._layers, layer.to_state()]
                    enough = self._record(samples)
            if enough or progress.stopped:
                break
        self._finish()

    def _begin(self, samples: Samples) -> Samples:
        """Choose a space and ``epsilon_``, and return the samples in this space.

        What is not given minimises the loss of a decision on the sphere.
        """
        places = [samples.enter(space) for space in self._spaces(samples)]
        best, epsilon, self._decisions = 0, self.epsilon, []
        if len(places) > 1 or isinstance(epsilon, str):
            found = [place.decision(first=True) for place in places]
            best = int(np.argmin([decision["loss"] for decision in found]))
            epsilon = found[best]["epsilon"] if isinstance(epsilon, str) else epsilon
            if self._decides and not places[best].space.centred:
                self._decisions = [found[best]]
        samples, self.epsilon_ = places[best], float(epsilon)
        self.rates_ = {name: np.empty(0) for name in RATES}
        rows = samples.rows
        self._begin_anew(rows, samples.space, rows.counts, len(rows.index))
        return samples

    def _begin_anew(
        self, rows: Rows, space: Any, counts: list[float], n_rows: int
    ) -> None:
        """Reset the network to one without layers, with these class weights."""
        xp, device = namespace(rows.source), rows.source.device
        self.class_count_ = xp.asarray(counts, dtype=xp.float64, device=device)
        self.classes_, self._n_rows = rows.classes, n_rows
        self._space, self._layers = dict(vars(space)), []

    def _step(self, samples: Samples) -> tuple[ReduNetLayer, Samples] | None:
        """Return the first layer that increases the rate reduction, and moved samples.

        None means that no step increases it. The ``"published"`` step is always taken.
        """
        R, _, reduction = samples.layer.rates
        # a change by the rounding errors of the rates is no decrease
        eps = float(namespace(samples.Z).finfo(real_dtype(samples.Z)).eps)
        least = reduction - abs(R) * eps
        last = self._layers[-1]["step"] if self._layers else math.inf
        for layer in ReduNetLayer.candidates(samples.layer, self, last):
            moved = samples.move(layer)
            if self.step == "published" or moved.layer.rates[2] >= least:
                return layer, moved
        return None

    def _record(self, samples: Samples) -> bool:
        """Record the rates and the decision of samples; return whether to stop."""
        gains, rates = self.rates_["delta_R"][-1:], samples.layer.rates
        self.rates_ = {
            name: np.append(self.rates_[name], rate)
            for name, rate in zip(RATES, rates, strict=True)
        }
        if self.warm_start:
            self._features = samples.Z, samples.before
        if self._decides and len(self._decisions) == self.n_iter_:
            self._decisions = [*self._decisions, samples.decision()]
        return bool(self.n_iter_) and rates[2] - gains[0] < self.tol > 0.0

    def _finish(self) -> None:
        """Clean up after the last layer, and warn if there is none."""
        if not self._layers and self.n_layers > 0:
            warn(
                f"{type(self).__name__} has no layer (n_iter_=0), because no step "
                "increases the rate reduction of the training samples at "
                f"epsilon={self.epsilon_:.3g}. "
                "Try another epsilon, or set n_layers=0 to omit layers."
            )

    # -- continuing from the layers of the previous call ------------------------------

    @property
    def _continues(self) -> bool:
        return bool(self.warm_start) and hasattr(self, "_features")

    def _forget(self) -> None:
        """Delete the layers, and what is needed to continue from them."""
        for name in FITTED:
            self.__dict__.pop(name, None)

    def _check_origin(self, rows: Rows) -> None:
        """Store what determines the layers: samples, device, and parameters.

        If layers of the last call are kept, none of these may have changed.
        """
        parameters = deepcopy(self.get_params(deep=False))
        del parameters["n_layers"], parameters["warm_start"]
        place = f"{namespace(rows.source).__name__} {rows.source.device}"
        found = f"{place} {rows.fingerprint()}"
        if self._continues:
            if self.n_layers < self.n_iter_:
                raise ValueError(
                    f"n_layers={self.n_layers} must be at least n_iter_={self.n_iter_} "
                    "when warm_start=True."
                )
            anew = "Call set_params(warm_start=False) to start anew."
            if found != self._origin["rows"]:
                raise ValueError(
                    "X, y and sample_weight must be those of the last call, in the "
                    f"same order, when warm_start=True. {anew}"
                )
            for name, before in self._origin["parameters"].items():
                if not np.array_equal(parameters[name], before):
                    raise ValueError(
                        f"{name}={parameters[name]!r} was {before!r} in the last call: "
                        f"only n_layers may change when warm_start=True. {anew}"
                    )
        self._origin = {"rows": found, "parameters": parameters}


class BaseNetClassifier(CodingClassifier, BaseNet):
    """Base class of networks with a decision after every layer."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _best: int
    _decides = True

    def staged_predict(self, X: Any) -> Iterator[Any]:
        """Predict classes from the features before the first layer and after each.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Yields
        ------
        y : ndarray of shape (n_samples,)
            The predicted class labels, ``n_iter_ + 1`` times.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        for scores, _ in self._staged_scores(X, "staged_predict"):
            yield take_labels(self.classes_, namespace(scores).argmax(scores, axis=1))

    def staged_predict_proba(self, X: Any) -> Iterator[Any]:
        """Compute probabilities before the first layer and after each.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Yields
        ------
        proba : ndarray of shape (n_samples, n_classes)
            The class probabilities, ``n_iter_ + 1`` times.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        for scores, temperature in self._staged_scores(X, "staged_predict_proba"):
            yield softmax(scores * (math.log(2.0) / temperature))

    def _staged_scores(self, X: Any, method: str) -> Iterator[tuple[Any, float]]:
        stages = self._staged(X, method)
        for decision, (Z, _) in zip(self._decisions, stages, strict=True):
            yield decision_scores(decision, Z), decision["temperature"]

    def _scores(self, X: Any) -> Any:
        """Return minus the extra bits of samples in every class, (n, k)."""
        moved = self._moved(X)
        parts = [decision_scores(self._decisions[-1], Z) for _, Z, _ in moved]
        return namespace(X).concat(parts)

    def _record(self, samples: Samples) -> bool:
        """Record a layer, and stop if the last ones did not reduce the loss."""
        best = getattr(self, "_features", None)
        enough = super()._record(samples)
        losses = [decision["loss"] for decision in self._decisions]
        self.temperature_ = self._decisions[-1]["temperature"]
        last, patience = self.n_iter_, self.n_iter_no_change
        always = last == 0 or patience is None
        if always or losses[last] < losses[self._best] - IMPROVEMENT:
            self._best = last
        elif self.warm_start and best is not None:
            self._features = best
        return enough or (patience is not None and last - self._best >= patience)

    def _finish(self) -> None:
        """Drop the last layers if they did not reduce the loss.

        Warn if parameters of layers were set, but no layer is kept.
        """
        if self.n_iter_no_change is None:
            super()._finish()
        elif self._best == 0 < self.n_layers:
            defaults = type(self)().get_params()
            values = {name: getattr(self, name) for name in ("epsilon", "eta")}
            given = [f"{n}={v!r}" for n, v in values.items() if v != defaults[n]]
            reason = "no layer reduced the leave-one-out loss by at least 0.001"
            advice = "Use n_iter_no_change=None to keep all layers"
            if not self._layers:
                reason = "no step increases the rate reduction"
                advice = "Try another epsilon"
            effect = "has no effect" if len(given) == 1 else "have no effect"
            if given:
                warn(
                    f"{type(self).__name__} keeps no layer (n_iter_=0), because "
                    f"{reason}: {' and '.join(given)} {effect} on predictions. "
                    f"{advice}, or set n_layers=0 to omit layers."
                )
        self._layers = self._layers[: self._best]
        self._decisions = self._decisions[: self._best + 1]
        self.rates_ = {n: v[: self._best + 1] for n, v in self.rates_.items()}
        self.temperature_ = self._decisions[-1]["temperature"]
