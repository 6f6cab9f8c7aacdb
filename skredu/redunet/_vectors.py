"""How layers for plain vectors are built, and how training rows pass them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skredu._compat import namespace
from skredu.coding._linalg import widen
from skredu.redunet._forms import Group, group_of
from skredu.redunet._layer import Layer
from skredu.redunet._memberships import softmax
from skredu.redunet._sphere import normalised


@dataclass(frozen=True)
class BuiltLayer:
    """Operators of a layer and the groups of rows that they are made from."""

    layer: Layer
    whole: Group
    classes: list[Group]


@dataclass(frozen=True)
class VectorRule:
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
        By which operators and memberships training rows move: as a new row would, with
        operators made from the other rows; with the operators as they are and estimated
        memberships; or with their labels.
    form : {"factored", "dense"}, default=None
        Form of all operators; None: the cheaper one for each.
    """

    slices: list[slice]
    weights: Any
    n_features: int
    epsilon: float
    membership: str
    temperature: float
    construction: str
    form: str | None = None

    def build(self, Z: Any) -> BuiltLayer:
        """Operators of a layer from training features."""
        whole = self._group(Z, slice(None), lengths=False)
        coding = self.membership == "coding"
        classes = [self._group(Z, part, lengths=coding) for part in self.slices]
        forms = [group.form for group in classes]
        layer = Layer.of(whole.form, forms, self.membership, self.temperature)
        return BuiltLayer(layer, whole, classes)

    def _group(self, Z: Any, part: slice, *, lengths: bool) -> Group:
        weights = None if self.weights is None else widen(self.weights[part])
        return group_of(
            Z[part, :],
            weights,
            epsilon=self.epsilon,
            n_features=self.n_features,
            n_moved=Z.shape[0],
            lengths=lengths,
            left_out=self.construction == "left_out",
            form=self.form,
        )

    def change(self, built: BuiltLayer, Z: Any) -> Any:
        """Direction in which training rows move."""
        if self.construction == "estimated":
            return built.layer.change(Z)
        if self.construction == "left_out":
            return self._change_left_out(built, Z)
        projected = [
            group.form.project(group.form.prepare(group.Z)) for group in built.classes
        ]
        whole = built.layer.whole
        return namespace(Z).concat(projected) - whole.project(whole.prepare(Z))

    def _change_left_out(self, built: BuiltLayer, Z: Any) -> Any:
        """Move every row by the operators of the others.

        Left out of its own class, and of all rows, it moves as a new row would.
        """
        xp, layer = namespace(Z), built.layer
        prepared = layer.prepare(Z)
        scores = layer.log_memberships(Z, prepared)
        projections = []
        for j, (part, group) in enumerate(zip(self.slices, built.classes, strict=True)):
            nats, projected = group.left_out()
            scores[part, j] = layer.left_out_scores(j, group.Z, nats, projected)
            projections.append(projected)
        Pi = softmax(scores)
        change = -built.whole.left_out()[1]
        for j, (part, projected) in enumerate(
            zip(self.slices, projections, strict=True)
        ):
            change[part, :] += xp.astype(Pi[part, j], Z.dtype)[:, None] * projected
            Pi[part, j] = xp.zeros_like(Pi[part, j])
        return layer.add_projections(change, prepared, Pi)

    def moved(self, Z: Any, change: Any, step: float) -> Any:
        """Training rows after a step."""
        return normalised(Z + step * change)
