"""How layers for plain vectors are built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from skredu._compat import namespace
from skredu.coding._linalg import widen
from skredu.redunet._base_layer import BaseLayer
from skredu.redunet._groups import Group, completed, group_of
from skredu.redunet._layer import Layer
from skredu.redunet._rule import BaseRule, Built

if TYPE_CHECKING:
    from skredu.redunet._protocols import LeftOut


@dataclass(frozen=True, eq=False, repr=False)
class VectorRule(BaseRule):
    r"""Layers for rows that are sorted by class.

    Parameters
    ----------
    slices : list of slice
        Where the rows of each class stand.
    weights : array of shape (n,) or None
        Number of copies of each row.
    n_features : int
        Dimension that the formulas count.
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

    kind: ClassVar[type[BaseLayer]] = Layer

    slices: list[slice]
    weights: Any
    n_features: int
    epsilon: float
    membership: str
    temperature: float
    construction: str
    form: str | None = None

    def build(self, Z: Any) -> Built:
        """Operators of a layer from training features, not completed."""
        classes = [self._group(Z, part, kind=self._kind) for part in self.slices]
        total = self.total_scatter(classes)
        whole = self._group(Z, slice(None), kind=None, scatter=total)
        forms = [group.form for group in classes]
        layer = Layer(whole.form, forms, None, self.membership, self.temperature)
        return Built(layer, whole, classes)

    def completed(self, built: Built, Z: Any) -> Built:
        """Operators with what moves rows: a layer that is not taken needs none."""
        xp = namespace(Z)
        order = xp.argsort(-xp.sum(Z * Z, axis=0))
        whole = completed(built.whole, None, None)
        classes = [completed(group, self._kind, order) for group in built.classes]
        forms = [group.form for group in classes]
        layer = Layer.of(whole.form, forms, self.membership, self.temperature)
        return Built(layer, whole, classes)

    @property
    def _kind(self) -> str:
        return "coding" if self.membership == "coding" else "residual"

    def _group(self, Z: Any, part: slice, **settings: Any) -> Group:
        weights = None if self.weights is None else widen(self.weights[part])
        return group_of(
            Z[part, :],
            weights,
            epsilon=self.epsilon,
            n_features=self.n_features,
            n_moved=Z.shape[0],
            left_out=self.construction == "left_out",
            form=self.form,
            **settings,
        )

    @staticmethod
    def left_out(groups: Sequence[Group]) -> list[LeftOut]:
        """Extra nats (b,) and projections (b, r) of rows, each by the others."""
        return [group.left_out() for group in groups]
