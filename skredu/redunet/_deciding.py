"""Networks that decide behind every layer, and keep layers that earn their place."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

from skredu._compat import FIT_FRAMES, Interval, StrOptions, namespace
from skredu.classification._base import CodingClassifier
from skredu.classification._training import Training, take_labels
from skredu.redunet._base import BaseNet
from skredu.redunet._memberships import softmax
from skredu.redunet._network import Grown, staged, through

if TYPE_CHECKING:
    from skredu.redunet._protocols import Built

# What a layer has to take from the loss of rows that are left out, an error count plus
# the Brier score: a thousandth of the rows, to earn its place.
IMPROVEMENT = 1e-3


class BaseDecidingNet(CodingClassifier, BaseNet):
    """A network with a decision behind every layer."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    _reference: ClassVar[str] = "class_count_"
    n_iter_no_change: int | None
    class_weight: Any

    def staged_predict(self, X: Any) -> Iterator[Any]:
        """Predict classes by the features before the first layer and after each.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Yields
        ------
        y : ndarray of shape (n_samples,)
            Class labels, ``n_iter_ + 1`` times.

        Raises
        ------
        ValueError
            If ``X`` does not fit the training rows.
        """
        for scores, _ in self._staged_scores(X, "staged_predict"):
            yield take_labels(self.classes_, namespace(scores).argmax(scores, axis=1))

    def staged_predict_proba(self, X: Any) -> Iterator[Any]:
        """Predict probabilities before the first layer and after each.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Yields
        ------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities, ``n_iter_ + 1`` times.

        Raises
        ------
        ValueError
            If ``X`` does not fit the training rows.
        """
        for scores, temperature in self._staged_scores(X, "staged_predict_proba"):
            yield softmax(scores * (math.log(2.0) / temperature))

    def _staged_scores(self, X: Any, method: str) -> Iterator[tuple[Any, float]]:
        _, Z = self._enter(self._check_rows(X, method))
        features = staged(self._steps(), Z)
        for decision, moved in zip(self._decisions, features, strict=True):
            yield self._decision_scores(decision, moved), decision["temperature"]

    def _checked_scores(self, X: Any, method: str) -> Any:
        return self._scores(self._check_rows(X, method))

    def _scores(self, X: Any) -> Any:
        """Minus the extra bits of rows in every class, label included, (n, k)."""
        layers, decision = self._steps(), self._decisions[-1]
        parts = []
        for block in self._blocks(X.shape[0]):
            moved = through(layers, self._enter(X[block, :])[1])
            parts.append(self._decision_scores(decision, moved))
        return namespace(X).concat(parts)

    @property
    def _decides(self) -> bool:
        return True

    def _start(self, built: Built, Z: Any, rows: Training) -> None:
        super()._start(built, Z, rows)
        self._best = 0

    def _append(self, grown: Grown, rows: Training) -> bool:
        best = self._features if self.warm_start else None
        super()._append(grown, rows)
        if self.n_iter_no_change is None:
            self._best = self.n_iter_
            return False
        losses = [decision["loss"] for decision in self._decisions]
        if losses[-1] < losses[self._best] - IMPROVEMENT:
            self._best = self.n_iter_
        elif self.warm_start:
            self._features = best
        return self.n_iter_ - self._best >= self.n_iter_no_change

    def _keep_decision(self, decision: dict[str, Any]) -> None:
        super()._keep_decision(decision)
        self.temperature_ = decision["temperature"]

    def _finish(self) -> None:
        """Drop the layers that did not earn their place."""
        if self._best == 0 < self.n_layers:
            if self.n_iter_no_change is None:
                self._warn_of_no_step()
            else:
                self._warn_of_no_layer()
        self._layers = self._layers[: self._best]
        self._decisions = self._decisions[: self._best + 1]
        self.rates_ = {n: v[: self._best + 1] for n, v in self.rates_.items()}
        self.temperature_ = self._decisions[-1]["temperature"]

    def _warn_of_no_layer(self) -> None:
        """Say so where parameters of layers were set."""
        defaults = type(self)().get_params()
        names = ("epsilon", "eta")
        given = [n for n in names if getattr(self, n) != defaults[n]]
        if not given:
            return
        reason = "no layer lowered the leave-one-out loss by 0.001 or more"
        advice = "n_iter_no_change=None keeps all layers"
        if not self._layers:
            reason, advice = "no step raises the rate reduction", "Take another epsilon"
        shown = [f"{name}={getattr(self, name)!r}" for name in given]
        effect = "has no effect" if len(given) == 1 else "have no effect"
        warnings.warn(
            f"{type(self).__name__} keeps no layer (n_iter_=0), as {reason}: "
            f"{' and '.join(shown)} {effect} on predictions. {advice}; n_layers=0 "
            "asks for none.",
            stacklevel=4 + FIT_FRAMES,
        )
