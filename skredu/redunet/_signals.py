"""How layers for signals are built, and how training rows pass them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from skredu._compat import namespace
from skredu.coding._linalg import widen
from skredu.redunet._left_out import label_code, parts_of
from skredu.redunet._memberships import softmax
from skredu.redunet._spectral_forms import Group, complete, group_of, left_out
from skredu.redunet._spectral_layer import SpectralLayer
from skredu.redunet._spectrum import Frequencies, normalised, squared_norms


class BuiltSpectralLayer(NamedTuple):
    """Operators of a layer and the groups of rows that they are made from."""

    layer: SpectralLayer
    whole: Group
    classes: list[Group]


@dataclass(eq=False, repr=False)
class SignalRule:
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
        By which operators and memberships training rows move, see
        `skredu.redunet._vectors.VectorRule`.
    form : {"factored", "dense"}, default=None
        Form of all operators; None: the cheaper one for each.
    """

    slices: list[slice]
    weights: Any
    frequencies: Frequencies
    epsilon: float
    membership: str
    temperature: float
    construction: str
    form: str | None = None

    def build(self, Z: Any) -> BuiltSpectralLayer:
        """Operators of a layer from training features."""
        norms = squared_norms(Z)
        classes = [self._group(Z, norms, part) for part in self.slices]
        scatters = [group.scatter for group in classes]
        total = None
        if all(scatter is not None for scatter in scatters):
            total = sum(scatters[1:], scatters[0])
        whole = self._group(Z, norms, slice(None), total)
        (whole,), _ = complete([whole], None)
        classes, matrices = complete(classes, self.membership)
        layer = SpectralLayer.of(
            whole, classes, matrices, self.membership, self.temperature
        )
        return BuiltSpectralLayer(layer, whole, classes)

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

    def change(self, built: BuiltSpectralLayer, Z: Any) -> tuple[SpectralLayer, Any]:
        """Complete a layer, and say in which direction it moves the training rows."""
        layer = built.layer
        if self.construction == "estimated":
            return layer, layer.change(Z)
        if self.construction == "left_out":
            return self._change_left_out(built, Z)
        xp = namespace(Z)
        projected = xp.concat([g.form.matrix() @ g.Z for g in built.classes], axis=2)
        return layer, projected - layer.project_whole(Z)

    def _change_left_out(
        self, built: BuiltSpectralLayer, Z: Any
    ) -> tuple[SpectralLayer, Any]:
        """Move every row by the operators of the others.

        Left out of its own class, and of all rows, it moves as a new row would.
        """
        xp, layer = namespace(Z), built.layer
        own = left_out(built.classes)
        blocks = layer.blocks(Z.shape[2])
        parts = []
        for block in blocks:
            rows = layer.prepare(Z[:, :, block])
            scores = layer.log_memberships(rows)
            for j, there, here in parts_of(self.slices, block):
                start = self.slices[j].start
                inside = slice(there.start - start, there.stop - start)
                nats, projected = own[j][0][inside], own[j][1][:, :, inside]
                scores[here, j] = layer.left_out_scores(
                    j, Z[:, :, there], nats, projected
                )
            parts.append(scores)
        scores = xp.concat(parts)
        if self.membership == "coding":
            code = label_code(scores, self.slices, self.weights)
            layer = replace(layer, label_code=code)
            scores = layer.corrected(scores)
        Pi = softmax(scores)
        change = -left_out([built.whole])[0][1]
        return layer, self._add_left_out(layer, Z, change, own, Pi, rows)

    def _add_left_out(
        self,
        layer: SpectralLayer,
        Z: Any,
        change: Any,
        own: list[tuple[Any, Any]],
        Pi: Any,
        rows: Any,
    ) -> Any:
        """Add the projections on the classes; on its own one a row is left out."""
        xp, blocks = namespace(Z), layer.blocks(Z.shape[2])
        for block in blocks:
            if len(blocks) > 1:
                rows = layer.prepare(Z[:, :, block])
            shares, part = Pi[block, :], change[:, :, block]
            for j, there, here in parts_of(self.slices, block):
                start = self.slices[j].start
                inside = slice(there.start - start, there.stop - start)
                share = xp.astype(shares[here, j], xp.real(Z).dtype, copy=False)
                part[:, :, here] += share * own[j][1][:, :, inside]
                shares[here, j] = xp.zeros_like(shares[here, j])
            change[:, :, block] = layer.add_projections(part, rows, shares)
        return change

    def moved(self, Z: Any, change: Any, step: float) -> Any:
        """Training features after a step."""
        return normalised(Z + step * change)
