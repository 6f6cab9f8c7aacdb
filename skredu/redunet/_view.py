"""A fitted layer as users look into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skredu._compat import namespace
from skredu.redunet._forms import Form
from skredu.redunet._layer import Layer
from skredu.redunet._sphere import Frame


@dataclass(frozen=True, eq=False, repr=False)
class ReduNetLayer:
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
    """

    layer: Layer
    frame: Frame
    step: float

    @property
    def eta(self) -> float:
        """Step size in the units of the paper."""
        return self.step / self.layer.alpha

    @property
    def gamma(self) -> list[float]:
        """Share of each class."""
        total = self.layer.whole.code.count
        return [form.code.count / total for form in self.layer.classes]

    @property
    def expansion(self) -> Any:
        """Expansion operator ``E`` of shape (d, d)."""
        return self._dense(self.layer.whole)

    def compression(self, j: int) -> Any:
        """Compression operator ``C_j`` of shape (d, d), of the class with index j."""
        return self._dense(self.layer.classes[j])

    def _dense(self, form: Form) -> Any:
        P = form.matrix()
        xp, code = namespace(P), form.code
        alpha = code.n_features / form.epsilon**2 / code.count
        inner = alpha * (xp.eye(P.shape[0], dtype=P.dtype, device=P.device) - P)
        return self.frame.operator(inner, alpha, int(code.n_features))
