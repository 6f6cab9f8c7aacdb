"""How layers for signals are built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from skredu.redunet._base_layer import BaseLayer
from skredu.redunet._rule import BaseRule, Built
from skredu.redunet._spectral_forms import Group, complete, group_of
from skredu.redunet._spectral_layer import SpectralLayer
from skredu.redunet._spectral_left_out import left_out
from skredu.redunet._spectrum import Frequencies, scatters

if TYPE_CHECKING:
    from skredu.redunet._protocols import LeftOut


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
        wide = [part for part in self.slices if self._has_scatter(part, Z)]
        found = iter(scatters(Z, wide, self.weights))
        classes = [
            self._group(Z, part, next(found) if self._has_scatter(part, Z) else None)
            for part in self.slices
        ]
        whole = self._group(Z, slice(None), self._whole_scatter(classes, Z))
        (whole,), _ = complete([whole], None)
        classes, matrices = complete(classes, self.membership)
        layer = SpectralLayer.of(
            whole, classes, matrices, self.membership, self.temperature
        )
        return Built(layer, whole, classes)

    def _has_scatter(self, part: slice, Z: Any) -> bool:
        """Whether a group is dense, but for one that is too steep."""
        if self.form is not None:
            return self.form == "dense"
        _, C, n = Z.shape
        return len(range(n)[part]) >= C

    def _whole_scatter(self, classes: Sequence[Group], Z: Any) -> Any:
        if not self._has_scatter(slice(None), Z):
            return None
        total = self.total_scatter(classes)
        if total is None:
            return scatters(Z, [slice(None)], self.weights)[0]
        return total

    def _group(self, Z: Any, part: slice, scatter: Any) -> Group:
        return group_of(
            Z[:, :, part],
            None if self.weights is None else self.weights[part],
            self.frequencies,
            self.epsilon,
            scatter,
            left_out=self.construction == "left_out",
        )

    @staticmethod
    def left_out(groups: Sequence[Group]) -> list[LeftOut]:
        """Extra nats (b,) and projections (F, C, b) of rows, each by the others."""
        return left_out(groups)
