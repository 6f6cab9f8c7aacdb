"""What both networks for signals share: the grid, and how rows enter and leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

from sklearn.utils.validation import check_is_fitted

from skredu._compat import FIT_FRAMES, Interval, StrOptions, namespace
from skredu.classification._training import Training
from skredu.coding._linalg import widen
from skredu.lifting._grid import channels_of
from skredu.lifting._signals import (
    NAME,
    SignalsOutMixin,
    check_grid,
    grid_of,
    refuse_stacks,
)
from skredu.redunet._base import BaseNet
from skredu.redunet._base_layer import alpha_of
from skredu.redunet._invariant_features import invariant_features, n_invariant_features
from skredu.redunet._signals import SignalRule
from skredu.redunet._spectral_decision import decision_scores, fit_decision
from skredu.redunet._spectral_forms import Form
from skredu.redunet._spectral_layer import SpectralLayer
from skredu.redunet._spectrum import Grid
from skredu.redunet._view import BaseLayerView


@dataclass(eq=False, repr=False)
class InvariantReduNetLayer(BaseLayerView):
    r"""A layer with its operators as filters, made on demand.

    A signal ``z`` becomes :math:`z + \eta (Ez - \sum_j \gamma_j \pi_j(z) C_j z)`,
    divided by its norm, where operators are circular convolutions.

    Parameters
    ----------
    layer : SpectralLayer
        Operators at every frequency.
    grid : Grid
        The grid of the signals.
    step : float
        Step of the layer, relative to ``1 / alpha``.

    Attributes
    ----------
    eta : float
        Step size in the units of the paper, on all shifts of the rows.
    gamma : list of float
        Share of each class.
    expansion : array of shape (C, C, *signal_shape)
        Filters of ``E``.
    """

    layer: SpectralLayer
    grid: Grid
    step: float

    def _operator(self, form: Form) -> Any:
        """Return filters (C, C, *signal_shape): to a channel, from a channel."""
        P, grid = form.matrix(), self.grid
        xp = namespace(P)
        eye = xp.eye(P.shape[1], dtype=P.dtype, device=P.device)
        spectra = xp.permute_dims(alpha_of(form) * (eye - P), (1, 2, 0))
        spectra = xp.reshape(spectra, (*P.shape[1:], *grid.half))
        axes = tuple(range(2, 2 + len(grid.shape)))
        return xp.fft.irfftn(spectra, s=grid.shape, axes=axes)


class BaseInvariantReduNet(SignalsOutMixin, BaseNet):
    """A network for signals."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseNet._parameter_constraints,
        "signal_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "output": [StrOptions({"equivariant", "invariant"})],
    }

    def __init__(
        self,
        n_layers: int = 20,
        epsilon: float | str = "auto",
        eta: float = 0.1,
        *,
        signal_shape: int | Sequence[int] | None = None,
        output: str = "equivariant",
        step: str = "relative",
        membership: str = "coding",
        inverse_temperature: float = 500.0,
        construction: str = "left_out",
        tol: float = 0.0,
        warm_start: bool = False,
    ) -> None:
        self.n_layers = n_layers
        self.epsilon = epsilon
        self.eta = eta
        self.signal_shape = signal_shape
        self.output = output
        self.step = step
        self.membership = membership
        self.inverse_temperature = inverse_temperature
        self.construction = construction
        self.tol = tol
        self.warm_start = warm_start

    _invariant: bool

    @property
    def layers_(self) -> list[InvariantReduNetLayer]:
        """Layers with their operators, one object each."""
        check_is_fitted(self)
        grid = self._grid
        return [
            InvariantReduNetLayer(layer, grid, step) for layer, step in self._steps()
        ]

    @property
    def _grid(self) -> Grid:
        return Grid(self.signal_shape_, self.n_channels_)

    @property
    def _width(self) -> int:
        # half of what there is at a time: predictions of 48 channels on 28 x 28 points
        # take 4.6 ms a row, 6.3 in blocks of half the rows
        return 4 * self.n_channels_ * self._grid.n_points

    @property
    def _n_features_out(self) -> int:  # type: ignore[override]
        grid = self._grid
        if not self._invariant:
            return grid.n_channels * grid.n_points
        return n_invariant_features(grid, len(self.classes_))

    @property
    def _decides(self) -> bool:
        return self._invariant

    @property
    def _gives_signals(self) -> bool:
        return not self._invariant

    def _training_rows(
        self, X: Any, y: Any, sample_weight: Any, frames: int = 1 + FIT_FRAMES
    ) -> Training:
        refuse_stacks(X)
        rows = super()._training_rows(X, y, sample_weight, frames + 1)
        if self._continues:
            check_grid(X, self.signal_shape_)
        else:
            self._stand_on(self._grid_for(X, rows.source.shape[1]))
        return rows

    def _check_rows(self, X: Any, method: str) -> Any:
        refuse_stacks(X)
        rows = super()._check_rows(X, method)
        check_grid(X, self.signal_shape_)
        return rows

    def _enter(self, X: Any) -> tuple[Any, Any]:
        return X, self._grid.enter(X)

    def _leave(self, start: Any, Z: Any, stage: int = -1) -> Any:
        if self._invariant:
            return invariant_features(Z, self._decisions[stage], self._grid)
        return self._grid.leave(Z, start.dtype)

    def _steps(self) -> list[tuple[SpectralLayer, float]]:
        return [(SpectralLayer.of_plain(s["layer"]), s["step"]) for s in self._layers]

    def _place(self, rows: Training) -> Any:
        Z = self._grid.enter_by_blocks(len(rows.index), rows.take)
        epsilon = self.epsilon
        if isinstance(epsilon, str):
            decision = self._fit_decision(rows, Z)
            self._keep_decision(decision)
            epsilon = decision["epsilon"]
        self.epsilon_ = float(epsilon)
        return Z

    def _grid_for(self, X: Any, n_features: int) -> Grid:
        """Grid of rows that come."""
        shape = grid_of(X, self.signal_shape, n_features)
        return Grid(shape, channels_of(shape, n_features, NAME))

    def _stand_on(self, grid: Grid) -> None:
        self.signal_shape_, self.n_channels_ = grid.shape, grid.n_channels
        self._invariant = self.output == "invariant"

    def _rule(self, rows: Training) -> SignalRule:
        return SignalRule(
            rows.slices,
            None if rows.weights is None else widen(rows.weights),
            self._grid.frequencies(rows.source),
            self.epsilon_,
            self.membership,
            float(self.inverse_temperature),
            self.construction,
        )

    def _fit_decision(self, rows: Training, Z: Any) -> dict[str, Any]:
        return fit_decision(rows, Z, self._grid.frequencies(rows.source))

    def _decision_scores(self, decision: dict[str, Any], Z: Any) -> Any:
        return decision_scores(decision, Z)
