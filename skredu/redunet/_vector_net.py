"""What both networks for plain vectors share."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.utils.validation import check_is_fitted

from skredu._compat import StrOptions
from skredu.classification._training import Training
from skredu.redunet._base import BaseNet
from skredu.redunet._decision import decision_scores, fit_decision
from skredu.redunet._entry import enter, sorted_rows
from skredu.redunet._layer import Layer
from skredu.redunet._sphere import MODERATE, Frame, on_sphere
from skredu.redunet._vectors import VectorRule
from skredu.redunet._view import ReduNetLayer


class BaseReduNet(BaseNet):
    """A network for plain vectors."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNet._parameter_constraints,
        "fit_intercept": ["boolean", StrOptions({"auto"})],
        "intercept_scaling": [MODERATE],
    }

    def __init__(
        self,
        n_layers: int = 20,
        epsilon: float | str = "auto",
        eta: float = 0.1,
        *,
        step: str = "relative",
        membership: str = "coding",
        inverse_temperature: float = 500.0,
        construction: str = "left_out",
        fit_intercept: bool | str = "auto",
        intercept_scaling: float = 1.0,
        tol: float = 0.0,
        warm_start: bool = False,
    ) -> None:
        self.n_layers = n_layers
        self.epsilon = epsilon
        self.eta = eta
        self.step = step
        self.membership = membership
        self.inverse_temperature = inverse_temperature
        self.construction = construction
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.tol = tol
        self.warm_start = warm_start

    @property
    def layers_(self) -> list[ReduNetLayer]:
        """Layers with their operators, one object each."""
        check_is_fitted(self)
        return [ReduNetLayer(layer, self._frame, step) for layer, step in self._steps()]

    @property
    def _frame(self) -> Frame:
        return Frame(**self._coordinates)

    def _enter(self, X: Any) -> tuple[Any, Any]:
        start = on_sphere(X, self._constant)
        return start, self._frame.enter(start)

    def _leave(self, start: Any, Z: Any, stage: int = -1) -> Any:
        return self._frame.leave(start, Z)

    def _steps(self) -> list[tuple[Layer, float]]:
        return [(Layer.of_plain(s["layer"]), s["step"]) for s in self._layers]

    def _place(self, rows: Training) -> Any:
        entry = enter(
            rows,
            fit_intercept=self.fit_intercept,
            intercept_scaling=float(self.intercept_scaling),
            epsilon=self.epsilon,
        )
        self._constant, self._coordinates = entry.constant, dict(vars(entry.frame))
        self.intercept_ = entry.constant or 0.0
        self._n_features_out = entry.n_features
        self.epsilon_ = entry.epsilon
        return entry.Z

    def _rule(self, rows: Training) -> VectorRule:
        return VectorRule(
            rows.slices,
            rows.weights,
            self._n_features_out,
            self.epsilon_,
            self.membership,
            float(self.inverse_temperature),
            self.construction,
        )

    def _fit_decision(self, rows: Training, Z: Any) -> dict[str, Any]:
        return fit_decision(sorted_rows(rows, Z), self._n_features_out)

    def _decision_scores(self, decision: dict[str, Any], Z: Any) -> Any:
        return decision_scores(decision, Z)
