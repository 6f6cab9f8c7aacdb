"""What rules for vectors and for signals share: how training rows pass a layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from skredu._compat import namespace, to_numpy
from skredu.classification._selection import select
from skredu.coding._linalg import widen
from skredu.redunet._base_layer import BaseLayer, across, real_dtype, rows_at
from skredu.redunet._memberships import softmax


class Built(NamedTuple):
    """Operators of a layer and the groups of rows that they are made from."""

    layer: Any
    whole: Any
    classes: list[Any]


class BaseRule(ABC):
    """How layers are made from rows that are sorted by class.

    Subclasses are data classes with these fields.

    Attributes
    ----------
    slices : list of slice
        Where the rows of each class stand.
    weights : array of shape (n,) or None
        Number of copies of each row.
    membership : {"coding", "residual", "weighted_residual"}
        Rule for memberships.
    construction : {"left_out", "estimated", "labels"}
        By which operators and memberships training rows move: as a new row would, with
        operators made from the other rows; with the operators as they are and estimated
        memberships; or with their labels.
    """

    kind: ClassVar[type[BaseLayer]]

    slices: list[slice]
    weights: Any
    membership: str
    construction: str

    @abstractmethod
    def build(self, Z: Any) -> Built:
        """Operators of a layer from training features, good for its rates."""

    def completed(self, built: Built, Z: Any) -> Built:
        """Operators that move rows, too."""
        return built

    @staticmethod
    @abstractmethod
    def left_out(groups: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Extra nats (b,) and projections of the rows of groups, each by the others."""

    @staticmethod
    def total_scatter(classes: Sequence[Any]) -> Any:
        """Scatter of all rows, from those of the classes; None where one has none."""
        scatters = [group.scatter for group in classes]
        if any(scatter is None for scatter in scatters):
            return None
        return sum(scatters[1:], scatters[0])

    def change(self, built: Built, Z: Any) -> tuple[Any, Any]:
        """Complete a layer, and say in which direction it moves the training rows."""
        built = self.completed(built, Z)
        layer = built.layer
        if self.construction == "estimated":
            return layer, layer.change(Z)
        if self.construction == "left_out":
            return self._change_left_out(built, Z)
        parts = [g.form.project(g.form.prepare(g.Z)) for g in built.classes]
        projected = namespace(Z).concat(parts, axis=self.kind.axis)
        return layer, projected - layer.project_whole(Z)

    def moved(self, Z: Any, change: Any, step: float) -> Any:
        """Training rows after a step."""
        return self.kind.normalised(Z + step * change)

    def _change_left_out(self, built: Built, Z: Any) -> tuple[Any, Any]:
        """Move every row by the operators of the others.

        Left out of its own class, and of all rows, it moves as a new row would.
        """
        xp, layer, axis = namespace(Z), built.layer, self.kind.axis
        own = self.left_out(built.classes)
        nats = xp.concat([part for part, _ in own])
        projected = xp.concat([part for _, part in own], axis=axis)
        del own
        scores, rows = self._scores_left_out(layer, Z, nats, projected)
        if self.membership == "coding":
            code = label_code(scores, self.slices, self.weights)
            layer = replace(layer, label_code=code)
            scores = layer.corrected(scores)
        Pi = softmax(scores)
        change = -self.left_out([built.whole])[0][1]
        for block in layer.blocks(Z.shape[axis]):
            if rows is None:
                rows = layer.prepare(Z[rows_at(block, axis)])
            shares, part = Pi[block, :], change[rows_at(block, axis)]
            for j, there, here in parts_of(self.slices, block):
                share = xp.astype(shares[here, j], real_dtype(Z), copy=False)
                own_part = across(share, axis) * projected[rows_at(there, axis)]
                part[rows_at(here, axis)] += own_part
                shares[here, j] = xp.zeros_like(shares[here, j])
            change[rows_at(block, axis)] = layer.add_projections(part, rows, shares)
            rows = None
        return layer, change

    def _scores_left_out(
        self, layer: Any, Z: Any, nats: Any, projected: Any
    ) -> tuple[Any, Any]:
        """Scores (n, k), and what the layer has prepared if one block has all rows."""
        axis, parts = self.kind.axis, []
        blocks = layer.blocks(Z.shape[axis])
        for block in blocks:
            rows = layer.prepare(Z[rows_at(block, axis)])
            scores = layer.log_memberships(rows)
            for j, there, here in parts_of(self.slices, block):
                at = rows_at(there, axis)
                scores[here, j] = layer.left_out_scores(
                    j, Z[at], nats[there], projected[at]
                )
            parts.append(scores)
        return namespace(Z).concat(parts), rows if len(blocks) == 1 else None


def label_code(scores: Any, slices: list[slice], weights: Any) -> list[float]:
    """Fit a label code to the scores of rows left out, (n, k), as MICL does."""
    scores = to_numpy(scores)
    y = np.repeat(np.arange(len(slices)), [p.stop - p.start for p in slices])
    weights = np.ones(len(y)) if weights is None else to_numpy(widen(weights))
    _, _, code, _ = select(scores[:, :, None], y, weights, fit_labels=True)
    return code.tolist()


def parts_of(slices: list[slice], block: slice) -> Iterator[tuple[int, slice, slice]]:
    """Classes with rows in a block: where these are among all, and in the block."""
    for j, part in enumerate(slices):
        start, stop = max(part.start, block.start), min(part.stop, block.stop)
        if start < stop:
            here = slice(start - block.start, stop - block.start)
            yield j, slice(start, stop), here
