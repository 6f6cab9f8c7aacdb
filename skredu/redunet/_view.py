"""A fitted layer as users look into it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from skredu._compat import namespace
from skredu.redunet._base_layer import BaseLayer, alpha_of
from skredu.redunet._forms import Form
from skredu.redunet._layer import Layer
from skredu.redunet._sphere import Frame


class BaseLayerView(ABC):
    """What layers for vectors and for signals show."""

    layer: BaseLayer
    step: float

    def __repr__(self) -> str:
        n_features, k = int(self.layer.whole.code.n_features), len(self.layer.classes)
        return f"{type(self).__name__}({n_features} features, {k} classes)"

    @property
    def eta(self) -> float:
        """Step size in the units of the paper; of signals, on all of their shifts."""
        return self.step / self.layer.alpha

    @property
    def gamma(self) -> list[float]:
        """Share of each class."""
        total = self.layer.whole.code.count
        return [form.code.count / total for form in self.layer.classes]

    @property
    def expansion(self) -> Any:
        """Expansion operator ``E``."""
        return self._operator(self.layer.whole)

    def compression(self, j: int) -> Any:
        """Compression operator ``C_j`` of the class with index j."""
        return self._operator(self.layer.classes[j])

    @abstractmethod
    def _operator(self, form: Any) -> Any:
        """Return ``alpha M^{-1}`` of a group, as it is shown."""


@dataclass(frozen=True, eq=False, repr=False)
class ReduNetLayer(BaseLayerView):
    r"""A layer with its operators as dense matrices, made on demand.

    A row ``z`` becomes :math:`z + \eta (Ez - \sum_j \gamma_j \pi_j(z) C_j z)`, divided
    by its norm.

    Parameters
    ----------
    layer : Layer
        Operators in the coordinates of the frame.
    frame : Frame
        Coordinates.
    step : float
        Step of the layer, relative to ``1 / alpha``.

    Attributes
    ----------
    eta : float
        Step size in the units of the paper.
    gamma : list of float
        Share of each class.
    expansion : array of shape (d, d)
        Expansion operator ``E``.
    """

    layer: Layer
    frame: Frame
    step: float

    def _operator(self, form: Form) -> Any:
        """Return a matrix of shape (d, d)."""
        P, alpha = form.matrix(), alpha_of(form)
        xp = namespace(P)
        inner = alpha * (xp.eye(P.shape[0], dtype=P.dtype, device=P.device) - P)
        return self.frame.operator(inner, alpha, int(form.code.n_features))
