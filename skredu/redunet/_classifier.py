"""Network classifiers: a decision after every layer, and the choice of layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral
from typing import Any, ClassVar

from skredu._base import warn
from skredu._classifiers import CodingClassifier, take_labels
from skredu._compat import Interval, StrOptions, namespace
from skredu.coding._linalg import softmax
from skredu.coding._rows import Rows
from skredu.redunet._layer import Layer
from skredu.redunet._net import BaseNet, decision_scores

# Least reduction of the leave-one-out loss (error rate plus Brier score) by a layer
# that is kept.
IMPROVEMENT = 1e-3


class BaseNetClassifier(CodingClassifier, BaseNet):
    """Base class of networks with a decision after every layer."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    n_iter_no_change: int | None
    class_weight: Any
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

    def _record(self, layer: Layer, state: tuple[Any, Any], rows: Rows) -> bool:
        """Record a layer, and stop if the last ones did not reduce the loss."""
        best = getattr(self, "_features", None)
        enough = super()._record(layer, state, rows)
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
