"""How layers for signals are built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from skredu.coding._linalg import widen
from skredu.redunet._base_layer import BaseLayer
from skredu.redunet._rule import BaseRule, Built
from skredu.redunet._spectral_forms import Group, complete, group_of
from skredu.redunet._spectral_layer import SpectralLayer
from skredu.redunet._spectral_left_out import left_out
from skredu.redunet._spectrum import Frequencies, squared_norms


@dataclass(eq=False, repr=False)
class SignalRule(BaseRule):
    r"""Layers for spectra of rows that are sorted by class.

    Parameters
    ----------
    slices : list of slice
        Where the rows of each class stand.
    weights : array of shape (n,) or None
        Number of copies of each row.
    frequencies : Frequencies
    epsilon : float
        Distortion.
    membership : {"coding", "residual", "weighted_residual"}
        Rule for memberships.
    temperature : float
        Inverse temperature of the residual rules.
    construction : {"left_out", "estimated", "labels"}
        By which operators and memberships training rows move, see `BaseRule`.
    form : {"factored", "dense"}, default=None
        Form of all operators; None: the cheaper one for each.
    """

    kind: ClassVar[type[BaseLayer]] = SpectralLayer

    slices: list[slice]
    weights: Any
    frequencies: Frequencies
    epsilon: float
    membership: str
    temperature: float
    construction: str
    form: str | None = None

    def build(self, Z: Any) -> Built:
        """Operators of a layer from training features.

        They are complete: sweeps that give the log-determinants invert on the way.
        """
        norms = squared_norms(Z)
        classes = [self._group(Z, norms, part) for part in self.slices]
        whole = self._group(Z, norms, slice(None), self.total_scatter(classes))
        (whole,), _ = complete([whole], None)
        classes, matrices = complete(classes, self.membership)
        layer = SpectralLayer.of(
            whole, classes, matrices, self.membership, self.temperature
        )
        return Built(layer, whole, classes)

    def _group(self, Z: Any, norms: Any, part: slice, scatter: Any = None) -> Group:
        weights = None if self.weights is None else widen(self.weights[part])
        return group_of(
            Z[:, :, part],
            norms[:, part],
            weights,
            self.frequencies,
            self.epsilon,
            left_out=self.construction == "left_out",
            form=self.form,
            scatter=scatter,
        )

    @staticmethod
    def left_out(groups: Sequence[Group]) -> list[tuple[Any, Any]]:
        """Extra nats (b,) and projections (F, C, b) of rows, each by the others."""
        return left_out(groups)
