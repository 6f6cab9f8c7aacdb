"""How layers for plain vectors are built, and how training rows pass them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from skredu._compat import namespace
from skredu.coding._linalg import widen
from skredu.redunet._groups import Group, group_of
from skredu.redunet._layer import Layer
from skredu.redunet._left_out import label_code, parts_of
from skredu.redunet._memberships import softmax
from skredu.redunet._sphere import normalised


@dataclass(frozen=True, eq=False, repr=False)
class BuiltLayer:
    """Operators of a layer and the groups of rows that they are made from."""

    layer: Layer
    whole: Group
    classes: list[Group]


@dataclass(frozen=True, eq=False, repr=False)
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

    def change(self, built: BuiltLayer, Z: Any) -> tuple[Layer, Any]:
        """Complete a layer, and say in which direction it moves the training rows."""
        layer = built.layer
        if self.construction == "estimated":
            return layer, layer.change(Z)
        if self.construction == "left_out":
            return self._change_left_out(built, Z)
        projected = [
            group.form.project(group.form.prepare(group.Z)) for group in built.classes
        ]
        whole = layer.whole.project(layer.whole.prepare(Z))
        return layer, namespace(Z).concat(projected) - whole

    def _change_left_out(self, built: BuiltLayer, Z: Any) -> tuple[Layer, Any]:
        """Move every row by the operators of the others.

        Left out of its own class, and of all rows, it moves as a new row would.
        """
        xp, layer = namespace(Z), built.layer
        own = [group.left_out() for group in built.classes]
        nats = xp.concat([part for part, _ in own])
        projected = xp.concat([part for _, part in own])
        blocks = layer.blocks(Z.shape[0])
        parts = []
        for block in blocks:
            rows = Z[block, :]
            prepared = layer.prepare(rows)
            scores = layer.log_memberships(rows, prepared)
            for j, there, here in parts_of(self.slices, block):
                scores[here, j] = layer.left_out_scores(
                    j, Z[there, :], nats[there], projected[there, :]
                )
            parts.append(scores)
        scores = xp.concat(parts)
        if self.membership == "coding":
            layer = replace(
                layer, label_code=label_code(scores, self.slices, self.weights)
            )
            scores = layer.corrected(scores)
        Pi = softmax(scores)
        change = -built.whole.left_out()[1]
        for block in blocks:
            if len(blocks) > 1:
                prepared = layer.prepare(Z[block, :])
            shares, part = Pi[block, :], change[block, :]
            for j, there, here in parts_of(self.slices, block):
                share = xp.astype(shares[here, j], Z.dtype)
                part[here, :] += share[:, None] * projected[there, :]
                shares[here, j] = xp.zeros_like(shares[here, j])
            change[block, :] = layer.add_projections(part, prepared, shares)
        return layer, change

    def moved(self, Z: Any, change: Any, step: float) -> Any:
        """Training rows after a step."""
        return normalised(Z + step * change)
